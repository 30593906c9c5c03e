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

    fn push(&mut self, level_dbfs: f32) {
        let level = (level_dbfs - QUIETEST_DBFS)
            .round()
            .clamp(0.0, (LEVELS - 1) as f32) as u8;
        let oldest = std::mem::replace(&mut self.window[self.next], level);
        if self.len == self.capacity {
            self.counts[usize::from(oldest)] -= 1;
        } else {
            self.len += 1;
        }
        self.counts[usize::from(level)] += 1;
        self.next = (self.next + 1) % self.capacity;
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
        let tenth = self.len / 10;
        let low = after(tenth, self.counts.iter().enumerate());
        let high = after(tenth, self.counts.iter().enumerate().rev());
        Levels {
            low_dbfs: low as f32 + QUIETEST_DBFS,
            spread_db: (high - low) as f32,
        }
    }
}

/// The level of the first frame after the `outer` first.
fn after<'a>(outer: usize, mut counts: impl Iterator<Item = (usize, &'a u8)>) -> usize {
    let mut passed = 0;
    let level = counts.find(|(_, count)| {
        passed += usize::from(**count);
        passed > outer
    });
    level.map_or(0, |(level, _)| level)
}
