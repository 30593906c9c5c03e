//! An application that Twilio would call: it answers webhooks with the TwiML it is given, takes
//! media streams, and remembers everything.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

use std::{
    collections::HashMap,
    future::Future,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{
        State, WebSocketUpgrade,
        ws::{Message, WebSocket},
    },
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::Value;
use sidetone::Engine;
use sidetone_cli::carrier::{Account, Carrier, Phone};
use sidetone_server::{
    signature::{SIGNATURE_HEADER, verify},
    twilio::{Call, CallSid, Form, Instructions, NewCall, PhoneNumber, Report, TwilioClient},
    twiml::{Stream, Twiml},
};
use sidetone_speech::{
    testing::{FakeLlm, FakeStt, FakeTts},
    vad::EarshotVad,
};
use tokio::{net::TcpListener, sync::watch};

/// Numbers of the range that is kept free for fiction.
pub(crate) const OURS: &str = "+12025550199";
pub(crate) const ANN: &str = "+12025550143";
pub(crate) const BOB: &str = "+12025550144";

/// Nothing in these tests takes long; what does will never come.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), what)
        .await
        .expect("it happens in time")
}

pub(crate) fn number(text: &str) -> PhoneNumber {
    text.parse().unwrap()
}

pub(crate) fn sid(text: &str) -> CallSid {
    text.parse().unwrap()
}

/// An engine whose services answer at once.
pub(crate) fn engine() -> Engine {
    Engine::builder()
        .stt(Arc::new(FakeStt::new()))
        .llm(Arc::new(FakeLlm::new()))
        .tts(Arc::new(FakeTts::new()))
        .vad(|| Box::new(EarshotVad::new()))
        .build()
        .unwrap()
}

/// Something that was posted.
#[derive(Clone, Debug)]
pub(crate) struct Posted {
    pub(crate) path: String,
    pub(crate) form: Form,
}

#[derive(Default)]
struct Seen {
    posted: Vec<Posted>,
    /// The messages of all streams, in order.
    messages: Vec<Value>,
    open_streams: usize,
}

struct Shared {
    account: Account,
    addr: SocketAddr,
    answers: Mutex<HashMap<String, String>>,
    seen: Mutex<Seen>,
    changed: watch::Sender<()>,
    hang_up: watch::Sender<u32>,
}

/// A carrier, an application, and a client between them.
pub(crate) struct World {
    pub(crate) carrier: Carrier,
    pub(crate) twilio: TwilioClient,
    shared: Arc<Shared>,
}

