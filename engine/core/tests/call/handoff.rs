//! People on the call: the modes, and the way of the call between the agent and people.

// A helper's failure is the test's.
#![allow(clippy::unwrap_used)]

use crate::sim::{
    self, Behaviour, LevelVad, Run, VOICE_LEVEL, World, always,
    people::{Person, id, level, person},
    says,
};
use sidetone_core::{
    call::Call,
    config::{CallConfig, Phrase},
    event::{BackReason, CallEvent, EndReason, UnpauseReason},
    handoff::HandoffState,
    io::{Command, Input, Output},
    person::{LeaveReason, Mode, PersonId, PersonOutput, Refusal},
    time::CallTime,
};

/// The caller's level in the ears of others.
fn caller(n: usize) -> i16 {
    sidetone_codecs::g711::mulaw::decode(0x80 + u8::try_from(n).unwrap())
}

fn world(people: Vec<Person>) -> World {
    World {
        people,
        ..World::with_phrases()
    }
}

fn handoffs(run: &Run) -> Vec<(u64, HandoffState, Option<BackReason>)> {
    run.all(|event| match event {
        CallEvent::Handoff { state, back } => Some((*state, *back)),
        _ => None,
    })
    .into_iter()
    .map(|(at, (state, back))| (at, state, back))
    .collect()
}

fn bridged(index: usize, mode: Mode) -> HandoffState {
    HandoffState::Bridged {
        by: id(index),
        mode,
    }
}

/// How the agent's voice is written as μ-law.
fn voice() -> i16 {
    let mulaw = sidetone_codecs::g711::mulaw::encode(VOICE_LEVEL);
    sidetone_codecs::g711::mulaw::decode(mulaw)
}

#[test]
fn who_monitors_hears_both_and_is_heard_by_nobody() {
    let mut anna = person("Anna", 500, Mode::Monitor);
    anna.sounds = vec![says(1_000, 2_000, "nobody hears this")];
    let run = World {
        sounds: vec![says(2_000, 1_000, "hello")],
        ..world(vec![anna])
    }
    .run();
    assert!(run.heard_level_ms(0, caller(0)) >= 980, "the caller");
    let agent_ms = run.caller_heard_level_ms(voice());
    assert!(agent_ms > 500);
    assert_eq!(run.heard_level_ms(0, voice()), agent_ms, "the agent");
    assert_eq!(run.caller_heard_level_ms(level(0, 0)), 0);
    assert_eq!(run.heard_level_ms(0, level(0, 0)), 0, "never themselves");
    assert_eq!(run.lines(), ["Caller: hello", "Agent: All right."]);
    assert_eq!(handoffs(&run), []);
}

#[test]
fn who_whispers_is_understood_by_the_agent_alone() {
    let mut anna = person("Anna", 500, Mode::Whisper);
    anna.sounds = vec![says(1_000, 1_000, "offer ten percent")];
    let mut bob = person("Bob", 500, Mode::Monitor);
    bob.rank = 0;
    let run = World {
        sounds: vec![says(4_000, 1_000, "too expensive")],
        ..world(vec![anna, bob])
    }
    .run();
    assert_eq!(
        run.lines(),
        [
            "Anna, Guidance: offer ten percent",
            "Caller: too expensive",
            "Agent: All right."
        ]
    );
    assert_eq!(run.caller_heard_level_ms(level(0, 0)), 0);
    assert_eq!(run.heard_level_ms(1, level(0, 0)), 0, "nor by who listens");
    let guided = run.all(|event| match event {
        CallEvent::AgentGuided { from, person, text } => {
            Some((from.clone(), *person, text.clone()))
        }
        _ => None,
    });
    let expected = ("Anna".into(), Some(id(0)), "offer ten percent".into());
    assert_eq!(guided.len(), 1);
    assert_eq!(guided[0].1, expected);
    assert_eq!(run.llm_jobs[0].1.messages.len(), 2);
}

