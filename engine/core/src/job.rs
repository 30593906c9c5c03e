//! What a call asks the outside world to do, and what comes back.
//!
//! The call never runs a model or a request. It emits a [`Job`] with an id; whoever drives the
//! call runs it and feeds each [`JobUpdate`] back. An update whose id is no longer current is
//! dropped, so cancelling a job saves cost and never decides correctness.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use sidetone_codecs::SampleRate;

use crate::conversation::Message;

/// Identifies a job within its call. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub u64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "job {}", self.0)
    }
}

/// Work for a speech service or a language model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "job", rename_all = "snake_case")]
pub enum Job {
    /// Recognise speech.
    Stt(SttJob),
    /// Continue the conversation.
    Llm(LlmJob),
    /// Speak a sentence.
    Tts(TtsJob),
    /// Judge whether the caller's turn is complete.
    Turn(TurnJob),
}

impl Job {
    /// The id under which its updates come back.
    #[must_use]
    pub fn id(&self) -> JobId {
        match self {
            Self::Stt(job) => job.id,
            Self::Llm(job) => job.id,
            Self::Tts(job) => job.id,
            Self::Turn(job) => job.id,
        }
    }

    /// Whether it is done ahead, for a turn of the caller that may not have ended: its result may
    /// never be needed. Whoever drives calls may refuse it under load by failing it as
    /// [`Overloaded`](FailureKind::Overloaded); the call then waits for the end of the turn and
    /// asks again. The turn detector's jobs are not meant.
    #[must_use]
    pub fn is_eager(&self) -> bool {
        match self {
            Self::Stt(job) => job.purpose == SttPurpose::Eager,
            Self::Llm(job) => job.eager,
            Self::Tts(job) => job.eager,
            Self::Turn(_) => false,
        }
    }
}

/// Why a transcript is wanted. A final goes before an eager one, and that before a partial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SttPurpose {
    /// The turn is still going on; the text is shown and may change.
    Partial,
    /// The turn may have ended: if it has, this is its final transcript.
    Eager,
    /// The turn has ended; the reply waits for this text.
    Final,
}

/// Recognise one stretch of speech.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SttJob {
    /// The id of its updates.
    pub id: JobId,
    /// Partial, eager or final.
    pub purpose: SttPurpose,
    /// Mono 16-bit PCM at `rate`, pre-roll included.
    #[serde(with = "crate::as_base64::pcm")]
    pub audio: Arc<[i16]>,
    /// The rate of `audio`.
    pub rate: SampleRate,
    /// The caller's language as an ISO 639-1 code; `None`: detect it.
    pub language: Option<String>,
}

/// Continue the conversation as the agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LlmJob {
    /// The id of its updates.
    pub id: JobId,
    /// The whole conversation so far, oldest first. The agent's messages hold only what the
    /// caller heard.
    pub messages: Arc<[Message]>,
    /// The language to answer in, as an ISO 639-1 code.
    pub language: String,
    /// The caller may not have finished: see [`Job::is_eager`].
    #[serde(default)]
    pub eager: bool,
}

/// Speak one sentence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TtsJob {
    /// The id of its updates.
    pub id: JobId,
    /// What to say: plain text, not empty.
    pub text: String,
    /// The language of `text`, as an ISO 639-1 code.
    pub language: String,
    /// The caller may not have finished: see [`Job::is_eager`].
    #[serde(default)]
    pub eager: bool,
}

/// Judge whether what the caller has said so far is a complete turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TurnJob {
    /// The id of its updates.
    pub id: JobId,
    /// The turn so far, the newest 8 s of it at most: mono 16-bit PCM at `rate`, pre-roll and the
    /// silence at the end included.
    #[serde(with = "crate::as_base64::pcm")]
    pub audio: Arc<[i16]>,
    /// The rate of `audio`.
    pub rate: SampleRate,
}

/// News of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobUpdate {
    /// Which job.
    pub id: JobId,
    /// What happened.
    pub event: JobEvent,
}

/// What happened to a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum JobEvent {
    /// From speech recognition.
    Stt(SttEvent),
    /// From the language model.
    Llm(LlmEvent),
    /// From speech synthesis.
    Tts(TtsEvent),
    /// From the turn detector.
    Turn(TurnEvent),
}

/// From speech recognition. Exactly one ends the job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum SttEvent {
    /// The text. Ends the job.
    Transcript(Transcript),
    /// It could not be recognised. Ends the job.
    Failed(JobFailure),
}

