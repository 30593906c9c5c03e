//! A server, a carrier, and a caller who hums.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use serde_json::{Value, json};
use sidetone::{CallHandle, Engine};
use sidetone_cli::{
    carrier::{Account, CallRecord, Carrier, Incoming, Phone, Step},
    phone::{Line, Listener, Script, When},
};
use sidetone_core::{
    config::Phrases,
    conversation::Role as Speaker,
    event::{BackReason, CallEvent},
    handoff::{CallState, HandoffState},
    job::LlmJob,
};
use sidetone_server::{
    Config, RunningServer, STATUS_PATH, Server, VOICE_PATH,
    auth::tokens::{self, IssuedToken},
    store::Role,
};
use sidetone_speech::{
    testing::{FakeLlm, FakeStt, FakeTts, Probe},
    vad::EarshotVad,
};
use tempfile::TempDir;

use crate::tones::{CALLER, Ear, Tone};

/// Numbers of the range that is kept free for fiction.
pub(crate) const OURS: &str = "+12025550199";
pub(crate) const CAROL: &str = "+12025550142";
pub(crate) const DAVE: &str = "+12025550141";
pub(crate) const ANN: &str = "+12025550143";
const PUBLIC: &str = "voice.example.com";

/// Nothing in these tests takes long; what does will never come.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), what)
        .await
        .expect("it happens in time")
}

/// What is heard when somebody hums on the phone for a quarter of an hour.
pub(crate) fn hums(hz: f64) -> Arc<Script> {
    let mut tone = Tone::new(hz, 8_000);
    let audio: Vec<i16> = (0..3_000).flat_map(|_| tone.frame()).collect();
    let day = Duration::from_secs(24 * 3_600);
    Arc::new(Script {
        max_wait: day,
        linger: day,
        max_call: day,
        ..Script::new(vec![Line::new("hums", audio.into(), When::PauseMs(0)); 15])
    })
}

/// What the language model makes of every call.
pub(crate) const SUMMARY: &str = "Somebody waits for a refund.";

/// Whether a job is to sum a call up.
pub(crate) fn is_summing_up(job: &LlmJob) -> bool {
    job.messages[0].role == Speaker::System
}

/// What was said to somebody by Twilio itself.
pub(crate) fn said(record: &CallRecord) -> String {
    let words = record.steps.iter().filter_map(|step| match step {
        Step::Said(words) => Some(words.as_str()),
        _ => None,
    });
    words.collect::<Vec<_>>().join(" ")
}

/// A phone that is answered by somebody who hums.
pub(crate) fn humming(hz: f64) -> Phone {
    Phone::answers().script(hums(hz)).keep_audio()
}

/// The same phone, and what it plays.
pub(crate) fn overheard(phone: Phone) -> (Phone, Ear) {
    let ear = Ear::new(8_000);
    let hears = ear.clone();
    let phone = phone.listened_to(Listener::new(move |pcm| hears.hear(pcm)));
    (phone, ear)
}

/// How loud a tone is in the loudest stretch of what was heard.
pub(crate) fn loudest(audio: &[i16], hz: f64) -> f64 {
    let stretches = audio.windows(1_600).step_by(200);
    let levels = stretches.map(|stretch| {
        let ear = Ear::new(8_000);
        ear.hear(stretch);
        ear.level(hz).unwrap()
    });
    levels.fold(0.0, f64::max)
}

/// What the engine works with.
#[derive(Clone)]
pub(crate) struct Services {
    pub(crate) stt: FakeStt,
    pub(crate) llm: FakeLlm,
    pub(crate) tts: FakeTts,
}

impl Default for Services {
    fn default() -> Self {
        Self {
            stt: FakeStt::new(),
            llm: FakeLlm::answering(|job| {
                if is_summing_up(job) { SUMMARY } else { "Okay." }.into()
            }),
            tts: FakeTts::new(),
        }
    }
}

/// An answer of the API.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

pub(crate) struct World {
    pub(crate) carrier: Carrier,
    pub(crate) engine: Engine,
    pub(crate) server: RunningServer,
    pub(crate) operator: IssuedToken,
    /// What the language model is asked.
    pub(crate) llm: Probe<LlmJob>,
    pub(crate) addr: SocketAddr,
    http: reqwest::Client,
    services: Services,
    config: Config,
    _folder: TempDir,
}

