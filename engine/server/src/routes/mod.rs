//! The routes of the server.

mod health;
mod media;
mod origin;
mod rejection;
mod signed;
mod twilio;

use axum::{
    Router,
    routing::{get, post},
};

use crate::state::ServerState;

/// Where Twilio asks what to do with a call.
pub const VOICE_PATH: &str = "/twilio/voice";
/// Where Twilio opens the media stream.
pub const MEDIA_PATH: &str = "/twilio/media";
/// Where Twilio reports how calls, streams and recordings fare, and who answered.
pub const STATUS_PATH: &str = "/twilio/status";

/// The routes of the server, to be served alone or merged into another router:
///
/// | route | what it does |
/// |---|---|
/// | `POST /twilio/voice` | answers with TwiML that connects the call to the media stream |
/// | `GET /twilio/media` | the media stream's WebSocket |
/// | `POST /twilio/status` | takes what Twilio reports about calls, streams and recordings |
/// | `GET /healthz` | 200 while the process lives |
/// | `GET /readyz` | 200 while calls are welcome, else 503 |
/// | `GET /metrics` | metrics in Prometheus' text format |
pub fn router(state: ServerState) -> Router {
    Router::new()
        .route(VOICE_PATH, post(twilio::voice))
        .route(MEDIA_PATH, get(media::media))
        .route(STATUS_PATH, post(twilio::status))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .with_state(state)
}
