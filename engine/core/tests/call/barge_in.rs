//! Sounds over the agent: which of them take the floor, and what becomes of the others.

use crate::sim::{self, Behaviour, Run, World, always, by_hand::ByHand, coughs, phrase, says};
use sidetone_core::{
    config::CallConfig,
    conversation::Role,
    event::{CallEvent, RejectReason},
    io::Command,
};

const TEXT: &str =
    "Your parcel has left our house and is on its way to you. It should arrive on Monday.";

fn world() -> World {
    let mut world = World::default();
    world.config.agent.greeting = TEXT.into();
    world
}

fn rejected(run: &Run) -> Vec<RejectReason> {
    let reasons = run.all(|event| match event {
        CallEvent::BargeInRejected { reason, .. } => Some(*reason),
        _ => None,
    });
    reasons.into_iter().map(|(_, reason)| reason).collect()
}

/// The pauses between what the caller heard of the agent.
fn pauses(run: &Run) -> Vec<(u64, u64)> {
    let spans = run.audible();
    let pairs = spans.windows(2);
    pairs.map(|pair| (pair[0].1, pair[1].0)).collect()
}

fn said_at(at_ms: u64, text: &str, interruptible: bool) -> (u64, Command) {
    let text = text.into();
    (
        at_ms,
        Command::Say {
            text,
            interruptible,
        },
    )
}

#[test]
fn after_a_short_sound_the_agent_goes_on_within_500_ms_whatever_the_services_do() {
    for stt in [
        Behaviour::After(0),
        Behaviour::After(2_000),
        Behaviour::Silent,
        Behaviour::FailsAfter(400),
    ] {
        for duration_ms in [100, 150, 200, 250] {
            let mut world = world();
            world.sounds = vec![coughs(2_000, duration_ms)];
            world.stt = always(stt);
            // The voice is asked for each sentence once: what was not heard is still there.
            world.tts = Box::new(|n| {
                if n < 2 {
                    Behaviour::After(0)
                } else {
                    Behaviour::Silent
                }
            });
            let run = world.run();
            let [(stopped_ms, resumed_ms)] = pauses(&run)[..] else {
                panic!("one pause: {:?}", run.audible())
            };
            assert!(stopped_ms < 2_200, "{stopped_ms}");
            let delay_ms = resumed_ms - (2_000 + duration_ms);
            assert!(delay_ms <= 400, "{stt:?}, {duration_ms} ms: {delay_ms} ms");
            // A recogniser that answers at once has said so in the pause.
            let reason = match stt {
                Behaviour::After(0) => RejectReason::NoWords,
                _ => RejectReason::Short,
            };
            assert_eq!(rejected(&run), [reason]);
            assert_eq!(run.lines(), [format!("Agent: {TEXT}")]);
        }
    }
}

#[test]
fn no_word_is_lost_and_at_most_the_one_that_was_cut_is_said_twice() {
    for at_ms in (500..4_500).step_by(130) {
        let mut world = world();
        world.sounds = vec![coughs(at_ms, 200)];
        let run = world.run();
        assert_eq!(run.lines(), [format!("Agent: {TEXT}")], "cough at {at_ms}");
        let heard_ms: u64 = run.audible().iter().map(|(from, to)| to - from).sum();
        let whole_ms = (TEXT.chars().count() as u64 - 1) * 60;
        let twice_ms = i64::try_from(heard_ms).unwrap() - i64::try_from(whole_ms).unwrap();
        // The longest word has 6 characters; 20 ms on the way to the phone, a mark's 200 ms.
        assert!(
            (-30..=700).contains(&twice_ms),
            "cough at {at_ms}: {twice_ms} ms twice"
        );
    }
}

