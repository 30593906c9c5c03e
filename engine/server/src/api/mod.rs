//! The call-control API.
//!
//! Everything here is asked of the engine through handles and channels, and of the store through its
//! own pool: nothing holds a lock that a call's audio would wait for.

mod audit_log;
mod calls;
mod control;
mod docs;
mod events;
pub(crate) mod extract;
mod idempotency;
mod leg;
mod people;
mod place;
pub(crate) mod problem;
mod recording;
mod session;
mod sse;
mod streams;
mod summary;
mod takeover;
mod timestamp;
mod transcript;
mod transfer;
mod views;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, middleware, routing::any};
use sidetone::{CallHandle, CallId, CallOver, Engine};
use sidetone_core::config::AgentConfig;
use tokio::{
    sync::{Semaphore, broadcast},
    time::timeout,
};
use tracing::warn;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(crate) use streams::MAX_STREAMS;
pub(crate) use timestamp::Timestamp;

use self::{
    idempotency::Idempotency,
    place::PlaceAnswer,
    problem::{Kind, Problem, name_instance},
    streams::Streams,
};
use crate::{
    admission::Admission,
    archive::Archive,
    audit::Audit,
    auth::{self, Auth},
    config::Config,
    feed::Feed,
    people::{invite::Invites, join::JoinTokens, offer::Offers, transfer::Transfers},
    placing::{Placed, Placing},
    recording::Recordings,
    store::{CallState, Store, StoreError, StoreWriter, UnansweredCall},
    twilio::{Report, TwilioClient},
    webhooks::Webhooks,
};

/// Below this are all routes of the API.
pub(crate) const PREFIX: &str = "/api";

/// Where the API describes itself.
pub(crate) const DOCUMENT_PATH: &str = "/api/openapi.json";

/// How long the last entries of the audit log may take to be written.
const AUDIT_PATIENCE: Duration = Duration::from_secs(5);

/// How long a request waits for what has just happened to be written down.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// What the API's routes share.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) engine: Engine,
    pub(crate) store: Store,
    pub(crate) writer: StoreWriter,
    pub(crate) recordings: Recordings,
    pub(crate) feed: Feed,
    pub(crate) audit: Audit,
    pub(crate) auth: Arc<Auth>,
    pub(crate) streams: Arc<Streams>,
    /// Places for the legs of people.
    pub(crate) legs: Arc<Semaphore>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) placing: Arc<Placing>,
    /// Why not, where Twilio cannot be asked for anything.
    pub(crate) twilio: Result<TwilioClient, String>,
    /// How somebody who is called to the phone may be let ring.
    pub(crate) ring_timeout: Duration,
    pub(crate) invites: Invites,
    pub(crate) join_tokens: JoinTokens,
    pub(crate) offers: Offers,
    pub(crate) transfers: Transfers,
    /// What Twilio reports.
    pub(crate) reports: broadcast::Sender<Report>,
    /// Without a slash at the end; empty where none is configured.
    pub(crate) public_url: String,
    pub(crate) idempotency: Idempotency<PlaceAnswer>,
    /// Who is told by webhooks, where anybody is.
    pub(crate) webhooks: Option<Webhooks>,
}

impl Api {
    /// The API of a server that keeps its calls in `archive`.
    ///
    /// # Panics
    ///
    /// If called outside a tokio runtime.
    pub(crate) fn new(
        config: &Config,
        engine: Engine,
        archive: &Archive,
        admission: Arc<Admission>,
        placing: Arc<Placing>,
        reports: broadcast::Sender<Report>,
    ) -> Self {
        let (store, writer) = (archive.store().clone(), archive.writer().clone());
        let public_url = config.server.public_url.trim_end_matches('/').to_owned();
        Self {
            feed: Feed::new(engine.clone(), store.clone(), writer.clone()),
            audit: Audit::new(store.clone()),
            auth: Arc::new(Auth::new(&config.api, &public_url, store.clone())),
            recordings: archive.recordings().clone(),
            streams: Arc::default(),
            legs: Arc::new(Semaphore::new(leg::MAX_LEGS)),
            twilio: TwilioClient::new(&config.twilio).map_err(|error| error.to_string()),
            ring_timeout: Duration::from_millis(config.handoff.ring_timeout_ms.into()),
            invites: Invites::default(),
            join_tokens: JoinTokens::default(),
            offers: Offers::default(),
            transfers: Transfers::default(),
            reports,
            idempotency: Idempotency::default(),
            webhooks: start_webhooks(config, &store, &engine),
            engine,
            store,
            writer,
            admission,
            placing,
            public_url,
        }
    }

    /// Ends the event streams, and waits until the audit log is written: the server is going down.
    pub(crate) async fn close(&self) {
        self.feed.close();
        for (id, placed) in self.placing.all() {
            if self.engine.call(&id).is_none() && self.placing.take(&id).is_some() {
                self.unanswered(&id, placed, "server_stopped");
            }
        }
        if let Some(webhooks) = &self.webhooks {
            webhooks.shutdown().await;
        }
        if timeout(AUDIT_PATIENCE, self.audit.flush()).await.is_err() {
            warn!("the last entries of the audit log are lost: the database does not take them");
        }
    }

