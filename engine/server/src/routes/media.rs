//! The media stream's WebSocket.

use std::{sync::Arc, time::Instant};

use axum::{
    extract::{Path, State, WebSocketUpgrade, ws::rejection::WebSocketUpgradeRejection},
    http::{HeaderMap, Uri},
    response::Response,
};
use sidetone::{AcceptOptions, CallId, transport};
use sidetone_core::dialect::{Start, twilio::Twilio};

use super::{
    origin::{Scheme, check_signature},
    rejection::Rejection,
};
use crate::{
    admission::Place,
    metrics::Refusal,
    state::{ServerState, Shared},
    twiml::TOKEN_PARAMETER,
};

/// The longest message taken from a leg, in bytes. Twilio's have some hundred.
const MAX_MESSAGE: usize = 256 * 1024;

/// What a socket reads at once, in bytes; kept for each call.
const READ_BUFFER: usize = 4 * 1024;

/// Answers a call on a WebSocket.
pub(super) async fn media(
    State(state): State<ServerState>,
    headers: HeaderMap,
    uri: Uri,
    upgrade: Upgrade,
) -> Result<Response, Rejection> {
    check_signature(&state.0, &headers, Scheme::WebSocket, &uri, &[])?;
    accept(state, upgrade, AcceptOptions::new())
}

/// Answers a call that was placed.
pub(super) async fn placed(
    State(state): State<ServerState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    uri: Uri,
    upgrade: Upgrade,
) -> Result<Response, Rejection> {
    check_signature(&state.0, &headers, Scheme::WebSocket, &uri, &[])?;
    let id = CallId::from(id);
    // It has one stream.
    let placed = state.0.placing.get(&id).ok_or(Rejection::NotPlaced)?;
    if state.0.engine.call(&id).is_some() {
        return Err(Rejection::NotPlaced);
    }
    let options = AcceptOptions::new()
        .call_id(id)
        .agent(placed.agent)
        .conversation(placed.conversation);
    accept(state, upgrade, options)
}

pub(super) type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

/// Bounds a socket that carries audio.
pub(super) fn for_audio(upgrade: WebSocketUpgrade) -> WebSocketUpgrade {
    upgrade
        .read_buffer_size(READ_BUFFER)
        // Every message goes out at once.
        .write_buffer_size(0)
        .max_write_buffer_size(MAX_MESSAGE)
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
}

fn accept(
    state: ServerState,
    upgrade: Upgrade,
    options: AcceptOptions,
) -> Result<Response, Rejection> {
    let shared = &state.0;
    let upgrade = upgrade.map_err(Rejection::Upgrade)?;
    let place = shared.admission.connect(Instant::now()).map_err(|closed| {
        shared.metrics.refused(closed.into());
        Rejection::Busy
    })?;
    let place = Arc::new(place);
    Ok(for_audio(upgrade).on_upgrade(move |socket| async move {
        let authorize = {
            let (state, place) = (state.clone(), Arc::clone(&place));
            move |start: &Start| authorize(&state.0, &place, start)
        };
        let call = state.0.engine.accept_with(
            transport::axum(socket),
            Twilio::new(),
            options.authorize(authorize),
        );
        if let Some(archive) = &state.0.archive {
            archive.follow(&call);
        }
        call.ended().await;
        // It was answered, and is in the store by its own events.
        state.0.placing.take(call.id());
        drop(place);
    }))
}

/// Whether the stream belongs to a call that a webhook let in. Without an auth token anybody may
/// stream, but a token that is shown must still be good.
fn authorize(shared: &Shared, place: &Place, start: &Start) -> bool {
    let account = start.account_id.as_deref().unwrap_or_default();
    let ours = shared.account_sid.is_empty() || account == shared.account_sid;
    let admitted = ours
        && match start.parameters.get(TOKEN_PARAMETER) {
            Some(token) => place.start_with_token(token, Instant::now()),
            None if shared.auth_token.is_none() => {
                place.start();
                true
            }
            None => false,
        };
    if !admitted {
        shared.metrics.refused(Refusal::Token);
    }
    admitted
}