#[test]
fn a_noise_with_the_length_of_words_is_passed_over_once_its_transcript_says_so() {
    let mut world = world();
    world.sounds = vec![coughs(1_500, 900)];
    world.stt = always(Behaviour::After(150));
    let run = world.run();
    let [(_, resumed_ms)] = pauses(&run)[..] else {
        panic!("one pause: {:?}", run.audible())
    };
    assert!(resumed_ms - 2_400 <= 500, "{resumed_ms}");
    assert_eq!(rejected(&run), [RejectReason::NoWords]);
    assert_eq!(run.lines(), [format!("Agent: {TEXT}")]);
}

#[test]
fn a_hundred_coughs_noises_and_backchannels_silence_nobody() {
    let sounds = [
        None,
        Some("mm-hm"),
        Some("Okay."),
        None,
        Some("yeah yeah"),
        Some("right"),
    ];
    for n in 0..100_u64 {
        let mut world = world();
        let sound = sounds[usize::try_from(n).unwrap() % sounds.len()];
        let (at_ms, duration_ms) = (400 + n * 37 % 2_000, 100 + n * 61 % 900);
        world.sounds = vec![sim::Sound {
            at_ms,
            duration_ms,
            words: sound,
        }];
        world.stt = always(Behaviour::After(n * 7 % 400));
        let run = world.run();
        let lines = run.lines();
        assert_eq!(
            lines,
            [format!("Agent: {TEXT}")],
            "{sound:?} at {at_ms} for {duration_ms} ms"
        );
        assert_eq!(run.llm_jobs.len(), 0);
    }
}

#[test]
fn a_backchannel_longer_than_a_blip_is_passed_over_by_its_words() {
    for (language, words) in [
        ("en", "okay okay"),
        ("en", "Mm-hm, I see."),
        ("es", "ajá, claro"),
        ("pt", "tá, pois é"),
    ] {
        let mut world = world();
        world.config.agent.language = language.into();
        world.sounds = vec![says(1_500, 700, words)];
        let run = world.run();
        assert_eq!(rejected(&run), [RejectReason::Backchannel], "{words}");
        assert_eq!(run.lines(), [format!("Agent: {TEXT}")]);
    }
}

#[test]
fn a_short_no_stops_the_agent_again_and_is_answered() {
    for word in ["no", "stop", "wait"] {
        let mut world = world();
        world.sounds = vec![says(1_500, 200, word)];
        world.stt = always(Behaviour::After(600));
        let run = world.run();
        let interruptions = run.interruptions();
        assert_eq!(
            interruptions.len(),
            2,
            "{word}: at its sound and at its words"
        );
        assert_eq!(rejected(&run), [RejectReason::Short]);
        let (at_ms, heard) = &interruptions[1];
        assert!(*at_ms <= 1_700 + 1_000, "{at_ms}");
        let lines = [
            format!("Agent: {heard}"),
            format!("Caller: {word}"),
            "Agent: All right.".into(),
        ];
        assert_eq!(run.lines(), lines);
    }
}

#[test]
fn words_that_are_there_before_the_agent_would_go_on_leave_it_silent() {
    // Recognised within the step in which the agent would go on.
    let mut config = world().config;
    config.barge_in.resume_after_ms = 300;
    let mut call = ByHand::started(config);
    call.voice(4_000);
    call.silence(1_000);
    let sent_ms = call.sent_ms();
    call.sound(200);
    call.silence(280);
    assert_eq!(call.sent_ms(), sent_ms, "silent so far");
    call.silence(100);
    assert!(call.sent_ms() > sent_ms, "and goes on");
    call.transcript("no");
    call.answer("All right.");
    let lines = call.lines();
    assert_eq!(lines.last().unwrap(), "Caller: no");
}

#[test]
fn a_yes_to_a_question_that_was_nearly_heard_is_an_answer() {
    let question = "I have a table for two at eight. Shall I book it for you?";
    // The question mark is at 3.4 s; "Shall" begins at 2 s.
    for (at_ms, is_answer) in [(900, false), (3_000, true)] {
        let mut world = World::default();
        world.config.agent.greeting = question.into();
        world.sounds = vec![says(at_ms, 350, "yes")];
        let run = world.run();
        let answered = run.lines().contains(&"Caller: yes".to_owned());
        assert_eq!(answered, is_answer, "at {at_ms}: {:?}", run.lines());
    }
}

