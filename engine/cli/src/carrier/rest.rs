//! The REST API: the paths, shapes and answers of Twilio's, version 2010-04-01.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::stream;
use serde_json::{Value, json};

use super::{
    exchange::{Command, Exchange, Instructions, new_sid},
    fault::Fault,
    leg::{Detection, Leg, Placing},
    record::{CallRecord, Direction, RecordingRecord, Status},
    reports::{date, recorded},
};

const VERSION: &str = "2010-04-01";

/// How long Twilio rings if it is not told.
const RING_SECONDS: u64 = 60;

pub(super) fn router(exchange: Arc<Exchange>) -> Router {
    let calls = "/2010-04-01/Accounts/{account}/Calls";
    Router::new()
        .route(&format!("{calls}.json"), post(place))
        .route(&format!("{calls}/{{call}}"), get(look).post(change))
        .route(&format!("{calls}/{{call}}/Recordings.json"), post(record))
        .route(
            &format!("{calls}/{{call}}/Recordings/{{recording}}"),
            post(stop_recording),
        )
        .fallback(|request: Request| async move { not_found(request.uri().path()) })
        .layer(middleware::from_fn_with_state(
            Arc::clone(&exchange),
            go_wrong,
        ))
        .with_state(exchange)
}

/// Checks who asks, and lets planned faults happen.
async fn go_wrong(State(exchange): State<Arc<Exchange>>, request: Request, next: Next) -> Response {
    let fault = exchange.next_fault();
    match &fault {
        Some(Fault::Refuses { status }) => {
            return error(*status, 20500, "An internal server error has occurred");
        }
        Some(Fault::TooManyRequests { retry_after_s }) => {
            let mut answer = error(429, 20429, "Too Many Requests");
            if let Some(seconds) = retry_after_s {
                let headers = answer.headers_mut();
                headers.insert(header::RETRY_AFTER, (*seconds).into());
            }
            return answer;
        }
        _ => {}
    }
    if !may_ask(&exchange, request.headers()) {
        let mut answer = error(401, 20003, "Authenticate");
        answer.headers_mut().insert(
            header::WWW_AUTHENTICATE,
            header::HeaderValue::from_static("Basic realm=\"Twilio API\""),
        );
        return answer;
    }
    // Done whether or not whoever asked still waits.
    let answer = tokio::spawn(next.run(request)).await;
    let answer = answer.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response());
    match fault {
        Some(Fault::Late(time)) => {
            tokio::time::sleep(time).await;
            answer
        }
        Some(Fault::Breaks) => {
            let pieces = [
                Ok(Bytes::from_static(b"{\"sid\": \"CA")),
                Err("the line is cut"),
            ];
            let body = Body::from_stream(stream::iter(pieces));
            (answer.status(), body).into_response()
        }
        Some(Fault::Malformed) => (answer.status(), "<html>It works!</html>").into_response(),
        Some(Fault::Endless) => {
            let piece = Bytes::from(vec![b' '; 64 * 1024]);
            let pieces = stream::repeat_with(move || Ok::<_, Infallible>(piece.clone()));
            (answer.status(), Body::from_stream(pieces)).into_response()
        }
        _ => answer,
    }
}

/// Basic authentication: the account and its token, or an API key and its secret.
fn may_ask(exchange: &Exchange, headers: &HeaderMap) -> bool {
    let account = &exchange.account;
    let shown = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Basic "))
        .and_then(|value| STANDARD.decode(value).ok())
        .and_then(|value| String::from_utf8(value).ok());
    let is_shown = |user: &str, secret: &str| {
        shown.as_deref().and_then(|shown| shown.split_once(':')) == Some((user, secret))
    };
    is_shown(&account.sid, account.auth_token.expose())
        || account
            .api_key
            .as_ref()
            .is_some_and(|(key, secret)| is_shown(key, secret.expose()))
}

