//! Asking Twilio.

use std::{fmt, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::{
    Client, Method, Response, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER},
};
use serde::de::DeserializeOwned;
use sidetone_speech::{Secret, http};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::debug;

use super::{
    base_url,
    error::{Action, Refusal, TwilioError},
    ids::{CallSid, RecordingSid, is_sid},
    request::{Fields, Instructions, NewCall, RecordingChannels, http_url},
    resource::{Call, Recording},
};
use crate::config::TwilioConfig;

/// A connection that does not stand by then never will.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How often a request is tried at most, where trying again is safe.
const MAX_TRIES: u32 = 3;

/// Before the second try, where Twilio names no time; doubled before the third.
const BACKOFF: Duration = Duration::from_millis(250);

/// A longer answer is none of Twilio's. A call takes about 2 KiB.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// A client of one Twilio account. Clones share their connections.
///
/// No request takes longer than `twilio.request_timeout_ms`, tries taken together. A request is
/// tried again only where that cannot do anything twice: one that only looks, or ends something,
/// after any passing failure; one that places a call or gives it other instructions only where it
/// never reached Twilio, or where Twilio answered 429, which says that it was not looked at.
#[derive(Clone)]
pub struct TwilioClient(Arc<Inner>);

struct Inner {
    client: Client,
    base_url: Url,
    account_sid: String,
    authorization: HeaderValue,
    secret: Secret,
    timeout: Duration,
}

impl TwilioClient {
    /// A client of the account that `config` names. Connects to nothing yet.
    ///
    /// # Errors
    ///
    /// [`TwilioError::NotConfigured`] names the key that is missing or wrong.
    pub fn new(config: &TwilioConfig) -> Result<Self, TwilioError> {
        let missing = |key, expected| TwilioError::NotConfigured { key, expected };
        if !is_sid("AC", &config.account_sid) {
            return Err(missing(
                "twilio.account_sid",
                "must be the account's SID: AC and 32 hexadecimal digits",
            ));
        }
        let (user, secret) = match (&config.api_key_secret, &config.auth_token) {
            (Some(secret), _) => (&config.api_key_sid, secret),
            (None, Some(token)) => (&config.account_sid, token),
            (None, None) => {
                return Err(missing(
                    "twilio.auth_token",
                    "must be set, or `twilio.api_key_sid` and `twilio.api_key_secret`",
                ));
            }
        };
        let base_url = base_url(config).map_err(|error| {
            let (key, expected) = error.expectation();
            missing(key, expected)
        })?;
        let basic = STANDARD.encode(format!("{user}:{}", secret.expose()));
        let mut authorization =
            HeaderValue::try_from(format!("Basic {basic}")).expect("base64 is valid in a header");
        authorization.set_sensitive(true);
        let client =
            http::client("twilio", &base_url, CONNECT_TIMEOUT).map_err(TwilioError::Client)?;
        Ok(Self(Arc::new(Inner {
            client,
            base_url,
            account_sid: config.account_sid.clone(),
            authorization,
            secret: secret.clone(),
            timeout: Duration::from_millis(config.request_timeout_ms),
        })))
    }

    /// Places a call. It is `queued` when this returns; how it fares is in its status reports.
    ///
    /// # Errors
    ///
    /// Where [`may_have_happened`](TwilioError::may_have_happened), it may ring all the same: its
    /// first status report tells.
    pub async fn place_call(&self, call: &NewCall) -> Result<Call, TwilioError> {
        let form = call.fields()?;
        self.send(Request::change(
            Action::PlaceCall,
            "Calls.json".into(),
            form,
        ))
        .await
    }

    /// Gives a live call other instructions, at once: what it does now ends, its media stream with
    /// it.
    ///
    /// # Errors
    ///
    /// [`is_call_over`](TwilioError::is_call_over) tells where there is nothing to redirect.
    pub async fn redirect_call(
        &self,
        call: &CallSid,
        instructions: &Instructions,
    ) -> Result<Call, TwilioError> {
        let mut form = Fields::new();
        instructions.fields(&mut form)?;
        self.send(Request::change(Action::RedirectCall, path_of(call), form))
            .await
    }

    /// Ends a call, whether it is live or still rings. One that is over already is fine.
    ///
    /// # Errors
    ///
    /// [`is_call_over`](TwilioError::is_call_over) where Twilio knows no such call, or not any
    /// more.
    pub async fn end_call(&self, call: &CallSid) -> Result<(), TwilioError> {
        let form = vec![("Status", "completed".into())];
        let ended: Result<Call, _> = self
            .send(Request::repeatable(Action::EndCall, path_of(call), form))
            .await;
        match ended {
            Err(error) if error.is_not_in_progress() => Ok(()),
            other => other.map(drop),
        }
    }

