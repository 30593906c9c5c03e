//! The WebSocket of a person's leg.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{State, WebSocketUpgrade, ws::rejection::WebSocketUpgradeRejection},
    http::{HeaderMap, header},
    response::Response,
};
use reqwest::Url;

use super::{
    Api,
    extract::CallPath,
    problem::{Kind, Problem, ProblemBody},
};
use crate::{
    auth::principal::{Means, Viewer},
    people::{browser, guest::Guest},
};

/// What a socket reads at once, in bytes; kept for each leg.
const READ_BUFFER: usize = 4 * 1024;

/// How many legs may be open at the same time, of all calls together.
pub(crate) const MAX_LEGS: usize = 1_024;

/// A person's leg of a live call, as a WebSocket: they hear it, and speak with the agent or the caller.
///
/// Text messages are JSON. The first is `{"type":"join","mode":…,"audio":"opus"|"pcm","rate":48000}`, and
/// is answered by `joined` or `refused`; then `{"type":"mode","mode":…}` and `{"type":"leave"}` at any
/// time, and `mode`, `refused` and `closed` in answer. Binary messages are 20 ms of audio each: an Opus
/// packet, or 16-bit little-endian PCM. All of it is in `docs/people.md`. A viewer may `monitor`; the other
/// modes need the role `operator`. A browser's session must come from a page of this server.
#[utoipa::path(
    get,
    path = "/api/calls/{id}/leg",
    tag = "watch",
    operation_id = "openLeg",
    params(("id" = String, Path, description = "The call's id.", example = "call-0123456789ab")),
    responses(
        (status = 101, description = "The leg is open."),
        (status = 403, description = "The page that asks is of another site.", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = 409, description = "The call is over, or nobody has answered it yet.", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = 426, description = "The request opens no WebSocket.", body = ProblemBody,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn open(
    Viewer(who): Viewer,
    State(api): State<Arc<Api>>,
    CallPath(id): CallPath,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    if matches!(who.means, Means::Session { .. }) && !is_own_page(&headers, &api.public_url) {
        return Err(Problem::new(
            Kind::Forbidden,
            "A session's leg is opened by a page of this server: the header `Origin` names another. Behind \
             a proxy, `server.public_url` must be the address that the browser sees.",
        ));
    }
    let call = api.running(&id).await?;
    let upgrade = upgrade.map_err(|_| {
        Problem::new(
            Kind::Upgrade,
            "A leg is a WebSocket: send the headers that open one.",
        )
    })?;
    let place = Arc::clone(&api.legs).try_acquire_owned().map_err(|_| {
        Problem::new(
            Kind::Unavailable,
            "Too many people's legs are open on this server.",
        )
        .retry_after(Duration::from_secs(10))
    })?;
    let guest = Guest::new(who);
    Ok(upgrade
        .read_buffer_size(READ_BUFFER)
        // Every message goes out at once.
        .write_buffer_size(0)
        .max_write_buffer_size(2 * browser::MAX_MESSAGE)
        .max_message_size(browser::MAX_MESSAGE)
        .max_frame_size(browser::MAX_MESSAGE)
        .on_upgrade(move |socket| async move {
            browser::serve(api, guest, call, socket).await;
            drop(place);
        }))
}

/// Whether the page that sends a request is this server's own. A browser always says, and no page can
/// have it say something else; other sites could open a WebSocket with the session's cookie otherwise.
fn is_own_page(headers: &HeaderMap, public_url: &str) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(origin) = text(header::ORIGIN).and_then(|origin| Url::parse(origin).ok()) else {
        return false;
    };
    if !matches!(origin.scheme(), "http" | "https") {
        return false;
    }
    let is_public = Url::parse(public_url).is_ok_and(|public| public.origin() == origin.origin());
    // Reached without the proxy, at the address that the browser asked.
    let is_asked = text(header::HOST)
        .and_then(|host| Url::parse(&format!("{}://{host}", origin.scheme())).ok())
        .is_some_and(|asked| asked.origin() == origin.origin());
    is_public || is_asked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_own(origin: Option<&str>, host: &str, public_url: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        is_own_page(&headers, public_url)
    }

    #[test]
    fn a_page_of_this_server_may() {
        let public = "https://voice.example.com";
        for (origin, host) in [
            ("https://voice.example.com", "10.0.0.1:8080"),
            ("https://voice.example.com:443", "internal"),
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://localhost:8080", "LOCALHOST:8080"),
            ("https://voice.example.com", "voice.example.com"),
        ] {
            assert!(is_own(Some(origin), host, public), "{origin} {host}");
        }
    }

    #[test]
    fn a_page_of_another_site_may_not() {
        let public = "https://voice.example.com";
        for origin in [
            "https://evil.example",
            "https://voice.example.com.evil.example",
            "http://voice.example.com:81",
            "https://voice.example.com:444",
            "null",
            "",
            "file:///",
            "https://127.0.0.1:8080@evil.example",
        ] {
            assert!(!is_own(Some(origin), "127.0.0.1:8080", public), "{origin}");
        }
        assert!(!is_own(None, "127.0.0.1:8080", public), "no browser");
        assert!(!is_own(Some("https://evil.example"), "127.0.0.1", ""));
    }
}
