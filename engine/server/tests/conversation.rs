//! A whole call through the real socket, with `openai` providers for all three services against
//! a local stand-in.

#![allow(
    clippy::unwrap_used,
    reason = "a failure in a helper is the test's failure"
)]

mod support;

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use sidetone::EventStream;
use sidetone_core::event::{CallEvent, EndReason};
use sidetone_server::{
    Config, Server,
    config::{LlmChoice, SttChoice, TtsChoice},
    engine,
};
use sidetone_speech::{
    Secret,
    testing::{OpenAiStandIn, Route},
    vad::VadProvider,
};
use support::{AUTH_TOKEN, Phone, secure};
use tracing_subscriber::{filter::Targets, fmt::MakeWriter, prelude::*};

const API_KEY: &str = "sk-local-0123456789";

fn openai(service: &OpenAiStandIn) -> Config {
    let mut config = secure();
    // To this detector a tone is speech, so the test needs no recording.
    config.vad.provider = VadProvider::Webrtc;
    // The agent's voice is a tone as well, of which the caller's could be an echo.
    config.barge_in.ignore_echo = false;
    config.agent.greeting = "Welcome to the bakery.".into();
    config.agent.instructions = "You sell bread.".into();
    let (url, key) = (service.base_url(), Some(Secret::new(API_KEY)));
    config.stt.provider = SttChoice::OpenAi;
    config.stt.base_url = url.into();
    config.stt.api_key.clone_from(&key);
    config.llm.provider = LlmChoice::OpenAi;
    config.llm.base_url = url.into();
    config.llm.api_key.clone_from(&key);
    config.tts.provider = TtsChoice::OpenAi;
    config.tts.base_url = url.into();
    config.tts.api_key = key;
    config
}

/// The next event for which `pick` finds something.
async fn event<T>(events: &mut EventStream, mut pick: impl FnMut(&CallEvent) -> Option<T>) -> T {
    loop {
        let record = events.recv().await.expect("the engine runs").unwrap();
        if let Some(found) = pick(&record.event) {
            return found;
        }
    }
}

