//! The server's life: listen, warm up, answer, drain.

use std::{io, net::SocketAddr, time::Duration};

use sidetone::Engine;
use thiserror::Error;
use tokio::{net::TcpListener, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    api::MAX_STREAMS,
    archive::Archive,
    auth::tokens::{self, IssuedToken},
    config::{Config, ConfigError, StoreConfig},
    http,
    providers::{self, SetupError},
    routes::router,
    state::ServerState,
    store::{Store, StoreError},
};

/// Connections that may be in their HTTP phase beside one for each call; event streams are all the time.
const SPARE_CONNECTIONS: usize = 256 + MAX_STREAMS;

/// A server that listens and does not answer yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    addr: SocketAddr,
    engine: Engine,
    state: ServerState,
    max_requests: usize,
    drain: Duration,
}

/// Why there is no server.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A part that the configuration names cannot be had.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The address cannot be listened on.
    #[error("`server.listen` = {addr}: cannot listen there")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// Tells a server to end. Clones tell the same server.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    drain: CancellationToken,
    now: CancellationToken,
}

impl Shutdown {
    /// Nothing told yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// No new calls; running calls have `server.drain_seconds` to end by themselves.
    pub fn drain(&self) {
        self.drain.cancel();
    }

    /// Running calls are hung up at once.
    pub fn now(&self) {
        self.drain.cancel();
        self.now.cancel();
    }
}

impl Server {
    /// Puts the engine together as `config` says and listens.
    ///
    /// # Errors
    ///
    /// [`ServerError`] names the key and what is wrong with it.
    pub async fn bind(config: &Config) -> Result<Self, ServerError> {
        config.validate()?;
        // What is quickly found to be wrong is found first.
        let store = match config.store.url.as_str() {
            StoreConfig::NONE => None,
            url => Some(Store::open(url).await.map_err(SetupError::from)?),
        };
        let engine = providers::engine(config).await?;
        Self::listen(config, engine, store).await
    }

    /// Listens, to answer calls with `engine`; only `[server]`, `[twilio]`, `[store]`, `[recording]`
    /// and `agent.language` of `config` are looked at. Calls are kept only where `store.url` says
    /// where.
    ///
    /// # Errors
    ///
    /// [`ServerError::Config`], [`ServerError::Setup`] for the store, and [`ServerError::Listen`].
    pub async fn with_engine(config: &Config, engine: Engine) -> Result<Self, ServerError> {
        config.validate()?;
        let store = match config.store.url.as_str() {
            "" | StoreConfig::NONE => None,
            url => Some(Store::open(url).await.map_err(SetupError::from)?),
        };
        Self::listen(config, engine, store).await
    }

    async fn listen(
        config: &Config,
        engine: Engine,
        store: Option<Store>,
    ) -> Result<Self, ServerError> {
        let archive = match store {
            Some(store) => Some(Archive::open(store, config, &engine).await?),
            None => None,
        };
        let state = ServerState::with_archive(config, engine.clone(), archive)?;
        let addr = config.server.listen;
        let failed = |source| ServerError::Listen { addr, source };
        let listener = TcpListener::bind(addr).await.map_err(failed)?;
        Ok(Self {
            addr: listener.local_addr().map_err(failed)?,
            listener,
            engine,
            state,
            max_requests: config.server.max_calls + SPARE_CONNECTIONS,
            drain: Duration::from_secs(config.server.drain_seconds),
        })
    }

    /// Listens and answers in a task of its own: for programs that hold calls with themselves.
    ///
    /// # Errors
    ///
    /// Those of [`with_engine`](Self::with_engine).
    pub async fn start(config: &Config, engine: Engine) -> Result<RunningServer, ServerError> {
        let server = Self::with_engine(config, engine).await?;
        let (addr, state) = (server.addr, server.state.clone());
        let shutdown = Shutdown::new();
        let task = tokio::spawn(server.run(shutdown.clone()));
        Ok(RunningServer {
            addr,
            state,
            shutdown,
            task,
        })
    }

    /// Where the server listens; the port that was found, where the configuration says 0.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// What the routes share.
    #[must_use]
    pub fn state(&self) -> &ServerState {
        &self.state
    }

    /// An admin's token where there is no token at all: on the first start. It is shown this once and kept
    /// nowhere. None later, and where no calls are kept.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn first_token(&self) -> Result<Option<IssuedToken>, StoreError> {
        match self.state.archive() {
            Some(archive) => tokens::first(archive.store()).await,
            None => Ok(None),
        }
    }

    /// Answers until told to end, then drains.
    pub async fn run(self, shutdown: Shutdown) {
        let Self {
            listener,
            addr,
            engine,
            state,
            max_requests,
            drain,
        } = self;
        info!(%addr, "listening");
        if state.0.auth_token.is_none() {
            warn!(
                "INSECURE: `server.insecure` is set and no `twilio.auth_token`: requests are not \
                 checked, anybody who reaches this server can hold calls on it"
            );
        }
        let stop = CancellationToken::new();
        let http = http::serve(listener, router(state.clone()), max_requests, stop.clone());
        let life = async {
            tokio::select! {
                // Being told to end goes before getting ready.
                () = shutdown.drain.cancelled() => {}
                () = async {
                    state.warm_up().await;
                    shutdown.drain.cancelled().await;
                } => {}
            }
            end_calls(&engine, &state, drain, &shutdown.now).await;
            if let Some(api) = &state.0.api {
                api.close().await;
            }
            stop.cancel();
        };
        tokio::join!(http, life);
        // After the last request that may want it.
        if let Some(archive) = state.archive() {
            archive.close().await;
        }
        info!("stopped");
    }
}

async fn end_calls(
    engine: &Engine,
    state: &ServerState,
    patience: Duration,
    now: &CancellationToken,
) {
    state.drain();
    info!(
        calls = state.active_calls(),
        patience_s = patience.as_secs(),
        "draining: no new calls"
    );
    tokio::select! {
        () = now.cancelled() => {}
        // Whether or not the calls ended by themselves, none goes on.
        _ = timeout(patience, state.idle()) => {}
    }
    if state.active_calls() > 0 {
        warn!(calls = state.active_calls(), "hanging up");
    }
    engine.drain(Duration::ZERO).await;
}

/// A server that answers in a task of its own. Dropping it ends the server at once.
#[derive(Debug)]
pub struct RunningServer {
    addr: SocketAddr,
    state: ServerState,
    shutdown: Shutdown,
    task: JoinHandle<()>,
}

impl RunningServer {
    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What its routes share.
    #[must_use]
    pub fn state(&self) -> &ServerState {
        &self.state
    }

    /// Begins to drain.
    pub fn drain(&self) {
        self.shutdown.drain();
    }

    /// Drains and waits for the end.
    pub async fn shutdown(mut self) {
        self.shutdown.drain();
        self.finish().await;
    }

    /// Hangs up all calls and waits for the end.
    pub async fn stop(mut self) {
        self.shutdown.now();
        self.finish().await;
    }

    async fn finish(&mut self) {
        if let Err(error) = (&mut self.task).await {
            std::panic::resume_unwind(error.into_panic());
        }
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        self.shutdown.now();
    }
}
