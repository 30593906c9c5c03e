//! When a delivery that failed is tried again.

use std::time::Duration;

/// After the first failure.
const FIRST: Duration = Duration::from_secs(2);
/// Never longer.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// How long to wait after the `attempts`-th attempt (from 1) failed: twice as long as the time
/// before, and by `jitter` (0.0 to 1.0) up to a fifth less, so that those who failed together do not
/// come back together.
pub(crate) fn wait(attempts: u32, jitter: f64) -> Duration {
    let doubled = FIRST.saturating_mul(
        1_u32
            .checked_shl(attempts.saturating_sub(1))
            .unwrap_or(u32::MAX),
    );
    doubled
        .min(LONGEST)
        .mul_f64(1.0 - 0.2 * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_an_hour() {
        let seconds = |attempts| wait(attempts, 0.0).as_secs();
        assert_eq!([1, 2, 3, 4].map(seconds), [2, 4, 8, 16]);
        assert_eq!(
            [11, 12, 40, u32::MAX].map(seconds),
            [2_048, 3_600, 3_600, 3_600]
        );
    }

    #[test]
    fn jitter_takes_up_to_a_fifth() {
        assert_eq!(wait(4, 1.0), Duration::from_millis(12_800));
        assert_eq!(wait(4, 0.5), Duration::from_millis(14_400));
    }
}
