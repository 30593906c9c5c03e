//! The HTTP server that Twilio connects to: webhooks, the media stream's WebSocket, health and
//! metrics; and, with a store, the call-control API (`docs/api.md`).
//!
//! [`Server`] is the whole of it, as `sidetone serve` runs it. A program with an axum server of
//! its own mounts the [`router`] instead:
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use sidetone_server::{Config, ServerState, engine, router};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::load(None)?;
//! let phone = ServerState::new(&config, engine(&config).await?)?;
//! let app = Router::new()
//!     .route("/", get(|| async { "Call us!" }))
//!     .merge(router(phone.clone()));
//!
//! let listener = tokio::net::TcpListener::bind(config.server.listen).await?;
//! phone.warm_up().await;
//! axum::serve(listener, app)
//!     .with_graceful_shutdown(async move {
//!         // Whatever tells this program to end.
//!         phone.drain();
//!         phone.idle().await;
//!     })
//!     .await?;
//! # Ok(())
//! # }
//! ```

mod admission;
mod api;
mod archive;
mod audit;
pub mod auth;
pub mod config;
mod console;
mod feed;
mod http;
mod metrics;
mod people;
mod placing;
mod providers;
pub mod recording;
mod routes;
mod server;
pub mod signature;
mod state;
pub mod store;
pub mod twilio;
pub mod twiml;
pub mod webhooks;

pub use archive::Archive;
pub use config::{Config, ConfigError};
pub use console::CONSOLE_PATH;
pub use providers::{SetupError, check, engine};
pub use routes::{MEDIA_PATH, STATUS_PATH, VOICE_PATH, router};
pub use server::{RunningServer, Server, ServerError, Shutdown};
pub use state::ServerState;
