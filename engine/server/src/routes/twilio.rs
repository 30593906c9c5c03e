//! Twilio's webhooks.

use std::time::Instant;

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use tracing::{info, warn};

use super::{
    MEDIA_PATH, STATUS_PATH,
    origin::{Scheme, public_url},
    signed::SignedForm,
};
use crate::{
    admission::Closed,
    metrics::Refusal,
    state::ServerState,
    store::{Direction, ExpectedCall},
    twilio::{CallStatus, Form, Report, StreamEvent},
    twiml,
};

/// A call comes in: what to do with it?
pub(super) async fn voice(
    State(state): State<ServerState>,
    SignedForm { parts, form }: SignedForm,
) -> Response {
    let shared = &*state.0;
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
    ([(header::CONTENT_TYPE, "text/xml; charset=utf-8")], twiml).into_response()
}

/// What a webhook tells of the call that is to begin.
fn expected(form: &Form) -> ExpectedCall {
    let field = |name| excerpt(form.get(name).unwrap_or_default()).to_owned();
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

/// How a call, a stream or a recording fares, and who answered: counted, written to the log, and
/// told to whoever [listens](ServerState::twilio_reports).
pub(super) async fn status(
    State(state): State<ServerState>,
    SignedForm { form, .. }: SignedForm,
) -> StatusCode {
    match Report::read(&form) {
        Ok(report) => {
            note(&state, &report);
            state.report(report);
        }
        Err(error) => {
            state.0.metrics.status("other");
            warn!(%error, "Twilio reports what makes no sense");
        }
    }
    StatusCode::NO_CONTENT
}

fn note(state: &ServerState, report: &Report) {
    let metrics = &state.0.metrics;
    let call_sid = report.call_sid();
    match report {
        Report::Stream(stream) => {
            let event = match stream.event {
                StreamEvent::Started => "stream-started",
                StreamEvent::Stopped => "stream-stopped",
                StreamEvent::Failed => "stream-error",
                StreamEvent::Unknown => "other",
            };
            metrics.status(event);
            if stream.event == StreamEvent::Failed {
                let error = stream.error.as_deref().unwrap_or_default();
                warn!(%call_sid, error = ?excerpt(error), "Twilio reports an error of a stream");
            } else {
                info!(%call_sid, event, "Twilio reports on a stream");
            }
        }
        Report::Call(call) => {
            let status = match call.status {
                CallStatus::Unknown => "other",
                status => status.as_str(),
            };
            metrics.status(status);
            info!(%call_sid, status, "Twilio reports on a call");
        }
        Report::Machine(machine) => {
            info!(%call_sid, answered_by = ?machine.answered_by, "Twilio reports who answered");
        }
        Report::Recording(recording) => {
            info!(%call_sid, status = ?excerpt(&recording.status), "Twilio reports on a recording");
        }
    }
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