#[test]
fn written_guidance_reaches_the_agent() {
    let guide = Command::Guide {
        from: "Anna".into(),
        text: "be brief".into(),
    };
    let run = World {
        sounds: vec![says(2_000, 1_000, "hello")],
        commands: vec![(1_000, guide)],
        ..World::default()
    }
    .run();
    assert_eq!(
        run.lines(),
        [
            "Anna, Guidance: be brief",
            "Caller: hello",
            "Agent: All right."
        ]
    );
}

#[test]
fn in_a_three_way_call_each_hears_the_others_and_never_itself() {
    let mut anna = person("Anna", 500, Mode::Barge);
    anna.sounds = vec![says(1_000, 1_000, "this is Anna")];
    let mut bob = person("Bob", 500, Mode::Barge);
    bob.sounds = vec![says(2_200, 1_000, "and this is Bob")];
    let run = World {
        sounds: vec![says(4_000, 1_000, "hello both")],
        ..world(vec![anna, bob])
    }
    .run();
    let (anna, bob) = (level(0, 0), level(1, 0));
    for (listener, hears, not) in [(0, bob, anna), (1, anna, bob)] {
        assert!(run.heard_level_ms(listener, hears) >= 980);
        assert_eq!(run.heard_level_ms(listener, not), 0, "never itself");
        assert!(run.heard_level_ms(listener, caller(0)) >= 980);
        assert!(run.heard_level_ms(listener, voice()) > 500);
    }
    assert!(run.caller_heard_level_ms(anna) >= 980);
    assert!(run.caller_heard_level_ms(bob) >= 980);
    assert!(
        run.caller_heard_level_ms(voice()) > 500,
        "the agent goes on"
    );
    assert_eq!(
        run.lines(),
        [
            "Note: Anna is on the call, and the caller hears both of you.",
            "Anna, Person: this is Anna",
            "Bob, Person: and this is Bob",
            "Caller: hello both",
            "Agent: All right."
        ]
    );
    assert_eq!(run.errors(), 0);
}

#[test]
fn a_voice_reaches_the_others_within_the_budget() {
    let mut anna = person("Anna", 507, Mode::Barge);
    anna.sounds = vec![says(1_000, 1_000, "hello")];
    let run = World {
        sounds: vec![says(3_000, 1_000, "hello")],
        until_ms: 4_500,
        ..world(vec![anna])
    }
    .run();
    let heard = run.caller_heard_level_at(level(0, 0)).unwrap();
    // The frame that holds the first sound is whole 20 ms later.
    assert!((1_000..=1_100).contains(&heard), "{heard}");
    for (leg, quality) in &run.quality {
        assert!(quality.max_delay_us <= 60_000, "{leg:?}: {quality:?}");
        assert!(quality.frames > 100, "{leg:?}: {quality:?}");
    }
}

const LONG: &str = "one two three four five six seven eight nine ten eleven twelve";

fn takes_over_mid_sentence() -> Run {
    let mut config = CallConfig::default();
    config.agent.greeting = LONG.into();
    config.idle.prompt_after_ms = 0;
    config.barge_in.ignore_echo = false;
    let mut anna = person("Anna", 500, Mode::Monitor);
    anna.modes = vec![(2_000, Mode::Takeover)];
    anna.sounds = vec![says(2_500, 1_000, "Anna speaking")];
    World {
        config,
        sounds: vec![says(4_000, 1_000, "at last")],
        until_ms: 10_000,
        ..world(vec![anna])
    }
    .run()
}

#[test]
fn a_takeover_stops_the_agent_in_mid_sentence_and_keeps_what_was_heard() {
    let run = takes_over_mid_sentence();
    let heard_ms = run.caller_heard_level_ms(voice());
    assert!((1_900..=2_060).contains(&heard_ms), "{heard_ms}");
    assert!(run.clears().contains(&2_000), "{:?}", run.clears());
    // 60 ms a character: 2 s are 33 characters.
    assert_eq!(
        run.lines(),
        [
            "Agent: one two three four five six seven",
            "Note: Anna has taken the call over from you.",
            "Anna, Person: Anna speaking",
            "Caller: at last",
        ]
    );
    assert_eq!(run.llm_jobs.len(), 0, "the agent answers nothing");
    assert!(run.caller_heard_level_ms(level(0, 0)) >= 980);
    assert_eq!(handoffs(&run), [(2_000, bridged(0, Mode::Takeover), None)]);
}

