//! People on a call: what their legs send and receive, and what may be refused.
//!
//! How the modes, the handoff and the bridge behave is in `docs/people.md`.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};
use sidetone_codecs::SampleRate;
use thiserror::Error;

use crate::event::EndReason;

/// Identifies a person's leg within its call. Never reused.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct PersonId(pub u32);

impl fmt::Display for PersonId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "person {}", self.0)
    }
}

/// What a person on a call does. Whoever is on a call hears it: the caller, the agent as the caller
/// hears it, and everyone else who speaks to the caller; never themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Listens; what they say goes nowhere.
    Monitor,
    /// Coaches the agent: what they say is guidance that nobody but the agent gets.
    Whisper,
    /// Joins in: the caller and the agent hear them, and the agent goes on working.
    Barge,
    /// Speaks with the caller in place of the agent, which is silent.
    Takeover,
}

impl Mode {
    /// Whether the caller hears a person in this mode.
    #[must_use]
    pub fn is_heard_by_caller(self) -> bool {
        matches!(self, Self::Barge | Self::Takeover)
    }

    /// Whether what a person in this mode says is transcribed.
    #[must_use]
    pub fn is_transcribed(self) -> bool {
        self != Self::Monitor
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Monitor => "monitor",
            Self::Whisper => "whisper",
            Self::Barge => "barge",
            Self::Takeover => "takeover",
        })
    }
}

/// Somebody comes on a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// What they are called in transcripts and in what the agent is told. Not empty, at most
    /// [`Join::MAX_NAME`] bytes.
    pub name: String,
    /// What they do first.
    pub mode: Mode,
    /// Who goes before whom: a takeover is taken over by a higher rank only.
    pub rank: u8,
    /// The rate of the audio in both directions: from 8 to 48 kHz, and whole samples in 20 ms.
    pub rate: SampleRate,
}

impl Join {
    /// The longest name, in bytes.
    pub const MAX_NAME: usize = 100;
}

/// What a person's leg does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "person_input", content = "value", rename_all = "snake_case")]
#[non_exhaustive]
pub enum PersonInput<'a> {
    /// It comes on the call. Answered by [`PersonOutput::Joined`] or [`PersonOutput::Refused`] in
    /// the same step; refused, it never was on the call.
    Join(Join),
    /// It sends audio: mono 16-bit PCM at its rate, of any length; 20 ms are best. A leg whose
    /// person is silent goes on sending.
    #[serde(with = "crate::as_base64::cow_pcm")]
    Audio(Cow<'a, [i16]>),
    /// The person wants to do something else. Answered by [`PersonOutput::Mode`] or
    /// [`PersonOutput::Refused`] in the same step; refused, they do what they did.
    Mode(Mode),
    /// It left or was lost.
    Left,
}

/// What is sent to a person's leg.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "person_output", rename_all = "snake_case")]
#[non_exhaustive]
pub enum PersonOutput {
    /// They are on the call.
    Joined {
        /// What they do.
        mode: Mode,
    },
    /// What they hear: the next 20 ms, mono 16-bit PCM at the leg's rate.
    Audio {
        /// The samples.
        #[serde(with = "crate::as_base64::pcm")]
        pcm: Vec<i16>,
    },
    /// What they do from now on: as they asked, or because somebody of a higher rank took over.
    Mode {
        /// What.
        mode: Mode,
    },
    /// What they asked for is not to be.
    Refused {
        /// Why.
        reason: Refusal,
    },
    /// They are off the call. The last output.
    Closed {
        /// Why.
        reason: LeaveReason,
    },
}

/// Why a person may not join, or not do what they want.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Refusal {
    /// Somebody whose rank is not lower has taken the call over.
    #[error("{by} has taken the call over, and their rank is not lower")]
    TakenOver {
        /// Who.
        by: PersonId,
    },
    /// There are as many people on the call as `handoff.max_people` allows.
    #[error("there are {max} people on the call, and no more may join")]
    TooMany {
        /// How many may be.
        max: u32,
    },
    /// The stream has not started: there is nobody to hear.
    #[error("the call has not started")]
    NotStarted,
    /// The call is saying goodbye.
    #[error("the call is ending")]
    Ending,
    /// Audio of this rate cannot be used.
    #[error("{rate}: a person's leg has 8 to 48 kHz, and whole samples in 20 ms")]
    Rate {
        /// The rate asked for.
        rate: SampleRate,
    },
    /// The name is empty or too long.
    #[error("a name has 1 to {} bytes", Join::MAX_NAME)]
    Name,
    /// A leg of this id was on the call already.
    #[error("a leg of this id was on the call already")]
    Id,
}

/// Why a person is off a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[non_exhaustive]
pub enum LeaveReason {
    /// They left, or their leg was lost.
    Left,
    /// They had taken the call over, and their leg sent no audio any more.
    Stalled,
    /// Whoever controls the call took them off it.
    Removed,
    /// The call is over.
    CallEnded {
        /// Why.
        end: EndReason,
    },
}

/// Somebody who is on a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Their leg.
    pub id: PersonId,
    /// What they are called.
    pub name: String,
    /// What they do.
    pub mode: Mode,
    /// Who goes before whom.
    pub rank: u8,
}

/// How a leg's audio fared in the bridge, from its arrival in the engine until it was mixed for the
/// others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgeQuality {
    /// Stretches of 20 ms that the delays are of.
    pub frames: u64,
    /// The mean delay, in µs.
    pub mean_delay_us: u64,
    /// 99 in 100 waited no longer than this, in ms, rounded up to the next even number.
    pub p99_delay_ms: u64,
    /// The longest delay, in µs.
    pub max_delay_us: u64,
    /// Audio that was not there in time and was bridged by fading out, in ms.
    pub concealed_ms: u64,
    /// Audio that was cut out to keep the delay low, in ms.
    pub cut_ms: u64,
}
