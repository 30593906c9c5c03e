//! What is easy to get wrong in a voice call, one test each.

use std::{sync::Arc, time::Duration};

use crate::sim::{self, Behaviour, LevelVad, Network, Run, World, always, coughs, says};
use sidetone_codecs::SampleRate;
use sidetone_core::{
    call::Call,
    config::CallConfig,
    dialect::{Inbound, LegMessage, Outbound},
    event::{CallError, CallEvent, EndReason},
    io::{Input, Output},
    job::{Job, JobEvent, JobUpdate, LlmEvent, Service, TtsEvent},
    time::CallTime,
};

fn long_greeting() -> World {
    let mut world = World::default();
    world.config.agent.greeting =
        "This is the first sentence of a long text. This is the second. And here is a third."
            .into();
    world
}

fn resumed(run: &Run) -> usize {
    run.all(|event| matches!(event, CallEvent::AgentResumed { .. }).then_some(()))
        .len()
}

#[test]
fn a_mark_that_comes_back_after_a_clear_was_flushed_not_heard() {
    let mut world = long_greeting();
    world.network = Network {
        delay_ms: 60,
        ..Network::default()
    };
    world.sounds = vec![says(1_000, 700, "stop")];
    let run = world.run();
    assert!(
        run.most_buffered_ms > 1_000,
        "marks were pending at the clear"
    );
    let [(_, heard)] = &run.interruptions()[..] else {
        panic!("one interruption")
    };
    assert_eq!(run.lines()[0], format!("Agent: {heard}"));
    assert!(
        heard.split_whitespace().count() <= 5,
        "{heard:?} was not played in 1.2 s"
    );
}

#[test]
fn nothing_waits_for_a_mark_that_never_comes_back() {
    let mut world = World {
        sounds: vec![says(1_000, 600, "hello"), says(6_000, 600, "goodbye")],
        network: Network {
            loses_marks: true,
            ..Network::default()
        },
        ..World::default()
    };
    world.answer = Box::new(|messages| {
        let last = messages.last().unwrap().text.clone();
        (
            "I heard you, and this is what I say to it.".into(),
            last == "goodbye",
        )
    });
    let run = world.run();
    assert_eq!(run.finished().len(), 2);
    assert_eq!(
        run.underruns, 0,
        "the next chunk does not wait for a mark either"
    );
    let (_, reason) = run.ended.expect("the farewell has a timeout");
    assert_eq!(reason, EndReason::AgentHungUp);
}

#[test]
fn what_was_heard_is_told_without_marks_too() {
    let mut world = long_greeting();
    world.network = Network {
        loses_marks: true,
        ..Network::default()
    };
    world.sounds = vec![says(3_500, 700, "stop")];
    let run = world.run();
    let [(_, heard)] = &run.interruptions()[..] else {
        panic!("one interruption")
    };
    assert!(heard.starts_with("This is the first"), "{heard:?}");
}

#[test]
fn the_language_model_is_told_what_the_caller_heard() {
    let mut world = long_greeting();
    world.sounds = vec![says(2_000, 700, "what")];
    let run = world.run();
    let (_, job) = &run.llm_jobs[0];
    let told = &job.messages[0].text;
    assert_eq!(*told, run.interruptions()[0].1);
    assert!(told.len() < 45, "{told:?}");
}

#[test]
fn the_first_syllable_is_not_lost() {
    for at_ms in 1_000..1_040 {
        let run = World {
            sounds: vec![says(at_ms, 300, "yes")],
            ..World::default()
        }
        .run();
        let (_, job) = &run.stt_jobs[0];
        let loud = job.audio.iter().filter(|s| **s != 0).count() as u64;
        assert_eq!(
            loud,
            300 * sim::SAMPLES_PER_MS,
            "all of the sound at {at_ms} ms"
        );
        let before = job.audio.iter().position(|s| *s != 0).unwrap() as u64 / sim::SAMPLES_PER_MS;
        assert!((300..=460).contains(&before), "{before} ms of pre-roll");
    }
}

#[test]
fn a_short_yes_is_a_turn_even_if_its_transcript_is_late() {
    let run = World {
        sounds: vec![says(1_000, 150, "yes")],
        stt: always(Behaviour::After(2_500)),
        ..World::default()
    }
    .run();
    assert_eq!(run.lines(), ["Caller: yes", "Agent: All right."]);
}

