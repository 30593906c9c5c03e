//! Transcription of recordings.

use std::{
    path::PathBuf,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::Stream;
use sidetone_codecs::recording::Recording;
use sidetone_models::ModelSource;

mod call;
mod error;
mod format;
mod options;
mod redact;
mod transcript;

pub use call::{RecordedCall, RecordedCallError, RecordedCalls};
pub use error::TranscribeError;
pub use format::{Format, NdjsonWriter, UnknownFormat};
pub use options::{Channels, LanguageChoice, TranscribeOptions};
pub use redact::{Redaction, Redactor, UnknownRedaction};
pub use transcript::{Damage, Segment, Source, Timings, Transcript, Word};

/// How a [`Transcriber`] is set up.
#[derive(Clone, Debug, PartialEq)]
pub struct TranscriberConfig {
    /// A model in whisper.cpp's ggml format.
    pub model: ModelSource,
    /// How many windows are decoded at the same time, each by one thread. 1 to 64. Default: one per
    /// core.
    pub threads: usize,
}

/// Transcribes recordings with a local Whisper model. Cheap to clone; recordings that are under way at the same
/// time share the threads.
#[derive(Clone, Debug)]
pub struct Transcriber {}

impl Transcriber {
    /// Loads the model. Blocks while it reads the file.
    ///
    /// # Errors
    ///
    /// [`TranscribeError`] says which setting or what about the model is wrong.
    pub fn load(config: TranscriberConfig) -> Result<Self, TranscribeError> {
        let _ = config;
        todo!()
    }

    /// Starts on a recording. `name` stands in the transcript and in errors.
    ///
    /// # Errors
    ///
    /// [`TranscribeError`] where the options do not fit the model or the recording.
    pub fn start(
        &self,
        recording: Recording,
        name: PathBuf,
        options: TranscribeOptions,
    ) -> Result<Transcription, TranscribeError> {
        let _ = (recording, name, options);
        todo!()
    }
}

/// A transcription under way: a stream of its segments in the order of their beginnings. Dropping it stops it.
#[derive(Debug)]
pub struct Transcription {}

impl Transcription {
    /// How far it is. Cheap; from any thread through a clone of the receiver behind it.
    #[must_use]
    pub fn progress(&self) -> Progress {
        todo!()
    }

    /// Takes no new windows: the segments of those under way still come, then the stream ends.
    pub fn stop(&self) {
        todo!()
    }

    /// Waits for the end, and returns everything, the segments that the stream yielded before
    /// included.
    ///
    /// # Errors
    ///
    /// [`TranscribeError`] when the recognition failed. A damaged recording is no error here: see
    /// [`Transcript::damage`].
    pub async fn finish(self) -> Result<Transcript, TranscribeError> {
        todo!()
    }
}

impl Stream for Transcription {
    type Item = Segment;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Segment>> {
        let _ = cx;
        todo!()
    }
}

/// How far a transcription is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// All before this point of the recording is transcribed.
    pub done: Duration,
    /// The recording's length, where it is known before the end.
    pub total: Option<Duration>,
}