#[test]
fn an_okay_after_the_agent_has_finished_is_a_turn() {
    let mut world = world();
    world.sounds = vec![says(6_000, 350, "okay")];
    let run = world.run();
    assert_eq!(run.lines()[1..], ["Caller: okay", "Agent: All right."]);
}

#[test]
fn backchannels_can_be_words_and_words_backchannels() {
    let mut world = world();
    world.config.barge_in.ignore_backchannels = false;
    world.sounds = vec![says(1_500, 400, "okay")];
    assert_eq!(world.run().lines()[1], "Caller: okay");

    let mut world = self::world();
    world.config.barge_in.backchannels = vec!["roger".into()];
    world.sounds = vec![says(1_500, 400, "Roger.")];
    let run = world.run();
    assert_eq!(rejected(&run), [RejectReason::Backchannel]);
}

#[test]
fn fewer_words_than_an_interruption_needs_are_passed_over() {
    let mut world = world();
    world.config.barge_in.min_words = 2;
    world.sounds = vec![says(1_500, 400, "hello"), says(3_500, 700, "hello there")];
    let run = world.run();
    assert_eq!(rejected(&run), [RejectReason::NoWords]);
    assert_eq!(run.lines()[1], "Caller: hello there");
}

#[test]
fn what_may_not_be_interrupted_is_heard_to_its_end_and_the_caller_is_answered_then() {
    let whole_ms = (TEXT.chars().count() as u64 - 1) * 60;
    for (name, words) in [("speech", "I have a question"), ("cough", "")] {
        let mut world = World {
            commands: vec![said_at(100, TEXT, false)],
            sounds: vec![sim::Sound {
                at_ms: 1_500,
                duration_ms: 1_000,
                words: (!words.is_empty()).then_some(words),
            }],
            ..World::default()
        };
        world.stt = always(Behaviour::After(100));
        let run = world.run();
        assert_eq!(run.clears(), [0; 0], "{name}");
        let (ended_ms, heard) = &run.finished()[0];
        assert_eq!(
            (*ended_ms, heard.as_str()),
            (100 + whole_ms, TEXT),
            "{name}"
        );
        let mut lines = vec![format!("Agent: {TEXT}")];
        if !words.is_empty() {
            lines.extend([format!("Caller: {words}"), "Agent: All right.".into()]);
        }
        assert_eq!(run.lines(), lines, "{name}");
    }
}

#[test]
fn keys_during_a_notice_come_after_it() {
    let run = World {
        commands: vec![said_at(100, TEXT, false)],
        keys: vec![(1_500, '4'), (1_700, '2'), (1_900, '#')],
        ..World::default()
    }
    .run();
    assert_eq!(run.clears(), [0; 0]);
    let lines = [
        format!("Agent: {TEXT}"),
        "Caller: 42".into(),
        "Agent: All right.".into(),
    ];
    assert_eq!(run.lines(), lines);
}

#[test]
fn the_greeting_or_everything_can_be_made_uninterruptible() {
    let mut world = world();
    world.config.agent.greeting_interruptible = false;
    world.sounds = vec![says(1_500, 700, "hello"), says(6_600, 500, "wait")];
    world.answer = Box::new(|_| ("A long answer that nobody wants to hear.".into(), false));
    let run = world.run();
    assert_eq!(run.finished()[0].1, TEXT);
    assert_eq!(
        run.interruptions().len(),
        1,
        "the answer can be interrupted"
    );

    let mut world = self::world();
    world.config.barge_in.enabled = false;
    world.sounds = vec![says(1_500, 700, "hello"), says(6_600, 500, "wait")];
    world.answer = Box::new(|_| ("A long answer that nobody wants to hear.".into(), false));
    let run = world.run();
    assert_eq!(run.interruptions(), []);
    let long = "Agent: A long answer that nobody wants to hear.";
    assert_eq!(
        run.lines()[1..],
        ["Caller: hello", long, "Caller: wait", long]
    );
}

