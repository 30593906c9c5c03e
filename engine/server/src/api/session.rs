//! Sessions of the console: a token is exchanged for a cookie that the page's scripts cannot read.

use std::sync::Arc;

use axum::{
    Json as JsonBody,
    extract::{FromRequest as _, Request, State},
    http::StatusCode,
    response::{AppendHeaders, IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Api,
    extract::{Json, Validate},
    problem::{FieldError, Problem},
    timestamp::Timestamp,
};
use crate::{
    audit::Action,
    auth::{
        principal::{Means, Principal, Viewer},
        secret::RandomSecret,
        sessions::{SECRET_PREFIX, SET_COOKIE},
        unauthorized,
    },
    store::{Role, UnixMs},
};

/// Who wants a session.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OpenSession {
    /// The token.
    #[schema(max_length = 200, format = Password)]
    token: String,
}

impl Validate for OpenSession {
    fn validate(&self, errors: &mut Vec<FieldError>) {
        if self.token.chars().count() > 200 {
            errors.push(FieldError::new("token", "must be at most 200 characters"));
        }
    }
}

/// Who somebody is, and may do.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Whoami {
    /// The token's id, as in the audit log.
    #[schema(example = "tok-0123456789ab")]
    token_id: String,
    /// Whose token it is.
    name: String,
    /// `viewer`, `operator` or `admin`.
    #[schema(example = "operator")]
    role: &'static str,
    /// What a session's requests that change something send as `X-CSRF-Token`; none without a session.
    csrf_token: Option<String>,
    /// When the session ends, unless it is used; none without a session.
    expires_at: Option<Timestamp>,
}

impl Whoami {
    fn new(who: Principal) -> Self {
        let (csrf_token, expires_at) = match who.means {
            Means::Bearer => (None, None),
            Means::Session {
                csrf, expires_at, ..
            } => (Some(csrf), Some(expires_at.into())),
        };
        Self {
            token_id: who.token_id,
            name: who.name,
            role: Role::as_str(who.role),
            csrf_token,
            expires_at,
        }
    }
}

/// Exchanges a token for a session: a cookie (`HttpOnly`, `SameSite=Strict`) and the CSRF token that goes
/// with it.
#[utoipa::path(
    post,
    path = "/api/session",
    tag = "access",
    operation_id = "openSession",
    security(()),
    request_body = OpenSession,
    responses((status = 201, description = "The session is open.", body = Whoami,
        headers(("Set-Cookie" = String, description = "The session."))))
)]
pub(super) async fn open(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let address = api.auth.admit(&parts)?;
    let request = Request::from_parts(parts, body);
    let Json(body) = Json::<OpenSession>::from_request(request, &()).await?;
    let Some(who) = api.auth.bearer_of(&body.token).await? else {
        api.auth.wrong_token(address)?;
        return Err(unauthorized());
    };
    let sessions = api.auth.sessions();
    let (secret, csrf) = (RandomSecret::new(SECRET_PREFIX), RandomSecret::new(""));
    let expires_at = sessions.end(UnixMs::now());
    api.store
        .add_session(
            secret.hash().as_bytes(),
            &who.token_id,
            csrf.expose(),
            expires_at,
        )
        .await?;
    api.audit.note(&who.token_id, Action::SessionOpen, None);
    let whoami = Whoami::new(Principal {
        means: Means::Session {
            hash: secret.hash(),
            csrf: csrf.expose().to_owned(),
            expires_at,
        },
        ..who
    });
    let cookie = sessions.set_cookie(secret.expose());
    Ok((
        StatusCode::CREATED,
        AppendHeaders([(SET_COOKIE, cookie)]),
        JsonBody(whoami),
    )
        .into_response())
}

/// Who sends this request, and what they may do.
#[utoipa::path(
    get,
    path = "/api/session",
    tag = "access",
    operation_id = "getSession",
    responses((status = 200, description = "Who it is.", body = Whoami))
)]
pub(super) async fn show(Viewer(who): Viewer) -> JsonBody<Whoami> {
    JsonBody(Whoami::new(who))
}

/// Ends the session that this request belongs to. Of a request with a token nothing is ended.
#[utoipa::path(
    delete,
    path = "/api/session",
    tag = "access",
    operation_id = "endSession",
    responses((status = 204, description = "The session is over."))
)]
pub(super) async fn end(
    Viewer(who): Viewer,
    State(api): State<Arc<Api>>,
) -> Result<Response, Problem> {
    if let Means::Session { hash, .. } = &who.means {
        api.store.end_session(hash.as_bytes()).await?;
        api.auth.forget(hash);
        api.audit.note(&who.token_id, Action::SessionEnd, None);
    }
    let cookie = api.auth.sessions().clear_cookie();
    Ok((
        StatusCode::NO_CONTENT,
        AppendHeaders([(SET_COOKIE, cookie)]),
    )
        .into_response())
}
