//! A picture of a call: who spoke when, what was said, where it was interrupted, how long each
//! answer took.

mod rows;
mod svg;

pub use svg::draw;

use std::time::Duration;

use sidetone_core::time::CallTime;

use crate::phone::{CallReport, CallerTurn};

/// What there is to draw. Audio is mono 16-bit PCM at 8 kHz from [`CallTime::ZERO`] on.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// The headline.
    pub title: String,
    /// Figures, under the headline.
    pub subtitle: String,
    /// What the caller said.
    pub caller: Vec<i16>,
    /// What the caller heard.
    pub agent: Vec<i16>,
    /// The words, in order of time.
    pub captions: Vec<Caption>,
    /// The waits for an answer.
    pub answers: Vec<Answer>,
    /// The interruptions.
    pub barge_ins: Vec<BargeIn>,
}

/// Whose lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// The caller's.
    Caller,
    /// The agent's.
    Agent,
}

/// Words at the time they were said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caption {
    /// Who said them.
    pub lane: Lane,
    /// When they began.
    pub from: CallTime,
    /// What was said.
    pub said: String,
    /// What else there is to say about it.
    pub note: Note,
}

/// Something under the words of a [`Caption`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Note {
    /// Nothing.
    #[default]
    None,
    /// What was to be said after that and was cut off.
    CutOff(String),
    /// What the other side made of it.
    HeardAs(String),
}

/// The wait for an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// When the caller had finished.
    pub from: CallTime,
    /// When the agent was heard.
    pub until: CallTime,
    /// Where the time went, as the engine knows it.
    pub parts: Option<Parts>,
}

/// Where the time before an answer went, in the engine's own account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// When the engine heard the caller's last word.
    pub from: CallTime,
    /// What took how long from then on, in order.
    pub took: Vec<(Part, Duration)>,
}

/// Where the time before an answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Deciding that the caller has finished.
    Endpointing,
    /// Recognising the words.
    Stt,
    /// Finding the answer's first sentence.
    Llm,
    /// Speaking its first sound.
    Tts,
}

/// An interruption of the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BargeIn {
    /// When the caller began.
    pub from: CallTime,
    /// When the engine had the agent's audio thrown away.
    pub cleared: CallTime,
}

impl Timeline {
    /// What a phone measured; `report` must have kept its audio to show any.
    #[must_use]
    pub fn of(title: impl Into<String>, report: &CallReport) -> Self {
        let audio = report.audio.clone().unwrap_or_default();
        let captions = report.turns.iter().map(|turn| Caption {
            lane: Lane::Caller,
            from: turn.speech_began,
            said: turn.text.clone(),
            note: Note::None,
        });
        let answer = |turn: &CallerTurn| {
            Some(Answer {
                from: turn.speech_ended,
                until: turn.answered_at?.max(turn.speech_ended),
                parts: None,
            })
        };
        let barge_in = |turn: &CallerTurn| {
            Some(BargeIn {
                from: turn.speech_began,
                cleared: turn.cleared_at?,
            })
        };
        Self {
            title: title.into(),
            subtitle: subtitle(report),
            caller: audio.caller,
            agent: audio.agent,
            captions: captions.collect(),
            answers: report.turns.iter().filter_map(answer).collect(),
            barge_ins: report.turns.iter().filter_map(barge_in).collect(),
        }
    }
}

fn subtitle(report: &CallReport) -> String {
    let mut parts = vec![
        format!("{:.1} s", report.duration.as_secs_f64()),
        counted(report.turns.len() as u64, "turn"),
    ];
    let mut responses: Vec<_> = report
        .turns
        .iter()
        .filter_map(CallerTurn::response)
        .collect();
    responses.sort_unstable();
    if let Some(median) = responses.get(responses.len() / 2) {
        parts.push(format!(
            "median response {} ms at the ear",
            median.as_millis()
        ));
    }
    for barge_in in report.turns.iter().filter_map(CallerTurn::barge_in) {
        parts.push(format!("barge-in {} ms", barge_in.as_millis()));
    }
    parts.push(counted(report.underruns, "underrun"));
    parts.join("  ·  ")
}

fn counted(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
