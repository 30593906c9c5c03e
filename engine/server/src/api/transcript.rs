//! What was said in a call, line by line, and as it is said.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response, sse::Event},
};
use serde::Serialize;
use serde_json::json;
use sidetone::EventRecord;
use sidetone_core::event::CallEvent;
use tracing::warn;
use utoipa::{IntoParams, ToSchema};

use super::{
    Api, calls,
    extract::{CallPath, Fields, FromQuery, Query},
    problem::Problem,
    sse::{self, Source},
};
use crate::{
    audit::Action,
    auth::principal::Viewer,
    feed::CallEvents,
    store::{CallState, Change, Line, Speaker},
};

/// From where on.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct AfterQuery {
    /// Only what came after the event with this number.
    #[param(minimum = 0, maximum = 9007199254740991_i64)]
    pub(super) after: Option<u64>,
}

impl FromQuery for AfterQuery {
    fn read(fields: &mut Fields) -> Self {
        Self {
            after: fields.parsed("after", "must be the number of an event", |text| {
                // What JavaScript can count.
                let after: u64 = text.parse().ok()?;
                (after <= 9_007_199_254_740_991 && !text.starts_with('+')).then_some(after)
            }),
        }
    }
}

/// What was said in a call.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Transcript {
    /// The call.
    #[schema(example = "call-0123456789ab")]
    call_id: String,
    /// Whether the call is over: then nothing more will be said.
    complete: bool,
    /// What was said, in order.
    lines: Vec<LineView>,
}

/// What somebody said at a time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Line)]
struct LineView {
    /// The number of the event that told it, which goes up from line to line.
    #[schema(example = 12)]
    seq: u64,
    /// When, in ms since the call's socket was accepted.
    at_ms: u64,
    /// The turn.
    turn: u32,
    /// Who: `caller`, `agent` or `person`.
    #[schema(example = "caller")]
    speaker: &'static str,
    /// The name of a person.
    name: Option<String>,
    /// The words; of the agent, what the caller heard.
    #[schema(example = "I would like to book a table.")]
    text: String,
}

fn speaker(speaker: Speaker) -> &'static str {
    match speaker {
        Speaker::Caller => "caller",
        Speaker::Agent => "agent",
        Speaker::Person => "person",
    }
}

impl From<Line> for LineView {
    fn from(line: Line) -> Self {
        Self {
            seq: line.seq,
            at_ms: line.at_ms,
            turn: line.turn,
            speaker: speaker(line.speaker),
            name: line.name,
            text: line.text,
        }
    }
}

/// What was said in a call; with `Accept: text/event-stream`, as it is said.
///
/// The stream has the events `line` (a line, its `seq` as id), `retracted` (`{"turn"}`: what the agent
/// said in this turn is no part of the conversation), `partial` (`{"turn", "text", "unstable"}`: what the
/// caller has said so far, without an id, superseded by the next and by the line) and `end`
/// (`{"reason"}`). Who reconnects with `Last-Event-ID` gets exactly what came after it; 204 says that
/// there is nothing more.
///
/// Needs the role `viewer`.
#[utoipa::path(
    get,
    path = "/api/calls/{id}/transcript",
    tag = "watch",
    operation_id = "readTranscript",
    params(
        ("id" = String, Path, description = "The call's id.", example = "call-0123456789ab"),
        AfterQuery,
        ("Last-Event-ID" = Option<u64>, Header, description = "For streams: the id of the last event that came."),
    ),
    responses(
        (status = 200, description = "What was said.", content(
            (Transcript = "application/json"),
            (String = "text/event-stream"),
        )),
        (status = 204, description = "For streams: the call is over, and nothing came after `Last-Event-ID`."),
    )
)]
pub(super) async fn read(
    Viewer(who): Viewer,
    State(api): State<Arc<Api>>,
    CallPath(id): CallPath,
    Query(query): Query<AfterQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let call = calls::find(&api, &id).await?;
    let last = sse::last_event_id(&headers)?;
    api.audit
        .note(&who.token_id, Action::TranscriptRead, Some(&id));
    let after = last.or(query.after).unwrap_or(0);
    if sse::is_wanted(&headers) {
        return sse::follow(&api, who, &call, after, Lines).await;
    }
    if call.state == CallState::Live {
        api.catch_up().await;
    }
    let lines = api.store.transcript(&id, after).await?;
    Ok(Json(Transcript {
        call_id: id,
        complete: call.state != CallState::Live,
        lines: lines.into_iter().map(LineView::from).collect(),
    })
    .into_response())
}

/// A call's events as lines.
struct Lines(CallEvents);

impl Source for Lines {
    async fn next(&mut self) -> Option<Event> {
        loop {
            match self.0.next().await {
                Ok(Some(record)) => {
                    if let Some(event) = of(&record) {
                        return Some(event);
                    }
                }
                Ok(None) => return None,
                Err(error) => {
                    warn!(%error, "a stream ends: the database failed");
                    return None;
                }
            }
        }
    }
}

/// What an event means for those who read along, if anything.
fn of(record: &EventRecord) -> Option<Event> {
    let named = |name: &str| Event::default().event(name);
    let id = record.seq.to_string();
    let event = match &record.event {
        CallEvent::TranscriptPartial {
            turn,
            text,
            unstable,
        } => named("partial").json_data(json!({
            "turn": turn.0, "text": text, "unstable": unstable,
        })),
        CallEvent::CallEnded { reason, .. } => {
            named("end").id(id).json_data(json!({"reason": reason}))
        }
        event => match Change::of(event)? {
            Change::Add {
                turn,
                speaker: who,
                name,
                text,
            } => named("line").id(id).json_data(LineView {
                seq: record.seq,
                at_ms: record.at_ms,
                turn,
                speaker: speaker(who),
                name: name.map(str::to_owned),
                text: text.to_owned(),
            }),
            Change::Retract { turn } => named("retracted").id(id).json_data(json!({"turn": turn})),
        },
    };
    Some(event.expect("texts and numbers are JSON"))
}
