//! Who has the floor: nobody is spoken over by an agent that only begins.

// A helper's failure is the test's.
#![allow(clippy::unwrap_used)]

use crate::sim::{Behaviour, Run, World, always, coughs, people::person, says};
use sidetone_core::{
    event::{CallError, CallEvent, EndReason},
    io::Command,
    person::Mode,
};

const NOTICE: &str = "This call is recorded for training.";

fn say(at_ms: u64, text: &str, interruptible: bool) -> (u64, Command) {
    let text = text.into();
    (
        at_ms,
        Command::Say {
            text,
            interruptible,
        },
    )
}

/// What the agent was heard to say, and when it began to.
fn begun(run: &Run) -> Vec<u64> {
    let speaking = run.all(|event| match event {
        CallEvent::AgentSpeaking { .. } | CallEvent::AgentResumed { .. } => Some(()),
        _ => None,
    });
    speaking.into_iter().map(|(at_ms, ())| at_ms).collect()
}

/// What the caller heard that began in `from_ms..to_ms`.
fn heard_from(run: &Run, from_ms: u64, to_ms: u64) -> Vec<(u64, u64)> {
    let spans = run.audible().into_iter();
    spans
        .filter(|(start, _)| (from_ms..to_ms).contains(start))
        .collect()
}

#[test]
fn services_that_fail_for_good_while_the_caller_speaks_are_excused_when_they_have_finished() {
    let world = World {
        commands: vec![
            say(100, "One.", true),
            say(3_000, "Two.", true),
            (6_000, Command::RequestHandoff { say: None }),
        ],
        // The third failure comes right after they began.
        sounds: vec![says(6_900, 2_000, "listen to me")],
        tts: Box::new(|n| Behaviour::FailsAfter(if n < 2 { 0 } else { 1_000 })),
        ..World::with_phrases()
    };
    let run = world.run();
    assert_eq!(heard_from(&run, 6_900, 8_900), []);
    let farewell = heard_from(&run, 8_900, 20_000)[0].0;
    assert!(farewell < 9_400, "{farewell}");
    let (_, why) = run.ended.unwrap();
    assert_eq!(why, EndReason::ServicesFailed);
}

#[test]
fn a_notice_of_which_only_a_filler_was_heard_waits_for_the_caller() {
    let mut world = World {
        commands: vec![say(100, NOTICE, false)],
        // The caller is told to hold at 3.6 s, and speaks into that.
        sounds: vec![says(3_800, 2_500, "what is it")],
        ..World::with_phrases()
    };
    world.tts = Box::new(|n| Behaviour::After(if n == 0 { 5_000 } else { 0 }));
    let run = world.run();
    assert_eq!(heard_from(&run, 3_800, 6_300), []);
    let answer = "Agent: All right.".to_owned();
    let notice = format!("Agent: {NOTICE}");
    assert_eq!(run.lines(), ["Caller: what is it".into(), answer, notice]);
}

#[test]
fn a_notice_waits_no_longer_than_a_turn_may_last() {
    // A television that never pauses.
    let mut world = World {
        commands: vec![say(4_000, NOTICE, false)],
        sounds: vec![says(2_000, 200_000, "and now the news")],
        until_ms: 60_000,
        ..World::with_phrases()
    };
    world.config.endpointing.max_turn_ms = 12_000;
    world.stt = always(Behaviour::After(300));
    let run = world.run();
    let [begun] = begun(&run)[..] else {
        panic!("{:?}", begun(&run));
    };
    assert!((16_000..16_100).contains(&begun), "{begun}");
    assert_eq!(run.finished()[0].1, NOTICE, "to its end");
    assert_eq!(run.interruptions(), []);
}

#[test]
fn a_steady_sound_does_not_hold_a_notice_up() {
    let run = World {
        commands: vec![say(3_100, NOTICE, false)],
        background: |at_ms| if at_ms < 3_000 { 0 } else { 3_000 },
        ..World::with_phrases()
    }
    .run();
    let began = begun(&run)[0];
    assert!((3_100..5_000).contains(&began), "{began}");
    assert_eq!(run.finished()[0].1, NOTICE);
}

#[test]
fn an_answer_does_not_begin_over_a_person() {
    let mut anna = person("Anna", 500, Mode::Barge);
    anna.sounds = vec![says(1_500, 4_000, "let me explain")];
    let run = World {
        people: vec![anna],
        sounds: vec![says(1_000, 1_500, "where is my parcel")],
        ..World::with_phrases()
    }
    .run();
    let began = begun(&run);
    assert!(began.iter().all(|at_ms| *at_ms > 5_500), "{began:?}");
    assert!(!began.is_empty());
}

