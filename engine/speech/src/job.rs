//! How a running job reports and how it is stopped.

use std::{future::Future, marker::PhantomData};

use sidetone_core::job::{JobEvent, JobFailure, JobId, JobUpdate};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Where a provider puts the news of one job. Bounded: a full sink holds the provider back.
#[derive(Debug)]
pub struct Sink<E> {
    id: JobId,
    updates: mpsc::Sender<JobUpdate>,
    events: PhantomData<fn(E)>,
}

/// Nobody listens to this job any more: the call ended. The provider stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the call no longer listens to this job")]
pub struct SinkClosed;

impl<E: Into<JobEvent>> Sink<E> {
    /// A sink that reports news of job `id` on `updates`.
    #[must_use]
    pub fn new(id: JobId, updates: mpsc::Sender<JobUpdate>) -> Self {
        Self {
            id,
            updates,
            events: PhantomData,
        }
    }

    /// Reports `event`; waits while the sink is full.
    ///
    /// # Errors
    ///
    /// [`SinkClosed`] once nobody listens.
    pub async fn send(&self, event: E) -> Result<(), SinkClosed> {
        let update = JobUpdate {
            id: self.id,
            event: event.into(),
        };
        self.updates.send(update).await.map_err(|_| SinkClosed)
    }

    /// Reports `event` from a thread outside the async runtime; blocks while the sink is full.
    ///
    /// # Errors
    ///
    /// [`SinkClosed`] once nobody listens.
    ///
    /// # Panics
    ///
    /// If called from within an async task.
    pub fn blocking_send(&self, event: E) -> Result<(), SinkClosed> {
        let update = JobUpdate {
            id: self.id,
            event: event.into(),
        };
        self.updates.blocking_send(update).map_err(|_| SinkClosed)
    }
}

/// Why a provider does not finish a job's work.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It failed.
    Failed(JobFailure),
    /// Nobody listens any more.
    Closed,
}

impl From<JobFailure> for Stop {
    fn from(failure: JobFailure) -> Self {
        Self::Failed(failure)
    }
}

impl From<SinkClosed> for Stop {
    fn from(_: SinkClosed) -> Self {
        Self::Closed
    }
}

impl<E: Into<JobEvent> + From<JobFailure>> Sink<E> {
    /// Reports the event that ends the job.
    pub(crate) async fn end(&self, end: Result<E, Stop>) {
        let event = match end {
            Ok(event) => event,
            Err(Stop::Failed(failure)) => failure.into(),
            Err(Stop::Closed) => return,
        };
        // Nobody listens any more: there is nothing left to stop.
        let _ = self.send(event).await;
    }
}

/// A running job. Dropping it cancels the job.
#[derive(Debug)]
#[must_use = "dropping the handle cancels the job"]
pub struct JobHandle {
    _cancel_on_drop: DropGuard,
}

impl JobHandle {
    /// A handle that cancels `token` when it is dropped.
    pub fn new(token: CancellationToken) -> Self {
        Self {
            _cancel_on_drop: token.drop_guard(),
        }
    }

    /// Runs `work` as a task of the current tokio runtime; dropping the handle drops the future
    /// at its next suspension point, and with it any connection or child process it owns.
    pub fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Self {
        let token = CancellationToken::new();
        let cancelled = token.clone();
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = cancelled.cancelled_owned() => {}
                () = work => {}
            }
        });
        Self::new(token)
    }
}
