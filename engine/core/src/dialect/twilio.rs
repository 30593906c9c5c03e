//! Twilio Media Streams.
//!
//! Source: <https://www.twilio.com/docs/voice/media-streams/websocket-messages>. Messages are JSON
//! text. Every number in an envelope is a string (numbers are taken too); those of the media
//! format are numbers (strings are taken too). Unknown fields are ignored, unknown events are
//! [`Inbound::Unknown`].

use std::collections::BTreeMap;

use base64::{
    Engine as _, alphabet, encoded_len,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::Deserialize;
use serde_json::Value;

use super::{
    Dialect, DialectError, FrameKind, Inbound, LegFormat, LegMessage, Media, Outbound, Start,
    Track,
    loose::{Loose, Object, Text, WrongType},
};

/// The most audio that one `media` message may hold, in bytes: 8.192 s.
pub const MAX_PAYLOAD_BYTES: usize = 64 * 1024;

/// The longest stream id that is taken, in bytes; Twilio's have 34.
pub const MAX_STREAM_ID_BYTES: usize = 256;

/// Padded as Twilio pads it; missing padding is forgiven.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The dialect of one Twilio leg.
///
/// It remembers the stream of the first `start` and names it in everything it writes. What is
/// written before that names no stream, and Twilio cannot play it: write nothing before the start.
#[derive(Clone, Debug, Default)]
pub struct Twilio {
    /// `"streamSid":"…",` as it goes into every message.
    stream_field: Vec<u8>,
    payload: Vec<u8>,
}

impl Twilio {
    /// Speaks for one leg.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn remember(&mut self, stream_id: &str) {
        if self.stream_field.is_empty() {
            self.stream_field.extend_from_slice(b"\"streamSid\":");
            write_json(stream_id, &mut self.stream_field);
            self.stream_field.push(b',');
        }
    }

    fn decode(&mut self, payload: &str) -> Result<(), DialectError> {
        let digits = payload.trim_end_matches('=').len();
        let len = digits / 4 * 3 + digits % 4 * 3 / 4;
        if len > MAX_PAYLOAD_BYTES {
            return Err(DialectError::PayloadTooLong {
                len,
                max: MAX_PAYLOAD_BYTES,
            });
        }
        self.payload.clear();
        BASE64
            .decode_vec(payload, &mut self.payload)
            .map_err(|_| DialectError::Base64)
    }
}

impl Dialect for Twilio {
    fn parse<'a>(&'a mut self, message: &'a [u8]) -> Result<LegMessage<'a>, DialectError> {
        let Envelope {
            event,
            sequence_number,
            stream_sid,
            start,
            media,
            dtmf,
            mark,
        } = Envelope::read(message)?;
        let event = match event.required() {
            Some(event) => Event::named(&event),
            None => return Err(not_a_message("no `event`")),
        };
        let field = |field: &str| DialectError::Field {
            event: event.name().to_owned(),
            field: field.to_owned(),
        };
        if event == Event::Unknown {
            return Ok(LegMessage {
                stream_id: stream_sid.required(),
                sequence: sequence_number.required(),
                body: Inbound::Unknown,
            });
        }
        let sequence = sequence_number
            .optional()
            .map_err(|WrongType| field("sequenceNumber"))?;
        let stream_id = stream_sid
            .optional()
            .map_err(|WrongType| field("streamSid"))?;
        let body = match event {
            Event::Connected => Inbound::Connected,
            Event::Start => {
                let Object(start) = start.required().ok_or_else(|| field("start"))?;
                let start = start.check(stream_id.as_deref(), &field)?;
                self.remember(&start.stream_id);
                Inbound::Start(start)
            }
            Event::Media => {
                let Object(media) = media.required().ok_or_else(|| field("media"))?;
                let track = match media.track {
                    Loose::Missing => Track::Inbound,
                    track => track
                        .required()
                        .and_then(|track| track_named(&track))
                        .ok_or_else(|| field("media.track"))?,
                };
                let chunk = media.chunk.optional();
                let chunk = chunk.map_err(|WrongType| field("media.chunk"))?;
                let timestamp_ms = media.timestamp.optional();
                let timestamp_ms = timestamp_ms.map_err(|WrongType| field("media.timestamp"))?;
                let payload = media.payload.required();
                self.decode(&payload.ok_or_else(|| field("media.payload"))?)?;
                Inbound::Media(Media {
                    track,
                    chunk,
                    timestamp_ms,
                    payload: self.payload.as_slice().into(),
                })
            }
            Event::Dtmf => {
                let Object(dtmf) = dtmf.required().ok_or_else(|| field("dtmf"))?;
                let digit = dtmf.digit.required().and_then(|digit| key(&digit));
                Inbound::Dtmf {
                    digit: digit.ok_or_else(|| field("dtmf.digit"))?,
                }
            }
            Event::Mark => {
                let Object(mark) = mark.required().ok_or_else(|| field("mark"))?;
                Inbound::Mark {
                    name: mark.name.required().ok_or_else(|| field("mark.name"))?,
                }
            }
            Event::Stop => Inbound::Stop,
            Event::Unknown => Inbound::Unknown,
        };
        Ok(LegMessage {
            stream_id,
            sequence,
            body,
        })
    }

