//! What happened in a simulated call, and questions about it.

use std::collections::BTreeMap;

use sidetone_core::{
    conversation::Message,
    dialect::Outbound,
    event::{CallEvent, EndReason, TurnMetrics},
    io::{Input, Output},
    job::{JobId, LlmJob, SttJob, TtsJob},
    person::{BridgeQuality, PersonId, PersonOutput},
    time::CallTime,
};

use super::SAMPLES_PER_MS;

/// What happened.
pub(crate) struct Run {
    pub(crate) events: Vec<(u64, CallEvent)>,
    /// What left for the leg, and when.
    pub(crate) sent: Vec<(u64, Outbound)>,
    /// What the caller's ear heard, sample by sample since the call began.
    pub(crate) heard: Vec<i16>,
    pub(crate) conversation: Vec<Message>,
    pub(crate) llm_jobs: Vec<(u64, LlmJob)>,
    pub(crate) stt_jobs: Vec<(u64, SttJob)>,
    pub(crate) tts_jobs: Vec<(u64, TtsJob)>,
    pub(crate) cancelled: Vec<JobId>,
    /// The jobs that were done ahead.
    pub(crate) eager: Vec<JobId>,
    pub(crate) ended: Option<(u64, EndReason)>,
    pub(crate) underruns: u64,
    /// The most audio that was ever in the phone's buffer, in ms.
    pub(crate) most_buffered_ms: u64,
    /// What each person heard, sample by sample since they came.
    pub(crate) heard_by: BTreeMap<PersonId, Vec<i16>>,
    /// What else each person's leg was told.
    pub(crate) told: Vec<(u64, PersonId, PersonOutput)>,
    /// The recording: caller and others.
    pub(crate) recorded: Vec<(i16, i16)>,
    /// How the legs' audio fared, at the end.
    pub(crate) quality: Vec<(Option<PersonId>, BridgeQuality)>,
    /// All inputs and what followed from each.
    pub(crate) log: Vec<(CallTime, Input<'static>, Vec<Output>)>,
}

impl Run {
    /// When each event happened whose description `select` gives.
    pub(crate) fn all<T>(&self, select: impl Fn(&CallEvent) -> Option<T>) -> Vec<(u64, T)> {
        self.events
            .iter()
            .filter_map(|(at, event)| Some((*at, select(event)?)))
            .collect()
    }

    pub(crate) fn transcripts(&self) -> Vec<(u64, String)> {
        self.all(|event| match event {
            CallEvent::TranscriptFinal { text, .. } => Some(text.clone()),
            _ => None,
        })
    }

    pub(crate) fn interruptions(&self) -> Vec<(u64, String)> {
        self.all(|event| match event {
            CallEvent::AgentInterrupted { heard, .. } => Some(heard.clone()),
            _ => None,
        })
    }

    pub(crate) fn finished(&self) -> Vec<(u64, String)> {
        self.all(|event| match event {
            CallEvent::AgentFinished { heard, .. } => Some(heard.clone()),
            _ => None,
        })
    }

    pub(crate) fn metrics(&self) -> Vec<TurnMetrics> {
        let metrics = self.all(|event| match event {
            CallEvent::TurnMetrics(metrics) => Some(*metrics),
            _ => None,
        });
        metrics.into_iter().map(|(_, metrics)| metrics).collect()
    }

    pub(crate) fn errors(&self) -> usize {
        self.all(|event| matches!(event, CallEvent::Error { .. }).then_some(()))
            .len()
    }

    /// When each clear left.
    pub(crate) fn clears(&self) -> Vec<u64> {
        let clears = self
            .sent
            .iter()
            .filter(|(_, message)| *message == Outbound::Clear);
        clears.map(|(at, _)| *at).collect()
    }

    /// The conversation as `who: text` lines.
    pub(crate) fn lines(&self) -> Vec<String> {
        Self::lines_of(&self.conversation)
    }

    pub(crate) fn lines_of(conversation: &[Message]) -> Vec<String> {
        let line = |m: &Message| match &m.name {
            Some(name) => format!("{name}, {:?}: {}", m.role, m.text),
            None => format!("{:?}: {}", m.role, m.text),
        };
        conversation.iter().map(line).collect()
    }

    /// From when to when the caller heard something, in ms; silence under 60 ms is no pause.
    pub(crate) fn audible(&self) -> Vec<(u64, u64)> {
        let mut spans: Vec<(u64, u64)> = Vec::new();
        for (n, sample) in self.heard.iter().enumerate() {
            if sample.unsigned_abs() < 100 {
                continue;
            }
            let at_ms = n as u64 / SAMPLES_PER_MS;
            match spans.last_mut() {
                Some((_, end)) if at_ms <= *end + 60 => *end = at_ms,
                _ => spans.push((at_ms, at_ms)),
            }
        }
        spans
    }

    /// The longest time in `from_ms..to_ms` in which the caller heard nothing.
    pub(crate) fn longest_silence_ms(&self, from_ms: u64, to_ms: u64) -> u64 {
        let mut longest = 0;
        let mut since = from_ms;
        for (start, end) in self.audible() {
            if end < from_ms {
                continue;
            }
            longest = longest.max(start.min(to_ms).saturating_sub(since));
            since = end.max(since);
            if since >= to_ms {
                return longest;
            }
        }
        longest.max(to_ms.saturating_sub(since))
    }
}
