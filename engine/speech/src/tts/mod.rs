//! Speech synthesis.

mod command;
mod decode;
mod openai;
mod telling;

use sidetone_core::job::{JobFailure, TtsEvent, TtsJob};

use crate::job::{JobHandle, Sink};

pub use command::{AudioFormat, CommandTts, CommandTtsConfig, TextOn};
pub use openai::{OpenAiTts, OpenAiTtsConfig};

/// Speaks sentences. One instance serves all calls.
pub trait Tts: Send + Sync {
    /// Starts `job` at once and reports to `sink`: audio as it becomes available, then exactly
    /// one event that ends the job, unless the handle is dropped first. Never blocks; must be
    /// called within a tokio runtime.
    fn start(&self, job: TtsJob, sink: Sink<TtsEvent>) -> JobHandle;

    /// Gets ready, so that the first job is as quick as the next.
    ///
    /// # Errors
    ///
    /// Why the service cannot be used right now. Jobs may be started all the same.
    fn warm_up(&self) -> futures_util::future::BoxFuture<'_, Result<(), JobFailure>> {
        Box::pin(async { Ok(()) })
    }
}
