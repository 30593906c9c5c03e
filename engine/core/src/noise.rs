//! What the caller's line sounds like when nobody speaks into it: a fan, traffic, a room of people.
//!
//! Detectors of voice activity take loud noise for speech, but speech is never of one loudness for
//! long: between its vowels, consonants and stops lie 17 dB and more in any second and a half. A second
//! and more that stays within 10 dB is noise, whatever the detector thinks of it, and what comes later
//! and is no louder is noise, too. It is learnt anew whenever that happens, so noise may begin in
//! mid-call; and it is never learnt from speech, however long.

use std::time::Duration;

use crate::loudness::QUIETEST_DBFS;

/// Noise is learnt from so much audio.
const WINDOW: Duration = Duration::from_millis(1_250);
/// Frames in it at most: 10 ms each.
const MOST_FRAMES: usize = 125;
/// One level for each dB.
const LEVELS: usize = 91;
/// Of a window that is noise, all but a tenth at either end lies within so much.
const STEADY_WITHIN_DB: f32 = 10.0;
/// A window that spreads less than this is hardly of speech alone.
const HARDLY_SPEECH_DB: f32 = 18.0;
/// What it is believed to spread further than it did: a caller who speaks into loud noise spreads it, too.
const SPREADS_DB_PER_S: f32 = 1.0;
/// What is so much above all but the loudest tenth of the noise is not only that.
const ABOVE_NOISE_DB: f32 = 2.0;
/// Noise has become less if the softest tenth of a window is so much softer than it was.
const LESS_DB: f32 = 3.0;
/// A frame is judged by the energy of so much audio, its own counting most.
const SMOOTHED: Duration = Duration::from_millis(30);

/// Learns the noise of a line.
#[derive(Debug)]
pub(crate) struct Noise {
    /// The levels of the newest frames, in dB above the quietest, oldest at `next` once full.
    window: [u8; MOST_FRAMES],
    len: usize,
    next: usize,
    capacity: usize,
    /// How many frames of the window have each level.
    counts: [u8; LEVELS],
    /// The level that the softest tenth of the window lies below, and how many frames do.
    low: usize,
    below: usize,
    /// The level that the loudest tenth of it lies above, and how many frames do.
    high: usize,
    above: usize,
    /// The smoothed energy, relative to full scale.
    energy: f32,
    known: Option<Levels>,
}

/// Where the levels of most frames lie.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Levels {
    low_dbfs: f32,
    /// From the softest of them to the loudest.
    spread_db: f32,
}

impl Noise {
    /// For frames of this length.
    pub(crate) fn new(frame: Duration) -> Self {
        let capacity = WINDOW.as_micros() / frame.as_micros().max(1);
        Self {
            window: [0; MOST_FRAMES],
            len: 0,
            next: 0,
            capacity: usize::try_from(capacity)
                .unwrap_or(MOST_FRAMES)
                .clamp(1, MOST_FRAMES),
            counts: [0; LEVELS],
            low: 0,
            below: 0,
            high: LEVELS - 1,
            above: 0,
            energy: 0.0,
            known: None,
        }
    }

    /// Takes the level of the next frame; whether it is nothing but the line's noise.
    pub(crate) fn is_all(&mut self, level_dbfs: f32, frame: Duration) -> bool {
        let energy = 10_f32.powf(level_dbfs / 10.0);
        let share = (frame.as_secs_f32() / SMOOTHED.as_secs_f32()).min(1.0);
        self.energy += (energy - self.energy) * share;
        self.push(level_dbfs);
        self.learn(frame);
        let smoothed_dbfs = 10.0 * self.energy.log10();
        self.known
            .is_some_and(|noise| smoothed_dbfs <= noise.low_dbfs + noise.spread_db + ABOVE_NOISE_DB)
    }

    /// Whether the newest audio is hardly of speech alone.
    pub(crate) fn is_likely(&self) -> bool {
        self.len == self.capacity && self.levels().spread_db <= HARDLY_SPEECH_DB
    }

    /// The newest audio was no speech: whoever says so knows better than its level.
    pub(crate) fn learn_all(&mut self) {
        if self.len == self.capacity {
            self.known = Some(self.levels());
        }
    }

    fn push(&mut self, level_dbfs: f32) {
        let level = (level_dbfs - QUIETEST_DBFS)
            .round()
            .clamp(0.0, (LEVELS - 1) as f32) as u8;
        let oldest = std::mem::replace(&mut self.window[self.next], level);
        if self.len == self.capacity {
            let oldest = usize::from(oldest);
            self.counts[oldest] -= 1;
            self.below -= usize::from(oldest < self.low);
            self.above -= usize::from(oldest > self.high);
        } else {
            self.len += 1;
        }
        let level = usize::from(level);
        self.counts[level] += 1;
        self.below += usize::from(level < self.low);
        self.above += usize::from(level > self.high);
        self.next = (self.next + 1) % self.capacity;
        self.follow();
    }

    /// Moves the bounds to where a tenth of the window lies beyond each: by few steps, since one frame
    /// came and one went. More than a tenth are always on the other side, so both come to a stop.
    fn follow(&mut self) {
        let tenth = self.len / 10;
        let count = |level: usize| usize::from(self.counts[level]);
        while self.below > tenth {
            self.low -= 1;
            self.below -= count(self.low);
        }
        while self.below + count(self.low) <= tenth {
            self.below += count(self.low);
            self.low += 1;
        }
        while self.above > tenth {
            self.high += 1;
            self.above -= count(self.high);
        }
        while self.above + count(self.high) <= tenth {
            self.above += count(self.high);
            self.high -= 1;
        }
    }

