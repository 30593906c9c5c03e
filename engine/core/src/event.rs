//! What a call tells whoever watches it.
//!
//! Events are for the program around the engine, not for its log: some carry what was said.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    handoff::HandoffState,
    job::{FailureKind, Service},
    person::{BridgeQuality, LeaveReason, Mode, PersonId, Refusal},
};

/// Numbers a call's turns, of both speakers together, from 1.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct TurnId(pub u32);

/// Something that happened in a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event")]
#[non_exhaustive]
pub enum CallEvent {
    /// The stream started.
    #[serde(rename = "call.started")]
    CallStarted {
        /// The provider's id of the stream.
        stream_id: String,
        /// The provider's id of the call, where it says.
        provider_call_id: Option<String>,
    },
    /// The caller began to speak.
    #[serde(rename = "turn.started")]
    TurnStarted {
        /// The caller's turn.
        turn: TurnId,
    },
    /// The caller finished speaking; the final transcript is on its way.
    #[serde(rename = "turn.ended")]
    TurnEnded {
        /// The caller's turn.
        turn: TurnId,
        /// How long the caller spoke, in ms.
        speech_ms: u64,
    },
    /// What the caller has said so far.
    #[serde(rename = "transcript.partial")]
    TranscriptPartial {
        /// The caller's turn.
        turn: TurnId,
        /// The words that two transcripts in a row agree on. Within a turn this only grows.
        text: String,
        /// The words after those, as the newest transcript has them; they may still change.
        unstable: String,
    },
    /// What the caller said. Empty: there were no words in what sounded like speech.
    #[serde(rename = "transcript.final")]
    TranscriptFinal {
        /// The caller's turn.
        turn: TurnId,
        /// The words.
        text: String,
    },
    /// The first audio of an agent's turn went to the leg.
    #[serde(rename = "agent.speaking")]
    AgentSpeaking {
        /// The agent's turn.
        turn: TurnId,
    },
    /// The agent handed a sentence to speech synthesis.
    #[serde(rename = "agent.sentence")]
    AgentSentence {
        /// The agent's turn.
        turn: TurnId,
        /// The sentence.
        text: String,
    },
    /// The agent's turn is over: the caller heard it to its end, or the program or the end of the
    /// call cut it off.
    #[serde(rename = "agent.finished")]
    AgentFinished {
        /// The agent's turn.
        turn: TurnId,
        /// What the caller heard of it.
        heard: String,
    },
    /// The caller interrupted the agent.
    #[serde(rename = "agent.interrupted")]
    AgentInterrupted {
        /// The agent's turn.
        turn: TurnId,
        /// What the caller had heard of it, cut at the word where playout stopped.
        heard: String,
        /// From the caller's first sound to the decision, in ms.
        onset_to_clear_ms: u64,
    },
    /// The caller went on with a turn that had seemed to be over, and the agent had only just begun
    /// to answer: what it said is no part of the conversation, and the caller's words are one message.
    #[serde(rename = "agent.retracted")]
    AgentRetracted {
        /// The agent's turn.
        turn: TurnId,
    },
    /// The first audio of what an interruption without words had cut off went to the leg.
    #[serde(rename = "agent.resumed")]
    AgentResumed {
        /// The agent's turn.
        turn: TurnId,
    },
    /// What stopped the agent was no interruption: the agent goes on with what it was saying.
    #[serde(rename = "barge_in.rejected")]
    BargeInRejected {
        /// The agent's turn.
        turn: TurnId,
        /// Why.
        reason: RejectReason,
    },
    /// The caller pressed a key.
    #[serde(rename = "dtmf")]
    Dtmf {
        /// `0` to `9`, `*`, `#`, `A` to `D`.
        digit: char,
    },
    /// Where the time of a turn went, from the end of the caller's speech to the agent's first
    /// audio.
    #[serde(rename = "turn.metrics")]
    TurnMetrics(TurnMetrics),
    /// A person came on the call.
    #[serde(rename = "person.joined")]
    PersonJoined {
        /// Their leg.
        person: PersonId,
        /// What they are called.
        name: String,
        /// What they do.
        mode: Mode,
        /// Who goes before whom.
        rank: u8,
    },
    /// A person does something else.
    #[serde(rename = "person.mode")]
    PersonMode {
        /// Their leg.
        person: PersonId,
        /// What they do from now on.
        mode: Mode,
    },
    /// A person was not allowed to join, or to do what they wanted.
    #[serde(rename = "person.refused")]
    PersonRefused {
        /// Their leg.
        person: PersonId,
        /// Why.
        #[serde(flatten)]
        refusal: Refusal,
    },
    /// A person who is heard by the caller began to speak.
    #[serde(rename = "person.speaking")]
    PersonSpeaking {
        /// Their leg.
        person: PersonId,
        /// Their turn.
        turn: TurnId,
    },
    /// A person who is heard by the caller said this.
    #[serde(rename = "person.said")]
    PersonSaid {
        /// Their leg.
        person: PersonId,
        /// What they are called.
        name: String,
        /// Their turn.
        turn: TurnId,
        /// The words.
        text: String,
    },
    /// A person left, was lost or was taken off the call.
    #[serde(rename = "person.left")]
    PersonLeft {
        /// Their leg.
        person: PersonId,
        /// Why.
        #[serde(flatten)]
        reason: LeaveReason,
        /// How their audio fared.
        quality: BridgeQuality,
    },
    /// The agent was given guidance that the caller does not hear.
    #[serde(rename = "agent.guided")]
    AgentGuided {
        /// Who gave it, as the agent is told.
        from: String,
        /// Their leg, if they spoke it.
        person: Option<PersonId>,
        /// The guidance.
        text: String,
    },
    /// The agent was paused.
    #[serde(rename = "agent.paused")]
    AgentPaused,
    /// The agent takes part again.
    #[serde(rename = "agent.unpaused")]
    AgentUnpaused {
        /// Why.
        reason: UnpauseReason,
    },
    /// The call is on its way between the agent and people, or arrived.
    #[serde(rename = "handoff")]
    Handoff {
        /// How far.
        #[serde(flatten)]
        state: HandoffState,
        /// Why the call is the agent's again, if it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        back: Option<BackReason>,
    },
    /// The tones of keys are played to the caller's leg.
    #[serde(rename = "digits.sent")]
    DigitsSent {
        /// Which.
        digits: String,
    },
    /// The call is recorded from now on, or not any more.
    #[serde(rename = "recording")]
    Recording {
        /// Whether it is.
        on: bool,
    },
    /// Something failed; the call goes on unless `call.ended` follows.
    #[serde(rename = "error")]
    Error {
        /// What failed.
        #[serde(flatten)]
        error: CallError,
    },
    /// The call is over. The last event.
    #[serde(rename = "call.ended")]
    CallEnded {
        /// Why.
        reason: EndReason,
        /// What was counted on the way.
        counters: Counters,
    },
}

