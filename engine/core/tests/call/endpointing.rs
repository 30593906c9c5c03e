//! When a turn of the caller ends: what silence, words and a model make of its pauses.

use crate::sim::{Behaviour, Run, World, always, coughs, says};
use sidetone_core::{
    config::TurnModel,
    event::CallEvent,
    job::{Expect, SttPurpose},
};

/// From the end of the caller's last sound to the agent's first, in ms.
fn response_ms(run: &Run, end_ms: u64) -> u64 {
    let spans = run.audible();
    let first = spans.iter().find(|(start, _)| *start >= end_ms);
    first.expect("the caller is answered").0 - end_ms
}

/// A caller who says one thing.
fn utterance(words: &'static str) -> World {
    World {
        sounds: vec![says(1_000, 800, words)],
        ..World::default()
    }
}

/// A caller who pauses for so long in the middle of a sentence.
fn pausing(first: &'static str, pause_ms: u64, then: &'static str) -> World {
    World {
        sounds: vec![says(1_000, 800, first), says(1_800 + pause_ms, 800, then)],
        ..World::default()
    }
}

/// Whether the agent was heard before the caller had finished.
fn is_cut_off(world: World) -> bool {
    let last = world.sounds.last().expect("the caller speaks");
    let end_ms = last.at_ms + last.duration_ms;
    let run = world.run();
    run.audible()
        .first()
        .is_some_and(|(start, _)| *start < end_ms)
}

#[test]
fn a_whole_sentence_is_answered_at_once() {
    for words in [
        "where is my order",
        "hello",
        "yes",
        "please cancel my order",
        "who am I speaking to",
        "thank you goodbye",
    ] {
        let run = utterance(words).run();
        let response = response_ms(&run, 1_800);
        assert!((300..=350).contains(&response), "{words}: {response} ms");
    }
}

#[test]
fn a_sentence_that_breaks_off_is_waited_for() {
    for (first, then) in [
        ("I would like", "a table for two"),
        ("my name is", "John Smith"),
        ("um", "where is my order"),
        ("I wanted to ask about the", "delivery"),
        ("my order", "has not arrived"),
        ("my number is four two", "seven one"),
        ("I ordered a keyboard and", "it is broken"),
        ("if I order today", "when will it arrive"),
    ] {
        for pause_ms in [300, 400, 500, 600, 700] {
            let world = pausing(first, pause_ms, then);
            assert!(!is_cut_off(world), "{first} … {pause_ms} ms … {then}");
        }
    }
}

#[test]
fn what_breaks_off_and_is_all_there_is_is_answered_in_the_end() {
    let run = utterance("I would like").run();
    let response = response_ms(&run, 1_800);
    assert!((1_200..=1_250).contains(&response), "{response} ms");
}

#[test]
fn both_parts_of_a_sentence_are_one_turn_and_one_message() {
    let run = pausing("I would like", 600, "a table for two").run();
    assert_eq!(
        run.lines(),
        ["Caller: I would like a table for two", "Agent: All right."]
    );
    assert_eq!(run.transcripts().len(), 1);
    assert_eq!(run.clears(), [0; 0]);
}

#[test]
fn a_late_transcript_does_not_delay_what_silence_has_decided_twice() {
    // Words 500 ms after they are asked for: at 150 ms of silence, not at 300.
    let mut world = utterance("where is my order");
    world.stt = always(Behaviour::After(500));
    let run = world.run();
    let response = response_ms(&run, 1_800);
    assert!((650..=700).contains(&response), "{response} ms");
    let metrics = run.metrics()[0];
    assert!((300..=340).contains(&metrics.endpointing_ms), "{metrics:?}");
    assert!((320..=400).contains(&metrics.stt_ms), "{metrics:?}");
}

#[test]
fn a_transcript_that_does_not_come_is_not_waited_for_longer_than_the_maximum() {
    let mut world = utterance("where is my order");
    world.stt = always(Behaviour::After(5_000));
    let run = world.run();
    let ended = run.all(|event| matches!(event, CallEvent::TurnEnded { .. }).then_some(()));
    let (at_ms, ()) = ended[0];
    assert!((3_800..=3_850).contains(&at_ms), "{at_ms}");
    assert_eq!(run.stt_jobs.len(), 1, "the transcript under way is the one");
    assert_eq!(run.lines()[0], "Caller: where is my order");
}

