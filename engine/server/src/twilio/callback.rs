//! What Twilio posts about calls, streams, machines, dialled numbers, keys and recordings.
//!
//! Each is a form of texts; fields that are not known are passed over, and a word that is not known
//! is [`Unknown`](CallStatus::Unknown) rather than an error: Twilio may add one.

use std::fmt;

use thiserror::Error;

use super::{
    ids::{CallSid, RecordingSid},
    resource::{AnsweredBy, CallStatus},
};

/// The fields of a form, in their order.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Reads `application/x-www-form-urlencoded`: any bytes are some form.
    #[must_use]
    pub fn read(body: &[u8]) -> Self {
        Self(form_urlencoded::parse(body).into_owned().collect())
    }

    /// The fields.
    #[must_use]
    pub fn fields(&self) -> &[(String, String)] {
        &self.0
    }

    /// The first value of a field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(field, _)| field == name)
            .map(|(_, value)| value.as_str())
    }

    fn call_sid(&self) -> Result<CallSid, CallbackError> {
        self.sid("CallSid")
    }

    fn sid<T: std::str::FromStr>(&self, field: &'static str) -> Result<T, CallbackError> {
        self.get(field)
            .ok_or(CallbackError { field })?
            .parse()
            .map_err(|_| CallbackError { field })
    }

    fn number<T: std::str::FromStr>(&self, field: &str) -> Option<T> {
        self.get(field)?.parse().ok()
    }
}

impl From<Vec<(String, String)>> for Form {
    fn from(fields: Vec<(String, String)>) -> Self {
        Self(fields)
    }
}

/// The names alone: the values are phone numbers, keys and places.
impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

/// A form that is not what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the form has no usable `{field}`")]
pub struct CallbackError {
    /// The field that is missing or makes no sense.
    pub field: &'static str,
}

/// What is posted to a status callback.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Report {
    /// How a call fares.
    Call(CallProgress),
    /// How a media stream fares.
    Stream(StreamProgress),
    /// Who answered, found out while the call went on.
    Machine(MachineResult),
    /// How a recording fares.
    Recording(RecordingProgress),
}

impl Report {
    /// Tells the kinds of reports apart by their fields.
    ///
    /// # Errors
    ///
    /// The form is none of them, or does not say which call it is about.
    pub fn read(form: &Form) -> Result<Self, CallbackError> {
        if form.get("StreamEvent").is_some() {
            StreamProgress::read(form).map(Self::Stream)
        } else if form.get("RecordingStatus").is_some() {
            RecordingProgress::read(form).map(Self::Recording)
        } else if form.get("MachineDetectionDuration").is_some() {
            MachineResult::read(form).map(Self::Machine)
        } else {
            CallProgress::read(form).map(Self::Call)
        }
    }

    /// The call that it is about.
    #[must_use]
    pub fn call_sid(&self) -> &CallSid {
        match self {
            Self::Call(report) => &report.call_sid,
            Self::Stream(report) => &report.call_sid,
            Self::Machine(report) => &report.call_sid,
            Self::Recording(report) => &report.call_sid,
        }
    }
}

/// How a call fares.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallProgress {
    /// Which call.
    pub call_sid: CallSid,
    /// The call that this one is a leg of, where a `<Dial>` made it.
    pub parent_call_sid: Option<CallSid>,
    /// How it fares.
    pub status: CallStatus,
    /// Counts the reports on this call from 0: they may come in another order than they were made.
    pub sequence: Option<u32>,
    /// How long it lasted, in seconds; once it is over.
    pub duration_s: Option<u64>,
    /// Who answered, where that was found out before the call went on.
    pub answered_by: Option<AnsweredBy>,
    /// The SIP answer that ended it, where it failed.
    pub sip_response_code: Option<u16>,
}

impl CallProgress {
    /// Reads a status callback.
    ///
    /// # Errors
    ///
    /// `CallSid` or `CallStatus` is missing.
    pub fn read(form: &Form) -> Result<Self, CallbackError> {
        let field = "CallStatus";
        Ok(Self {
            call_sid: form.call_sid()?,
            parent_call_sid: form.sid("ParentCallSid").ok(),
            status: CallStatus::read(form.get(field).ok_or(CallbackError { field })?),
            sequence: form.number("SequenceNumber"),
            duration_s: form.number("CallDuration"),
            answered_by: form.get("AnsweredBy").map(AnsweredBy::read),
            sip_response_code: form.number("SipResponseCode"),
        })
    }
}

/// How a media stream fares.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamProgress {
    /// Which call's.
    pub call_sid: CallSid,
    /// What happened.
    pub event: StreamEvent,
    /// Twilio's words, where it failed.
    pub error: Option<String>,
}

/// What happened to a media stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StreamEvent {
    /// It began.
    Started,
    /// It ended.
    Stopped,
    /// It could not be had, or broke.
    Failed,
    /// A word that this program does not know.
    Unknown,
}

