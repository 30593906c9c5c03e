//! A local HTTP server that speaks the OpenAI-compatible protocols, well or badly.

mod answers;

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{get, post},
};
use serde_json::Value;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::task::AbortOnDropHandle;

/// An OpenAI-compatible server on a free loopback port: transcriptions, chat completions and
/// speech. It answers as told, one answer a request, and repeats the last. Dropping it stops it.
///
/// ```
/// # async fn example() {
/// use sidetone_speech::testing::{Misbehaviour, OpenAiStandIn, Route};
///
/// let service = OpenAiStandIn::start().await;
/// service.hears("where is my order");
/// service.says("On its way.");
/// service.misbehaves(Route::Speech, Misbehaviour::Status(500));
/// let base_url = service.base_url(); // "http://127.0.0.1:…/v1"
/// # }
/// ```
#[derive(Debug)]
pub struct OpenAiStandIn {
    base_url: String,
    state: Arc<State>,
    _server: AbortOnDropHandle<()>,
}

/// Which of the server's endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// `GET /v1/models`.
    Models,
    /// `POST /v1/audio/transcriptions`.
    Transcriptions,
    /// `POST /v1/chat/completions`.
    Chat,
    /// `POST /v1/audio/speech`.
    Speech,
}

/// What the server does wrong, once.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misbehaviour {
    /// Answers this status with an OpenAI-style error, whose message repeats the request.
    Status(u16),
    /// Answers 429 and asks for this many seconds of patience.
    RetryAfter(u32),
    /// Takes the request and never answers.
    NoAnswer,
    /// Answers the first part and then nothing more.
    Stalls,
    /// Answers the first part and breaks the connection.
    CutsOff,
    /// Answers 200 with this media type and body.
    Raw(&'static str, Vec<u8>),
}

/// A request as the server saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Where it went.
    pub route: Route,
    /// The client's end of the connection: the same again where a connection was reused.
    pub peer: SocketAddr,
    /// The header `Authorization`.
    pub authorization: Option<String>,
    /// The JSON body; for a transcription the form's text fields as strings.
    pub body: Value,
    /// The form's file; empty for other requests.
    pub file: Vec<u8>,
}

/// How long each character is spoken.
const PER_CHAR: Duration = Duration::from_millis(60);

#[derive(Debug, Default)]
struct State {
    told: Mutex<Told>,
    progress: watch::Sender<Progress>,
}

#[derive(Debug, Default)]
struct Told {
    transcripts: VecDeque<String>,
    answers: VecDeque<(String, bool)>,
    misbehaviours: Vec<(Route, Misbehaviour)>,
    refuses_tools: bool,
    requires_key: Option<String>,
    latency: Duration,
    between_words: Duration,
    seen: Vec<Seen>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    requests: usize,
    disconnects: usize,
}

impl OpenAiStandIn {
    /// Starts a server that hears nothing, says "Okay." and speaks a tone.
    ///
    /// # Panics
    ///
    /// If no loopback port is free.
    pub async fn start() -> Self {
        let state = Arc::<State>::default();
        let router = Router::new()
            .route("/v1/models", get(answers::models))
            .route("/v1/audio/transcriptions", post(answers::transcription))
            .route("/v1/chat/completions", post(answers::chat))
            .route("/v1/audio/speech", post(answers::speech))
            .layer(DefaultBodyLimit::max(32 << 20))
            .with_state(Arc::clone(&state));
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a loopback port is free");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let server = tokio::spawn(async move {
            // It ends only when it is dropped.
            let _ = axum::serve(listener, service).await;
        });
        Self {
            base_url: format!("http://{address}/v1"),
            state,
            _server: AbortOnDropHandle::new(server),
        }
    }

    /// What to configure as `base_url`.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The next transcript.
    pub fn hears(&self, text: impl Into<String>) {
        self.told().transcripts.push_back(text.into());
    }

    /// The next answer.
    pub fn says(&self, text: impl Into<String>) {
        self.told().answers.push_back((text.into(), false));
    }

    /// The next answer, which uses the tool that ends the call, if it is on offer.
    pub fn says_and_hangs_up(&self, text: impl Into<String>) {
        self.told().answers.push_back((text.into(), true));
    }

    /// The next request to `route` that has nothing else in store goes wrong.
    pub fn misbehaves(&self, route: Route, how: Misbehaviour) {
        self.told().misbehaviours.push((route, how));
    }

    /// Every request with tools is answered 400.
    pub fn refuses_tools(&self) {
        self.told().refuses_tools = true;
    }

    /// Every request without this bearer token is answered 401.
    pub fn requires_key(&self, key: impl Into<String>) {
        self.told().requires_key = Some(key.into());
    }

    /// Every answer begins this late.
    pub fn latency(&self, latency: Duration) {
        self.told().latency = latency;
    }

    /// Every word of a chat answer after the first comes this much later.
    pub fn between_words(&self, delay: Duration) {
        self.told().between_words = delay;
    }

    /// Every request so far, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Seen> {
        self.told().seen.clone()
    }

    /// How many answers the client did not wait for.
    #[must_use]
    pub fn disconnects(&self) -> usize {
        self.state.progress.borrow().disconnects
    }

    /// Waits until `count` requests have come.
    pub async fn requested(&self, count: usize) {
        self.wait(|progress| progress.requests >= count).await;
    }

    /// Waits until the client has walked away from `count` answers.
    pub async fn disconnected(&self, count: usize) {
        self.wait(|progress| progress.disconnects >= count).await;
    }

    /// What `text` sounds like here: mono PCM at 24 kHz.
    #[must_use]
    pub fn sound_of(text: &str) -> Vec<i16> {
        let chars = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        let rate = sidetone_codecs::SampleRate::HZ_24000;
        super::fakes::tone(PER_CHAR.saturating_mul(chars), rate)
    }

    async fn wait(&self, mut until: impl FnMut(&Progress) -> bool) {
        // The state holds the sender, so the channel cannot close while we wait.
        let _ = self
            .state
            .progress
            .subscribe()
            .wait_for(|progress| until(progress))
            .await;
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.state.told()
    }
}

impl State {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told {
    /// Takes what to do wrong with the next request to `route`.
    fn misbehaviour(&mut self, route: Route) -> Option<Misbehaviour> {
        let at = self.misbehaviours.iter().position(|(at, _)| *at == route)?;
        Some(self.misbehaviours.remove(at).1)
    }
}

/// Takes the next of `queue`, of which the last stays.
fn next<T: Clone>(queue: &mut VecDeque<T>) -> Option<T> {
    match queue.len() {
        0 | 1 => queue.front().cloned(),
        _ => queue.pop_front(),
    }
}
