//! Things that happen at the wrong moment, twice, or not at all.

use crate::sim::{Behaviour, World, always, by_hand::ByHand, coughs, says};
use sidetone_core::{
    config::CallConfig,
    event::{CallEvent, EndReason},
    io::Command,
    job::{FailureKind, JobFailure, SttEvent, TtsEvent},
};

fn says_at(at_ms: u64, text: &str) -> (u64, Command) {
    (
        at_ms,
        Command::Say {
            text: text.into(),
            interruptible: true,
        },
    )
}

fn hangs_up_at(at_ms: u64, farewell: &str) -> (u64, Command) {
    let farewell = Some(farewell.into());
    (at_ms, Command::HangUp { farewell })
}

#[test]
fn what_the_program_says_is_said_whenever_it_says_so() {
    for at_ms in (100..9_000).step_by(70) {
        let mut world = World {
            sounds: vec![says(1_000, 800, "a question"), says(5_000, 800, "wait")],
            stt: always(Behaviour::After(300)),
            llm: always(Behaviour::Trickles(60)),
            tts: always(Behaviour::After(300)),
            commands: vec![says_at(at_ms, "A notice.")],
            ..World::default()
        };
        world.answer = Box::new(|_| ("Here is an answer. It has two sentences.".into(), false));
        let run = world.run();
        let lines = run.lines();
        let begun = lines.iter().any(|l| l.contains("notice"))
            || run.interruptions().iter().any(|(at, _)| *at > at_ms);
        assert!(begun, "said at {at_ms}: {lines:?}");
        for line in &lines {
            let is_within = line.contains("answer. A notice. It");
            assert!(!is_within, "said at {at_ms}: {line}");
        }
    }
}

#[test]
fn what_the_program_says_needs_no_excuse_for_the_silence_before() {
    let mut world = World::with_phrases();
    world.commands = vec![says_at(9_000, "A notice.")];
    world.tts = always(Behaviour::After(300));
    let [(from_ms, to_ms)] = world.run().audible()[..] else {
        panic!("one sentence is heard")
    };
    assert_eq!((from_ms, to_ms - from_ms), (9_300, 539), "no filler");
}

#[test]
fn a_farewell_that_was_ordered_is_said_whoever_speaks() {
    for speaks_ms in (2_000..4_400).step_by(60) {
        let mut world = World::with_phrases();
        world.sounds = vec![says(speaks_ms, 700, "but wait")];
        world.tts = always(Behaviour::After(700));
        world.stt = always(Behaviour::FailsAfter(900));
        world.commands = vec![hangs_up_at(3_000, "Goodbye for now.")];
        let run = world.run();
        let (at_ms, reason) = run.ended.expect("the call ends");
        assert_eq!(reason, EndReason::Commanded, "spoke at {speaks_ms}");
        assert!(at_ms < 6_000, "spoke at {speaks_ms}, ended at {at_ms}");
        let lines = run.lines();
        let last = lines.last().map(String::as_str);
        assert_eq!(last, Some("Agent: Goodbye for now."), "at {speaks_ms}");
    }
}

#[test]
fn a_caller_who_coughs_before_a_prepared_answer_is_not_left_in_silence() {
    // The cough's transcript never comes; the answer's audio may be there by then.
    for cough_ms in (1_900..4_000).step_by(100) {
        let mut world = World::with_phrases();
        world.sounds = vec![says(1_000, 600, "hello"), coughs(cough_ms, 200)];
        world.llm = always(Behaviour::After(900));
        world.tts = Box::new(|n| Behaviour::After(if n == 0 { 1_200 } else { 100 }));
        world.stt = Box::new(|n| match n {
            0 => Behaviour::After(100),
            _ => Behaviour::Silent,
        });
        let run = world.run();
        let silence = run.longest_silence_ms(cough_ms + 200, 12_000);
        assert!(silence <= 4_000, "cough at {cough_ms}: {silence} ms");
    }
}

#[test]
fn a_caller_who_interrupts_and_is_understood_late_is_not_left_in_silence() {
    let mut world = World::with_phrases();
    world.config.agent.greeting = "Good morning. What can I do for you today?".into();
    world.sounds = vec![says(1_000, 600, "never mind that")];
    world.stt = always(Behaviour::After(3_000));
    world.llm = always(Behaviour::After(3_000));
    let run = world.run();
    let silence = run.longest_silence_ms(1_600, 9_000);
    assert!(silence <= 4_000, "{silence} ms");
}

