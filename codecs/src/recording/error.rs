//! Why a recording was not decoded, or not all of it.

use std::{fmt, io, time::Duration};

use super::MAX_CHANNELS;
use crate::Resampler;

/// Why a recording cannot be opened, or what is missing of it.
///
/// One that [`Recording::read`](super::Recording::read) returns comes after all that could be
/// decoded: nothing is lost by stopping at it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// The file cannot be opened, or its beginning not read.
    #[error("cannot read it")]
    Io(#[from] io::Error),
    /// There is not a single byte.
    #[error("it is empty: it has no byte")]
    Empty,
    /// The bytes are of no format that is read.
    #[error(
        "it is no recording that can be read: it looks like {looks_like}. Read are {}",
        super::FORMATS
    )]
    NotAudio {
        /// What the first bytes look like, in words.
        looks_like: &'static str,
    },
    /// The bytes end before the audio begins.
    #[error("it ends before its audio begins: this {container} file is cut off")]
    HeaderCutShort {
        /// The container.
        container: &'static str,
    },
    /// The header makes no sense.
    #[error("its {container} header is broken: {reason}")]
    Malformed {
        /// The container.
        container: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A known container with audio that is not decoded.
    #[error(
        "it holds {codec} in {container}, which is not read; convert it, such as with \
         `ffmpeg -i in -c:a pcm_s16le out.wav`"
    )]
    Codec {
        /// The container.
        container: &'static str,
        /// The codec.
        codec: String,
    },
    /// A container without audio, such as a film without sound.
    #[error("this {container} file has no audio track")]
    NoAudio {
        /// The container.
        container: &'static str,
    },
    /// An MP4 whose index comes last was given as a stream.
    #[error(
        "the index of this {container} file is at its end, so it cannot be read from a pipe; give \
         the file itself, or move the index with `ffmpeg -i in -c copy -movflags +faststart out`"
    )]
    NotStreamable {
        /// The container.
        container: &'static str,
    },
    /// The sample rate is out of range.
    #[error(
        "its sample rate is {hz} Hz; rates from {} to {} are read",
        Resampler::MIN_RATE,
        Resampler::MAX_RATE
    )]
    Rate {
        /// Samples per second, as the file says.
        hz: u32,
    },
    /// The number of channels is out of range.
    #[error("it has {channels} channels; 1 to {MAX_CHANNELS} are read")]
    Channels {
        /// How many, as the file says.
        channels: usize,
    },
    /// The audio changes its rate or channels on the way.
    #[error(
        "at {} it changes from {from} to {to}; what comes after is not read: split the file there",
        Position(*at)
    )]
    Changed {
        /// Where: all before is decoded.
        at: Duration,
        /// Rate and channels before.
        from: String,
        /// Rate and channels after.
        to: String,
    },
    /// The bytes end too early.
    #[error("it is cut off at {}{}", Position(*at), Announced(*announced))]
    CutShort {
        /// The length that is there: all of it is decoded.
        at: Duration,
        /// The length that the header announces, where it does.
        announced: Option<Duration>,
    },
    /// Reading failed on the way.
    #[error("it cannot be read further than {}", Position(*at))]
    Read {
        /// Where: all before is decoded.
        at: Duration,
        /// What the system says.
        source: io::Error,
    },
    /// Some of the audio cannot be decoded; all the rest is.
    #[error(
        "it is damaged at {}{}: {}; the rest is decoded",
        Position(*at), MorePlaces(*places), Missing(*lost)
    )]
    Damaged {
        /// The first damage.
        at: Duration,
        /// How many places are damaged.
        places: u64,
        /// How much audio is known to be missing, all places together.
        lost: Duration,
        /// What ended the recording before its end, if anything.
        source: Option<Box<RecordingError>>,
    },
    /// The decoder gave up.
    #[error("it is damaged at {}, and cannot be decoded further: {reason}", Position(*at))]
    Undecodable {
        /// Where: all before is decoded.
        at: Duration,
        /// What the decoder says.
        reason: String,
    },
}

impl RecordingError {
    /// Where in the recording it is, for those that are somewhere: all before is decoded.
    #[must_use]
    pub const fn at(&self) -> Option<Duration> {
        match self {
            Self::Changed { at, .. }
            | Self::CutShort { at, .. }
            | Self::Read { at, .. }
            | Self::Damaged { at, .. }
            | Self::Undecodable { at, .. } => Some(*at),
            _ => None,
        }
    }
}

/// `1:02:03.456`, and without hours where there are none.
struct Position(Duration);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        if hours > 0 {
            write!(f, "{hours}:{minutes:02}")?;
        } else {
            write!(f, "{minutes}")?;
        }
        write!(f, ":{seconds:02}.{:03}", self.0.subsec_millis())
    }
}

struct Announced(Option<Duration>);

impl fmt::Display for Announced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(length) => write!(f, ": its header announces {}", Position(length)),
            None => Ok(()),
        }
    }
}

struct MorePlaces(u64);

impl fmt::Display for MorePlaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 | 1 => Ok(()),
            2 => f.write_str(" and in 1 more place"),
            places => write!(f, " and in {} more places", places - 1),
        }
    }
}

struct Missing(Duration);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_zero() {
            return f.write_str("what cannot be decoded there is left out");
        }
        write!(f, "{:.3} s are silence instead", self.0.as_secs_f64())
    }
}