#[test]
fn nobody_hears_the_agent_while_it_is_taken_over() {
    let run = takes_over_mid_sentence();
    let late = run.heard.iter().skip(8 * 2_100);
    assert_eq!(late.filter(|sample| **sample == voice()).count(), 0);
    let heard = &run.heard_by[&id(0)];
    let late = heard.iter().skip(8 * 1_700);
    assert_eq!(late.filter(|sample| **sample == voice()).count(), 0);
    assert!(run.most_buffered_ms <= 2_000);
}

#[test]
fn a_call_that_is_handed_back_is_the_agents_within_a_second() {
    for llm_ms in [0, 300, 3_000] {
        let mut anna = person("Anna", 1_000, Mode::Takeover);
        anna.sounds = vec![says(1_500, 1_000, "I am done")];
        let run = World {
            commands: vec![(4_000, Command::HandBack { person: None })],
            llm: always(Behaviour::After(llm_ms)),
            answer: Box::new(|messages| {
                let latest = messages.last().unwrap();
                assert!(latest.text.starts_with("Anna has handed the call back"));
                ("I am here again.".into(), false)
            }),
            ..world(vec![anna])
        }
        .run();
        let next = run.audible().into_iter().find(|(from, _)| *from >= 4_000);
        let from = next.unwrap().0;
        assert!(from <= 5_000, "LLM after {llm_ms} ms: {from}");
        assert_eq!(run.lines().last().unwrap(), "Agent: I am here again.");
        assert_eq!(
            handoffs(&run),
            [
                (1_000, bridged(0, Mode::Takeover), None),
                (4_000, HandoffState::Agent, Some(BackReason::HandedBack))
            ]
        );
        let mode = PersonOutput::Mode {
            mode: Mode::Monitor,
        };
        assert!(run.told.contains(&(4_000, id(0), mode)), "who listens on");
    }
}

#[test]
fn a_leg_that_is_lost_gives_the_call_back() {
    let lost = |change: fn(&mut Person)| {
        let mut anna = person("Anna", 1_000, Mode::Takeover);
        change(&mut anna);
        World {
            sounds: vec![says(2_000, 1_000, "where is my order")],
            answer: Box::new(|_| ("I am here again.".into(), false)),
            ..world(vec![anna])
        }
        .run()
    };
    let left = lost(|anna| anna.leaves_ms = Some(5_000));
    let stalled = lost(|anna| anna.stalls_ms = Some(2_000));
    for (run, back, leave) in [
        (left, BackReason::Left, LeaveReason::Left),
        (stalled, BackReason::Stalled, LeaveReason::Stalled),
    ] {
        let (at, state, reason) = handoffs(&run)[1];
        assert_eq!((state, reason), (HandoffState::Agent, Some(back)));
        assert!((4_960..=5_000).contains(&at), "{at}");
        let closed = PersonOutput::Closed { reason: leave };
        assert_eq!(run.told.last().unwrap(), &(at, id(0), closed));
        assert_eq!(
            run.lines(),
            [
                "Note: Anna has taken the call over from you.",
                "Caller: where is my order",
                "Note: Anna is not on the line any more: the call is yours again. Tell the \
                 caller that you are there again, in a sentence, and go on from what was said.",
                "Agent: I am here again."
            ]
        );
        assert!(run.longest_silence_ms(at, at + 1_500) < 1_000);
    }
}

