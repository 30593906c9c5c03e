//! Where the samples come from.

use sidetone_codecs::recording::{Recording, RecordingError};

/// A recording as the transcription reads it.
pub(super) trait Source: Send {
    /// Appends the next block, interleaved, and returns how many instants it holds; 0 at the end.
    fn read(&mut self, samples: &mut Vec<i16>) -> Result<usize, RecordingError>;
}

impl Source for Recording {
    fn read(&mut self, samples: &mut Vec<i16>) -> Result<usize, RecordingError> {
        Self::read(self, samples)
    }
}
