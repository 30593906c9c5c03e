//! What a caller may say, and what is taken from it.

use std::collections::BTreeMap;

use regex::Regex;

use super::words::{Numbers, words};

/// What a slot holds.
#[derive(Clone, Debug)]
pub(super) enum Slot {
    /// So many digits.
    Digits { min: usize, max: usize },
    /// Up to so many words.
    Words { max: usize },
    /// One of these, each with the words for it.
    Choice(Vec<(String, Vec<Alternative>)>),
}

/// The slots of a script, and how numbers are said in it.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    pub(super) named: BTreeMap<String, Slot>,
    pub(super) numbers: Numbers,
}

/// One thing a caller may say.
#[derive(Clone, Debug)]
pub(super) enum Pattern {
    /// These in this order; other words may stand between them.
    Phrase(Vec<Element>),
    /// This, somewhere in the words separated by single blanks.
    Regex(Regex),
}

#[derive(Clone, Debug)]
pub(super) enum Element {
    /// One of these.
    AnyOf(Vec<Alternative>),
    /// What this slot holds.
    Slot(String),
}

/// Words in a row.
pub(super) type Alternative = Vec<Word>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    text: String,
    /// Any word that begins so.
    prefix: bool,
}

/// What was taken from what a caller said: slots and their values.
pub(super) type Captures = Vec<(String, String)>;

impl Pattern {
    /// Parses `where (order|parcel)`, `order {number}`, `deliver*` or `/a regular expression/`.
    pub(super) fn parse(text: &str, slots: &Slots) -> Result<Self, String> {
        let inner = text
            .strip_prefix('/')
            .and_then(|text| text.strip_suffix('/'));
        let pattern = if let Some(expression) = inner.filter(|expression| !expression.is_empty()) {
            let regex = Regex::new(expression).map_err(|error| {
                let error = error.to_string();
                let last = error.lines().last().unwrap_or_default().trim();
                format!("a bad regular expression: {last}")
            })?;
            Self::Regex(regex)
        } else {
            Self::Phrase(phrase(text)?)
        };
        for name in pattern.slots() {
            if !slots.named.contains_key(name) {
                let known = list(slots.named.keys());
                return Err(format!("no slot `{name}`; the slots are {known}"));
            }
        }
        Ok(pattern)
    }

    /// The slots it takes something for.
    pub(super) fn slots(&self) -> Vec<&str> {
        match self {
            Self::Phrase(elements) => elements
                .iter()
                .filter_map(|element| match element {
                    Element::Slot(name) => Some(name.as_str()),
                    Element::AnyOf(_) => None,
                })
                .collect(),
            Self::Regex(regex) => regex.capture_names().flatten().collect(),
        }
    }

    /// What it takes from what was said; `None`: it was something else.
    pub(super) fn find(&self, said: &[String], slots: &Slots) -> Option<Captures> {
        match self {
            Self::Phrase(elements) => find_phrase(elements, said, slots),
            Self::Regex(regex) => {
                let joined = said.join(" ");
                let found = regex.captures(&joined)?;
                let names = regex.capture_names().flatten();
                names
                    .map(|name| capture(name, found.name(name)?.as_str(), slots))
                    .collect()
            }
        }
    }
}

/// A list of names for a message.
pub(super) fn list<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    if names.is_empty() {
        "none".into()
    } else {
        names.join(", ")
    }
}

/// Parses words in a row, each perhaps with a `*` at its end.
pub(super) fn alternative(text: &str) -> Result<Alternative, String> {
    let mut row = Vec::new();
    for part in text.split_whitespace() {
        let (stem, prefix) = match part.strip_suffix('*') {
            Some(stem) => (stem, true),
            None => (part, false),
        };
        if let Some(odd) = stem.chars().find(|c| "*(){}|/".contains(*c)) {
            return Err(format!("{part:?}: {odd:?} is out of place"));
        }
        let mut words = words(stem);
        let last = words
            .pop()
            .ok_or_else(|| format!("{part:?} holds no word"))?;
        row.extend(words.into_iter().map(|text| Word {
            text,
            prefix: false,
        }));
        row.push(Word { text: last, prefix });
    }
    if row.is_empty() {
        return Err("no words".into());
    }
    Ok(row)
}

fn phrase(text: &str) -> Result<Vec<Element>, String> {
    let mut elements = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('(') {
            let (inner, after) = inner.split_once(')').ok_or("a `(` without its `)`")?;
            let any = inner
                .split('|')
                .map(alternative)
                .collect::<Result<_, _>>()?;
            elements.push(Element::AnyOf(any));
            rest = after;
        } else if let Some(inner) = rest.strip_prefix('{') {
            let (name, after) = inner.split_once('}').ok_or("a `{` without its `}`")?;
            elements.push(Element::Slot(name.trim().to_owned()));
            rest = after;
        } else {
            let end = rest.find(|c: char| c.is_whitespace() || "({".contains(c));
            let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
            // A word that stands for several, such as `e-mail`, is found as several.
            elements.push(Element::AnyOf(vec![alternative(word)?]));
            rest = after;
        }
        rest = rest.trim_start();
    }
    if elements.is_empty() {
        return Err("no words".into());
    }
    Ok(elements)
}