#[test]
fn a_cough_of_the_caller_does_not_set_the_agent_going_over_a_person() {
    let mut anna = person("Anna", 500, Mode::Barge);
    anna.sounds = vec![says(1_500, 4_000, "let me explain")];
    let mut world = World {
        people: vec![anna],
        sounds: vec![coughs(2_500, 150)],
        ..World::with_phrases()
    };
    world.config.agent.greeting =
        "Good morning, and welcome to the bakery round the corner.".into();
    world.stt = always(Behaviour::After(2_000));
    let run = world.run();
    let began = begun(&run);
    assert!(began[1..].iter().all(|at_ms| *at_ms > 5_500), "{began:?}");
}

#[test]
fn what_is_to_be_said_during_a_takeover_waits_and_is_bounded() {
    let most = Command::MAX_UNSAID;
    let mut anna = person("Anna", 500, Mode::Takeover);
    anna.modes = vec![(60_000, Mode::Monitor)];
    let say = |n: u32| say(1_000 + 100 * u64::from(n), &format!("Word {n}."), true);
    let run = World {
        people: vec![anna],
        commands: (0..most + 3).map(say).collect(),
        until_ms: 100_000,
        ..World::with_phrases()
    }
    .run();
    let refused = run.all(|event| match event {
        CallEvent::Error {
            error: CallError::SayRefused { waiting, .. },
        } => Some(*waiting),
        _ => None,
    });
    assert_eq!(refused.len(), 3, "{refused:?}");
    assert!(refused.iter().all(|(_, waiting)| *waiting == most));
    let finished = run.finished().into_iter();
    let said: Vec<String> = finished.map(|(_, said)| said).collect();
    let words: Vec<String> = (0..most).map(|n| format!("Word {n}.")).collect();
    assert_eq!(said[said.len() - words.len()..], words);
}

#[test]
fn a_notice_that_waited_for_a_takeover_does_not_begin_over_the_caller() {
    let mut anna = person("Anna", 500, Mode::Takeover);
    anna.modes = vec![(60_000, Mode::Monitor)];
    let run = World {
        people: vec![anna],
        commands: vec![say(1_000, NOTICE, false)],
        sounds: vec![says(59_000, 3_000, "so what do we do")],
        until_ms: 80_000,
        ..World::with_phrases()
    }
    .run();
    assert_eq!(heard_from(&run, 59_000, 62_000), []);
    assert_eq!(run.finished().last().unwrap().1, NOTICE);
}

/// Sounds of a leg that a detector takes for speech: a hum, a fan, a room of people.
fn hum(at_ms: u64) -> i16 {
    if at_ms % 10 < 5 { 3_000 } else { -3_000 }
}

fn fan(at_ms: u64) -> i16 {
    2_000 + i16::try_from(at_ms * 7_919 % 1_009).unwrap()
}

fn room(at_ms: u64) -> i16 {
    match at_ms / 250 % 4 {
        0 => 1_500,
        1 => 3_000,
        2 => 6_000,
        _ => 7_500,
    }
}

#[test]
fn a_steady_sound_on_a_persons_leg_does_not_silence_the_agent() {
    let backgrounds: [fn(u64) -> i16; 3] = [hum, fan, room];
    for (name, background) in ["hum", "fan", "room"].into_iter().zip(backgrounds) {
        let mut anna = person("Anna", 1_000, Mode::Barge);
        anna.background = background;
        anna.sounds = vec![says(20_000, 1_500, "I am here")];
        let mut world = World {
            people: vec![anna],
            sounds: vec![
                says(8_000, 1_000, "hello"),
                says(14_000, 1_000, "can you hear me"),
                says(40_000, 1_000, "are you there"),
            ],
            until_ms: 50_000,
            ..World::with_phrases()
        };
        world.config.agent.greeting = "Good morning, what can I do for you?".into();
        let run = world.run();
        let answered = |from_ms: u64| {
            let mut begun = begun(&run).into_iter();
            begun.any(|at_ms| (from_ms..from_ms + 600).contains(&at_ms))
        };
        for end_ms in [9_000, 15_000, 41_000] {
            assert!(answered(end_ms), "{name}: {end_ms}, {:?}", begun(&run));
        }
        // The greeting went on after what was no word.
        assert_eq!(
            run.finished()[0].1,
            "Good morning, what can I do for you?",
            "{name}"
        );
        let said = "Anna, Person: I am here".to_owned();
        assert!(run.lines().contains(&said), "{name}: {:?}", run.lines());
    }
}
