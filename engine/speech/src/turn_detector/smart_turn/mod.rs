//! Smart Turn v3: judges from the sound of the last 8 s whether a turn is complete.

mod features;
mod judge;

use std::{
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
    thread,
};

use futures_util::future::BoxFuture;
use sidetone_core::job::{JobFailure, TurnEvent, TurnJob};
use sidetone_models::ModelSource;

use self::judge::Judge;
use super::TurnDetector;
use crate::{
    job::{JobHandle, Sink},
    onnx::{self, Model, OnnxError, Shape},
    pool::{Pool, Urgency},
};

const SHAPE: Shape = Shape {
    name: "Smart Turn v3",
    inputs: &["input_features"],
    outputs: &["logits"],
};

/// The name of the model among those that can be fetched.
const FETCHED: &str = "smart-turn-v3.2";

/// How [`SmartTurn`] is set up.
#[derive(Clone, Debug, PartialEq)]
pub struct SmartTurnConfig {
    /// The model.
    pub model: ModelSource,
    /// How many turns are judged at the same time, each by one thread with a session of its own
    /// (some 20 MiB). 1 to 64. Default: one per core, at most 2.
    pub threads: usize,
    /// How many turns may wait for a thread; beyond it jobs fail as overloaded. 1 to 4096.
    /// Default: 8, because a judgement takes tens of milliseconds and a late one is of no use.
    pub queue: usize,
}

impl SmartTurnConfig {
    /// The defaults, with `model`.
    #[must_use]
    pub fn new(model: ModelSource) -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            model,
            threads: cores.min(2),
            queue: 8,
        }
    }

    /// The defaults, with the model that `sidetone models fetch smart-turn-v3.2` brings.
    ///
    /// # Errors
    ///
    /// It was not fetched, or not all of it.
    pub fn fetched() -> Result<Self, OnnxError> {
        onnx::fetched(FETCHED).map(Self::new)
    }

    fn validate(&self) -> Result<(), OnnxError> {
        let checks = [
            ("threads", self.threads, 1..=64, "must be 1 to 64"),
            ("queue", self.queue, 1..=4_096, "must be 1 to 4096"),
        ];
        match checks
            .into_iter()
            .find(|(_, value, allowed, _)| !allowed.contains(value))
        {
            None => Ok(()),
            Some((key, value, _, expected)) => Err(OnnxError::Config {
                key,
                value,
                expected,
            }),
        }
    }
}

/// Turn detection with Smart Turn v3, a model of 8 M parameters that knows 23 languages.
///
/// Judgements run on threads of their own, off the calls'. Dropping it answers the jobs that wait
/// with a failure and joins the threads, which takes up to one judgement.
#[derive(Debug)]
pub struct SmartTurn {
    pool: Pool<TurnJob, TurnEvent>,
}

impl SmartTurn {
    /// Loads the model and starts the workers, which warm up by themselves;
    /// [`warm_up`](TurnDetector::warm_up) waits for that. Blocks while it reads the file.
    ///
    /// # Errors
    ///
    /// [`OnnxError`] says what is missing or wrong about a setting, ONNX Runtime or the model.
    pub fn load(config: SmartTurnConfig) -> Result<Self, OnnxError> {
        config.validate()?;
        let model = Model::new(config.model, SHAPE);
        // A worker builds its own; the first finds this one, which has shown that it can be done.
        let first = Mutex::new(Some(Judge::new(&model)?));
        let build = move || {
            let first = first.lock().unwrap_or_else(PoisonError::into_inner).take();
            first.map_or_else(|| Judge::new(&model).map_err(|error| error.to_string()), Ok)
        };
        let pool = Pool::start("smart-turn", config.threads, config.queue, build)
            .map_err(OnnxError::Thread)?;
        tracing::info!(threads = config.threads, "Smart Turn loaded");
        Ok(Self { pool })
    }
}

impl TurnDetector for SmartTurn {
    fn start(&self, job: TurnJob, sink: Sink<TurnEvent>) -> JobHandle {
        self.pool.submit(job, Urgency::Urgent, sink)
    }

    fn warm_up(&self) -> BoxFuture<'_, Result<(), JobFailure>> {
        Box::pin(self.pool.ready())
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_setting_out_of_range_is_named() {
        type Change = fn(&mut SmartTurnConfig);
        let wrong: [(&str, Change); 4] = [
            ("threads = 0", |c| c.threads = 0),
            ("threads = 65", |c| c.threads = 65),
            ("queue = 0", |c| c.queue = 0),
            ("queue = 5000", |c| c.queue = 5_000),
        ];
        for (expected, change) in wrong {
            let mut config = SmartTurnConfig::new(ModelSource::File(PathBuf::new()));
            config.validate().unwrap();
            change(&mut config);
            let error = config.validate().unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
