//! The audio of calls on disk: caller left, everyone else right.
//!
//! [`Recordings`] is the folder and how files in it are made. A [`Recorder`] takes the audio of one call
//! and never holds it up; a [`RecordingReader`] hands it back.

mod crypt;
mod error;
mod file;
mod health;
mod ogg;
mod reader;
mod recorder;
#[cfg(test)]
mod tests;
mod wav;

use std::{path::PathBuf, str::FromStr as _, sync::Arc};

use sidetone::CallId;
use tracing::warn;

pub use error::RecordingError;
pub(crate) use health::RecordingStatus;
pub use reader::{ReadRange, RecordingReader};
pub use recorder::{Recorder, RecorderStatus};

use crate::{
    config::RecordingConfig,
    store::{
        RecordingFile, RecordingFormat, Store, StoreError, StoreWriter, create_private_dir,
        data_dir,
    },
};

/// Where recordings are kept, and how they are made. Clones are the same.
#[derive(Clone, Debug)]
pub struct Recordings(Arc<Settings>);

#[derive(Debug)]
struct Settings {
    folder: PathBuf,
    format: RecordingFormat,
    recipients: crypt::Recipients,
    /// The file with the key to read them again.
    identity: Option<PathBuf>,
    health: Arc<health::Health>,
}

/// Where it is noted that there is a recording.
#[derive(Clone, Debug)]
pub struct Register {
    /// The rows.
    pub store: Store,
    /// Who writes them.
    pub writer: StoreWriter,
}

impl Recordings {
    /// Makes the folder, unless it is there, and reads the recipients.
    ///
    /// # Errors
    ///
    /// [`RecordingError`] names the folder or the recipient that cannot be used.
    pub fn new(config: &RecordingConfig) -> Result<Self, RecordingError> {
        let folder = if config.folder.is_empty() {
            data_dir()
                .map_err(|_| RecordingError::NoDataDir)?
                .join("recordings")
        } else {
            PathBuf::from(&config.folder)
        };
        let recipients = crypt::Recipients::parse(&config.recipients)?;
        let made = create_private_dir(&folder).and_then(|()| folder.canonicalize());
        let folder = made.map_err(|source| RecordingError::Folder {
            path: folder,
            source,
        })?;
        Ok(Self(Arc::new(Settings {
            folder,
            format: config.format,
            recipients,
            identity: (!config.identity.is_empty()).then(|| PathBuf::from(&config.identity)),
            health: Arc::default(),
        })))
    }

    /// Begins to record a call, in a task of its own. The file's name is the call's id.
    ///
    /// # Errors
    ///
    /// [`RecordingError::Create`] where the file cannot be made.
    ///
    /// # Panics
    ///
    /// If called outside a tokio runtime.
    pub fn record(
        &self,
        call_id: &CallId,
        register: Option<Register>,
    ) -> Result<Recorder, RecordingError> {
        Recorder::start(&self.0, call_id, register)
            .inspect_err(|error| self.0.health.note(Some(error)))
    }

    /// How recordings fare.
    pub(crate) fn status(&self) -> RecordingStatus {
        self.0.health.status()
    }

    /// Completes what servers that are gone left unfinished.
    pub(crate) async fn complete(store: &Store) -> Result<(), StoreError> {
        for call in store.unfinished_recordings().await? {
            let Some(mut recording) = call.recording else {
                continue;
            };
            let file = recording.clone();
            match recorder::blocking(move || file::complete(&file)).await {
                Ok(bytes) => {
                    recording.bytes = bytes;
                    store.set_recording(call.id.as_str(), &recording).await?;
                }
                Err(error) => {
                    warn!(call = %call.id, %error, "the recording of a lost call cannot be completed");
                }
            }
        }
        Ok(())
    }

    /// Opens the recording of a call, decrypted where the key is configured.
    ///
    /// # Errors
    ///
    /// [`RecordingError::NoIdentity`] where it is encrypted and there is no key, and others that name the
    /// file.
    pub async fn open(&self, file: &RecordingFile) -> Result<RecordingReader, RecordingError> {
        RecordingReader::open(file.clone(), self.0.identity.clone()).await
    }
}

/// Checks a recipient as it is written in the configuration.
pub(crate) fn is_recipient(text: &str) -> bool {
    age::x25519::Recipient::from_str(text).is_ok()
}
