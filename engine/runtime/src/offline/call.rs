//! Which call a recording is of, by the engine's event log.

use std::io::{self, BufRead};

use serde::{Deserialize, Serialize};

use crate::CallId;

/// A call of the engine that was recorded, the caller on the first channel and the agent on the second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedCall {
    /// The engine's id of it.
    pub call_id: CallId,
    /// The provider's id of it, where it says.
    pub provider_call_id: Option<String>,
}

/// Why an event log does not tell whose recording it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordedCallError {
    /// It cannot be read.
    #[error("cannot read it")]
    Io(#[from] io::Error),
    /// A line of it is no event.
    #[error("line {line} is no event of the engine")]
    NotAnEvent {
        /// From 1.
        line: usize,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// It tells of no call.
    #[error("it tells of no call")]
    NoCall,
    /// It tells of several calls, and none of the names is one's.
    #[error(
        "it tells of {calls} calls, and the recording's name holds the id of none of them \
         (such as {example})"
    )]
    WhichCall {
        /// How many.
        calls: usize,
        /// The id of one.
        example: CallId,
    },
}

impl RecordedCall {
    /// The speakers of its channels, as events name them.
    pub const SPEAKERS: [&str; 2] = ["caller", "agent"];
}

/// The calls that an event log tells of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordedCalls(Vec<RecordedCall>);

impl RecordedCalls {
    /// Reads a log of [`EventRecord`](crate::EventRecord)s, one a line. A last line that was cut short is
    /// passed over.
    ///
    /// # Errors
    ///
    /// [`RecordedCallError::Io`], [`RecordedCallError::NotAnEvent`], [`RecordedCallError::NoCall`].
    pub fn read(events: impl BufRead) -> Result<Self, RecordedCallError> {
        match calls(events)? {
            calls if calls.is_empty() => Err(RecordedCallError::NoCall),
            calls => Ok(Self(calls)),
        }
    }

    /// The call of a recording: the only one, or the one whose id, the engine's or the provider's, is part of
    /// one of `names`.
    ///
    /// # Errors
    ///
    /// [`RecordedCallError::WhichCall`].
    pub fn find(&self, names: &[&str]) -> Result<&RecordedCall, RecordedCallError> {
        let named = |call: &&RecordedCall| {
            let ids = [
                Some(call.call_id.as_str()),
                call.provider_call_id.as_deref(),
            ];
            let mut ids = ids.into_iter().flatten().filter(|id| !id.is_empty());
            ids.any(|id| names.iter().any(|name| name.contains(id)))
        };
        match &self.0[..] {
            [] => Err(RecordedCallError::NoCall),
            [only] => Ok(only),
            [first, ..] => {
                let found = self.0.iter().find(named);
                found.ok_or_else(|| RecordedCallError::WhichCall {
                    calls: self.0.len(),
                    example: first.call_id.clone(),
                })
            }
        }
    }
}

/// Every call of a log, in the order of their first events.
fn calls(mut events: impl BufRead) -> Result<Vec<RecordedCall>, RecordedCallError> {
    /// What matters of a record; events of a later version may be in the log too.
    #[derive(Deserialize)]
    struct Record {
        /// None for a line about the log itself.
        call_id: Option<CallId>,
        #[serde(rename = "event")]
        _event: String,
        provider_call_id: Option<String>,
    }

    let mut calls: Vec<RecordedCall> = Vec::new();
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        if events.read_until(b'\n', &mut bytes)? == 0 {
            break;
        }
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        let record: Record = match serde_json::from_slice(&bytes) {
            Ok(record) => record,
            Err(_) if line > 1 && bytes.last() != Some(&b'\n') => break,
            Err(source) => return Err(RecordedCallError::NotAnEvent { line, source }),
        };
        let Some(call_id) = record.call_id else {
            continue;
        };
        match calls.iter_mut().find(|call| call.call_id == call_id) {
            Some(call) => {
                if call.provider_call_id.is_none() {
                    call.provider_call_id = record.provider_call_id;
                }
            }
            None => calls.push(RecordedCall {
                call_id,
                provider_call_id: record.provider_call_id,
            }),
        }
    }
    Ok(calls)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = r#"{"call_id":"call-000000000001","at_ms":0,"seq":1,"event":"call.started","stream_id":"MZ1","provider_call_id":"CA11"}
{"event":"log.missed","missed":3}
{"call_id":"call-000000000002","at_ms":0,"seq":1,"event":"a.later.version","anything":[1]}
{"call_id":"call-000000000002","at_ms":9,"seq":2,"event":"call.started","stream_id":"MZ2","provider_call_id":"CA22"}
"#;

    fn find(log: &str, names: &[&str]) -> Result<RecordedCall, RecordedCallError> {
        RecordedCalls::read(log.as_bytes())?.find(names).cloned()
    }

    #[test]
    fn the_only_call_is_meant_whatever_the_recording_is_called() {
        let one = TWO.lines().next().unwrap();
        let call = find(one, &["call"]).unwrap();
        assert_eq!(call.call_id.as_str(), "call-000000000001");
        assert_eq!(call.provider_call_id.as_deref(), Some("CA11"));
    }

    #[test]
    fn among_several_the_name_holds_either_id() {
        for name in ["call-000000000002", "2026-11-21 CA22 left"] {
            let call = find(TWO, &["x", name]).unwrap();
            assert_eq!(call.call_id.as_str(), "call-000000000002");
            assert_eq!(call.provider_call_id.as_deref(), Some("CA22"));
        }
        let error = find(TWO, &["call"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "it tells of 2 calls, and the recording's name holds the id of none of them \
             (such as call-000000000001)"
        );
    }

    #[test]
    fn a_line_cut_short_at_the_end_is_no_damage() {
        let cut = &TWO[..TWO.len() - 40];
        assert!(find(cut, &["CA11"]).is_ok());
    }

    #[test]
    fn what_is_no_event_log_is_told_by_its_line() {
        assert!(matches!(find("", &[]), Err(RecordedCallError::NoCall)));
        for (text, wrong) in [
            ("hello\n", 1),
            ("{\"a\":1}", 1),
            (&format!("{TWO}[1]\n"), 5),
            ("\u{0}\u{1}", 1),
        ] {
            match find(text, &[]) {
                Err(RecordedCallError::NotAnEvent { line, .. }) => assert_eq!(line, wrong),
                other => panic!("{text}: {other:?}"),
            }
        }
    }
}
