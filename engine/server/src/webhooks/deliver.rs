//! From the store to a URL.

use std::{sync::Arc, time::Duration};

use reqwest::{Client, StatusCode, header};
use sidetone_speech::http;
use tokio::{task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{
    Counted, Endpoint, Ordering, backoff,
    signature::{ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER},
};
use crate::store::{Delivery, Store, StoreError, UnixMs};

/// How many events are on their way to a URL at the same time, each of another call.
const AT_ONCE: usize = 16;
/// A connection that does not stand by then never will.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the whole of an attempt may take.
const ATTEMPT: Duration = Duration::from_secs(10);
/// Nobody else tries a delivery meanwhile.
const LEASE: Duration = Duration::from_secs(60);
/// An event is tried this often, over about six hours.
const ATTEMPTS: u64 = 16;
/// The longest that a receiver may put an attempt off.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3_600);
/// When the store is asked again after it failed.
const STORE_RETRY: Duration = Duration::from_secs(5);

/// Delivers to one URL.
pub(super) struct Deliverer {
    store: Store,
    endpoint: Arc<Endpoint>,
    client: Client,
    counted: Arc<Counted>,
}

/// Why an attempt was in vain.
struct Failed {
    /// For operators: no word of a call, and no address.
    why: String,
    /// When the receiver wants to be asked again.
    retry_after: Option<Duration>,
    /// The receiver wants no more of it.
    is_final: bool,
}

impl Deliverer {
    pub(super) fn new(
        store: Store,
        endpoint: Arc<Endpoint>,
        counted: &Arc<Counted>,
    ) -> reqwest::Result<Self> {
        Ok(Self {
            client: http::client("webhooks", &endpoint.url, CONNECT_TIMEOUT)?,
            store,
            endpoint,
            counted: Arc::clone(counted),
        })
    }

    /// Delivers what is due whenever it is, until told to stop; then what is on its way.
    pub(super) async fn run(self, stop: CancellationToken) {
        loop {
            let wait = match self.work_off(UnixMs::now, &stop).await {
                Ok(Some(next)) => {
                    let ms = next.0.saturating_sub(UnixMs::now().0);
                    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
                }
                Ok(None) => Duration::MAX,
                Err(error) => {
                    warn!(%error, "webhooks wait: the database does not say what is due");
                    STORE_RETRY
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.endpoint.wake.notified() => {}
                // Another server that shares the database may have died with some.
                () = sleep(wait.min(LEASE)) => {}
            }
        }
    }

    /// Delivers what is due by the clock `now`, and what becomes due meanwhile; says when the next is.
    pub(super) async fn work_off(
        &self,
        now: impl Fn() -> UnixMs,
        stop: &CancellationToken,
    ) -> Result<Option<UnixMs>, StoreError> {
        let url = self.endpoint.url.as_str();
        let mut attempts = JoinSet::new();
        loop {
            let room = AT_ONCE - attempts.len();
            if room > 0 && !stop.is_cancelled() {
                let room = u32::try_from(room).expect("AT_ONCE is small");
                let due = self.store.take_deliveries(url, now(), LEASE, room).await?;
                for delivery in due {
                    attempts.spawn(attempt(
                        self.client.clone(),
                        Arc::clone(&self.endpoint),
                        delivery,
                        now(),
                    ));
                }
            }
            if attempts.is_empty() {
                return self.store.next_delivery(url).await;
            }
            tokio::select! {
                Some(done) = attempts.join_next() => {
                    if let Ok((delivery, outcome)) = done {
                        self.settle(&delivery, outcome, now()).await?;
                    }
                }
                () = self.endpoint.wake.notified() => {}
            }
        }
    }

    async fn settle(
        &self,
        delivery: &Delivery,
        outcome: Result<(), Failed>,
        now: UnixMs,
    ) -> Result<(), StoreError> {
        let Err(failed) = outcome else {
            self.counted.delivered.fetch_add(1, Ordering::Relaxed);
            return self.store.delivered(delivery.id).await;
        };
        self.counted.failed.fetch_add(1, Ordering::Relaxed);
        let attempts = delivery.attempts + 1;
        let host = self.endpoint.url.host_str().unwrap_or_default();
        let why = failed.why.as_str();
        if attempts >= ATTEMPTS || failed.is_final {
            self.counted.given_up.fetch_add(1, Ordering::Relaxed);
            warn!(host, attempts, why, "a webhook is given up");
            return self.store.delivered(delivery.id).await;
        }
        if attempts == 1 {
            warn!(host, why, "a webhook failed; it is tried again");
        } else {
            debug!(host, attempts, why, "a webhook failed again");
        }
        let attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
        let wait = backoff::wait(attempts, jitter());
        let wait = wait.max(failed.retry_after.unwrap_or_default());
        self.store
            .delivery_failed(delivery.id, why, now.after(wait))
            .await
    }
}

/// From 0.0 to 1.0.
fn jitter() -> f64 {
    let mut byte = [0];
    getrandom::fill(&mut byte).expect("the operating system has random numbers");
    f64::from(byte[0]) / 255.0
}

async fn attempt(
    client: Client,
    endpoint: Arc<Endpoint>,
    delivery: Delivery,
    now: UnixMs,
) -> (Delivery, Result<(), Failed>) {
    let id = format!("msg_{}", delivery.id);
    let timestamp_s = now.0.div_euclid(1_000);
    let sent = client
        .post(endpoint.url.clone())
        .timeout(ATTEMPT)
        .header(header::CONTENT_TYPE, "application/json")
        .header(
            header::USER_AGENT,
            concat!("sidetone/", env!("CARGO_PKG_VERSION")),
        )
        .header(
            SIGNATURE_HEADER,
            endpoint.key.sign(&id, timestamp_s, &delivery.event),
        )
        .header(ID_HEADER, id)
        .header(TIMESTAMP_HEADER, timestamp_s)
        .body(delivery.event.clone())
        .send()
        .await;
    // What the answer says beyond its head is not read.
    let outcome = match sent {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(Failed {
            why: refusal(answer.status()),
            retry_after: answer
                .headers()
                .get(header::RETRY_AFTER)
                .and_then(|wait| wait.to_str().ok()?.trim().parse().ok())
                .map(|seconds| Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER)),
            is_final: answer.status() == StatusCode::GONE,
        }),
        Err(error) => Err(Failed {
            why: reason(&error).to_owned(),
            retry_after: None,
            is_final: false,
        }),
    };
    (delivery, outcome)
}

fn refusal(status: StatusCode) -> String {
    if status.is_redirection() {
        format!("it answered {status}: redirects are not followed, put the final address")
    } else {
        format!("it answered {status}")
    }
}

fn reason(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    }
}
