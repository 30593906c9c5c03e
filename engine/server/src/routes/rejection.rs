//! What those are told who are not served.

use axum::{
    extract::ws::rejection::WebSocketUpgradeRejection,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

/// When a refused socket may come back, in seconds.
const RETRY_AFTER: &str = "10";

/// Why a request is not served.
#[derive(Debug)]
pub(super) enum Rejection {
    /// Twilio did not sign it.
    Signature,
    /// Its form took too long.
    Slow,
    /// Its form is too long, or broke off.
    Form,
    /// It opens no WebSocket.
    Upgrade(WebSocketUpgradeRejection),
    /// No more calls are taken now.
    Busy,
    /// No such call was placed, or it has its stream.
    NotPlaced,
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        match self {
            Self::Signature => {
                (StatusCode::FORBIDDEN, "the signature does not match\n").into_response()
            }
            Self::Slow => StatusCode::REQUEST_TIMEOUT.into_response(),
            Self::Form => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
            Self::NotPlaced => {
                (StatusCode::NOT_FOUND, "no such call is waited for\n").into_response()
            }
            Self::Upgrade(rejection) => rejection.into_response(),
            Self::Busy => (
                StatusCode::SERVICE_UNAVAILABLE,
                [(header::RETRY_AFTER, RETRY_AFTER)],
                "all lines are busy\n",
            )
                .into_response(),
        }
    }
}
