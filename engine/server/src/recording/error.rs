//! What can go wrong with recordings.

use std::{io, path::PathBuf};

use sidetone_codecs::{OpusError, SampleRate};
use thiserror::Error;

/// Why a call is not recorded, or its recording cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// The platform does not say where data belongs.
    #[error("there is no data directory for recordings; set `recording.folder`")]
    NoDataDir,
    /// The folder cannot be made or read.
    #[error("`recording.folder` = {}: cannot be used", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not a recipient.
    #[error(
        "`recording.recipients`: {given:?} is not the public key of an age identity, which begins \
         with age1"
    )]
    Recipient {
        /// What there is.
        given: String,
    },
    /// The file cannot be made.
    #[error("cannot create the recording {}", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be written any further.
    #[error("cannot write the recording {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The format does not take audio of this rate.
    #[error("cannot record audio of {rate}")]
    Rate {
        /// The rate.
        rate: SampleRate,
        /// Why.
        source: OpusError,
    },
    /// The file cannot be read.
    #[error("cannot read the recording {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The recording is encrypted, and the key is not here.
    #[error("the recording is encrypted, and `recording.identity` is not set")]
    NoIdentity,
    /// The key cannot be read.
    #[error("`recording.identity` = {}: cannot be read", path.display())]
    Identity {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The recording was encrypted to somebody else, or is damaged.
    #[error("cannot decrypt the recording {}", path.display())]
    Decrypt {
        /// The file.
        path: PathBuf,
        /// Why.
        source: age::DecryptError,
    },
}
