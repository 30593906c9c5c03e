//! Recordings of every common format, decoded as they are read.

use std::{io::Read, num::NonZeroU16, path::Path};

use crate::{SampleCount, SampleRate};

mod error;

pub use error::RecordingError;

/// A recording that is being decoded. Memory does not depend on its length.
pub struct Recording {}

impl Recording {
    /// Opens a file; what it holds is found by its content, with its name as a hint.
    ///
    /// # Errors
    ///
    /// [`RecordingError`] says what is wrong with the file.
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        let _ = path;
        todo!()
    }

    /// Reads what cannot be sought, such as standard input. `name` is a hint ("-", "call.mp3").
    ///
    /// # Errors
    ///
    /// [`RecordingError`] says what is wrong with the bytes.
    pub fn from_reader(
        reader: impl Read + Send + Sync + 'static,
        name: &str,
    ) -> Result<Self, RecordingError> {
        let _ = (reader, name);
        todo!()
    }

    /// Container and codec in words, such as `WAV, μ-law`.
    #[must_use]
    pub fn format(&self) -> &str {
        todo!()
    }

    /// Samples per second and channel.
    #[must_use]
    pub fn rate(&self) -> SampleRate {
        todo!()
    }

    /// How many channels are interleaved.
    #[must_use]
    pub fn channels(&self) -> NonZeroU16 {
        todo!()
    }

    /// The length of one channel as its container announces it.
    #[must_use]
    pub fn announced_len(&self) -> Option<SampleCount> {
        todo!()
    }

    /// Appends the next block to `samples`, interleaved, and returns how many instants (samples of
    /// one channel) it holds; 0 at the end.
    ///
    /// # Errors
    ///
    /// [`RecordingError`]: where the bytes are damaged, cut short or cannot be read. What was appended
    /// before stays good.
    pub fn read(&mut self, samples: &mut Vec<i16>) -> Result<usize, RecordingError> {
        let _ = samples;
        todo!()
    }
}
