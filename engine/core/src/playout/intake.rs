//! The voice's audio on its way into the queue: in the leg's rate, and without the silence in
//! front of the first word.

use std::time::Duration;

use sidetone_codecs::{ResampleError, Resampler, SampleRate};

/// Below this level a sample in front of the first word is silence: about −50 dBFS.
const SILENT: u16 = 100;
/// How much silence in front of the first word is left out, and how much of it stays.
const MAX_TRIM: Duration = Duration::from_millis(400);
const KEEP: Duration = Duration::from_millis(10);

/// Makes of the voice's audio what is queued. What it returns is to be queued, and may be nothing.
#[derive(Debug)]
pub(super) struct Intake {
    /// The leg's rate.
    rate: SampleRate,
    opening: Opening,
    /// From the rate that came last.
    resampler: Option<(SampleRate, Resampler)>,
    pcm: Vec<i16>,
}

/// Voices begin with some silence. In front of the first word it only makes the caller wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opening {
    /// Nothing was queued but silence, of which so many samples were left out.
    Silent { trimmed: usize },
    /// Everything is kept.
    Sounding,
}

impl Intake {
    pub(super) fn new(rate: SampleRate) -> Self {
        Self {
            rate,
            opening: Opening::Sounding,
            resampler: None,
            pcm: Vec::new(),
        }
    }

    /// The first words begin: the caller waits for them.
    pub(super) fn begin_first(&mut self) {
        self.opening = Opening::Silent { trimmed: 0 };
    }

    /// More words begin behind others.
    pub(super) fn begin_next(&mut self) {
        self.opening = Opening::Sounding;
    }

    /// Takes audio of the words that began.
    pub(super) fn push(&mut self, pcm: &[i16], rate: SampleRate) -> Result<&[i16], ResampleError> {
        if self
            .resampler
            .as_ref()
            .is_none_or(|(from, _)| *from != rate)
        {
            self.resampler = Some((rate, Resampler::new(rate, self.rate)?));
        }
        let (_, resampler) = self.resampler.as_mut().expect("it was just made");
        self.pcm.clear();
        resampler.process(pcm, &mut self.pcm);
        self.trim();
        Ok(&self.pcm)
    }

    /// The words that began get no more audio: gives out what the resampler holds back.
    pub(super) fn flush(&mut self) -> &[i16] {
        self.pcm.clear();
        if let Some((_, resampler)) = &mut self.resampler {
            resampler.finish(&mut self.pcm);
            resampler.reset();
            self.trim();
        }
        &self.pcm
    }

    /// Takes a whole phrase of 8 kHz that is no part of the words that began.
    pub(super) fn aside(&mut self, pcm: &[i16]) -> &[i16] {
        let from = SampleRate::HZ_8000;
        self.pcm.clear();
        if from == self.rate {
            self.pcm.extend_from_slice(pcm);
        } else {
            // Of its own: the voice may be in the middle of a sentence.
            let mut resampler =
                Resampler::new(from, self.rate).expect("8 kHz is resampled to every leg's rate");
            resampler.process(pcm, &mut self.pcm);
            resampler.finish(&mut self.pcm);
        }
        &self.pcm
    }

    /// Forgets what the resampler holds back.
    pub(super) fn reset(&mut self) {
        if let Some((_, resampler)) = &mut self.resampler {
            resampler.reset();
        }
    }

    /// Takes the silence in front of the first word out of what is about to be queued.
    fn trim(&mut self) {
        let Opening::Silent { trimmed } = self.opening else {
            return;
        };
        let len = |duration| {
            let samples = self.rate.samples_in(duration).0;
            usize::try_from(samples).expect("less than a second")
        };
        let loud = self
            .pcm
            .iter()
            .position(|sample| sample.unsigned_abs() > SILENT);
        let silent = loud.map_or(self.pcm.len(), |first| first.saturating_sub(len(KEEP)));
        let cut = silent.min(len(MAX_TRIM) - trimmed);
        self.opening = if loud.is_some() || cut < silent {
            Opening::Sounding
        } else {
            Opening::Silent {
                trimmed: trimmed + cut,
            }
        };
        self.pcm.drain(..cut);
    }
}
