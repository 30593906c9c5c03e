//! Speech recognition.

use std::time::Duration;

use sidetone_core::job::{FailureKind, SttEvent, SttJob, Transcript};

use super::{Act, Plan, answer_once, scripted};
use crate::{
    job::{JobHandle, Sink},
    stt::{Stt, SttCapabilities},
    testing::Probe,
};

/// Speech recognition that hears what its script says, whatever the audio holds. Without a
/// script it hears no words.
#[derive(Clone, Debug)]
pub struct FakeStt {
    plan: Plan<Transcript>,
    capabilities: SttCapabilities,
    probe: Probe<SttJob>,
}

impl Default for FakeStt {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeStt {
    /// Hears no words in anything.
    #[must_use]
    pub fn new() -> Self {
        Self {
            plan: Plan(Vec::new()),
            capabilities: SttCapabilities {
                detects_language: false,
                partials: true,
            },
            probe: Probe::default(),
        }
    }

    /// The next job's transcript is `text`.
    #[must_use]
    pub fn hears(self, text: impl Into<String>) -> Self {
        self.transcribes(Transcript {
            text: text.into(),
            ..Transcript::default()
        })
    }

    /// The next job's transcript.
    #[must_use]
    pub fn transcribes(mut self, transcript: Transcript) -> Self {
        self.plan.push(Act::Answer(transcript));
        self
    }

    /// Says that partial transcripts are too expensive.
    #[must_use]
    pub fn without_partials(mut self) -> Self {
        self.capabilities.partials = false;
        self
    }
}

impl Stt for FakeStt {
    fn capabilities(&self) -> SttCapabilities {
        self.capabilities
    }

    fn start(&self, job: SttJob, sink: Sink<SttEvent>) -> JobHandle {
        let silence = Transcript::default();
        answer_once(
            &self.plan,
            &self.probe,
            job,
            sink,
            silence,
            SttEvent::Transcript,
        )
    }
}

scripted!(FakeStt, SttJob, "stt");
