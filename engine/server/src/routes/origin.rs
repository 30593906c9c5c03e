//! Where a request was meant to go, and whether Twilio sent it.

use std::sync::atomic::Ordering;

use axum::http::{HeaderMap, Uri, header};
use tracing::{debug, warn};

use super::rejection::Rejection;
use crate::{
    metrics::Refusal,
    signature::{SIGNATURE_HEADER, verify},
    state::Shared,
};

/// How a public address is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    WebSocket,
}

/// The public address of `path`. Without a configured one, which only an insecure server may
/// lack, it is made from what the request says.
pub(super) fn public_url(
    shared: &Shared,
    headers: &HeaderMap,
    scheme: Scheme,
    path: &str,
) -> String {
    let base = if shared.public_url.is_empty() {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let host = text(header::HOST.as_str()).unwrap_or("localhost");
        let proxied = text("x-forwarded-proto") == Some("https");
        format!("{}://{host}", if proxied { "https" } else { "http" })
    } else {
        shared.public_url.clone()
    };
    match (scheme, base.strip_prefix("http")) {
        // http → ws, https → wss.
        (Scheme::WebSocket, Some(rest)) => format!("ws{rest}{path}"),
        _ => format!("{base}{path}"),
    }
}

/// Checks that Twilio signed the request for `uri` with the form's `parameters`.
///
/// # Errors
///
/// [`Rejection::Signature`].
pub(super) fn check_signature(
    shared: &Shared,
    headers: &HeaderMap,
    scheme: Scheme,
    uri: &Uri,
    parameters: &[(String, String)],
) -> Result<(), Rejection> {
    let Some(auth_token) = &shared.auth_token else {
        return Ok(());
    };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let url = public_url(shared, headers, scheme, path);
    let signed = headers.get(SIGNATURE_HEADER).is_some_and(|signature| {
        verify(auth_token.expose(), &url, parameters, signature.as_bytes())
    });
    if signed {
        return Ok(());
    }
    shared.metrics.refused(Refusal::Signature);
    if shared.bad_signature_logged.swap(true, Ordering::Relaxed) {
        debug!(
            path = uri.path(),
            "refused a request with a wrong signature"
        );
    } else {
        warn!(
            path = uri.path(),
            "refused a request that was not signed by Twilio for this server; if it was Twilio, \
             `server.public_url` is not the address it calls, or `twilio.auth_token` is another \
             account's. More of these are only counted"
        );
    }
    Err(Rejection::Signature)
}
