//! What handlers take from a request, and what is said when it is not there.

use std::{collections::BTreeMap, ops::RangeInclusive, time::Duration};

use axum::{
    body::{Bytes, to_bytes},
    extract::{FromRequest, FromRequestParts, Path, Request},
    http::{HeaderMap, header, request::Parts},
};
use figment::{
    error::{Actual, Kind as Wrong},
    value::Value,
};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::{
    problem::{FieldError, Kind, Problem},
    timestamp::Timestamp,
};

/// A request's body is at most this long, in bytes.
pub(crate) const MAX_BODY: usize = 64 * 1024;

/// A request's body arrives within this time.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// A body of JSON, checked.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

/// A body of JSON that may be missing: its type's default then.
#[derive(Debug)]
pub(crate) struct OptionalJson<T>(pub(crate) T);

/// What a body must be beyond its shape.
pub(crate) trait Validate {
    /// Adds what is wrong to `errors`.
    fn validate(&self, errors: &mut Vec<FieldError>);
}

impl<T: DeserializeOwned + Validate, S: Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        check_media_type(&parts.headers)?;
        parse(&read(body).await?).map(Self)
    }
}

impl<T: DeserializeOwned + Validate + Default, S: Sync> FromRequest<S> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let body = read(body).await?;
        if body.is_empty() || body.trim_ascii() == b"null" {
            return Ok(Self(T::default()));
        }
        check_media_type(&parts.headers)?;
        parse(&body).map(Self)
    }
}

fn check_media_type(headers: &HeaderMap) -> Result<(), Problem> {
    let given = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        Ok(())
    } else {
        Err(Problem::new(
            Kind::MediaType,
            "Send the body as JSON, with the header `Content-Type: application/json`.",
        ))
    }
}

async fn read(body: axum::body::Body) -> Result<Bytes, Problem> {
    timeout(BODY_TIMEOUT, to_bytes(body, MAX_BODY))
        .await
        .map_err(|_| {
            Problem::new(
                Kind::Slow,
                format!(
                    "The body was not complete after {} s.",
                    BODY_TIMEOUT.as_secs()
                ),
            )
        })?
        .map_err(|_| {
            Problem::new(
                Kind::TooLarge,
                format!("The body must be at most {MAX_BODY} bytes, and complete."),
            )
        })
}

#[expect(
    clippy::result_large_err,
    reason = "figment's error is what it is, and goes no further"
)]
fn parse<T: DeserializeOwned + Validate>(body: &[u8]) -> Result<T, Problem> {
    let json: serde_json::Value = serde_json::from_slice(body).map_err(|error| {
        Problem::new(
            Kind::BadRequest,
            format!(
                "The body is not valid JSON: it breaks at line {}, column {}.",
                error.line(),
                error.column()
            ),
        )
    })?;
    if !json.is_object() {
        return Err(Problem::new(
            Kind::BadRequest,
            "The body must be a JSON object.",
        ));
    }
    // JSON's own errors are sentences; these have the field and what was expected of it.
    let read: T = Value::serialize(json)
        .and_then(|value| value.deserialize())
        .map_err(|error| Problem::fields(error.into_iter().map(|e| wrong_field(&e)).collect()))?;
    let mut errors = Vec::new();
    read.validate(&mut errors);
    if errors.is_empty() {
        Ok(read)
    } else {
        Err(Problem::fields(errors))
    }
}

fn wrong_field(error: &figment::Error) -> FieldError {
    let path = error.path.join(".");
    let below = |name: &str| {
        // The path ends with the field in some cases and with what it lies in in others.
        if path.is_empty() || path == name {
            name.to_owned()
        } else if path.ends_with(&format!(".{name}")) {
            path.clone()
        } else {
            format!("{path}.{name}")
        }
    };
    match &error.kind {
        Wrong::MissingField(name) => FieldError::new(below(name), "is required"),
        Wrong::UnknownField(name, allowed) => FieldError::new(
            below(name),
            format!("is not known; there are {}", allowed.join(", ")),
        ),
        Wrong::UnknownVariant(_, allowed) => {
            let allowed: Vec<_> = allowed.iter().map(|name| format!("\"{name}\"")).collect();
            FieldError::new(path, format!("must be one of {}", allowed.join(", ")))
        }
        Wrong::InvalidType(actual, expected) | Wrong::InvalidValue(actual, expected) => {
            FieldError::new(
                path,
                format!("must be {}, not {}", plain(expected), named(actual)),
            )
        }
        Wrong::ISizeOutOfRange(_) | Wrong::USizeOutOfRange(_) => {
            FieldError::new(path, "is a number that is too large")
        }
        // Texts of the types' own parsers are written for whoever fills them in.
        Wrong::Message(text) => FieldError::new(path, text.clone()),
        _ => FieldError::new(path, "is not valid"),
    }
}