#[test]
fn where_the_words_ahead_fail_silence_decides() {
    let mut world = utterance("I would like");
    world.stt = Box::new(|n| match n {
        0 => Behaviour::FailsAfter(50),
        _ => Behaviour::After(0),
    });
    let run = world.run();
    let response = response_ms(&run, 1_800);
    assert!((300..=350).contains(&response), "{response} ms");
    assert_eq!(run.errors(), 0, "the final came");
    assert_eq!(run.lines()[0], "Caller: I would like");
}

#[test]
fn a_sound_without_words_gives_the_floor_back_soon() {
    let mut world = World::default();
    world.config.agent.greeting = "This is a long sentence that goes on and on.".into();
    world.sounds = vec![coughs(1_000, 250)];
    let run = world.run();
    let resumed = run.audible()[1].0;
    assert!(resumed <= 1_250 + 250, "{resumed}");
}

#[test]
fn a_number_is_waited_for_to_its_last_digit() {
    let ask = |expect, sounds| {
        let mut world = World {
            sounds,
            expects: expect,
            ..World::default()
        };
        world.answer = Box::new(|_| ("What is it?".into(), false));
        world
    };
    let digits = Some(Expect::Digits { min: 8, max: 8 });
    let groups = || {
        vec![
            says(1_000, 600, "hello"),
            says(4_000, 800, "four two seven"),
            says(5_700, 800, "one nine"),
            says(7_400, 800, "three three eight"),
        ]
    };
    let run = ask(digits, groups()).run();
    assert_eq!(
        run.lines()[2],
        "Caller: four two seven one nine three three eight"
    );
    let response = response_ms(&run, 8_200);
    assert!(
        response <= 250,
        "the last digit ends the turn: {response} ms"
    );

    assert_eq!(run.transcripts().len(), 2);

    let run = ask(None, groups()).run();
    let turns = run.transcripts().len();
    assert!(turns > 2, "nobody knows that more will come");
}

#[test]
fn yes_to_a_question_ends_the_turn_sooner() {
    let mut world = World {
        sounds: vec![
            says(1_000, 600, "cancel it"),
            says(4_000, 400, "yes please"),
        ],
        expects: Some(Expect::YesNo),
        ..World::default()
    };
    world.answer = Box::new(|_| ("Are you sure?".into(), false));
    let response = response_ms(&world.run(), 4_400);
    assert!((200..=250).contains(&response), "{response} ms");
}

#[test]
fn what_is_expected_holds_for_the_next_turn_only() {
    let mut world = World {
        sounds: vec![
            says(1_000, 600, "hello"),
            says(4_000, 400, "yes"),
            says(7_000, 400, "yes"),
        ],
        ..World::default()
    };
    world.expects = Some(Expect::YesNo);
    world.answer = Box::new(|_| ("Really?".into(), false));
    let run = world.run();
    assert!(response_ms(&run, 4_400) < 260);
    let mut world = World {
        sounds: vec![says(1_000, 600, "hello"), says(4_000, 400, "yes")],
        ..World::default()
    };
    world.answer = Box::new(|_| ("Really?".into(), false));
    let response = response_ms(&world.run(), 4_400);
    assert!((300..=350).contains(&response), "{response} ms");
}

#[test]
fn a_caller_who_pauses_is_waited_for_longer_and_not_for_ever() {
    // Silence alone: the first pause cuts the caller off, the next does not.
    let mut world = World {
        sounds: vec![
            says(1_000, 800, "one thing"),
            says(2_200, 800, "more"),
            says(6_000, 800, "another thing"),
            says(7_200, 800, "more"),
        ],
        ..World::default()
    };
    world.config.endpointing.text = false;
    let turns = |world: World| world.run().transcripts().len();
    assert_eq!(turns(world), 3);
    let mut world = pausing("one thing", 400, "more");
    world.config.endpointing.text = false;
    assert_eq!(turns(world), 2);
}

