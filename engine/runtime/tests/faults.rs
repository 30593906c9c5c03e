//! Legs and parts that do not behave.

// A helper's failure is the test's.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{FRAME, LoudnessVad, Phone, all_events, builder, greeting, name};
use serde_json::json;
use sidetone::{
    AcceptOptions, LegLimits,
    core::event::{CallEvent, EndReason, LegFault},
    speech::testing::{FakeLlm, FakeStt, FakeTts},
    transport::{TransportError, WireMessage},
};
use sidetone_codecs::SampleRate;
use sidetone_core::{dialect::Start, vad::Vad};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

fn engine() -> sidetone::Engine {
    builder(FakeStt::new(), FakeLlm::new(), FakeTts::new())
        .config(greeting(
            "Hello. This greeting takes the agent a few seconds to say.",
        ))
        .build()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_leg_that_never_reads_is_heard_and_then_given_up() {
    let engine = engine();
    let (mut phone, handle) = Phone::dial(&engine, 2);
    phone.start().await;
    let began = Instant::now();
    // It goes on sending, at its pace, and the engine goes on taking it.
    for frame in 0_u64.. {
        phone.media(&[0; 160]).await;
        tokio::time::sleep(FRAME).await;
        if engine.active_calls() == 0 {
            break;
        }
        assert!(frame < 1_000, "the call does not end");
    }
    let summary = handle.ended().await;
    assert_eq!(summary.reason, EndReason::LegStalled);
    let limits = LegLimits::default();
    assert!(summary.duration >= limits.stall && summary.duration <= limits.stall + SECOND);
    assert!(summary.counters.frames_in >= 240, "{summary:?}");
    assert!(began.elapsed() <= limits.stall + limits.close + SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_leg_with_too_much_unsent_is_given_up_at_once() {
    let limits = {
        let mut limits = LegLimits::default();
        limits.queued_bytes = 4 * 1024;
        limits
    };
    let engine = builder(FakeStt::new(), FakeLlm::new(), FakeTts::new())
        .config(greeting(
            "Hello. This greeting takes the agent a few seconds to say.",
        ))
        .limits(limits)
        .build()
        .unwrap();
    let (mut phone, handle) = Phone::dial(&engine, 2);
    phone.start().await;
    let summary = handle.ended().await;
    assert_eq!(summary.reason, EndReason::LegStalled);
    assert_eq!(summary.duration, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_dies_mid_word_loses_the_leg() {
    let stt = FakeStt::new().hears("never mind");
    let heard = stt.probe();
    let engine = builder(stt, FakeLlm::new(), FakeTts::new())
        .build()
        .unwrap();
    for broken in [false, true] {
        let (mut phone, handle) = Phone::call(&engine).await;
        phone.speak(SECOND).await;
        if broken {
            let error = TransportError::broken("connection reset by peer");
            phone.peer.reset(error).await;
        } else {
            drop(phone);
        }
        let summary = handle.ended().await;
        assert_eq!(summary.reason, EndReason::LegLost);
        assert_eq!(summary.counters.frames_in, 50);
    }
    assert_eq!(heard.jobs().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn stop_and_close_end_the_call_once() {
    let engine = engine();
    // `stop`, then the socket closes, at once or a little later.
    for pause in [Duration::ZERO, FRAME] {
        let (mut phone, handle) = Phone::call(&engine).await;
        let events = handle.events();
        phone.listen(SECOND).await;
        phone.stop().await;
        tokio::time::sleep(pause).await;
        drop(phone);
        assert_eq!(handle.ended().await.reason, EndReason::CallerHungUp);
        assert_eq!(ends(&all_events(events).await), 1);
    }
    // The socket closes without a `stop`.
    let (mut phone, handle) = Phone::call(&engine).await;
    let events = handle.events();
    phone.listen(SECOND).await;
    drop(phone);
    assert_eq!(handle.ended().await.reason, EndReason::LegLost);
    assert_eq!(ends(&all_events(events).await), 1);
    // A `stop` that the engine reads only after it failed to send.
    let (mut phone, handle) = Phone::call(&engine).await;
    phone.listen(SECOND).await;
    handle.say("Are you still there?").await.unwrap();
    phone.stop().await;
    drop(phone);
    assert_eq!(handle.ended().await.reason, EndReason::CallerHungUp);
}

fn ends(events: &[std::sync::Arc<sidetone::EventRecord>]) -> usize {
    let ended = |event: &CallEvent| name(event) == "call.ended";
    events.iter().filter(|record| ended(&record.event)).count()
}

#[tokio::test(start_paused = true)]
async fn a_stream_with_the_wrong_token_hears_nothing() {
    let engine = engine();
    let check = |token: &'static str| {
        move |start: &Start| {
            start
                .parameters
                .get("token")
                .is_some_and(|given| given == token)
        }
    };
    let options = AcceptOptions::new().authorize(check("another"));
    let (mut phone, handle) = Phone::dial_with(&engine, 64, options);
    let events = handle.events();
    phone.start().await;
    phone.listen(SECOND).await;
    assert!(phone.closed);
    assert_eq!(phone.log, []);
    drop(phone);
    assert_eq!(handle.ended().await.reason, EndReason::Refused);
    let names: Vec<_> = all_events(events)
        .await
        .iter()
        .map(|record| name(&record.event))
        .collect();
    assert_eq!(names, ["call.ended"]);

    let options = AcceptOptions::new().authorize(check("open-sesame"));
    let (mut phone, handle) = Phone::dial_with(&engine, 64, options);
    phone.start().await;
    phone.listen(SECOND).await;
    assert!(phone.hears_agent());
    phone.stop().await;
    assert_eq!(handle.ended().await.reason, EndReason::CallerHungUp);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_never_starts_is_closed() {
    let (mut phone, handle) = Phone::dial(&engine(), 64);
    phone.wait(6 * SECOND).await;
    assert!(phone.closed);
    drop(phone);
    let summary = handle.ended().await;
    assert_eq!(summary.reason, EndReason::NoStart);
    assert_eq!(summary.duration, 5 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_leg_that_falls_silent_is_closed() {
    let mut config = greeting("Hello.");
    config.idle.prompt_after_ms = 0;
    let engine = builder(FakeStt::new(), FakeLlm::new(), FakeTts::new())
        .config(config)
        .build()
        .unwrap();
    let (mut phone, handle) = Phone::call(&engine).await;
    phone.wait(40 * SECOND).await;
    drop(phone);
    assert_eq!(handle.ended().await.reason, EndReason::LegSilent);
}

#[tokio::test(start_paused = true)]
async fn nonsense_is_counted_and_the_call_goes_on() {
    let (mut phone, handle) = Phone::call(&engine()).await;
    let events = handle.events();
    for nonsense in ["", "{", "[]", "null", "{\"event\":7}", "\u{0}"] {
        phone.peer.send(WireMessage::text(nonsense)).await.unwrap();
    }
    let valid = json!({"event": "mark", "mark": {"name": "x"}}).to_string();
    phone.peer.send(WireMessage::binary(valid)).await.unwrap();
    phone
        .send(json!({"event": "weather", "streamSid": "MZ"}))
        .await;
    phone.listen(SECOND).await;
    phone.stop().await;
    let summary = handle.ended().await;
    assert_eq!(summary.reason, EndReason::CallerHungUp);
    assert_eq!(summary.counters.leg_faults[&LegFault::Malformed], 7);
    assert!(
        !summary
            .counters
            .leg_faults
            .contains_key(&LegFault::ForeignMark)
    );
    let errors = all_events(events).await;
    let errors = errors
        .iter()
        .filter(|record| name(&record.event) == "error");
    assert!(errors.count() <= 3, "one event for each kind of fault");
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_nonsense_ends_the_call() {
    let (phone, handle) = Phone::dial(&engine(), 64);
    for _ in 0..1_000 {
        // Once the engine has closed the socket, nothing more goes in.
        if phone.peer.send(WireMessage::text("?")).await.is_err() {
            break;
        }
    }
    drop(phone);
    assert_eq!(handle.ended().await.reason, EndReason::LegAbusive);
}

#[tokio::test(start_paused = true)]
async fn too_long_a_message_ends_the_call() {
    let (mut phone, handle) = Phone::call(&engine()).await;
    phone.listen(SECOND).await;
    let error = TransportError::TooLong {
        size: 1 << 30,
        max: 64 << 10,
    };
    phone.peer.reset(error).await;
    assert_eq!(handle.ended().await.reason, EndReason::LegAbusive);
}

/// Panics at the first loud frame.
struct BrokenVad;

impl Vad for BrokenVad {
    fn rate(&self) -> SampleRate {
        LoudnessVad.rate()
    }

    fn frame_len(&self) -> usize {
        LoudnessVad.frame_len()
    }

    fn push(&mut self, frame: &[i16]) -> f32 {
        assert!(LoudnessVad.push(frame) == 0.0, "this detector is broken");
        0.0
    }

    fn reset(&mut self) {}
}

#[tokio::test(start_paused = true)]
async fn a_part_that_panics_ends_its_call_and_no_other() {
    let engine = builder(FakeStt::new(), FakeLlm::new(), FakeTts::new())
        .vad(|| Box::new(BrokenVad))
        .build()
        .unwrap();
    let (mut healthy, other) = Phone::call(&engine).await;
    let (mut phone, handle) = Phone::call(&engine).await;
    let events = handle.events();
    phone.listen(SECOND).await;
    phone.speak(FRAME).await;
    let summary = handle.ended().await;
    assert_eq!(summary.reason, EndReason::InternalError);
    assert_eq!(ends(&all_events(events).await), 1);
    assert!(handle.say("Still there?").await.is_err());
    assert_eq!(engine.active_calls(), 1);
    healthy.stop().await;
    assert_eq!(other.ended().await.reason, EndReason::CallerHungUp);
}
