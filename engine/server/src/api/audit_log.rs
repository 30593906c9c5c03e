//! Who listened, spoke, took over, read or deleted what.

use std::{collections::HashMap, sync::Arc};

use axum::{Json, extract::State};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::{
    Api,
    extract::{Fields, FromQuery, Query, is_call_id},
    problem::Problem,
    timestamp::Timestamp,
};
use crate::{
    audit::Action,
    auth::principal::Admin,
    store::{AuditEntry, AuditFilter},
};

/// How many entries are on a page unless the request says otherwise.
const PAGE: u32 = 100;
/// How many entries are on a page at most.
const MAX_PAGE: u32 = 500;

/// Which entries.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditQuery {
    /// Of this call.
    #[param(pattern = "^call-[0-9a-f]{12}$", example = "call-0123456789ab")]
    call_id: Option<String>,
    /// Older than the entry with this id: `next` of the page before.
    #[param(minimum = 1, maximum = 9007199254740991_i64)]
    before: Option<i64>,
    /// How many at most; 100 unless it is set.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

impl FromQuery for AuditQuery {
    fn read(fields: &mut Fields) -> Self {
        Self {
            call_id: fields.parsed("call_id", "must be the id of a call", |text| {
                is_call_id(text).then(|| text.to_owned())
            }),
            before: fields.parsed("before", "must be `next` of the page before", |text| {
                text.parse()
                    .ok()
                    .filter(|id| (1..=9_007_199_254_740_991).contains(id))
            }),
            limit: fields.number("limit", 1..=MAX_PAGE),
        }
    }
}

/// A page of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuditPage {
    /// The entries, the newest first.
    entries: Vec<EntryView>,
    /// What `before` must be for the next page; none on the last.
    next: Option<i64>,
}

/// Something that somebody did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
struct EntryView {
    /// Its place in the log.
    id: i64,
    /// When.
    at: Timestamp,
    /// Who: the id of a token, or `system`.
    #[schema(example = "tok-0123456789ab")]
    who: String,
    /// Whose token that is.
    name: Option<String>,
    /// What, such as `call.takeover`.
    #[schema(example = "call.takeover")]
    action: String,
    /// The call it was done to.
    call_id: Option<String>,
    /// What else there is to say.
    detail: Map<String, Value>,
}

/// Who listened, spoke, took over, read or deleted what, the newest first.
///
/// Needs the role `admin`.
#[utoipa::path(
    get,
    path = "/api/audit",
    tag = "access",
    operation_id = "readAudit",
    params(AuditQuery),
    responses((status = 200, description = "A page of the log.", body = AuditPage))
)]
pub(super) async fn read(
    Admin(who): Admin,
    State(api): State<Arc<Api>>,
    Query(query): Query<AuditQuery>,
) -> Result<Json<AuditPage>, Problem> {
    api.audit.note(&who.token_id, Action::AuditRead, None);
    let filter = AuditFilter {
        call_id: query.call_id,
        before: query.before,
    };
    let limit = query.limit.unwrap_or(PAGE);
    let mut entries = api.store.audit_log(&filter, limit + 1).await?;
    let has_more = entries.len() > limit as usize;
    entries.truncate(limit as usize);
    let tokens = api.store.tokens().await?.into_iter();
    let names: HashMap<_, _> = tokens.map(|token| (token.id, token.name)).collect();
    Ok(Json(AuditPage {
        next: entries.last().filter(|_| has_more).map(|last| last.id),
        entries: entries
            .into_iter()
            .map(|entry| view(entry, &names))
            .collect(),
    }))
}

fn view(entry: AuditEntry, names: &HashMap<String, String>) -> EntryView {
    EntryView {
        id: entry.id,
        at: entry.at.into(),
        name: names.get(&entry.who).cloned(),
        who: entry.who,
        action: entry.action,
        call_id: entry.call_id,
        detail: entry.detail,
    }
}