#[test]
fn who_is_taken_off_the_call_gives_it_back() {
    let off = Command::RemovePerson { person: id(0) };
    let run = World {
        sounds: vec![says(2_000, 1_000, "where is my order")],
        // Once more changes nothing.
        commands: vec![(5_000, off.clone()), (5_500, off)],
        answer: Box::new(|_| ("I am here again.".into(), false)),
        ..world(vec![person("Anna", 1_000, Mode::Takeover)])
    }
    .run();
    assert_eq!(
        handoffs(&run)[1..],
        [(5_000, HandoffState::Agent, Some(BackReason::Left))]
    );
    let reason = LeaveReason::Removed;
    let closed = PersonOutput::Closed { reason };
    assert_eq!(run.told.last().unwrap(), &(5_000, id(0), closed));
    assert_eq!(
        run.lines()[2..],
        [
            "Note: Anna is not on the line any more: the call is yours again. Tell the caller \
             that you are there again, in a sentence, and go on from what was said.",
            "Agent: I am here again."
        ]
    );
    assert!(run.longest_silence_ms(5_000, 6_500) < 1_000);
}

#[test]
fn a_leg_lost_in_any_other_mode_changes_nothing_for_the_caller() {
    for mode in [Mode::Monitor, Mode::Whisper, Mode::Barge] {
        let mut anna = person("Anna", 1_000, mode);
        anna.leaves_ms = Some(3_000);
        let run = World {
            sounds: vec![says(4_000, 1_000, "hello")],
            ..world(vec![anna])
        }
        .run();
        let lines = run.lines();
        assert_eq!(
            lines[lines.len() - 2..],
            ["Caller: hello", "Agent: All right."]
        );
        assert_eq!(run.finished().len(), 1, "{mode}");
        assert_eq!(run.quality, [], "nothing is left of the bridge");
    }
}

#[test]
fn a_caller_who_speaks_at_hand_back_is_answered_once() {
    let anna = person("Anna", 1_000, Mode::Takeover);
    let run = World {
        sounds: vec![says(3_500, 2_000, "one more thing")],
        commands: vec![(4_000, Command::HandBack { person: None })],
        ..world(vec![anna])
    }
    .run();
    assert_eq!(
        run.llm_jobs.len(),
        1 + run.eager.len() / 3,
        "{:?}",
        run.lines()
    );
    assert_eq!(run.lines().last().unwrap(), "Agent: All right.");
    assert_eq!(run.finished().len(), 1);
    let before = run.audible().into_iter().filter(|(from, _)| *from < 5_500);
    assert_eq!(before.count(), 0, "nobody speaks into the caller's words");
}

#[test]
fn a_second_takeover_needs_a_higher_rank() {
    let anna = person("Anna", 1_000, Mode::Takeover);
    let mut bob = person("Bob", 2_000, Mode::Takeover);
    bob.rank = 1;
    let mut chief = person("Chief", 3_000, Mode::Monitor);
    chief.rank = 2;
    chief.modes = vec![(4_000, Mode::Takeover)];
    let run = World {
        until_ms: 6_000,
        ..world(vec![anna, bob, chief])
    }
    .run();
    let reason = Refusal::TakenOver { by: id(0) };
    let refused = PersonOutput::Refused { reason };
    assert!(run.told.contains(&(2_000, id(1), refused)));
    let mode = Mode::Monitor;
    assert!(
        run.told
            .contains(&(4_000, id(0), PersonOutput::Mode { mode }))
    );
    assert_eq!(
        handoffs(&run),
        [
            (1_000, bridged(0, Mode::Takeover), None),
            (4_000, bridged(2, Mode::Takeover), None)
        ]
    );
    assert!(
        !run.heard_by.contains_key(&id(1)),
        "Bob never was on the call"
    );
}