    /// Looks how a call fares.
    ///
    /// # Errors
    ///
    /// See [`TwilioError`].
    pub async fn call(&self, call: &CallSid) -> Result<Call, TwilioError> {
        self.send(Request::look(Action::FetchCall, path_of(call)))
            .await
    }

    /// Begins to record a live call at Twilio. `status_callback` learns when it runs and when it
    /// can be had.
    ///
    /// # Errors
    ///
    /// [`is_call_over`](TwilioError::is_call_over) where the call is not in progress.
    pub async fn start_recording(
        &self,
        call: &CallSid,
        channels: RecordingChannels,
        status_callback: Option<&str>,
    ) -> Result<Recording, TwilioError> {
        let mut form: Fields = vec![("RecordingChannels", channels.as_str().into())];
        if let Some(url) = status_callback {
            let url = http_url("recording callback", url)?;
            form.push(("RecordingStatusCallback", url.into()));
            let events = "in-progress completed absent";
            form.push(("RecordingStatusCallbackEvent", events.into()));
        }
        let path = format!("Calls/{call}/Recordings.json");
        self.send(Request::change(Action::StartRecording, path, form))
            .await
    }

    /// Ends a recording, or the one that runs now.
    ///
    /// # Errors
    ///
    /// See [`TwilioError`].
    pub async fn stop_recording(
        &self,
        call: &CallSid,
        recording: Option<&RecordingSid>,
    ) -> Result<Recording, TwilioError> {
        let name = recording.map_or("Twilio.CURRENT", RecordingSid::as_str);
        let path = format!("Calls/{call}/Recordings/{name}.json");
        let form = vec![("Status", "stopped".into())];
        self.send(Request::repeatable(Action::StopRecording, path, form))
            .await
    }

    async fn send<T: DeserializeOwned>(&self, request: Request) -> Result<T, TwilioError> {
        let timeout = self.0.timeout;
        let action = request.action;
        let deadline = Instant::now() + timeout;
        let mut tries = 0;
        loop {
            tries += 1;
            let error = match timeout_at(deadline, self.try_once(&request)).await {
                Ok(Ok(answer)) => return read(action, &answer),
                Ok(Err(error)) => error,
                Err(_) => {
                    return Err(TwilioError::TimedOut {
                        action,
                        after: timeout,
                    });
                }
            };
            let left = deadline.saturating_duration_since(Instant::now());
            let wait = match request.wait_before_retry(&error, tries) {
                Some(wait) if wait < left => wait,
                _ => return Err(error),
            };
            debug!(%error, "asking Twilio once more");
            sleep(wait).await;
        }
    }

    /// The body of an answer that is a success.
    async fn try_once(&self, request: &Request) -> Result<Vec<u8>, TwilioError> {
        let action = request.action;
        let mut url = self.0.base_url.clone();
        url.set_path(&format!(
            "{}/2010-04-01/Accounts/{}/{}",
            url.path().trim_end_matches('/'),
            self.0.account_sid,
            request.path
        ));
        let mut sending = self
            .0
            .client
            .request(request.method.clone(), url)
            .header(AUTHORIZATION, self.0.authorization.clone());
        if request.method == Method::POST {
            let body = form_urlencoded::Serializer::new(String::new())
                .extend_pairs(&request.form)
                .finish();
            sending = sending
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(body);
        }
        let response = sending.send().await.map_err(|error| {
            let never_sent = error.is_connect() || error.is_builder();
            let source = error.without_url();
            if never_sent {
                TwilioError::Unreachable { action, source }
            } else {
                TwilioError::Interrupted { action, source }
            }
        })?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = whole(action, response).await?;
        if status.is_success() {
            return Ok(body);
        }
        let secret = self.0.secret.expose();
        Err(TwilioError::Refused {
            action,
            refusal: Refusal::read(status.as_u16(), retry_after(&headers), &body, secret),
        })
    }
}

impl fmt::Debug for TwilioClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TwilioClient")
            .field("base_url", &self.0.base_url.as_str())
            .field("timeout", &self.0.timeout)
            .finish_non_exhaustive()
    }
}

/// One request, and how often it may be made.
struct Request {
    action: Action,
    method: Method,
    /// Below the account.
    path: String,
    form: Fields,
    /// Doing it twice is the same as doing it once.
    repeatable: bool,
}

impl Request {
    fn look(action: Action, path: String) -> Self {
        Self {
            method: Method::GET,
            ..Self::repeatable(action, path, Fields::new())
        }
    }

    fn repeatable(action: Action, path: String, form: Fields) -> Self {
        Self {
            repeatable: true,
            ..Self::change(action, path, form)
        }
    }

    fn change(action: Action, path: String, form: Fields) -> Self {
        Self {
            action,
            method: Method::POST,
            path,
            form,
            repeatable: false,
        }
    }