#[test]
fn the_language_model_can_insist_on_being_heard() {
    // Made ahead or after the end of the turn; for all of the answer, or from its middle on.
    for (is_eager, insists_from) in [(true, 0), (false, 0), (true, 4)] {
        let mut world = World::default();
        world.config.eager.enabled = is_eager;
        world.sounds = vec![says(500, 700, "hello"), says(3_000, 900, "what is that")];
        world.answer = Box::new(|messages| {
            let is_first = messages.iter().all(|message| message.role != Role::Agent);
            let answer = if is_first { TEXT } else { "All right." };
            (answer.into(), false)
        });
        world.insists_from = Some(insists_from);
        let run = world.run();
        assert_eq!(run.clears(), [0; 0]);
        assert_eq!(run.interruptions(), []);
        let lines = [
            "Caller: hello".into(),
            format!("Agent: {TEXT}"),
            "Caller: what is that".into(),
            "Agent: All right.".into(),
        ];
        assert_eq!(run.lines(), lines);
    }
}

#[test]
fn an_answer_that_insists_and_of_which_nothing_was_heard_is_dropped() {
    let world = World {
        sounds: vec![says(500, 700, "hello"), says(1_800, 900, "what is that")],
        tts: always(Behaviour::After(1_000)),
        insists_from: Some(0),
        ..World::default()
    };
    let run = world.run();
    assert_eq!(
        run.lines(),
        ["Caller: hello what is that", "Agent: All right."]
    );
}

#[test]
fn two_short_sounds_and_then_a_long_one_keep_the_order_of_words() {
    let mut world = world();
    world.sounds = vec![
        coughs(1_000, 200),
        coughs(2_200, 200),
        says(3_400, 900, "that is enough"),
    ];
    world.stt = Box::new(|n| Behaviour::After(if n == 0 { 1_500 } else { 100 }));
    let run = world.run();
    // That there are no words in the second is known before it is taken for too short.
    assert_eq!(rejected(&run), [RejectReason::Short, RejectReason::NoWords]);
    let lines = run.lines();
    assert_eq!(lines[1..], ["Caller: that is enough", "Agent: All right."]);
}

#[test]
fn a_voice_that_was_in_the_middle_of_a_sentence_goes_on_with_it() {
    let mut call = ByHand::started(CallConfig::default());
    call.say("One two three four five six seven eight nine ten.");
    call.audio(1_500);
    call.silence(600);
    call.sound(200);
    call.audio(1_500);
    call.silence(200);
    call.voice(500);
    call.silence(400);
    let before = call.jobs().len();
    call.transcript("");
    for _ in 0..10 {
        call.return_marks(usize::MAX);
        call.silence(400);
    }
    assert_eq!(call.jobs().len(), before, "nothing is asked for twice");
    assert_eq!(
        call.spoken(),
        ["One two three four five six seven eight nine ten."]
    );
    assert_eq!(
        call.lines(),
        ["Agent: One two three four five six seven eight nine ten."]
    );
}

#[test]
fn a_phrase_goes_on_where_it_was_stopped_too() {
    let mut world = World::with_phrases();
    world.config.phrases.apology = phrase(
        "Sorry, something went wrong with this. Please say that again.",
        3_600,
    );
    world.sounds = vec![says(1_000, 600, "hello"), coughs(3_500, 200)];
    world.llm = always(Behaviour::FailsAfter(100));
    let run = world.run();
    assert_eq!(run.audible().len(), 2);
    let heard_ms: u64 = run.audible().iter().map(|(from, to)| to - from).sum();
    assert!(heard_ms < 4_400, "{heard_ms} ms: not from its beginning");
}
