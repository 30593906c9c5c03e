//! Language models.

mod openai;
mod script;

use sidetone_core::job::{JobFailure, LlmEvent, LlmJob};

use crate::job::{JobHandle, Sink};

pub use openai::{OpenAiLlm, OpenAiLlmConfig};
pub use script::{Script, ScriptError, ScriptLlm};

/// Continues conversations. One instance serves all calls.
pub trait Llm: Send + Sync {
    /// Starts `job` at once and reports to `sink`: deltas, then exactly one event that ends the
    /// job, unless the handle is dropped first. Never blocks; must be called within a tokio
    /// runtime.
    fn start(&self, job: LlmJob, sink: Sink<LlmEvent>) -> JobHandle;

    /// Gets ready, so that the first job is as quick as the next.
    ///
    /// # Errors
    ///
    /// Why the service cannot be used right now. Jobs may be started all the same.
    fn warm_up(&self) -> futures_util::future::BoxFuture<'_, Result<(), JobFailure>> {
        Box::pin(async { Ok(()) })
    }

    /// Whether it does what a message asks of it, such as summing up a call. A script, which only
    /// knows its lines, does not. Default: true.
    fn follows_instructions(&self) -> bool {
        true
    }
}