/// Recognised speech.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Transcript {
    /// The words; empty when the audio held none.
    pub text: String,
    /// The language heard, as an ISO 639-1 code, where the recogniser tells.
    pub language: Option<String>,
    /// The recogniser's probability, 0.0 to 1.0, that nobody spoke, where it tells.
    pub no_speech_probability: Option<f32>,
}

/// From the language model: any number of `Delta`, `Expects` and `Uninterruptible`, then one that
/// ends the job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum LlmEvent {
    /// The next piece of text.
    Delta {
        /// Appended to what came before.
        text: String,
    },
    /// What kind of answer the agent asks the caller for; the last one of an answer counts. It
    /// decides how long the caller is waited for in pauses of the next turn.
    Expects {
        /// The kind.
        expect: Expect,
    },
    /// The caller is to hear the answer to its end, such as a legal notice: from here on nothing
    /// interrupts it. What the caller says meanwhile is answered afterwards. Before the first
    /// `Delta` it holds for all of the answer.
    Uninterruptible,
    /// The answer is complete. Ends the job.
    Done {
        /// The agent wants the call to end once the caller has heard this answer.
        hang_up: bool,
    },
    /// No (further) answer. Ends the job.
    Failed(JobFailure),
}

/// What kind of answer a question asks for. Without one the caller may say anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Expect {
    /// Yes or no.
    YesNo,
    /// A number said digit by digit or in groups, with long pauses inside.
    Digits {
        /// How many digits it has at least.
        min: u8,
        /// How many digits it has at most, not below `min`.
        max: u8,
    },
    /// A date, with pauses between its parts.
    Date,
    /// Something spelt letter by letter, with long pauses inside.
    Spelling,
}

/// From speech synthesis: any number of `Audio`, then one that ends the job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum TtsEvent {
    /// The next stretch of audio.
    Audio {
        /// Mono 16-bit PCM at `rate`.
        #[serde(with = "crate::as_base64::pcm")]
        samples: Vec<i16>,
        /// The rate of `samples`; constant within a job.
        rate: SampleRate,
    },
    /// The sentence is complete. Ends the job.
    Done,
    /// No (further) audio. Ends the job.
    Failed(JobFailure),
}

/// From the turn detector. Exactly one ends the job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum TurnEvent {
    /// The judgement. Ends the job.
    Complete {
        /// The probability, 0.0 to 1.0, that the caller has finished.
        probability: f32,
    },
    /// It could not be judged. Ends the job.
    Failed(JobFailure),
}

/// Which service a failure is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// Speech recognition.
    Stt,
    /// The language model.
    Llm,
    /// Speech synthesis.
    Tts,
    /// The turn detector.
    Turn,
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stt => "stt",
            Self::Llm => "llm",
            Self::Tts => "tts",
            Self::Turn => "turn",
        })
    }
}

/// Why a job failed, without anything a caller said or a secret in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobFailure {
    /// What kind of failure.
    pub kind: FailureKind,
    /// One line for the operator: what was asked of whom, and what went wrong.
    pub detail: String,
}

impl JobFailure {
    /// A failure with its line for the operator.
    #[must_use]
    pub fn new(kind: FailureKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
        }
    }
}

/// The kinds of failure an operator handles differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureKind {
    /// It could not be reached, or broke off.
    Unavailable,
    /// It did not answer, or went on answering, in time.
    TimedOut,
    /// It refused the request: a wrong key, model or parameter.
    Refused,
    /// It has more work than it takes: a full queue, a rate limit.
    Overloaded,
    /// It answered what cannot be understood.
    Malformed,
}

impl From<SttEvent> for JobEvent {
    fn from(event: SttEvent) -> Self {
        Self::Stt(event)
    }
}

impl From<LlmEvent> for JobEvent {
    fn from(event: LlmEvent) -> Self {
        Self::Llm(event)
    }
}

impl From<TtsEvent> for JobEvent {
    fn from(event: TtsEvent) -> Self {
        Self::Tts(event)
    }
}

impl From<TurnEvent> for JobEvent {
    fn from(event: TurnEvent) -> Self {
        Self::Turn(event)
    }
}

impl From<JobFailure> for TurnEvent {
    fn from(failure: JobFailure) -> Self {
        Self::Failed(failure)
    }
}

impl From<JobFailure> for SttEvent {
    fn from(failure: JobFailure) -> Self {
        Self::Failed(failure)
    }
}

impl From<JobFailure> for LlmEvent {
    fn from(failure: JobFailure) -> Self {
        Self::Failed(failure)
    }
}

impl From<JobFailure> for TtsEvent {
    fn from(failure: JobFailure) -> Self {
        Self::Failed(failure)
    }
}
