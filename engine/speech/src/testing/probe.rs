//! What a fake saw.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// The jobs a fake was given, and how they ended. Cheap to clone; take one before the fake goes
/// into an `Arc<dyn …>`.
#[derive(Debug)]
pub struct Probe<J> {
    jobs: Arc<Mutex<Vec<J>>>,
    counts: watch::Sender<Counts>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    running: usize,
    finished: usize,
    cancelled: usize,
}

impl<J> Clone for Probe<J> {
    fn clone(&self) -> Self {
        Self {
            jobs: Arc::clone(&self.jobs),
            counts: self.counts.clone(),
        }
    }
}

impl<J> Default for Probe<J> {
    fn default() -> Self {
        Self {
            jobs: Arc::default(),
            counts: watch::Sender::default(),
        }
    }
}

impl<J: Clone> Probe<J> {
    /// Every job started so far, oldest first.
    #[must_use]
    pub fn jobs(&self) -> Vec<J> {
        self.lock().clone()
    }

    /// How many jobs run now.
    #[must_use]
    pub fn running(&self) -> usize {
        self.counts.borrow().running
    }

    /// How many jobs reported their end.
    #[must_use]
    pub fn finished(&self) -> usize {
        self.counts.borrow().finished
    }

    /// How many jobs were stopped before they could.
    #[must_use]
    pub fn cancelled(&self) -> usize {
        self.counts.borrow().cancelled
    }

    /// Waits until `count` jobs have been started.
    pub async fn started(&self, count: usize) {
        self.wait(|counts| counts.running + counts.finished + counts.cancelled >= count)
            .await;
    }

    /// Waits until no job runs.
    pub async fn idle(&self) {
        self.wait(|counts| counts.running == 0).await;
    }

    async fn wait(&self, mut until: impl FnMut(&Counts) -> bool) {
        // `self` holds a sender, so the channel cannot close while we wait.
        let _ = self
            .counts
            .subscribe()
            .wait_for(|counts| until(counts))
            .await;
    }

    /// Notes a new job and its place in the order of all jobs, from 0.
    pub(super) fn start(&self, job: J) -> (usize, Running<J>) {
        let index = {
            let mut jobs = self.lock();
            jobs.push(job);
            jobs.len() - 1
        };
        self.counts.send_modify(|counts| counts.running += 1);
        let running = Running {
            probe: self.clone(),
            finished: false,
        };
        (index, running)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<J>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job that runs; dropped before [`Running::finish`], it counts as cancelled.
#[derive(Debug)]
pub(super) struct Running<J> {
    probe: Probe<J>,
    finished: bool,
}

impl<J> Running<J> {
    pub(super) fn finish(mut self) {
        self.finished = true;
    }
}

impl<J> Drop for Running<J> {
    fn drop(&mut self) {
        self.probe.counts.send_modify(|counts| {
            counts.running -= 1;
            if self.finished {
                counts.finished += 1;
            } else {
                counts.cancelled += 1;
            }
        });
    }
}
