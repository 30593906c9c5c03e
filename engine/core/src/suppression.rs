//! Noise suppression, as the call sees it.
//!
//! Whether the caller speaks, and how loud the line is, is judged without the noise. The recogniser, the
//! turn model, recordings and people get the audio as it came, and echo is looked for in it: an echo
//! that went through a suppressor is no copy of what was played any more.

use std::{sync::Arc, time::Duration};

use sidetone_codecs::{Resampler, SampleCount, SampleRate};

/// Makes the noise suppressor of a caller's leg.
pub type MakeNoiseSuppressor = Arc<dyn Fn() -> Box<dyn NoiseSuppressor> + Send + Sync>;

/// Takes the noise out of one leg's audio.
///
/// It is fed whole frames in order and answers at once; it runs inside
/// [`Call::step`](crate::call::Call::step), so it neither blocks nor allocates after construction.
pub trait NoiseSuppressor: Send {
    /// The rate of the PCM it works on.
    fn rate(&self) -> SampleRate;

    /// The length of a frame, in samples at [`rate`](Self::rate). Constant.
    fn frame_len(&self) -> usize;

    /// How many samples what comes out lags behind what goes in. Constant.
    fn delay(&self) -> SampleCount;

    /// Replaces `frame` by the next frame without noise. Digital silence stays digital silence, once
    /// what came before it is through.
    ///
    /// # Panics
    ///
    /// May panic if `frame` is not [`frame_len`](Self::frame_len) samples long.
    fn suppress(&mut self, frame: &mut [i16]);
}

/// A suppressor behind a leg: the leg's audio is resampled to its rate and cut into its frames.
pub(crate) struct Suppression {
    suppressor: Box<dyn NoiseSuppressor>,
    up: Resampler,
    /// At the suppressor's rate, less than one frame between pushes.
    unframed: Vec<i16>,
    delay: Duration,
}

impl Suppression {
    /// `None` if the leg's rate cannot be resampled to the suppressor's.
    pub(crate) fn new(suppressor: Box<dyn NoiseSuppressor>, leg: SampleRate) -> Option<Self> {
        let rate = suppressor.rate();
        let up = Resampler::new(leg, rate).ok()?;
        // A leg sends whole tens of ms, and so much is missing of the first because the resampler
        // looks ahead: it goes in front, or every frame would wait for the leg's next.
        let ahead = up.delay();
        let delay = SampleCount(ahead.0 + suppressor.delay().0).duration(rate);
        let len = |samples: SampleCount| usize::try_from(samples.0).expect("less than a second");
        // A leg is followed in slices of 20 ms at most; the reserve covers 200 ms.
        let reserve = len(rate.samples_in(Duration::from_millis(200)));
        let mut unframed = Vec::with_capacity(suppressor.frame_len() + reserve);
        unframed.resize(len(ahead), 0);
        Some(Self {
            suppressor,
            up,
            unframed,
            delay,
        })
    }

    /// The rate of what comes out.
    pub(crate) fn rate(&self) -> SampleRate {
        self.suppressor.rate()
    }

    /// How much later a sound comes out than it went in, counted in the samples of either side.
    pub(crate) fn delay(&self) -> Duration {
        self.delay
    }

    /// Takes the leg's next audio; calls `on_frame` with each frame that is free of noise.
    pub(crate) fn push(&mut self, pcm: &[i16], mut on_frame: impl FnMut(&[i16])) {
        self.up.process(pcm, &mut self.unframed);
        let mut frames = self.unframed.chunks_exact_mut(self.suppressor.frame_len());
        for frame in &mut frames {
            self.suppressor.suppress(frame);
            on_frame(frame);
        }
        let rest = frames.into_remainder().len();
        self.unframed.drain(..self.unframed.len() - rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Suppresses nothing, and takes as long as RNNoise.
    struct Late {
        rate: SampleRate,
        frame: Vec<i16>,
    }

    impl Late {
        fn boxed(rate: SampleRate) -> Box<Self> {
            let frame_len = rate.hz() as usize / 100;
            Box::new(Self {
                rate,
                frame: vec![0; frame_len],
            })
        }
    }

    impl NoiseSuppressor for Late {
        fn rate(&self) -> SampleRate {
            self.rate
        }
        fn frame_len(&self) -> usize {
            self.frame.len()
        }
        fn delay(&self) -> SampleCount {
            SampleCount(self.frame.len() as u64)
        }
        fn suppress(&mut self, frame: &mut [i16]) {
            frame.swap_with_slice(&mut self.frame);
        }
    }

    fn new(rate: SampleRate, leg: SampleRate) -> Suppression {
        Suppression::new(Late::boxed(rate), leg).expect("usual rates")
    }

    fn through(suppression: &mut Suppression, pcm: &[i16], piece: usize) -> Vec<i16> {
        let mut out = Vec::new();
        for pcm in pcm.chunks(piece) {
            suppression.push(pcm, |frame| out.extend_from_slice(frame));
        }
        out
    }

    #[test]
    fn a_sound_comes_out_later_by_the_delay() {
        for (leg, rate) in [
            (SampleRate::HZ_8000, SampleRate::HZ_48000),
            (SampleRate::HZ_16000, SampleRate::HZ_48000),
            (SampleRate::HZ_48000, SampleRate::HZ_48000),
            (SampleRate::HZ_8000, SampleRate::HZ_8000),
        ] {
            let mut suppression = new(rate, leg);
            let mut click = vec![0; leg.hz() as usize / 10];
            let at = leg.hz() as usize / 40;
            click[at] = 20_000;
            let out = through(&mut suppression, &click, leg.hz() as usize / 50);
            let loudest = (0..out.len()).max_by_key(|n| out[*n].unsigned_abs());
            let later = rate.samples_in(suppression.delay()).0 as usize;
            let expected = at * (rate.hz() / leg.hz()) as usize + later;
            // Between two samples, the one before may be the loudest as well as the one after.
            let off = loudest.expect("there is a click").abs_diff(expected);
            assert!(off <= 1, "{leg} to {rate}: {off} samples");
        }
    }

    #[test]
    fn at_the_telephones_rate_the_delay_is_that_of_the_resampler_and_of_a_frame() {
        let suppression = new(SampleRate::HZ_48000, SampleRate::HZ_8000);
        assert_eq!(suppression.delay().as_micros(), 13_729);
    }

    #[test]
    fn whole_tens_of_ms_never_wait() {
        for ms in [10, 20] {
            let mut suppression = new(SampleRate::HZ_48000, SampleRate::HZ_8000);
            for n in 0..100 {
                let out = through(&mut suppression, &vec![0; ms * 8], ms * 8);
                assert_eq!(out.len(), ms * 48, "piece {n} of {ms} ms");
            }
        }
    }

    #[test]
    fn how_the_audio_is_cut_makes_no_difference() {
        let mut random = fastrand::Rng::with_seed(5);
        let pcm: Vec<i16> = (0..4_000).map(|_| random.i16(..)).collect();
        let make = || new(SampleRate::HZ_48000, SampleRate::HZ_8000);
        let whole = through(&mut make(), &pcm, pcm.len());
        for piece in [1, 7, 80, 160, 333] {
            let pieces = through(&mut make(), &pcm, piece);
            assert_eq!(pieces, whole, "pieces of {piece}");
        }
    }
}
