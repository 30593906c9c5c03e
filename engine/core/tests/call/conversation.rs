//! Whole conversations in simulated time.

use crate::sim::{Behaviour, Network, World, always, says};
use sidetone_codecs::SampleRate;
use sidetone_core::{
    dialect::Outbound,
    event::{CallEvent, EndReason},
    io::{Command, Output},
};

fn greeting(text: &str) -> World {
    let mut world = World::default();
    world.config.agent.greeting = text.into();
    world
}

#[test]
fn the_greeting_is_heard_whole_and_at_once() {
    let run = greeting("Hello, how can I help you today?").run();
    assert_eq!(
        run.finished(),
        [(1_920, "Hello, how can I help you today?".into())]
    );
    assert_eq!(run.audible(), [(0, 1_919)]);
    assert_eq!(run.lines(), ["Agent: Hello, how can I help you today?"]);
}

#[test]
fn without_a_greeting_the_caller_speaks_first() {
    let world = World {
        sounds: vec![says(1_000, 500, "hello")],
        ..World::default()
    };
    let run = world.run();
    assert_eq!(run.lines(), ["Caller: hello", "Agent: All right."]);
    assert!(run.audible()[0].0 >= 1_500);
}

#[test]
fn audio_is_sent_ahead_but_not_further_than_the_lead() {
    let run = greeting(&"This is a long sentence that goes on and on. ".repeat(8)).run();
    assert!(
        (1_800..=2_000).contains(&run.most_buffered_ms),
        "{} ms",
        run.most_buffered_ms
    );
    assert_eq!(run.underruns, 0);
}

#[test]
fn a_mark_follows_at_least_every_200_ms_of_audio() {
    let run = greeting(&"This is a long sentence that goes on and on. ".repeat(4)).run();
    let mut since_mark = 0;
    let mut names = std::collections::BTreeSet::new();
    for (_, message) in &run.sent {
        match message {
            Outbound::Media { payload } => since_mark += payload.len(),
            Outbound::Mark { name } => {
                assert!(names.insert(name.clone()), "mark names are unique");
                since_mark = 0;
            }
            _ => {}
        }
        assert!(since_mark <= 1_600, "{since_mark} samples without a mark");
    }
    assert_eq!(since_mark, 0, "the last word is marked");
}

#[test]
fn a_turn_is_answered_and_its_time_accounted_for() {
    let mut world = World {
        sounds: vec![says(1_000, 800, "where is my order")],
        stt: always(Behaviour::After(100)),
        llm: always(Behaviour::After(50)),
        tts: always(Behaviour::After(30)),
        ..World::default()
    };
    world.config.eager.enabled = false;
    let run = world.run();
    let [metrics] = run.metrics()[..] else {
        panic!("one answer: {:?}", run.metrics())
    };
    assert!((300..=340).contains(&metrics.endpointing_ms), "{metrics:?}");
    assert_eq!(
        (
            metrics.stt_ms,
            metrics.llm_first_token_ms,
            metrics.tts_first_byte_ms
        ),
        (100, 50, 30)
    );
    let parts = metrics.endpointing_ms
        + metrics.stt_ms
        + metrics.llm_first_token_ms
        + metrics.llm_first_sentence_ms
        + metrics.tts_first_byte_ms;
    assert_eq!(parts, metrics.total_ms, "the parts add up");
    let heard_after = run.audible()[0].0 - 1_800;
    assert!(
        heard_after.abs_diff(metrics.total_ms) <= 40,
        "{heard_after} ms at the ear"
    );
}

#[test]
fn with_services_that_answer_at_once_the_answer_starts_within_350_ms() {
    let run = World {
        sounds: vec![says(1_000, 800, "hello")],
        ..World::default()
    }
    .run();
    let heard_after = run.audible()[0].0 - 1_800;
    assert!(heard_after <= 350, "{heard_after} ms");
}

#[test]
fn the_first_sentence_is_spoken_while_the_rest_is_being_written() {
    let mut world = World {
        sounds: vec![says(1_000, 500, "tell me")],
        ..World::default()
    };
    world.answer = Box::new(|_| ("First this. Then that. And at last the end.".into(), false));
    let run = world.run();
    let sentences: Vec<&str> = run
        .tts_jobs
        .iter()
        .map(|(_, job)| job.text.as_str())
        .collect();
    assert_eq!(
        sentences,
        ["First this.", "Then that.", "And at last the end."]
    );
    assert_eq!(run.underruns, 0);
    assert_eq!(
        run.finished()[0].1,
        "First this. Then that. And at last the end."
    );
}

