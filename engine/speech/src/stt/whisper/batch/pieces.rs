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

/// Deals the words out to `pieces`, which are in order and at least one: each to the piece that it
/// overlaps the most, or to the nearest, and never to one before its predecessor's. Its time is
/// bounded by the piece's speech.
pub(super) fn deal(words: Vec<DecodedWord>, pieces: &[Piece]) -> Vec<Vec<DecodedWord>> {
    let mut dealt = vec![Vec::new(); pieces.len()];
    let mut earliest = 0;
    for mut word in words {
        let fit = |piece: &Piece| {
            let (start, end) = (
                word.at.start.max(piece.audio.start),
                word.at.end.min(piece.audio.end),
            );
            // The overlap; where there is none, the distance, negative.
            end as i64 - start as i64
        };
        let best = (earliest..pieces.len())
            .rev()
            .max_by_key(|n| fit(&pieces[*n]))
            .unwrap_or(earliest);
        earliest = best;
        word.at = within(&word.at, &pieces[best].speech);
        dealt[best].push(word);
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
    fn order_is_kept_and_no_word_is_empty() {
        let words = vec![
            word("one", 20_000..34_000),
            word("two", 34_000..34_320),
            word("three", 1_000..1_320),
        ];
        let dealt = deal(words, &pieces());
        assert!(dealt[0].is_empty());
        assert_eq!(dealt[1].len(), 3);
        assert!(dealt[1].iter().all(|word| word.at.len() >= POSITION));
    }
}
