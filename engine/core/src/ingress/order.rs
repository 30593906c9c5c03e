//! The order of a leg's messages, judged by their sequence numbers.

/// How many numbers back a repeat can be told from a straggler: 2.5 s of 20 ms frames.
const WINDOW: u64 = u128::BITS as u64;

/// A jump ahead by more than this is not believed to be a gap: 20 s of 20 ms frames.
const MAX_GAP: u64 = 1_000;

/// This many numbers in a row beyond belief mean that the leg counts anew.
const RESTART_RUN: u8 = 3;

/// Remembers which numbers came.
///
/// A number that is out of all proportion (more than [`MAX_GAP`] ahead, or further back than the
/// window) moves nothing, so that one absurd number does not make stragglers of all that follow.
/// When [`RESTART_RUN`] of them follow one another, the leg has begun to count anew, and the order
/// goes on from there.
#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    counted: Option<Counted>,
}

#[derive(Clone, Debug)]
struct Counted {
    newest: u64,
    /// Bit `k`: the number `newest - k` came.
    seen: u128,
    astray: Option<Astray>,
}

/// Numbers out of proportion that follow one another.
#[derive(Clone, Debug)]
struct Astray {
    last: u64,
    run: u8,
}

/// Where a message stands among those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It follows what came before.
    Next,
    /// It follows, but this many before it did not come (yet).
    After { missing: u64 },
    /// One after it came before.
    Late,
    /// It came before.
    Duplicate,
}

impl Order {
    /// Takes the number of the message that came now.
    pub(super) fn place(&mut self, sequence: u64) -> Place {
        match &mut self.counted {
            Some(counted) => counted.place(sequence),
            None => {
                self.counted = Some(Counted::from(sequence));
                Place::Next
            }
        }
    }
}

impl Counted {
    fn from(sequence: u64) -> Self {
        Self {
            newest: sequence,
            seen: 1,
            astray: None,
        }
    }

    fn place(&mut self, sequence: u64) -> Place {
        match sequence.checked_sub(self.newest) {
            Some(ahead @ 1..=MAX_GAP) => {
                self.seen = u32::try_from(ahead)
                    .ok()
                    .and_then(|ahead| self.seen.checked_shl(ahead))
                    .unwrap_or(0)
                    | 1;
                self.newest = sequence;
                self.astray = None;
                after(ahead)
            }
            None | Some(0) if self.newest - sequence < WINDOW => {
                let bit = 1 << (self.newest - sequence);
                let place = if self.seen & bit == 0 {
                    Place::Late
                } else {
                    Place::Duplicate
                };
                self.seen |= bit;
                self.astray = None;
                place
            }
            _ => self.place_astray(sequence),
        }
    }

    fn place_astray(&mut self, sequence: u64) -> Place {
        let ahead = self
            .astray
            .as_ref()
            .and_then(|astray| sequence.checked_sub(astray.last));
        let run = match (&self.astray, ahead) {
            (Some(_), Some(0)) => return Place::Duplicate,
            (Some(astray), Some(1..=WINDOW)) => astray.run + 1,
            _ => 1,
        };
        if run == RESTART_RUN {
            *self = Self::from(sequence);
            return after(ahead.unwrap_or(1));
        }
        self.astray = Some(Astray {
            last: sequence,
            run,
        });
        if sequence < self.newest {
            Place::Late
        } else if run == 1 {
            // How many are missing, such a number cannot say: at least one.
            Place::After { missing: 1 }
        } else {
            after(ahead.unwrap_or(1))
        }
    }
}

fn after(ahead: u64) -> Place {
    match ahead {
        0 | 1 => Place::Next,
        _ => Place::After { missing: ahead - 1 },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Order, Place::*};

    fn places(numbers: &[u64]) -> Vec<super::Place> {
        let mut order = Order::default();
        numbers.iter().map(|&n| order.place(n)).collect()
    }

    #[test]
    fn counts_from_whatever_comes_first() {
        assert_eq!(places(&[7, 8, 9]), [Next, Next, Next]);
    }

    #[test]
    fn tells_a_gap_a_straggler_and_a_repeat_apart() {
        assert_eq!(
            places(&[1, 2, 5, 3, 3, 5, 4, 4, 6]),
            [
                Next,
                Next,
                After { missing: 2 },
                Late,
                Duplicate,
                Duplicate,
                Late,
                Duplicate,
                Next
            ]
        );
    }

    #[test]
    fn remembers_exactly_its_window() {
        assert_eq!(places(&[1, 128, 1])[2], Duplicate);
        assert_eq!(places(&[1, 129, 1])[2], Late, "too far back to know");
        assert_eq!(places(&[1, 1001])[1], After { missing: 999 });
        assert_eq!(places(&[1, 1001, 1000])[2], Late);
    }

    #[test]
    fn one_absurd_number_changes_nothing() {
        assert_eq!(
            places(&[1, 2, u64::MAX, u64::MAX, 3, 4, 0, 5]),
            [
                Next,
                Next,
                After { missing: 1 },
                Duplicate,
                Next,
                Next,
                Late,
                Next
            ]
        );
        assert_eq!(places(&[u64::MAX, u64::MAX])[1], Duplicate);
    }

    #[test]
    fn follows_a_leg_that_counts_anew() {
        assert_eq!(
            places(&[5_000, 5_001, 1, 2, 3, 4, 3, 6]),
            [
                Next,
                Next,
                Late,
                Late,
                Next,
                Next,
                Duplicate,
                After { missing: 1 }
            ]
        );
        assert_eq!(
            places(&[1, 90_000, 90_001, 90_002, 90_003, 90_005]),
            [
                Next,
                After { missing: 1 },
                Next,
                Next,
                Next,
                After { missing: 1 }
            ]
        );
    }

    #[test]
    fn a_restart_counts_only_numbers_in_a_row() {
        assert_eq!(
            places(&[5_000, 1, 2, 5_001, 3, 900, 901, 5_002]),
            [Next, Late, Late, Next, Late, Late, Late, Next]
        );
    }

    proptest! {
        /// Whatever the order, each number of a shuffled run is taken once or is late, never
        /// taken for a repeat; and its repeat is always known as one.
        #[test]
        fn every_number_is_new_once(
            shuffled in Just((1u64..=100).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let mut order = Order::default();
            for &number in &shuffled {
                prop_assert_ne!(order.place(number), Duplicate);
                prop_assert_eq!(order.place(number), Duplicate);
            }
        }

        #[test]
        fn never_panics(numbers in proptest::collection::vec(any::<u64>(), 0..50)) {
            places(&numbers);
        }

        /// After any nonsense, a leg that counts on is understood within three messages.
        #[test]
        fn nonsense_never_poisons(
            nonsense in proptest::collection::vec(any::<u64>(), 0..20),
            from in 0..u64::MAX / 2,
        ) {
            let mut order = Order::default();
            for number in nonsense {
                order.place(number);
            }
            for number in from..from + 3 + super::WINDOW {
                order.place(number);
            }
            let next = from + 3 + super::WINDOW;
            prop_assert_eq!(order.place(next), Next);
        }
    }
}