#[test]
fn what_cannot_be_is_refused_with_a_reason() {
    let mut early = person("Anna", 0, Mode::Monitor);
    early.name = "";
    let mut odd = person("Anna", 1_000, Mode::Monitor);
    odd.rate = sidetone_codecs::SampleRate::new(11_025).unwrap();
    let mut world = world(vec![
        early,
        odd,
        person("Bob", 2_000, Mode::Barge),
        person("Carl", 3_000, Mode::Monitor),
    ]);
    world.config.handoff.max_people = 1;
    world.until_ms = 4_000;
    let run = world.run();
    let refusals: Vec<(u64, Refusal)> = run
        .told
        .iter()
        .filter_map(|(at, _, told)| match told {
            PersonOutput::Refused { reason } => Some((*at, *reason)),
            _ => None,
        })
        .collect();
    let rate = sidetone_codecs::SampleRate::new(11_025).unwrap();
    assert_eq!(
        refusals,
        [
            (0, Refusal::Name),
            (1_000, Refusal::Rate { rate }),
            (3_000, Refusal::TooMany { max: 1 })
        ]
    );
}

#[test]
fn somebody_is_called_to_the_phone_and_comes() {
    let mut anna = person("Anna", 6_000, Mode::Takeover);
    anna.sounds = vec![says(6_500, 1_000, "this is Anna")];
    let run = World {
        commands: vec![
            (1_000, Command::RequestHandoff { say: None }),
            (2_000, Command::HandoffRinging),
        ],
        until_ms: 9_000,
        ..world(vec![anna])
    }
    .run();
    assert_eq!(
        handoffs(&run),
        [
            (1_000, HandoffState::Requested, None),
            (2_000, HandoffState::Ringing, None),
            (6_000, bridged(0, Mode::Takeover), None)
        ]
    );
    assert_eq!(
        run.lines(),
        [
            "Note: A colleague of yours is being called to the phone. Until they come, keep the \
             caller company.",
            "Agent: One moment, I will connect you with a colleague.",
            "Note: Anna has taken the call over from you.",
            "Anna, Person: this is Anna",
        ]
    );
}

#[test]
fn who_is_given_back_hears_that_the_agent_is_there_before_it_has_a_sentence() {
    let louder = level(3, 0);
    let with = |back: Phrase| {
        let mut anna = person("Anna", 1_000, Mode::Takeover);
        anna.sounds = vec![says(1_500, 1_000, "I am done")];
        let mut world = World {
            commands: vec![(4_000, Command::HandBack { person: None })],
            llm: always(Behaviour::After(3_000)),
            ..world(vec![anna])
        };
        world.config.phrases.back = back;
        world.run()
    };
    let run = with(Phrase {
        text: "I am with you again.".into(),
        audio: vec![louder; 8 * 900].into(),
    });
    let at = run.caller_heard_level_at(louder).unwrap();
    assert!((4_700..=5_000).contains(&at), "{at}");
    assert!(run.caller_heard_level_ms(louder) >= 880);

    // Where there is no such phrase, they are told to hold.
    let run = with(Phrase::default());
    let next = run.audible().into_iter().find(|(from, _)| *from >= 4_000);
    let (from, _) = next.unwrap();
    assert!(from <= 5_000, "{from}");
}

#[test]
fn nobody_comes_and_the_agent_says_so() {
    let mut world = World::with_phrases();
    world.config.handoff.ring_timeout_ms = 30_000;
    world.config.idle.prompt_after_ms = 8_000;
    world.commands = vec![(
        1_000,
        Command::RequestHandoff {
            say: Some("I try.".into()),
        },
    )];
    world.answer = Box::new(|_| ("Nobody is there, I am sorry.".into(), false));
    world.until_ms = 36_000;
    let run = world.run();
    assert_eq!(
        handoffs(&run)[1],
        (31_000, HandoffState::Agent, Some(BackReason::NoAnswer))
    );
    let lines = run.lines();
    assert_eq!(lines[1], "Agent: I try.");
    assert_eq!(lines.last().unwrap(), "Agent: Nobody is there, I am sorry.");
    assert_eq!(
        run.finished().len(),
        2,
        "nobody is asked whether they are there"
    );
    assert!(run.longest_silence_ms(1_000, 36_000) <= 13_000, "company");
    assert!(run.longest_silence_ms(31_000, 33_000) <= 1_000);
}

