//! E-mail addresses, written or spoken.

use std::sync::LazyLock;

use regex::Regex;

use super::{
    Redaction, Span,
    tokens::{Kind, Token},
};

/// Plain words before "at": "john smith at example dot com" does not say where the address begins.
const LOCAL_WORDS_MAX: usize = 4;
/// Plain words up to the first dot: "at my company dot com".
const DOMAIN_WORDS_MAX: usize = 3;
/// Spelt out: "j o h n".
const LETTERS_MAX: usize = 40;

/// The last part of a domain, beside those of two letters.
const TOP_LEVEL: [&str; 14] = [
    "com", "org", "net", "edu", "gov", "int", "mil", "info", "biz", "app", "dev", "name", "email",
    "online",
];

pub(super) fn find(text: &str, tokens: &[Token], found: &mut Vec<Span>) {
    static WRITTEN: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"[\p{L}\p{N}._%+\-]+@[\p{L}\p{N}\-]+(?:\.[\p{L}\p{N}\-]+)*")
            .expect("a test runs it")
    });
    found.extend(WRITTEN.find_iter(text).map(|address| Span {
        range: address.range(),
        what: Redaction::Email,
    }));
    for (at, token) in tokens.iter().enumerate() {
        if !(token.mark() == Some('@') || token.is_one_of(|lexicon| lexicon.at)) {
            continue;
        }
        if let (Some(start), Some(end)) = (local_start(tokens, at), domain_end(tokens, at + 1)) {
            found.push(Span {
                range: tokens[start].range.start..tokens[end - 1].range.end,
                what: Redaction::Email,
            });
        }
    }
}

/// The first token of what is before the "at".
fn local_start(tokens: &[Token], at: usize) -> Option<usize> {
    let (mut words, mut letters) = (0, 0);
    let mut start = at;
    for (n, token) in tokens[..at].iter().enumerate().rev() {
        match &token.kind {
            Kind::Word(_) if is_letter(token) && letters < LETTERS_MAX => {
                // "it's", and "a" before a whole word.
                let apostrophe = token.glued && n > 0 && tokens[n - 1].mark().is_some();
                let article = token.is_one_of(|lexicon| lexicon.before_address)
                    && n + 1 < at
                    && !is_letter(&tokens[n + 1]);
                if apostrophe || article {
                    break;
                }
                letters += 1;
            }
            Kind::Number(_) if letters < LETTERS_MAX => letters += 1,
            Kind::Word(_) if is_written_as_mark(token) || is_dot(token) => continue,
            Kind::Word(_)
                if words < LOCAL_WORDS_MAX
                    && !token.is_one_of(|lexicon| lexicon.before_address) =>
            {
                words += 1;
            }
            Kind::Mark('.' | '_' | '-' | '+') if tokens[n + 1].glued => continue,
            _ => break,
        }
        start = n;
    }
    (start < at).then_some(start)
}

/// The token after the domain's last.
fn domain_end(tokens: &[Token], from: usize) -> Option<usize> {
    let mut at = from;
    let (mut words, mut letters) = (0, 0);
    // The first part may be of several words or spelt out.
    while let Some(token) = tokens.get(at) {
        match &token.kind {
            _ if is_dot(token) => break,
            Kind::Word(_) if is_letter(token) && letters < LETTERS_MAX => letters += 1,
            Kind::Number(_) if letters < LETTERS_MAX => letters += 1,
            Kind::Word(_) if words < DOMAIN_WORDS_MAX || is_written_as_mark(token) => words += 1,
            Kind::Mark('-') if token.glued => {}
            _ => return None,
        }
        at += 1;
    }
    if at == from {
        return None;
    }
    // Then a dot and one word, once or several times.
    let mut end = None;
    while tokens.get(at).is_some_and(is_dot) {
        let Some(word) = tokens.get(at + 1).and_then(Token::word) else {
            break;
        };
        // At the end of a sentence, what follows is no domain.
        if tokens[at].mark().is_some() && !tokens[at + 1].glued {
            break;
        }
        at += 2;
        if TOP_LEVEL.contains(&word) || word.chars().count() == 2 {
            end = Some(at);
        }
    }
    end
}

fn is_dot(token: &Token) -> bool {
    token.mark() == Some('.') && token.glued || token.is_one_of(|lexicon| lexicon.dot)
}

/// One that is spelt out.
fn is_letter(token: &Token) -> bool {
    token.word().is_some_and(|word| word.chars().count() == 1)
}

/// "underscore", "dash".
fn is_written_as_mark(token: &Token) -> bool {
    token.is_one_of(|lexicon| lexicon.marks)
}
