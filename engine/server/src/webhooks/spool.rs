//! From the engine's events to the store.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use serde::Serialize;
use serde_json::Value;
use sidetone::{EventRecord, EventStream, EventsMissed};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::{Counted, Endpoint, Ordering};
use crate::{
    api::Timestamp,
    store::{NewDelivery, Store, UnixMs},
};

/// How many events go to the store at once.
const BATCH: usize = 256;

/// When it is tried again where the store does not take them. Meanwhile the engine's events wait in their
/// own queue, which has room for some thousand.
const RETRY: Duration = Duration::from_secs(1);

/// What has not been delivered for so long never will be: its URL is no longer in the configuration.
const TOO_OLD: Duration = Duration::from_secs(7 * 24 * 3_600);

/// What is sent.
#[derive(Serialize)]
struct Payload<'a> {
    #[serde(rename = "type")]
    name: &'a str,
    timestamp: Timestamp,
    data: &'a Value,
}

/// Keeps for delivery what somebody wants to be told, until told to stop, and then what is there.
pub(super) async fn run(
    store: Store,
    endpoints: Arc<[Arc<Endpoint>]>,
    mut events: EventStream,
    counted: Arc<Counted>,
    stop: CancellationToken,
) {
    match store.forget_deliveries(UnixMs::now().before(TOO_OLD)).await {
        Ok(0) => {}
        Ok(count) => warn!(count, "forgot webhooks that were kept for a week"),
        Err(error) => warn!(%error, "cannot look for webhooks that were kept for too long"),
    }
    loop {
        let first = tokio::select! {
            biased;
            event = events.recv() => event,
            () = stop.cancelled() => None,
        };
        let is_last = first.is_none();
        let mut batch = Vec::new();
        let mut next = first;
        while let Some(event) = next {
            match event {
                Ok(record) => add(&endpoints, &record, &mut batch),
                Err(EventsMissed { missed }) => {
                    counted.missed.fetch_add(missed, Ordering::Relaxed);
                    error!(
                        missed,
                        "webhooks miss events: the database is slower than the calls"
                    );
                }
            }
            if batch.len() >= BATCH {
                break;
            }
            next = events.recv().now_or_never().flatten();
        }
        if !batch.is_empty() {
            keep(&store, &batch, &counted, &stop).await;
            for endpoint in endpoints.iter() {
                endpoint.wake.notify_one();
            }
        }
        if is_last {
            return;
        }
    }
}

fn add(endpoints: &[Arc<Endpoint>], record: &EventRecord, batch: &mut Vec<NewDelivery>) {
    let data = serde_json::to_value(record).expect("an event is JSON");
    let name = data["event"].as_str().unwrap_or_default();
    let mut payload = None;
    for endpoint in endpoints.iter().filter(|endpoint| endpoint.wants(name)) {
        let payload = payload.get_or_insert_with(|| {
            serde_json::to_string(&Payload {
                name,
                timestamp: UnixMs::now().into(),
                data: &data,
            })
            .expect("an event is JSON")
        });
        batch.push(NewDelivery {
            url: endpoint.url.to_string(),
            call_id: Some(record.call_id.to_string()),
            event: payload.clone(),
        });
    }
}

async fn keep(store: &Store, batch: &[NewDelivery], counted: &Counted, stop: &CancellationToken) {
    let mut told = false;
    while let Err(error) = store.add_deliveries(batch).await {
        if !told {
            warn!(%error, "webhooks wait: the database does not take what is to be delivered");
            told = true;
        }
        tokio::select! {
            () = sleep(RETRY) => {}
            () = stop.cancelled() => {
                let missed = batch.len() as u64;
                counted.missed.fetch_add(missed, Ordering::Relaxed);
                error!(missed, "webhooks miss events: the database did not take them in time");
                return;
            }
        }
    }
}
