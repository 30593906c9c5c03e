//! Whether recordings are kept, for whoever watches the server.

use std::{
    error::Error as _,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::RecordingError;

/// How recordings fare on a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RecordingStatus {
    /// Recordings that could not be begun, or not be written to their end.
    pub(crate) failed: u64,
    /// Why the last one could not; none where it could.
    pub(crate) failure: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Health {
    failed: AtomicU64,
    failure: Mutex<Option<String>>,
}

impl Health {
    /// A recording was kept, or not.
    pub(super) fn note(&self, failure: Option<&RecordingError>) {
        let why = failure.map(|error| {
            self.failed.fetch_add(1, Ordering::Relaxed);
            match error.source() {
                Some(source) => format!("{error}: {source}"),
                None => error.to_string(),
            }
        });
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    pub(super) fn status(&self) -> RecordingStatus {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        RecordingStatus {
            failed: self.failed.load(Ordering::Relaxed),
            failure: failure.clone(),
        }
    }
}
