//! The HTTP server that Twilio connects to.

mod admission;
pub mod config;
mod http;
mod metrics;
mod providers;
mod routes;
mod server;
pub mod signature;
mod state;
mod twiml;

pub use config::{Config, ConfigError};
pub use providers::{SetupError, check, engine};
pub use routes::{MEDIA_PATH, STATUS_PATH, VOICE_PATH, router};
pub use server::{RunningServer, Server, ServerError, Shutdown};
pub use state::ServerState;
