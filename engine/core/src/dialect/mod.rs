//! The languages that legs speak.
//!
//! A [`Dialect`] turns a provider's messages into [`LegMessage`]s and [`Outbound`] messages into
//! the provider's bytes. Each provider is one file here; nothing else knows its wire format.

mod loose;
pub mod twilio;

use std::{borrow::Cow, collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use sidetone_codecs::SampleRate;
use thiserror::Error;

/// One provider's wire format, for one leg.
pub trait Dialect: Send {
    /// Understands one message of the leg. The result may borrow from `message` and from the
    /// dialect's own scratch space; a media message allocates nothing after the first.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the message. The leg stays usable: the next message is independent.
    fn parse<'a>(&'a mut self, message: &'a [u8]) -> Result<LegMessage<'a>, DialectError>;

    /// Whether the leg may frame its messages so. One framed otherwise is not parsed: it is a
    /// [`DialectError::Frame`]. By default only text is taken.
    fn takes(&self, kind: FrameKind) -> bool {
        kind == FrameKind::Text
    }

    /// Appends `message` in the provider's format to `out` and says how it must be framed.
    fn write(&mut self, message: &Outbound, out: &mut Vec<u8>) -> FrameKind;
}

/// How a message travels on a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FrameKind {
    /// As a text message; the bytes are UTF-8.
    Text,
    /// As a binary message.
    Binary,
}

impl fmt::Display for FrameKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Binary => "binary",
        })
    }
}

/// One message from a leg, with what its envelope says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LegMessage<'a> {
    /// Which stream it belongs to, where the message says.
    #[serde(borrow)]
    pub stream_id: Option<Cow<'a, str>>,
    /// Its place in the order of the leg's messages, counted from 1, where the message says.
    pub sequence: Option<u64>,
    /// What it says.
    #[serde(borrow)]
    pub body: Inbound<'a>,
}

impl LegMessage<'_> {
    /// The same message, without what it was read from.
    #[must_use]
    pub fn into_owned(self) -> LegMessage<'static> {
        LegMessage {
            stream_id: self.stream_id.map(|id| id.into_owned().into()),
            sequence: self.sequence,
            body: self.body.into_owned(),
        }
    }
}

/// What a leg says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "message", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Inbound<'a> {
    /// The socket is up; the stream starts next.
    Connected,
    /// The stream starts.
    Start(Start),
    /// A stretch of audio.
    #[serde(borrow)]
    Media(Media<'a>),
    /// The caller pressed a key.
    Dtmf {
        /// `0` to `9`, `*`, `#`, `A` to `D`.
        digit: char,
    },
    /// Everything sent before this mark was played, or flushed by a clear.
    Mark {
        /// As it was sent.
        #[serde(borrow)]
        name: Cow<'a, str>,
    },
    /// The stream is over.
    Stop,
    /// An event this dialect does not know: ignored, and counted.
    Unknown,
}

impl Inbound<'_> {
    /// The same, without what it was read from.
    #[must_use]
    pub fn into_owned(self) -> Inbound<'static> {
        match self {
            Self::Connected => Inbound::Connected,
            Self::Start(start) => Inbound::Start(start),
            Self::Media(media) => Inbound::Media(Media {
                track: media.track,
                chunk: media.chunk,
                timestamp_ms: media.timestamp_ms,
                payload: media.payload.into_owned().into(),
            }),
            Self::Dtmf { digit } => Inbound::Dtmf { digit },
            Self::Mark { name } => Inbound::Mark {
                name: name.into_owned().into(),
            },
            Self::Stop => Inbound::Stop,
            Self::Unknown => Inbound::Unknown,
        }
    }
}

/// How a stream begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The provider's id of the stream.
    pub stream_id: String,
    /// The provider's id of the call, where it says.
    pub call_id: Option<String>,
    /// The provider's id of the account, where it says.
    pub account_id: Option<String>,
    /// What the webhook passed along (Twilio: `<Parameter>`).
    pub parameters: BTreeMap<String, String>,
    /// How audio is encoded in both directions.
    pub format: LegFormat,
}

/// How a leg's audio is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegFormat {
    /// The encoding of a sample.
    pub encoding: Encoding,
    /// Samples per second.
    pub rate: SampleRate,
}

impl LegFormat {
    /// G.711 μ-law at 8 kHz: the telephone network of North America, and Twilio's format.
    pub const MULAW_8000: Self = Self {
        encoding: Encoding::Mulaw,
        rate: SampleRate::HZ_8000,
    };
}

/// The encoding of a sample: one byte each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Encoding {
    /// G.711 μ-law.
    Mulaw,
    /// G.711 A-law.
    Alaw,
}

/// A stretch of a leg's audio.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Media<'a> {
    /// Whose audio it is.
    pub track: Track,
    /// Its place in the order of this track's chunks, counted from 1, where the message says.
    pub chunk: Option<u64>,
    /// When it was captured, in ms since the stream began, where the message says.
    pub timestamp_ms: Option<u64>,
    /// The audio in the leg's format.
    #[serde(borrow, with = "crate::as_base64::bytes")]
    pub payload: Cow<'a, [u8]>,
}

/// Whose audio a leg carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Track {
    /// What the person on the phone says.
    Inbound,
    /// What the person on the phone hears.
    Outbound,
}

/// What the engine says to a leg.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "message", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outbound {
    /// Play this after everything sent before.
    Media {
        /// Audio in the leg's format, any length.
        #[serde(with = "crate::as_base64::bytes")]
        payload: Vec<u8>,
    },
    /// Tell me when everything before this was played.
    Mark {
        /// Comes back in [`Inbound::Mark`].
        name: String,
    },
    /// Forget everything not yet played.
    Clear,
}

/// What is wrong with a leg's message. Carries no content of the message: it may be speech.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(tag = "error", rename_all = "snake_case")]
#[non_exhaustive]
pub enum DialectError {
    /// Not JSON, or not an object with an `event`.
    #[error("not a JSON message: {reason} at byte {offset}")]
    Syntax {
        /// What the parser met.
        reason: String,
        /// Where, counted from 0.
        offset: usize,
    },
    /// A field is missing, or is not of the type the protocol says.
    #[error("`{event}` message: field `{field}` is missing or of the wrong type")]
    Field {
        /// Which message.
        event: String,
        /// Which field, as a path.
        field: String,
    },
    /// The audio is not valid base64.
    #[error("`media` message: the payload is not valid base64")]
    Base64,
    /// The audio is longer than a leg may send at once.
    #[error("`media` message: the payload has {len} bytes; at most {max} are taken")]
    PayloadTooLong {
        /// How long it is, in bytes.
        len: usize,
        /// How long it may be, in bytes.
        max: usize,
    },
    /// The stream's audio is in a format this engine does not speak.
    #[error("`start` message: media format {format} is not supported; audio/x-mulaw at 8000 Hz is")]
    Format {
        /// What the message says.
        format: String,
    },
    /// A binary message on a leg whose dialect is text, or the reverse.
    #[error("a {got} message, which this leg's dialect does not take")]
    Frame {
        /// What came.
        got: FrameKind,
    },
}
