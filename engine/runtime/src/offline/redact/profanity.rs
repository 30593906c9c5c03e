//! Swear words and slurs.

use super::{Redaction, Span, tokens::Token};

pub(super) fn find(tokens: &[Token], found: &mut Vec<Span>) {
    for token in tokens {
        if token
            .word()
            .is_some_and(|word| token.lexicon.is_profane(word))
        {
            found.push(Span {
                range: token.range.clone(),
                what: Redaction::Profanity,
            });
        }
    }
}
