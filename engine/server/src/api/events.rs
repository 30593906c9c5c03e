//! What happened in calls, event by event, and as it happens.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response, sse::Event},
};
use serde::Serialize;
use serde_json::Value;
use sidetone_core::event::CallEvent;
use tracing::warn;
use utoipa::ToSchema;

use super::{
    Api, calls,
    extract::{CallPath, Query},
    problem::Problem,
    sse::{self, Source},
    transcript::AfterQuery,
};
use crate::{
    audit::Action,
    auth::principal::Viewer,
    feed::{AllEvents, CallEvents},
    store::{CallState, StoreError, StoredEvent},
};

/// How many events are in one answer at most.
const PAGE: u32 = 1_000;

/// A part of a call's events.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EventPage {
    /// The events, in order.
    #[schema(value_type = Vec<EventRecord>)]
    events: Vec<Value>,
    /// What `after` must be for those that follow; none where there are none yet.
    next: Option<u64>,
}

/// Something that happened in a call. What else it holds depends on what it is.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "describes what is passed on as it was written down"
)]
pub(super) struct EventRecord {
    /// The call.
    #[schema(example = "call-0123456789ab")]
    call_id: String,
    /// Its place among the call's events, from 1.
    #[schema(example = 7)]
    seq: u64,
    /// When, in ms since the call's socket was accepted.
    #[schema(example = 4200)]
    at_ms: u64,
    /// What happened.
    #[schema(example = "transcript.final")]
    event: String,
}

fn page(events: Vec<StoredEvent>) -> EventPage {
    let is_full = events.len() == PAGE as usize;
    EventPage {
        next: events.last().filter(|_| is_full).map(|last| last.seq),
        events: events
            .iter()
            .filter_map(|event| serde_json::from_str(&event.json).ok())
            .collect(),
    }
}

/// What happened in a call, at most 1000 events at a time; with `Accept: text/event-stream`, as it
/// happens.
///
/// The stream's events are named as in `event`, and have `seq` as id, partial transcripts apart, which
/// have none. Who reconnects with `Last-Event-ID` gets exactly what came after it; 204 says that
/// there is nothing more.
///
/// Needs the role `viewer`.
#[utoipa::path(
    get,
    path = "/api/calls/{id}/events",
    tag = "watch",
    operation_id = "readEvents",
    params(
        ("id" = String, Path, description = "The call's id.", example = "call-0123456789ab"),
        AfterQuery,
        ("Last-Event-ID" = Option<u64>, Header, description = "For streams: the id of the last event that came."),
    ),
    responses(
        (status = 200, description = "What happened.", content(
            (EventPage = "application/json"),
            (String = "text/event-stream"),
        )),
        (status = 204, description = "For streams: the call is over, and nothing came after `Last-Event-ID`."),
    )
)]
pub(super) async fn of_call(
    Viewer(who): Viewer,
    State(api): State<Arc<Api>>,
    CallPath(id): CallPath,
    Query(query): Query<AfterQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let call = calls::find(&api, &id).await?;
    let last = sse::last_event_id(&headers)?;
    api.audit.note(&who.token_id, Action::EventsRead, Some(&id));
    let after = last.or(query.after).unwrap_or(0);
    if sse::is_wanted(&headers) {
        return sse::follow(&api, who, &call, after, OfCall).await;
    }
    if call.state == CallState::Live {
        api.catch_up().await;
    }
    let events = api.store.events(&id, after, PAGE).await?;
    Ok(Json(page(events)).into_response())
}

/// What happens in all calls, as it happens: `text/event-stream`.
///
/// The stream's events are named as in `event`; partial transcripts are left out. Who reconnects with
/// `Last-Event-ID` gets exactly what came after it; without it the stream begins now.
///
/// Needs the role `viewer`.
#[utoipa::path(
    get,
    path = "/api/events",
    tag = "watch",
    operation_id = "watchEvents",
    params(
        ("Last-Event-ID" = Option<i64>, Header, description = "The id of the last event that came."),
    ),
    responses((status = 200, description = "What happens.", content_type = "text/event-stream", body = String))
)]
pub(super) async fn of_all(
    Viewer(who): Viewer,
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let after = sse::last_event_id::<i64>(&headers)?;
    api.audit.note(&who.token_id, Action::EventsRead, None);
    let events = api.feed.all(after).await?;
    sse::respond(&api, who, OfAll(events))
}

struct OfCall(CallEvents);

impl Source for OfCall {
    async fn next(&mut self) -> Option<Event> {
        let record = go_on(self.0.next().await)?;
        let value = serde_json::to_value(&*record).expect("an event is JSON");
        let event = named(&value).json_data(&value).expect("a value is JSON");
        Some(match record.event {
            CallEvent::TranscriptPartial { .. } => event,
            _ => event.id(record.seq.to_string()),
        })
    }
}

struct OfAll(AllEvents);

impl Source for OfAll {
    async fn next(&mut self) -> Option<Event> {
        loop {
            let event = go_on(self.0.next().await)?;
            // What cannot be read is nothing to pass on.
            let Ok(value) = serde_json::from_str::<Value>(&event.json) else {
                continue;
            };
            let named = named(&value).id(event.id.to_string());
            return Some(named.json_data(&value).expect("a value is JSON"));
        }
    }
}

fn named(event: &Value) -> Event {
    let name = event["event"].as_str().unwrap_or("message");
    Event::default().event(name)
}

fn go_on<T>(next: Result<Option<T>, StoreError>) -> Option<T> {
    next.unwrap_or_else(|error| {
        warn!(%error, "a stream ends: the database failed");
        None
    })
}
