//! What comes out.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize, Serializer};

use super::RecordedCall;

/// A recording's transcript. Times are ms from its beginning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transcript {
    /// What was transcribed.
    pub source: Source,
    /// The model's name.
    pub model: String,
    /// The language of most of the speech, an ISO 639-1 code; `None` without speech. Of a
    /// translation too it is what was spoken.
    pub language: Option<String>,
    /// The speakers, channel by channel; empty where the channels were mixed.
    pub speakers: Vec<String>,
    /// What was said, by the time it began.
    pub segments: Vec<Segment>,
    /// Where the time went.
    pub timings: Timings,
    /// Where and why not all of the recording could be decoded.
    pub damage: Option<Damage>,
    /// Whether it was stopped before its end.
    pub stopped: bool,
}

/// The recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its file, or what the caller named it. What is not Unicode in it is written as U+FFFD.
    #[serde(serialize_with = "path_as_text")]
    pub name: PathBuf,
    /// Container and codec.
    pub format: String,
    /// Samples per second and channel.
    pub rate_hz: u32,
    /// How many channels it has.
    pub channels: u16,
    /// How much of it was decoded.
    pub duration_ms: u64,
    /// The call that it is a recording of, where an event log tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<RecordedCall>,
}

/// A stretch of speech of one speaker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// Where it begins.
    pub start_ms: u64,
    /// Where it ends.
    pub end_ms: u64,
    /// Who spoke, where channels are speakers.
    pub speaker: Option<String>,
    /// The channel it was heard on, from 0; 0 for a mix.
    pub channel: u16,
    /// The language that was spoken, an ISO 639-1 code: given, or detected. A translation's text is
    /// English all the same.
    pub language: String,
    /// The words.
    pub text: String,
    /// The mean probability of its tokens, 0 to 1.
    pub probability: f32,
    /// The words with their times; empty unless asked for.
    pub words: Vec<Word>,
}

/// A word.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Word {
    /// The word with its punctuation, without spaces around it.
    pub text: String,
    /// Where it begins.
    pub start_ms: u64,
    /// Where it ends.
    pub end_ms: u64,
    /// The mean probability of its tokens, 0 to 1.
    pub probability: f32,
}

/// Where the time went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timings {
    /// Speech found by the VAD, all channels together.
    pub speech_ms: u64,
    /// Wall time from the start to the last segment.
    pub elapsed_ms: u64,
    /// Time within Whisper, all threads together.
    pub decode_ms: u64,
    /// How many times the encoder ran.
    pub windows: u32,
}

/// Where a recording broke.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    /// The first damage: all before it was decoded. What comes after it was too, as far as that is
    /// possible.
    pub at_ms: u64,
    /// What is wrong, there and further on.
    pub message: String,
}

/// A path of any bytes can be written.
pub(super) fn path_as_text<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}
