//! Repetition loops: a model that has lost its way writes the same words until it runs out of room.

/// How often a unit is written at least.
const REPEATS: usize = 4;

/// How many tokens the repetitions have together: "no, no, no, no" and "zero zero zero zero" are
/// spoken.
const TOKENS: usize = 16;

/// No longer unit fits [`REPEATS`] times into what whisper.cpp writes for a window.
const LONGEST_UNIT: usize = 55;

/// A unit of tokens that is written again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Loop {
    /// Its first token.
    pub(super) start: usize,
    /// How many tokens are repeated.
    pub(super) unit: usize,
    /// All tokens of it together, those of a last repetition that is not whole included.
    pub(super) len: usize,
}

/// The first loop in `tokens`; of several readings of it the one with the shortest unit.
pub(super) fn find(tokens: &[i32]) -> Option<Loop> {
    (1..=LONGEST_UNIT.min(tokens.len() / REPEATS))
        .filter_map(|unit| find_unit(tokens, unit))
        .min_by_key(|found| (found.start, found.unit))
}

fn find_unit(tokens: &[i32], unit: usize) -> Option<Loop> {
    let wanted = TOKENS.max(REPEATS * unit);
    let mut same = 0;
    let mut found: Option<Loop> = None;
    for (n, token) in tokens.iter().enumerate().skip(unit) {
        same = if *token == tokens[n - unit] {
            same + 1
        } else {
            0
        };
        let len = same + unit;
        match &mut found {
            Some(found) if same > 0 => found.len = len,
            Some(_) => break,
            None if len >= wanted => {
                found = Some(Loop {
                    start: n + 1 - len,
                    unit,
                    len,
                });
            }
            None => {}
        }
    }
    found
}

/// Cuts every loop down to one round of it.
pub(super) fn cut<T>(tokens: &mut Vec<T>, id: impl Fn(&T) -> i32) {
    loop {
        let ids: Vec<i32> = tokens.iter().map(&id).collect();
        let Some(Loop { start, unit, len }) = find(&ids) else {
            return;
        };
        tokens.drain(start + unit..start + len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repeated(unit: &[i32], times: usize) -> Vec<i32> {
        unit.repeat(times)
    }

    #[test]
    fn what_people_repeat_is_no_loop() {
        let spoken: [Vec<i32>; 5] = [
            vec![],
            vec![1],
            repeated(&[7], 12),
            repeated(&[7, 8], 7),
            repeated(&[1, 2, 3, 4, 5, 6, 7, 8, 9], 3),
        ];
        for tokens in spoken {
            assert_eq!(find(&tokens), None, "{tokens:?}");
        }
        let different: Vec<i32> = (0..220).collect();
        assert_eq!(find(&different), None);
    }

    #[test]
    fn a_loop_is_found_wherever_it_is() {
        for (unit, times) in [(1, 16), (2, 8), (3, 6), (9, 4), (50, 4)] {
            let round: Vec<i32> = (100..100 + unit).collect();
            for (before, after) in [(0, 0), (5, 0), (0, 7), (3, 2)] {
                let mut tokens: Vec<i32> = (0..before).collect();
                tokens.extend(repeated(&round, times));
                tokens.extend(50..50 + after);
                let found = find(&tokens).unwrap();
                assert_eq!(found.start, before as usize);
                assert_eq!(found.unit, unit as usize);
                assert_eq!(found.len, unit as usize * times);
            }
        }
    }

    #[test]
    fn a_last_round_that_is_not_whole_belongs_to_it() {
        let mut tokens = repeated(&[1, 2, 3, 4, 5], 4);
        tokens.extend([1, 2]);
        assert_eq!(find(&tokens).unwrap().len, 22);
    }

    #[test]
    fn one_round_of_each_loop_is_left() {
        let mut tokens = vec![90, 91];
        tokens.extend(repeated(&[1, 2, 3], 10));
        tokens.extend([92]);
        tokens.extend(repeated(&[4], 30));
        cut(&mut tokens, |token| *token);
        assert_eq!(tokens, [90, 91, 1, 2, 3, 92, 4]);
    }
}
