//! Events: in order, without gaps, to subscribers and to a file.

// A helper's failure is the test's.
#![allow(clippy::unwrap_used)]

mod common;

use std::{collections::BTreeMap, fs, time::Duration};

use common::{Phone, all_events, builder, name};
use sidetone::{
    CallId, Engine, EventLog, EventRecord,
    core::event::CallEvent,
    speech::testing::{FakeLlm, FakeStt, FakeTts},
};

const SECOND: Duration = Duration::from_secs(1);

async fn talk(engine: &Engine) -> CallId {
    let (mut phone, handle) = Phone::call(engine).await;
    phone.speak(SECOND).await;
    phone.listen_until(Phone::hears_agent).await;
    phone.press('5').await;
    phone.listen(2 * SECOND).await;
    phone.send(serde_json::json!({"event": 1})).await;
    phone.stop().await;
    handle.ended().await.call_id
}

fn engine(log: EventLog) -> Engine {
    let stt = FakeStt::new().hears("good morning");
    let llm = FakeLlm::new().says("Good morning! How can I help?");
    builder(stt, llm, FakeTts::new())
        .event_log(log)
        .build()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_log_holds_every_event_of_every_call_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.ndjson");
    let engine = engine(EventLog::ndjson(&path).unwrap());
    let mut subscription = engine.events();
    let (one, two, three) = tokio::join!(talk(&engine), talk(&engine), talk(&engine));
    engine.drain(Duration::ZERO).await;

    let text = fs::read_to_string(&path).unwrap();
    let mut calls: BTreeMap<CallId, Vec<EventRecord>> = BTreeMap::new();
    for line in text.lines() {
        let record: EventRecord = serde_json::from_str(line).unwrap();
        let same = subscription.recv().await.unwrap().unwrap();
        assert_eq!(record, *same);
        calls
            .entry(record.call_id.clone())
            .or_default()
            .push(record);
    }
    let mut ids = vec![one, two, three];
    ids.sort();
    assert_eq!(calls.keys().cloned().collect::<Vec<_>>(), ids);
    for records in calls.values() {
        let seqs: Vec<u64> = records.iter().map(|record| record.seq).collect();
        assert_eq!(seqs, (1..=records.len() as u64).collect::<Vec<_>>());
        assert!(records.is_sorted_by_key(|record| record.at_ms));
        assert!(matches!(records[0].event, CallEvent::CallStarted { .. }));
        assert!(matches!(
            records.last().unwrap().event,
            CallEvent::CallEnded { .. }
        ));
        let names: Vec<_> = records.iter().map(|record| name(&record.event)).collect();
        for expected in [
            "turn.started",
            "transcript.final",
            "dtmf",
            "turn.metrics",
            "error",
        ] {
            assert!(
                names.iter().any(|name| name == expected),
                "{expected}: {names:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn later_subscriptions_begin_later_and_end_with_the_call() {
    let engine = builder(FakeStt::new(), FakeLlm::new(), FakeTts::new())
        .build()
        .unwrap();
    let (mut phone, handle) = Phone::call(&engine).await;
    phone.listen(SECOND).await;
    let (first, second) = (handle.events(), handle.clone().events());
    phone.stop().await;
    handle.ended().await;
    let names = |events: &[std::sync::Arc<EventRecord>]| -> Vec<_> {
        events.iter().map(|record| name(&record.event)).collect()
    };
    assert_eq!(
        names(&all_events(first).await),
        ["call.started", "call.ended"]
    );
    assert_eq!(names(&all_events(second).await), ["call.ended"]);
    assert_eq!(handle.events().recv().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_is_not_read_is_told_what_it_missed() {
    let engine = builder(FakeStt::new(), FakeLlm::new(), FakeTts::new())
        .build()
        .unwrap();
    let (mut phone, handle) = Phone::call(&engine).await;
    let mut events = handle.events();
    for _ in 0..200 {
        phone.press('1').await;
    }
    phone.listen(SECOND).await;
    phone.stop().await;
    handle.ended().await;
    let missed = events.recv().await.unwrap().unwrap_err().missed;
    let next = events.recv().await.unwrap().unwrap();
    assert_eq!(next.seq, missed + 1);
    assert!(missed > 0);
    let rest = all_events(events).await;
    assert!(matches!(
        rest.last().unwrap().event,
        CallEvent::CallEnded { .. }
    ));
}
