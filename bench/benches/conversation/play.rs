//! Holds many conversations, on all cores, with the same result each time.

use std::{
    error::Error,
    num::NonZeroUsize,
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use sidetone_bench::scenario::{Clips, Ears, Played, Scenario};
use sidetone_core::config::TurnModel;

use crate::models::{Detector, Models};

/// What conversations are held with.
pub(crate) struct Stage {
    /// `fixtures` of the repository.
    pub(crate) fixtures: PathBuf,
    pub(crate) models: Models,
}

impl Stage {
    /// Holds `scenarios`, heard by `detector`; the results are in the same order.
    pub(crate) fn play(
        &self,
        detector: Detector,
        scenarios: &[Scenario],
    ) -> Result<Vec<Played>, Box<dyn Error>> {
        let next = AtomicUsize::new(0);
        let played = Mutex::new(Vec::with_capacity(scenarios.len()));
        let failed = Mutex::new(None);
        let work = || {
            let mut clips = match Clips::new(&self.fixtures) {
                Ok(clips) => clips,
                Err(error) => {
                    *lock(&failed) = Some(error);
                    return;
                }
            };
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                let Some(scenario) = scenarios.get(n) else {
                    return;
                };
                let ears = Ears {
                    vad: self.models.detector(detector),
                    suppressor: Models::suppressor(detector),
                    turn_model: (scenario.config.endpointing.model != TurnModel::None)
                        .then(|| self.models.turn_model()),
                };
                match scenario.play_with(&mut clips, ears) {
                    Ok(result) => lock(&played).push((n, result)),
                    Err(error) => {
                        *lock(&failed) = Some(error);
                        return;
                    }
                }
            }
        };
        let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(work);
            }
        });
        if let Some(error) = lock(&failed).take() {
            return Err(error.into());
        }
        let mut played = std::mem::take(&mut *lock(&played));
        played.sort_by_key(|(n, _)| *n);
        Ok(played.into_iter().map(|(_, played)| played).collect())
    }
}

/// A thread that panics takes the whole bench with it: there is no half-done work to see.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
