//! Calls, live and past: finding, looking at and deleting them.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;
use sidetone::CallId;
use utoipa::{IntoParams, ToSchema};

use super::{
    Api,
    extract::{CallPath, Fields, FromQuery, Query, unknown_call},
    problem::{Kind, Problem, ProblemBody},
    timestamp::Timestamp,
    views::{CallView, Live},
};
use crate::{
    auth::principal::{Admin, Viewer},
    placing::Placed,
    store::{CallFilter, CallRecord, CallState, Cursor, StoreError, UnixMs},
};

/// How many calls are on a page unless the request says otherwise.
const PAGE: u32 = 50;
/// How many calls are on a page at most.
const MAX_PAGE: u32 = 200;
/// The longest text that is searched for, in characters.
const MAX_TEXT: usize = 200;

/// Which calls.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// In this state.
    #[param(inline, example = "live")]
    state: Option<StateChoice>,
    /// Begun at this time or later.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Begun before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// From or to this number, exactly.
    #[param(max_length = 100, example = "+12025550143")]
    number: Option<String>,
    /// In which every one of these words was said, or a longer one that begins with it; case and
    /// accents do not matter.
    #[param(max_length = 200, example = "refund")]
    text: Option<String>,
    /// How many at most; 50 unless it is set.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next` of the page before.
    #[param(value_type = Option<String>, max_length = 200)]
    cursor: Option<Cursor>,
}

/// Whether calls go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "snake_case")]
enum StateChoice {
    Dialing,
    Live,
    Ended,
    Lost,
}

impl StateChoice {
    /// As the store has it: a call that nobody has answered is not there.
    fn kept(self) -> Option<CallState> {
        match self {
            Self::Dialing => None,
            Self::Live => Some(CallState::Live),
            Self::Ended => Some(CallState::Ended),
            Self::Lost => Some(CallState::Lost),
        }
    }
}

impl FromQuery for ListQuery {
    fn read(fields: &mut Fields) -> Self {
        Self {
            state: fields.parsed(
                "state",
                "must be dialing, live, ended or lost",
                |text| match text {
                    "dialing" => Some(StateChoice::Dialing),
                    "live" => Some(StateChoice::Live),
                    "ended" => Some(StateChoice::Ended),
                    "lost" => Some(StateChoice::Lost),
                    _ => None,
                },
            ),
            since: fields.time("since"),
            until: fields.time("until"),
            number: fields.text("number", 100),
            text: fields.text("text", MAX_TEXT),
            limit: fields.number("limit", 1..=MAX_PAGE),
            cursor: fields.parsed("cursor", "must be `next` of the page before", |text| {
                text.parse().ok()
            }),
        }
    }
}

/// A page of calls.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CallPage)]
pub(super) struct CallPage {
    /// The calls, the newest first.
    calls: Vec<CallView>,
    /// What `cursor` must be for the next page; none on the last.
    next: Option<String>,
}

/// Calls, the newest first.
///
/// Needs the role `viewer`.
#[utoipa::path(
    get,
    path = "/api/calls",
    tag = "calls",
    operation_id = "listCalls",
    params(ListQuery),
    responses((status = 200, description = "A page of calls.", body = CallPage))
)]
pub(super) async fn list(
    Viewer(_): Viewer,
    State(api): State<Arc<Api>>,
    Query(query): Query<ListQuery>,
) -> Result<Json<CallPage>, Problem> {
    let filter = CallFilter {
        state: query.state.and_then(StateChoice::kept),
        from_time: query.since.map(|time| time.0),
        to_time: query.until.map(|time| time.0),
        number: query.number,
        text: query.text,
    };
    let limit = query.limit.unwrap_or(PAGE);
    let mut calls = Vec::new();
    if query.cursor.is_none() && matches!(query.state, None | Some(StateChoice::Dialing)) {
        calls.extend(dialing(&api, &filter, limit));
    }
    if query.state == Some(StateChoice::Dialing) {
        return Ok(Json(CallPage { calls, next: None }));
    }
    // What has just begun is there too, and all that begins while the database takes nothing.
    let unwritten = match query.cursor {
        None => unwritten(&api, &filter),
        Some(_) => Vec::new(),
    };
    let page = api
        .store
        .calls(&filter, query.cursor.as_ref(), limit)
        .await?;
    let is_new = |call: &CallRecord| page.items.iter().all(|kept| kept.id != call.id);
    let unwritten = unwritten.into_iter().filter(is_new);
    calls.extend(unwritten.map(|call| view(&api, call)));
    calls.extend(page.items.into_iter().map(|call| view(&api, call)));
    Ok(Json(CallPage {
        calls,
        next: page.next.map(|cursor| cursor.to_string()),
    }))
}

