//! Errors as RFC 9457 has them: `application/problem+json`.

use std::time::Duration;

use axum::{
    extract::{OriginalUri, Request},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

/// The media type of every error.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// Before the name of each kind of problem in its `type`.
const TYPE_PREFIX: &str = "urn:sidetone:problem:";

/// What can be wrong with a request, as programs tell it apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The request makes no sense; `errors` says where.
    BadRequest,
    /// No token, or one that is not known.
    Unauthorized,
    /// The token's role may not do this.
    Forbidden,
    /// A session's request without its CSRF token.
    Csrf,
    /// There is no such route.
    NoRoute,
    /// There is no such call.
    UnknownCall,
    /// There is such a call, but not this of it.
    NotFound,
    /// The route knows no such method.
    Method,
    /// The body took too long.
    Slow,
    /// The call is over.
    CallEnded,
    /// The call is in a state in which this cannot be done.
    Conflict,
    /// The `Idempotency-Key` was used for another request.
    KeyReused,
    /// The body is too long.
    TooLarge,
    /// The body is not JSON.
    MediaType,
    /// The range lies outside the recording.
    Range,
    /// The request opens no WebSocket.
    Upgrade,
    /// Too many requests.
    TooFast,
    /// Twilio's API refused.
    Refused,
    /// What is needed for this is not configured, or cannot be had now.
    Unavailable,
    /// Twilio's API did not answer in time.
    TimedOut,
}

impl Kind {
    /// The name, the status and the title.
    fn parts(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Self::BadRequest => (
                "bad-request",
                StatusCode::BAD_REQUEST,
                "The request is not valid",
            ),
            Self::Unauthorized => (
                "unauthorized",
                StatusCode::UNAUTHORIZED,
                "A valid token is needed",
            ),
            Self::Forbidden => (
                "forbidden",
                StatusCode::FORBIDDEN,
                "The token's role may not do this",
            ),
            Self::Csrf => (
                "csrf",
                StatusCode::FORBIDDEN,
                "The session's CSRF token is missing or wrong",
            ),
            Self::NoRoute => ("no-route", StatusCode::NOT_FOUND, "There is no such route"),
            Self::UnknownCall => (
                "unknown-call",
                StatusCode::NOT_FOUND,
                "There is no such call",
            ),
            Self::NotFound => ("not-found", StatusCode::NOT_FOUND, "There is no such thing"),
            Self::Method => (
                "method-not-allowed",
                StatusCode::METHOD_NOT_ALLOWED,
                "The route has no such method",
            ),
            Self::Slow => (
                "request-timeout",
                StatusCode::REQUEST_TIMEOUT,
                "The request's body took too long",
            ),
            Self::CallEnded => ("call-ended", StatusCode::CONFLICT, "The call is over"),
            Self::Conflict => (
                "conflict",
                StatusCode::CONFLICT,
                "This cannot be done in the call's state",
            ),
            Self::KeyReused => (
                "idempotency-key-reused",
                StatusCode::CONFLICT,
                "The idempotency key was used for another request",
            ),
            Self::TooLarge => (
                "too-large",
                StatusCode::PAYLOAD_TOO_LARGE,
                "The request's body is too long",
            ),
            Self::MediaType => (
                "media-type",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The request's body must be JSON",
            ),
            Self::Range => (
                "range",
                StatusCode::RANGE_NOT_SATISFIABLE,
                "The range lies outside",
            ),
            Self::Upgrade => (
                "upgrade-required",
                StatusCode::UPGRADE_REQUIRED,
                "The route is a WebSocket",
            ),
            Self::TooFast => (
                "too-fast",
                StatusCode::TOO_MANY_REQUESTS,
                "Too many requests",
            ),
            Self::Refused => (
                "provider-refused",
                StatusCode::BAD_GATEWAY,
                "Twilio refused the request",
            ),
            Self::Unavailable => (
                "unavailable",
                StatusCode::SERVICE_UNAVAILABLE,
                "This cannot be done now",
            ),
            Self::TimedOut => (
                "provider-timeout",
                StatusCode::GATEWAY_TIMEOUT,
                "Twilio did not answer in time",
            ),
        }
    }
}

/// An answer that is not what was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    kind: Kind,
    detail: String,
    errors: Vec<FieldError>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// The field's path in the body (`metadata.customer`), the query parameter or the header.
    #[schema(example = "to")]
    pub(crate) field: String,
    /// What is wrong with it, and what is allowed.
    #[schema(example = "is required")]
    pub(crate) detail: String,
}

impl FieldError {
    pub(crate) fn new(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            detail: detail.into(),
        }
    }
}

