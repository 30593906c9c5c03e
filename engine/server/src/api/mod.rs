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
pub(crate) mod problem;
mod recording;
mod session;
mod sse;
mod summary;
mod timestamp;
mod transcript;
mod views;

use std::{sync::Arc, time::Duration};

use axum::{Router, middleware, routing::any};
use sidetone::{CallHandle, CallId, CallOver, Engine};
use tokio::{sync::Semaphore, time::timeout};
use tracing::warn;
use utoipa_axum::{router::OpenApiRouter, routes};

use self::{
    extract::unknown_call,
    problem::{Kind, Problem, name_instance},
};
use crate::{
    audit::Audit,
    auth::{self, Auth},
    feed::Feed,
    recording::Recordings,
    store::{Store, StoreError, StoreWriter},
};

/// Below this are all routes of the API.
pub(crate) const PREFIX: &str = "/api";

/// Where the API describes itself.
pub(crate) const DOCUMENT_PATH: &str = "/api/openapi.json";

/// How many event streams may be open at the same time, of all who watch together.
pub(crate) const MAX_STREAMS: usize = 256;

/// How long a request waits for what has just happened to be written down.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// What the API's routes share.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) engine: Engine,
    pub(crate) store: Store,
    pub(crate) writer: StoreWriter,
    pub(crate) recordings: Option<Recordings>,
    pub(crate) feed: Feed,
    pub(crate) audit: Audit,
    pub(crate) auth: Arc<Auth>,
    pub(crate) streams: Arc<Semaphore>,
}

impl Api {
    /// The call with this id, while it goes on.
    ///
    /// # Errors
    ///
    /// 404 where there is no such call, 409 where it is over, 503 where that cannot be found out.
    pub(crate) async fn running(&self, id: &str) -> Result<CallHandle, Problem> {
        if let Some(call) = self.engine.call(&CallId::from(id)) {
            return Ok(call);
        }
        match self.store.call(id).await? {
            Some(_) => Err(call_ended()),
            None => Err(unknown_call()),
        }
    }

    /// Sees to it that what happened so far is in the store, if that takes it in time.
    pub(crate) async fn catch_up(&self) {
        // What is missing is in the store a moment later.
        let _ = timeout(FLUSH_TIMEOUT, self.writer.flush()).await;
    }
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
        .routes(routes!(calls::list))
        .routes(routes!(calls::show, calls::delete))
        .routes(routes!(control::pause, control::resume))
        .routes(routes!(control::take_over, control::hand_back))
        .routes(routes!(control::say))
        .routes(routes!(control::whisper))
        .routes(routes!(control::dtmf))
        .routes(routes!(control::hang_up))
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
