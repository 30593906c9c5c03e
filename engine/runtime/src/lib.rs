//! A real-time voice engine for phone calls: the embedding API.
//!
//! An [`Engine`] answers calls. It takes the audio of a leg (Twilio Media Streams over a
//! WebSocket, say) from a [transport], finds speech in it, has it transcribed, hands each
//! turn to a language model and speaks the answer back as it is written. Callers can interrupt,
//! and what the model is told it said is what the caller heard.
//!
//! # A server in twenty lines
//!
//! Any HTTP server that can upgrade to a WebSocket will do; this one is axum's. Point a
//! `<Connect><Stream url="wss://…/media"/></Connect>` at it.
//!
//! ```no_run
//! # #[cfg(feature = "axum")]
//! # mod example {
//! use std::{error::Error, sync::Arc};
//!
//! use axum::{Router, extract::{State, WebSocketUpgrade}, response::Response, routing::get};
//! use sidetone::{Engine, core::dialect::twilio::Twilio, transport};
//! use sidetone::speech::{
//!     llm::{OpenAiLlm, OpenAiLlmConfig},
//!     stt::{OpenAiStt, OpenAiSttConfig},
//!     tts::{CommandTts, CommandTtsConfig},
//! };
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn Error>> {
//!     let engine = Engine::builder()
//!         .stt(Arc::new(OpenAiStt::new(OpenAiSttConfig::default())?))
//!         .llm(Arc::new(OpenAiLlm::new(OpenAiLlmConfig::default())?))
//!         .tts(Arc::new(CommandTts::new(CommandTtsConfig::espeak(None))?))
//!         .build()?;
//!     let app = Router::new().route("/media", get(media)).with_state(engine);
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//!     Ok(axum::serve(listener, app).await?)
//! }
//!
//! async fn media(State(engine): State<Engine>, upgrade: WebSocketUpgrade) -> Response {
//!     upgrade.max_message_size(64 * 1024).on_upgrade(async move |socket| {
//!         engine.accept(transport::axum(socket), Twilio::default());
//!     })
//! }
//! # }
//! ```
//!
//! # What there is
//!
//! - [`Engine::accept`] answers a call in a task of its own and returns a [`CallHandle`], which
//!   speaks, hangs up, and tells how the call went. [`AcceptOptions`] can refuse a stream that
//!   does not carry the right token.
//! - [`Engine::events`] and [`CallHandle::events`] tell what happens, as it happens: turns,
//!   transcripts, interruptions, latencies. [`EventLog`] writes the same to a file.
//! - [`Engine::drain`] ends the engine's work in an orderly way.
//! - [`transport`] holds the sockets: axum's, tokio-tungstenite's, one in memory for tests, and
//!   the seam for yours. [`speech`] holds the services and the traits for yours, [`core`] the
//!   call itself, its configuration and its vocabulary.
//!
//! # What to rely on
//!
//! Each call is one task that owns everything it touches; calls wait for nothing of each other's.
//! Whatever can fill up is bounded: a leg that does not read, a service that says too much, a
//! subscriber that does not listen cost themselves something and nobody else. A panic in a part
//! plugged into a call ends that call as
//! [`InternalError`](core::event::EndReason::InternalError).
//!
//! The engine logs through `tracing`, in a span `call` that carries the call's id: reasons and
//! numbers, never what was said, pressed, or passed along. Events do carry what was said.
//! tungstenite, below the WebSockets, logs whole messages at its level `trace`: keep that level
//! off for it.

#[cfg(feature = "offline")]
pub mod offline;
pub mod transport;

mod ask;
mod driver;
mod engine;
mod event_log;
mod events;
mod handle;
mod jobs;
mod leg;
mod people;
mod person;
mod tap;

pub use ask::{AskError, Question};
pub use engine::{BuildError, Engine, EngineBuilder, WarmUpError};
pub use event_log::{EventLog, EventLogError};
pub use events::{CallId, CallSummary, EventRecord, EventStream, EventsMissed};
pub use handle::{AcceptOptions, CallHandle, CallOver};
pub use leg::LegLimits;
pub use person::{PersonError, PersonLeg, PersonReceiver, PersonSender};
pub use sidetone_core as core;
pub use sidetone_speech as speech;
pub use tap::{AudioTap, TappedAudio};