#[test]
fn a_failed_handoff_is_said_in_the_words_that_are_given() {
    let say = Some("They are all busy.".to_owned());
    let run = World {
        commands: vec![
            (1_000, Command::RequestHandoff { say: None }),
            (6_000, Command::HandoffFailed { say }),
        ],
        until_ms: 10_000,
        ..World::with_phrases()
    }
    .run();
    assert_eq!(run.lines().last().unwrap(), "Agent: They are all busy.");
    assert_eq!(run.llm_jobs.len(), 0);
}

#[test]
fn a_paused_agent_is_silent_and_the_caller_is_not_left_alone() {
    let mut world = World::with_phrases();
    world.config.agent.greeting = LONG.into();
    world.config.handoff.pause_limit_ms = 60_000;
    world.config.idle.prompt_after_ms = 8_000;
    world.commands = vec![(1_000, Command::PauseAgent)];
    world.sounds = vec![says(3_000, 1_000, "hello")];
    world.answer = Box::new(|_| ("Here I am.".into(), false));
    world.until_ms = 65_000;
    let run = world.run();
    assert!(run.caller_heard_level_ms(voice()) < 1_100 + 10 * 60 + 500);
    assert!(run.longest_silence_ms(4_000, 61_000) <= 12_500, "company");
    let unpaused = run.all(|event| match event {
        CallEvent::AgentUnpaused { reason } => Some(*reason),
        _ => None,
    });
    assert_eq!(unpaused, [(61_000, UnpauseReason::TooLong)]);
    assert_eq!(run.llm_jobs.len(), 1);
    assert_eq!(run.lines().last().unwrap(), "Agent: Here I am.");
    assert!(run.lines().contains(&"Caller: hello".to_owned()));
}

#[test]
fn a_paused_agent_says_what_it_is_told_to_and_resumes() {
    let say = Command::Say {
        text: "Word for word.".into(),
        interruptible: true,
    };
    let run = World {
        commands: vec![
            (1_000, Command::PauseAgent),
            (2_000, say),
            (6_000, Command::ResumeAgent),
        ],
        until_ms: 10_000,
        ..World::with_phrases()
    }
    .run();
    let lines = run.lines();
    assert_eq!(lines[0], "Agent: Word for word.");
    assert_eq!(lines.last().unwrap(), "Agent: All right.");
    assert_eq!(lines.len(), 3);
}

#[test]
fn words_that_the_voice_cannot_say_are_no_company() {
    let say = Command::Say {
        text: "Word for word.".into(),
        interruptible: true,
    };
    let mut world = World::with_phrases();
    world.commands = vec![(1_000, Command::PauseAgent), (9_000, say)];
    world.tts = always(Behaviour::FailsAfter(1_000));
    world.until_ms = 40_000;
    let run = world.run();
    assert!(run.longest_silence_ms(1_000, 40_000) <= 12_100);
}

#[test]
fn failures_of_services_while_taken_over_end_no_call() {
    let mut anna = person("Anna", 500, Mode::Takeover);
    anna.sounds = vec![says(9_000, 1_000, "can you hear me")];
    let run = World {
        sounds: (0..4)
            .map(|n| says(1_000 + n * 2_000, 1_000, "hello"))
            .collect(),
        stt: always(Behaviour::FailsAfter(10)),
        until_ms: 15_000,
        ..world(vec![anna])
    }
    .run();
    assert_eq!(run.ended, None);
    assert!(run.errors() >= 4);
    let agent = run.caller_heard_level_ms(voice()) + run.caller_heard_level_ms(1_500);
    assert_eq!(agent, 0, "no apology over a person");
}

