//! Turn detection: has the caller finished, or is this a pause within a sentence?

#[cfg(feature = "onnx")]
mod smart_turn;

use sidetone_core::job::{JobFailure, TurnEvent, TurnJob};

#[cfg(feature = "onnx")]
pub use self::smart_turn::{SmartTurn, SmartTurnConfig};
use crate::job::{JobHandle, Sink};

/// Judges whether a turn is complete from how it sounds. One instance serves all calls.
///
/// A judgement that comes late is of no use: an instance with more work than it gets through
/// answers [`Overloaded`](sidetone_core::job::FailureKind::Overloaded) at once.
pub trait TurnDetector: Send + Sync {
    /// Starts `job` at once and reports to `sink`: exactly one event, which ends the job, unless
    /// the handle is dropped first. Never blocks; must be called within a tokio runtime.
    fn start(&self, job: TurnJob, sink: Sink<TurnEvent>) -> JobHandle;

    /// Gets ready, so that the first job is as quick as the next.
    ///
    /// # Errors
    ///
    /// Why turns cannot be judged right now. Jobs may be started all the same.
    fn warm_up(&self) -> futures_util::future::BoxFuture<'_, Result<(), JobFailure>> {
        Box::pin(async { Ok(()) })
    }
}
