//! A language model of your own: anything that turns a conversation into words.
//!
//! This one repeats what it hears, and hangs up when it is thanked. A simulated phone calls
//! it and says two things:
//!
//! ```sh
//! cargo run --example custom_llm
//! ```
//!
//! The agent's voice is `espeak-ng`, which must be installed.
#![allow(clippy::print_stdout, reason = "what an example shows, it prints")]

use std::{collections::BTreeMap, error::Error, path::Path, sync::Arc};

use sidetone::{
    Engine,
    core::{
        conversation::Role,
        dialect::twilio::Twilio,
        event::{CallEvent, EndReason},
        job::{LlmEvent, LlmJob},
    },
    speech::{
        JobHandle, Llm, Sink, SinkClosed,
        stt::whisper::{Whisper, WhisperConfig},
        tts::{CommandTts, CommandTtsConfig},
    },
    transport,
};
use sidetone_cli::phone;
use tokio::net::TcpListener;

/// Repeats what it hears.
struct Parrot;

impl Llm for Parrot {
    /// Called on the call's own task: starts the work and returns at once. When the caller
    /// interrupts, the engine drops the handle, and with it the work.
    fn start(&self, job: LlmJob, sink: Sink<LlmEvent>) -> JobHandle {
        JobHandle::spawn(async move {
            // A call that is over listens to nothing; there is nobody left to tell.
            let _ = answer(&job, &sink).await;
        })
    }
}

async fn answer(job: &LlmJob, sink: &Sink<LlmEvent>) -> Result<(), SinkClosed> {
    let heard = job
        .messages
        .iter()
        .rfind(|message| message.role == Role::Caller);
    let heard = heard.map_or("nothing", |message| &message.text);
    // A real model's words come one by one. What makes a sentence is spoken at once.
    for word in format!("You said: {heard}.").split_inclusive(' ') {
        let text = word.to_owned();
        sink.send(LlmEvent::Delta { text }).await?;
    }
    let hang_up = heard.to_lowercase().contains("thank");
    sink.send(LlmEvent::Done { hang_up }).await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let hears = Whisper::load(WhisperConfig::new(sidetone_models::resolve("demo")?))?;
    let speaks = CommandTts::new(CommandTtsConfig::espeak(None))?;
    let engine = Engine::builder()
        .stt(Arc::new(hears))
        .llm(Arc::new(Parrot))
        .tts(Arc::new(speaks))
        .build()?;
    engine.warm_up().await?;

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let caller = call(format!("ws://{}/", listener.local_addr()?));
    let (reason, ()) = tokio::try_join!(answer_one(engine, listener), caller)?;
    match reason {
        EndReason::AgentHungUp => Ok(()),
        _ => Err("the parrot was not thanked".into()),
    }
}

/// Answers one call and prints both sides of it.
async fn answer_one(engine: Engine, listener: TcpListener) -> Result<EndReason, Box<dyn Error>> {
    let (stream, _) = listener.accept().await?;
    let socket = tokio_tungstenite::accept_async(stream).await?;
    let call = engine.accept(transport::tungstenite(socket), Twilio::default());
    let mut events = call.events();
    while let Some(Ok(record)) = events.recv().await {
        match &record.event {
            CallEvent::TranscriptFinal { text, .. } => println!("caller  {text}"),
            CallEvent::AgentFinished { heard, .. } => println!("agent   {heard}"),
            CallEvent::TurnMetrics(metrics) => println!("        after {} ms", metrics.total_ms),
            _ => {}
        }
    }
    let summary = call.ended().await;
    println!(
        "ended   {:?} after {:.1?}",
        summary.reason, summary.duration
    );
    Ok(summary.reason)
}

/// Somebody on the phone, who speaks when the agent has been silent for a while.
async fn call(url: String) -> Result<(), Box<dyn Error>> {
    let recordings = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/demo"));
    let line = |text, file, when| -> Result<_, phone::ScenarioError> {
        let audio = phone::load_audio(&recordings.join(file))?;
        Ok(phone::Line::new(text, audio, when))
    };
    let (first, then) = (
        phone::When::PauseMs(1_000),
        phone::When::AgentSilenceMs(700),
    );
    let script = phone::Script::new(vec![
        line("where is my order", "1-where.wav", first)?,
        line("thank you goodbye", "5-goodbye.wav", then)?,
    ]);
    let target = phone::Target {
        entry: phone::Entry::Stream(url, BTreeMap::new()),
        connect: None,
        auth_token: None,
    };
    let identity = phone::CallIdentity::random(None);
    phone::call(&target, Arc::new(script), identity, false, |_, _| {}).await?;
    Ok(())
}
