//! People on the call when things meet in the same moment, or happen again and again.

// A helper's failure is the test's.
#![allow(clippy::unwrap_used)]

use crate::sim::{
    self, Behaviour, Run, World, always, coughs,
    people::{id, person},
};
use sidetone_core::{
    event::{CallEvent, EndReason},
    handoff::HandoffState,
    io::Command,
    person::{LeaveReason, Mode, PersonOutput, Refusal},
};

/// What the hold phrase sounds like in the caller's ear, and the agent's voice.
fn heard_level(level: i16) -> i16 {
    use sidetone_codecs::g711::mulaw;
    mulaw::decode(mulaw::encode(level))
}

fn hold_phrase_ms(run: &Run) -> u64 {
    run.caller_heard_level_ms(heard_level(1_500))
}

fn agent_ms(run: &Run) -> u64 {
    run.caller_heard_level_ms(heard_level(sim::VOICE_LEVEL))
}

#[test]
fn an_agent_that_was_heard_in_time_does_not_tell_the_caller_to_hold() {
    let run = World {
        people: vec![person("Anna", 1_000, Mode::Takeover)],
        commands: vec![(4_000, Command::HandBack { person: None })],
        // Shorter than the time within which the agent is to be heard.
        answer: Box::new(|_| ("Hello.".into(), false)),
        until_ms: 10_000,
        ..World::with_phrases()
    }
    .run();
    assert_eq!(run.lines().last().unwrap(), "Agent: Hello.");
    assert_eq!(hold_phrase_ms(&run), 0, "{:?}", run.audible());
}

#[test]
fn who_gets_the_agent_back_is_not_told_to_hold_before_it_is_late() {
    // Nobody has said a word for long.
    let run = World {
        people: vec![person("Anna", 1_000, Mode::Takeover)],
        commands: vec![(9_000, Command::HandBack { person: None })],
        llm: always(Behaviour::After(600)),
        until_ms: 15_000,
        ..World::with_phrases()
    }
    .run();
    assert_eq!(hold_phrase_ms(&run), 0, "{:?}", run.audible());
    assert_eq!(run.audible()[0].0, 9_600);
}

#[test]
fn keys_that_are_played_as_the_call_is_handed_back_leave_no_silence_behind_them() {
    let digits = "1w2#".to_owned();
    let mut world = World::with_phrases();
    world.people = vec![person("Anna", 1_000, Mode::Takeover)];
    world.commands = vec![
        (3_900, Command::SendDigits { digits }),
        (4_000, Command::HandBack { person: None }),
    ];
    world.llm = always(Behaviour::Silent);
    // What waits for a mark waits for ever.
    world.network.loses_marks = true;
    world.until_ms = 7_000;
    let run = world.run();
    let silence = run.longest_silence_ms(4_000, 6_000);
    assert!(silence <= 700, "{silence}: {:?}", run.audible());
}

#[test]
fn who_was_with_a_person_is_not_asked_at_once_whether_they_are_there() {
    let mut anna = person("Anna", 1_000, Mode::Barge);
    anna.leaves_ms = Some(20_000);
    let mut world = World::with_phrases();
    world.config.idle.prompt_after_ms = 8_000;
    world.people = vec![anna];
    world.until_ms = 30_000;
    let run = world.run();
    assert_eq!(run.audible()[0].0, 28_000);
}

#[test]
fn going_in_and_out_loses_and_repeats_nothing_of_what_the_agent_says() {
    let mut world = World::with_phrases();
    let long = "one two three four five six seven eight nine ten ".repeat(6);
    world.config.agent.greeting = long.trim().into();
    let mut anna = person("Anna", 500, Mode::Monitor);
    anna.modes = (0..24)
        .map(|n| {
            let mode = if n % 2 == 0 {
                Mode::Barge
            } else {
                Mode::Monitor
            };
            (900 + n * 611, mode)
        })
        .collect();
    // Too short to interrupt; some while she is heard, some while not.
    anna.sounds = (0..7).map(|n| coughs(1_050 + n * 2_000, 60)).collect();
    world.people = vec![anna];
    world.until_ms = 30_000;
    let spoken_ms = long.trim().len() as u64 * 60;
    let run = world.run();
    assert_eq!(run.finished()[0].1, long.trim());
    let heard_ms = agent_ms(&run);
    // What is coughed over is not heard as it is.
    assert!(
        (spoken_ms - 8 * 80..=spoken_ms + 8 * 20).contains(&heard_ms),
        "{heard_ms} of {spoken_ms}"
    );
    assert_eq!(run.underruns, 0);
    let silence = run.longest_silence_ms(100, spoken_ms - 100);
    assert!(silence <= 60, "{silence}");
}

