//! Phone calls in a web server of your own: a route beside the others.
//!
//! ```sh
//! cargo run --example embed_axum               # calls itself once and ends
//! cargo run --example embed_axum -- --serve    # listens on 127.0.0.1:8080 until Ctrl-C
//! ```
//!
//! To have a real number answered, make the server reachable and give the number this TwiML:
//! `<Response><Connect><Stream url="wss://your.host/media"><Parameter name="token"
//! value="…"/></Stream></Connect></Response>`. A server on the open internet also checks Twilio's
//! signature, as `sidetone serve` does.
//!
//! The agent's voice is `espeak-ng`, which must be installed.
#![allow(clippy::print_stdout, reason = "what an example shows, it prints")]

use std::{collections::BTreeMap, env, error::Error, path::Path, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{State, WebSocketUpgrade},
    response::Response,
    routing::get,
};
use sidetone::{
    AcceptOptions, Engine,
    core::{config::CallConfig, dialect::twilio::Twilio},
    speech::{
        llm::{Script, ScriptLlm},
        stt::whisper::{Whisper, WhisperConfig},
        tts::{CommandTts, CommandTtsConfig},
    },
    transport,
};
use sidetone_cli::phone;
use tokio::{net::TcpListener, signal};

/// What a stream must know to be answered. A real server hands out another one to every call.
const TOKEN: &str = "only-for-this-example";
/// The longest message a leg may send. Twilio's have a few hundred bytes.
const MAX_MESSAGE_BYTES: usize = 64 * 1024;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let serve = env::args().any(|argument| argument == "--serve");
    let engine = engine()?;
    engine.warm_up().await?;
    let app = Router::new()
        .route("/", get(status))
        .route("/media", get(media))
        .with_state(engine.clone());
    let address = if serve {
        "127.0.0.1:8080"
    } else {
        "127.0.0.1:0"
    };
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    println!("http://{address}/ says how it goes, ws://{address}/media takes calls");
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    if serve {
        signal::ctrl_c().await?;
    } else {
        call(format!("ws://{address}/media")).await?;
    }
    // No new calls; those that go on may end by themselves.
    server.abort();
    engine.drain(Duration::from_secs(30)).await;
    Ok(())
}

fn engine() -> Result<Engine, Box<dyn Error>> {
    let hears = Whisper::load(WhisperConfig::new(sidetone_models::resolve("demo")?))?;
    let mut config = CallConfig::default();
    config.agent.greeting = "Hello, how can I help?".into();
    let engine = Engine::builder()
        .stt(Arc::new(hears))
        .llm(Arc::new(ScriptLlm::new(Script::embedded())))
        .tts(Arc::new(CommandTts::new(CommandTtsConfig::espeak(None))?))
        .config(config)
        .build()?;
    Ok(engine)
}

/// A page of your own.
async fn status(State(engine): State<Engine>) -> String {
    format!("{} calls\n", engine.active_calls())
}

/// The route that Twilio connects to.
async fn media(State(engine): State<Engine>, upgrade: WebSocketUpgrade) -> Response {
    upgrade
        .max_message_size(MAX_MESSAGE_BYTES)
        // axum's own default would hold 128 KiB for each direction of every call.
        .read_buffer_size(8 * 1024)
        .write_buffer_size(8 * 1024)
        .on_upgrade(async move |socket| {
            let options = AcceptOptions::new()
                .authorize(|start| start.parameters.get("token").is_some_and(|t| t == TOKEN));
            let transport = transport::axum(socket);
            let call = engine.accept_with(transport, Twilio::default(), options);
            let summary = call.ended().await;
            println!(
                "{}: {:?} after {:.1?}, {} turns",
                summary.call_id, summary.reason, summary.duration, summary.counters.turns
            );
        })
}

/// Somebody on the phone.
async fn call(url: String) -> Result<(), Box<dyn Error>> {
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
    let token = BTreeMap::from([("token".into(), TOKEN.into())]);
    let target = phone::Target {
        entry: phone::Entry::Stream(url, token),
        connect: None,
        auth_token: None,
    };
    let identity = phone::CallIdentity::random(None);
    let report = phone::call(&target, Arc::new(script), identity, false, |_, _| {}).await?;
    match report.failures().next() {
        Some((_, turn, failure)) => Err(format!("{:?}: {failure:?}", turn.text).into()),
        None => Ok(()),
    }
}
