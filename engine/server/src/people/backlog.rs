//! How far a phone's stream is behind what it was sent.
//!
//! Twilio plays what it gets in order and at its own pace. What a network held up once would be heard
//! late for the rest of the call, and a clock slower than this machine's adds up. A mark a second tells:
//! where one takes much longer than others did, the stream is to be cleared, and goes on with what is
//! said now.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// A mark follows so many stretches of 20 ms.
const MARK_EVERY: u32 = 50;
/// How much longer than the quickest a mark may take.
const BEHIND: Duration = Duration::from_millis(300);
/// So many marks are waited for; older ones never come.
const MOST: usize = 16;

/// Follows the marks of one stream.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// Stretches since the newest mark, and that mark's number.
    stretches: u32,
    newest: u32,
    sent: VecDeque<(u32, Instant)>,
    /// The shortest time that a mark took to come back, since the stream was cleared last.
    quickest: Option<Duration>,
}

impl Backlog {
    /// Another 20 ms are sent at `now`: the name of the mark that follows them, if one does.
    pub(super) fn sends(&mut self, now: Instant) -> Option<String> {
        self.stretches += 1;
        if self.stretches < MARK_EVERY {
            return None;
        }
        self.stretches = 0;
        self.newest = self.newest.wrapping_add(1);
        if self.sent.len() >= MOST {
            self.sent.pop_front();
        }
        self.sent.push_back((self.newest, now));
        Some(format!("leg-{}", self.newest))
    }

    /// The mark `name` came back: whether the stream is so far behind that it is to be cleared.
    pub(super) fn returned(&mut self, name: &str, now: Instant) -> bool {
        let number = name.strip_prefix("leg-").and_then(|n| n.parse().ok());
        let index = self.sent.iter().position(|(n, _)| Some(*n) == number);
        let Some((_, sent)) = index.and_then(|index| self.sent.drain(..=index).next_back()) else {
            return false;
        };
        let took = now.saturating_duration_since(sent);
        let quickest = *self.quickest.get_or_insert(took);
        self.quickest = Some(quickest.min(took));
        let is_behind = took > quickest + BEHIND;
        if is_behind {
            // The others come back at once. If it did not help, the way has become longer.
            self.sent.clear();
            self.quickest = None;
        }
        is_behind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends for a second, and has the mark come back so much later: whether the stream is cleared.
    fn second(backlog: &mut Backlog, now: &mut Instant, later_ms: u64) -> bool {
        for _ in 1..MARK_EVERY {
            *now += Duration::from_millis(20);
            assert_eq!(backlog.sends(*now), None);
        }
        *now += Duration::from_millis(20);
        let name = backlog.sends(*now).expect("a mark a second");
        backlog.returned(&name, *now + Duration::from_millis(later_ms))
    }

    #[test]
    fn a_stream_that_keeps_up_is_left_alone() {
        let (mut backlog, mut now) = (Backlog::default(), Instant::now());
        for n in 0..100 {
            let jitter = n * 37 % 250;
            assert!(!second(&mut backlog, &mut now, 80 + jitter), "{n}");
        }
    }

    #[test]
    fn what_was_held_up_is_cleared_once() {
        let (mut backlog, mut now) = (Backlog::default(), Instant::now());
        for (later_ms, clears) in [(100, false), (90, false), (2_000, true), (110, false)] {
            assert_eq!(
                second(&mut backlog, &mut now, later_ms),
                clears,
                "{later_ms}"
            );
        }
        // A way that has become longer is that long from now on.
        for (later_ms, clears) in [(600, true), (600, false), (650, false)] {
            assert_eq!(
                second(&mut backlog, &mut now, later_ms),
                clears,
                "{later_ms}"
            );
        }
    }

    #[test]
    fn a_clock_that_is_slower_is_caught_up_with() {
        let (mut backlog, mut now) = (Backlog::default(), Instant::now());
        let (mut behind_us, mut most_us, mut cleared) = (0, 0, 0);
        // Three hours at 200 ppm.
        for _ in 0..3 * 3_600 {
            behind_us += 200;
            most_us = behind_us.max(most_us);
            if second(&mut backlog, &mut now, 80 + behind_us / 1_000) {
                cleared += 1;
                behind_us = 0;
            }
        }
        assert!(most_us <= 302_000, "{most_us}");
        assert_eq!(cleared, 7);
    }

    #[test]
    fn marks_of_others_and_marks_that_never_come_are_nothing() {
        let (mut backlog, mut now) = (Backlog::default(), Instant::now());
        for name in ["", "leg-", "leg-7", "leg--1", "st-1-2"] {
            assert!(!backlog.returned(name, now));
        }
        for _ in 0..100 * MARK_EVERY {
            now += Duration::from_millis(20);
            backlog.sends(now);
        }
        assert_eq!(backlog.sent.len(), MOST);
        assert!(!backlog.returned("leg-1", now), "given up");
        assert!(!backlog.returned("leg-100", now));
        assert!(backlog.sent.is_empty());
    }
}
