//! Events to those who asked to be told: signed, in order within a call, and until they are taken.
//!
//! What is to be delivered goes to the store first, and from there to its URL, so that a restart loses
//! nothing. Each URL has a worker of its own: one that is slow, or away, holds nobody else up. Within a
//! call an event waits until the one before it was taken or given up.

mod backoff;
mod deliver;
pub mod signature;
mod spool;
#[cfg(test)]
mod tests;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sidetone::EventStream;
use sidetone_speech::Secret;
use thiserror::Error;
use tokio::{sync::Notify, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::warn;

use self::{deliver::Deliverer, signature::SigningKey};
use crate::{config::WebhookConfig, store::Store};

/// How long requests on their way may take when the server goes down.
const PATIENCE: Duration = Duration::from_secs(5);

/// The event that is told only to those who name it: there are more of it than of all others.
const ONLY_BY_NAME: &str = "transcript.partial";

/// The workers of one server.
#[derive(Debug)]
pub(crate) struct Webhooks {
    counted: Arc<Counted>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// Somebody who is told.
#[derive(Debug)]
struct Endpoint {
    url: reqwest::Url,
    /// Empty: everything but [`ONLY_BY_NAME`].
    events: Vec<String>,
    key: SigningKey,
    /// There is something new in the store.
    wake: Notify,
}

/// What has been delivered so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WebhookStatus {
    /// Events that were taken.
    pub(crate) delivered: u64,
    /// Attempts that failed.
    pub(crate) failed: u64,
    /// Events that were tried often enough.
    pub(crate) given_up: u64,
    /// Events that never made it to the store.
    pub(crate) missed: u64,
}

#[derive(Debug, Default)]
struct Counted {
    delivered: AtomicU64,
    failed: AtomicU64,
    given_up: AtomicU64,
    missed: AtomicU64,
}

/// Why there are no webhooks.
#[derive(Debug, Error)]
pub(crate) enum WebhookError {
    /// An address that is none. The configuration was not validated.
    #[error("a webhook's `url` is no address")]
    Url,
    /// A key that is none. The configuration was not validated.
    #[error("a webhook's `secret` {0}")]
    Key(#[from] signature::NotASigningKey),
    /// The HTTP client cannot be made.
    #[error("no HTTP client for webhooks")]
    Client(#[from] reqwest::Error),
}

impl Webhooks {
    /// Tells the endpoints in `config` of `events`, by way of `store`.
    ///
    /// # Panics
    ///
    /// If called outside a tokio runtime.
    pub(crate) fn start(
        config: &[WebhookConfig],
        store: &Store,
        events: EventStream,
    ) -> Result<Self, WebhookError> {
        let counted = Arc::<Counted>::default();
        let endpoints: Result<Vec<_>, _> = config.iter().map(Endpoint::new).collect();
        let endpoints: Arc<[Arc<Endpoint>]> = endpoints?.into_iter().map(Arc::new).collect();
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        for endpoint in endpoints.iter() {
            let deliverer = Deliverer::new(store.clone(), Arc::clone(endpoint), &counted)?;
            let stop = stop.clone();
            tasks.spawn(deliverer.run(stop));
        }
        tasks.spawn(spool::run(
            store.clone(),
            Arc::clone(&endpoints),
            events,
            Arc::clone(&counted),
            stop.clone(),
        ));
        tasks.close();
        Ok(Self {
            counted,
            stop,
            tasks,
        })
    }

    /// Keeps what happened so far for delivery, and ends: what is not delivered is when a server runs again.
    pub(crate) async fn shutdown(&self) {
        self.stop.cancel();
        if timeout(PATIENCE, self.tasks.wait()).await.is_err() {
            warn!("webhooks that are on their way are given up; they will be sent again");
        }
    }

    /// What has been delivered so far.
    pub(crate) fn status(&self) -> WebhookStatus {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        WebhookStatus {
            delivered: of(&self.counted.delivered),
            failed: of(&self.counted.failed),
            given_up: of(&self.counted.given_up),
            missed: of(&self.counted.missed),
        }
    }
}

impl Drop for Webhooks {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Endpoint {
    fn new(config: &WebhookConfig) -> Result<Self, WebhookError> {
        Ok(Self {
            url: config.url.parse().map_err(|_| WebhookError::Url)?,
            events: config.events.clone(),
            key: config
                .secret
                .as_ref()
                .map_or("", Secret::expose)
                .parse::<SigningKey>()?,
            wake: Notify::new(),
        })
    }

    fn wants(&self, event: &str) -> bool {
        if self.events.is_empty() {
            event != ONLY_BY_NAME
        } else {
            self.events.iter().any(|wanted| wanted == event)
        }
    }
}
