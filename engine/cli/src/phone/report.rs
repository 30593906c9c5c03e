//! What was measured in a call, at the caller's ear.

use std::time::Duration;

use serde::{Serialize, Serializer, ser::SerializeStruct as _};
use serde_json::{Value, json};
use sidetone_core::time::CallTime;

use super::script::{Expect, Line, When};

/// A finished call.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct CallReport {
    /// Twilio's name for the call, as events have it in `provider_call_id`.
    pub call_sid: String,
    /// One for each line of the script, in order; lines that were never said are missing.
    pub turns: Vec<CallerTurn>,
    /// Lines of the script that the call ended before.
    pub unsaid: usize,
    /// How the call ended.
    pub ending: Option<Ending>,
    /// How long the call lasted.
    #[serde(rename = "duration_ms", serialize_with = "duration_ms")]
    pub duration: Duration,
    /// How often the caller's ear ran dry between two pieces of one stretch of speech.
    pub underruns: u64,
    /// Audio received and not yet played when the stream ended.
    #[serde(rename = "unplayed_ms", serialize_with = "duration_ms")]
    pub unplayed: Duration,
    /// Messages of the engine that Twilio would have refused.
    pub refused_messages: u64,
    /// Why the first of them would have been refused.
    pub first_refusal: Option<String>,
    /// When the agent's voice was heard, from and until.
    #[serde(rename = "agent_speech_ms", serialize_with = "spans_ms")]
    pub agent_speech: Vec<(CallTime, CallTime)>,
    /// The sound of both ends, if it was to be kept.
    #[serde(skip)]
    pub audio: Option<CallAudio>,
    /// Every message of the stream in both directions, if the sound was to be kept.
    #[serde(skip)]
    pub messages: Vec<StreamMessage>,
}

/// A message of the stream, as it was on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamMessage {
    /// When it was sent or received by the phone.
    pub at: CallTime,
    /// Who sent it.
    pub from: Sender,
    /// The message.
    pub text: String,
}

/// Who sent a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sender {
    /// Twilio, which is the phone here.
    Twilio,
    /// The server.
    Engine,
}

/// The sound of a call: mono 16-bit PCM at 8 kHz, both sides from [`CallTime::ZERO`] on.
#[derive(Clone, Debug, Default)]
pub struct CallAudio {
    /// What the caller's phone sent.
    pub caller: Vec<i16>,
    /// What the caller heard.
    pub agent: Vec<i16>,
}

/// Who ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The caller put the phone down.
    Caller,
    /// The engine closed the stream.
    Agent,
    /// The socket broke.
    Lost,
}

/// What happened around one line of the caller.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CallerTurn {
    /// The words, as the script has them.
    pub text: String,
    /// The first sample of speech.
    pub speech_began: CallTime,
    /// The last sample of speech.
    pub speech_ended: CallTime,
    /// The agent was audible when the caller began.
    pub over_agent: bool,
    /// When the first `clear` since `speech_began` came.
    pub cleared_at: Option<CallTime>,
    /// When the agent's answer began to be heard.
    pub answered_at: Option<CallTime>,
    interrupts: bool,
    expect: Expect,
    within: Option<Duration>,
}

/// Why a turn is not what the script expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TurnFailure {
    /// The agent never answered.
    Unanswered,
    /// The agent answered too late.
    Late {
        /// How long it took.
        took: Duration,
        /// How long it might have taken.
        within: Duration,
    },
    /// The agent was spoken over and did not stop.
    NotInterrupted,
    /// The agent was to be interrupted and did not speak any more.
    NothingToInterrupt,
    /// The agent stopped for, or answered, what it should have ignored.
    NotIgnored,
}

impl CallerTurn {
    /// `line`, begun at `at`, while the agent could be heard or not.
    pub(super) fn new(line: &Line, at: CallTime, over_agent: bool) -> Self {
        Self {
            text: line.text.clone(),
            speech_began: at + duration_of(line.speech.start as u64),
            speech_ended: at + duration_of(line.speech.end as u64),
            over_agent,
            cleared_at: None,
            answered_at: None,
            interrupts: matches!(line.when, When::InterruptAfterMs(_)),
            expect: line.expect,
            within: line.within,
        }
    }