#[test]
fn a_late_transcript_waits_for_the_caller_who_speaks_again() {
    let run = World {
        sounds: vec![
            says(1_000, 400, "yes"),
            says(2_400, 1_500, "and one more thing"),
        ],
        stt: Box::new(|n| Behaviour::After(if n == 0 { 2_000 } else { 0 })),
        ..World::default()
    }
    .run();
    assert_eq!(
        run.lines(),
        ["Caller: yes and one more thing", "Agent: All right."]
    );
    assert_eq!(run.llm_jobs.len(), 1);
}

#[test]
fn a_cough_before_the_reply_does_not_eat_the_reply() {
    // In every phase: while the transcript, the model or the voice is awaited.
    for cough_ms in (1_900..4_800).step_by(100) {
        let run = World {
            sounds: vec![says(1_000, 800, "where is my order"), coughs(cough_ms, 200)],
            stt: always(Behaviour::After(900)),
            llm: always(Behaviour::After(900)),
            tts: always(Behaviour::After(900)),
            ..World::default()
        }
        .run();
        let lines = ["Caller: where is my order", "Agent: All right."];
        assert_eq!(run.lines(), lines, "cough at {cough_ms}");
    }
}

#[test]
fn after_a_cough_over_the_agent_it_goes_on_where_it_was_stopped() {
    let mut world = long_greeting();
    world.sounds = vec![coughs(2_000, 250)];
    let run = world.run();
    assert_eq!(run.clears().len(), 1);
    assert_eq!(resumed(&run), 1);
    assert_eq!(
        run.finished()[0].1,
        world_greeting(),
        "all of it, nothing twice"
    );
    assert_eq!(run.lines(), [format!("Agent: {}", world_greeting())]);
}

fn world_greeting() -> String {
    long_greeting().config.agent.greeting
}

#[test]
fn two_coughs_and_then_words() {
    let mut world = long_greeting();
    world.sounds = vec![
        coughs(1_000, 250),
        coughs(3_000, 250),
        says(4_500, 600, "enough"),
    ];
    let run = world.run();
    assert_eq!(run.interruptions().len(), 3);
    let lines = run.lines();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!(lines[0], format!("Agent: {}", run.interruptions()[2].1));
    assert!(world_greeting().starts_with(&run.interruptions()[2].1));
}

#[test]
fn a_result_that_is_no_longer_wanted_is_dropped() {
    let mut call = Call::new(Arc::new(CallConfig::default()), Box::new(LevelVad));
    let mut out = Vec::new();
    let start = Inbound::Start(sidetone_core::dialect::Start {
        stream_id: "MZ1".into(),
        call_id: None,
        account_id: None,
        parameters: Default::default(),
        format: sidetone_core::dialect::LegFormat::MULAW_8000,
    });
    let message = LegMessage {
        stream_id: None,
        sequence: None,
        body: start,
    };
    call.step(CallTime::ZERO, Input::Leg(message), &mut out);
    out.clear();
    for (n, event) in [
        JobEvent::Llm(LlmEvent::Delta {
            text: "Never asked for. ".into(),
        }),
        JobEvent::Llm(LlmEvent::Done { hang_up: true }),
        JobEvent::Tts(TtsEvent::Audio {
            samples: vec![1; 800],
            rate: SampleRate::HZ_8000,
        }),
        JobEvent::Tts(TtsEvent::Done),
    ]
    .into_iter()
    .enumerate()
    {
        let update = JobUpdate {
            id: sidetone_core::job::JobId(n as u64),
            event,
        };
        call.step(
            CallTime::from_millis(n as u64),
            Input::Job(update),
            &mut out,
        );
    }
    assert_eq!(out, []);
}

#[test]
fn a_farewell_is_heard_to_its_end_before_the_hang_up() {
    for (delay_ms, loses_marks) in [(0, false), (150, false), (0, true)] {
        let mut world = World {
            sounds: vec![says(1_000, 500, "goodbye")],
            ..World::default()
        };
        world.network = Network {
            delay_ms,
            loses_marks,
            ..Network::default()
        };
        world.answer = Box::new(|_| ("Goodbye, and thank you for your call.".into(), true));
        let run = world.run();
        let (at_ms, reason) = run.ended.expect("hangs up");
        assert_eq!(reason, EndReason::AgentHungUp);
        let audible: u64 = run.audible().iter().map(|(from, to)| to - from).sum();
        assert!(
            audible >= 37 * 60 - 20,
            "{audible} ms of the farewell were heard"
        );
        assert!(
            at_ms <= run.audible().last().unwrap().1 + 2 * delay_ms + 1_200,
            "{at_ms}"
        );
    }
}