    fn learn(&mut self, frame: Duration) {
        if self.len < self.capacity {
            return;
        }
        let now = self.levels();
        if now.spread_db <= STEADY_WITHIN_DB {
            let most = self.known.map_or(STEADY_WITHIN_DB, |known| {
                known.spread_db + SPREADS_DB_PER_S * frame.as_secs_f32()
            });
            self.known = Some(Levels {
                spread_db: now.spread_db.min(most),
                ..now
            });
        } else if let Some(known) = &mut self.known
            && now.low_dbfs < known.low_dbfs - LESS_DB
        {
            known.low_dbfs = now.low_dbfs;
        }
    }

    /// Where all but a tenth of the window at either end lie.
    fn levels(&self) -> Levels {
        Levels {
            low_dbfs: self.low as f32 + QUIETEST_DBFS,
            spread_db: (self.high - self.low) as f32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(16);

    struct Line {
        noise: Noise,
        random: fastrand::Rng,
    }

    impl Line {
        fn new() -> Self {
            Self {
                noise: Noise::new(FRAME),
                random: fastrand::Rng::with_seed(7),
            }
        }

        /// Frames of about `dbfs`, up to `spread_db` above or below it; how many were noise.
        fn hears(&mut self, frames: usize, dbfs: f32, spread_db: f32) -> usize {
            let mut level = || dbfs + (self.random.f32() * 2.0 - 1.0) * spread_db;
            (0..frames)
                .filter(|_| self.noise.is_all(level(), FRAME))
                .count()
        }

        /// Syllables: vowels as loud as `dbfs`, what is between them down to `floor_dbfs`.
        fn hears_speech(&mut self, syllables: usize, dbfs: f32, floor_dbfs: f32) -> usize {
            let mut noise = 0;
            for _ in 0..syllables {
                noise += self.hears(7, dbfs - 4.0, 4.0);
                noise += self.hears(2, dbfs - 14.0, 6.0);
                self.hears(2, floor_dbfs.max(dbfs - 30.0), 1.0);
            }
            noise
        }
    }

    #[test]
    fn the_bounds_are_those_of_the_sorted_window() {
        let mut line = Line::new();
        let mut levels = Vec::new();
        for n in 0..2_000_usize {
            // Jumps from end to end, and stretches of one level.
            let dbfs = match n / 50 % 4 {
                0 => QUIETEST_DBFS + 95.0 * line.random.f32(),
                1 => 0.0,
                2 => QUIETEST_DBFS - 5.0,
                _ => -40.0 + 6.0 * line.random.f32(),
            };
            line.noise.push(dbfs);
            levels.push((dbfs - QUIETEST_DBFS).round().clamp(0.0, 90.0));
            let newest = levels.len().saturating_sub(line.noise.capacity);
            let mut window = levels[newest..].to_vec();
            window.sort_by(f32::total_cmp);
            let tenth = window.len() / 10;
            let (low, high) = (window[tenth], window[window.len() - 1 - tenth]);
            let expected = Levels {
                low_dbfs: low + QUIETEST_DBFS,
                spread_db: high - low,
            };
            assert_eq!(line.noise.levels(), expected, "frame {n}");
        }
    }

    #[test]
    fn a_fan_is_noise_after_little_more_than_a_second() {
        for dbfs in [-60.0, -26.0, -12.0] {
            let mut line = Line::new();
            assert_eq!(line.hears(77, dbfs, 2.0), 0);
            assert_eq!(line.hears(200, dbfs, 2.0), 200, "{dbfs} dBFS");
        }
    }

    #[test]
    fn so_is_a_room_of_people() {
        let mut line = Line::new();
        line.hears(100, -24.0, 5.0);
        let noise = line.hears(500, -24.0, 5.0);
        assert!(noise >= 490, "{noise} of 500");
    }

    #[test]
    fn speech_is_none_however_long_and_however_soft() {
        for dbfs in [-10.0, -30.0, -45.0] {
            let mut line = Line::new();
            line.hears(200, -65.0, 2.0);
            assert_eq!(line.hears_speech(300, dbfs, -65.0), 0, "{dbfs} dBFS");
        }
    }

    #[test]
    fn nor_is_speech_into_noise() {
        for (speech, noise) in [(-14.0, -27.0), (-20.0, -40.0), (-12.0, -25.0)] {
            let mut line = Line::new();
            line.hears(200, noise, 3.0);
            let taken = line.hears_speech(20, speech, noise);
            // Vowels are heard; soft consonants may drown.
            assert!(taken <= 40, "{speech} into {noise}: {taken} of 180");
            assert!(line.hears(60, noise, 3.0) >= 55, "{speech} into {noise}");
        }
    }

    #[test]
    fn noise_may_begin_and_end_in_mid_call() {
        let mut line = Line::new();
        line.hears(300, -60.0, 2.0);
        assert_eq!(line.hears(65, -26.0, 2.0), 0, "it could be anything");
        line.hears(15, -26.0, 2.0);
        assert!(line.hears(100, -26.0, 2.0) >= 95);
        line.hears(20, -60.0, 2.0);
        assert_eq!(
            line.hears_speech(20, -35.0, -60.0),
            0,
            "a soft voice after it"
        );
    }

    #[test]
    fn what_is_said_to_be_noise_is() {
        let mut line = Line::new();
        line.hears(100, -25.0, 12.0);
        assert_eq!(line.hears(100, -25.0, 12.0), 0, "a television, a dog");
        line.noise.learn_all();
        assert!(line.hears(100, -25.0, 12.0) >= 95);
        line.hears(60, -60.0, 2.0);
        assert_eq!(
            line.hears_speech(20, -25.0, -60.0),
            0,
            "but no more when it is over"
        );
    }
}
