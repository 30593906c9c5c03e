//! Why a recording was not transcribed.

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
}
