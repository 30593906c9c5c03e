//! How loud the caller's line is, and when it is as quiet as it was before the caller spoke.
//!
//! Neural detectors keep believing in speech for 100 to 300 ms after its last sound, and longer
//! in noise. Levels say it at once wherever the noise allows; where it does not, the detector
//! decides alone.

use std::time::Duration;

/// Levels are not taken to be lower than this, in dBFS: G.711's silence is digital.
pub(crate) const QUIETEST_DBFS: f32 = -90.0;
/// A frame this much above the noise may still be speech.
const ABOVE_NOISE_DB: f32 = 6.0;
/// A frame this much below the turn's loudest sound is no speech, whatever the noise.
const BELOW_LOUDEST_DB: f32 = 35.0;
/// Nothing closer to the loudest sound than this is judged by its level.
const TOO_LOUD_TO_JUDGE_DB: f32 = 15.0;
/// The noise is believed to rise, and the loudest sound to be forgotten, this quickly.
const NOISE_RISE_DB_PER_S: f32 = 2.0;
const LOUDEST_FALL_DB_PER_S: f32 = 5.0;

/// A level this far below the loudest sound that stays within so much for so long is the noise,
/// even if there was less of it before: some phones let the noise through only around speech.
const STEADY_BELOW_LOUDEST_DB: f32 = 18.0;
const STEADY_WITHIN_DB: f32 = 3.0;
const STEADY_FOR: Duration = Duration::from_millis(100);

/// Follows the noise on a line and the loudest of what is said on it.
#[derive(Debug)]
pub(crate) struct Loudness {
    noise_dbfs: Option<f32>,
    loudest_dbfs: f32,
    /// The level that the latest frames stayed near, and for how long.
    steady_dbfs: f32,
    steady_for: Duration,
}

impl Loudness {
    pub(crate) fn new() -> Self {
        Self {
            noise_dbfs: None,
            loudest_dbfs: QUIETEST_DBFS,
            steady_dbfs: QUIETEST_DBFS,
            steady_for: Duration::ZERO,
        }
    }

    /// Takes the level of the next frame; whether it is as quiet as the line without speech.
    pub(crate) fn is_quiet(&mut self, level: f32, duration: Duration) -> bool {
        let seconds = duration.as_secs_f32();
        let noise = self.noise_dbfs.get_or_insert(level);
        if level < *noise {
            // Down at once, but for a single frame that happens to be still.
            *noise += (level - *noise) * 0.3;
        } else {
            *noise = (*noise + NOISE_RISE_DB_PER_S * seconds).min(level);
        }
        self.loudest_dbfs = level.max(self.loudest_dbfs - LOUDEST_FALL_DB_PER_S * seconds);
        if (level - self.steady_dbfs).abs() <= STEADY_WITHIN_DB {
            self.steady_for += duration;
        } else {
            (self.steady_dbfs, self.steady_for) = (level, duration);
        }
        let far_below = level < self.loudest_dbfs - STEADY_BELOW_LOUDEST_DB;
        if far_below && self.steady_for >= STEADY_FOR {
            *noise = noise.max(self.steady_dbfs);
        }
        let gate = (*noise + ABOVE_NOISE_DB).max(self.loudest_dbfs - BELOW_LOUDEST_DB);
        level < gate.min(self.loudest_dbfs - TOO_LOUD_TO_JUDGE_DB)
    }
}

/// The root mean square of a frame in dB below a full-scale square wave.
pub(crate) fn level_dbfs(samples: &[i16]) -> f32 {
    let energy: i64 = samples.iter().map(|sample| i64::from(*sample).pow(2)).sum();
    let mean = energy as f32 / samples.len().max(1) as f32;
    (10.0 * (mean / (32_768.0 * 32_768.0)).log10()).max(QUIETEST_DBFS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(16);

    /// Noise of about this level.
    fn noise(random: &mut fastrand::Rng, dbfs: f32) -> Vec<i16> {
        // Evenly spread numbers have a mean square of a third of the largest one's.
        let peak = (32_768.0 * 10_f32.powf(dbfs / 20.0) * 3_f32.sqrt()).min(32_767.0) as i16;
        (0..256).map(|_| random.i16(-peak..=peak)).collect()
    }

    /// How many of 50 frames of `after` are quiet, on a line with noise `before`, once speech
    /// of `speech` has ended.
    fn quiet_frames(before: f32, speech: f32, after: f32) -> usize {
        let mut random = fastrand::Rng::with_seed(3);
        let mut loudness = Loudness::new();
        for level in [before; 60].into_iter().chain([speech; 100]) {
            loudness.is_quiet(level_dbfs(&noise(&mut random, level)), FRAME);
        }
        (0..50)
            .filter(|_| loudness.is_quiet(level_dbfs(&noise(&mut random, after)), FRAME))
            .count()
    }

    #[test]
    fn a_level_is_a_level() {
        assert!((level_dbfs(&[16_384; 256]) + 6.02).abs() < 0.01);
        assert_eq!(level_dbfs(&[0; 256]), QUIETEST_DBFS);
        assert_eq!(level_dbfs(&[]), QUIETEST_DBFS);
    }

    #[test]
    fn the_line_is_quiet_as_soon_as_speech_ends() {
        for noise in [-90.0, -60.0, -50.0, -40.0] {
            assert_eq!(
                quiet_frames(noise, -20.0, noise),
                50,
                "noise at {noise} dBFS"
            );
        }
    }

    #[test]
    fn noise_that_only_comes_with_speech_is_quiet_too() {
        assert_eq!(quiet_frames(-90.0, -20.0, -62.0), 50);
    }

    #[test]
    fn more_noise_than_before_is_recognised_by_its_steadiness() {
        for (before, after) in [(-60.0, -50.0), (-90.0, -48.0), (-60.0, -42.0)] {
            let quiet = quiet_frames(before, -20.0, after);
            assert!(
                (43..=50).contains(&quiet),
                "{before} then {after}: {quiet} of 50"
            );
        }
    }

    #[test]
    fn speech_is_not_quiet() {
        for speech in [-20.0, -30.0, -40.0] {
            assert_eq!(
                quiet_frames(-60.0, speech, speech),
                0,
                "speech at {speech} dBFS"
            );
        }
    }

    #[test]
    fn nor_is_the_soft_end_of_a_sentence() {
        let mut random = fastrand::Rng::with_seed(3);
        let mut loudness = Loudness::new();
        for level in [-60.0; 60].into_iter().chain([-20.0; 100]) {
            loudness.is_quiet(level_dbfs(&noise(&mut random, level)), FRAME);
        }
        // Syllables: a few frames each, none as loud as the one before.
        let end = (0..40).map(|n| -30.0 - (n % 5) as f32 * 4.0);
        for level in end {
            assert!(
                !loudness.is_quiet(level_dbfs(&noise(&mut random, level)), FRAME),
                "{level} dBFS"
            );
        }
    }

    #[test]
    fn where_the_noise_is_as_loud_as_the_speech_levels_say_nothing() {
        assert_eq!(quiet_frames(-28.0, -20.0, -28.0), 0);
    }
}
