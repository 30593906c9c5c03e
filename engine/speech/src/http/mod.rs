//! What the providers that talk HTTP share: one connection pool each, time-outs, one retry, and
//! failures that never carry a key or what was said.

mod client;
mod fault;

use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};
use reqwest::{
    Client, Method, RequestBuilder, Response, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use sidetone_core::job::{FailureKind, JobFailure, Service};
use tokio::time::{Instant, timeout_at};

pub use client::{client, is_loopback};
use fault::Endpoint;
pub(crate) use fault::Fault;

use crate::{error::ProviderError, secret::Secret};

/// How long a network service may keep a call waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the connection stands, TLS included. Default: 2 s.
    pub connect: Duration,
    /// From the start of the request, connecting included, to the first byte of the answer's
    /// body. Default: 3.5 s, so that a call, which gives a service 8 s, sees the second attempt end.
    pub first_byte: Duration,
    /// Between two pieces of the answer. Default: 4 s.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            first_byte: Duration::from_millis(3_500),
            idle: Duration::from_secs(4),
        }
    }
}

/// A service behind one base URL.
#[derive(Debug)]
pub(crate) struct Api {
    service: Service,
    client: Client,
    base_url: Url,
    authorization: Option<HeaderValue>,
    timeouts: Timeouts,
}

/// A whole answer larger than this is no answer to anything we ask.
const MAX_WHOLE: usize = 1 << 20;
/// So much of an error's body is read, to learn its code.
const MAX_ERROR: usize = 16 << 10;
/// How long, and how much, an answer may still go on after its useful part before its connection
/// is given up instead of kept for the next request.
const DRAIN: Duration = Duration::from_secs(1);
const MAX_DRAIN: usize = 64 << 10;

impl Api {
    /// A client for `service` at `base_url`. Connects to nothing yet.
    pub(crate) fn new(
        service: Service,
        base_url: &str,
        api_key: Option<&Secret>,
        timeouts: Timeouts,
    ) -> Result<Self, ProviderError> {
        let base_url = parse_base_url(service, base_url)?;
        // An environment variable that is set to nothing is no key.
        let api_key = api_key.filter(|key| !key.expose().is_empty());
        let authorization = api_key.map(|key| bearer(service, key)).transpose()?;
        let client = client(service, &base_url, timeouts.connect)
            .map_err(|source| ProviderError::Client { service, source })?;
        Ok(Self {
            service,
            client,
            base_url,
            authorization,
            timeouts,
        })
    }

    /// Opens a connection and leaves it in the pool. Any HTTP answer will do.
    pub(crate) async fn warm_up(&self) -> Result<(), JobFailure> {
        let endpoint = self.endpoint(Method::GET, "models");
        let deadline = Instant::now() + self.timeouts.first_byte;
        let response = self
            .response(&endpoint, deadline, &|request| request)
            .await?;
        let answer = Answer::new(response, None, endpoint, self.timeouts.idle, MAX_WHOLE);
        answer.drain().await;
        Ok(())
    }

    /// `POST`s to `path` and returns the answer once its first byte is here. Tries a second time
    /// where that may help. At most `limit` bytes of the answer can be read.
    pub(crate) async fn open(
        &self,
        path: &str,
        limit: usize,
        fill: impl Fn(RequestBuilder) -> RequestBuilder + Sync,
    ) -> Result<Answer, Fault> {
        let mut retry = Retry::default();
        loop {
            match self.open_once(path, limit, &fill).await {
                Ok(answer) => return Ok(answer),
                Err(fault) => retry.wait_or_give_up(fault).await?,
            }
        }
    }

    /// `POST`s to `path` and returns the whole answer. Tries a second time where that may help.
    pub(crate) async fn fetch(
        &self,
        path: &str,
        fill: impl Fn(RequestBuilder) -> RequestBuilder + Sync,
    ) -> Result<Vec<u8>, Fault> {
        let mut retry = Retry::default();
        loop {
            // None of the answer is used before all of it is here, so it may break off late.
            let whole = match self.open_once(path, MAX_WHOLE, &fill).await {
                Ok(answer) => answer.whole().await.map_err(Fault::worth_a_retry),
                Err(fault) => Err(fault),
            };
            match whole {
                Ok(body) => return Ok(body),
                Err(fault) => retry.wait_or_give_up(fault).await?,
            }
        }
    }