/// Plays what the engine sends, at once, and says so, until an event says that the caller heard
/// the agent out.
async fn hear_out(phone: &mut Phone, events: &mut EventStream) -> String {
    let finished = event(events, |event| match event {
        CallEvent::AgentFinished { heard, .. } => Some(heard.clone()),
        CallEvent::CallEnded { reason, .. } => panic!("the call ended: {reason:?}"),
        _ => None,
    });
    tokio::pin!(finished);
    loop {
        tokio::select! {
            heard = &mut finished => return heard,
            message = phone.event() => {
                // After a goodbye the socket may close before its event is read.
                let Some(message) = message else {
                    return finished.await;
                };
                if message["event"] == "mark" {
                    phone.mark(message["mark"]["name"].as_str().unwrap()).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_call_with_openai_services_is_held_to_its_end() {
    let log = Log::capture();
    let service = OpenAiStandIn::start().await;
    service.requires_key(API_KEY);
    for words in ["do you have rye bread", "wait what about cake", "thank you"] {
        service.hears(words);
    }
    service.says("We do. It is four euros a loaf, and it is baked on every morning of the week.");
    service.says("Cake is on Sundays.");
    service.says_and_hangs_up("Goodbye then.");

    let config = openai(&service);
    let engine = engine(&config).await.unwrap();
    let mut events = engine.events();
    let server = Server::start(&config, engine).await.unwrap();
    let mut phone = Phone::call(server.addr(), Some(AUTH_TOKEN)).await;

    let greeting = hear_out(&mut phone, &mut events).await;
    assert_eq!(greeting, "Welcome to the bakery.");

    // The first question; its answer is interrupted before any of it was played.
    phone.speak(600).await;
    phone.pause(700).await;
    let words = event(&mut events, transcript).await;
    assert_eq!(words, "do you have rye bread");
    while phone.event().await.unwrap()["event"] != "media" {}
    phone.speak(600).await;
    loop {
        let message = phone.event().await.unwrap();
        if message["event"] == "clear" {
            break;
        }
    }
    event(&mut events, |event| {
        matches!(event, CallEvent::AgentInterrupted { .. }).then_some(())
    })
    .await;
    phone.pause(700).await;
    assert_eq!(event(&mut events, transcript).await, "wait what about cake");
    let answer = hear_out(&mut phone, &mut events).await;
    assert_eq!(answer, "Cake is on Sundays.");

    // The last question; the agent hangs up once its goodbye was heard.
    phone.speak(600).await;
    phone.pause(700).await;
    assert_eq!(event(&mut events, transcript).await, "thank you");
    assert_eq!(hear_out(&mut phone, &mut events).await, "Goodbye then.");
    let (reason, counters) = event(&mut events, |event| match event {
        CallEvent::CallEnded { reason, counters } => Some((*reason, counters.clone())),
        _ => None,
    })
    .await;
    assert_eq!(reason, EndReason::AgentHungUp);
    assert_eq!((counters.turns, counters.interruptions), (3, 1));
    assert_eq!(counters.service_failures, 0);
    phone.closed().await;

    // Each service was asked in its own words.
    let requests = service.requests();
    let of = |route| requests.iter().filter(move |seen| seen.route == route);
    assert_eq!(of(Route::Transcriptions).count(), 3);
    assert!(of(Route::Transcriptions).all(|seen| seen.file.starts_with(b"RIFF")));
    let last = of(Route::Chat).next_back().unwrap();
    let messages = last.body["messages"].as_array().unwrap();
    let said: Vec<_> = messages
        .iter()
        .map(|message| message["content"].as_str().unwrap_or_default())
        .collect();
    assert!(said[0].contains("You sell bread."), "{said:?}");
    assert!(said.contains(&"Welcome to the bakery."), "{said:?}");
    // The answer of which nothing was heard was never given.
    let question = "do you have rye bread wait what about cake";
    assert!(said.contains(&question), "{said:?}");
    assert!(!said.iter().any(|text| text.contains("week")), "{said:?}");
    assert_eq!(said.last(), Some(&"thank you"));
    assert!(of(Route::Speech).count() >= 3);

    let metrics = server.state().metrics();
    for line in [
        "sidetone_calls_total{reason=\"agent_hung_up\"} 1",
        "sidetone_interruptions_total 1",
        "sidetone_barge_in_seconds_count 1",
    ] {
        assert!(
            metrics.lines().any(|l| l == line),
            "{line} is missing in\n{metrics}"
        );
    }
    server.shutdown().await;

    // Neither what was said nor any secret is in the log, however much of it is kept.
    let log = log.text();
    assert!(log.contains("call ended"), "{log}");
    for hidden in [
        "rye bread",
        "Sundays",
        "Welcome",
        "bakery",
        "You sell",
        "+14155550123",
        AUTH_TOKEN,
        API_KEY,
    ] {
        assert!(!log.contains(hidden), "{hidden:?} is in the log:\n{log}");
        assert!(
            !metrics.contains(hidden),
            "{hidden:?} is in the metrics:\n{metrics}"
        );
    }
}

fn transcript(event: &CallEvent) -> Option<String> {
    match event {
        CallEvent::TranscriptFinal { text, .. } => Some(text.clone()),
        _ => None,
    }
}

/// Everything that this project's crates log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn capture() -> Self {
        let log = Self::default();
        let ours = Targets::new().with_target("sidetone", tracing::Level::TRACE);
        tracing_subscriber::registry()
            .with(
                tracing_subscriber::fmt::layer()
                    .with_ansi(false)
                    .with_writer(log.clone())
                    .with_filter(ours),
            )
            .init();
        log
    }

    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8(bytes.clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
