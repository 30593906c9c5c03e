//! For whoever watches the server.

use axum::{
    extract::{RawQuery, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::state::ServerState;

/// Whether the process lives; with `?ready`, whether calls are welcome: for load balancers, most of
/// which cannot send a token. It says no more than they have to know.
pub(super) async fn healthz(
    State(state): State<ServerState>,
    RawQuery(query): RawQuery,
) -> (StatusCode, &'static str) {
    if query.as_deref() == Some("ready") && !state.is_ready() {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    } else {
        (StatusCode::OK, "ok\n")
    }
}

pub(super) async fn readyz(State(state): State<ServerState>) -> Response {
    if state.is_ready() {
        "ready\n".into_response()
    } else if state.0.admission.is_draining() {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "warming up\n").into_response()
    }
}

pub(super) async fn metrics(State(state): State<ServerState>) -> impl IntoResponse {
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        state.metrics(),
    )
}