async fn place(
    State(exchange): State<Arc<Exchange>>,
    Path(account): Path<String>,
    body: Bytes,
) -> Response {
    if account != exchange.account.sid {
        return not_found(&format!("/{VERSION}/Accounts/{account}/Calls.json"));
    }
    let form = Fields::read(&body);
    let Some(to) = form.get("To").filter(|number| is_number(number)) else {
        let to = form.get("To").unwrap_or_default();
        let message = format!("The phone number you are attempting to call, {to}, is not valid.");
        return error(400, 21211, &message);
    };
    let Some(from) = form.get("From").filter(|number| is_number(number)) else {
        let from = form.get("From").unwrap_or_default();
        let message = format!("The source phone number provided, {from}, is not yet verified.");
        return error(400, 21210, &message);
    };
    let Some(instructions) = form.instructions() else {
        return error(400, 21205, "Url parameter is required.");
    };
    let placing = Placing {
        ring: Duration::from_secs(form.number("Timeout").unwrap_or(RING_SECONDS)),
        detection: form.get("MachineDetection").map(|mode| Detection {
            until_message_end: mode == "DetectMessageEnd",
            callback: form.get("AsyncAmdStatusCallback").map(str::to_owned),
        }),
        send_digits: form.get("SendDigits").map(str::to_owned),
    };
    let status = form.get("StatusCallback").map(|url| {
        let events = form.all("StatusCallbackEvent").map(str::to_owned);
        (url.to_owned(), events.collect())
    });
    let phone = exchange.phone(to);
    let opened = exchange.open(Direction::OutboundApi, from, to, None, form.0.clone());
    let sid = opened.sid.clone();
    let leg = Leg::new(&exchange, opened, phone, status);
    let placed = exchange.call(&sid).expect("it was just opened");
    tokio::spawn(leg.go_out(instructions, placing));
    (StatusCode::CREATED, json_of(&exchange, &placed)).into_response()
}

async fn look(
    State(exchange): State<Arc<Exchange>>,
    Path((account, call)): Path<(String, String)>,
) -> Response {
    match known_call(&exchange, &account, &call) {
        Some(call) => json_of(&exchange, &call),
        None => no_call(&account, &call),
    }
}