    /// From the end of the caller's speech until the answer was heard; zero if the agent cut in.
    #[must_use]
    pub fn response(&self) -> Option<Duration> {
        Some(self.answered_at?.since(self.speech_ended))
    }

    /// For an interruption: from the first sample of the caller's speech until `clear` came.
    #[must_use]
    pub fn barge_in(&self) -> Option<Duration> {
        Some(self.cleared_at?.since(self.speech_began))
    }

    /// What is wrong with this turn, if anything.
    #[must_use]
    pub fn failure(&self) -> Option<TurnFailure> {
        match self.expect {
            Expect::Ignore => {
                let disturbed = self.cleared_at.is_some() || self.answered_at.is_some();
                disturbed.then_some(TurnFailure::NotIgnored)
            }
            Expect::Answer if self.over_agent && self.cleared_at.is_none() => {
                Some(TurnFailure::NotInterrupted)
            }
            Expect::Answer if self.interrupts && !self.over_agent => {
                Some(TurnFailure::NothingToInterrupt)
            }
            Expect::Answer => match (self.response(), self.within) {
                (None, _) => Some(TurnFailure::Unanswered),
                (Some(took), Some(within)) if took > within => {
                    Some(TurnFailure::Late { took, within })
                }
                (Some(_), _) => None,
            },
        }
    }

    pub(super) fn wants_answer(&self) -> bool {
        self.expect == Expect::Answer
    }
}

/// With the figures that follow from the times.
impl Serialize for CallerTurn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ms = |duration: Duration| millis(CallTime::ZERO + duration);
        let mut turn = serializer.serialize_struct("CallerTurn", 9)?;
        turn.serialize_field("text", &self.text)?;
        turn.serialize_field("speech_began_ms", &millis(self.speech_began))?;
        turn.serialize_field("speech_ended_ms", &millis(self.speech_ended))?;
        turn.serialize_field("over_agent", &self.over_agent)?;
        turn.serialize_field("cleared_at_ms", &self.cleared_at.map(millis))?;
        turn.serialize_field("answered_at_ms", &self.answered_at.map(millis))?;
        turn.serialize_field("barge_in_ms", &self.barge_in().map(ms))?;
        turn.serialize_field("response_ms", &self.response().map(ms))?;
        let failure = self.failure().map(|failure| failure.to_string());
        turn.serialize_field("failure", &failure)?;
        turn.end()
    }
}

impl std::fmt::Display for TurnFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unanswered => f.write_str("unanswered"),
            Self::Late { took, within } => write!(
                f,
                "answered after {} ms, later than {} ms",
                took.as_millis(),
                within.as_millis()
            ),
            Self::NothingToInterrupt => {
                f.write_str("the agent had finished before it could be interrupted")
            }
            Self::NotInterrupted => f.write_str("the agent did not stop for it"),
            Self::NotIgnored => f.write_str("the agent should have ignored it"),
        }
    }
}

impl CallReport {
    /// The turns that are not what the script expects, with their place in it from 1.
    pub fn failures(&self) -> impl Iterator<Item = (usize, &CallerTurn, TurnFailure)> {
        let numbered = self.turns.iter().enumerate();
        numbered.filter_map(|(n, turn)| Some((n + 1, turn, turn.failure()?)))
    }
}

/// A recorded session: a line of JSON for each message.
#[must_use]
pub fn session_ndjson(messages: &[StreamMessage]) -> String {
    let mut lines = String::new();
    for StreamMessage { at, from, text } in messages {
        // What is no JSON stands there as text.
        let message = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str()));
        let line = json!({"at_ms": millis(*at), "from": from, "message": message});
        lines.push_str(&line.to_string());
        lines.push('\n');
    }
    lines
}

/// How long this many samples of a telephone's audio last.
pub(super) fn duration_of(samples: u64) -> Duration {
    sidetone_codecs::SampleCount(samples).duration(super::audio::RATE)
}

fn millis(time: CallTime) -> f64 {
    time.as_micros() as f64 / 1e3
}

fn duration_ms<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(millis(CallTime::ZERO + *duration))
}

fn spans_ms<S: Serializer>(
    spans: &[(CallTime, CallTime)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let spans = spans.iter();
    serializer.collect_seq(spans.map(|&(from, until)| (millis(from), millis(until))))
}