    /// A failure of what was answered at `path`.
    pub(crate) fn malformed(&self, path: &str, problem: &str) -> JobFailure {
        self.endpoint(Method::POST, path)
            .failure(FailureKind::Malformed, problem)
    }

    /// A failure that an answer at `path` reports itself, as this OpenAI-style error.
    pub(crate) fn reported(&self, path: &str, error: &str) -> JobFailure {
        let endpoint = self.endpoint(Method::POST, path);
        let problem = format!("reported an error in its answer{}", endpoint.codes(error));
        endpoint.failure(FailureKind::Unavailable, &problem)
    }

    async fn open_once(
        &self,
        path: &str,
        limit: usize,
        fill: &(impl Fn(RequestBuilder) -> RequestBuilder + Sync),
    ) -> Result<Answer, Fault> {
        let endpoint = self.endpoint(Method::POST, path);
        let deadline = Instant::now() + self.timeouts.first_byte;
        let mut response = self.response(&endpoint, deadline, fill).await?;
        if !response.status().is_success() {
            let head = (response.status(), response.headers().clone());
            let answer = Answer::new(response, None, endpoint, self.timeouts.idle, MAX_ERROR);
            let (endpoint, body) = answer.what_comes().await;
            return Err(endpoint.refusal(head.0, &head.1, &body));
        }
        let first = match timeout_at(deadline, response.chunk()).await {
            Ok(Ok(first)) => first,
            Ok(Err(error)) => return Err(endpoint.broken(error)),
            Err(_) => return Err(endpoint.late(self.timeouts.first_byte)),
        };
        Ok(Answer::new(
            response,
            first,
            endpoint,
            self.timeouts.idle,
            limit,
        ))
    }

    async fn response(
        &self,
        endpoint: &Endpoint,
        deadline: Instant,
        fill: &(impl Fn(RequestBuilder) -> RequestBuilder + Sync),
    ) -> Result<Response, Fault> {
        let mut request = self
            .client
            .request(endpoint.method.clone(), endpoint.url.clone());
        if let Some(authorization) = &endpoint.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        match timeout_at(deadline, fill(request).send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(endpoint.unsent(error)),
            Err(_) => Err(endpoint.late(self.timeouts.first_byte)),
        }
    }

    fn endpoint(&self, method: Method, path: &str) -> Endpoint {
        let mut url = self.base_url.clone();
        url.set_path(&format!(
            "{}/{path}",
            self.base_url.path().trim_end_matches('/')
        ));
        Endpoint {
            service: self.service,
            method,
            url,
            authorization: self.authorization.clone(),
        }
    }
}

/// One more try, after a short wait.
#[derive(Default)]
struct Retry {
    used: bool,
}

impl Retry {
    async fn wait_or_give_up(&mut self, fault: Fault) -> Result<(), Fault> {
        match fault.retry_after {
            Some(wait) if !self.used => {
                self.used = true;
                tracing::debug!(failure = %fault.failure.detail, "trying once more");
                tokio::time::sleep(wait).await;
                Ok(())
            }
            _ => Err(fault),
        }
    }
}

/// An answer of which the first byte is here. Dropping it closes the connection.
#[derive(Debug)]
pub(crate) struct Answer {
    response: Response,
    first: Option<Bytes>,
    endpoint: Endpoint,
    idle: Duration,
    left: usize,
}

impl Answer {
    fn new(
        response: Response,
        first: Option<Bytes>,
        endpoint: Endpoint,
        idle: Duration,
        limit: usize,
    ) -> Self {
        Self {
            response,
            first,
            endpoint,
            idle,
            left: limit,
        }
    }

    /// The media type the service claims, lower case, without parameters.
    pub(crate) fn media_type(&self) -> String {
        let value = self.response.headers().get(CONTENT_TYPE);
        let text = value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let essence = text.split(';').next().unwrap_or_default();
        essence.trim().to_ascii_lowercase()
    }

