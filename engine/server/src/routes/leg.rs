//! The WebSocket of the stream of somebody who was called to the phone.

use std::sync::Arc;

use axum::{
    extract::{State, WebSocketUpgrade, ws::rejection::WebSocketUpgradeRejection},
    http::{HeaderMap, Uri},
    response::Response,
};

use super::{
    media::{MAX_MESSAGE, READ_BUFFER},
    origin::{Scheme, check_signature},
    rejection::Rejection,
};
use crate::{people::phone, state::ServerState};

/// Takes a stream that shows a join token when it starts.
pub(super) async fn leg(
    State(state): State<ServerState>,
    headers: HeaderMap,
    uri: Uri,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Rejection> {
    check_signature(&state.0, &headers, Scheme::WebSocket, &uri, &[])?;
    let upgrade = upgrade.map_err(Rejection::Upgrade)?;
    let api = state.0.api.as_ref().ok_or(Rejection::NotPlaced)?;
    let place = Arc::clone(&api.legs)
        .try_acquire_owned()
        .map_err(|_| Rejection::Busy)?;
    Ok(upgrade
        .read_buffer_size(READ_BUFFER)
        // Every message goes out at once.
        .write_buffer_size(0)
        .max_write_buffer_size(MAX_MESSAGE)
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .on_upgrade(move |socket| async move {
            phone::serve(state, socket).await;
            drop(place);
        }))
}