#[test]
fn everybody_is_told_of_the_end() {
    for mode in [Mode::Monitor, Mode::Whisper, Mode::Barge, Mode::Takeover] {
        let mut anna = person("Anna", 500, mode);
        anna.sounds = vec![says(1_000, 4_000, "on and on")];
        let run = World {
            hangs_up_ms: Some(2_000),
            ..world(vec![anna])
        }
        .run();
        let (at, reason) = run.ended.unwrap();
        assert_eq!(reason, EndReason::CallerHungUp);
        let reason = LeaveReason::CallEnded { end: reason };
        let closed = PersonOutput::Closed { reason };
        assert_eq!(run.told.last().unwrap(), &(at, id(0), closed));
        let last = &run.events.last().unwrap().1;
        assert!(matches!(last, CallEvent::CallEnded { counters, .. } if counters.people == 1));
    }
}

#[test]
fn a_call_that_ends_while_somebody_is_called_ends() {
    let run = World {
        commands: vec![(1_000, Command::RequestHandoff { say: None })],
        hangs_up_ms: Some(1_500),
        ..World::with_phrases()
    }
    .run();
    assert_eq!(run.ended.unwrap().1, EndReason::CallerHungUp);
}

#[test]
fn who_barges_in_interrupts_the_agent_which_then_knows_what_they_said() {
    let mut anna = person("Anna", 500, Mode::Barge);
    anna.sounds = vec![says(4_000, 1_000, "wait a moment")];
    let run = World {
        sounds: vec![says(1_000, 1_000, "what is the price")],
        answer: Box::new(|messages| {
            let knows = messages.iter().any(|m| m.text == "wait a moment");
            let answer = if knows { "As Anna says." } else { LONG };
            (answer.into(), false)
        }),
        ..world(vec![anna])
    }
    .run();
    assert_eq!(run.interruptions().len(), 1);
    let lines = run.lines();
    assert_eq!(lines[2], "Agent: one two three four five six");
    assert_eq!(lines[3], "Anna, Person: wait a moment");
    assert_eq!(lines[4], "Agent: As Anna says.");
    assert_eq!(lines.len(), 5);
    let over = run.audible();
    assert!(over.iter().all(|(from, _)| *from != 4_500), "{over:?}");
}

#[test]
fn joining_in_does_not_lose_or_repeat_what_the_agent_says() {
    let mut config = World::with_phrases().config;
    config.agent.greeting = LONG.into();
    let mut anna = person("Anna", 1_000, Mode::Barge);
    // A cough while two seconds of the agent are in the phone's buffer.
    anna.sounds = vec![sim::coughs(1_200, 60)];
    let run = World {
        config,
        until_ms: 8_000,
        ..world(vec![anna])
    }
    .run();
    let agent_ms = run.caller_heard_level_ms(voice());
    let all_ms = LONG.len() as u64 * 60;
    let coughed_over = 60;
    assert!(
        (all_ms - coughed_over - 40..=all_ms + 40).contains(&agent_ms),
        "{agent_ms}"
    );
    assert_eq!(run.finished()[0].1, LONG);
    assert_eq!(run.clears().len(), 1, "the cough was heard at once");
}

#[test]
fn keys_are_played_to_the_caller_and_are_no_words() {
    let digits = "12#".to_owned();
    let run = World {
        commands: vec![(1_000, Command::SendDigits { digits })],
        sounds: vec![says(1_100, 300, "welcome")],
        until_ms: 1_600,
        ..World::with_phrases()
    }
    .run();
    let spans = run.audible();
    let lengths: Vec<u64> = spans.iter().map(|(from, to)| to - from).collect();
    assert_eq!(spans.len(), 3, "{spans:?}");
    assert!(
        lengths.iter().all(|ms| (95..=101).contains(ms)),
        "{lengths:?}"
    );
    assert_eq!(run.lines(), Vec::<String>::new());
}