#[test]
fn four_turns_and_a_goodbye() {
    let mut world = greeting("Welcome.");
    world.sounds = vec![
        says(1_500, 600, "one"),
        says(4_500, 600, "two"),
        says(7_500, 600, "three"),
        says(10_500, 600, "goodbye"),
    ];
    world.answer = Box::new(|messages| {
        let last = &messages.last().unwrap().text;
        (format!("You said {last}."), last == "goodbye")
    });
    let run = world.run();
    assert_eq!(
        run.lines(),
        [
            "Agent: Welcome.",
            "Caller: one",
            "Agent: You said one.",
            "Caller: two",
            "Agent: You said two.",
            "Caller: three",
            "Agent: You said three.",
            "Caller: goodbye",
            "Agent: You said goodbye.",
        ]
    );
    let (at_ms, reason) = run.ended.unwrap();
    assert_eq!(reason, EndReason::AgentHungUp);
    assert!(
        at_ms >= run.audible().last().unwrap().1,
        "the goodbye was heard"
    );
}

#[test]
fn an_interruption_stops_the_agent_in_the_step_that_hears_it() {
    let mut world = greeting(&"Many words nobody wants to hear. ".repeat(6));
    world.sounds = vec![says(3_000, 900, "wait")];
    let run = world.run();
    let cleared_ms = run.clears()[0];
    assert!((90..=130).contains(&(cleared_ms - 3_000)), "{cleared_ms}");
    let (_, _, outputs) = run
        .log
        .iter()
        .find(|(_, _, outputs)| outputs.contains(&Output::Leg(Outbound::Clear)))
        .unwrap();
    assert_eq!(
        outputs[0],
        Output::Leg(Outbound::Clear),
        "before anything else"
    );
    let silence = run.audible();
    assert!(
        silence[0].1 <= cleared_ms + 20,
        "silent at once: {silence:?}"
    );
    assert_eq!(run.lines()[1..], ["Caller: wait", "Agent: All right."]);
}

#[test]
fn the_agents_message_is_cut_to_what_the_ear_heard() {
    // 60 ms a character: a word ends where its characters end.
    for seed in 0..20 {
        let text = "one two three four five six seven eight nine ten eleven twelve.";
        let mut world = greeting(text);
        world.network = Network {
            delay_ms: 20,
            jitter_ms: 30,
            seed,
            ..Network::default()
        };
        world.sounds = vec![says(1_000 + seed * 90, 500, "stop")];
        let run = world.run();
        let [(_, heard)] = &run.interruptions()[..] else {
            panic!("one interruption")
        };
        let (from_ms, to_ms) = run.audible()[0];
        let played_ms = to_ms - from_ms;
        let played: String = text.chars().take((played_ms / 60) as usize).collect();
        let words = |text: &str| text.split_whitespace().count();
        let whole = words(&played[..played.rfind(' ').unwrap_or(0)]);
        assert!(text.starts_with(heard.as_str()));
        assert!(
            words(heard).abs_diff(whole) <= 1,
            "told {heard:?}, played {played:?}"
        );
        assert_eq!(run.lines()[0], format!("Agent: {heard}"));
    }
}

#[test]
fn nothing_of_an_interrupted_reply_is_heard_afterwards() {
    let mut world = greeting(&"Many words nobody wants to hear. ".repeat(6));
    world.sounds = vec![says(2_000, 2_500, "wait a minute please")];
    world.tts = Box::new(|n| Behaviour::After(if n == 1 { 3_000 } else { 0 }));
    let run = world.run();
    let gap = run.longest_silence_ms(2_200, 4_700);
    assert!(gap >= 2_400, "silent while the caller speaks, {gap} ms");
}

#[test]
fn speech_that_goes_on_before_the_answer_is_one_message() {
    let run = World {
        sounds: vec![
            says(1_000, 600, "I would like"),
            says(2_050, 600, "a table for two"),
        ],
        stt: always(Behaviour::After(100)),
        llm: always(Behaviour::After(200)),
        ..World::default()
    }
    .run();
    assert_eq!(
        run.lines(),
        ["Caller: I would like a table for two", "Agent: All right."]
    );
    assert_eq!(run.interruptions(), []);
    assert_eq!(run.clears(), [0; 0], "nothing had been sent");
}

#[test]
fn any_rate_of_the_voice_arrives_in_full() {
    for hz in [8_000, 16_000, 22_050, 24_000, 44_100, 48_000] {
        let mut world = greeting("Hello there.");
        world.tts_rate = SampleRate::new(hz).unwrap();
        let run = world.run();
        let audible_ms: u64 = run.audible().iter().map(|(from, to)| to - from).sum();
        assert!(audible_ms.abs_diff(720) <= 12, "{hz} Hz: {audible_ms} ms");
    }
}

#[test]
fn keys_are_words_too() {
    let mut world = greeting("Please type your number, then hash, whenever you are ready to.");
    world.keys = vec![(1_000, '4'), (1_200, '2'), (1_400, '#'), (9_000, '7')];
    let run = world.run();
    assert_eq!(run.clears(), [1_000], "a key interrupts");
    assert_eq!(
        run.transcripts()[..],
        [(1_400, "42".into()), (11_000, "7".into())]
    );
    assert_eq!(run.lines()[1], "Caller: 42");
}

