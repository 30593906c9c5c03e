//! Whole calls over the in-memory socket, with scripted services, in simulated time.

mod common;

use std::time::Duration;

use common::{FRAME, Heard, Phone, all_events, builder, greeting, name};
use sidetone::{
    core::event::{CallEvent, EndReason},
    core::{config::CallConfig, job::FailureKind},
    speech::testing::{FakeLlm, FakeStt, FakeTts},
};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn the_agent_greets_and_is_heard() {
    let tts = FakeTts::new();
    let length = tts.length_of("Hello there.");
    let engine = builder(FakeStt::new(), FakeLlm::new(), tts)
        .config(greeting("Hello there."))
        .build()
        .unwrap();
    let (mut phone, handle) = Phone::call(&engine).await;
    let events = handle.events();
    phone.listen(2 * SECOND).await;
    assert_eq!(phone.audio(), length);
    assert!(!phone.hears_agent());
    assert_eq!(engine.active_calls(), 1);

    phone.stop().await;
    let summary = handle.ended().await;
    assert_eq!(summary.reason, EndReason::CallerHungUp);
    assert_eq!(&summary.call_id, handle.id());
    assert_eq!(summary.duration, 2 * SECOND);
    assert_eq!(engine.active_calls(), 0);

    let events = all_events(events).await;
    let names: Vec<_> = events.iter().map(|record| name(&record.event)).collect();
    let expected = [
        "call.started",
        "agent.sentence",
        "agent.speaking",
        "agent.finished",
        "call.ended",
    ];
    assert_eq!(names, expected);
    for (index, record) in events.iter().enumerate() {
        assert_eq!(record.seq, index as u64 + 1);
        assert_eq!(&record.call_id, handle.id());
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_is_answered() {
    let stt = FakeStt::new().hears("what time is it");
    let llm = FakeLlm::new().says("It is noon. Anything else?");
    let (heard, asked) = (stt.probe(), llm.probe());
    let engine = builder(stt, llm, FakeTts::new()).build().unwrap();
    let (mut phone, handle) = Phone::call(&engine).await;
    let events = handle.events();
    phone.listen(SECOND).await;
    phone.speak(SECOND).await;
    phone.listen_until(Phone::hears_agent).await;
    phone.listen_until(|phone| !phone.hears_agent()).await;
    phone.listen(SECOND).await;
    drop(phone);
    let summary = handle.ended().await;
    assert_eq!(summary.reason, EndReason::LegLost);
    assert_eq!(summary.counters.turns, 1);

    let jobs = heard.jobs();
    assert_eq!(jobs.len(), 1);
    let conversation = asked.jobs()[0].messages.clone();
    assert_eq!(conversation.last().unwrap().text, "what time is it");
    let events = all_events(events).await;
    let metrics = events.iter().find_map(|record| match record.event {
        CallEvent::TurnMetrics(metrics) => Some(metrics),
        _ => None,
    });
    let metrics = metrics.expect("every answered turn is measured");
    assert!((300..=400).contains(&metrics.total_ms), "{metrics:?}");
    let finished = events.iter().find_map(|record| match &record.event {
        CallEvent::AgentFinished { heard, .. } => Some(heard.as_str()),
        _ => None,
    });
    assert_eq!(finished, Some("It is noon. Anything else?"));
}

#[tokio::test(start_paused = true)]
async fn barge_in_clears_before_anything_else() {
    let words = "This answer is long enough to be interrupted in the middle of it.";
    let stt = FakeStt::new().hears("stop");
    let llm = FakeLlm::new().says("All right.");
    let engine = builder(stt, llm, FakeTts::new())
        .config(greeting(words))
        .build()
        .unwrap();
    let (mut phone, handle) = Phone::call(&engine).await;
    let events = handle.events();
    phone.listen(SECOND).await;
    // Not at the moment at which the next audio is due to leave.
    phone.wait(FRAME / 2).await;
    let onset = phone.now();
    phone.speak(Duration::from_millis(600)).await;
    let cleared = phone
        .log
        .iter()
        .position(|(_, heard)| *heard == Heard::Clear);
    let cleared = cleared.expect("the caller interrupts");
    let (at, _) = phone.log[cleared];
    // The default needs 120 ms of speech; a frame is complete when it was spoken.
    let latency = at.since(onset);
    assert!(latency <= Duration::from_millis(120) + FRAME, "{latency:?}");
    let early = phone.log[..cleared].iter().filter(|(sent, _)| *sent == at);
    assert_eq!(
        early.count(),
        0,
        "something left before the clear: {:?}",
        phone.log
    );

    phone.listen_until(Phone::hears_agent).await;
    phone.listen_until(|phone| !phone.hears_agent()).await;
    phone.listen(SECOND).await;
    phone.stop().await;
    assert_eq!(handle.ended().await.counters.interruptions, 1);
    let events = all_events(events).await;
    let heard = events.iter().find_map(|record| match &record.event {
        CallEvent::AgentInterrupted { heard, .. } => Some(heard.clone()),
        _ => None,
    });
    let heard = heard.expect("the interruption is told");
    assert!(
        words.starts_with(&heard) && heard.len() < words.len() / 2,
        "{heard:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn audio_is_sent_at_most_two_seconds_ahead() {
    let words = "A hundred and more words would not make the engine send any faster. ".repeat(4);
    let engine = builder(FakeStt::new(), FakeLlm::new(), FakeTts::new())
        .config(greeting(&words))
        .build()
        .unwrap();
    let (mut phone, handle) = Phone::call(&engine).await;
    phone.listen_until(Phone::hears_agent).await;
    phone.listen_until(|phone| !phone.hears_agent()).await;
    let (shortest, longest) = (Duration::from_millis(1_800), 2 * SECOND);
    assert!(
        (shortest..=longest).contains(&phone.longest_lead),
        "{:?}",
        phone.longest_lead
    );
    assert_eq!(phone.buffer.underruns(), 0);
    phone.stop().await;
    handle.ended().await;
}

#[tokio::test(start_paused = true)]
async fn the_model_ends_the_call_after_its_last_word() {
    let tts = FakeTts::new();
    let length = tts.length_of("Goodbye, and thank you.");
    let stt = FakeStt::new().hears("bye");
    let llm = FakeLlm::new().says_and_hangs_up("Goodbye, and thank you.");
    let engine = builder(stt, llm, tts).build().unwrap();
    let (mut phone, handle) = Phone::call(&engine).await;
    phone.speak(SECOND).await;
    phone.listen_until(|phone| phone.closed).await;
    assert_eq!(phone.audio(), length);
    assert!(!phone.hears_agent());
    drop(phone);
    assert_eq!(handle.ended().await.reason, EndReason::AgentHungUp);
}

#[tokio::test(start_paused = true)]
async fn a_dead_service_ends_the_call_and_cancels_its_jobs() {
    let stt = FakeStt::new().hears("hello");
    let llm = FakeLlm::new().hangs();
    let asked = llm.probe();
    let engine = builder(stt, llm, FakeTts::new()).build().unwrap();
    let (mut phone, handle) = Phone::call(&engine).await;
    phone.speak(SECOND).await;
    phone.listen(SECOND).await;
    assert_eq!(asked.running(), 1);
    phone.stop().await;
    handle.ended().await;
    asked.idle().await;
    assert_eq!(asked.cancelled(), 1);
}

#[tokio::test(start_paused = true)]
async fn services_that_keep_failing_end_the_call() {
    let stt = FakeStt::new().hears("hello");
    let llm = FakeLlm::new().fails(FailureKind::Unavailable);
    let engine = builder(stt, llm, FakeTts::new()).build().unwrap();
    let (mut phone, handle) = Phone::call(&engine).await;
    for _ in 0..3 {
        phone.speak(SECOND).await;
        phone.listen(3 * SECOND).await;
    }
    phone.listen_until(|phone| phone.closed).await;
    drop(phone);
    let summary = handle.ended().await;
    assert_eq!(summary.reason, EndReason::ServicesFailed);
    assert_eq!(summary.counters.service_failures, 3);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_calls_at_once_are_all_answered() {
    let stt = FakeStt::new().hears("hello");
    let llm = FakeLlm::new().says("Hello yourself.");
    let engine = builder(stt, llm, FakeTts::new())
        .config(CallConfig::default())
        .build()
        .unwrap();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let engine = engine.clone();
        calls.spawn(async move {
            let (mut phone, handle) = Phone::call(&engine).await;
            phone.speak(SECOND).await;
            phone.listen_until(Phone::hears_agent).await;
            phone.listen_until(|phone| !phone.hears_agent()).await;
            let underruns = phone.buffer.underruns();
            phone.stop().await;
            (handle.ended().await, underruns)
        });
    }
    tokio::time::sleep(FRAME).await;
    assert_eq!(engine.active_calls(), 100);
    let mut ids = std::collections::BTreeSet::new();
    while let Some(call) = calls.join_next().await {
        let (summary, underruns) = call.unwrap();
        assert_eq!(summary.reason, EndReason::CallerHungUp);
        assert_eq!(summary.counters.turns, 1);
        assert_eq!(underruns, 0);
        ids.insert(summary.call_id);
    }
    assert_eq!(ids.len(), 100);
    assert_eq!(engine.active_calls(), 0);
}
