//! Nobody waits in silence: callers who say nothing, agents who have nothing to say yet, voices and
//! legs that are stuck.

use crate::sim::{Behaviour, Network, Run, World, always, by_hand::ByHand, coughs, says};
use sidetone_core::{
    config::CallConfig,
    event::{CallError, CallEvent, EndReason, LegFault},
    job::{LlmEvent, Service},
};

fn world() -> World {
    let mut world = World::with_phrases();
    world.config.agent.greeting = "Hello, what can I do for you?".into();
    world.config.idle.prompt_after_ms = 6_000;
    world.until_ms = 90_000;
    world
}

fn said(run: &Run) -> Vec<String> {
    run.finished().into_iter().map(|(_, heard)| heard).collect()
}

const PROMPT: &str = "Are you still there?";
const GOODBYE: &str = "I can't hear you, so I will hang up now. Goodbye.";

#[test]
fn a_caller_who_says_nothing_is_asked_twice_and_then_left() {
    let run = world().run();
    assert_eq!(said(&run)[1..], [PROMPT, PROMPT, GOODBYE]);
    let (at_ms, reason) = run.ended.expect("the call ends");
    assert_eq!(reason, EndReason::CallerSilent);
    assert!(run.longest_silence_ms(0, at_ms) <= 6_100);
    let spans = run.audible();
    let pause = spans[1].0 - spans[0].1;
    assert!((6_000..6_050).contains(&pause), "{pause}");
}

#[test]
fn a_caller_who_speaks_begins_anew() {
    let mut world = world();
    world.sounds = vec![
        says(9_000, 700, "yes I am here"),
        says(25_000, 700, "still here"),
    ];
    let run = world.run();
    let prompts = said(&run).iter().filter(|said| *said == PROMPT).count();
    assert!(prompts >= 4, "{:?}", said(&run));
    let (at_ms, _) = run.ended.expect("the call ends");
    assert!(at_ms > 45_000, "{at_ms}");
}

#[test]
fn a_caller_who_only_coughs_is_not_kept_for_ever() {
    let mut world = world();
    world.sounds = (1..30).map(|n| coughs(n * 4_500, 200)).collect();
    world.until_ms = 200_000;
    let run = world.run();
    assert_eq!(run.llm_jobs.len(), 0);
    // Each cough is a sign of life, but none is an answer.
    let (at_ms, reason) = run.ended.expect("the call ends");
    assert!(at_ms > 130_000 && reason == EndReason::CallerSilent);
}

#[test]
fn a_caller_who_speaks_into_the_goodbye_stays() {
    let mut world = world();
    world.config.idle.max_prompts = 0;
    world.sounds = vec![says(9_000, 700, "wait I am here")];
    let run = world.run();
    let lines = run.lines();
    assert!(lines[1].starts_with("Agent: I can't hear"), "{lines:?}");
    assert_eq!(lines[2..4], ["Caller: wait I am here", "Agent: All right."]);
}

#[test]
fn a_cough_into_the_goodbye_does_not_keep_the_call() {
    let mut world = world();
    world.config.idle.max_prompts = 0;
    world.sounds = vec![coughs(9_000, 200)];
    let run = world.run();
    assert_eq!(said(&run)[1..], [GOODBYE]);
    assert_eq!(run.ended.expect("the call ends").1, EndReason::CallerSilent);
}

#[test]
fn a_key_is_a_sign_of_life() {
    let mut world = world();
    world.keys = vec![(7_000, '1')];
    let run = world.run();
    assert_eq!(run.lines()[1], "Caller: 1");
}

#[test]
fn what_is_asked_can_be_configured_and_switched_off() {
    let mut world = world();
    world.config.idle.prompt = "Hello?".into();
    world.config.idle.goodbye = "Bye.".into();
    world.config.idle.max_prompts = 1;
    assert_eq!(said(&world.run())[1..], ["Hello?", "Bye."]);

    let mut world = self::world();
    world.config.idle.prompt_after_ms = 0;
    let run = world.run();
    assert_eq!((said(&run).len(), run.ended), (1, None));

    let mut world = self::world();
    world.config.agent.language = "es".into();
    assert_eq!(said(&world.run())[1], "¿Sigue ahí?");
}