#[test]
fn a_bye_over_the_farewell_does_not_stop_it() {
    let mut world = World {
        sounds: vec![says(1_000, 500, "goodbye"), says(2_500, 600, "bye bye")],
        ..World::default()
    };
    world.answer = Box::new(|_| ("Goodbye, and thank you for your call.".into(), true));
    let run = world.run();
    assert_eq!(run.clears(), [0; 0]);
    assert_eq!(run.ended.unwrap().1, EndReason::AgentHungUp);
    assert_eq!(run.llm_jobs.len(), 1);
}

#[test]
fn a_failed_service_is_apologised_for() {
    for service in [Service::Stt, Service::Llm, Service::Tts] {
        let mut world = World::with_phrases();
        world.sounds = vec![says(1_000, 600, "hello"), says(5_000, 600, "again")];
        // Once ahead of the end of the turn, and once more after it.
        let fails: sim::Schedule = Box::new(|n| {
            if n < 2 {
                Behaviour::FailsAfter(100)
            } else {
                Behaviour::After(0)
            }
        });
        match service {
            Service::Stt => world.stt = fails,
            Service::Llm => world.llm = fails,
            Service::Tts => world.tts = fails,
            Service::Turn => unreachable!("no turn detector is set"),
        }
        let run = world.run();
        let failures = run.all(|event| match event {
            CallEvent::Error {
                error: CallError::Service { service, .. },
            } => Some(*service),
            _ => None,
        });
        assert_eq!(
            failures.iter().map(|(_, s)| *s).collect::<Vec<_>>(),
            [service]
        );
        assert!(
            run.finished().iter().any(|(_, heard)| heard == "Sorry."),
            "{service}"
        );
        assert!(
            run.lines().contains(&"Agent: All right.".to_owned()),
            "{service}: goes on"
        );
        assert_eq!(run.ended, None);
    }
}

#[test]
fn the_third_failure_in_a_row_ends_in_a_farewell() {
    let mut world = World::with_phrases();
    world.sounds = vec![
        says(1_000, 600, "one"),
        says(5_000, 600, "two"),
        says(9_000, 600, "three"),
    ];
    world.llm = always(Behaviour::FailsAfter(100));
    let run = world.run();
    let said: Vec<_> = run.finished().into_iter().map(|(_, heard)| heard).collect();
    assert_eq!(said, ["Sorry.", "Sorry.", "We are closed."]);
    assert_eq!(run.ended.unwrap().1, EndReason::ServicesFailed);
}

#[test]
fn an_answer_in_between_forgives_the_failures() {
    let mut world = World::with_phrases();
    world.sounds = (0..5)
        .map(|n| says(1_000 + n * 4_000, 600, "again"))
        .collect();
    // Each turn is tried twice: ahead of its end, and after it.
    world.llm = Box::new(|n| match n {
        4 => Behaviour::After(0),
        _ => Behaviour::FailsAfter(0),
    });
    world.until_ms = 25_000;
    let run = world.run();
    assert_eq!(run.ended, None);
}

#[test]
fn the_caller_never_waits_more_than_four_seconds_in_silence() {
    for service in [Service::Stt, Service::Llm, Service::Tts] {
        for behaviour in [
            Behaviour::Silent,
            Behaviour::Stalls(0),
            Behaviour::FailsAfter(7_000),
            Behaviour::After(7_900),
        ] {
            let mut world = World::with_phrases();
            world.sounds = vec![says(1_000, 1_000, "is anybody there")];
            world.answer = Box::new(|_| ("Yes. We are here, and we are listening.".into(), true));
            match service {
                Service::Stt => world.stt = always(behaviour),
                Service::Llm => world.llm = always(behaviour),
                Service::Tts => world.tts = always(behaviour),
                Service::Turn => unreachable!("no turn detector is set"),
            }
            let run = world.run();
            let first_answer = run.finished().first().map_or(20_000, |(at, _)| *at);
            let silence = run.longest_silence_ms(2_000, first_answer);
            assert!(
                silence <= 4_000,
                "{service} {behaviour:?}: {silence} ms of silence"
            );
        }
    }
}

