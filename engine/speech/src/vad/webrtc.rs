//! The WebRTC project's detector: Gaussian mixtures over six bands, in fixed-point C.

use std::fmt;

use sidetone_codecs::SampleRate;
use sidetone_core::vad::Vad;

use self::handle::Handle;

/// 10 ms at 8 kHz, the rate it works at inside.
const FRAME_LEN: usize = 80;

/// How many verdicts are averaged.
const WINDOW: usize = 3;

/// How much must speak for speech before the detector says so. Higher misses more soft speech
/// and reports less noise as speech.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Aggressiveness {
    /// Mode 0: misses least.
    Quality,
    /// Mode 1.
    LowBitrate,
    /// Mode 2, the default.
    #[default]
    Aggressive,
    /// Mode 3: reports least noise.
    VeryAggressive,
}

/// The cheapest detector: 8 kHz, frames of 10 ms, below 1 KiB for each leg.
///
/// The detector itself only says yes or no. The probability given here is the share of yes among
/// the last three frames, so that one frame out of line changes nothing: 0, 1/3, 2/3 or 1. That
/// makes speech show 10 ms later than the detector saw it.
///
/// It takes steady tones for speech: prefer [`EarshotVad`](super::EarshotVad) where a line may
/// carry tones or noise.
pub struct WebrtcVad {
    handle: Handle,
    /// The last verdicts, newest in the lowest bit.
    verdicts: u8,
}

impl WebrtcVad {
    /// A detector that has heard nothing yet.
    #[must_use]
    pub fn new(aggressiveness: Aggressiveness) -> Self {
        Self {
            handle: Handle::new(aggressiveness),
            verdicts: 0,
        }
    }
}

impl Default for WebrtcVad {
    fn default() -> Self {
        Self::new(Aggressiveness::default())
    }
}

impl fmt::Debug for WebrtcVad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebrtcVad").finish_non_exhaustive()
    }
}

impl Vad for WebrtcVad {
    fn rate(&self) -> SampleRate {
        SampleRate::HZ_8000
    }

    fn frame_len(&self) -> usize {
        FRAME_LEN
    }

    fn push(&mut self, frame: &[i16]) -> f32 {
        assert_eq!(frame.len(), FRAME_LEN, "samples in a frame");
        let verdict = u8::from(self.handle.is_speech(frame));
        self.verdicts = ((self.verdicts << 1) | verdict) & ((1 << WINDOW) - 1);
        self.verdicts.count_ones() as f32 / WINDOW as f32
    }

    fn reset(&mut self) {
        self.handle.reset();
        self.verdicts = 0;
    }
}

/// Makes the C library's instance `Send`, and keeps its settings through a reset.
#[allow(unsafe_code)]
mod handle {
    use webrtc_vad::{SampleRate, Vad, VadMode};

    use super::Aggressiveness;

    pub(super) struct Handle {
        vad: Vad,
        aggressiveness: Aggressiveness,
    }

    // SAFETY: `Vad` is a pointer to one heap block that it alone owns: made by `fvad_new`, freed
    // by its `Drop`, never handed out. libfvad keeps no thread-local and no mutable global state,
    // so which thread uses or frees the block makes no difference. Sharing is another matter:
    // `Handle` is not `Sync`, and every use takes `&mut self`.
    unsafe impl Send for Handle {}

    impl Handle {
        pub(super) fn new(aggressiveness: Aggressiveness) -> Self {
            Self {
                vad: Vad::new_with_rate_and_mode(SampleRate::Rate8kHz, mode(aggressiveness)),
                aggressiveness,
            }
        }

        pub(super) fn is_speech(&mut self, frame: &[i16]) -> bool {
            self.vad
                .is_voice_segment(frame)
                .expect("80 samples at 8 kHz are a valid frame")
        }

        /// The library's reset also puts rate and mode back to its defaults.
        pub(super) fn reset(&mut self) {
            self.vad.reset();
            self.vad.set_sample_rate(SampleRate::Rate8kHz);
            self.vad.set_mode(mode(self.aggressiveness));
        }
    }

    fn mode(aggressiveness: Aggressiveness) -> VadMode {
        match aggressiveness {
            Aggressiveness::Quality => VadMode::Quality,
            Aggressiveness::LowBitrate => VadMode::LowBitrate,
            Aggressiveness::Aggressive => VadMode::Aggressive,
            Aggressiveness::VeryAggressive => VadMode::VeryAggressive,
        }
    }
}
