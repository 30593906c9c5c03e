//! RNNoise: a recurrent network that sets the gains of 22 bands, and a comb filter for voices.

use std::fmt;

use nnnoiseless::DenoiseState;
use sidetone_codecs::{SampleCount, SampleRate};
use sidetone_core::suppression::NoiseSuppressor;

/// 10 ms at 48 kHz.
const FRAME_LEN: usize = DenoiseState::FRAME_SIZE;

/// After so many frames of digital silence nothing of what came before is left: the longest memory
/// of audio, for the pitch, is of 36 ms, and the high-pass filter has fallen by 36 dB.
const SETTLED: u32 = 10;

/// RNNoise for one leg: 48 kHz, frames of 10 ms, what comes out a frame late. Some 36 KiB.
///
/// It was made for full-band audio and works on a telephone's all the same. A frame of digital
/// silence, of which calls have many, costs nothing: computed, it would cost six times as much as
/// another, for what is left in the filters becomes too small for the processor to be quick.
pub struct Rnnoise {
    state: Box<DenoiseState<'static>>,
    input: [f32; FRAME_LEN],
    output: [f32; FRAME_LEN],
    /// Frames of digital silence in a row.
    silent: u32,
}

impl Rnnoise {
    /// A suppressor that has heard nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: DenoiseState::new(),
            input: [0.0; FRAME_LEN],
            output: [0.0; FRAME_LEN],
            silent: SETTLED,
        }
    }
}

impl Default for Rnnoise {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Rnnoise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rnnoise").finish_non_exhaustive()
    }
}

impl NoiseSuppressor for Rnnoise {
    fn rate(&self) -> SampleRate {
        SampleRate::HZ_48000
    }

    fn frame_len(&self) -> usize {
        FRAME_LEN
    }

    fn delay(&self) -> SampleCount {
        SampleCount(FRAME_LEN as u64)
    }

    fn suppress(&mut self, frame: &mut [i16]) {
        assert_eq!(frame.len(), FRAME_LEN, "samples in a frame");
        if frame.iter().any(|sample| *sample != 0) {
            self.silent = 0;
        } else if self.silent < SETTLED {
            self.silent += 1;
        } else {
            return;
        }
        for (input, sample) in self.input.iter_mut().zip(&*frame) {
            *input = f32::from(*sample);
        }
        self.state.process_frame(&mut self.output, &self.input);
        for (sample, output) in frame.iter_mut().zip(&self.output) {
            // Rounds; what is out of range saturates.
            *sample = output.round() as i16;
        }
    }
}
