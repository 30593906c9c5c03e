//! Sample rates and sample counts as types, so that a mix-up does not compile.
//!
//! ```
//! use std::time::Duration;
//! use sidetone_codecs::{SampleCount, SampleRate};
//!
//! fn lead(sent: SampleCount, played: SampleCount, rate: SampleRate) -> Duration {
//!     sent.saturating_sub(played).duration(rate)
//! }
//!
//! let (sent, played) = (SampleCount(16_000), SampleCount(8_000));
//! assert_eq!(lead(sent, played, SampleRate::HZ_8000), Duration::from_secs(1));
//! ```
//!
//! The same with a rate where a count belongs:
//!
//! ```compile_fail
//! # use std::time::Duration;
//! # use sidetone_codecs::{SampleCount, SampleRate};
//! # fn lead(sent: SampleCount, played: SampleCount, rate: SampleRate) -> Duration {
//! #     sent.saturating_sub(played).duration(rate)
//! # }
//! # let (sent, played) = (SampleCount(16_000), SampleCount(8_000));
//! assert_eq!(lead(SampleRate::HZ_8000, played, sent), Duration::from_secs(1));
//! ```
//!
//! or with a bare number, which does not say what it counts:
//!
//! ```compile_fail
//! # use std::time::Duration;
//! # use sidetone_codecs::{SampleCount, SampleRate};
//! # fn lead(sent: SampleCount, played: SampleCount, rate: SampleRate) -> Duration {
//! #     sent.saturating_sub(played).duration(rate)
//! # }
//! # let (sent, played) = (SampleCount(16_000), SampleCount(8_000));
//! assert_eq!(lead(sent, played, 8_000), Duration::from_secs(1));
//! ```

use std::{fmt, num::NonZeroU32, ops, time::Duration};

use serde::{Deserialize, Serialize};

/// Samples per second of one channel, in Hz. Never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SampleRate(NonZeroU32);

impl SampleRate {
    /// 8 kHz: G.711 and the telephone network.
    pub const HZ_8000: Self = Self::of(8_000);
    /// 16 kHz: what speech models listen to.
    pub const HZ_16000: Self = Self::of(16_000);
    /// 22.05 kHz: espeak-ng and many Piper voices.
    pub const HZ_22050: Self = Self::of(22_050);
    /// 24 kHz: OpenAI-compatible speech services.
    pub const HZ_24000: Self = Self::of(24_000);
    /// 44.1 kHz: music files.
    pub const HZ_44100: Self = Self::of(44_100);
    /// 48 kHz: Opus and browsers.
    pub const HZ_48000: Self = Self::of(48_000);

    pub(crate) const HZ_4000: Self = Self::of(4_000);
    pub(crate) const HZ_192000: Self = Self::of(192_000);

    const fn of(hz: u32) -> Self {
        match NonZeroU32::new(hz) {
            Some(hz) => Self(hz),
            None => panic!("a sample rate is never zero"),
        }
    }

    /// A rate in Hz; `None` for zero.
    #[must_use]
    pub const fn new(hz: u32) -> Option<Self> {
        match NonZeroU32::new(hz) {
            Some(hz) => Some(Self(hz)),
            None => None,
        }
    }

    /// The rate in Hz.
    #[must_use]
    pub const fn hz(self) -> u32 {
        self.0.get()
    }

    /// How many whole samples `duration` holds at this rate, rounded down.
    #[must_use]
    pub fn samples_in(self, duration: Duration) -> SampleCount {
        let samples = duration.as_micros() * u128::from(self.hz()) / 1_000_000;
        SampleCount(u64::try_from(samples).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for SampleRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} Hz", self.0)
    }
}

/// A number of samples of one channel. It becomes time only together with a [`SampleRate`].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct SampleCount(pub u64);

impl SampleCount {
    /// No samples.
    pub const ZERO: Self = Self(0);

    /// The length of a buffer of one channel.
    #[must_use]
    pub const fn of(samples: &[i16]) -> Self {
        Self(samples.len() as u64)
    }

    /// How long these samples last at `rate`, rounded down to a nanosecond.
    #[must_use]
    pub fn duration(self, rate: SampleRate) -> Duration {
        let hz = u64::from(rate.hz());
        let seconds = self.0 / hz;
        let rest = self.0 % hz;
        Duration::from_secs(seconds) + Duration::from_nanos(rest * 1_000_000_000 / hz)
    }

    /// The difference, or zero where `other` is larger.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl ops::Add for SampleCount {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl ops::AddAssign for SampleCount {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_never_zero() {
        assert_eq!(SampleRate::new(0), None);
        assert_eq!(SampleRate::new(8_000), Some(SampleRate::HZ_8000));
        assert_eq!(SampleRate::HZ_22050.hz(), 22_050);
        assert_eq!(SampleRate::HZ_44100.to_string(), "44100 Hz");
    }

    #[test]
    fn time_becomes_whole_samples_rounded_down() {
        let rate = SampleRate::HZ_22050;
        assert_eq!(rate.samples_in(Duration::from_millis(20)), SampleCount(441));
        assert_eq!(rate.samples_in(Duration::from_millis(5)), SampleCount(110));
        assert_eq!(rate.samples_in(Duration::ZERO), SampleCount::ZERO);
        let endless = SampleRate::new(u32::MAX)
            .expect("not zero")
            .samples_in(Duration::MAX);
        assert_eq!(endless, SampleCount(u64::MAX), "saturates");
    }

    #[test]
    fn samples_become_time() {
        let second = |count| SampleCount(count).duration(SampleRate::HZ_8000);
        assert_eq!(second(160), Duration::from_millis(20));
        assert_eq!(second(1), Duration::from_micros(125));
        assert_eq!(
            SampleCount(1).duration(SampleRate::HZ_48000),
            Duration::from_nanos(20_833)
        );
        // No overflow on the way.
        assert_eq!(
            SampleCount(u64::MAX)
                .duration(SampleRate::HZ_8000)
                .as_secs(),
            u64::MAX / 8_000
        );
    }

    #[test]
    fn counts_add_up() {
        let mut count = SampleCount::of(&[0; 160]);
        count += SampleCount(40);
        assert_eq!(count + SampleCount(1), SampleCount(201));
        assert_eq!(count.saturating_sub(SampleCount(150)), SampleCount(50));
        assert_eq!(SampleCount(1).saturating_sub(count), SampleCount::ZERO);
    }
}