/// One call, and how it is right now.
///
/// Needs the role `viewer`.
#[utoipa::path(
    get,
    path = "/api/calls/{id}",
    tag = "calls",
    operation_id = "getCall",
    params(("id" = String, Path, description = "The call's id.", example = "call-0123456789ab")),
    responses((status = 200, description = "The call.", body = CallView))
)]
pub(super) async fn show(
    Viewer(_): Viewer,
    State(api): State<Arc<Api>>,
    CallPath(id): CallPath,
) -> Result<Json<CallView>, Problem> {
    look(&api, &id).await.map(Json)
}

/// Deletes all of a call: its events, its words, its recording. The audit log keeps that it was
/// deleted.
///
/// Needs the role `admin`.
#[utoipa::path(
    delete,
    path = "/api/calls/{id}",
    tag = "calls",
    operation_id = "deleteCall",
    params(("id" = String, Path, description = "The call's id.", example = "call-0123456789ab")),
    responses(
        (status = 204, description = "The call is gone."),
        (status = 409, description = "The call goes on: end it first.", body = ProblemBody,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn delete(
    Admin(who): Admin,
    State(api): State<Arc<Api>>,
    CallPath(id): CallPath,
) -> Result<StatusCode, Problem> {
    if api.engine.call(&CallId::from(id.as_str())).is_some() {
        return Err(goes_on());
    }
    // Its last events may be on their way.
    api.catch_up().await;
    match api.store.delete_call(&id, &who.token_id).await {
        Ok(true) => Ok(StatusCode::NO_CONTENT),
        Ok(false) => Err(unknown_call()),
        Err(StoreError::Live) => Err(goes_on()),
        Err(error) => Err(error.into()),
    }
}

fn goes_on() -> Problem {
    Problem::new(
        Kind::Conflict,
        "The call goes on; `POST /api/calls/{id}/hangup` ends it.",
    )
}

/// A call, whether or not anybody has answered it yet.
pub(super) async fn look(api: &Api, id: &str) -> Result<CallView, Problem> {
    let dialing = api.placing.get(&CallId::from(id));
    match find(api, id).await {
        Ok(call) => Ok(view(api, call)),
        Err(problem) => dialing
            .map(|placed| CallView::dialing(&CallId::from(id), &placed))
            .ok_or(problem),
    }
}

/// The call as the store has it, or will in a moment.
pub(super) async fn find(api: &Api, id: &str) -> Result<CallRecord, Problem> {
    let goes_on = api.engine.call(&CallId::from(id)).is_some();
    let call = api.store.call(id).await?;
    let is_kept_live = call
        .as_ref()
        .is_some_and(|call| call.state == CallState::Live);
    // It has just begun, or just ended: the store is told, and has not written it down yet.
    if goes_on == is_kept_live && (goes_on || call.is_some()) {
        return call.ok_or_else(unknown_call);
    }
    api.catch_up().await;
    let call = match api.store.call(id).await? {
        Some(call) => Some(call),
        // The database takes nothing now.
        None => api.writer.unwritten(&CallId::from(id)),
    };
    call.ok_or_else(unknown_call)
}

/// The calls that `filter` lets through and of which the store has nothing yet, the newest first.
fn unwritten(api: &Api, filter: &CallFilter) -> Vec<CallRecord> {
    let is_listed = |call: &CallRecord| {
        // Their words cannot be searched yet.
        filter.text.is_none()
            && filter.state.is_none_or(|state| call.state == state)
            && is_within(filter, &call.from, &call.to, call.started_at)
    };
    let mut calls = api.writer.all_unwritten();
    calls.retain(is_listed);
    calls
}

/// Whether `filter` lets a call through by its numbers and time.
fn is_within(filter: &CallFilter, from: &str, to: &str, at: UnixMs) -> bool {
    let number = filter.number.as_deref();
    number.is_none_or(|number| number == from || number == to)
        && filter.from_time.is_none_or(|time| at >= time)
        && filter.to_time.is_none_or(|time| at < time)
}

/// The calls that nobody has answered yet and that `filter` lets through, the newest first.
fn dialing(api: &Api, filter: &CallFilter, limit: u32) -> Vec<CallView> {
    // Nothing was said in them.
    if filter.text.is_some() {
        return Vec::new();
    }
    let is_listed = |placed: &Placed| is_within(filter, &placed.from, &placed.to, placed.placed_at);
    let placed = api.placing.all().into_iter();
    let placed = placed.filter(|(id, placed)| is_listed(placed) && api.engine.call(id).is_none());
    placed
        .take(limit as usize)
        .map(|(id, placed)| CallView::dialing(&id, &placed))
        .collect()
}

fn view(api: &Api, call: CallRecord) -> CallView {
    let handle = match call.state {
        CallState::Live => api.engine.call(&call.id),
        _ => None,
    };
    let live = handle.and_then(|handle| {
        let invite = api.invites.latest(&call.id);
        Live::new(&handle.state().borrow(), invite.as_deref())
    });
    CallView::new(call, live)
}