#[test]
fn a_wait_is_bridged_and_the_answer_still_comes() {
    let mut world = World::with_phrases();
    world.sounds = vec![says(1_000, 600, "think hard")];
    world.llm = always(Behaviour::After(5_000));
    let run = world.run();
    assert_eq!(run.lines(), ["Caller: think hard", "Agent: All right."]);
    assert_eq!(run.errors(), 0);
    let spans = run.audible();
    assert_eq!(spans.len(), 2, "the filler, then the answer: {spans:?}");
}

#[test]
fn an_empty_answer_is_a_failure_not_silence() {
    let mut world = World::with_phrases();
    world.sounds = vec![says(1_000, 600, "hello")];
    world.answer = Box::new(|_| (String::new(), false));
    let run = world.run();
    assert_eq!(run.finished()[0].1, "Sorry.");
}

#[test]
fn a_voice_that_breaks_off_is_not_credited_with_the_rest() {
    let mut world = World::with_phrases();
    world.sounds = vec![says(1_000, 600, "tell me")];
    world.answer = Box::new(|_| {
        (
            "A long sentence of which only the first half is spoken.".into(),
            false,
        )
    });
    world.tts = always(Behaviour::Stalls(0));
    let run = world.run();
    let said = &run.finished()[0].1;
    assert!(
        said.starts_with("A long sentence") && said.ends_with("Sorry."),
        "{said:?}"
    );
    assert!(!said.contains("half is spoken"), "{said:?}");
}

#[test]
fn a_failure_while_the_caller_speaks_waits_for_the_caller() {
    let mut world = World::with_phrases();
    world.config.eager.enabled = false;
    world.sounds = vec![says(1_000, 600, "one"), says(2_000, 3_000, "two")];
    world.stt = Box::new(|n| {
        if n == 0 {
            Behaviour::FailsAfter(900)
        } else {
            Behaviour::After(0)
        }
    });
    let run = world.run();
    assert!(
        run.audible()[0].0 >= 5_000,
        "the apology is not said over the caller"
    );
    assert_eq!(run.lines(), ["Caller: two", "Agent: All right."]);
}

#[test]
fn a_stream_that_never_starts_ends_the_call() {
    let config = CallConfig::default();
    let mut call = Call::new(Arc::new(config), Box::new(LevelVad));
    let mut out = Vec::new();
    let connected = LegMessage {
        stream_id: None,
        sequence: None,
        body: Inbound::Connected,
    };
    let deadline = call
        .step(CallTime::ZERO, Input::Leg(connected), &mut out)
        .unwrap();
    assert_eq!(deadline, CallTime::ZERO + Duration::from_secs(5));
    assert_eq!(call.step(deadline, Input::Deadline, &mut out), None);
    assert_eq!(out.last(), Some(&Output::HangUp(EndReason::NoStart)));
}

#[test]
fn a_recorded_call_replays_to_the_same_output() {
    let mut world = long_greeting();
    world.network = Network {
        delay_ms: 20,
        jitter_ms: 40,
        seed: 4,
        ..Network::default()
    };
    world.sounds = vec![
        says(2_000, 700, "wait"),
        coughs(4_000, 300),
        says(6_000, 500, "bye"),
    ];
    world.keys = vec![(9_000, '4'), (9_300, '#')];
    let config = Arc::new(world.config.clone());
    let run = world.run();
    let written: Vec<String> = run
        .log
        .iter()
        .map(|entry| serde_json::to_string(entry).expect("inputs and outputs serialise"))
        .collect();
    let mut call = Call::new(config, Box::new(LevelVad));
    for line in &written {
        let (now, input, expected): (CallTime, Input<'_>, Vec<Output>) =
            serde_json::from_str(line).expect("what was written reads back");
        let mut out = Vec::new();
        call.step(now, input, &mut out);
        assert_eq!(out, expected, "at {now}");
    }
    let has = |select: fn(&Output) -> bool| {
        run.log
            .iter()
            .flat_map(|(_, _, outputs)| outputs)
            .any(select)
    };
    assert!(has(|o| matches!(o, Output::Leg(Outbound::Clear))));
    assert!(has(|o| matches!(o, Output::Start(Job::Llm(_)))));
}
