//! Twilio's webhooks.

use std::time::{Duration, Instant};

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use tokio::time::timeout;
use tracing::{info, warn};

use super::{
    MEDIA_PATH, STATUS_PATH,
    origin::{Scheme, check_signature, public_url},
    rejection::Rejection,
};
use crate::{
    admission::Closed,
    metrics::Refusal,
    state::{ServerState, Shared},
    store::{Direction, ExpectedCall},
    twiml,
};

/// A webhook's form is shorter than this, in bytes; Twilio's have about 1 KiB.
const MAX_FORM: usize = 64 * 1024;

/// A webhook's form arrives within this time.
const FORM_TIMEOUT: Duration = Duration::from_secs(10);

/// What Twilio may report, as it may be counted.
const STREAM_EVENTS: [&str; 3] = ["stream-started", "stream-stopped", "stream-error"];
const CALL_STATUSES: [&str; 9] = [
    "queued",
    "initiated",
    "ringing",
    "in-progress",
    "completed",
    "busy",
    "failed",
    "no-answer",
    "canceled",
];

/// A call comes in: what to do with it?
pub(super) async fn voice(
    State(state): State<ServerState>,
    request: Request,
) -> Result<Response, Rejection> {
    let shared = &*state.0;
    let (parts, form) = signed_form(shared, request).await?;
    let twiml = match shared.admission.issue(Instant::now()) {
        Ok(token) => {
            if let Some(archive) = &shared.archive {
                archive.writer().expect_call(expected(&form));
            }
            let url = |scheme, path| public_url(shared, &parts.headers, scheme, path);
            twiml::connect(
                &url(Scheme::WebSocket, MEDIA_PATH),
                &url(Scheme::Http, STATUS_PATH),
                &token,
            )
        }
        Err(closed) => {
            shared.metrics.refused(closed.into());
            twiml::busy(&shared.language)
        }
    };
    Ok(([(header::CONTENT_TYPE, "text/xml; charset=utf-8")], twiml).into_response())
}

/// What a webhook tells of the call that is to begin.
fn expected(form: &[(String, String)]) -> ExpectedCall {
    let field = |name| {
        let field = form.iter().find(|(field, _)| field == name);
        field.map_or("", |(_, value)| excerpt(value)).to_owned()
    };
    let direction = if field("Direction").starts_with("outbound") {
        Direction::Outbound
    } else {
        Direction::Inbound
    };
    ExpectedCall {
        provider_call_id: field("CallSid"),
        direction,
        from: field("From"),
        to: field("To"),
        ..ExpectedCall::default()
    }
}

/// How a call or a stream fares.
pub(super) async fn status(
    State(state): State<ServerState>,
    request: Request,
) -> Result<StatusCode, Rejection> {
    let (_, form) = signed_form(&state.0, request).await?;
    let field = |name| {
        form.iter()
            .find(|(field, _)| field == name)
            .map(|(_, value)| value.as_str())
    };
    let known = |field: Option<&str>, names: &[&'static str]| {
        let field = field?;
        Some(
            *names
                .iter()
                .find(|name| **name == field)
                .unwrap_or(&"other"),
        )
    };
    let call_sid = field("CallSid").filter(|sid| is_call_sid(sid));
    if let Some(event) = known(field("StreamEvent"), &STREAM_EVENTS) {
        state.0.metrics.status(event);
        if event == "stream-error" {
            let error = field("StreamError").unwrap_or_default();
            warn!(call_sid, error = ?excerpt(error), "Twilio reports an error of a stream");
        } else {
            info!(call_sid, event, "Twilio reports on a stream");
        }
    }
    if let Some(call) = known(field("CallStatus"), &CALL_STATUSES) {
        state.0.metrics.status(call);
        info!(call_sid, status = call, "Twilio reports on a call");
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The fields of a form that Twilio signed, in their order.
async fn signed_form(
    shared: &Shared,
    request: Request,
) -> Result<(Parts, Vec<(String, String)>), Rejection> {
    let (parts, body) = request.into_parts();
    let form = read_form(body).await?;
    check_signature(shared, &parts.headers, Scheme::Http, &parts.uri, &form)?;
    Ok((parts, form))
}

async fn read_form(body: Body) -> Result<Vec<(String, String)>, Rejection> {
    let bytes = timeout(FORM_TIMEOUT, to_bytes(body, MAX_FORM))
        .await
        .map_err(|_| Rejection::Slow)?
        .map_err(|_| Rejection::Form)?;
    Ok(form_urlencoded::parse(&bytes).into_owned().collect())
}

/// `CA` and letters and digits: without signatures it may be anything.
fn is_call_sid(text: &str) -> bool {
    text.starts_with("CA") && text.len() <= 34 && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// Enough of a text to see what it is about.
fn excerpt(text: &str) -> &str {
    text.char_indices()
        .nth(200)
        .map_or(text, |(end, _)| &text[..end])
}

impl From<Closed> for Refusal {
    fn from(closed: Closed) -> Self {
        match closed {
            Closed::Busy => Self::Busy,
            Closed::Draining => Self::Draining,
        }
    }
}