    fn write(&mut self, message: &Outbound, out: &mut Vec<u8>) -> FrameKind {
        out.push(b'{');
        out.extend_from_slice(&self.stream_field);
        match message {
            Outbound::Media { payload } => {
                out.extend_from_slice(b"\"event\":\"media\",\"media\":{\"payload\":\"");
                append_base64(payload, out);
                out.extend_from_slice(b"\"}}");
            }
            Outbound::Mark { name } => {
                out.extend_from_slice(b"\"event\":\"mark\",\"mark\":{\"name\":");
                write_json(name, out);
                out.extend_from_slice(b"}}");
            }
            Outbound::Clear => out.extend_from_slice(b"\"event\":\"clear\"}"),
        }
        FrameKind::Text
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Event {
    Connected,
    Start,
    Media,
    Dtmf,
    Mark,
    Stop,
    Unknown,
}

impl Event {
    fn named(name: &str) -> Self {
        match name {
            "media" => Self::Media,
            "mark" => Self::Mark,
            "dtmf" => Self::Dtmf,
            "connected" => Self::Connected,
            "start" => Self::Start,
            "stop" => Self::Stop,
            _ => Self::Unknown,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Start => "start",
            Self::Media => "media",
            Self::Dtmf => "dtmf",
            Self::Mark => "mark",
            Self::Stop => "stop",
            Self::Unknown => "unknown",
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(borrow)]
    event: Loose<Text<'a>>,
    sequence_number: Loose<u64>,
    #[serde(borrow)]
    stream_sid: Loose<Text<'a>>,
    /// Boxed, so that the many messages that are no start do not carry its empty space around.
    #[serde(borrow)]
    start: Loose<Object<Box<StartFields<'a>>>>,
    #[serde(borrow)]
    media: Loose<Object<MediaFields<'a>>>,
    #[serde(borrow)]
    dtmf: Loose<Object<DtmfFields<'a>>>,
    #[serde(borrow)]
    mark: Loose<Object<MarkFields<'a>>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct StartFields<'a> {
    #[serde(borrow)]
    account_sid: Loose<Text<'a>>,
    #[serde(borrow)]
    call_sid: Loose<Text<'a>>,
    #[serde(borrow)]
    stream_sid: Loose<Text<'a>>,
    custom_parameters: Loose<Object<BTreeMap<String, Value>>>,
    #[serde(borrow)]
    media_format: Loose<Object<FormatFields<'a>>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct FormatFields<'a> {
    #[serde(borrow)]
    encoding: Loose<Text<'a>>,
    sample_rate: Loose<u64>,
    channels: Loose<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct MediaFields<'a> {
    #[serde(borrow)]
    track: Loose<Text<'a>>,
    chunk: Loose<u64>,
    timestamp: Loose<u64>,
    #[serde(borrow)]
    payload: Loose<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DtmfFields<'a> {
    #[serde(borrow)]
    digit: Loose<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct MarkFields<'a> {
    #[serde(borrow)]
    name: Loose<Text<'a>>,
}

impl<'a> Envelope<'a> {
    fn read(message: &'a [u8]) -> Result<Self, DialectError> {
        match serde_json::from_slice::<Loose<Object<Self>>>(message) {
            Ok(value) => match value.required() {
                Some(Object(envelope)) => Ok(envelope),
                None => Err(not_a_message("not an object")),
            },
            Err(error) => Err(syntax(&error, message)),
        }
    }
}

impl StartFields<'_> {
    fn check(
        self,
        stream_id: Option<&str>,
        field: &impl Fn(&str) -> DialectError,
    ) -> Result<Start, DialectError> {
        // The stream is named twice; the envelope's name is what later messages carry.
        let inner = self.stream_sid.optional();
        let inner = inner.map_err(|WrongType| field("start.streamSid"))?;
        let stream_id = stream_id
            .or(inner.as_deref())
            .filter(|id| (1..=MAX_STREAM_ID_BYTES).contains(&id.len()))
            .ok_or_else(|| field("streamSid"))?
            .to_owned();
        let text = |value: Loose<Text<'_>>, name| match value.optional() {
            Ok(text) => Ok(text.map(Text::into_owned)),
            Err(WrongType) => Err(field(name)),
        };
        let parameters = self.custom_parameters.optional();
        let parameters = parameters.map_err(|WrongType| field("start.customParameters"))?;
        let format = self.media_format.required();
        let Object(format) = format.ok_or_else(|| field("start.mediaFormat"))?;
        Ok(Start {
            stream_id,
            call_id: text(self.call_sid, "start.callSid")?,
            account_id: text(self.account_sid, "start.accountSid")?,
            parameters: parameters
                .map(|Object(parameters)| parameters)
                .unwrap_or_default()
                .into_iter()
                .map(|(name, value)| (name, rendered(value)))
                .collect(),
            format: format.check(field)?,
        })
    }
}

impl FormatFields<'_> {
    fn check(self, field: &impl Fn(&str) -> DialectError) -> Result<LegFormat, DialectError> {
        let encoding = self.encoding.required();
        let encoding = encoding.ok_or_else(|| field("start.mediaFormat.encoding"))?;
        let rate = self.sample_rate.required();
        let rate = rate.ok_or_else(|| field("start.mediaFormat.sampleRate"))?;
        let channels = self.channels.required();
        let channels = channels.ok_or_else(|| field("start.mediaFormat.channels"))?;
        if (encoding.as_ref(), rate, channels) == ("audio/x-mulaw", 8_000, 1) {
            return Ok(LegFormat::MULAW_8000);
        }
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"/-+._".contains(&byte);
        let encoding = if (1..=40).contains(&encoding.len()) && encoding.bytes().all(is_name) {
            encoding.into_owned()
        } else {
            format!("of a name of {} bytes", encoding.len())
        };
        Err(DialectError::Format {
            format: format!("{encoding} at {rate} Hz with {channels} channels"),
        })
    }
}

/// A parameter's value as text, whatever its type.
fn rendered(value: Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// Media messages say `inbound`; keys say `inbound_track`.
fn track_named(name: &str) -> Option<Track> {
    match name {
        "inbound" | "inbound_track" => Some(Track::Inbound),
        "outbound" | "outbound_track" => Some(Track::Outbound),
        _ => None,
    }
}

fn key(digit: &str) -> Option<char> {
    let mut chars = digit.chars();
    match (chars.next(), chars.next()) {
        (Some(key @ ('0'..='9' | '*' | '#' | 'A'..='D')), None) => Some(key),
        (Some(key @ 'a'..='d'), None) => Some(key.to_ascii_uppercase()),
        _ => None,
    }
}

fn not_a_message(reason: &str) -> DialectError {
    DialectError::Syntax {
        reason: reason.to_owned(),
        offset: 0,
    }
}

/// The parser's own words for broken syntax quote nothing, and no type error comes from it:
/// every field is [`Loose`].
fn syntax(error: &serde_json::Error, message: &[u8]) -> DialectError {
    let text = error.to_string();
    let reason = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(reason, _)| reason);
    let line_start: usize = message
        .split_inclusive(|&byte| byte == b'\n')
        .take(error.line().saturating_sub(1))
        .map(<[u8]>::len)
        .sum();
    DialectError::Syntax {
        reason: reason.to_owned(),
        offset: line_start + error.column().saturating_sub(1),
    }
}

fn append_base64(bytes: &[u8], out: &mut Vec<u8>) {
    let len = encoded_len(bytes.len(), true).expect("audio fits the address space as base64 too");
    let start = out.len();
    out.resize(start + len, 0);
    BASE64
        .encode_slice(bytes, &mut out[start..])
        .expect("the buffer has exactly the encoded length");
}

fn write_json(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("text always serialises, and a Vec takes all");
}