fn with_model(mut world: World) -> World {
    world.config.endpointing.model = TurnModel::SmartTurn;
    world
}

#[test]
fn the_model_ends_a_turn_sooner_and_keeps_it_open_longer() {
    let mut world = with_model(utterance("hmm"));
    world.config.endpointing.text = false;
    let response = response_ms(&world.run(), 1_800);
    assert!((200..=250).contains(&response), "{response} ms");

    let mut world = with_model(pausing("the red one", 900, "with the white stripes"));
    world.completes = Box::new(|n| if n == 0 { 0.1 } else { 0.9 });
    world.config.endpointing.text = false;
    assert!(!is_cut_off(world));
}

#[test]
fn a_model_that_fails_or_is_late_leaves_it_to_the_others() {
    for behaviour in [
        Behaviour::FailsAfter(0),
        Behaviour::FailsAfter(5_000),
        Behaviour::After(5_000),
        Behaviour::Silent,
    ] {
        let mut world = with_model(utterance("where is my order"));
        world.completes = Box::new(|_| 0.0);
        world.detector = always(behaviour);
        let run = world.run();
        let response = response_ms(&run, 1_800);
        assert!(
            (300..=350).contains(&response),
            "{behaviour:?}: {response} ms"
        );
        assert_eq!(run.errors(), 0);
    }
}

#[test]
fn the_model_hears_the_newest_eight_seconds() {
    let mut world = with_model(World {
        sounds: vec![says(1_000, 12_000, "a long story")],
        ..World::default()
    });
    world.until_ms = 16_000;
    let run = world.run();
    let longest = run.log.iter().flat_map(|(_, _, out)| out);
    let mut heard = longest.filter_map(|output| match output {
        sidetone_core::io::Output::Start(sidetone_core::job::Job::Turn(job)) => {
            Some(job.audio.len())
        }
        _ => None,
    });
    assert_eq!(heard.next(), Some(64_000));
}

#[test]
fn without_eager_work_a_partial_transcript_tells_whether_a_pause_is_one() {
    let mut world = pausing("I would like", 700, "a table for two");
    world.config.eager.enabled = false;
    assert!(is_cut_off(world), "nobody knows the words");
    let mut world = pausing("I would like", 700, "a table for two");
    world.config.eager.enabled = false;
    world.config.partials.interval_ms = 500;
    assert!(!is_cut_off(world));
}

#[test]
fn no_final_transcript_is_asked_for_twice() {
    let run = utterance("where is my order").run();
    let purposes: Vec<SttPurpose> = run.stt_jobs.iter().map(|(_, job)| job.purpose).collect();
    assert_eq!(purposes, [SttPurpose::Eager]);
}

#[test]
fn a_caller_who_goes_on_right_after_the_agent_began_is_one_message() {
    // The first part is whole, so the agent begins to answer; little of that is heard.
    for pause_ms in (350..=550).step_by(25) {
        let mut world = pausing("where is my order", pause_ms, "from last week");
        world.answer = Box::new(|_| ("Very well, which day would suit you?".into(), false));
        let run = world.run();
        assert_eq!(
            run.lines(),
            [
                "Caller: where is my order from last week",
                "Agent: Very well, which day would suit you?"
            ],
            "{pause_ms} ms"
        );
        let told = run.llm_jobs.last().unwrap().1.messages.len();
        assert_eq!(told, 1, "the model is told the same");
    }
}

#[test]
fn a_caller_who_heard_more_of_the_answer_has_interrupted_it() {
    let mut world = pausing("where is my order", 1_000, "from last week");
    world.answer = Box::new(|_| ("I do, so on which day would it be?".into(), false));
    let run = world.run();
    assert_eq!(run.lines().len(), 4, "{:?}", run.lines());
}

#[test]
fn an_agent_that_goes_on_after_a_cough_keeps_its_first_words() {
    let mut world = World {
        sounds: vec![says(1_000, 800, "where is my order"), coughs(2_200, 350)],
        ..World::default()
    };
    world.answer = Box::new(|_| ("Very well, which day would suit you?".into(), false));
    let run = world.run();
    assert_eq!(
        run.lines()[1],
        "Agent: Very well, which day would suit you?"
    );
}
