//! Earshot: a recurrent network on mel features, in pure Rust, its weights inside the crate.

use earshot::Detector;
use sidetone_codecs::SampleRate;
use sidetone_core::vad::Vad;

/// 16 ms at 16 kHz.
const FRAME_LEN: usize = 256;

/// The default detector: 16 kHz, frames of 16 ms, some 8 KiB for each leg.
///
/// The network's scores crowd around its neutral 0.5: a quiet line rests anywhere from 0.15 to
/// 0.35. Squaring the odds spreads them (0.35 becomes 0.22) and leaves 0.5 where it is, so that
/// silence after speech is seen some 50 ms sooner by a threshold below 0.5.
///
/// The spectrum of a frame reaches back over the two frames before it, so speech shows one to two
/// frames late. Noise and a single steady tone are not speech to it; a dial tone and quick keys (DTMF)
/// can be.
pub struct EarshotVad {
    detector: Box<Detector>,
}

impl EarshotVad {
    /// A detector that has heard nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            detector: Detector::default_boxed(),
        }
    }
}

impl Default for EarshotVad {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for EarshotVad {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EarshotVad").finish_non_exhaustive()
    }
}

impl Vad for EarshotVad {
    fn rate(&self) -> SampleRate {
        SampleRate::HZ_16000
    }

    fn frame_len(&self) -> usize {
        FRAME_LEN
    }

    fn push(&mut self, frame: &[i16]) -> f32 {
        assert_eq!(frame.len(), FRAME_LEN, "samples in a frame");
        let score = self.detector.predict_i16(frame).clamp(0.0, 1.0);
        let (speech, silence) = (score * score, (1.0 - score) * (1.0 - score));
        speech / (speech + silence)
    }

    fn reset(&mut self) {
        self.detector.reset();
    }
}
