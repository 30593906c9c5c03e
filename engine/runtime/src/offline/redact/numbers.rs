//! Digits in a row, written or spoken.

use std::ops::{Range, RangeInclusive};

use super::{
    Redaction, Span,
    lexicon::NumberWord,
    tokens::{Kind, Token},
};

/// Fewer are a count or an age, not an identifier.
const DIGITS_MIN: usize = 3;
/// ITU-T E.164 allows 15; local numbers have seven or more.
const PHONE_DIGITS: RangeInclusive<usize> = 7..=15;
/// What may stand between two numbers of a row, at most: `) -`, "uh, dash".
const BETWEEN_MAX: usize = 3;

/// Numbers that follow each other.
struct Row {
    /// Of the tokens.
    range: Range<usize>,
    digits: usize,
}

pub(super) fn find(tokens: &[Token], digits: bool, phone: bool, found: &mut Vec<Span>) {
    for row in rows(tokens) {
        let what = if phone && PHONE_DIGITS.contains(&row.digits) {
            Redaction::Phone
        } else if digits && row.digits >= DIGITS_MIN {
            Redaction::Digits
        } else {
            continue;
        };
        let Range { mut start, mut end } = row.range;
        while start > 0 && leads(&tokens[start - 1]) {
            start -= 1;
        }
        // "(202)" is cut off with both of its brackets.
        if tokens[start].mark() == Some('(')
            && tokens.get(end).is_some_and(|next| next.mark() == Some(')'))
        {
            end += 1;
        }
        found.push(Span {
            range: tokens[start].range.start..tokens[end - 1].range.end,
            what,
        });
    }
}

/// Whether a text begins and whether it ends with a number.
pub(super) fn at_edges(tokens: &[Token]) -> (bool, bool) {
    let rows = rows(tokens);
    let nothing_in = |tokens: &[Token]| tokens.iter().all(|token| leads(token) || joins(token));
    let begins = rows
        .first()
        .is_some_and(|row| nothing_in(&tokens[..row.range.start]));
    let ends = rows
        .last()
        .is_some_and(|row| nothing_in(&tokens[row.range.end..]));
    (begins, ends)
}

fn rows(tokens: &[Token]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut current: Option<Row> = None;
    let mut between = 0;
    let mut after_tens = false;
    for (at, token) in tokens.iter().enumerate() {
        let number = number(token);
        match (&mut current, number) {
            (None, Some(number)) => {
                if let Some(digits) = number.digits_first() {
                    current = Some(Row {
                        range: at..at + 1,
                        digits,
                    });
                }
            }
            (Some(row), Some(number)) => {
                // "twenty two" has two digits, not three.
                row.digits += match number {
                    NumberWord::Digits(1) if after_tens => 0,
                    number => number.digits_after(),
                };
                row.range.end = at + 1;
            }
            (Some(_), None) if joins(token) && between < BETWEEN_MAX => {
                between += 1;
                continue;
            }
            (_, None) => rows.extend(current.take()),
        }
        between = 0;
        after_tens = number == Some(NumberWord::Tens);
    }
    rows.extend(current);
    rows
}

fn number(token: &Token) -> Option<NumberWord> {
    match &token.kind {
        Kind::Number(digits) => Some(NumberWord::Digits(*digits)),
        Kind::Word(word) => token.lexicon.number(word),
        Kind::Mark(_) => None,
    }
}

/// May stand before a row and belongs to it.
fn leads(token: &Token) -> bool {
    matches!(token.mark(), Some('+' | '(')) || token.is_one_of(|lexicon| lexicon.plus)
}

/// May stand between the numbers of a row.
fn joins(token: &Token) -> bool {
    match token.mark() {
        Some(mark) => "-‐‑–—−.,()/+'_…".contains(mark),
        None => token.is_one_of(|lexicon| lexicon.between_digits),
    }
}
