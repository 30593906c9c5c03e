//! From tokens to words with their times.

use std::ops::Range;

use super::super::{cut::POSITION, session::Token};

/// A word as it was decoded.
#[derive(Clone, Debug, PartialEq)]
pub struct DecodedWord {
    /// The word with its punctuation, and with the space before it where the language writes one.
    pub text: String,
    /// When it was spoken, in samples from the window's beginning.
    pub at: Range<usize>,
    /// The mean probability of its tokens, 0 to 1.
    pub probability: f32,
}

/// These write no spaces between words: each token that begins a character begins a word.
const WITHOUT_SPACES: [&str; 6] = ["zh", "ja", "th", "lo", "my", "yue"];

/// The words of a window of `len` samples.
pub(super) fn words(tokens: &[Token], language: &str, len: usize) -> Vec<DecodedWord> {
    let spaced = !WITHOUT_SPACES.contains(&language);
    let mut words = Vec::new();
    let mut word = Word::default();
    let mut start = 0;
    for token in tokens {
        let begins = if spaced {
            token.bytes.starts_with(b" ")
        } else {
            std::str::from_utf8(&word.bytes).is_ok()
        };
        if begins && !is_punctuation(&token.bytes) {
            words.extend(word.finish());
        }
        let end = token.end.unwrap_or(start).clamp(start, len);
        word.add(token, start..end);
        start = end;
    }
    words.extend(word.finish());
    words
}

#[derive(Default)]
struct Word {
    bytes: Vec<u8>,
    at: Range<usize>,
    probability: f32,
    tokens: usize,
}

impl Word {
    fn add(&mut self, token: &Token, at: Range<usize>) {
        if self.tokens == 0 {
            self.at.start = at.start;
        }
        // A pause before a full stop is not part of the word.
        if self.tokens == 0 || !is_punctuation(&token.bytes) {
            self.at.end = at.end;
        }
        self.bytes.extend(&token.bytes);
        self.probability += token.probability;
        self.tokens += 1;
    }

    /// The word, and an empty one in its place.
    fn finish(&mut self) -> Option<DecodedWord> {
        let word = std::mem::take(self);
        if word.tokens == 0 {
            return None;
        }
        Some(DecodedWord {
            text: String::from_utf8_lossy(&word.bytes).into_owned(),
            at: word.at.start..word.at.end.max(word.at.start + POSITION),
            probability: word.probability / word.tokens as f32,
        })
    }
}

/// Whether a token is nothing but signs that follow a word.
fn is_punctuation(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| {
        !text.is_empty()
            && text.chars().all(|c| {
                matches!(
                    c,
                    '.' | ','
                        | '!'
                        | '?'
                        | ':'
                        | ';'
                        | '…'
                        | '%'
                        | ')'
                        | ']'
                        | '"'
                        | '\''
                        | '”'
                        | '’'
                        | '»'
                        | '。'
                        | '，'
                        | '！'
                        | '？'
                        | '：'
                        | '、'
                        | '」'
                        | '』'
                        | '）'
                )
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(texts: &[(&[u8], usize)]) -> Vec<Token> {
        (0..)
            .zip(texts)
            .map(|(id, (bytes, end))| Token {
                id,
                bytes: bytes.to_vec(),
                probability: 0.5,
                end: Some(*end),
            })
            .collect()
    }

    fn told(texts: &[(&[u8], usize)], language: &str) -> Vec<(String, Range<usize>)> {
        words(&tokens(texts), language, 16_000)
            .into_iter()
            .map(|word| (word.text, word.at))
            .collect()
    }

    #[test]
    fn a_word_begins_with_a_space_and_keeps_its_punctuation() {
        let told = told(
            &[
                (b" He", 3_200),
                (b"llo", 4_800),
                (b",", 8_000),
                (b" world", 11_200),
                (b".", 14_400),
            ],
            "en",
        );
        assert_eq!(
            told,
            [
                (" Hello,".to_owned(), 0..4_800),
                (" world.".to_owned(), 8_000..11_200)
            ]
        );
    }

    #[test]
    fn where_no_spaces_are_written_whole_characters_are_words() {
        let (first, rest) = "\u{65e5}".as_bytes().split_at(1);
        let told = told(
            &[
                (first, 1_600),
                (rest, 3_200),
                ("本".as_bytes(), 4_800),
                ("。".as_bytes(), 6_400),
            ],
            "ja",
        );
        assert_eq!(
            told,
            [
                ("日".to_owned(), 0..3_200),
                ("本。".to_owned(), 3_200..4_800)
            ]
        );
    }

    #[test]
    fn times_go_forward_and_stay_in_the_window() {
        let told = told(&[(b" a", 4_000), (b" b", 2_000), (b" c", 90_000)], "en");
        assert_eq!(told[1].1, 4_000..4_000 + POSITION);
        assert_eq!(told[2].1, 4_000..16_000);
    }

    #[test]
    fn broken_characters_are_marked_and_do_no_harm() {
        assert_eq!(told(&[(b" na\xc3", 4_000)], "pt")[0].0, " na\u{FFFD}");
        assert!(told(&[], "en").is_empty());
    }
}
