//! The program's hold on its calls: commands, draining, building an engine.

// A helper's failure is the test's.
#![allow(clippy::unwrap_used)]

mod common;

use std::{sync::Arc, time::Duration};

use common::{FRAME, LoudnessVad, Phone, builder, greeting};
use futures_util::future::BoxFuture;
use sidetone::{
    BuildError, CallOver, Engine,
    core::{
        config::{CallConfig, TurnModel},
        event::EndReason,
        job::{FailureKind, JobFailure, SttEvent, SttJob},
    },
    speech::{
        JobHandle, Sink, Stt,
        stt::SttCapabilities,
        testing::{FakeLlm, FakeStt, FakeTts, FakeTurnDetector},
    },
};

const SECOND: Duration = Duration::from_secs(1);

fn engine(greeted: &str) -> Engine {
    builder(FakeStt::new(), FakeLlm::new(), FakeTts::new())
        .config(greeting(greeted))
        .build()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_agent_says_what_it_is_told() {
    let tts = FakeTts::new();
    let (spoken, length) = (tts.probe(), tts.length_of("Your table is ready."));
    let engine = builder(FakeStt::new(), FakeLlm::new(), tts)
        .build()
        .unwrap();
    let (mut phone, handle) = Phone::call(&engine).await;
    phone.listen(SECOND).await;
    handle.say("Your table is ready.").await.unwrap();
    phone.listen(2 * SECOND).await;
    assert_eq!(phone.audio(), length);
    assert_eq!(spoken.jobs()[0].text, "Your table is ready.");
    phone.stop().await;
    handle.ended().await;
    let refused = handle.say("Too late.").await;
    assert_eq!(refused, Err(CallOver));
}

#[tokio::test(start_paused = true)]
async fn a_farewell_is_heard_before_the_call_ends() {
    let engine = engine("");
    let length = FakeTts::new().length_of("We are closing, goodbye.");
    let (mut phone, handle) = Phone::call(&engine).await;
    phone.listen(SECOND).await;
    let farewell = Some("We are closing, goodbye.".to_owned());
    handle.hang_up(farewell).await.unwrap();
    phone.listen_until(|phone| phone.closed).await;
    assert_eq!(phone.audio(), length);
    assert!(!phone.hears_agent());
    drop(phone);
    let summary = handle.ended().await;
    assert_eq!(summary.reason, EndReason::Commanded);
    assert!(summary.duration >= SECOND + length);
}

#[tokio::test(start_paused = true)]
async fn without_a_farewell_the_call_ends_at_once() {
    let engine = engine("Hello, and welcome to this long greeting.");
    let (mut phone, handle) = Phone::call(&engine).await;
    phone.listen(SECOND).await;
    handle.hang_up(None).await.unwrap();
    phone.wait(FRAME).await;
    assert!(phone.closed);
    // The leg has not said goodbye yet.
    assert_eq!(engine.active_calls(), 1);
    assert_eq!(handle.say("Too late.").await, Err(CallOver));
    drop(phone);
    let summary = handle.ended().await;
    assert_eq!(
        (summary.reason, summary.duration),
        (EndReason::Commanded, SECOND)
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_outlives_its_handles() {
    let engine = engine("");
    let (mut phone, handle) = Phone::call(&engine).await;
    let mut events = engine.events();
    drop(handle);
    phone.listen(10 * SECOND).await;
    assert!(!phone.closed);
    assert_eq!(engine.active_calls(), 1);
    phone.stop().await;
    drop(phone);
    while let Some(record) = events.recv().await {
        if record.unwrap().seq == 2 {
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn draining_waits_for_calls_and_then_hangs_them_up() {
    let engine = engine("");
    let (mut short, ends_itself) = Phone::call(&engine).await;
    let (mut long, is_ended) = Phone::call(&engine).await;
    let drained = tokio::spawn({
        let engine = engine.clone();
        async move { engine.drain(10 * SECOND).await }
    });
    short.listen(5 * SECOND).await;
    short.stop().await;
    assert_eq!(ends_itself.ended().await.reason, EndReason::CallerHungUp);
    assert!(!drained.is_finished());
    long.wait(4 * SECOND).await;
    assert!(!long.closed);
    assert!(!drained.is_finished());
    long.wait(2 * SECOND).await;
    assert!(long.closed);
    drop(long);
    let summary = is_ended.ended().await;
    assert_eq!(
        (summary.reason, summary.duration),
        (EndReason::Commanded, 10 * SECOND)
    );
    drained.await.unwrap();

    let (mut late, turned_away) = Phone::call(&engine).await;
    late.wait(FRAME).await;
    assert!(late.closed);
    drop(late);
    assert_eq!(turned_away.ended().await.reason, EndReason::Commanded);
}

#[tokio::test(start_paused = true)]
async fn draining_an_idle_engine_takes_no_time() {
    let began = tokio::time::Instant::now();
    engine("").drain(10 * SECOND).await;
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    let missing = |builder: sidetone::EngineBuilder| match builder.build() {
        Err(BuildError::Missing { part }) => part,
        other => panic!("{other:?}"),
    };
    let builder = Engine::builder();
    assert_eq!(missing(builder), "stt");
    let builder = Engine::builder().stt(Arc::new(FakeStt::new()));
    assert_eq!(missing(builder), "llm");
    let builder = Engine::builder()
        .stt(Arc::new(FakeStt::new()))
        .llm(Arc::new(FakeLlm::new()));
    assert_eq!(missing(builder), "tts");
    let mut config = CallConfig::default();
    config.endpointing.model = TurnModel::SmartTurn;
    let asking =
        || common::builder(FakeStt::new(), FakeLlm::new(), FakeTts::new()).config(config.clone());
    assert_eq!(missing(asking()), "turn_detector");
    let detector = Arc::new(FakeTurnDetector::new());
    asking().turn_detector(detector).build().unwrap();
    let mut config = CallConfig::default();
    config.endpointing.silence_ms = 7;
    let error = common::builder(FakeStt::new(), FakeLlm::new(), FakeTts::new())
        .config(config)
        .build()
        .unwrap_err();
    let said = error.to_string();
    assert!(
        said.contains("endpointing.silence_ms") && said.contains("endpointing.min_ms"),
        "{said}"
    );
    let mut config = CallConfig::default();
    config.partials.interval_ms = 500;
    let stt = FakeStt::new().without_partials();
    let error = common::builder(stt, FakeLlm::new(), FakeTts::new())
        .config(config)
        .build()
        .unwrap_err();
    assert!(
        error.to_string().contains("stt.partial_interval_ms"),
        "{error}"
    );
}

/// Cannot be reached.
struct Unreachable;

impl Stt for Unreachable {
    fn capabilities(&self) -> SttCapabilities {
        FakeStt::new().capabilities()
    }

    fn start(&self, job: SttJob, sink: Sink<SttEvent>) -> JobHandle {
        FakeStt::new().hangs().start(job, sink)
    }

    fn warm_up(&self) -> BoxFuture<'_, Result<(), JobFailure>> {
        let failure = JobFailure::new(FailureKind::Unavailable, "no route to stt.example");
        Box::pin(async { Err(failure) })
    }
}

#[tokio::test]
async fn warming_up_names_the_service_that_is_not_ready() {
    assert!(engine("").warm_up().await.is_ok());
    let engine = Engine::builder()
        .stt(Arc::new(Unreachable))
        .llm(Arc::new(FakeLlm::new()))
        .tts(Arc::new(FakeTts::new()))
        .vad(|| Box::new(LoudnessVad))
        .build()
        .unwrap();
    let error = engine.warm_up().await.unwrap_err();
    assert_eq!(error.to_string(), "not ready: stt: no route to stt.example");
}
