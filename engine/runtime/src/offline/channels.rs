//! Which channels of a recording are speakers, decided as it is read.

use super::options::Channels;

/// Twice this correlation's distance from 1 is roughly the share of the sound that differs. A
/// call's two sides have about 0, with echo up to some 0.3; the same sound coded twice more than
/// 0.99.
const SAME: f64 = 0.9;

/// This much sound tells, 5 s.
const ENOUGH_SECONDS: f64 = 5.0;

/// Not more than this is held back, 10 s and 16 MiB.
const MOST_SECONDS: f64 = 10.0;
const MOST_SAMPLES: usize = 8 << 20;

/// Below −60 dB relative to full scale a block is silence.
const SILENT: f64 = 33.0 * 33.0;

/// What becomes of the channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Each is heard on its own.
    Split,
    /// Their mean is.
    Mix,
}

/// Decides on [`Channels::Auto`]: what sounds first is held back until there are 5 s of sound, or
/// 10 s have passed. Channels that all correlate with the first by 0.9 or more hold the same and
/// are mixed; one that is silent while another sounds, or sounds otherwise, is a speaker. Silence
/// before the first sound decides nothing and is not held back.
pub(super) struct Decision {
    channels: usize,
    rate_hz: f64,
    held: Vec<i16>,
    sounding: usize,
    /// By channel: the sum of products with the first one, and the sum of its squares.
    products: Vec<f64>,
    squares: Vec<f64>,
}

/// What to do with a block.
pub(super) enum Verdict {
    /// It is silent and tells nothing.
    Silence,
    /// It is held back.
    Held,
    /// The layout, and all that was held back, this block included.
    Decided(Layout, Vec<i16>),
}

impl Decision {
    /// `None` where there is nothing to find out.
    pub(super) fn new(wanted: Channels, channels: usize, rate_hz: u32) -> Result<Self, Layout> {
        match wanted {
            Channels::Split => Err(Layout::Split),
            Channels::Mix => Err(Layout::Mix),
            Channels::Auto if channels == 1 => Err(Layout::Mix),
            Channels::Auto => Ok(Self {
                channels,
                rate_hz: f64::from(rate_hz),
                held: Vec::new(),
                sounding: 0,
                products: vec![0.0; channels],
                squares: vec![0.0; channels],
            }),
        }
    }

    /// Takes the next block, interleaved.
    pub(super) fn push(&mut self, block: &[i16]) -> Verdict {
        let mut products = vec![0.0; self.channels];
        let mut squares = vec![0.0; self.channels];
        for instant in block.chunks_exact(self.channels) {
            let first = f64::from(instant[0]);
            for (n, sample) in instant.iter().enumerate() {
                let sample = f64::from(*sample);
                products[n] += first * sample;
                squares[n] += sample * sample;
            }
        }
        let instants = block.len() / self.channels;
        let sounds = squares.iter().any(|sum| *sum > SILENT * instants as f64);
        if self.held.is_empty() && !sounds {
            return Verdict::Silence;
        }
        self.held.extend_from_slice(block);
        if sounds {
            self.sounding += instants;
            for n in 0..self.channels {
                self.products[n] += products[n];
                self.squares[n] += squares[n];
            }
        }
        let held = self.held.len() / self.channels;
        if self.sounding as f64 >= ENOUGH_SECONDS * self.rate_hz
            || held as f64 >= MOST_SECONDS * self.rate_hz
            || self.held.len() >= MOST_SAMPLES
        {
            let (layout, held) = self.finish();
            return Verdict::Decided(layout, held);
        }
        Verdict::Held
    }

    /// Decides on what there is.
    pub(super) fn finish(&mut self) -> (Layout, Vec<i16>) {
        let same = (1..self.channels).all(|n| {
            let scale = (self.squares[0] * self.squares[n]).sqrt();
            scale > 0.0 && self.products[n] / scale >= SAME
        });
        let layout = if same { Layout::Mix } else { Layout::Split };
        (layout, std::mem::take(&mut self.held))
    }
}

/// One channel of an interleaved block.
pub(super) fn channel(block: &[i16], channels: usize, n: usize, out: &mut Vec<i16>) {
    out.clear();
    out.extend(block.iter().skip(n).step_by(channels));
}

/// The mean of all channels.
pub(super) fn mix(block: &[i16], channels: usize, out: &mut Vec<i16>) {
    out.clear();
    let count = i64::try_from(channels).unwrap_or(i64::MAX);
    out.extend(block.chunks_exact(channels).map(|instant| {
        let sum: i64 = instant.iter().map(|sample| i64::from(*sample)).sum();
        (sum / count) as i16
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `seconds` of two channels at 8 kHz in blocks of 100 ms.
    fn decided(seconds: usize, sample: impl Fn(usize) -> [i16; 2]) -> (Layout, usize) {
        let mut decision = Decision::new(Channels::Auto, 2, 8_000).ok().unwrap();
        for n in 0..seconds * 10 {
            let block: Vec<i16> = (n * 800..(n + 1) * 800).flat_map(&sample).collect();
            if let Verdict::Decided(layout, held) = decision.push(&block) {
                return (layout, held.len() / 2);
            }
        }
        let (layout, held) = decision.finish();
        (layout, held.len() / 2)
    }

    fn tone(n: usize, step: f64) -> i16 {
        ((n as f64 * step).sin() * 8_000.0) as i16
    }

    #[test]
    fn the_same_twice_is_a_mix_even_if_coded_otherwise_or_fainter() {
        let same = decided(60, |n| [tone(n, 0.1), tone(n, 0.1)]);
        assert_eq!(same, (Layout::Mix, 5 * 8_000));
        let other_gain = decided(60, |n| [tone(n, 0.1), tone(n, 0.1) / 3 + (n % 7) as i16]);
        assert_eq!(other_gain.0, Layout::Mix);
    }

    #[test]
    fn two_sides_of_a_call_are_two_speakers() {
        let both = decided(60, |n| [tone(n, 0.1), tone(n, 0.13)]);
        assert_eq!(both.0, Layout::Split);
        let one_listens = decided(60, |n| [tone(n, 0.1), 0]);
        assert_eq!(one_listens.0, Layout::Split);
        let with_echo = decided(60, |n| {
            [tone(n, 0.1), tone(n, 0.13) / 4 + tone(n, 0.1) / 16]
        });
        assert_eq!(with_echo.0, Layout::Split);
    }

    #[test]
    fn silence_before_is_neither_held_nor_decides() {
        let late = |n: usize| if n < 40 * 8_000 { 0 } else { tone(n, 0.1) };
        assert_eq!(
            decided(60, |n| [late(n), late(n)]),
            (Layout::Mix, 5 * 8_000)
        );
        assert_eq!(decided(60, |n| [late(n), 0]), (Layout::Split, 5 * 8_000));
    }

    #[test]
    fn what_is_held_is_bounded_and_a_short_recording_is_decided_at_its_end() {
        // A word, then silence.
        let word = |n: usize| if n < 4_000 { tone(n, 0.1) } else { 0 };
        assert_eq!(decided(60, |n| [word(n), 0]), (Layout::Split, 10 * 8_000));
        assert_eq!(decided(1, |n| [word(n), word(n)]), (Layout::Mix, 8_000));
    }

    #[test]
    fn a_mix_is_the_mean() {
        let mut out = Vec::new();
        mix(&[100, 300, -32_768, -32_768, 32_767, 32_767], 2, &mut out);
        assert_eq!(out, [200, -32_768, 32_767]);
        channel(&[1, 2, 3, 4], 2, 1, &mut out);
        assert_eq!(out, [2, 4]);
    }
}
