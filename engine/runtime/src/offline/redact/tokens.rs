//! A text as words, numbers and marks.

use std::ops::Range;

use sidetone_core::numerals::without_accent;

use super::lexicon::Lexicon;

/// A part of a text without white space in it.
#[derive(Clone, Debug)]
pub(super) struct Token {
    /// Its bytes in the text.
    pub(super) range: Range<usize>,
    pub(super) kind: Kind,
    /// No space is before it.
    pub(super) glued: bool,
    /// The words of the language it was spoken in.
    pub(super) lexicon: &'static Lexicon,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Letters, in lower case and without accents, but for ñ.
    Word(String),
    /// How many digits in a row.
    Number(usize),
    /// Anything else.
    Mark(char),
}

impl Token {
    pub(super) fn moved_by(mut self, bytes: usize) -> Self {
        self.range = self.range.start + bytes..self.range.end + bytes;
        self
    }

    pub(super) fn word(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(word) => Some(word),
            _ => None,
        }
    }

    pub(super) fn mark(&self) -> Option<char> {
        match self.kind {
            Kind::Mark(mark) => Some(mark),
            _ => None,
        }
    }

    /// Is one of these words of its language.
    pub(super) fn is_one_of(&self, words: fn(&Lexicon) -> &'static [&'static str]) -> bool {
        self.word()
            .is_some_and(|word| words(self.lexicon).contains(&word))
    }
}

pub(super) fn tokens(text: &str, lexicon: &'static Lexicon) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut letters = text.char_indices().peekable();
    while let Some((at, c)) = letters.next() {
        if c.is_whitespace() {
            continue;
        }
        let mut end = at + c.len_utf8();
        let kind = if c.is_numeric() {
            let mut digits = 1;
            while let Some((next, _)) = letters.next_if(|(_, c)| c.is_numeric()) {
                digits += 1;
                end = next + text[next..].chars().next().map_or(0, char::len_utf8);
            }
            Kind::Number(digits)
        } else if c.is_alphabetic() {
            let mut word = String::new();
            fold(c, &mut word);
            while let Some((next, c)) = letters.next_if(|(_, c)| c.is_alphabetic()) {
                fold(c, &mut word);
                end = next + c.len_utf8();
            }
            Kind::Word(word)
        } else {
            Kind::Mark(c)
        };
        let glued = tokens.last().is_some_and(|before| before.range.end == at);
        tokens.push(Token {
            range: at..end,
            kind,
            glued,
            lexicon,
        });
    }
    tokens
}

fn fold(c: char, word: &mut String) {
    word.extend(c.to_lowercase().map(without_accent));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offline::redact::lexicon;

    #[test]
    fn words_numbers_and_marks() {
        let text = "Três, A42 — ¿ñ?";
        let found = tokens(text, lexicon::of("es"));
        let shown: Vec<_> = found
            .iter()
            .map(|token| (&text[token.range.clone()], token.kind.clone(), token.glued))
            .collect();
        let word = |word: &str| Kind::Word(word.to_owned());
        assert_eq!(
            shown,
            [
                ("Três", word("tres"), false),
                (",", Kind::Mark(','), true),
                ("A", word("a"), false),
                ("42", Kind::Number(2), true),
                ("—", Kind::Mark('—'), false),
                ("¿", Kind::Mark('¿'), false),
                ("ñ", word("ñ"), true),
                ("?", Kind::Mark('?'), true),
            ]
        );
    }
}