#[test]
fn a_caller_who_pressed_a_key_waits_from_the_key_on() {
    let mut world = World::with_phrases();
    world.keys = vec![(1_000, '7')];
    world.llm = always(Behaviour::After(6_000));
    let run = world.run();
    let silence = run.longest_silence_ms(1_000, 8_000);
    assert!(silence <= 4_000, "{silence} ms");
    let endpointing: Vec<u64> = run.metrics().iter().map(|m| m.endpointing_ms).collect();
    assert_eq!(endpointing, [2_000]);
}

#[test]
fn a_voice_slower_than_speech_is_heard_to_its_last_word() {
    // 300 ms of audio every 420 ms, and every rate that a voice may change to.
    for hz in [8_000, 24_000] {
        let mut world = World {
            sounds: vec![says(1_000, 600, "tell me")],
            tts: always(Behaviour::Trickles(if hz == 8_000 { 420 } else { 140 })),
            tts_rate: sidetone_codecs::SampleRate::new(hz).unwrap(),
            ..World::default()
        };
        let text = "Every word of this is spoken slowly. And this, too.";
        world.answer = Box::new(move |_| (text.into(), false));
        let run = world.run();
        assert_eq!(run.lines()[1], format!("Agent: {text}"), "{hz} Hz");
        assert!(run.underruns > 0, "the voice was late at {hz} Hz");
        let heard_ms = run
            .heard
            .iter()
            .filter(|s| s.unsigned_abs() > 1_000)
            .count() as u64
            / 8;
        let spoken_ms = (text.len() as u64 - 1) * 60;
        assert!(
            heard_ms.abs_diff(spoken_ms) < 20,
            "{heard_ms} ms at {hz} Hz"
        );
    }
}