async fn change(
    State(exchange): State<Arc<Exchange>>,
    Path((account, call)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    let Some(call) = known_call(&exchange, &account, &call) else {
        return no_call(&account, &call);
    };
    let form = Fields::read(&body);
    let command = match (form.get("Status"), form.instructions()) {
        (Some("completed" | "canceled"), None) => Command::Complete,
        (Some(_), _) => return error(400, 20001, "Parameter 'Status' is not valid"),
        (None, Some(_)) if call.status != Status::InProgress => {
            return error(400, 21220, "Call is not in-progress. Cannot redirect.");
        }
        (None, Some(instructions)) => Command::Redirect(instructions),
        (None, None) => return error(400, 21205, "Url parameter is required."),
    };
    if call.status.is_over() || !exchange.command(&call.sid, command) {
        return error(400, 21220, "Call is not in-progress. Cannot redirect.");
    }
    json_of(&exchange, &call)
}

async fn record(
    State(exchange): State<Arc<Exchange>>,
    Path((account, call)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    let Some(call) = known_call(&exchange, &account, &call) else {
        return no_call(&account, &call);
    };
    if call.status != Status::InProgress {
        let message = "Requested resource is not eligible for recording";
        return error(400, 21220, message);
    }
    let form = Fields::read(&body);
    let recording = RecordingRecord {
        sid: new_sid("RE"),
        channels: if form.get("RecordingChannels") == Some("dual") {
            2
        } else {
            1
        },
        stopped: false,
        callback: form.get("RecordingStatusCallback").map(str::to_owned),
    };
    exchange.update(&call.sid, |call| call.recordings.push(recording.clone()));
    let answer = recording_json(&exchange, &call, &recording, "in-progress");
    (StatusCode::CREATED, answer).into_response()
}

async fn stop_recording(
    State(exchange): State<Arc<Exchange>>,
    Path((account, call, name)): Path<(String, String, String)>,
    body: Bytes,
) -> Response {
    let Some(call) = known_call(&exchange, &account, &call) else {
        return no_call(&account, &call);
    };
    if Fields::read(&body).get("Status") != Some("stopped") {
        return error(400, 20001, "Parameter 'Status' is not valid");
    }
    let name = name.strip_suffix(".json").unwrap_or(&name);
    let stopped = exchange.update(&call.sid, |call| {
        let recording = call.recordings.iter_mut().rev().find(|recording| {
            recording.sid == name || (name == "Twilio.CURRENT" && !recording.stopped)
        })?;
        let callback = recording.callback.clone().filter(|_| !recording.stopped);
        recording.stopped = true;
        Some((recording.clone(), callback))
    });
    let Some((recording, callback)) = stopped else {
        return not_found(&format!(
            "/{VERSION}/Accounts/{account}/Calls/{}/Recordings/{name}.json",
            call.sid
        ));
    };
    if let Some(url) = callback {
        let form = recorded(&account, &call.sid, &recording);
        let exchange = Arc::clone(&exchange);
        // Whether the application takes it changes nothing.
        tokio::spawn(async move { exchange.post(&url, &form).await.ok() });
    }
    recording_json(&exchange, &call, &recording, "stopped")
}

/// The call that a path names, with or without `.json`.
fn known_call(exchange: &Exchange, account: &str, call: &str) -> Option<CallRecord> {
    let sid = call.strip_suffix(".json").unwrap_or(call);
    (account == exchange.account.sid)
        .then(|| exchange.call(sid))
        .flatten()
}

fn no_call(account: &str, call: &str) -> Response {
    let sid = call.strip_suffix(".json").unwrap_or(call);
    not_found(&format!("/{VERSION}/Accounts/{account}/Calls/{sid}.json"))
}

fn not_found(path: &str) -> Response {
    let message = format!("The requested resource {path} was not found");
    error(404, 20404, &message)
}

fn error(status: u16, code: u32, message: &str) -> Response {
    let body = json!({
        "code": code,
        "message": message,
        "more_info": format!("https://www.twilio.com/docs/errors/{code}"),
        "status": status,
    });
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, axum::Json(body)).into_response()
}

fn json_of(exchange: &Exchange, call: &CallRecord) -> Response {
    let account = &exchange.account.sid;
    let uri = format!("/{VERSION}/Accounts/{account}/Calls/{}", call.sid);
    let moment = |time: Option<_>| time.map_or(Value::Null, |time| date(time).into());
    axum::Json(json!({
        "account_sid": account,
        "annotation": null,
        "answered_by": call.answered_by,
        "api_version": VERSION,
        "caller_name": null,
        "date_created": date(call.created),
        "date_updated": date(call.ended.or(call.answered).unwrap_or(call.created)),
        "direction": call.direction.as_str(),
        "duration": call.duration_s().map(|seconds| seconds.to_string()),
        "end_time": moment(call.ended),
        "forwarded_from": null,
        "from": call.from,
        "from_formatted": call.from,
        "group_sid": null,
        "parent_call_sid": call.parent_sid,
        "phone_number_sid": null,
        "price": null,
        "price_unit": "USD",
        "queue_time": "0",
        "sid": call.sid,
        "start_time": moment(call.answered),
        "status": call.status.as_str(),
        "subresource_uris": {"recordings": format!("{uri}/Recordings.json")},
        "to": call.to,
        "to_formatted": call.to,
        "trunk_sid": null,
        "uri": format!("{uri}.json"),
    }))
    .into_response()
}

fn recording_json(
    exchange: &Exchange,
    call: &CallRecord,
    recording: &RecordingRecord,
    status: &str,
) -> Response {
    let account = &exchange.account.sid;
    let uri = format!(
        "/{VERSION}/Accounts/{account}/Calls/{}/Recordings/{}.json",
        call.sid, recording.sid
    );
    axum::Json(json!({
        "account_sid": account,
        "api_version": VERSION,
        "call_sid": call.sid,
        "channels": recording.channels,
        "conference_sid": null,
        "duration": null,
        "price": null,
        "sid": recording.sid,
        "source": "StartCallRecordingAPI",
        "status": status,
        "uri": uri,
    }))
    .into_response()
}

fn is_number(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// A form's fields, in order.
struct Fields(Vec<(String, String)>);

impl Fields {
    fn read(body: &[u8]) -> Self {
        Self(form_urlencoded::parse(body).into_owned().collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(field, _)| field == name)
            .map(|(_, value)| value.as_str())
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |(field, _)| field == name);
        named.map(|(_, value)| value.as_str())
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }

    fn instructions(&self) -> Option<Instructions> {
        match (self.get("Twiml"), self.get("Url")) {
            (Some(twiml), _) => Some(Instructions::Twiml(twiml.to_owned())),
            (None, Some(url)) => Some(Instructions::Url(url.to_owned())),
            (None, None) => None,
        }
    }
}
