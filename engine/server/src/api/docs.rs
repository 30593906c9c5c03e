//! The OpenAPI document: made from the routes, completed with what all of them have in common.

use std::sync::OnceLock;

use axum::{
    extract::Request,
    http::{HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use utoipa::{
    OpenApi,
    openapi::{
        ContentBuilder, Header, ObjectBuilder, RefOr, ResponseBuilder,
        path::{Operation, PathItem},
        response::Response as ResponseDoc,
        schema::{Ref, SchemaType, Type},
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use super::problem::{FieldError, MEDIA_TYPE, ProblemBody};
use crate::auth::{principal::Viewer, sessions::CSRF_HEADER};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Sidetone",
        description = "Control of live phone calls, and what was said in them.\n\n\
            Every request needs a token (`Authorization: Bearer sdt_…`) or a session. A role may do what \
            the roles before it may: `viewer` sees, reads and hears; `operator` acts in calls; `admin` \
            deletes them and reads the audit log. Errors are `application/problem+json` (RFC 9457)."
    ),
    security(("bearer" = []), ("session" = [])),
    tags(
        (name = "calls", description = "Calls, live and past."),
        (name = "control", description = "Acting in a live call. Needs the role `operator`."),
        (name = "watch", description = "What is said and happens, as it happens."),
        (name = "access", description = "Sessions of the console, and who did what."),
    ),
    components(schemas(ProblemBody, FieldError)),
)]
struct Base;

/// What the routes are added to.
pub(super) fn base() -> utoipa::openapi::OpenApi {
    let mut document = Base::openapi();
    document.info.version = env!("CARGO_PKG_VERSION").to_owned();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme(
        "bearer",
        SecurityScheme::Http(
            HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .description(Some("A token that `sidetone token create` made."))
                .build(),
        ),
    );
    components.add_security_scheme(
        "session",
        SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(
            "__Host-sidetone_session",
            &format!(
                "The cookie of `POST /api/session` (`sidetone_session` where the server's public address \
                 is not https). Requests that change something also send the session's CSRF token as \
                 `{CSRF_HEADER}`."
            ),
        ))),
    );
    for (name, response) in [
        (
            "BadRequest",
            problem("The request is not valid; `errors` names the fields."),
        ),
        (
            "Unauthorized",
            with_header(
                problem("There is no token, or one that is not known."),
                "WWW-Authenticate",
                "`Bearer`",
            ),
        ),
        (
            "Forbidden",
            problem("The token's role may not do this, or the CSRF token is missing."),
        ),
        ("UnknownCall", problem("There is no such call.")),
        (
            "CallEnded",
            problem("The call is over, or in a state in which this cannot be done."),
        ),
        ("RequestTimeout", problem("The body took too long.")),
        ("TooLarge", problem("The body is too long.")),
        ("MediaType", problem("The body is not JSON.")),
        (
            "TooFast",
            with_header(
                problem("Too many requests, or too many event streams that are open."),
                "Retry-After",
                "When to come back, in seconds.",
            ),
        ),
        (
            "Unavailable",
            with_header(
                problem("This cannot be done now, for instance because the database is away."),
                "Retry-After",
                "When to come back, in seconds.",
            ),
        ),
    ] {
        components
            .responses
            .insert(name.to_owned(), response.into());
    }
    document
}

/// Adds to each operation the answers that all have.
pub(super) fn finish(mut document: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    for (path, item) in &mut document.paths.paths {
        for operation in operations(item) {
            let has_input = operation.request_body.is_some() || operation.parameters.is_some();
            let mut common = vec![
                ("401", "Unauthorized"),
                ("403", "Forbidden"),
                ("429", "TooFast"),
                ("503", "Unavailable"),
            ];
            if has_input {
                common.push(("400", "BadRequest"));
            }
            if operation.request_body.is_some() {
                common.extend([
                    ("408", "RequestTimeout"),
                    ("413", "TooLarge"),
                    ("415", "MediaType"),
                ]);
            }
            let tags = operation.tags.iter().flatten();
            if tags.into_iter().any(|tag| tag == "control") {
                common.push(("409", "CallEnded"));
            }
            if path.contains("{id}") {
                common.push(("404", "UnknownCall"));
            }
            for (status, name) in common {
                operation
                    .responses
                    .responses
                    .entry(status.to_owned())
                    .or_insert_with(|| RefOr::Ref(Ref::from_response_name(name)));
            }
        }
    }
    document
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [
        &mut item.get,
        &mut item.post,
        &mut item.put,
        &mut item.delete,
        &mut item.patch,
    ]
    .into_iter()
    .flatten()
}

fn problem(description: &str) -> ResponseDoc {
    let schema = RefOr::Ref(Ref::from_schema_name("Problem"));
    ResponseBuilder::new()
        .description(description)
        .content(
            MEDIA_TYPE,
            ContentBuilder::new().schema(Some(schema)).build(),
        )
        .build()
}

fn with_header(mut response: ResponseDoc, name: &str, description: &str) -> ResponseDoc {
    let mut header = Header::new(ObjectBuilder::new().schema_type(SchemaType::new(Type::String)));
    header.description = Some(description.to_owned());
    response.headers.insert(name.to_owned(), RefOr::T(header));
    response
}

/// This document.
#[utoipa::path(
    get,
    path = "/api/openapi.json",
    tag = "access",
    operation_id = "describe",
    responses((status = 200, description = "The OpenAPI document.", body = serde_json::Value))
)]
pub(super) async fn document(Viewer(_): Viewer) -> Response {
    static DOCUMENT: OnceLock<String> = OnceLock::new();
    let document =
        DOCUMENT.get_or_init(|| super::described().to_json().expect("a document is JSON"));
    (
        [(header::CONTENT_TYPE, "application/json")],
        document.as_str(),
    )
        .into_response()
}

/// What calls are about belongs in no cache, and in no other site's frame or script.
pub(super) async fn keep_private(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    response
}
