//! Audio on its way from a service to a call.

use std::time::Duration;

use sidetone_core::job::TtsEvent;

use super::decode::Decoder;
use crate::job::{Sink, SinkClosed};

/// No sentence takes longer; a service that goes on is stopped.
const MAX_SPEECH: Duration = Duration::from_secs(120);

/// Decodes bytes as they come and reports the audio in them.
#[derive(Debug)]
pub(super) struct Telling<'a> {
    decoder: Decoder,
    sink: &'a Sink<TtsEvent>,
    told: Duration,
}

/// Why audio cannot be told on.
#[derive(Debug)]
pub(super) enum Halt {
    /// The bytes are not the audio they should be.
    Problem(String),
    /// Nobody listens any more.
    Closed,
}

impl From<SinkClosed> for Halt {
    fn from(_: SinkClosed) -> Self {
        Self::Closed
    }
}

impl<'a> Telling<'a> {
    pub(super) fn new(decoder: Decoder, sink: &'a Sink<TtsEvent>) -> Self {
        Self {
            decoder,
            sink,
            told: Duration::ZERO,
        }
    }

    /// Tells the audio that `bytes` complete.
    pub(super) async fn push(&mut self, bytes: &[u8]) -> Result<(), Halt> {
        let Some((samples, rate)) = self.decoder.push(bytes).map_err(Halt::Problem)? else {
            return Ok(());
        };
        self.told += sidetone_codecs::SampleCount::of(&samples).duration(rate);
        if self.told > MAX_SPEECH {
            let limit = MAX_SPEECH.as_secs();
            return Err(Halt::Problem(format!(
                "more than {limit} s for one sentence"
            )));
        }
        Ok(self.sink.send(TtsEvent::Audio { samples, rate }).await?)
    }

    /// Checks that the audio of `text` may end here.
    pub(super) fn finish(self, text: &str) -> Result<(), &'static str> {
        self.decoder.finish()?;
        let silent = self.told.is_zero() && text.chars().any(char::is_alphanumeric);
        if silent { Err("no audio") } else { Ok(()) }
    }
}
