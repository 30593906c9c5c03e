//! The messages of a Twilio Media Stream, from Twilio's side.
//!
//! Source: Twilio, "Media Streams: WebSocket Messages". The engine's side of the same protocol is
//! `sidetone_core::dialect`; this one is written apart from it, so that each tests the other.

use std::{borrow::Cow, collections::BTreeMap};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sidetone_codecs::g711::mulaw;
use thiserror::Error;

/// Who a call is, as Twilio names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CallIdentity {
    /// `AC` and 32 hexadecimal digits.
    pub account_sid: String,
    /// `CA` and 32 hexadecimal digits.
    pub call_sid: String,
    /// `MZ` and 32 hexadecimal digits.
    pub stream_sid: String,
}

impl CallIdentity {
    /// Sids that no other call has; the account's is given or made up.
    #[must_use]
    pub fn random(account_sid: Option<&str>) -> Self {
        let sid = |prefix| format!("{prefix}{:032x}", fastrand::u128(..));
        Self {
            account_sid: account_sid.map_or_else(|| sid("AC"), str::to_owned),
            call_sid: sid("CA"),
            stream_sid: sid("MZ"),
        }
    }
}

/// Writes Twilio's messages and counts them.
#[derive(Debug)]
pub struct Writer {
    identity: CallIdentity,
    sequence: u64,
    chunk: u64,
    mulaw: Vec<u8>,
}

impl Writer {
    /// For one stream.
    #[must_use]
    pub fn new(identity: CallIdentity) -> Self {
        Self {
            identity,
            sequence: 0,
            chunk: 0,
            mulaw: Vec::new(),
        }
    }

    /// `connected`: the first message, outside the numbering.
    #[must_use]
    pub fn connected(&self) -> String {
        r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#.to_owned()
    }

    /// `start`, with what the TwiML's `<Parameter>`s say.
    pub fn start(&mut self, parameters: &BTreeMap<String, String>) -> String {
        let sequence = self.next_sequence();
        let CallIdentity {
            account_sid,
            call_sid,
            stream_sid,
        } = &self.identity;
        json!({
            "event": "start",
            "sequenceNumber": sequence.to_string(),
            "start": {
                "accountSid": account_sid,
                "streamSid": stream_sid,
                "callSid": call_sid,
                "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                "customParameters": parameters,
            },
            "streamSid": stream_sid,
        })
        .to_string()
    }