#[test]
fn who_joins_as_the_caller_hangs_up_is_told_or_never_was_there() {
    for joins_ms in [1_999, 2_000, 2_001] {
        for mode in [Mode::Monitor, Mode::Whisper, Mode::Barge, Mode::Takeover] {
            let run = World {
                people: vec![person("Anna", joins_ms, mode)],
                hangs_up_ms: Some(2_000),
                ..World::with_phrases()
            }
            .run();
            assert_eq!(run.ended.unwrap().1, EndReason::CallerHungUp);
            let joined = run
                .told
                .iter()
                .any(|(_, _, told)| matches!(told, PersonOutput::Joined { .. }));
            let closed = run.told.iter().any(|(_, _, told)| {
                let PersonOutput::Closed { reason } = told else {
                    return false;
                };
                matches!(reason, LeaveReason::CallEnded { .. })
            });
            assert_eq!(joined, closed, "{joins_ms} {mode}: {:?}", run.told);
        }
    }
}

#[test]
fn a_call_that_is_handed_back_as_it_ends_says_nothing_more() {
    for at_ms in [3_999, 4_000] {
        let run = World {
            people: vec![person("Anna", 1_000, Mode::Takeover)],
            commands: vec![
                (at_ms, Command::HandBack { person: None }),
                (
                    4_000,
                    Command::HangUp {
                        farewell: Some("Goodbye.".into()),
                    },
                ),
            ],
            until_ms: 10_000,
            ..World::with_phrases()
        }
        .run();
        let (_, reason) = run.ended.unwrap();
        assert_eq!(reason, EndReason::Commanded);
        let spoken: Vec<String> = run.finished().into_iter().map(|(_, heard)| heard).collect();
        // The call was the agent's again: it says goodbye, and nothing else to its end.
        assert_eq!(spoken.last().unwrap(), "Goodbye.", "{spoken:?}");
    }
}

#[test]
fn who_takes_over_during_the_farewell_is_refused_and_the_farewell_is_heard() {
    let mut anna = person("Anna", 1_000, Mode::Monitor);
    anna.modes = vec![(2_200, Mode::Takeover)];
    let run = World {
        people: vec![anna],
        commands: vec![(
            2_000,
            Command::HangUp {
                farewell: Some("Thank you, and goodbye.".into()),
            },
        )],
        until_ms: 10_000,
        ..World::with_phrases()
    }
    .run();
    let refused = PersonOutput::Refused {
        reason: Refusal::Ending,
    };
    assert!(run.told.contains(&(2_200, id(0), refused)));
    assert_eq!(run.finished()[0].1, "Thank you, and goodbye.");
    assert_eq!(run.ended.unwrap().1, EndReason::Commanded);
}

#[test]
fn two_who_leave_at_once_give_the_call_back_once() {
    let mut anna = person("Anna", 1_000, Mode::Takeover);
    anna.leaves_ms = Some(4_000);
    let mut bob = person("Bob", 1_500, Mode::Barge);
    bob.leaves_ms = Some(4_000);
    let run = World {
        people: vec![anna, bob],
        until_ms: 10_000,
        ..World::with_phrases()
    }
    .run();
    let handoffs = run.all(|event| match event {
        CallEvent::Handoff { state, .. } => Some(*state),
        _ => None,
    });
    assert_eq!(handoffs.last().unwrap().1, HandoffState::Agent);
    assert_eq!(run.finished().len(), 1, "{:?}", run.lines());
    assert_eq!(run.audible()[0].0, 4_000, "at once");
}
