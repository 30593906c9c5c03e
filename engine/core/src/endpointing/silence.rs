//! How much silence ends a turn: a fixed time, and, where nothing but silence can decide, more for
//! callers who are known to pause.

use std::time::Duration;

/// The fixed silence, and what a caller's pauses add to it.
#[derive(Debug)]
pub(super) struct Silence {
    fixed: Duration,
    adapts: bool,
    added: Duration,
}

impl Silence {
    pub(super) fn new(fixed: Duration, adapts: bool) -> Self {
        Self {
            fixed,
            adapts,
            added: Duration::ZERO,
        }
    }

    /// The silence that ends a turn whose words are known.
    pub(super) fn fixed(&self) -> Duration {
        self.fixed
    }

    /// The silence that ends a turn of which nothing else is known: the fixed one, at most twice as
    /// much.
    pub(super) fn wanted(&self) -> Duration {
        self.fixed + self.added
    }

    /// The caller went on after a pause that only silence judged. One that is longer than any silence
    /// wanted here would not have been waited for anyway, and teaches nothing.
    pub(super) fn paused(&mut self, pause: Duration) {
        if self.adapts && pause <= self.fixed * 2 {
            // One that was nearly taken for the end counts, too.
            let safe = pause * 5 / 4;
            self.added = self
                .added
                .max(safe.saturating_sub(self.fixed))
                .min(self.fixed);
        }
    }

    /// A turn ended where it seemed to.
    pub(super) fn ended(&mut self) {
        self.added = self.added * 4 / 5;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn pauses_move_it_within_bounds_and_are_forgotten() {
        let mut silence = Silence::new(ms(300), true);
        silence.paused(ms(200));
        assert_eq!(silence.wanted(), ms(300), "far from the end");
        silence.paused(ms(280));
        assert_eq!(silence.wanted(), ms(350), "nearly the end");
        silence.paused(ms(1_500));
        assert_eq!(silence.wanted(), ms(350), "too long to be waited for");
        silence.paused(ms(590));
        assert_eq!(silence.wanted(), ms(600), "twice as much");
        for _ in 0..20 {
            silence.ended();
        }
        assert!(silence.wanted() < ms(310));
    }

    #[test]
    fn it_is_fixed_where_it_is_not_to_adapt() {
        let mut silence = Silence::new(ms(300), false);
        silence.paused(ms(500));
        assert_eq!(silence.wanted(), ms(300));
    }
}