impl StreamProgress {
    /// Reads a stream's status callback.
    ///
    /// # Errors
    ///
    /// `CallSid` or `StreamEvent` is missing.
    pub fn read(form: &Form) -> Result<Self, CallbackError> {
        let field = "StreamEvent";
        Ok(Self {
            call_sid: form.call_sid()?,
            event: match form.get(field).ok_or(CallbackError { field })? {
                "stream-started" => StreamEvent::Started,
                "stream-stopped" => StreamEvent::Stopped,
                "stream-error" => StreamEvent::Failed,
                _ => StreamEvent::Unknown,
            },
            error: form.get("StreamError").map(str::to_owned),
        })
    }
}

/// Who answered, found out while the call went on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MachineResult {
    /// Which call.
    pub call_sid: CallSid,
    /// Who answered.
    pub answered_by: AnsweredBy,
    /// How long it took to find out, in ms.
    pub after_ms: Option<u64>,
}

impl MachineResult {
    /// Reads what is posted to
    /// [`MachineDetection::meanwhile`](super::MachineDetection::meanwhile).
    ///
    /// # Errors
    ///
    /// `CallSid` or `AnsweredBy` is missing.
    pub fn read(form: &Form) -> Result<Self, CallbackError> {
        let field = "AnsweredBy";
        Ok(Self {
            call_sid: form.call_sid()?,
            answered_by: AnsweredBy::read(form.get(field).ok_or(CallbackError { field })?),
            after_ms: form.number("MachineDetectionDuration"),
        })
    }
}

/// How a recording fares.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordingProgress {
    /// Which call's.
    pub call_sid: CallSid,
    /// Which recording.
    pub recording_sid: RecordingSid,
    /// `in-progress`, `completed` or `absent`.
    pub status: String,
    /// How long it is, in seconds; once it is complete.
    pub duration_s: Option<u64>,
}

impl RecordingProgress {
    /// Reads a recording's status callback.
    ///
    /// # Errors
    ///
    /// `CallSid`, `RecordingSid` or `RecordingStatus` is missing.
    pub fn read(form: &Form) -> Result<Self, CallbackError> {
        let field = "RecordingStatus";
        Ok(Self {
            call_sid: form.call_sid()?,
            recording_sid: form.sid("RecordingSid")?,
            status: form.get(field).ok_or(CallbackError { field })?.to_owned(),
            duration_s: form.number("RecordingDuration"),
        })
    }
}

/// How a `<Dial>` ended: what is posted to its [action](crate::twiml::Dial::action), which answers
/// with the TwiML that the call goes on with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DialResult {
    /// The call that dialled.
    pub call_sid: CallSid,
    /// How that call fares: over, where the caller hung up meanwhile.
    pub call_status: CallStatus,
    /// How the dialled call ended. `Completed` alone does not say that the two were connected: see
    /// [`was_connected`](Self::was_connected).
    pub status: CallStatus,
    /// The dialled call.
    pub dialled_call_sid: Option<CallSid>,
    /// How long the dialled call lasted, in seconds.
    pub duration_s: Option<u64>,
    /// Whether the two were connected, where Twilio says so.
    pub bridged: Option<bool>,
}

impl DialResult {
    /// Reads a `<Dial>`'s result.
    ///
    /// # Errors
    ///
    /// `CallSid`, `CallStatus` or `DialCallStatus` is missing.
    pub fn read(form: &Form) -> Result<Self, CallbackError> {
        let status = |field| {
            form.get(field)
                .ok_or(CallbackError { field })
                // A conference that was left, and a number that answered.
                .map(|word| match word {
                    "answered" => CallStatus::Completed,
                    word => CallStatus::read(word),
                })
        };
        Ok(Self {
            call_sid: form.call_sid()?,
            call_status: status("CallStatus")?,
            status: status("DialCallStatus")?,
            dialled_call_sid: form.sid("DialCallSid").ok(),
            duration_s: form.number("DialCallDuration"),
            bridged: form.get("DialBridged").and_then(|word| word.parse().ok()),
        })
    }

    /// Whether the caller talked to somebody: the number answered, and whoever did accepted.
    #[must_use]
    pub fn was_connected(&self) -> bool {
        self.status == CallStatus::Completed && self.bridged != Some(false)
    }
}

/// The keys pressed in a [`Gather`](crate::twiml::Gather).
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GatherResult {
    /// Who pressed.
    pub call_sid: CallSid,
    /// Which keys.
    pub digits: String,
}

impl GatherResult {
    /// Reads what is posted to a `<Gather>`'s action.
    ///
    /// # Errors
    ///
    /// `CallSid` or `Digits` is missing.
    pub fn read(form: &Form) -> Result<Self, CallbackError> {
        let field = "Digits";
        Ok(Self {
            call_sid: form.call_sid()?,
            digits: form.get(field).ok_or(CallbackError { field })?.to_owned(),
        })
    }
}