/// The call of somebody who hums.
pub(crate) struct Caller {
    pub(crate) sid: String,
    pub(crate) call: CallHandle,
    /// What their phone plays.
    pub(crate) ear: Ear,
    events: sidetone::EventStream,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::with_services(Services::default(), change).await
    }

    pub(crate) async fn with_services(
        services: Services,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let carrier = Carrier::start(Account::random()).await.unwrap();
        let folder = TempDir::new().unwrap();
        let mut config = Config::default();
        config.server.listen = ([127, 0, 0, 1], 0).into();
        config.server.public_url = format!("https://{PUBLIC}");
        config.twilio = carrier.twilio_config();
        config.store.url = format!("sqlite:{}", folder.path().join("calls.db").display());
        config.recording.folder = folder.path().join("recordings").display().to_string();
        // The tests look as often as they can.
        config.api.requests_per_second = 10_000;
        config.api.address_requests_per_second = 100_000;
        change(&mut config);
        let (engine, server) = start(&config, &services).await;
        carrier.route(PUBLIC, server.addr());
        Self {
            operator: token(&server, "Otto", Role::Operator).await,
            llm: services.llm.probe(),
            http: reqwest::Client::builder().build().unwrap(),
            addr: server.addr(),
            carrier,
            engine,
            server,
            services,
            config,
            _folder: folder,
        }
    }

    /// The server stops, and comes back at the same address after `meanwhile`.
    pub(crate) async fn restarted(mut self, meanwhile: impl AsyncFnOnce()) -> Self {
        self.server.stop().await;
        meanwhile().await;
        self.config.server.listen = self.addr;
        let (engine, server) = start(&self.config, &self.services).await;
        Self {
            engine,
            server,
            ..self
        }
    }

    /// A token for somebody else.
    pub(crate) async fn token(&self, name: &str, role: Role) -> IssuedToken {
        token(&self.server, name, role).await
    }

    /// Somebody calls, and hums.
    pub(crate) async fn call(&self) -> Caller {
        self.call_from(CAROL, humming(CALLER)).await
    }

    /// Somebody calls with this phone.
    pub(crate) async fn call_from(&self, number: &str, phone: Phone) -> Caller {
        let (phone, ear) = overheard(phone);
        self.carrier.phone(number, phone);
        let mut events = self.engine.events();
        let sid = self.carrier.call_in(Incoming {
            from: number.to_owned(),
            to: OURS.to_owned(),
            webhook: format!("https://{PUBLIC}{VOICE_PATH}"),
            status_callback: Some(format!("https://{PUBLIC}{STATUS_PATH}")),
        });
        let call = soon(async {
            loop {
                let record = events.recv().await.unwrap().unwrap();
                if matches!(record.event, CallEvent::CallStarted { .. }) {
                    break self.engine.call(&record.call_id).unwrap();
                }
            }
        })
        .await;
        Caller {
            sid,
            ear,
            events: call.events(),
            call,
        }
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.http.post(self.url(path)).json(&body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(self.http.delete(self.url(path))).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.http.get(self.url(path))).await
    }

    /// Opens an event stream with the operator's token.
    pub(crate) async fn watches(&self, path: &str) -> reqwest::Response {
        let request = self.http.get(self.url(path));
        let request = request.bearer_auth(self.operator.expose());
        let stream = soon(request.header("accept", "text/event-stream").send());
        stream.await.unwrap().error_for_status().unwrap()
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let request = request.bearer_auth(self.operator.expose());
        let response = soon(request.send()).await.unwrap();
        let status = response.status().as_u16();
        let bytes = response.bytes().await.unwrap();
        Answer {
            status,
            body: serde_json::from_slice(&bytes).unwrap_or_default(),
        }
    }

    /// Has the agent say something, and waits until it is said.
    pub(crate) async fn agent_says(&self, caller: &Caller, text: &str) {
        let answer = self.post(&caller.path("/say"), json!({"text": text})).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        soon(async {
            let path = caller.path("/transcript");
            while !self.get(&path).await.body.to_string().contains(text) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// What the API says of somebody who was called to the phone.
    pub(crate) async fn phone_of(&self, caller: &Caller) -> Value {
        let answer = self.get(&caller.path("")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body["live"]["phone"].clone()
    }

    /// Waits until the API says that they are so far.
    pub(crate) async fn phone_is(&self, caller: &Caller, state: &str) -> Value {
        soon(async {
            loop {
                let phone = self.phone_of(caller).await;
                if phone["state"] == state {
                    return phone;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }

    /// The latest call to a number, once there is one.
    pub(crate) async fn call_to(&self, number: &str) -> CallRecord {
        soon(self.carrier.until(|calls| {
            let mut calls = calls.iter().rev();
            calls.find(|call| call.to == number).cloned()
        }))
        .await
    }

    /// Hangs up, and says what was heard there.
    pub(crate) async fn heard(&self, sid: &str) -> Vec<i16> {
        self.carrier.hang_up(sid);
        let record = soon(self.carrier.ended(sid)).await;
        let streams = record.streams();
        let audio = streams.filter_map(|report| report.audio.as_ref());
        audio.flat_map(|audio| audio.agent.clone()).collect()
    }
}

async fn start(config: &Config, services: &Services) -> (Engine, RunningServer) {
    let Services { stt, llm, tts } = services.clone();
    let engine = Engine::builder()
        .stt(Arc::new(stt))
        .llm(Arc::new(llm))
        .tts(Arc::new(tts))
        .vad(|| Box::new(EarshotVad::new()))
        .config(config.call(Phrases::default()))
        .build()
        .unwrap();
    let server = Server::start(config, engine.clone()).await.unwrap();
    (engine, server)
}

async fn token(server: &RunningServer, name: &str, role: Role) -> IssuedToken {
    let store = server.state().archive().unwrap().store();
    tokens::create(store, name, role).await.unwrap()
}

impl Caller {
    /// The path of something of the call.
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/api/calls/{}{rest}", self.call.id())
    }

    /// Waits until the call is so.
    pub(crate) async fn is(&self, good: impl FnMut(&CallState) -> bool) {
        let mut state = self.call.state();
        soon(state.wait_for(good)).await.unwrap();
    }

    /// Waits for the next step of the call on its way between the agent and people.
    pub(crate) async fn handoff(&mut self) -> (HandoffState, Option<BackReason>) {
        soon(async {
            loop {
                let record = self.events.recv().await.unwrap().unwrap();
                if let CallEvent::Handoff { state, back } = &record.event {
                    return (*state, *back);
                }
            }
        })
        .await
    }
}

/// Waits until the agent has the call again, and why.
pub(crate) async fn back(caller: &mut Caller) -> BackReason {
    loop {
        if let (HandoffState::Agent, Some(back)) = caller.handoff().await {
            return back;
        }
    }
}