impl World {
    /// With Ann and Bob at their phones.
    pub(crate) async fn new() -> Self {
        let carrier = Carrier::start(Account::random()).await.unwrap();
        carrier.phone(ANN, Phone::answers());
        carrier.phone(BOB, Phone::answers());
        let twilio = TwilioClient::new(&carrier.twilio_config()).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let shared = Arc::new(Shared {
            account: carrier.account().clone(),
            addr: listener.local_addr().unwrap(),
            answers: Mutex::default(),
            seen: Mutex::default(),
            changed: watch::Sender::new(()),
            hang_up: watch::Sender::new(0),
        });
        let router = Router::new()
            .route("/media", get(media))
            .fallback(webhook)
            .with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            carrier,
            twilio,
            shared,
        }
    }

    /// The application's URL for a webhook.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.shared.addr)
    }

    /// What the application answers at a path; without it, 204.
    pub(crate) fn answers(&self, path: &str, twiml: &Twiml) {
        let mut answers = self.shared.answers.lock().unwrap();
        answers.insert(path.to_owned(), twiml.to_string());
    }

    /// TwiML that streams to the application.
    pub(crate) fn streaming(&self) -> Twiml {
        let stream = Stream::new(format!("ws://{}/media", self.shared.addr))
            .status_callback(self.url("/status"))
            .parameter("token", "a&b")
            .unwrap();
        Twiml::new().connect(&stream)
    }

    /// Places a call to `to`.
    pub(crate) async fn place(&self, to: &str, instructions: impl Into<Instructions>) -> Call {
        let call = NewCall::new(number(to), number(OURS), instructions);
        soon(self.twilio.place_call(&call)).await.unwrap()
    }

    /// A call to Ann that has reached the application's media stream.
    pub(crate) async fn live_call(&self) -> Call {
        let call = self.place(ANN, self.streaming()).await;
        soon(
            self.carrier
                .until_call(call.sid.as_str(), |call| call.is_streaming()),
        )
        .await;
        call
    }

    /// Closes all media streams from the application's side.
    pub(crate) fn close_streams(&self) {
        self.shared.hang_up.send_modify(|count| *count += 1);
    }

    /// Everything that was posted to a path so far.
    pub(crate) fn posted(&self, path: &str) -> Vec<Form> {
        let seen = self.shared.seen.lock().unwrap();
        let posted = seen.posted.iter().filter(|posted| posted.path == path);
        posted.map(|posted| posted.form.clone()).collect()
    }

    /// Waits for something to be posted to a path.
    pub(crate) async fn next_posted(&self, path: &str) -> Form {
        self.until(|seen| {
            let posted = seen.posted.iter().find(|posted| posted.path == path);
            posted.map(|posted| posted.form.clone())
        })
        .await
    }

    /// Waits until so many reports have come to a path, and reads them.
    pub(crate) async fn reports(&self, path: &str, count: usize) -> Vec<Report> {
        let forms = self
            .until(|seen| {
                let posted = seen.posted.iter().filter(|posted| posted.path == path);
                let forms: Vec<_> = posted.map(|posted| posted.form.clone()).collect();
                (forms.len() >= count).then_some(forms)
            })
            .await;
        forms
            .iter()
            .map(|form| Report::read(form).unwrap())
            .collect()
    }

    /// Waits for a message of a media stream.
    pub(crate) async fn message(&self, event: &str) -> Value {
        self.until(|seen| {
            let mut messages = seen.messages.iter();
            messages.find(|message| message["event"] == event).cloned()
        })
        .await
    }

    /// Waits until the application has no media stream.
    pub(crate) async fn no_stream(&self) {
        self.until(|seen| (seen.open_streams == 0).then_some(()))
            .await;
    }

    async fn until<T>(&self, mut look: impl FnMut(&Seen) -> Option<T>) -> T {
        let mut changed = self.shared.changed.subscribe();
        soon(async {
            loop {
                if let Some(found) = look(&self.shared.seen.lock().unwrap()) {
                    return found;
                }
                changed.changed().await.unwrap();
            }
        })
        .await
    }
}

impl Shared {
    fn see(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen.lock().unwrap());
        self.changed.send_replace(());
    }
}

/// Takes what the carrier signed for this URL, and nothing else.
async fn webhook(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if method != Method::POST {
        return StatusCode::NOT_FOUND.into_response();
    }
    let form = Form::read(&body);
    let url = format!("http://{}{uri}", shared.addr);
    let signature = headers[SIGNATURE_HEADER].as_bytes();
    let token = shared.account.auth_token.expose();
    assert!(verify(token, &url, form.fields(), signature), "{url}");
    let path = uri.path().to_owned();
    let answer = shared.answers.lock().unwrap().get(&path).cloned();
    shared.see(|seen| seen.posted.push(Posted { path, form }));
    match answer {
        Some(twiml) => twiml.into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

async fn media(State(shared): State<Arc<Shared>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(move |socket| listen(shared, socket))
}

async fn listen(shared: Arc<Shared>, mut socket: WebSocket) {
    let mut hang_up = shared.hang_up.subscribe();
    shared.see(|seen| seen.open_streams += 1);
    loop {
        tokio::select! {
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => {
                    let message: Value = serde_json::from_str(&text).unwrap();
                    if message["event"] != "media" {
                        shared.see(|seen| seen.messages.push(message));
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => break,
            },
            _ = hang_up.changed() => {
                socket.send(Message::Close(None)).await.unwrap();
            }
        }
    }
    shared.see(|seen| seen.open_streams -= 1);
}