/// Without the keys: they may be a PIN.
impl fmt::Debug for GatherResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatherResult")
            .field("call_sid", &self.call_sid)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CALL: &str = "CA00000000000000000000000000000002";
    const OTHER: &str = "CA00000000000000000000000000000003";

    fn form(body: &str) -> Form {
        Form::read(
            body.replace("CALL", CALL)
                .replace("OTHER", OTHER)
                .as_bytes(),
        )
    }

    #[test]
    fn the_kinds_of_reports_are_told_apart() {
        let report = |body| Report::read(&form(body)).unwrap();
        let Report::Call(call) = report(
            "CallSid=CALL&CallStatus=no-answer&SequenceNumber=2&CallDuration=0&SipResponseCode=480&To=%2B1",
        ) else {
            panic!("a call");
        };
        assert_eq!(call.status, CallStatus::NoAnswer);
        assert_eq!((call.sequence, call.duration_s), (Some(2), Some(0)));
        assert_eq!(call.sip_response_code, Some(480));

        let Report::Stream(stream) =
            report("CallSid=CALL&StreamEvent=stream-error&StreamError=31920")
        else {
            panic!("a stream");
        };
        assert_eq!(stream.event, StreamEvent::Failed);

        let Report::Machine(machine) = report(
            "CallSid=CALL&AnsweredBy=machine_start&MachineDetectionDuration=2800&AccountSid=AC",
        ) else {
            panic!("a machine");
        };
        assert!(machine.answered_by.is_machine());
        assert_eq!(machine.after_ms, Some(2_800));

        let Report::Recording(recording) = report(
            "CallSid=CALL&RecordingSid=RE00000000000000000000000000000004&RecordingStatus=completed\
             &RecordingDuration=7",
        ) else {
            panic!("a recording");
        };
        assert_eq!(recording.duration_s, Some(7));
    }

    #[test]
    fn who_answered_may_come_with_the_status() {
        let form = form("CallSid=CALL&CallStatus=in-progress&AnsweredBy=human");
        let Ok(Report::Call(call)) = Report::read(&form) else {
            panic!("a call");
        };
        assert_eq!(call.answered_by, Some(AnsweredBy::Human));
    }

    #[test]
    fn a_dialled_call_was_connected_or_not() {
        for (body, status, connected) in [
            (
                "DialCallStatus=completed&DialCallSid=OTHER",
                CallStatus::Completed,
                true,
            ),
            (
                "DialCallStatus=completed&DialBridged=true",
                CallStatus::Completed,
                true,
            ),
            // Answered, and not accepted.
            (
                "DialCallStatus=completed&DialBridged=false",
                CallStatus::Completed,
                false,
            ),
            ("DialCallStatus=answered", CallStatus::Completed, true),
            (
                "DialCallStatus=no-answer&DialBridged=false",
                CallStatus::NoAnswer,
                false,
            ),
            ("DialCallStatus=busy", CallStatus::Busy, false),
            ("DialCallStatus=newest", CallStatus::Unknown, false),
        ] {
            let form = form(&format!("CallSid=CALL&CallStatus=in-progress&{body}"));
            let result = DialResult::read(&form).unwrap();
            assert_eq!(
                (result.status, result.was_connected()),
                (status, connected),
                "{body}"
            );
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        for (body, field) in [
            ("", "CallSid"),
            ("CallStatus=ringing", "CallSid"),
            ("CallSid=CA1&CallStatus=ringing", "CallSid"),
            ("CallSid=CALL", "CallStatus"),
            ("CallSid=CALL&MachineDetectionDuration=1", "AnsweredBy"),
            ("CallSid=CALL&RecordingStatus=completed", "RecordingSid"),
        ] {
            assert_eq!(
                Report::read(&form(body)),
                Err(CallbackError { field }),
                "{body}"
            );
        }
        let no_result = form("CallSid=CALL&CallStatus=in-progress");
        assert_eq!(
            DialResult::read(&no_result),
            Err(CallbackError {
                field: "DialCallStatus"
            })
        );
        assert_eq!(
            GatherResult::read(&no_result),
            Err(CallbackError { field: "Digits" })
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_some_form(body in any::<Vec<u8>>(), value in any::<String>()) {
            let mut fields = Form::read(&body).fields().to_vec();
            for field in ["CallSid", "CallStatus", "DialCallStatus", "Digits", "StreamEvent",
                "AnsweredBy", "RecordingStatus", "DialBridged", "CallDuration"] {
                fields.push((field.to_owned(), value.clone()));
            }
            let form = Form::from(fields);
            // No call is named by chance.
            prop_assert!(Report::read(&form).is_err());
            prop_assert!(DialResult::read(&form).is_err());
            prop_assert!(GatherResult::read(&form).is_err());
        }
    }

    #[test]
    fn hostile_bytes_are_some_form() {
        for body in [
            &b"\xff\xfe%zz&&&=%00"[..],
            b"%",
            b"=",
            b"CallSid=%ff%ff&CallStatus",
        ] {
            assert!(Report::read(&Form::read(body)).is_err());
        }
    }

    #[test]
    fn debug_shows_no_key_and_no_number() {
        let form = form("CallSid=CALL&Digits=4711&From=%2B12025550143");
        let result = GatherResult::read(&form).unwrap();
        assert_eq!(result.digits, "4711");
        let debug = format!("{form:?} {result:?}");
        assert!(
            !debug.contains("4711") && !debug.contains("0143"),
            "{debug}"
        );
    }
}