/// The name of a Rust type as its reader would say it.
fn plain(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "an array",
        "a map" => "an object",
        "a string" | "string" | "str" => "a string",
        "option" => "null or a value",
        other if other.starts_with("struct ") => "an object",
        other if other.contains("enum") => "one of its names",
        other => other,
    }
}

/// What kind of value it is; not which, it may be anything.
fn named(actual: &Actual) -> &'static str {
    match actual {
        Actual::Bool(_) => "a boolean",
        Actual::Unsigned(_) | Actual::Signed(_) | Actual::Float(_) => "a number",
        Actual::Str(_) | Actual::Char(_) => "this string",
        Actual::Seq => "an array",
        Actual::Map => "an object",
        Actual::Unit | Actual::Option => "null",
        _ => "this",
    }
}

/// The id in a call's path.
#[derive(Clone, Debug)]
pub(crate) struct CallPath(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for CallPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(id)) if is_call_id(&id) => Ok(Self(id)),
            _ => Err(unknown_call()),
        }
    }
}

/// `call-` and 12 hexadecimal digits.
pub(crate) fn is_call_id(text: &str) -> bool {
    text.strip_prefix("call-").is_some_and(|digits| {
        digits.len() == 12
            && digits
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

/// What is said of a call that nobody knows.
pub(crate) fn unknown_call() -> Problem {
    Problem::new(
        Kind::UnknownCall,
        "No call has this id. `GET /api/calls` lists those there are.",
    )
}

/// A query, field by field.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

/// What can be read from a query.
pub(crate) trait FromQuery: Sized {
    /// Takes what belongs to it from `fields`.
    fn read(fields: &mut Fields) -> Self;
}

impl<T: FromQuery, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut fields = Fields::parse(parts.uri.query().unwrap_or_default());
        let read = T::read(&mut fields);
        fields.finish().map(|()| Self(read))
    }
}

/// The fields of a query that were not read yet, and what was wrong with those that were.
#[derive(Debug)]
pub(crate) struct Fields {
    left: BTreeMap<String, String>,
    known: Vec<&'static str>,
    errors: Vec<FieldError>,
}

impl Fields {
    fn parse(query: &str) -> Self {
        let mut left = BTreeMap::new();
        let mut errors = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()).into_owned() {
            if left.insert(name.clone(), value).is_some() {
                errors.push(FieldError::new(name, "is there twice"));
            }
        }
        Self {
            left,
            known: Vec::new(),
            errors,
        }
    }

    /// A text of at most `max` characters. An empty one is none.
    pub(crate) fn text(&mut self, name: &'static str, max: usize) -> Option<String> {
        let text = self.take(name)?;
        if text.chars().count() > max {
            self.wrong(name, format!("must be at most {max} characters"));
            return None;
        }
        if text.contains('\0') {
            self.wrong(name, "must not hold a NUL character");
            return None;
        }
        (!text.is_empty()).then_some(text)
    }

    /// A whole number within `range`.
    pub(crate) fn number(&mut self, name: &'static str, range: RangeInclusive<u32>) -> Option<u32> {
        self.parsed(
            name,
            &format!("must be {} to {}", range.start(), range.end()),
            |text| text.parse().ok().filter(|number| range.contains(number)),
        )
    }

    /// A point in time.
    pub(crate) fn time(&mut self, name: &'static str) -> Option<Timestamp> {
        self.parsed(
            name,
            "must be a time such as 2026-11-21T14:30:00Z",
            Timestamp::parse,
        )
    }

    /// Whatever `parse` makes of the text; `expected` says what is allowed.
    pub(crate) fn parsed<T>(
        &mut self,
        name: &'static str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.take(name)?;
        let parsed = parse(&text);
        if parsed.is_none() {
            self.wrong(name, expected);
        }
        parsed
    }

    fn take(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        self.left.remove(name)
    }

    fn wrong(&mut self, name: &str, detail: impl Into<String>) {
        self.errors.push(FieldError::new(name, detail));
    }

    fn finish(mut self) -> Result<(), Problem> {
        for name in self.left.into_keys() {
            let known = if self.known.is_empty() {
                "there are none here".to_owned()
            } else {
                format!("there are {}", self.known.join(", "))
            };
            self.errors
                .push(FieldError::new(name, format!("is not known; {known}")));
        }
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Problem::fields(self.errors))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        to: String,
        #[serde(default)]
        metadata: BTreeMap<String, String>,
        size: Option<Size>,
        count: Option<u32>,
        items: Option<Vec<String>>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Size {
        Small,
        Large,
    }

    impl Validate for Order {
        fn validate(&self, errors: &mut Vec<FieldError>) {
            if self.to.is_empty() {
                errors.push(FieldError::new("to", "must not be empty"));
            }
        }
    }

    fn problem(body: &str) -> String {
        let problem = parse::<Order>(body.as_bytes()).unwrap_err();
        assert_eq!(problem.kind(), Kind::BadRequest);
        format!("{problem:?}")
            .split_once("detail: \"")
            .and_then(|(_, rest)| rest.split_once("\", errors"))
            .unwrap()
            .0
            .replace("\\\"", "\"")
    }

    #[test]
    fn what_is_wrong_with_a_body_is_said_by_field() {
        for (body, detail) in [
            (
                "",
                "The body is not valid JSON: it breaks at line 1, column 0.",
            ),
            (
                "{\n\"to\":}",
                "The body is not valid JSON: it breaks at line 2, column 6.",
            ),
            ("[]", "The body must be a JSON object."),
            ("{}", "`to` is required"),
            (r#"{"to": 5}"#, "`to` must be a string, not a number"),
            (r#"{"to": null}"#, "`to` must be a string, not null"),
            (r#"{"to": ""}"#, "`to` must not be empty"),
            (
                r#"{"to": "a", "form": "b"}"#,
                "`form` is not known; there are to, metadata, size, count, items",
            ),
            (
                r#"{"to": "a", "metadata": {"b": {"c": 1}}}"#,
                "`metadata.b` must be a string, not an object",
            ),
            (
                r#"{"to": "a", "metadata": []}"#,
                "`metadata` must be an object, not an array",
            ),
            (
                r#"{"to": "a", "size": "huge"}"#,
                r#"`size` must be one of "small", "large""#,
            ),
            (
                r#"{"to": "a", "count": -1}"#,
                "`count` must be a whole number, 0 or more, not a number",
            ),
            (
                r#"{"to": "a", "items": ["b", 7]}"#,
                "`items.1` must be a string, not a number",
            ),
        ] {
            assert_eq!(problem(body), detail, "{body}");
        }
        let order: Order =
            parse(br#"{"to": "a", "size": "small", "count": null, "metadata": {"x": "1"}}"#)
                .unwrap();
        assert_eq!(order.size, Some(Size::Small));
        assert_eq!((order.count, order.items), (None, None));
        assert_eq!(order.metadata["x"], "1");
    }

    #[test]
    fn a_body_that_nests_without_end_is_refused() {
        let body = "[".repeat(100_000);
        assert!(problem(&body).contains("not valid JSON"));
    }

    #[test]
    fn a_query_is_read_field_by_field() {
        let mut fields = Fields::parse("q=a+b%21&limit=5&state=");
        assert_eq!(fields.text("q", 10).as_deref(), Some("a b!"));
        assert_eq!(fields.number("limit", 1..=10), Some(5));
        assert_eq!(fields.text("state", 10), None);
        fields.finish().unwrap();

        let mut fields = Fields::parse("limit=0&q=abc&q=d&zzz=1");
        assert_eq!(fields.number("limit", 1..=10), None);
        assert_eq!(fields.text("q", 2).as_deref(), Some("d"));
        let problem = fields.finish().unwrap_err();
        let text = format!("{problem:?}");
        for part in [
            "`q` is there twice",
            "`limit` must be 1 to 10",
            "`zzz` is not known; there are limit, q",
        ] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
    }

    #[test]
    fn a_call_id_has_one_shape() {
        assert!(is_call_id("call-0123456789ab"));
        for other in [
            "",
            "call-",
            "call-0123456789aB",
            "call-0123456789abc",
            "../../x",
        ] {
            assert!(!is_call_id(other), "{other}");
        }
    }
}