#[test]
fn a_recording_holds_both_sides_as_they_were_heard() {
    let mut anna = person("Anna", 500, Mode::Barge);
    anna.sounds = vec![says(5_000, 1_000, "this is Anna")];
    let run = World {
        commands: vec![
            (100, Command::Record { on: true }),
            (9_000, Command::Record { on: false }),
        ],
        sounds: vec![says(1_000, 1_000, "hello")],
        until_ms: 12_000,
        ..world(vec![anna])
    }
    .run();
    assert_eq!(
        run.recorded.len() / 160,
        444,
        "8.9 s less the tick at its end"
    );
    let caller_ms = run
        .recorded
        .iter()
        .filter(|(c, _)| sim::is_of(*c, caller(0)))
        .count()
        / 8;
    assert!(caller_ms >= 980);
    let side = |level: i16| {
        run.recorded
            .iter()
            .filter(|(_, o)| sim::is_of(*o, level))
            .count()
            / 8
    };
    assert_eq!(side(voice()) as u64, run.caller_heard_level_ms(voice()));
    assert!(side(level(0, 0)) >= 980);
}

#[test]
fn a_recording_is_as_long_as_the_call_when_the_engine_is_late() {
    let recorded = |stalls_ms| {
        World {
            commands: vec![
                (100, Command::Record { on: true }),
                (9_000, Command::Record { on: false }),
            ],
            sounds: vec![says(1_000, 1_000, "hello"), says(6_000, 1_000, "again")],
            stalls_ms,
            until_ms: 12_000,
            ..world(Vec::new())
        }
        .run()
        .recorded
    };
    let (punctual, late) = (recorded(None), recorded(Some((3_000, 4_500))));
    assert_eq!(late.len(), punctual.len());
    let second = |recorded: &[(i16, i16)]| {
        let mut levels = recorded.iter().map(|(c, _)| *c);
        levels.position(|c| sim::is_of(c, caller(1))).unwrap() as u64 / 8
    };
    assert!(second(&late).abs_diff(second(&punctual)) <= 60);
}

#[test]
fn a_recorded_call_with_people_replays_to_the_same_output() {
    let mut anna = person("Anna", 500, Mode::Whisper);
    anna.sounds = vec![
        says(1_000, 500, "be kind"),
        says(4_000, 1_000, "this is Anna"),
    ];
    anna.modes = vec![(3_000, Mode::Takeover), (7_000, Mode::Monitor)];
    anna.leaves_ms = Some(9_000);
    anna.rate = sidetone_codecs::SampleRate::HZ_48000;
    let mut bob = person("Bob", 3_500, Mode::Takeover);
    bob.jitter_ms = 30;
    let world = World {
        sounds: vec![says(2_000, 700, "hello")],
        commands: vec![
            (600, Command::Record { on: true }),
            (700, Command::RequestHandoff { say: None }),
            (800, Command::SendDigits { digits: "1".into() }),
            (9_500, Command::PauseAgent),
        ],
        hangs_up_ms: Some(10_000),
        ..world(vec![anna, bob])
    };
    let config = std::sync::Arc::new(world.config.clone());
    let run = world.run();
    let mut call = Call::new(config, Box::new(LevelVad))
        .hearing_people(std::sync::Arc::new(|| Box::new(LevelVad)));
    for entry in &run.log {
        let line = serde_json::to_string(entry).unwrap();
        let (now, input, expected): (CallTime, Input<'_>, Vec<Output>) =
            serde_json::from_str(&line).unwrap();
        let mut out = Vec::new();
        call.step(now, input, &mut out);
        assert_eq!(out, expected, "at {now}");
    }
    assert_eq!(run.told.len(), 5, "{:?}", run.told);
}

#[test]
fn unknown_legs_are_ignored() {
    let run = World {
        commands: vec![
            (
                1_000,
                Command::HandBack {
                    person: Some(PersonId(7)),
                },
            ),
            (
                1_500,
                Command::RemovePerson {
                    person: PersonId(7),
                },
            ),
        ],
        until_ms: 2_000,
        ..World::default()
    }
    .run();
    assert_eq!(run.events.len(), 1, "the start");
}
