//! For whoever watches the server.

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::state::ServerState;

pub(super) async fn healthz() -> &'static str {
    "ok\n"
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
    if let Some(archive) = state.archive() {
        state.0.metrics.store(&archive.writer().status());
    }
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        state.0.metrics.render(state.active_calls()),
    )
}
