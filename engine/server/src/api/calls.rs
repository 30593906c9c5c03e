//! Calls, live and past: finding, looking at and deleting them.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;
use sidetone::CallId;
use sidetone_core::handoff::CallState as Glance;
use utoipa::{IntoParams, ToSchema};

use super::{
    Api,
    extract::{CallPath, Fields, FromQuery, Query, unknown_call},
    problem::{Kind, Problem},
    timestamp::Timestamp,
    views::CallView,
};
use crate::{
    auth::principal::{Admin, Viewer},
    store::{CallFilter, CallRecord, CallState, Cursor, StoreError},
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
    #[param(value_type = Option<String>, pattern = "^(live|ended|lost)$", example = "live")]
    state: Option<CallState>,
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

impl FromQuery for ListQuery {
    fn read(fields: &mut Fields) -> Self {
        Self {
            state: fields.parsed("state", "must be live, ended or lost", |text| match text {
                "live" => Some(CallState::Live),
                "ended" => Some(CallState::Ended),
                "lost" => Some(CallState::Lost),
                _ => None,
            }),
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
        state: query.state,
        from_time: query.since.map(|time| time.0),
        to_time: query.until.map(|time| time.0),
        number: query.number,
        text: query.text,
    };
    let limit = query.limit.unwrap_or(PAGE);
    let page = api
        .store
        .calls(&filter, query.cursor.as_ref(), limit)
        .await?;
    Ok(Json(CallPage {
        calls: page.items.into_iter().map(|call| view(&api, call)).collect(),
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
    let call = find(&api, &id).await?;
    Ok(Json(view(&api, call)))
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
        (status = 409, description = "The call goes on: end it first.", body = super::problem::ProblemBody,
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

/// The call as the store has it, or will in a moment.
pub(super) async fn find(api: &Api, id: &str) -> Result<CallRecord, Problem> {
    if let Some(call) = api.store.call(id).await? {
        return Ok(call);
    }
    if api.engine.call(&CallId::from(id)).is_some() {
        api.catch_up().await;
        if let Some(call) = api.store.call(id).await? {
            return Ok(call);
        }
    }
    Err(unknown_call())
}

fn view(api: &Api, call: CallRecord) -> CallView {
    let glance: Option<Glance> = match call.state {
        CallState::Live => api
            .engine
            .call(&call.id)
            .map(|handle| handle.state().borrow().clone()),
        _ => None,
    };
    CallView::new(call, glance.as_ref())
}
