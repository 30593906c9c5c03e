//! What is said in a call, and who calls, stays out of the log. In a test program of its own,
//! since it listens to the log of the whole process.

mod common;

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use common::{Phone, builder};
use serde_json::json;
use sidetone::{
    AcceptOptions,
    core::{config::CallConfig, job::FailureKind},
    speech::testing::{FakeLlm, FakeStt, FakeTts},
};
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut captured = self.0.lock().expect("no writer panics");
        captured.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test(start_paused = true)]
async fn the_log_holds_no_words_keys_or_parameters() {
    let captured = Captured::default();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(captured.clone())
        .with_ansi(false)
        .init();

    let stt = FakeStt::new().hears("tangerine").hears("marmalade");
    let llm = FakeLlm::new()
        .says("Clementine? Certainly.")
        // Ahead of the end of the turn, which is not reported, and after it.
        .fails(FailureKind::Refused)
        .fails(FailureKind::Refused)
        .says("Physalis.");
    let mut config = CallConfig::default();
    config.agent.greeting = "Grapefruit.".into();
    config.agent.instructions = "Kumquat.".into();
    let engine = builder(stt, llm, FakeTts::new())
        .config(config)
        .build()
        .unwrap();
    let options = AcceptOptions::new().authorize(|start| start.parameters.len() == 2);
    let (mut phone, handle) = Phone::dial_with(&engine, 64, options);
    phone.start().await;
    phone.listen(Duration::from_secs(2)).await;
    for _ in 0..2 {
        phone.speak(Duration::from_secs(1)).await;
        phone.listen(Duration::from_secs(3)).await;
    }
    phone.press('8').await;
    phone.press('#').await;
    phone.send(json!({"event": "pomelo"})).await;
    phone
        .send(json!({"event": "media", "media": "quince"}))
        .await;
    handle.say("Persimmon.").await.unwrap();
    phone.listen(Duration::from_secs(2)).await;
    handle.hang_up(Some("Satsuma.".into())).await.unwrap();
    phone.listen_until(|phone| phone.closed).await;
    drop(phone);
    let summary = handle.ended().await;
    assert_eq!(
        (
            summary.counters.turns >= 2,
            summary.counters.service_failures
        ),
        (true, 1)
    );

    let log = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    for expected in [
        handle.id().as_str(),
        "call started provider_call_id=\"CA00\"",
        "call ended",
        "commanded",
        "service failed",
    ] {
        assert!(
            log.contains(expected),
            "{expected} is not in the log:\n{log}"
        );
    }
    let log = log.to_lowercase();
    let words = [
        "tangerine",
        "marmalade",
        "clementine",
        "certainly",
        "grapefruit",
        "kumquat",
    ];
    let more = [
        "pomelo",
        "quince",
        "persimmon",
        "satsuma",
        "open-sesame",
        "15005550006",
    ];
    for secret in words.iter().chain(&more) {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
    // A key is a part of a card's number or a code.
    assert!(!log.contains("digit"), "{log}");
}
