//! What happened, for whoever wants to know.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use crate::phone::CallReport;

/// Everything about one call: how it was placed, how it fares, and what it went through.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CallRecord {
    /// `CA` and 32 hexadecimal digits.
    pub sid: String,
    /// The call whose `<Dial>` made this one.
    pub parent_sid: Option<String>,
    /// Whose doing it is.
    pub direction: Direction,
    /// The number that calls.
    pub from: String,
    /// The number that is called.
    pub to: String,
    /// How it fares.
    pub status: Status,
    /// Who answered, as machine detection found out.
    pub answered_by: Option<&'static str>,
    /// The form that placed it over the REST API.
    pub request: Vec<(String, String)>,
    /// What it went through, in order.
    pub steps: Vec<Step>,
    /// What was posted to its status callbacks, in order.
    pub callbacks: Vec<CallbackRecord>,
    /// Its recordings, in order.
    pub recordings: Vec<RecordingRecord>,
    pub(super) created: SystemTime,
    pub(super) answered: Option<SystemTime>,
    pub(super) ended: Option<SystemTime>,
}

impl CallRecord {
    /// What a field of the form that placed it says.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        let field = self.request.iter().find(|(field, _)| field == name);
        field.map(|(_, value)| value.as_str())
    }

    /// The media streams that have ended, in order.
    pub fn streams(&self) -> impl Iterator<Item = &CallReport> {
        self.steps.iter().filter_map(|step| match step {
            Step::StreamEnded { report } => Some(&**report),
            _ => None,
        })
    }

    /// Whether a media stream is open now.
    #[must_use]
    pub fn is_streaming(&self) -> bool {
        let last = self.steps.iter().rev().find(|step| {
            matches!(
                step,
                Step::Streaming { .. } | Step::StreamEnded { .. } | Step::StreamFailed { .. }
            )
        });
        matches!(last, Some(Step::Streaming { .. }))
    }

    /// How long it lasted from the answer to the end, in whole seconds; once it is over.
    #[must_use]
    pub fn duration_s(&self) -> Option<u64> {
        let ended = self.ended?;
        let answered = self.answered.unwrap_or(ended);
        Some(
            ended
                .duration_since(answered)
                .map_or(0, |time| time.as_secs()),
        )
    }
}

/// Whose doing a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Somebody called the account's number.
    Inbound,
    /// It was placed over the REST API.
    OutboundApi,
    /// A `<Dial>` made it.
    OutboundDial,
}

impl Direction {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::OutboundApi => "outbound-api",
            Self::OutboundDial => "outbound-dial",
        }
    }
}

/// How a call fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Accepted.
    Queued,
    /// The network is asked for the number.
    Initiated,
    /// It rings.
    Ringing,
    /// Answered.
    InProgress,
    /// Over, after it was answered.
    Completed,
    /// Engaged.
    Busy,
    /// Nobody answered.
    NoAnswer,
    /// Could not be reached.
    Failed,
    /// Ended by a request before it was answered.
    Canceled,
}

impl Status {
    /// As the REST API and the callbacks write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Initiated => "initiated",
            Self::Ringing => "ringing",
            Self::InProgress => "in-progress",
            Self::Completed => "completed",
            Self::Busy => "busy",
            Self::NoAnswer => "no-answer",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// Whether the call is over.
    #[must_use]
    pub fn is_over(self) -> bool {
        !matches!(
            self,
            Self::Queued | Self::Initiated | Self::Ringing | Self::InProgress
        )
    }
}

/// Something that a call went through.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Step {
    /// It was told to do something else by the REST API.
    Redirected,
    /// A document was asked for at this URL.
    Asked {
        /// The URL.
        url: String,
    },
    /// Twilio's voice said this.
    Said(String),
    /// A file was played, or digits.
    Played(String),
    /// A media stream was opened.
    Streaming {
        /// Where to.
        url: String,
        /// The parameters of its `start`.
        parameters: BTreeMap<String, String>,
    },
    /// A media stream ended.
    StreamEnded {
        /// What the phone measured.
        report: Arc<CallReport>,
    },
    /// A media stream could not be opened.
    StreamFailed {
        /// Why.
        problem: String,
    },
    /// Another number is called.
    Dialled {
        /// The number.
        number: String,
        /// That call.
        sid: String,
    },
    /// The `<Dial>` is over.
    DialEnded {
        /// How the other call ended.
        status: Status,
        /// Whether the two were connected.
        bridged: bool,
    },
    /// Connected with the call whose `<Dial>` made this one.
    Bridged,
    /// In a conference of this name.
    Conference(String),
    /// In a queue of this name.
    Enqueued(String),
    /// A `<Gather>` is over: the keys pressed, none if it timed out.
    Gathered(String),
    /// A verb that this stand-in passes over.
    PassedOver(String),
    /// Twilio would say that an application error has occurred, and hang up.
    ApplicationError(String),
}

/// Something that was posted to a callback.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CallbackRecord {
    /// Where to.
    pub url: String,
    /// What.
    pub form: Vec<(String, String)>,
    /// The HTTP status of the answer; `None` where there was none.
    pub answer: Option<u16>,
}

impl CallbackRecord {
    /// What a field of it says.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        let field = self.form.iter().find(|(field, _)| field == name);
        field.map(|(_, value)| value.as_str())
    }
}

/// A recording at the carrier.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordingRecord {
    /// `RE` and 32 hexadecimal digits.
    pub sid: String,
    /// How many channels.
    pub channels: u8,
    /// It was stopped, or its call has ended.
    pub stopped: bool,
    pub(super) callback: Option<String>,
}
