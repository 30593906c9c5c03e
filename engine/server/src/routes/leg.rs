//! The WebSocket of the stream of somebody who was called to the phone.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};

use super::{
    media::{Upgrade, for_audio},
    origin::{Scheme, check_signature},
    rejection::Rejection,
};
use crate::{people::phone, state::ServerState};

/// Takes a stream that shows a join token when it starts.
pub(super) async fn leg(
    State(state): State<ServerState>,
    headers: HeaderMap,
    uri: Uri,
    upgrade: Upgrade,
) -> Result<Response, Rejection> {
    check_signature(&state.0, &headers, Scheme::WebSocket, &uri, &[])?;
    let upgrade = upgrade.map_err(Rejection::Upgrade)?;
    let api = state.0.api.as_ref().ok_or(Rejection::NotPlaced)?;
    let place = Arc::clone(&api.legs)
        .try_acquire_owned()
        .map_err(|_| Rejection::Busy)?;
    Ok(for_audio(upgrade).on_upgrade(move |socket| async move {
        phone::serve(state, socket).await;
        drop(place);
    }))
}
