//! Speech recognition.

mod openai;
pub mod whisper;

use sidetone_core::job::{JobFailure, SttEvent, SttJob};

use crate::job::{JobHandle, Sink};

pub use openai::{OpenAiStt, OpenAiSttConfig};

/// Recognises speech. One instance serves all calls.
pub trait Stt: Send + Sync {
    /// What this provider can do.
    fn capabilities(&self) -> SttCapabilities;

    /// Starts `job` at once and reports to `sink`: exactly one event, which ends the job, unless
    /// the handle is dropped first. Never blocks; must be called within a tokio runtime.
    fn start(&self, job: SttJob, sink: Sink<SttEvent>) -> JobHandle;

    /// Gets ready, so that the first job is as quick as the next: opens connections, touches
    /// weights.
    ///
    /// # Errors
    ///
    /// Why the service cannot be used right now. Jobs may be started all the same.
    fn warm_up(&self) -> futures_util::future::BoxFuture<'_, Result<(), JobFailure>> {
        Box::pin(async { Ok(()) })
    }
}

/// What a speech recogniser can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SttCapabilities {
    /// It can tell the language by itself.
    pub detects_language: bool,
    /// It is quick and cheap enough for partial transcripts.
    pub partials: bool,
}
