//! What the routes share.

use std::{
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use sidetone::{Engine, EventStream};
use sidetone_speech::Secret;
use tokio::{
    sync::broadcast,
    time::{MissedTickBehavior, interval},
};
use tracing::{info, warn};

use crate::{
    admission::Admission,
    api::Api,
    archive::Archive,
    config::{Config, ConfigError},
    metrics::Metrics,
    placing::Placing,
    twilio::Report,
};

/// How often measurements are folded into the histograms.
const UPKEEP: Duration = Duration::from_secs(5);

/// How many of Twilio's reports wait for whoever listens slowly, before the oldest is dropped.
const REPORTS: usize = 1_024;

/// What the routes share: the engine behind them, who may come in, and what is counted. Clones
/// are handles of the same state.
#[derive(Clone, Debug)]
pub struct ServerState(pub(crate) Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) admission: Arc<Admission>,
    pub(crate) metrics: Metrics,
    pub(crate) archive: Option<Archive>,
    /// Only with an archive.
    pub(crate) api: Option<Arc<Api>>,
    pub(crate) placing: Arc<Placing>,
    pub(crate) account_sid: String,
    pub(crate) auth_token: Option<Secret>,
    /// Without a slash at the end; empty where none is configured.
    pub(crate) public_url: String,
    pub(crate) language: String,
    reports: broadcast::Sender<Report>,
    warm: AtomicBool,
    /// The first bad signature is worth a line for the operator; a flood of them is not.
    pub(crate) bad_signature_logged: AtomicBool,
}

impl ServerState {
    /// A state whose calls are answered by `engine`, and not kept. It is not ready until
    /// [`warm_up`](Self::warm_up) has returned.
    ///
    /// # Errors
    ///
    /// Those of [`Config::validate`].
    ///
    /// # Panics
    ///
    /// If called outside a tokio runtime.
    pub fn new(config: &Config, engine: Engine) -> Result<Self, ConfigError> {
        Self::with_archive(config, engine, None)
    }

    /// Like [`new`](Self::new), with calls that are kept in `archive`, which was opened with the same
    /// engine before.
    ///
    /// # Errors
    ///
    /// Those of [`Config::validate`].
    ///
    /// # Panics
    ///
    /// If called outside a tokio runtime.
    pub fn with_archive(
        config: &Config,
        engine: Engine,
        archive: Option<Archive>,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        let events = engine.events();
        let admission = Arc::new(Admission::new(config.server.max_calls));
        let placing = Arc::<Placing>::default();
        let reports = broadcast::Sender::new(REPORTS);
        let api = archive.as_ref().map(|archive| {
            Arc::new(Api::new(
                config,
                engine.clone(),
                archive,
                Arc::clone(&admission),
                Arc::clone(&placing),
                reports.clone(),
            ))
        });
        let shared = Arc::new(Shared {
            engine,
            admission,
            api,
            placing,
            metrics: Metrics::new(),
            archive,
            account_sid: config.twilio.account_sid.clone(),
            auth_token: config.twilio.auth_token.clone(),
            public_url: config.server.public_url.trim_end_matches('/').to_owned(),
            language: config.agent.language.clone(),
            reports,
            warm: AtomicBool::new(false),
            bad_signature_logged: AtomicBool::new(false),
        });
        tokio::spawn(count_events(Arc::downgrade(&shared), events));
        Ok(Self(shared))
    }

    /// The engine that answers the calls.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// What is kept of the calls, where it is.
    #[must_use]
    pub fn archive(&self) -> Option<&Archive> {
        self.0.archive.as_ref()
    }

    /// Gets the engine's services ready; `/readyz` agrees from then on. A service that cannot be
    /// used now may come back, so calls are welcome all the same.
    pub async fn warm_up(&self) {
        let began = Instant::now();
        match self.0.engine.warm_up().await {
            Ok(()) => info!(after_ms = began.elapsed().as_millis(), "ready"),
            Err(error) => warn!(%error, "answering calls although a service is not ready"),
        }
        self.0.warm.store(true, Ordering::Relaxed);
    }

    /// Lets nobody more in: `/readyz` says so, the webhook answers that all lines are busy, and
    /// sockets are refused, except those of callers whom a webhook has just promised a stream.
    /// Running calls go on.
    pub fn drain(&self) {
        self.0.admission.drain();
    }

    /// Waits until no call is running and, while draining, none is expected any more.
    pub async fn idle(&self) {
        self.0.admission.idle().await;
    }

    /// What Twilio reports from now on about calls, streams and recordings whose status callback
    /// is [`STATUS_PATH`](crate::STATUS_PATH). Reports may come late, twice, or not at all.
    #[must_use]
    pub fn twilio_reports(&self) -> broadcast::Receiver<Report> {
        self.0.reports.subscribe()
    }

    /// Tells whoever listens.
    pub(crate) fn report(&self, report: Report) {
        // Nobody listens: fine.
        let _ = self.0.reports.send(report);
    }

    /// The metrics in Prometheus' text format: what `GET /metrics` answers with a token, for programs
    /// that have their own ways to let somebody in.
    #[must_use]
    pub fn metrics(&self) -> String {
        if let Some(archive) = self.archive() {
            self.0.metrics.store(&archive.writer().status());
            self.0.metrics.recordings(&archive.recordings().status());
        }
        if let Some(webhooks) = self.0.api.as_ref().and_then(|api| api.webhooks.as_ref()) {
            self.0.metrics.webhooks(&webhooks.status());
        }
        self.0.metrics.render(self.active_calls())
    }

    /// How many calls are running.
    #[must_use]
    pub fn active_calls(&self) -> usize {
        self.0.admission.started()
    }

    /// Whether calls are welcome.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.warm.load(Ordering::Relaxed) && !self.0.admission.is_draining()
    }
}

/// Counts what happens in calls, until the state or the engine is gone.
async fn count_events(shared: Weak<Shared>, mut events: EventStream) {
    let mut upkeep = interval(UPKEEP);
    upkeep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            event = events.recv() => {
                let (Some(event), Some(shared)) = (event, shared.upgrade()) else {
                    return;
                };
                match event {
                    Ok(record) => shared.metrics.observe(&record.event),
                    Err(missed) => shared.metrics.events_missed(missed.missed),
                }
            }
            _ = upkeep.tick() => {
                let Some(shared) = shared.upgrade() else {
                    return;
                };
                shared.metrics.upkeep();
                if let Some(api) = &shared.api {
                    api.forget_unanswered();
                }
            }
        }
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission").finish_non_exhaustive()
    }
}
