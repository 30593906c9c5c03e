//! Why a recording was not transcribed.

use std::io;

use sidetone_codecs::ResampleError;
use sidetone_speech::stt::whisper::{WhisperError, batch::WindowError};

/// Why a transcription did not start or broke off.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TranscribeError {
    /// A setting is out of its range.
    #[error("{key} = {value}: {expected}")]
    Option {
        /// The setting.
        key: &'static str,
        /// What it was set to.
        value: String,
        /// What it may be.
        expected: String,
    },
    /// The model cannot be used.
    #[error(transparent)]
    Model(#[from] WhisperError),
    /// The recording's sample rate cannot be converted.
    #[error("its sample rate cannot be used")]
    Rate(#[source] ResampleError),
    /// A thread could not be started.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// The recognition failed within a window.
    #[error("the recognition failed: {0}")]
    Recognition(#[source] WindowError),
}