/// Why the agent takes part again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum UnpauseReason {
    /// It was told to.
    Commanded,
    /// It was paused for as long as `handoff.pause_limit_ms` allows, with nobody there to speak
    /// with the caller.
    TooLong,
}

/// Why a call is the agent's again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BackReason {
    /// It was handed back.
    HandedBack,
    /// The leg of who spoke with the caller left, was lost or was taken off the call.
    Left,
    /// That leg sent no audio any more.
    Stalled,
    /// Nobody came in time.
    NoAnswer,
    /// It was said that nobody comes.
    Failed,
}

/// Why a sound over the agent was no interruption.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RejectReason {
    /// It was too short to wait for its words. If there were words after all, the agent is
    /// interrupted again.
    Short,
    /// There were no words in it, or fewer than an interruption needs.
    NoWords,
    /// Its words only said that the caller is listening.
    Backchannel,
    /// It was the agent's own voice.
    Echo,
}

/// The latency of one answer, in ms. The parts add up to `total_ms`: each is the time that its
/// step took beyond the step before it. What was done ahead, while the caller's silence was not yet
/// long enough, took no time of its own: those parts are 0, or as long as was still waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnMetrics {
    /// The caller's turn.
    pub turn: TurnId,
    /// From the end of speech until the silence was long enough to end the turn.
    pub endpointing_ms: u64,
    /// From then to the final transcript.
    pub stt_ms: u64,
    /// From the transcript to the language model's first token.
    pub llm_first_token_ms: u64,
    /// From the first token to the first complete sentence.
    pub llm_first_sentence_ms: u64,
    /// From that sentence to the first byte of its audio.
    pub tts_first_byte_ms: u64,
    /// From the end of speech to the first audio handed to the leg.
    pub total_ms: u64,
}