    /// Notes calls that were placed and of which nothing more was heard as never answered.
    pub(crate) fn forget_unanswered(&self) {
        let goes_on = |id: &CallId| self.engine.call(id).is_some();
        for (id, placed) in self.placing.take_forgotten(Instant::now(), goes_on) {
            self.unanswered(&id, placed, "unknown");
        }
    }

    /// A placed call will not come about: `why` is Twilio's word.
    pub(crate) fn unanswered(&self, id: &CallId, placed: Placed, why: &str) {
        self.admission.revoke(&placed.token);
        self.writer.note_unanswered(UnansweredCall {
            id: id.clone(),
            from: placed.from,
            to: placed.to,
            provider_call_id: placed.sid.map(String::from),
            placed_at: placed.placed_at,
            end_reason: why.to_owned(),
            metadata: placed.metadata,
        });
    }

    /// The call with this id, while it goes on.
    ///
    /// # Errors
    ///
    /// 404 where there is no such call, 409 where it is over, 503 where that cannot be found out.
    pub(crate) async fn running(&self, id: &str) -> Result<CallHandle, Problem> {
        if let Some(call) = self.engine.call(&CallId::from(id)) {
            return Ok(call);
        }
        if self.placing.get(&CallId::from(id)).is_some() {
            return Err(Problem::new(
                Kind::Conflict,
                "Nobody has answered the call yet.",
            ));
        }
        // The engine lets go of a call a moment before its end is written down.
        match calls::find(self, id).await?.state {
            CallState::Live => Err(Problem::new(
                Kind::Conflict,
                "The call goes on in another server that shares this database: ask that one.",
            )),
            CallState::Ended | CallState::Lost => Err(call_ended()),
        }
    }

    /// Who the agent is in a call.
    pub(crate) fn agent_of(&self, id: &CallId) -> AgentConfig {
        let placed = self.placing.get(id);
        placed.map_or_else(|| self.engine.agent().clone(), |placed| placed.agent)
    }

    /// Sees to it that what happened so far is in the store, if that takes it in time.
    pub(crate) async fn catch_up(&self) {
        // What is missing is in the store a moment later.
        let _ = timeout(FLUSH_TIMEOUT, self.writer.flush()).await;
    }
}

/// Tells those who want to be told what happens in calls, if there are any.
fn start_webhooks(config: &Config, store: &Store, engine: &Engine) -> Option<Webhooks> {
    if config.webhooks.is_empty() {
        return None;
    }
    let webhooks = Webhooks::start(&config.webhooks, store, engine.events());
    webhooks
        .inspect_err(|error| warn!(%error, "nobody is told by webhooks"))
        .ok()
}

/// 409.
fn call_ended() -> Problem {
    Problem::new(
        Kind::CallEnded,
        "The call is over; what was said in it can be read.",
    )
}

impl From<CallOver> for Problem {
    fn from(_: CallOver) -> Self {
        call_ended()
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        warn!(%error, "the database failed for a request");
        Self::new(
            Kind::Unavailable,
            "The database cannot be used now; calls go on. The server's log and \
             `GET /api/metrics/summary` say why.",
        )
        .retry_after(Duration::from_secs(5))
    }
}

/// The routes that need no token.
fn open() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(session::open))
}

/// The routes that need one.
fn closed() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(session::show, session::end))
        .routes(routes!(calls::list, place::place))
        .routes(routes!(calls::show, calls::delete))
        .routes(routes!(control::pause, control::resume))
        .routes(routes!(takeover::take_over, takeover::hand_back))
        .routes(routes!(people::remove))
        .routes(routes!(transfer::transfer))
        .routes(routes!(control::say))
        .routes(routes!(control::whisper))
        .routes(routes!(control::dtmf))
        .routes(routes!(control::hang_up))
        .routes(routes!(leg::open))
        .routes(routes!(transcript::read))
        .routes(routes!(recording::read))
        .routes(routes!(events::of_call))
        .routes(routes!(events::of_all))
        .routes(routes!(summary::read))
        .routes(routes!(audit_log::read))
        .routes(routes!(docs::document))
}

/// The document that describes the routes.
fn described() -> utoipa::openapi::OpenApi {
    let (_, document) = OpenApiRouter::<Arc<Api>>::with_openapi(docs::base())
        .merge(open())
        .merge(closed())
        .split_for_parts();
    docs::finish(document)
}

/// The routes of the API. What lies below [`PREFIX`] and is none of them is said to be none, once it is
/// known who asks.
pub(crate) fn router(api: Arc<Api>) -> Router {
    let known = |router: Router<Arc<Api>>| {
        let auth = Arc::clone(&api.auth);
        router.route_layer(middleware::from_fn_with_state(auth, auth::require))
    };
    let unknown = Router::new()
        .route(PREFIX, any(no_route))
        .route("/api/{*rest}", any(no_route));
    let (open, _) = open().split_for_parts();
    let (closed, _) = closed().split_for_parts();
    open.merge(known(closed.merge(unknown)))
        .method_not_allowed_fallback(no_method)
        .layer(middleware::from_fn(name_instance))
        .layer(middleware::from_fn(docs::keep_private))
        .with_state(Arc::clone(&api))
}

async fn no_route() -> Problem {
    Problem::new(
        Kind::NoRoute,
        format!("There is no such route; `GET {DOCUMENT_PATH}` lists those there are."),
    )
}

async fn no_method() -> Problem {
    Problem::new(
        Kind::Method,
        "The route has other methods; the header `Allow` lists them.",
    )
}
