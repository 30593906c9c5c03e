//! From what went wrong on the wire to one line for the operator.

use std::{error::Error as _, fmt::Write as _, time::Duration};

use reqwest::{
    Method, StatusCode, Url,
    header::{HeaderMap, HeaderValue, RETRY_AFTER},
};
use serde_json::Value;
use sidetone_core::job::{FailureKind, JobFailure, Service};

/// Before the second try of a request that failed at once.
const BACKOFF: Duration = Duration::from_millis(100);
/// A service that asks for more patience than this has failed: a caller is waiting.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Which request of which service.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub(super) service: Service,
    pub(super) method: Method,
    pub(super) url: Url,
    /// Never part of a message.
    pub(super) authorization: Option<HeaderValue>,
}

/// A failed request, and whether a second try may help.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) failure: JobFailure,
    /// How long to wait before the second try; `None`: it would be in vain.
    pub(super) retry_after: Option<Duration>,
    /// What an HTTP answer other than success said. For decisions, never for messages: a body
    /// may repeat what the caller said.
    pub(crate) refusal: Option<(StatusCode, String)>,
}

impl Fault {
    /// The failure of a request of which nothing was used yet.
    pub(super) fn worth_a_retry(failure: JobFailure) -> Self {
        let hopeless = matches!(failure.kind, FailureKind::Malformed | FailureKind::Refused);
        Self {
            failure,
            retry_after: (!hopeless).then_some(BACKOFF),
            refusal: None,
        }
    }
}

impl From<Fault> for JobFailure {
    fn from(fault: Fault) -> Self {
        fault.failure
    }
}

impl Endpoint {
    /// A failure that names the service, the request and the problem.
    pub(super) fn failure(&self, kind: FailureKind, problem: &str) -> JobFailure {
        let Self {
            service,
            method,
            url,
            ..
        } = self;
        let host = url.host_str().unwrap_or_default();
        let port = url
            .port()
            .map(|port| format!(":{port}"))
            .unwrap_or_default();
        let path = url.path();
        JobFailure::new(
            kind,
            format!("{service}: {method} {host}{port}{path}: {problem}"),
        )
    }

    /// No answer came: refused connection, unknown host, failed handshake, broken connection.
    pub(super) fn unsent(&self, error: reqwest::Error) -> Fault {
        let kind = if error.is_timeout() {
            FailureKind::TimedOut
        } else if error.is_builder() {
            FailureKind::Refused
        } else {
            FailureKind::Unavailable
        };
        Fault::worth_a_retry(self.failure(kind, &causes(error)))
    }

    /// The answer broke off.
    pub(super) fn broken(&self, error: reqwest::Error) -> Fault {
        let problem = format!("the answer broke off: {}", causes(error));
        Fault::worth_a_retry(self.failure(FailureKind::Unavailable, &problem))
    }

    /// No byte of the answer in time.
    pub(super) fn late(&self, allowed: Duration) -> Fault {
        let problem = format!("no answer within {} ms", allowed.as_millis());
        Fault::worth_a_retry(self.failure(FailureKind::TimedOut, &problem))
    }

    /// The answer does not go on.
    pub(super) fn stalled(&self, allowed: Duration) -> JobFailure {
        let problem = format!("the answer stopped for {} ms", allowed.as_millis());
        self.failure(FailureKind::TimedOut, &problem)
    }

    /// An HTTP answer other than success.
    pub(super) fn refusal(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Fault {
        let kind = match status {
            StatusCode::TOO_MANY_REQUESTS => FailureKind::Overloaded,
            StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => FailureKind::TimedOut,
            StatusCode::SERVICE_UNAVAILABLE => FailureKind::Overloaded,
            status if status.is_server_error() => FailureKind::Unavailable,
            _ => FailureKind::Refused,
        };
        let body = String::from_utf8_lossy(body);
        let mut problem = format!("answered {status}{}", self.codes(&body));
        if status.is_redirection() {
            problem.push_str(" (redirects are not followed: check `base_url`)");
        }
        let wait = asked_for(headers).unwrap_or(BACKOFF);
        let helps = kind != FailureKind::Refused && wait <= MAX_RETRY_AFTER;
        Fault {
            failure: self.failure(kind, &problem),
            retry_after: helps.then_some(wait),
            refusal: Some((status, body.into_owned())),
        }
    }

    /// The machine-readable parts of an OpenAI-style error, each after a comma. Its `message`
    /// may repeat what was said, so it stays out.
    pub(super) fn codes(&self, body: &str) -> String {
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let error = body.get("error").unwrap_or(&body);
        let mut codes = String::new();
        for key in ["type", "code", "param"] {
            let word = match error.get(key) {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Number(number)) => number.to_string(),
                _ => continue,
            };
            let is_code = |c: char| c.is_ascii_alphanumeric() || "_-.[]".contains(c);
            let short = (1..=64).contains(&word.len());
            if short && word.chars().all(is_code) && !self.is_secret(&word) {
                let _ = write!(codes, ", {key} {word}");
            }
        }
        codes
    }

