//! What a server keeps of its calls: the store, who writes to it, and the recordings.

use std::{sync::Arc, time::Duration};

use sidetone::{CallHandle, CallId, Engine};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument as _, info, warn};

use crate::{
    config::Config,
    providers::SetupError,
    recording::{Recorder, Recordings, Register},
    store::{CallRecord, Store, StoreError, StoreWriter, UnixMs},
};

/// How often it is looked for what is kept too long.
const RETENTION: Duration = Duration::from_secs(3_600);
/// How many calls are deleted each time.
const CALLS: u32 = 10_000;
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
        Recordings::complete(&store).await?;
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

    /// Records a call from the start of its stream to its end, if calls are recorded.
    pub(crate) fn follow(&self, call: &CallHandle) {
        if !self.0.recording {
            return;
        }
        let (archive, call) = (self.clone(), call.clone());
        let following = async move {
            let mut state = call.state();
            let begun = state.wait_for(|state| state.started || state.ended).await;
            if !begun.is_ok_and(|state| state.started) {
                return;
            }
            let Ok(mut tap) = call.record().await else {
                return;
            };
            let Some(mut recorder) = archive.record(call.id()) else {
                return;
            };
            while let Some(audio) = tap.recv().await {
                recorder.push(audio);
            }
            if let Err(error) = recorder.finish().await {
                warn!(error = ?error, "the recording of a call has no end");
            }
        };
        tokio::spawn(following.in_current_span());
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

/// Deletes what has been kept long enough at `now`; says how many calls and how many recordings. What
/// cannot be deleted does not hold up the rest.
async fn expire(
    store: &Store,
    now: UnixMs,
    calls: Option<Duration>,
    recordings: Option<Duration>,
) -> Result<(u64, u64), StoreError> {
    let (mut calls_gone, mut recordings_gone) = (0, 0);
    let mut failure = None;
    for call in old(store, now, calls, false).await? {
        match store.delete_call(call.id.as_str(), RETAINER).await {
            Ok(_) => calls_gone += 1,
            Err(error) => failure = Some(error),
        }
    }
    for call in old(store, now, recordings, true).await? {
        match store.delete_recording(&call).await {
            Ok(()) => recordings_gone += 1,
            Err(error) => failure = Some(error),
        }
    }
    match failure {
        Some(error) => Err(error),
        None => Ok((calls_gone, recordings_gone)),
    }
}

async fn old(
    store: &Store,
    now: UnixMs,
    keep: Option<Duration>,
    recorded: bool,
) -> Result<Vec<CallRecord>, StoreError> {
    match keep {
        Some(keep) => store.ended_before(now.before(keep), recorded, CALLS).await,
        None => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{
        RecordingFile, RecordingFormat,
        writer::tests::{Pen, ended, started},
    };

    fn recording(path: std::path::PathBuf) -> RecordingFile {
        RecordingFile {
            path,
            format: RecordingFormat::Wav,
            encrypted: false,
            bytes: 4,
        }
    }

    #[tokio::test]
    async fn calls_and_recordings_are_kept_as_long_as_they_should() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::in_memory().await.unwrap();
        let pen = Pen::new(&store).await;
        for (id, over) in [("call-a", true), ("call-b", true), ("call-live", false)] {
            pen.event(id, 1, 0, started(id));
            if over {
                pen.event(id, 2, 1_000, ended());
            }
            pen.flush().await;
            let file = recording(folder.path().join(id));
            std::fs::write(&file.path, "RIFF").unwrap();
            assert!(store.set_recording(id, &file).await.unwrap());
        }
        let now = UnixMs::now();
        let (calls, recordings) = (Some(DAY * 5), Some(DAY * 2));
        let at = async |days| expire(&store, now.after(DAY * days), calls, recordings).await;
        assert_eq!(at(1).await.unwrap(), (0, 0));
        assert_eq!(at(3).await.unwrap(), (0, 2));
        let left = store.call("call-a").await.unwrap().unwrap();
        assert_eq!(left.recording, None);
        assert!(!folder.path().join("call-a").exists());
        assert_eq!(at(3).await.unwrap(), (0, 0));
        assert_eq!(at(6).await.unwrap(), (2, 0));
        assert!(store.call("call-a").await.unwrap().is_none());
        // A call that goes on is not old.
        assert!(store.call("call-live").await.unwrap().is_some());
        assert!(folder.path().join("call-live").exists());
        let forever = expire(&store, now.after(DAY * 9_999), None, None).await;
        assert_eq!(forever.unwrap(), (0, 0));
        pen.end().await;
    }

    #[tokio::test]
    async fn what_cannot_be_deleted_does_not_hold_up_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::in_memory().await.unwrap();
        let pen = Pen::new(&store).await;
        for id in ["call-a", "call-b"] {
            pen.event(id, 1, 0, started(id));
            pen.event(id, 2, 0, ended());
        }
        pen.flush().await;
        // A folder is no file that could be removed.
        let file = recording(folder.path().to_owned());
        assert!(store.set_recording("call-a", &file).await.unwrap());
        let later = UnixMs::now().after(DAY * 2);
        let error = expire(&store, later, Some(DAY), None).await.unwrap_err();
        assert!(matches!(error, StoreError::Recording { .. }), "{error:?}");
        assert!(store.call("call-a").await.unwrap().is_some());
        assert!(store.call("call-b").await.unwrap().is_none());
        pen.end().await;
    }
}
