//! A server with a store, tokens of each role, and phones.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use reqwest::{Client, Method, RequestBuilder, Response, Url};
use serde_json::Value;
use sidetone::Engine;
use sidetone_server::{
    Config, RunningServer, Server,
    auth::tokens,
    store::{Role, Store},
};
use sidetone_speech::{
    Secret,
    http::client,
    testing::{FakeLlm, FakeStt, FakeTts},
};
use tempfile::TempDir;
use tokio::{sync::mpsc, task::JoinHandle};

use crate::support::{self, Phone};

/// Twilio's account in the tests.
pub(crate) const ACCOUNT: &str = support::ACCOUNT;

/// A server, and who may do what on it.
pub(crate) struct World {
    pub(crate) server: RunningServer,
    pub(crate) addr: SocketAddr,
    pub(crate) viewer: String,
    pub(crate) operator: String,
    pub(crate) admin: String,
    pub(crate) http: Client,
    /// What Twilio signs with.
    auth: Option<&'static str>,
    calls: AtomicU64,
    _folder: TempDir,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    /// JSON, or null.
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) async fn of(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.unwrap();
        Self {
            status,
            headers,
            body: serde_json::from_slice(&bytes).unwrap_or_default(),
        }
    }

    /// The name of the problem.
    pub(crate) fn problem(&self) -> &str {
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.body["status"], self.status);
        let name = self.body["type"].as_str().unwrap();
        name.strip_prefix("urn:sidetone:problem:").unwrap()
    }
}

/// A configuration with a store in `folder`.
pub(crate) fn config(folder: &TempDir) -> Config {
    let mut config = support::insecure();
    let file = folder.path().join("calls.db");
    config.store.url = format!("sqlite:{}", file.display());
    config.recording.folder = folder.path().join("recordings").display().to_string();
    config.twilio.account_sid = ACCOUNT.into();
    // Tests ask again and again until something is so.
    config.api.requests_per_second = 10_000;
    config.api.address_requests_per_second = 100_000;
    config
}

/// An engine that says what it is told to.
pub(crate) fn engine() -> Engine {
    support::engine(FakeStt::new(), FakeLlm::new(), FakeTts::new())
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = TempDir::new().unwrap();
        let mut config = config(&folder);
        change(&mut config);
        Self::start(folder, &config, engine()).await
    }

    pub(crate) async fn start(folder: TempDir, config: &Config, engine: Engine) -> Self {
        let server = Server::start(config, engine).await.unwrap();
        let store = server.state().archive().unwrap().store().clone();
        let token = |role: Role| {
            let store = store.clone();
            async move {
                let issued = tokens::create(&store, role.as_str(), role).await.unwrap();
                issued.expose().to_owned()
            }
        };
        let addr = server.addr();
        let url: Url = format!("http://{addr}").parse().unwrap();
        Self {
            viewer: token(Role::Viewer).await,
            operator: token(Role::Operator).await,
            admin: token(Role::Admin).await,
            http: client("tests", &url, Duration::from_secs(5)).unwrap(),
            server,
            addr,
            auth: config
                .twilio
                .auth_token
                .as_ref()
                .map(|_| support::AUTH_TOKEN),
            calls: AtomicU64::new(1),
            _folder: folder,
        }
    }

    pub(crate) fn store(&self) -> &Store {
        self.server.state().archive().unwrap().store()
    }

    /// A request with a token.
    pub(crate) fn request(&self, method: Method, path: &str, token: &str) -> RequestBuilder {
        let url = format!("http://{}{path}", self.addr);
        self.http.request(method, url).bearer_auth(token)
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Answer {
        let request = self.request(Method::GET, path, token);
        Answer::of(request.send().await.unwrap()).await
    }

    pub(crate) async fn delete(&self, path: &str, token: &str) -> Answer {
        let request = self.request(Method::DELETE, path, token);
        Answer::of(request.send().await.unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: Value) -> Answer {
        let request = self.request(Method::POST, path, token).json(&body);
        Answer::of(request.send().await.unwrap()).await
    }

    /// A caller who hears everything out, and the call's id.
    pub(crate) async fn call(&self) -> Caller {
        let mut events = self.events();
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let sid = format!("CA{number:032x}");
        let form = [
            ("CallSid", sid.as_str()),
            ("From", "+14155550123"),
            ("To", "+14155550199"),
        ];
        let answer = support::post(self.addr, "/twilio/voice", &form, self.auth).await;
        let mut phone = Phone::connect(self.addr, self.auth).await.unwrap();
        phone.start_as(Some(answer.token()), &sid).await;
        // The id is in the first event.
        loop {
            let record = events.recv().await.unwrap().unwrap();
            if record.seq == 1 {
                return Caller::new(phone, record.call_id.to_string());
            }
        }
    }

    fn events(&self) -> sidetone::EventStream {
        self.server.state().engine().events()
    }
}

/// Somebody on the phone.
pub(crate) struct Caller {
    pub(crate) id: String,
    hang_up: mpsc::Sender<()>,
    line: JoinHandle<()>,
}

impl Caller {
    pub(crate) fn new(mut phone: Phone, id: String) -> Self {
        let (hang_up, mut asked) = mpsc::channel(1);
        let line = tokio::spawn(async move {
            loop {
                tokio::select! {
                    event = phone.event() => match event {
                        Some(event) if event["event"] == "mark" => {
                            phone.mark(event["mark"]["name"].as_str().unwrap()).await;
                        }
                        Some(_) => {}
                        None => return,
                    },
                    _ = asked.recv() => {
                        phone.hang_up().await;
                        phone.closed().await;
                        return;
                    }
                }
            }
        });
        Self { id, hang_up, line }
    }

    /// The path of something of the call.
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/api/calls/{}{rest}", self.id)
    }

    /// Hangs up, and waits until the engine has taken note.
    pub(crate) async fn hang_up(self) -> String {
        self.hang_up.send(()).await.unwrap();
        self.line.await.unwrap();
        self.id
    }

    /// Waits until the other side hangs up.
    pub(crate) async fn hung_up_on(self) -> String {
        self.line.await.unwrap();
        self.id
    }
}

/// The secret that Twilio's requests are made with in the tests.
pub(crate) fn auth_token() -> Option<Secret> {
    Some(Secret::new(support::AUTH_TOKEN))
}
