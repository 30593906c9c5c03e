//! Turn detection.

use std::time::Duration;

use sidetone_core::job::{FailureKind, TurnEvent, TurnJob};

use super::{Act, Plan, answer_once, scripted};
use crate::{
    job::{JobHandle, Sink},
    testing::Probe,
    turn_detector::TurnDetector,
};

/// Turn detection that judges as its script says, whatever the audio holds. Without a script every
/// turn is complete.
#[derive(Clone, Debug)]
pub struct FakeTurnDetector {
    plan: Plan<f32>,
    probe: Probe<TurnJob>,
}

impl Default for FakeTurnDetector {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeTurnDetector {
    /// Takes every turn for complete.
    #[must_use]
    pub fn new() -> Self {
        Self {
            plan: Plan(Vec::new()),
            probe: Probe::default(),
        }
    }

    /// The next job's probability that the turn is complete.
    #[must_use]
    pub fn judges(mut self, probability: f32) -> Self {
        self.plan.push(Act::Answer(probability));
        self
    }
}

impl TurnDetector for FakeTurnDetector {
    fn start(&self, job: TurnJob, sink: Sink<TurnEvent>) -> JobHandle {
        let judged = |probability| TurnEvent::Complete { probability };
        answer_once(&self.plan, &self.probe, job, sink, 1.0, judged)
    }
}

scripted!(FakeTurnDetector, TurnJob, "turn detector");