    /// The next piece; `None` at the end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, JobFailure> {
        let chunk = match self.first.take() {
            Some(first) => Some(first),
            None => match tokio::time::timeout(self.idle, self.response.chunk()).await {
                Ok(Ok(chunk)) => chunk,
                Ok(Err(error)) => return Err(self.endpoint.broken(error).failure),
                Err(_) => return Err(self.endpoint.stalled(self.idle)),
            },
        };
        if let Some(chunk) = &chunk {
            self.left = self.left.checked_sub(chunk.len()).ok_or_else(|| {
                self.failure(FailureKind::Malformed, "answered more than it can mean")
            })?;
        }
        Ok(chunk)
    }

    /// A failure of this answer.
    pub(crate) fn failure(&self, kind: FailureKind, problem: &str) -> JobFailure {
        self.endpoint.failure(kind, problem)
    }

    /// The pieces as a stream that ends after a failure.
    pub(crate) fn chunks(&mut self) -> impl Stream<Item = Result<Bytes, JobFailure>> {
        stream::unfold(Some(self), async |answer| {
            let answer = answer?;
            match answer.chunk().await {
                Ok(Some(chunk)) => Some((Ok(chunk), Some(answer))),
                Ok(None) => None,
                Err(failure) => Some((Err(failure), None)),
            }
        })
    }

    /// All of it.
    pub(crate) async fn whole(mut self) -> Result<Vec<u8>, JobFailure> {
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// Reads the little that is left in the background, so that the connection can be used again.
    pub(crate) fn release(mut self) {
        self.left = self.left.min(MAX_DRAIN);
        tokio::spawn(self.drain());
    }

    async fn drain(mut self) {
        let rest = async { while let Ok(Some(_)) = self.chunk().await {} };
        // Whatever is not here by then is not worth the wait: the connection closes instead.
        let _ = tokio::time::timeout(DRAIN, rest).await;
    }

    async fn what_comes(mut self) -> (Endpoint, Vec<u8>) {
        let mut body = Vec::new();
        let rest = async {
            while let Ok(Some(chunk)) = self.chunk().await {
                body.extend_from_slice(&chunk);
            }
        };
        let _ = tokio::time::timeout(DRAIN, rest).await;
        (self.endpoint, body)
    }
}

fn parse_base_url(service: Service, text: &str) -> Result<Url, ProviderError> {
    let bad = |expected: &str| ProviderError::Config {
        service,
        key: "base_url",
        // A URL that carries a password is not repeated.
        value: (!text.contains('@')).then(|| text.to_owned()),
        expected: expected.into(),
    };
    let url =
        Url::parse(text).map_err(|_| bad("must be a URL such as \"https://api.openai.com/v1\""))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(bad("must begin with http:// or https:// and name a host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("must not hold a user name or password; set `api_key`"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("must end with its path, without `?…` or `#…`"));
    }
    Ok(url)
}

fn bearer(service: Service, key: &Secret) -> Result<HeaderValue, ProviderError> {
    let value = HeaderValue::from_str(&format!("Bearer {}", key.expose()));
    let mut value = value.map_err(|_| ProviderError::Config {
        service,
        key: "api_key",
        value: None,
        expected: "must be one line of printable characters".into(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(base_url: &str) -> Result<Api, ProviderError> {
        Api::new(Service::Llm, base_url, None, Timeouts::default())
    }

    #[test]
    fn a_base_url_keeps_its_path() {
        for base_url in ["http://127.0.0.1:11434/v1", "http://127.0.0.1:11434/v1/"] {
            let endpoint = api(base_url)
                .unwrap()
                .endpoint(Method::POST, "chat/completions");
            assert_eq!(
                endpoint.url.as_str(),
                "http://127.0.0.1:11434/v1/chat/completions"
            );
        }
    }

    #[test]
    fn a_bad_base_url_is_named_and_a_password_is_not() {
        for (url, says) in [
            ("", "`llm.base_url` = \"\": must be a URL"),
            ("api.openai.com/v1", "must be a URL"),
            ("localhost:8000", "must begin with http"),
            ("ftp://host/", "must begin with http"),
            ("https://host/v1?key=1", "must end with its path"),
            (
                "https://me:secret@host/v1",
                "`llm.base_url`: must not hold a user name",
            ),
        ] {
            let error = api(url).unwrap_err().to_string();
            assert!(error.contains(says), "{url}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_bad_key_is_not_shown() {
        let key = Secret::new("sk-1\nX-Evil: 1");
        let error = Api::new(Service::Tts, "http://host", Some(&key), Timeouts::default());
        let error = error.unwrap_err().to_string();
        assert!(error.starts_with("`tts.api_key`: must be"), "{error}");
    }
}
