//! What Twilio says about calls and recordings.

use std::fmt;

use serde::{Deserialize, Deserializer};

use super::ids::{CallSid, RecordingSid};

/// How a call fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CallStatus {
    /// Accepted, and waiting for its turn.
    Queued,
    /// Twilio has begun to call.
    Initiated,
    /// It rings.
    Ringing,
    /// Answered.
    InProgress,
    /// Over, after it was answered.
    Completed,
    /// The line was busy.
    Busy,
    /// It could not be placed.
    Failed,
    /// Nobody answered.
    NoAnswer,
    /// Ended by a request before it was answered.
    Canceled,
    /// A word that this program does not know.
    Unknown,
}

impl CallStatus {
    const ALL: [Self; 9] = [
        Self::Queued,
        Self::Initiated,
        Self::Ringing,
        Self::InProgress,
        Self::Completed,
        Self::Busy,
        Self::Failed,
        Self::NoAnswer,
        Self::Canceled,
    ];

    /// As Twilio writes it; `unknown` for what it never does.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Initiated => "initiated",
            Self::Ringing => "ringing",
            Self::InProgress => "in-progress",
            Self::Completed => "completed",
            Self::Busy => "busy",
            Self::Failed => "failed",
            Self::NoAnswer => "no-answer",
            Self::Canceled => "canceled",
            Self::Unknown => "unknown",
        }
    }

    /// Whether the call is over.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(
            self,
            Self::Completed | Self::Busy | Self::Failed | Self::NoAnswer | Self::Canceled
        )
    }

    pub(crate) fn read(word: &str) -> Self {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == word)
            .unwrap_or(Self::Unknown)
    }
}

impl fmt::Display for CallStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for CallStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::read(&String::deserialize(deserializer)?))
    }
}

/// Who answered a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AnsweredBy {
    /// A person.
    Human,
    /// A machine, while it still speaks.
    MachineStart,
    /// A machine, after its beep.
    MachineEndBeep,
    /// A machine that fell silent.
    MachineEndSilence,
    /// A machine that ended in some other way.
    MachineEndOther,
    /// A fax.
    Fax,
    /// Twilio could not tell.
    Unknown,
}

impl AnsweredBy {
    /// Whether a machine answered, a fax among them.
    #[must_use]
    pub fn is_machine(self) -> bool {
        !matches!(self, Self::Human | Self::Unknown)
    }

    pub(crate) fn read(word: &str) -> Self {
        match word {
            "human" => Self::Human,
            "machine_start" => Self::MachineStart,
            "machine_end_beep" => Self::MachineEndBeep,
            "machine_end_silence" => Self::MachineEndSilence,
            "machine_end_other" => Self::MachineEndOther,
            "fax" => Self::Fax,
            _ => Self::Unknown,
        }
    }
}

/// A call, as Twilio sees it. Numbers are left out: whoever placed it knows them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Call {
    /// Its name.
    pub sid: CallSid,
    /// How it fares.
    pub status: CallStatus,
    /// The call that this one is a leg of, where a `<Dial>` made it.
    #[serde(default)]
    pub parent_call_sid: Option<CallSid>,
    /// Who answered, where that was to be found out and is known.
    #[serde(default, deserialize_with = "answered_by")]
    pub answered_by: Option<AnsweredBy>,
    /// How long it lasted, in seconds; once it is over.
    #[serde(default, rename = "duration", deserialize_with = "seconds")]
    pub duration_s: Option<u64>,
}

/// A recording that Twilio makes of a call.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Recording {
    /// Its name.
    pub sid: RecordingSid,
    /// The call.
    pub call_sid: CallSid,
    /// `in-progress`, `paused`, `stopped`, `processing`, `completed` or `absent`.
    pub status: String,
    /// How many channels it has.
    #[serde(default)]
    pub channels: Option<u8>,
}

fn answered_by<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<AnsweredBy>, D::Error> {
    let word = Option::<String>::deserialize(deserializer)?;
    Ok(word.as_deref().map(AnsweredBy::read))
}

/// Twilio's numbers are texts here, and numbers there.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Seconds {
        Number(u64),
        Text(String),
    }
    Ok(match Option::<Seconds>::deserialize(deserializer)? {
        Some(Seconds::Number(seconds)) => Some(seconds),
        Some(Seconds::Text(text)) => text.parse().ok(),
        None => None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_call_is_read_as_twilio_documents_it() {
        let call: Call = serde_json::from_value(json!({
            "account_sid": "AC00000000000000000000000000000001",
            "answered_by": "machine_end_beep",
            "api_version": "2010-04-01",
            "direction": "outbound-api",
            "duration": "15",
            "from": "+12025550199",
            "parent_call_sid": null,
            "price": "-0.03000",
            "sid": "CA00000000000000000000000000000002",
            "status": "in-progress",
            "to": "+12025550143",
            "subresource_uris": {"recordings": "/2010-04-01/Accounts/…"},
        }))
        .unwrap();
        assert_eq!(call.status, CallStatus::InProgress);
        assert_eq!(call.answered_by, Some(AnsweredBy::MachineEndBeep));
        assert_eq!(call.duration_s, Some(15));
        assert_eq!(call.parent_call_sid, None);
        assert!(!format!("{call:?}").contains("2025550"));
    }

    #[test]
    fn a_new_word_of_twilios_breaks_nothing() {
        let call: Call = serde_json::from_value(json!({
            "sid": "CA00000000000000000000000000000002",
            "status": "parked",
            "answered_by": "robot",
            "duration": 3,
        }))
        .unwrap();
        assert_eq!(call.status, CallStatus::Unknown);
        assert!(!call.status.is_over());
        assert_eq!(call.answered_by, Some(AnsweredBy::Unknown));
        assert_eq!(call.duration_s, Some(3));
    }

    #[test]
    fn every_status_is_read_as_it_is_written() {
        for status in CallStatus::ALL {
            assert_eq!(CallStatus::read(status.as_str()), status);
        }
    }
}