/// Takes each element at its first place after the one before it.
fn find_phrase(elements: &[Element], said: &[String], slots: &Slots) -> Option<Captures> {
    let mut captures = Captures::new();
    let mut at = 0;
    for (index, element) in elements.iter().enumerate() {
        match element {
            Element::AnyOf(any) => at = find_any(any, said, at)?.1,
            Element::Slot(name) => {
                let (value, end) = match slots.named.get(name)? {
                    Slot::Digits { min, max } => find_digits(said, at, *min, *max, slots.numbers)?,
                    Slot::Choice(options) => find_choice(options, said, at)?,
                    Slot::Words { max } => {
                        // Up to what comes next in the phrase.
                        let end = match elements.get(index + 1) {
                            Some(Element::AnyOf(any)) => find_any(any, said, at + 1)?.0,
                            _ => said.len(),
                        };
                        let end = end.min(at + max);
                        let taken = said.get(at..end).filter(|taken| !taken.is_empty())?;
                        (taken.join(" "), end)
                    }
                };
                captures.push((name.clone(), value));
                at = end;
            }
        }
    }
    Some(captures)
}

/// The first place from `from` on where one of `any` stands: its start and its end.
fn find_any(any: &[Alternative], said: &[String], from: usize) -> Option<(usize, usize)> {
    (from..said.len()).find_map(|start| {
        let lengths = any
            .iter()
            .filter(|row| begins(&said[start..], row))
            .map(Vec::len);
        lengths.max().map(|length| (start, start + length))
    })
}

fn begins(said: &[String], row: &Alternative) -> bool {
    said.len() >= row.len()
        && row.iter().zip(said).all(|(word, said)| {
            if word.prefix {
                said.starts_with(&word.text)
            } else {
                *said == word.text
            }
        })
}

fn find_digits(
    said: &[String],
    from: usize,
    min: usize,
    max: usize,
    numbers: Numbers,
) -> Option<(String, usize)> {
    let mut at = from;
    while at < said.len() {
        let (digits, used) = numbers.digits(&said[at..]);
        if (min..=max).contains(&digits.len()) {
            return Some((digits, at + used));
        }
        // Part of a number that does not fit is not what was meant either.
        at += used.max(1);
    }
    None
}

fn find_choice(
    options: &[(String, Vec<Alternative>)],
    said: &[String],
    from: usize,
) -> Option<(String, usize)> {
    let found = options.iter().filter_map(|(name, any)| {
        let (start, end) = find_any(any, said, from)?;
        Some((start, usize::MAX - end, name, end))
    });
    // The first to be said, and the longest of those.
    let (.., name, end) = found.min()?;
    Some((name.clone(), end))
}

/// What a regular expression took for the slot `name`, if it is what the slot holds.
fn capture(name: &str, text: &str, slots: &Slots) -> Option<(String, String)> {
    let said: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    let element = [Element::Slot(name.to_owned())];
    find_phrase(&element, &said, slots)?.pop()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots() -> Slots {
        let choice = |name: &str, words: &str| (name.into(), vec![alternative(words).unwrap()]);
        let named = [
            ("order", Slot::Digits { min: 3, max: 5 }),
            ("name", Slot::Words { max: 2 }),
            (
                "team",
                Slot::Choice(vec![choice("sales", "buy*"), choice("support", "broken")]),
            ),
        ];
        Slots {
            named: named.map(|(name, slot)| (name.into(), slot)).into(),
            numbers: Numbers::English,
        }
    }

    fn found(pattern: &str, said: &str) -> Option<String> {
        let pattern = Pattern::parse(pattern, &slots()).unwrap();
        let captures = pattern.find(&words(said), &slots())?;
        let shown = captures
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        Some(shown.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn words_in_their_order_with_others_between() {
        assert!(found("where order", "Um, where is my order?").is_some());
        assert!(found("where order", "my order is where").is_none());
        assert!(
            found(
                "where (order|parcel|next day van)",
                "where is the next day van"
            )
            .is_some()
        );
        assert!(found("where (next day van)", "where is the next van").is_none());
        assert!(found("deliver*", "the delivery").is_some());
        assert!(found("deliver", "the delivery").is_none());
        assert!(found("don't", "I dont know").is_some());
        assert!(found("e-mail", "by e mail").is_some());
    }

    #[test]
    fn slots_take_what_they_hold() {
        let taken = |pattern, said| found(pattern, said).unwrap_or_default();
        assert_eq!(
            taken("order {order}", "my order number is four two seven one"),
            "order=4271"
        );
        assert_eq!(taken("{order}", "one moment 42 71"), "order=4271");
        assert_eq!(found("{order}", "one two three four five six"), None);
        assert_eq!(
            taken("my name is {name}", "hi my name is Ann Lee you know"),
            "name=ann lee"
        );
        assert_eq!(
            taken("my name is {name} and", "my name is Ann and so"),
            "name=ann"
        );
        assert_eq!(found("my name is {name}", "my name is"), None);
        assert_eq!(
            taken("{team}", "the broken thing I am buying"),
            "team=support"
        );
        assert_eq!(
            taken("/order (?<order>[a-z ]+)$/", "order four two seven"),
            "order=427"
        );
        assert_eq!(found("/order (?<order>.+)$/", "order of things"), None);
    }

    #[test]
    fn bad_patterns_are_told_why() {
        for (pattern, says) in [
            ("", "no words"),
            ("?!", "\"?!\" holds no word"),
            ("(a|)", "no words"),
            ("(a|b", "a `(` without its `)`"),
            ("{order", "a `{` without its `}`"),
            (
                "{number}",
                "no slot `number`; the slots are `name`, `order`, `team`",
            ),
            ("a|b", "\"a|b\": '|' is out of place"),
            ("/(/", "a bad regular expression: error: unclosed group"),
            ("/(?<x>a)/", "no slot `x`"),
        ] {
            let error = Pattern::parse(pattern, &slots()).unwrap_err();
            assert!(error.contains(says), "{pattern}: {error}");
        }
    }
}
