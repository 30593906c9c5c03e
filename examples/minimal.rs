//! The smallest engine: everything on this machine, no key, no network.
//!
//! It answers calls on a loopback port, and a simulated phone calls it, asks where its order is
//! and says goodbye:
//!
//! ```sh
//! cargo run --example minimal
//! ```
//!
//! The agent's voice is `espeak-ng`, which must be installed.
#![allow(clippy::print_stdout, reason = "what an example shows, it prints")]

use std::{collections::BTreeMap, error::Error, path::Path, sync::Arc, time::Duration};

use sidetone::{
    Engine, EventStream,
    core::{config::CallConfig, dialect::twilio::Twilio, event::CallEvent},
    speech::{
        llm::{Script, ScriptLlm},
        stt::whisper::{Whisper, WhisperConfig},
        tts::{CommandTts, CommandTtsConfig},
    },
    transport,
};
use sidetone_cli::phone;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // What hears, what answers, and what speaks.
    let hears = Whisper::load(WhisperConfig::new(sidetone_models::resolve("demo")?))?;
    let answers = ScriptLlm::new(Script::embedded());
    let speaks = CommandTts::new(CommandTtsConfig::espeak(None))?;
    let mut config = CallConfig::default();
    config.agent.greeting = "Hello, how can I help?".into();
    let engine = Engine::builder()
        .stt(Arc::new(hears))
        .llm(Arc::new(answers))
        .tts(Arc::new(speaks))
        .config(config)
        .build()?;
    engine.warm_up().await?;

    // Answer every WebSocket.
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("ws://{}/", listener.local_addr()?);
    let server = tokio::spawn(answer_all(engine.clone(), listener));

    // Print both sides while a caller calls.
    let conversation = tokio::spawn(print_conversation(engine.events()));
    let report = call(url).await?;
    engine.drain(Duration::from_secs(5)).await;
    server.abort();
    conversation.await?;
    if let Some((_, turn, failure)) = report.failures().next() {
        return Err(format!("{:?}: {failure:?}", turn.text).into());
    }
    Ok(())
}

async fn answer_all(engine: Engine, listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        if let Ok(socket) = tokio_tungstenite::accept_async(stream).await {
            engine.accept(transport::tungstenite(socket), Twilio::default());
        }
    }
}

async fn print_conversation(mut events: EventStream) {
    while let Some(Ok(record)) = events.recv().await {
        let at = Duration::from_millis(record.at_ms).as_secs_f64();
        match &record.event {
            CallEvent::AgentSentence { text, .. } => println!("{at:>6.2} s  agent   {text}"),
            CallEvent::TranscriptFinal { text, .. } => println!("{at:>6.2} s  caller  {text}"),
            CallEvent::CallEnded { reason, .. } => {
                println!("{at:>6.2} s  ended   {reason:?}");
                return;
            }
            _ => {}
        }
    }
}

/// Somebody on the phone.
async fn call(url: String) -> Result<phone::CallReport, Box<dyn Error>> {
    let recordings = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/demo"));
    let line = |text, file| -> Result<_, phone::ScenarioError> {
        let audio = phone::load_audio(&recordings.join(file))?;
        Ok(phone::Line::new(
            text,
            audio,
            phone::When::AgentSilenceMs(700),
        ))
    };
    let script = phone::Script::new(vec![
        line("where is my order", "1-where.wav")?,
        line("thank you goodbye", "5-goodbye.wav")?,
    ]);
    let target = phone::Target {
        entry: phone::Entry::Stream(url, BTreeMap::new()),
        connect: None,
        auth_token: None,
    };
    let identity = phone::CallIdentity::random(None);
    Ok(phone::call(&target, Arc::new(script), identity, false, |_, _| {}).await?)
}