    /// `media`: what the caller says; `timestamp_ms` is the time of its first sample since the
    /// stream began.
    pub fn media(&mut self, timestamp_ms: u64, samples: &[i16]) -> String {
        let sequence = self.next_sequence();
        self.chunk += 1;
        self.mulaw.clear();
        mulaw::encode_append(samples, &mut self.mulaw);
        // Fifty times a second for each call: written out, not built up.
        let mut text = String::with_capacity(400);
        text.push_str(r#"{"event":"media","sequenceNumber":""#);
        push_number(&mut text, sequence);
        text.push_str(r#"","media":{"track":"inbound","chunk":""#);
        push_number(&mut text, self.chunk);
        text.push_str(r#"","timestamp":""#);
        push_number(&mut text, timestamp_ms);
        text.push_str(r#"","payload":""#);
        STANDARD.encode_string(&self.mulaw, &mut text);
        text.push_str(r#""},"streamSid":""#);
        text.push_str(&self.identity.stream_sid);
        text.push_str(r#""}"#);
        text
    }

    /// `mark`: everything before it was played, or flushed.
    pub fn mark(&mut self, name: &str) -> String {
        let sequence = self.next_sequence();
        json!({
            "event": "mark",
            "sequenceNumber": sequence.to_string(),
            "streamSid": self.identity.stream_sid,
            "mark": {"name": name},
        })
        .to_string()
    }

    /// `dtmf`: the caller pressed a key.
    pub fn dtmf(&mut self, digit: char) -> String {
        let sequence = self.next_sequence();
        json!({
            "event": "dtmf",
            "sequenceNumber": sequence.to_string(),
            "streamSid": self.identity.stream_sid,
            "dtmf": {"track": "inbound_track", "digit": digit.to_string()},
        })
        .to_string()
    }

    /// `stop`: the call has ended.
    pub fn stop(&mut self) -> String {
        let sequence = self.next_sequence();
        json!({
            "event": "stop",
            "sequenceNumber": sequence.to_string(),
            "stop": {
                "accountSid": self.identity.account_sid,
                "callSid": self.identity.call_sid,
            },
            "streamSid": self.identity.stream_sid,
        })
        .to_string()
    }

    fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }
}

fn push_number(text: &mut String, number: u64) {
    use std::fmt::Write as _;
    write!(text, "{number}").expect("a string takes any text");
}

/// What an engine sends to Twilio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromEngine<'a> {
    /// Play this; μ-law.
    Media(Vec<u8>),
    /// Say when everything before this was played.
    Mark(Cow<'a, str>),
    /// Forget what was not played.
    Clear,
}

/// Why Twilio would not act on an engine's message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MessageError {
    /// Not text.
    #[error("a binary message: Media Streams are text")]
    Binary,
    /// Not JSON of the right shape.
    #[error("not a Media Streams message: {0}")]
    Malformed(String),
    /// An event that Twilio does not take.
    #[error("event `{0}`: an engine may send `media`, `mark` and `clear`")]
    UnknownEvent(String),
    /// A field that the event needs.
    #[error("`{event}` message without `{field}`")]
    MissingField {
        /// The event.
        event: &'static str,
        /// The field.
        field: &'static str,
    },
    /// A message for another stream.
    #[error("a message for stream `{0}`, which is not this call's")]
    ForeignStream(String),
    /// Audio that is not base64.
    #[error("`media` message: the payload is not base64: {0}")]
    Payload(#[from] base64::DecodeError),
}

/// Reads a message that an engine sent to stream `stream_sid`.
///
/// # Errors
///
/// What is wrong with it. Twilio ignores such a message and notes it in its log.
pub fn read<'a>(text: &'a str, stream_sid: &str) -> Result<FromEngine<'a>, MessageError> {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow)]
        event: Cow<'a, str>,
        #[serde(borrow, rename = "streamSid")]
        stream_sid: Option<Cow<'a, str>>,
        #[serde(borrow)]
        media: Option<Media<'a>>,
        #[serde(borrow)]
        mark: Option<Mark<'a>>,
    }
    #[derive(Deserialize)]
    struct Media<'a> {
        #[serde(borrow)]
        payload: Cow<'a, str>,
    }
    #[derive(Deserialize)]
    struct Mark<'a> {
        #[serde(borrow)]
        name: Cow<'a, str>,
    }