#[test]
fn a_prompt_that_the_voice_cannot_say_is_no_silence_either() {
    let mut world = world();
    world.tts = Box::new(|n| {
        if n == 0 {
            Behaviour::After(0)
        } else {
            Behaviour::Silent
        }
    });
    let run = world.run();
    let (at_ms, reason) = run.ended.expect("the call ends");
    assert!(matches!(
        reason,
        EndReason::ServicesFailed | EndReason::CallerSilent
    ));
    // The silence before the prompt, and as long as anybody waits for a voice.
    let silence = run.longest_silence_ms(0, at_ms);
    assert!(silence <= 6_000 + 3_600, "{silence} ms");
}

/// A language model that writes words without end, or nothing at all, never so long apart that
/// it would have failed, and of which nothing can be said.
fn says_nothing_for_ever(call: &mut ByHand, seconds: u64) {
    for _ in 0..seconds {
        let id = call.llm();
        call.news(id, LlmEvent::Delta { text: " ".into() });
        call.silence(1_000);
        call.return_marks(usize::MAX);
    }
}

#[test]
fn an_agent_who_writes_and_writes_and_says_nothing_is_given_up() {
    let mut config = World::with_phrases().config;
    config.idle.prompt_after_ms = 0;
    let mut call = ByHand::started(config);
    call.turn();
    call.transcript("hello");
    says_nothing_for_ever(&mut call, 40);
    let failures = call.events().into_iter().filter(|event| {
        let CallEvent::Error { error } = event else {
            return false;
        };
        matches!(
            error,
            CallError::Service {
                service: Service::Llm,
                ..
            }
        )
    });
    assert_eq!(failures.count(), 1);
    assert_eq!(call.lines(), ["Caller: hello", "Agent: Sorry."]);
}

#[test]
fn long_waits_are_bridged_at_growing_distances() {
    let mut config = World::with_phrases().config;
    config.idle.hold_after_ms = 2_000;
    config.patience.service = std::time::Duration::from_secs(60);
    let mut world = World {
        config,
        ..World::with_phrases()
    };
    world.sounds = vec![says(1_000, 600, "think hard")];
    world.llm = always(Behaviour::After(15_000));
    let run = world.run();
    let spans = run.audible();
    let pauses: Vec<u64> = spans.windows(2).map(|pair| pair[1].0 - pair[0].1).collect();
    let near = |pause: u64, wanted: u64| pause.abs_diff(wanted) < 100;
    assert!(near(spans[0].0, 3_600), "{spans:?}");
    assert!(
        near(pauses[0], 2_000) && near(pauses[1], 4_000),
        "{pauses:?}"
    );
    assert_eq!(run.lines()[1], "Agent: All right.");
}

#[test]
fn a_voice_that_stops_in_mid_sentence_is_noticed_and_excused() {
    let mut world = World::with_phrases();
    world.config.idle.hold_after_ms = 2_000;
    world.sounds = vec![says(1_000, 600, "tell me")];
    world.answer = Box::new(|_| {
        (
            "A sentence of which only the beginning is ever said.".into(),
            false,
        )
    });
    world.tts = always(Behaviour::Stalls(0));
    let run = world.run();
    let failed = run.all(|event| match event {
        CallEvent::Error {
            error: CallError::Service { service, .. },
        } => Some(*service),
        _ => None,
    });
    let [(failed_ms, Service::Tts)] = failed[..] else {
        panic!("the voice failed: {failed:?}")
    };
    let silent_since = run.audible()[0].1;
    assert!(
        failed_ms - silent_since <= 2_100,
        "{failed_ms}, silent since {silent_since}"
    );
    assert!(run.finished()[0].1.ends_with("Sorry."));
}

#[test]
fn marks_that_never_come_back_are_reported_once_and_stop_nothing() {
    let mut world = world();
    world.network = Network {
        loses_marks: true,
        ..Network::default()
    };
    let run = world.run();
    let lost = run.all(|event| match event {
        CallEvent::Error {
            error:
                CallError::Leg {
                    fault: LegFault::LostMark,
                    ..
                },
        } => Some(()),
        _ => None,
    });
    assert_eq!(lost.len(), 1);
    assert!(
        lost[0].0 < 3_000,
        "within the grace of a second: {}",
        lost[0].0
    );
    assert_eq!(said(&run)[1..], [PROMPT, PROMPT, GOODBYE]);
}

#[test]
fn the_default_call_is_never_silent_for_long() {
    let mut call = ByHand::started(CallConfig::default());
    call.silence(7_900);
    assert_eq!(call.spoken(), [""; 0]);
    call.silence(200);
    assert_eq!(call.spoken(), [PROMPT]);
}