/// An error, as RFC 9457 has it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// Tells the kind of problem apart.
    #[serde(rename = "type")]
    #[schema(example = "urn:sidetone:problem:call-ended")]
    kind: String,
    /// The kind of problem in words.
    #[schema(example = "The call is over")]
    title: &'static str,
    /// The HTTP status.
    #[schema(example = 409)]
    status: u16,
    /// What is wrong here, and what can be done about it.
    detail: String,
    /// The path that was asked for.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(example = "/api/calls/call-0123456789ab/say")]
    instance: String,
    /// The fields that are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
}

impl Problem {
    /// A problem of a kind; `detail` says what is wrong here and what to do about it.
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            errors: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// A request in which these fields are wrong.
    pub(crate) fn fields(errors: Vec<FieldError>) -> Self {
        let detail = errors
            .iter()
            .map(|error| format!("`{}` {}", error.field, error.detail))
            .collect::<Vec<_>>()
            .join("; ");
        Self {
            errors,
            ..Self::new(Kind::BadRequest, detail)
        }
    }

    /// A request in which one field is wrong.
    pub(crate) fn field(field: &str, detail: impl Into<String>) -> Self {
        Self::fields(vec![FieldError::new(field, detail)])
    }

    /// Sets `Retry-After`, in whole seconds, at least one.
    pub(crate) fn retry_after(self, wait: Duration) -> Self {
        let seconds = wait
            .as_secs()
            .saturating_add((wait.subsec_nanos() > 0).into());
        self.header(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)))
    }

    /// Adds a header.
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// What kind of problem it is.
    #[cfg(test)]
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    fn respond(&self, instance: &str) -> Response {
        let (name, status, title) = self.kind.parts();
        let body = serde_json::to_string(&ProblemBody {
            kind: format!("{TYPE_PREFIX}{name}"),
            title,
            status: status.as_u16(),
            detail: self.detail.clone(),
            instance: instance.to_owned(),
            errors: self.errors.clone(),
        })
        .expect("texts and numbers are JSON");
        let mut response = (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response();
        for (name, value) in &self.headers {
            response.headers_mut().append(name, value.clone());
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.respond("");
        response.extensions_mut().insert(self);
        response
    }
}

/// Says in each problem which path it is about. The outermost layer of the API.
pub(crate) async fn name_instance(request: Request, next: Next) -> Response {
    // Within another router the path that the client asked for is only in this extension.
    let path = match request.extensions().get::<OriginalUri>() {
        Some(OriginalUri(uri)) => uri.path().to_owned(),
        None => request.uri().path().to_owned(),
    };
    let response = next.run(request).await;
    match response.extensions().get::<Problem>() {
        Some(problem) => {
            let mut named = problem.respond(&path);
            // What layers below have set stays.
            for (name, value) in response.headers() {
                if !named.headers().contains_key(name) && name != header::CONTENT_LENGTH {
                    named.headers_mut().append(name, value.clone());
                }
            }
            named
        }
        None => response,
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::to_bytes, middleware::from_fn, routing::get};
    use serde_json::{Value, json};
    use tower::ServiceExt as _;

    use super::*;

    async fn answer(problem: Problem) -> (Response, Value) {
        let router = Router::new()
            .route("/api/x", get(move || async move { problem }))
            .layer(from_fn(name_instance));
        let request = Request::get("/api/x?secret=1")
            .body(axum::body::Body::empty())
            .unwrap();
        let mut response = router.oneshot(request).await.unwrap();
        let body = std::mem::take(response.body_mut());
        let body = to_bytes(body, 10_000).await.unwrap();
        (response, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn a_problem_says_what_where_and_which_fields() {
        let problem = Problem::fields(vec![
            FieldError::new("to", "is required"),
            FieldError::new("metadata.a", "must be a string"),
        ]);
        let (response, body) = answer(problem).await;
        assert_eq!(response.status(), 400);
        assert_eq!(response.headers()["content-type"], MEDIA_TYPE);
        assert_eq!(
            body,
            json!({
                "type": "urn:sidetone:problem:bad-request",
                "title": "The request is not valid",
                "status": 400,
                "detail": "`to` is required; `metadata.a` must be a string",
                "instance": "/api/x",
                "errors": [
                    {"field": "to", "detail": "is required"},
                    {"field": "metadata.a", "detail": "must be a string"},
                ],
            })
        );
    }

    #[tokio::test]
    async fn a_wait_is_rounded_up_to_seconds() {
        for (wait_ms, header) in [(0, "1"), (1, "1"), (1_000, "1"), (1_001, "2")] {
            let wait = Duration::from_millis(wait_ms);
            let problem = Problem::new(Kind::TooFast, "Slow down.").retry_after(wait);
            let (response, _) = answer(problem).await;
            assert_eq!(response.status(), 429);
            assert_eq!(response.headers()["retry-after"], header, "{wait_ms} ms");
        }
    }
}