#[test]
fn every_turn_of_the_agent_is_told_from_its_first_sound_to_its_end() {
    let mut world = World::with_phrases();
    world.config.agent.greeting = "Good morning. What can I do for you today?".into();
    world.sounds = vec![
        coughs(1_000, 250),
        says(4_500, 600, "one"),
        says(8_000, 600, "two"),
        says(12_000, 600, "three"),
    ];
    world.tts = always(Behaviour::After(200));
    world.llm = always(Behaviour::FailsAfter(100));
    let run = world.run();
    assert_eq!(run.ended.unwrap().1, EndReason::ServicesFailed);
    let told = run.all(|event| match event {
        CallEvent::AgentSpeaking { turn } => Some((*turn, "speaks")),
        CallEvent::AgentInterrupted { turn, .. } => Some((*turn, "interrupted")),
        CallEvent::AgentResumed { turn } => Some((*turn, "resumed")),
        CallEvent::AgentFinished { turn, .. } => Some((*turn, "finished")),
        _ => None,
    });
    let told: Vec<(u32, &str)> = told.into_iter().map(|(_, (t, s))| (t.0, s)).collect();
    let expected = [
        (1, "speaks"),
        (1, "interrupted"),
        (1, "resumed"),
        (1, "finished"),
        (4, "speaks"),
        (4, "finished"),
        (6, "speaks"),
        (6, "finished"),
        (8, "speaks"),
        (8, "finished"),
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_resumed_turn_that_is_held_again_is_told_to_resume_once() {
    let mut call = ByHand::started(CallConfig::default());
    call.say("One two three four five six seven.");
    // As long as the first word.
    call.audio(220);
    call.silence(1_000);
    call.return_marks(usize::MAX);
    call.turn();
    call.transcript("");
    // The voice has not gone on when the caller coughs again.
    call.turn();
    call.transcript("");
    call.voice(1_500);
    let resumed = |e: &&&CallEvent| matches!(e, CallEvent::AgentResumed { .. });
    assert_eq!(call.events().iter().filter(resumed).count(), 1);
}

#[test]
fn an_answer_right_after_the_last_word_interrupts_nothing() {
    // 480 ms of sound, and then silence that belongs to the sentence.
    let mut call = ByHand::started(CallConfig::default());
    call.say("All done.");
    call.audio(480);
    let samples = vec![0; 8_000];
    let rate = sidetone_codecs::SampleRate::HZ_8000;
    call.news(call.tts(), TtsEvent::Audio { samples, rate });
    call.news(call.tts(), TtsEvent::Done);
    call.silence(600);
    call.return_marks(3);
    call.turn();
    call.transcript("Thank you.");
    let interrupted = |e: &&CallEvent| matches!(e, CallEvent::AgentInterrupted { .. });
    assert!(!call.events().iter().any(interrupted));
    assert_eq!(call.lines(), ["Agent: All done.", "Caller: Thank you."]);
    assert_eq!(call.call.counters().interruptions, 0);
}

#[test]
fn turns_are_the_same_however_the_leg_cuts_its_audio() {
    for frame_ms in [20, 60, 200, 1_000, 4_000] {
        let mut world = World {
            sounds: vec![
                says(1_000, 500, "one"),
                says(2_000, 500, "two"),
                says(3_000, 500, "three"),
            ],
            frame_ms,
            ..World::default()
        };
        // Silence alone decides: words come too late for a leg that sends seconds at once.
        world.config.endpointing.text = false;
        world.config.endpointing.adaptive = false;
        let run = world.run();
        let turns = run.all(|event| match event {
            CallEvent::TurnStarted { turn } => Some((*turn, "began")),
            CallEvent::TurnEnded { turn, .. } => Some((*turn, "ended")),
            _ => None,
        });
        assert_eq!(turns.len(), 6, "frames of {frame_ms} ms: {turns:?}");
        for pair in turns.chunks(2) {
            assert_eq!(pair[0].1.0, pair[1].1.0, "frames of {frame_ms} ms");
        }
        let words: Vec<String> = run.transcripts().into_iter().map(|(_, t)| t).collect();
        assert_eq!(words, ["one", "two", "three"], "frames of {frame_ms} ms");
    }
}

#[test]
fn audio_that_is_none_is_not_taken_for_speech() {
    let mut call = ByHand::started(CallConfig::default());
    call.say("Hello there.");
    call.voice(0);
    call.say("Are you there?");
    let samples = vec![0; 2_000];
    let rate = sidetone_codecs::SampleRate::HZ_8000;
    call.silence(20);
    call.news(call.tts(), TtsEvent::Audio { samples, rate });
    call.news(call.tts(), TtsEvent::Done);
    call.silence(1_000);
    assert_eq!(call.lines(), [""; 0], "nobody heard it");
    assert_eq!(call.call.counters().service_failures, 2);
}

#[test]
fn a_sentence_that_never_ends_is_ended() {
    let mut call = ByHand::started(CallConfig::default());
    call.say("Hello there.");
    for _ in 0..200 {
        call.audio(1_000);
        call.silence(1_000);
        call.return_marks(usize::MAX);
        if call.call.counters().service_failures > 0 {
            break;
        }
    }
    assert!((110..130).contains(&call.now.as_millis().div_ceil(1_000)));
}

#[test]
fn a_rest_without_a_word_is_not_given_to_the_voice() {
    let mut call = ByHand::started(CallConfig::default());
    call.say("Bonjour !");
    call.voice(900);
    call.silence(600);
    call.return_marks(3);
    call.silence(200);
    call.turn();
    call.transcript("");
    assert_eq!(call.spoken(), ["Bonjour !"]);
    call.silence(1_000);
    assert_eq!(call.lines(), ["Agent: Bonjour !"]);
}

#[test]
fn what_was_heard_before_the_caller_hung_up_is_in_the_conversation() {
    let mut world = World {
        sounds: vec![says(1_000, 500, "bye")],
        hangs_up_ms: Some(3_000),
        ..World::default()
    };
    world.answer = Box::new(|_| ("Goodbye, and thank you for your call.".into(), true));
    let run = world.run();
    let lines = run.lines();
    assert_eq!(lines[1], "Agent: Goodbye, and thank");
    assert_eq!(run.finished().len(), 1, "its turn is over, too");
}

#[test]
fn an_apology_that_a_cough_interrupts_needs_no_voice_to_go_on() {
    let mut world = World::with_phrases();
    world.sounds = vec![says(1_000, 600, "hello"), coughs(2_200, 250)];
    world.tts = always(Behaviour::FailsAfter(100));
    let run = world.run();
    assert_eq!(run.tts_jobs.len(), 2, "one ahead, and one for the answer");
    assert!(run.finished()[0].1.ends_with("Sorry."));
}

#[test]
fn marks_that_come_back_too_early_do_not_flood_the_leg() {
    let mut call = ByHand::started(CallConfig::default());
    call.say("A long speech.");
    call.voice(60_000);
    for _ in 0..50 {
        call.return_marks(usize::MAX);
    }
    assert!(call.sent_ms() <= 2_000, "{} ms", call.sent_ms());
}

#[test]
fn a_recogniser_that_fails_for_two_turns_at_once_is_excused_once() {
    let mut config = World::with_phrases().config;
    config.endpointing.silence_ms = 200;
    config.eager.enabled = false;
    let mut call = ByHand::started(config);
    call.turn();
    let first = call.stt();
    call.turn();
    let failure = || JobFailure::new(FailureKind::Unavailable, "simulated");
    call.news(first, SttEvent::Failed(failure()));
    call.silence(100);
    call.news(call.stt(), SttEvent::Failed(failure()));
    call.silence(4_000);
    assert_eq!(call.sent_ms(), 600, "one apology");
}