    let envelope: Envelope<'a> =
        serde_json::from_str(text).map_err(|error| MessageError::Malformed(error.to_string()))?;
    let missing = |event, field| MessageError::MissingField { event, field };
    let message = match &*envelope.event {
        "media" => {
            let media = envelope.media.ok_or(missing("media", "media"))?;
            FromEngine::Media(STANDARD.decode(media.payload.as_bytes())?)
        }
        "mark" => FromEngine::Mark(envelope.mark.ok_or(missing("mark", "mark"))?.name),
        "clear" => FromEngine::Clear,
        other => return Err(MessageError::UnknownEvent(other.to_owned())),
    };
    let event = match message {
        FromEngine::Media(_) => "media",
        FromEngine::Mark(_) => "mark",
        FromEngine::Clear => "clear",
    };
    match envelope.stream_sid {
        None => Err(missing(event, "streamSid")),
        Some(sid) if sid != stream_sid => Err(MessageError::ForeignStream(sid.into_owned())),
        Some(_) => Ok(message),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn identity() -> CallIdentity {
        CallIdentity {
            account_sid: "AC00000000000000000000000000000001".into(),
            call_sid: "CA00000000000000000000000000000002".into(),
            stream_sid: "MZ00000000000000000000000000000003".into(),
        }
    }

    fn assert_json(text: &str, expected: Value) {
        assert_eq!(serde_json::from_str::<Value>(text).unwrap(), expected);
    }

    #[test]
    fn a_call_reads_as_twilio_documents_it() {
        let mut writer = Writer::new(identity());
        assert_json(
            &writer.connected(),
            json!({"event": "connected", "protocol": "Call", "version": "1.0.0"}),
        );
        assert_json(
            &writer.start(&BTreeMap::from([("token".into(), "a\"b".into())])),
            json!({
                "event": "start",
                "sequenceNumber": "1",
                "start": {
                    "accountSid": "AC00000000000000000000000000000001",
                    "streamSid": "MZ00000000000000000000000000000003",
                    "callSid": "CA00000000000000000000000000000002",
                    "tracks": ["inbound"],
                    "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                    "customParameters": {"token": "a\"b"}
                },
                "streamSid": "MZ00000000000000000000000000000003"
            }),
        );
        assert_json(
            &writer.media(0, &[0, 0, -32_768, 32_767]),
            json!({
                "event": "media",
                "sequenceNumber": "2",
                "media": {"track": "inbound", "chunk": "1", "timestamp": "0", "payload": "//8AgA=="},
                "streamSid": "MZ00000000000000000000000000000003"
            }),
        );
        assert_json(
            &writer.media(20, &[0]),
            json!({
                "event": "media",
                "sequenceNumber": "3",
                "media": {"track": "inbound", "chunk": "2", "timestamp": "20", "payload": "/w=="},
                "streamSid": "MZ00000000000000000000000000000003"
            }),
        );
        assert_json(
            &writer.mark("m\n1"),
            json!({
                "event": "mark",
                "sequenceNumber": "4",
                "streamSid": "MZ00000000000000000000000000000003",
                "mark": {"name": "m\n1"}
            }),
        );
        assert_json(
            &writer.stop(),
            json!({
                "event": "stop",
                "sequenceNumber": "5",
                "stop": {
                    "accountSid": "AC00000000000000000000000000000001",
                    "callSid": "CA00000000000000000000000000000002"
                },
                "streamSid": "MZ00000000000000000000000000000003"
            }),
        );
    }

    #[test]
    fn sids_look_like_twilios() {
        let identity = CallIdentity::random(Some("ACx"));
        assert_eq!(identity.account_sid, "ACx");
        for (sid, prefix) in [(&identity.call_sid, "CA"), (&identity.stream_sid, "MZ")] {
            assert_eq!(sid.len(), 34);
            assert!(sid.starts_with(prefix));
            assert!(sid[2..].bytes().all(|b| b.is_ascii_hexdigit()));
        }
        assert_ne!(CallIdentity::random(None), CallIdentity::random(None));
    }

    #[test]
    fn what_an_engine_may_send_is_understood() {
        let media = r#"{"event":"media","streamSid":"MZ1","media":{"payload":"//8="},"extra":1}"#;
        assert_eq!(read(media, "MZ1"), Ok(FromEngine::Media(vec![0xFF, 0xFF])));
        let mark = r#"{"event":"mark","streamSid":"MZ1","mark":{"name":"a\"b"}}"#;
        assert_eq!(read(mark, "MZ1"), Ok(FromEngine::Mark("a\"b".into())));
        let clear = r#"{"event":"clear","streamSid":"MZ1"}"#;
        assert_eq!(read(clear, "MZ1"), Ok(FromEngine::Clear));
    }

    #[test]
    fn what_twilio_refuses_is_refused_with_a_reason() {
        for (text, reason) in [
            ("", "not a Media Streams message"),
            ("[]", "not a Media Streams message"),
            (r#"{"event":1}"#, "not a Media Streams message"),
            (r#"{"event":"stop","streamSid":"MZ1"}"#, "event `stop`"),
            (r#"{"event":"clear"}"#, "without `streamSid`"),
            (r#"{"event":"media","streamSid":"MZ1"}"#, "without `media`"),
            (r#"{"event":"mark","streamSid":"MZ1"}"#, "without `mark`"),
            (r#"{"event":"clear","streamSid":"MZ2"}"#, "stream `MZ2`"),
            (
                r#"{"event":"media","streamSid":"MZ1","media":{"payload":"*"}}"#,
                "not base64",
            ),
        ] {
            let error = read(text, "MZ1").unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
