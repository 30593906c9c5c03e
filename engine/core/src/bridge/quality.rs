//! How a leg's audio fares in the bridge.

use std::time::Duration;

use crate::person::BridgeQuality;

/// Delays are told apart in steps of this many ms.
const STEP_MS: u64 = 2;
const STEPS: usize = 64;

/// Counts delays, gaps and cuts.
#[derive(Debug)]
pub(crate) struct Quality {
    frames: u64,
    sum: Duration,
    max: Duration,
    concealed: Duration,
    cut: Duration,
    steps: [u32; STEPS],
}

impl Default for Quality {
    fn default() -> Self {
        Self {
            frames: 0,
            sum: Duration::ZERO,
            max: Duration::ZERO,
            concealed: Duration::ZERO,
            cut: Duration::ZERO,
            steps: [0; STEPS],
        }
    }
}

impl Quality {
    /// Audio that came together was mixed this long after it came.
    pub(crate) fn waited(&mut self, delay: Duration) {
        self.frames += 1;
        self.sum += delay;
        self.max = self.max.max(delay);
        let step = usize::try_from(delay.as_millis() as u64 / STEP_MS).unwrap_or(STEPS);
        self.steps[step.min(STEPS - 1)] += 1;
    }

    /// So much audio was not there in time.
    pub(crate) fn conceal(&mut self, length: Duration) {
        self.concealed += length;
    }

    /// So much was cut out.
    pub(crate) fn cut(&mut self, length: Duration) {
        self.cut += length;
    }

    /// What was counted.
    pub(crate) fn told(&self) -> BridgeQuality {
        let us = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let ms = |duration: Duration| us(duration) / 1_000;
        let mut above = self.frames / 100;
        let last = self.steps.iter().rposition(|count| {
            let count = u64::from(*count);
            let is_last = count > above;
            above = above.saturating_sub(count);
            is_last
        });
        BridgeQuality {
            frames: self.frames,
            mean_delay_us: us(self.sum).checked_div(self.frames).unwrap_or(0),
            p99_delay_ms: last.map_or(0, |step| (step as u64 + 1) * STEP_MS),
            max_delay_us: us(self.max),
            concealed_ms: ms(self.concealed),
            cut_ms: ms(self.cut),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_what_was_counted() {
        let mut quality = Quality::default();
        assert_eq!(quality.told(), BridgeQuality::default());
        for _ in 0..990 {
            quality.waited(Duration::from_millis(11));
        }
        for _ in 0..10 {
            quality.waited(Duration::from_millis(500));
        }
        quality.cut(Duration::from_micros(2_500));
        quality.cut(Duration::from_micros(2_500));
        let told = quality.told();
        assert_eq!((told.frames, told.p99_delay_ms), (1_000, 12));
        assert_eq!((told.mean_delay_us, told.max_delay_us), (15_890, 500_000));
        assert_eq!((told.cut_ms, told.concealed_ms), (5, 0));
    }
}
