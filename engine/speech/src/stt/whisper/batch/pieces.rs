//! Which words of a window belong to which of the pieces packed into it.

use std::ops::Range;

use super::{super::cut::POSITION, words::DecodedWord};

/// The alignment lets the text end up to this before the last sound, 400 ms: where the model sees
/// that no other word follows.
const TAIL: usize = 6_400;

/// A stretch of speech within a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// All of its audio, in samples from the window's beginning.
    pub audio: Range<usize>,
    /// Its audio without the padding: from the first sound to the last.
    pub speech: Range<usize>,
}

/// Deals the words out to `pieces`, which are in order and at least one: each to the piece whose
/// speech it overlaps the most, or to the nearest, and never to one before its predecessor's. Its time is
/// bounded by the piece's speech.
///
/// A word that the alignment gave no time of its own was spoken somewhere in that of the next:
/// at the beginning of a piece this is the rule rather than the exception, where a word ends and
/// the next has a pause before it. Such words go with the next, and share its time by their lengths.
pub(super) fn deal(mut words: Vec<DecodedWord>, pieces: &[Piece]) -> Vec<Vec<DecodedWord>> {
    let mut dealt = vec![Vec::new(); pieces.len()];
    let mut earliest = 0;
    while !words.is_empty() {
        let timed = words.iter().position(|word| word.at.len() > POSITION);
        let rest = words.split_off(timed.map_or(words.len(), |timed| timed + 1));
        let mut group = std::mem::replace(&mut words, rest);
        let at = group[0].at.start..group[group.len() - 1].at.end;
        let fit = |piece: &Piece| {
            let speech = &piece.speech;
            let (start, end) = (at.start.max(speech.start), at.end.min(speech.end));
            // The overlap; where there is none, the distance, negative.
            end as i64 - start as i64
        };
        let best = (earliest..pieces.len())
            .rev()
            .max_by_key(|n| fit(&pieces[*n]))
            .unwrap_or(earliest);
        earliest = best;
        share(&mut group, &within(&at, &pieces[best].speech));
        dealt[best].append(&mut group);
    }
    for (words, piece) in dealt.iter_mut().zip(pieces) {
        if let Some(last) = words.last_mut()
            && last.at.end + TAIL >= piece.speech.end
        {
            last.at.end = piece.speech.end;
        }
    }
    dealt
}

/// Shares `at` out to words by their lengths in characters.
fn share(words: &mut [DecodedWord], at: &Range<usize>) {
    let letters = |word: &DecodedWord| word.text.trim().chars().count().max(1);
    let all: usize = words.iter().map(letters).sum();
    let mut before = 0;
    for word in words {
        let start = at.start + at.len() * before / all;
        before += letters(word);
        word.at = start..at.start + at.len() * before / all;
    }
}

/// `at` as far as it lies in `bounds`, and at least a position of the encoder long, where `bounds`
/// are.
fn within(at: &Range<usize>, bounds: &Range<usize>) -> Range<usize> {
    let latest = bounds.end.saturating_sub(POSITION).max(bounds.start);
    let start = at.start.clamp(bounds.start, latest);
    start..at.end.clamp((start + POSITION).min(bounds.end), bounds.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str, at: Range<usize>) -> DecodedWord {
        DecodedWord {
            text: text.into(),
            at,
            probability: 1.0,
        }
    }

    /// Two pieces of 1 s with 200 ms between them.
    fn pieces() -> Vec<Piece> {
        vec![
            Piece {
                audio: 0..16_000,
                speech: 4_000..12_000,
            },
            Piece {
                audio: 19_200..35_200,
                speech: 23_200..31_200,
            },
        ]
    }

    #[test]
    fn a_word_goes_where_most_of_it_is() {
        // The last word of a piece seems to last until the next begins, or the next to begin with
        // its end.
        let words = vec![
            word("one", 0..8_000),
            word("two", 8_000..20_000),
            word("three", 14_000..26_000),
            word("four", 26_000..35_200),
        ];
        let dealt = deal(words, &pieces());
        let told = |n: usize| -> Vec<_> {
            let words: &Vec<DecodedWord> = &dealt[n];
            words.iter().map(|w| (&*w.text, w.at.clone())).collect()
        };
        assert_eq!(told(0), [("one", 4_000..8_000), ("two", 8_000..12_000)]);
        assert_eq!(
            told(1),
            [("three", 23_200..26_000), ("four", 26_000..31_200)]
        );
    }

    #[test]
    fn words_without_a_time_of_their_own_go_with_the_next() {
        // As the alignment gives them where a piece begins: the pause is the second word's.
        let words = vec![
            word(" one", 0..8_000),
            word(" a", 8_000..8_320),
            word(" three", 8_000..28_400),
            word(" four", 28_400..30_000),
            word(" ends", 30_000..30_320),
        ];
        let dealt = deal(words, &pieces());
        let told = |n: usize| -> Vec<_> {
            let words: &Vec<DecodedWord> = &dealt[n];
            words.iter().map(|w| (&*w.text, w.at.clone())).collect()
        };
        assert_eq!(told(0), [(" one", 4_000..12_000)]);
        let second = [
            (" a", 23_200..24_066),
            (" three", 24_066..28_400),
            (" four", 28_400..30_000),
            (" ends", 30_000..31_200),
        ];
        assert_eq!(told(1), second);
    }

    #[test]
    fn order_is_kept_and_no_word_is_empty() {
        let words = vec![
            word("one", 20_000..34_000),
            word("two", 34_000..34_320),
            word("three", 1_000..1_320),
        ];
        let dealt = deal(words, &pieces());
        assert!(dealt[0].is_empty());
        assert_eq!(dealt[1].len(), 3);
        assert!(dealt[1].iter().all(|word| !word.at.is_empty()));
        assert!(dealt[1].is_sorted_by_key(|word| word.at.start));
    }
}