/// What can fail in a call without ending it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum CallError {
    /// A speech service or the language model failed.
    Service {
        /// Which one.
        service: Service,
        /// How.
        failure: FailureKind,
        /// One line for the operator.
        detail: String,
    },
    /// The agent will not say something it was told to: too much waits to be said.
    SayRefused {
        /// How much waits: [`Command::MAX_UNSAID`](crate::io::Command::MAX_UNSAID).
        waiting: u32,
        /// What to do, for the operator.
        detail: String,
    },
    /// The leg sent something the engine cannot use. Reported for the first of each kind;
    /// all are counted.
    Leg {
        /// What was wrong.
        fault: LegFault,
        /// One line for the operator.
        detail: String,
    },
}

/// What a leg can do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LegFault {
    /// A message that cannot be understood.
    Malformed,
    /// A message for another stream.
    ForeignStream,
    /// Audio, a key or a mark before the stream started.
    BeforeStart,
    /// A second start.
    SecondStart,
    /// A frame that came after its successor was used.
    Late,
    /// A frame that came twice.
    Duplicate,
    /// Frames that never came.
    Gap,
    /// An event the dialect does not know.
    Unknown,
    /// A mark that was never sent.
    ForeignMark,
    /// A mark that did not come back: what the caller heard is told by the clock alone.
    LostMark,
}

/// What a call counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Inbound audio frames used.
    pub frames_in: u64,
    /// Audio messages sent.
    pub media_out: u64,
    /// Caller's turns with words.
    pub turns: u64,
    /// Interruptions of the agent.
    pub interruptions: u64,
    /// Those of them that were none.
    pub rejected_interruptions: u64,
    /// Frames of the detector in which it took the agent's echo for speech.
    pub echo_frames: u64,
    /// Failures of services.
    pub service_failures: u64,
    /// People who came on the call.
    #[serde(default)]
    pub people: u64,
    /// How often the call was taken over.
    #[serde(default)]
    pub takeovers: u64,
    /// Faults of the leg, by kind; a gap counts its missing frames.
    pub leg_faults: std::collections::BTreeMap<LegFault, u64>,
}

/// Why a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EndReason {
    /// The caller hung up, or the provider ended the stream.
    CallerHungUp,
    /// The socket closed or broke without a goodbye.
    LegLost,
    /// The agent said goodbye.
    AgentHungUp,
    /// The caller said nothing for too long.
    CallerSilent,
    /// The program around the engine ended it.
    Commanded,
    /// A service failed three times in a row.
    ServicesFailed,
    /// The stream did not start in time.
    NoStart,
    /// Nothing came from the leg for too long.
    LegSilent,
    /// The leg does not read what it is sent.
    LegStalled,
    /// The leg sent more than it may, or too much that cannot be understood.
    LegAbusive,
    /// The leg may not start this stream.
    Refused,
    /// The engine, or a part plugged into it, crashed. Other calls are not affected.
    InternalError,
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CallerHungUp => "caller_hung_up",
            Self::LegLost => "leg_lost",
            Self::AgentHungUp => "agent_hung_up",
            Self::CallerSilent => "caller_silent",
            Self::Commanded => "commanded",
            Self::ServicesFailed => "services_failed",
            Self::NoStart => "no_start",
            Self::LegSilent => "leg_silent",
            Self::LegStalled => "leg_stalled",
            Self::LegAbusive => "leg_abusive",
            Self::Refused => "refused",
            Self::InternalError => "internal_error",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_reads_the_same_in_a_log_as_in_an_event() {
        for reason in [
            EndReason::CallerHungUp,
            EndReason::LegLost,
            EndReason::CallerSilent,
            EndReason::InternalError,
        ] {
            let written = serde_json::to_value(reason).unwrap();
            assert_eq!(written, reason.to_string());
        }
    }
}