#[test]
fn partial_transcripts_while_the_caller_speaks() {
    let words = ["tell", "me", "a", "long", "story", "please"];
    let sounds = words.iter().zip(0..);
    let mut world = World {
        sounds: sounds
            .map(|(word, n)| says(1_000 + n * 400, 400, word))
            .collect(),
        stt: always(Behaviour::After(50)),
        ..World::default()
    };
    world.config.partials.interval_ms = 300;
    let run = world.run();
    let partials = run.all(|event| match event {
        CallEvent::TranscriptPartial { text, unstable, .. } => {
            Some((text.clone(), format!("{text} {unstable}").trim().to_owned()))
        }
        _ => None,
    });
    assert!(partials.len() >= 4, "{partials:?}");
    assert!(partials.iter().all(|(at_ms, _)| *at_ms < 3_600));
    for pair in partials.windows(2) {
        let ((_, (stable, all)), (_, (next, _))) = (&pair[0], &pair[1]);
        assert!(
            next.starts_with(stable.as_str()),
            "it only grows: {partials:?}"
        );
        assert!(
            all.starts_with(next.as_str()) || next == all,
            "{partials:?}"
        );
    }
    let (_, (stable, all)) = partials.last().unwrap();
    assert!(all.starts_with("tell me a long"), "{partials:?}");
    assert!(stable.split(' ').count() >= 3, "{partials:?}");
    assert_eq!(run.transcripts().len(), 1);
}

#[test]
fn the_program_may_speak_and_hang_up() {
    let world = World {
        commands: vec![
            (
                500,
                Command::Say {
                    text: "One more thing.".into(),
                    interruptible: true,
                },
            ),
            (
                4_000,
                Command::HangUp {
                    farewell: Some("Goodbye for now.".into()),
                },
            ),
        ],
        ..World::default()
    };
    let run = world.run();
    assert_eq!(
        run.lines(),
        ["Agent: One more thing.", "Agent: Goodbye for now."]
    );
    let (at_ms, reason) = run.ended.unwrap();
    assert_eq!(reason, EndReason::Commanded);
    assert!((4_960..5_000).contains(&at_ms), "{at_ms}");
}

#[test]
fn what_the_program_says_waits_for_the_caller_to_finish() {
    let run = World {
        sounds: vec![says(1_000, 2_000, "let me finish")],
        commands: vec![(
            1_500,
            Command::Say {
                text: "A notice.".into(),
                interruptible: true,
            },
        )],
        ..World::default()
    }
    .run();
    assert!(run.audible()[0].0 >= 3_000);
}

#[test]
fn the_caller_hangs_up_in_every_state() {
    for hangs_up_ms in (100..9_000).step_by(130) {
        let mut world = greeting("Hello, what can I do for you?");
        world.sounds = vec![says(2_500, 800, "a question"), says(5_000, 800, "wait")];
        world.answer = Box::new(|_| ("Here is a long answer. It has two sentences.".into(), false));
        world.stt = always(Behaviour::After(300));
        world.llm = always(Behaviour::After(300));
        world.tts = always(Behaviour::After(300));
        world.hangs_up_ms = Some(hangs_up_ms);
        let run = world.run();
        assert_eq!(run.ended, Some((hangs_up_ms, EndReason::CallerHungUp)));
        let last = run.events.last().unwrap();
        assert!(
            matches!(last.1, CallEvent::CallEnded { .. }),
            "the last event"
        );
        let started = run.stt_jobs.len() + run.llm_jobs.len() + run.tts_jobs.len();
        let ids: std::collections::BTreeSet<_> = run.cancelled.iter().collect();
        assert_eq!(ids.len(), run.cancelled.len(), "each job is cancelled once");
        assert!(ids.len() <= started);
    }
}

#[test]
fn a_leg_that_falls_silent_ends_the_turn_and_then_the_call() {
    let run = World {
        sounds: vec![says(1_000, 3_000, "cut off")],
        falls_silent_ms: Some(2_000),
        until_ms: 60_000,
        ..World::default()
    }
    .run();
    assert_eq!(run.transcripts().len(), 1, "the turn was not left open");
    let (at_ms, reason) = run.ended.unwrap();
    assert_eq!(reason, EndReason::LegSilent);
    assert!(at_ms > 30_000);
}

#[test]
fn jitter_and_lost_frames_do_not_change_the_conversation() {
    for seed in 0..30 {
        let mut world = greeting("Welcome to the help line.");
        world.network = Network {
            delay_ms: 40,
            jitter_ms: 60,
            seed,
            drops_one_in: 100,
            ..Network::default()
        };
        world.sounds = vec![says(2_500, 900, "one"), says(6_000, 900, "two")];
        let run = world.run();
        let said: Vec<_> = run
            .lines()
            .into_iter()
            .filter(|l| l.starts_with("Caller"))
            .collect();
        assert_eq!(said, ["Caller: one", "Caller: two"], "seed {seed}");
        assert_eq!(run.underruns, 0, "seed {seed}");
    }
}