    /// Whether a service echoes the key, or enough of it to matter.
    fn is_secret(&self, word: &str) -> bool {
        let value = self
            .authorization
            .as_ref()
            .map(HeaderValue::as_bytes)
            .unwrap_or_default();
        let value = String::from_utf8_lossy(value);
        let key = value.trim_start_matches("Bearer ");
        !key.is_empty() && (word.contains(key) || word.len() > 4 && key.contains(word))
    }
}

/// `Retry-After` in seconds. The form with a date asks for more than a second anyway.
fn asked_for(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?;
    Some(
        value
            .trim()
            .parse()
            .map_or(Duration::MAX, Duration::from_secs),
    )
}

/// An error and what caused it, without the URL, which the message names already.
fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            let _ = write!(text, ": {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint() -> Endpoint {
        Endpoint {
            service: Service::Llm,
            method: Method::POST,
            url: Url::parse("https://host:1/v1/chat/completions").unwrap(),
            authorization: Some(HeaderValue::from_static("Bearer sk-12345")),
        }
    }

    fn refusal(status: u16, retry_after: Option<&str>, body: &str) -> Fault {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert(RETRY_AFTER, value.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        endpoint().refusal(status, &headers, body.as_bytes())
    }

    #[test]
    fn a_refusal_names_the_request_and_the_code_but_no_text() {
        let body = r#"{"error":{"message":"you said: my name is Ann","type":"invalid_request_error","code":"model_not_found","param":null}}"#;
        let fault = refusal(404, None, body);
        assert_eq!(fault.failure.kind, FailureKind::Refused);
        assert_eq!(
            fault.failure.detail,
            "llm: POST host:1/v1/chat/completions: answered 404 Not Found, \
             type invalid_request_error, code model_not_found"
        );
        assert_eq!(fault.retry_after, None);
    }

    #[test]
    fn only_identifiers_are_codes_and_the_key_is_none() {
        for (body, codes) in [
            (
                r#"{"error":{"code":"my name is Ann","type":7}}"#,
                ", type 7",
            ),
            (r#"{"error":{"code":"sk-12345","type":"k-1234"}}"#, ""),
            (r#"{"error":"out of memory"}"#, ""),
            (r#"{"code":"rate_limited"}"#, ", code rate_limited"),
            ("<html>", ""),
            ("null", ""),
        ] {
            assert_eq!(endpoint().codes(body), codes, "{body}");
        }
    }

    #[test]
    fn a_second_try_is_for_what_may_pass() {
        let soon = Some(BACKOFF);
        for (status, after, kind, wait) in [
            (400, None, FailureKind::Refused, None),
            (401, None, FailureKind::Refused, None),
            (301, None, FailureKind::Refused, None),
            (429, None, FailureKind::Overloaded, soon),
            (
                429,
                Some("1"),
                FailureKind::Overloaded,
                Some(Duration::from_secs(1)),
            ),
            (429, Some("20"), FailureKind::Overloaded, None),
            (
                429,
                Some("Wed, 21 Oct 2026 07:28:00 GMT"),
                FailureKind::Overloaded,
                None,
            ),
            (500, None, FailureKind::Unavailable, soon),
            (503, None, FailureKind::Overloaded, soon),
            (504, None, FailureKind::TimedOut, soon),
        ] {
            let fault = refusal(status, after, "");
            assert_eq!(
                (fault.failure.kind, fault.retry_after),
                (kind, wait),
                "{status} {after:?}"
            );
        }
    }
}
