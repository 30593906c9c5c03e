//! The routes of the server.

mod health;
mod leg;
mod media;
mod origin;
mod rejection;
mod signed;
mod twilio;

use std::sync::Arc;

use axum::{
    Router,
    middleware::{from_fn, from_fn_with_state},
    routing::{get, post},
};

use crate::{
    api::{self, problem::name_instance},
    auth, console,
    state::ServerState,
};

/// Where Twilio asks what to do with a call.
pub const VOICE_PATH: &str = "/twilio/voice";
/// Where Twilio opens the media stream.
pub const MEDIA_PATH: &str = "/twilio/media";
/// Where Twilio opens the media stream of somebody who was called to the phone.
pub(crate) const LEG_PATH: &str = "/twilio/leg";
/// Where Twilio asks what to do with a call that was given away and comes back.
pub(crate) const TRANSFER_PATH: &str = "/twilio/transfer";
/// Where Twilio tells which key somebody pressed to whom a call is offered.
pub(crate) const ACCEPT_PATH: &str = "/twilio/accept";
/// Where Twilio asks what the call of somebody who was called to the phone does, once they answer.
pub(crate) const ANSWERED_PATH: &str = "/twilio/answered";
/// Where Twilio reports how calls, streams and recordings fare, and who answered.
pub const STATUS_PATH: &str = "/twilio/status";
/// Where Twilio opens the media stream of a call that was placed: [`MEDIA_PATH`] and its id.
const PLACED_MEDIA_PATH: &str = "/twilio/media/{call}";

/// The routes of the server, to be served alone or merged into another router:
///
/// | route | what it does | who may |
/// |---|---|---|
/// | `POST /twilio/voice` | answers with TwiML that connects the call to the media stream | Twilio |
/// | `GET /twilio/media` | the media stream's WebSocket | Twilio |
/// | `GET /twilio/leg` | the media stream of a person who was called to a call | Twilio |
/// | `POST /twilio/answered` | what the call of somebody does who was called to the phone | Twilio |
/// | `POST /twilio/transfer` | what becomes of a call that was given away | Twilio |
/// | `POST /twilio/accept` | which key somebody pressed to whom a call is offered | Twilio |
/// | `POST /twilio/status` | takes what Twilio reports about calls, streams and recordings | Twilio |
/// | `GET /healthz` | 200 while the process lives; with `?ready`, 503 while calls are not welcome | anybody |
/// | `GET /readyz` | 200 while calls are welcome, else 503 and why | a viewer |
/// | `GET /metrics` | metrics in Prometheus' text format | a viewer |
/// | `/api/…` | call control, as `GET /api/openapi.json` describes it | as it says |
/// | `/console` | the page for people: its files hold nothing, and everything in it comes from `/api` | anybody |
///
/// Whoever needs a token needs a state with an [`Archive`](crate::Archive), which knows the tokens:
/// without one, only Twilio's routes and `/healthz` are there, and nobody is called to the phone.
///
/// Served with [`axum::serve()`], the addresses that requests are limited by come from
/// `into_make_service_with_connect_info::<SocketAddr>()`.
pub fn router(state: ServerState) -> Router {
    let open = Router::new()
        .route(VOICE_PATH, post(twilio::voice))
        .route(MEDIA_PATH, get(media::media))
        .route(PLACED_MEDIA_PATH, get(media::placed))
        .route(LEG_PATH, get(leg::leg))
        .route(ANSWERED_PATH, post(twilio::person_answered))
        .route(TRANSFER_PATH, post(twilio::transferred))
        .route(ACCEPT_PATH, post(twilio::accepted))
        .route(STATUS_PATH, post(twilio::status))
        .route("/healthz", get(health::healthz));
    let Some(api) = state.0.api.clone() else {
        return open.with_state(state);
    };
    let watched = Router::new()
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .route_layer(from_fn_with_state(Arc::clone(&api.auth), auth::require))
        .route_layer(from_fn(name_instance));
    open.merge(watched)
        .with_state(state)
        .merge(api::router(api))
        .merge(console::router())
}