    /// How long to wait before this may be tried again after `tries` tries; `None`: not at all.
    fn wait_before_retry(&self, error: &TwilioError, tries: u32) -> Option<Duration> {
        if tries >= MAX_TRIES {
            return None;
        }
        let backoff = BACKOFF * 2_u32.pow(tries - 1);
        match error {
            TwilioError::Unreachable { .. } => Some(backoff),
            TwilioError::Refused { refusal, .. } => {
                let passing = refusal.status == StatusCode::TOO_MANY_REQUESTS.as_u16()
                    || (self.repeatable && refusal.status >= 500);
                passing.then(|| refusal.retry_after.unwrap_or(backoff))
            }
            TwilioError::Interrupted { .. } => self.repeatable.then_some(backoff),
            _ => None,
        }
    }
}

fn path_of(call: &CallSid) -> String {
    format!("Calls/{call}.json")
}

async fn whole(action: Action, mut response: Response) -> Result<Vec<u8>, TwilioError> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= MAX_ANSWER_BYTES => {
                body.extend_from_slice(&chunk);
            }
            Ok(Some(_)) => {
                return Err(TwilioError::Malformed {
                    action,
                    problem: format!("it is longer than {MAX_ANSWER_BYTES} bytes"),
                });
            }
            Ok(None) => return Ok(body),
            Err(error) => {
                let source = error.without_url();
                return Err(TwilioError::Interrupted { action, source });
            }
        }
    }
}

fn read<T: DeserializeOwned>(action: Action, body: &[u8]) -> Result<T, TwilioError> {
    serde_json::from_slice(body).map_err(|error| TwilioError::Malformed {
        action,
        // Its own words may quote the answer.
        problem: format!(
            "{:?} error in line {}, column {}",
            error.classify(),
            error.line(),
            error.column()
        ),
    })
}

/// `Retry-After` in seconds; Twilio sends no dates.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> TwilioConfig {
        TwilioConfig {
            account_sid: "AC00000000000000000000000000000001".into(),
            auth_token: Some(Secret::new("hush")),
            ..TwilioConfig::default()
        }
    }

    fn missing(config: &TwilioConfig) -> &'static str {
        match TwilioClient::new(config) {
            Err(TwilioError::NotConfigured { key, .. }) => key,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_key_that_is_missing_is_named() {
        assert!(TwilioClient::new(&config()).is_ok());
        let without = |change: fn(&mut TwilioConfig)| {
            let mut config = config();
            change(&mut config);
            missing(&config)
        };
        assert_eq!(without(|c| c.account_sid.clear()), "twilio.account_sid");
        assert_eq!(
            without(|c| c.account_sid = "AC1".into()),
            "twilio.account_sid"
        );
        assert_eq!(without(|c| c.auth_token = None), "twilio.auth_token");
        assert_eq!(without(|c| c.region = "mars1".into()), "twilio.region");
    }

    #[test]
    fn an_api_key_goes_before_the_auth_token_and_neither_is_shown() {
        let mut config = config();
        config.api_key_sid = "SK00000000000000000000000000000001".into();
        config.api_key_secret = Some(Secret::new("hush-key"));
        let client = TwilioClient::new(&config).unwrap();
        assert_eq!(
            client.0.authorization.to_str().unwrap(),
            format!(
                "Basic {}",
                STANDARD.encode("SK00000000000000000000000000000001:hush-key")
            )
        );
        let debug = format!("{client:?}");
        assert!(
            !debug.contains("hush") && !debug.contains("AC0000"),
            "{debug}"
        );
    }

    #[test]
    fn what_may_be_tried_again() {
        let refused = |status, retry_after| TwilioError::Refused {
            action: Action::PlaceCall,
            refusal: Refusal::read(status, retry_after, b"", ""),
        };
        let place = Request::change(Action::PlaceCall, String::new(), Fields::new());
        let end = Request::repeatable(Action::EndCall, String::new(), Fields::new());
        let second = Some(Duration::from_secs(1));
        for (error, placing, ending) in [
            (refused(400, None), None, None),
            (refused(401, None), None, None),
            (refused(429, None), Some(BACKOFF), Some(BACKOFF)),
            (refused(429, second), second, second),
            (refused(500, None), None, Some(BACKOFF)),
            (refused(503, second), None, second),
            (
                TwilioError::Malformed {
                    action: Action::PlaceCall,
                    problem: String::new(),
                },
                None,
                None,
            ),
        ] {
            assert_eq!(place.wait_before_retry(&error, 1), placing, "{error}");
            assert_eq!(end.wait_before_retry(&error, 1), ending, "{error}");
            assert_eq!(end.wait_before_retry(&error, MAX_TRIES), None, "{error}");
        }
    }
}
