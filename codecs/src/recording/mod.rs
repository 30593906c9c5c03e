//! Recordings of every common format, decoded as they are read.
//!
//! Containers are told by their content. WAV is read here; Ogg, FLAC, MP3, AAC and MP4 are taken
//! apart by symphonia, whose decoders are used for all but Opus, which is libopus's. Raw G.711 has
//! nothing to be told by but the file's name.

use std::{
    fmt,
    fs::File,
    io::{Read, Seek},
    num::NonZeroU16,
    path::Path,
};

use crate::{Resampler, SampleCount, SampleRate};

mod container;
mod decoder;
mod error;
mod mpeg;
mod opus;
mod packets;
mod pcm;
mod raw;
mod sniff;
mod source;
mod vorbis;
mod wav;

pub use error::RecordingError;
use sniff::Kind;
use source::Source;

/// The most channels that are read.
pub const MAX_CHANNELS: usize = 32;

/// What is read, in words.
const FORMATS: &str = "WAV (PCM, float, μ-law, A-law), MP3, FLAC, Ogg (Vorbis, Opus), M4A and MP4 \
                       (AAC), AAC, and raw G.711 named .ulaw, .ul, .mulaw, .alaw or .al";

/// A recording that is being decoded. Memory does not depend on its length, but for the index of an
/// MP4, which takes about 1 MB per hour. A Vorbis header that asks for more than 32 MiB of tables,
/// some ten times what encoders ask for, is refused.
pub struct Recording {
    format: String,
    shape: Shape,
    announced: Option<SampleCount>,
    blocks: Box<dyn Blocks + Send>,
    ended: bool,
}

/// What stays the same from the first sample to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    rate: SampleRate,
    channels: NonZeroU16,
}

impl Shape {
    const TELEPHONE: Self = Self {
        rate: SampleRate::HZ_8000,
        channels: NonZeroU16::MIN,
    };

    fn new(hz: u32, channels: usize) -> Result<Self, RecordingError> {
        let rate = SampleRate::new(hz)
            .filter(|rate| (Resampler::MIN_RATE..=Resampler::MAX_RATE).contains(rate))
            .ok_or(RecordingError::Rate { hz })?;
        let channels = u16::try_from(channels)
            .ok()
            .and_then(NonZeroU16::new)
            .filter(|channels| usize::from(channels.get()) <= MAX_CHANNELS)
            .ok_or(RecordingError::Channels { channels })?;
        Ok(Self { rate, channels })
    }

    fn width(self) -> usize {
        self.channels.get().into()
    }

    fn is(self, hz: u32, channels: usize) -> bool {
        self.rate.hz() == hz && self.width() == channels
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.channels.get() {
            1 => write!(f, "{} mono", self.rate),
            2 => write!(f, "{} stereo", self.rate),
            channels => write!(f, "{} in {channels} channels", self.rate),
        }
    }
}

/// One opened recording of some container.
trait Blocks {
    /// As [`Recording::read`].
    fn read(&mut self, samples: &mut Vec<i16>) -> Result<usize, RecordingError>;
}

/// What opening finds.
struct Opened {
    format: String,
    shape: Shape,
    announced: Option<SampleCount>,
    blocks: Box<dyn Blocks + Send>,
}

impl Recording {
    /// Opens a file. What it holds is found by its content; the name counts only for raw G.711
    /// (`.ulaw`, `.ul`, `.mulaw`, `.alaw`, `.al`: 8 kHz, mono).
    ///
    /// # Errors
    ///
    /// [`RecordingError`] says what is wrong with the file.
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        let file = File::open(path)?;
        Self::from_source(Source::from_file(file)?, path)
    }

    /// Reads what cannot be sought, such as standard input. `name` stands for the file's name: give
    /// `stdin.ulaw` where raw μ-law comes, `-` where it can be anything else.
    ///
    /// # Errors
    ///
    /// [`RecordingError`] says what is wrong with the bytes.
    pub fn from_reader(
        reader: impl Read + Send + Sync + 'static,
        name: &str,
    ) -> Result<Self, RecordingError> {
        Self::from_source(Source::from_reader(reader), Path::new(name))
    }

    /// Reads what can be sought from its beginning, such as bytes in memory. `name` stands for the
    /// file's name.
    ///
    /// # Errors
    ///
    /// [`RecordingError`] says what is wrong with the bytes.
    pub fn from_seekable(
        reader: impl Read + Seek + Send + Sync + 'static,
        name: &str,
    ) -> Result<Self, RecordingError> {
        Self::from_source(Source::from_seekable(reader)?, Path::new(name))
    }

    fn from_source(mut source: Source, name: &Path) -> Result<Self, RecordingError> {
        let opened = match sniff::kind(&mut source, name)? {
            Kind::Wav => wav::open(source)?,
            Kind::Raw(law) => raw::open(source, law),
            Kind::Packets(container) => packets::open(source, container)?,
        };
        let Opened {
            format,
            shape,
            announced,
            blocks,
        } = opened;
        Ok(Self {
            format,
            shape,
            announced,
            blocks,
            ended: false,
        })
    }

    /// Container and codec in words, such as `WAV, μ-law`.
    #[must_use]
    pub fn format(&self) -> &str {
        &self.format
    }

    /// Samples per second and channel, 4 to 192 kHz.
    #[must_use]
    pub fn rate(&self) -> SampleRate {
        self.shape.rate
    }

    /// How many channels are interleaved, 1 to [`MAX_CHANNELS`].
    #[must_use]
    pub fn channels(&self) -> NonZeroU16 {
        self.shape.channels
    }

    /// The length of one channel as its container announces it. It may be wrong: for progress, not
    /// for arithmetic.
    #[must_use]
    pub fn announced_len(&self) -> Option<SampleCount> {
        self.announced
    }

    /// Appends the next block to `samples`, interleaved, and returns how many instants (samples of
    /// one channel) it holds; 0 at the end. Wider samples are rounded to the nearest, louder ones
    /// saturate, and what is not a number is 0.
    ///
    /// Damage does not stop it: what cannot be decoded is left out, with silence in its place where
    /// its length is known, so that times stay true (in an Ogg, to within a page).
    ///
    /// # Errors
    ///
    /// [`RecordingError`], once, at the very end: that something was damaged, cut short or could
    /// not be read, and where. All that could be decoded was appended before. After it comes 0.
    pub fn read(&mut self, samples: &mut Vec<i16>) -> Result<usize, RecordingError> {
        if self.ended {
            return Ok(0);
        }
        let start = samples.len();
        let result = self.blocks.read(samples);
        if result.is_err() {
            samples.truncate(start);
        }
        self.ended = !matches!(result, Ok(1..));
        result
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording")
            .field("format", &self.format)
            .field("shape", &self.shape)
            .field("announced", &self.announced)
            .finish_non_exhaustive()
    }
}
