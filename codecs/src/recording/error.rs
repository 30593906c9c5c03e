//! Why a recording was not decoded.

/// Why a recording cannot be opened, or where its decoding stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// The file cannot be read.
    #[error("cannot read it")]
    Io(#[from] std::io::Error),
}
