//! What a server keeps of its calls: the store, who writes to it, and the recordings.

use std::{sync::Arc, time::Duration};

use sidetone::{CallId, Engine};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use crate::{
    config::Config,
    providers::SetupError,
    recording::{Recorder, Recordings, Register},
    store::{Store, StoreError, StoreWriter, UnixMs},
};

/// How often it is looked for what is kept too long.
const RETENTION: Duration = Duration::from_secs(3_600);
/// How many calls are deleted at once.
const CALLS: u32 = 100;
/// How long the last events may take to be written.
const PATIENCE: Duration = Duration::from_secs(10);
const DAY: Duration = Duration::from_secs(86_400);
/// Who deletes what is kept too long, in the audit log.
const RETAINER: &str = "system:retention";

/// The store of a server, who writes to it, and its recordings. Clones are handles of the same.
#[derive(Clone, Debug)]
pub struct Archive(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    store: Store,
    writer: StoreWriter,
    recordings: Recordings,
    recording: bool,
    _retention: AbortOnDropHandle<()>,
}

impl Archive {
    /// Keeps what `engine` tells from now on in `store`, and deletes what has been kept as long as
    /// `[store]` and `[recording]` of `config` say.
    ///
    /// # Errors
    ///
    /// [`SetupError::Store`] and [`SetupError::Recording`].
    ///
    /// # Panics
    ///
    /// If called outside a tokio runtime.
    pub async fn open(store: Store, config: &Config, engine: &Engine) -> Result<Self, SetupError> {
        let recordings = Recordings::new(&config.recording)?;
        let writer = StoreWriter::start(store.clone(), engine.events()).await?;
        info!(
            store = store.place(),
            recording = config.recording.enabled,
            "calls are kept"
        );
        let keep = |days: u32| (days > 0).then(|| DAY * days);
        let retention = retain(
            store.clone(),
            keep(config.store.keep_days),
            keep(config.recording.keep_days),
        );
        Ok(Self(Arc::new(Parts {
            store,
            writer,
            recordings,
            recording: config.recording.enabled,
            _retention: AbortOnDropHandle::new(tokio::spawn(retention)),
        })))
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// Who writes to it.
    #[must_use]
    pub fn writer(&self) -> &StoreWriter {
        &self.0.writer
    }

    /// Where recordings are kept, whether or not calls are recorded now.
    #[must_use]
    pub fn recordings(&self) -> &Recordings {
        &self.0.recordings
    }

    /// Begins to record a call, if calls are recorded. One that cannot be goes on without.
    ///
    /// # Panics
    ///
    /// If called outside a tokio runtime.
    #[must_use]
    pub fn record(&self, call_id: &CallId) -> Option<Recorder> {
        if !self.0.recording {
            return None;
        }
        let register = Register {
            store: self.0.store.clone(),
            writer: self.0.writer.clone(),
        };
        let recorder = self.0.recordings.record(call_id, Some(register));
        recorder
            .inspect_err(|error| warn!(error = ?error, "the call is not recorded"))
            .ok()
    }

    /// Writes what is still to be written, and closes the store.
    pub async fn close(&self) {
        self.0.writer.shutdown(PATIENCE).await;
        self.0.store.close().await;
    }
}

/// Deletes, now and every hour, calls and recordings that have been kept long enough.
async fn retain(store: Store, calls: Option<Duration>, recordings: Option<Duration>) {
    let mut hours = interval(RETENTION);
    hours.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        hours.tick().await;
        match expire(&store, UnixMs::now(), calls, recordings).await {
            Ok((0, 0)) => {}
            Ok((calls, recordings)) => {
                info!(calls, recordings, "deleted what was kept long enough");
            }
            Err(error) => {
                warn!(%error, "cannot delete what was kept long enough: it is tried again in an hour");
            }
        }
    }
}

/// Deletes what has been kept long enough at `now`; says how many calls and how many recordings.
async fn expire(
    store: &Store,
    now: UnixMs,
    calls: Option<Duration>,
    recordings: Option<Duration>,
) -> Result<(u64, u64), StoreError> {
    let (mut calls_gone, mut recordings_gone) = (0, 0);
    if let Some(keep) = calls {
        loop {
            let old = store.ended_before(now.before(keep), false, CALLS).await?;
            if old.is_empty() {
                break;
            }
            for call in old {
                store.delete_call(call.id.as_str(), RETAINER).await?;
                calls_gone += 1;
            }
        }
    }
    if let Some(keep) = recordings {
        loop {
            let old = store.ended_before(now.before(keep), true, CALLS).await?;
            if old.is_empty() {
                break;
            }
            for call in old {
                store.delete_recording(&call).await?;
                recordings_gone += 1;
            }
        }
    }
    Ok((calls_gone, recordings_gone))
}
