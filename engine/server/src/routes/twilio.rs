//! Twilio's webhooks.

use std::time::{Duration, Instant};

use axum::{
    extract::State,
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use sidetone::CallId;
use tokio::time::timeout;
use tracing::{info, warn};

use super::{
    MEDIA_PATH, STATUS_PATH,
    origin::{Scheme, public_url},
    signed::SignedForm,
};
use crate::{
    admission::Closed,
    metrics::Refusal,
    people::transfer::{self, After},
    placing::Machines,
    state::ServerState,
    store::{Direction, ExpectedCall},
    twilio::{AnsweredBy, CallStatus, Form, Report, StreamEvent},
    twiml,
};

/// A call that went away is over here this soon after Twilio says so: its stream has ended.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// A call comes in, or one that was placed was answered: what to do with it?
pub(super) async fn voice(
    State(state): State<ServerState>,
    SignedForm { parts, form }: SignedForm,
) -> Response {
    let shared = &*state.0;
    let twiml = match placed_call(&parts) {
        Some(id) => answered(&state, &parts, &form, &id).await,
        None => match shared.admission.issue(Instant::now()) {
            Ok(token) => {
                if let Some(archive) = &shared.archive {
                    archive.writer().expect_call(expected(&form));
                }
                connect(&state, &parts, MEDIA_PATH, &token)
            }
            Err(closed) => {
                shared.metrics.refused(closed.into());
                twiml::busy(&shared.language)
            }
        },
    };
    ([(header::CONTENT_TYPE, "text/xml; charset=utf-8")], twiml).into_response()
}

/// What to do with a call that was placed: what was ordered for it.
async fn answered(state: &ServerState, parts: &Parts, form: &Form, id: &CallId) -> String {
    let shared = &*state.0;
    let (Some(placed), Some(api)) = (shared.placing.get(id), &shared.api) else {
        // Nobody waits for it any more.
        return twiml::hang_up();
    };
    let who = form.get("AnsweredBy").map(excerpt);
    if let Some(who) = who {
        shared.placing.note(id, "answered_by", who.into());
        if AnsweredBy::read(who).is_machine()
            && placed.machines == Machines::HangUp
            && let Some(placed) = shared.placing.take(id)
        {
            api.unanswered(id, placed, "machine");
            return twiml::hang_up();
        }
    }
    if let Some(archive) = &shared.archive {
        let metadata = shared.placing.get(id).map(|placed| placed.metadata);
        archive.writer().expect_call(ExpectedCall {
            provider_call_id: excerpt(form.get("CallSid").unwrap_or_default()).to_owned(),
            direction: Direction::Outbound,
            from: placed.from,
            to: placed.to,
            metadata: metadata.unwrap_or(placed.metadata),
        });
    }
    connect(state, parts, &format!("{MEDIA_PATH}/{id}"), &placed.token)
}

/// A call was given away, and its part there is over: what becomes of it?
pub(super) async fn transferred(
    State(state): State<ServerState>,
    SignedForm { parts, form }: SignedForm,
) -> Response {
    let shared = &*state.0;
    let after = match (&shared.api, query(&parts, "transfer")) {
        (Some(api), Some(name)) => transfer::came_back(api, &shared.admission, &name, &form),
        _ => After::HangUp,
    };
    let twiml = match after {
        After::HangUp => twiml::hang_up(),
        After::Busy => twiml::busy(&shared.language),
        After::Back {
            former,
            call_id,
            token,
        } => {
            ended(&state, &former).await;
            if let (Some(archive), Some(placed)) = (&shared.archive, shared.placing.get(&call_id)) {
                archive.writer().expect_call(ExpectedCall {
                    metadata: placed.metadata,
                    ..expected(&form)
                });
            }
            connect(&state, &parts, &format!("{MEDIA_PATH}/{call_id}"), &token)
        }
    };
    ([(header::CONTENT_TYPE, "text/xml; charset=utf-8")], twiml).into_response()
}

/// Waits, but not for long, until a call that is over for Twilio is over here, and in the store.
async fn ended(state: &ServerState, id: &CallId) {
    if let Some(call) = state.0.engine.call(id) {
        let _ = timeout(END_TIMEOUT, call.ended()).await;
    }
    if let Some(api) = &state.0.api {
        api.catch_up().await;
    }
}

/// Somebody who was called to the phone answered, or their machine: what does their call do?
pub(super) async fn person_answered(
    State(state): State<ServerState>,
    SignedForm { parts, form }: SignedForm,
) -> Response {
    let twiml = match (&state.0.api, query(&parts, "offer")) {
        (Some(api), Some(name)) => {
            let answered = api.offers.answered(&name, &api.public_url, &form);
            answered.await.to_string()
        }
        _ => twiml::hang_up(),
    };
    ([(header::CONTENT_TYPE, "text/xml; charset=utf-8")], twiml).into_response()
}

/// Somebody to whom a call is offered pressed a key: what does their call do now?
pub(super) async fn accepted(
    State(state): State<ServerState>,
    SignedForm { parts, form }: SignedForm,
) -> Response {
    let twiml = match (&state.0.api, query(&parts, "transfer")) {
        (Some(api), Some(name)) => transfer::pressed(api, &name, &form).to_string(),
        _ => twiml::hang_up(),
    };
    ([(header::CONTENT_TYPE, "text/xml; charset=utf-8")], twiml).into_response()
}

/// The TwiML that connects a call to the media stream at `path`, opened by `token`.
fn connect(state: &ServerState, parts: &Parts, path: &str, token: &str) -> String {
    let url = |scheme, path: &str| public_url(&state.0, &parts.headers, scheme, path);
    twiml::connect(
        &url(Scheme::WebSocket, path),
        &url(Scheme::Http, STATUS_PATH),
        token,
    )
}

/// The call that was placed and whose webhook this is.
fn placed_call(parts: &Parts) -> Option<CallId> {
    query(parts, "call").map(CallId::from)
}

/// What a request's query says of `field`.
fn query(parts: &Parts, field: &str) -> Option<String> {
    let query = parts.uri.query()?;
    let mut fields = form_urlencoded::parse(query.as_bytes());
    let (_, value) = fields.find(|(name, _)| name == field)?;
    Some(value.into_owned())
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
    SignedForm { parts, form }: SignedForm,
) -> StatusCode {
    match Report::read(&form) {
        Ok(report) => {
            note(&state, &report);
            if let Some(id) = placed_call(&parts) {
                unless_answered(&state, &id, &report);
            }
            state.report(report);
        }
        Err(error) => {
            state.0.metrics.status("other");
            warn!(%error, "Twilio reports what makes no sense");
        }
    }
    StatusCode::NO_CONTENT
}

/// Waits no longer for a placed call that is over before its stream began.
fn unless_answered(state: &ServerState, id: &CallId, report: &Report) {
    let shared = &*state.0;
    let Report::Call(call) = report else {
        return;
    };
    if call.status.is_over()
        && shared.engine.call(id).is_none()
        && let Some(api) = &shared.api
        && let Some(mut placed) = shared.placing.take(id)
    {
        placed.sid.get_or_insert_with(|| call.call_sid.clone());
        api.unanswered(id, placed, call.status.as_str());
    }
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
