//! Whether words end where a sentence does.
//!
//! Not a grammar: lists of words after which more nearly always follows, marks of what is whole (a
//! question, a request, an answer of a few words, a sentence with its punctuation mark), and what
//! the question before asked for. A plain statement without a mark is neither: people add to it.

use super::words::{Lexicon, lexicon};
use crate::{job::Expect, numerals::takes_unit};

/// What the words of a turn say about its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// The question is answered, or there are no words: there is nothing to wait for.
    Answered,
    /// They are a whole sentence.
    Whole,
    /// They may be.
    Unclear,
    /// They break off.
    Unfinished,
}

/// What the words are judged by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    /// The language, an ISO 639-1 code. Words of one without a list are judged by punctuation.
    pub(crate) language: &'a str,
    /// What was asked for.
    pub(crate) expect: Option<Expect>,
    /// The agent's last words were a question: a few words may answer it.
    pub(crate) after_question: bool,
    /// The recogniser ends sentences with a punctuation mark.
    pub(crate) punctuates: bool,
}

/// Judges what the caller has said so far.
pub(crate) fn judge(text: &str, context: Context<'_>) -> Judgement {
    let words = words(text);
    if words.is_empty() {
        return Judgement::Answered;
    }
    let lexicon = lexicon(context.language);
    let said = Said {
        words: &words,
        lexicon,
    };
    let numbers = said.numbers();
    match context.expect {
        Some(Expect::YesNo) if said.is_yes_or_no() => return Judgement::Answered,
        Some(Expect::Digits { min, max }) if numbers.digits > 0 => {
            return said.number(numbers, min.into(), max.into());
        }
        Some(Expect::Date) if said.is_date(numbers) => return Judgement::Whole,
        Some(Expect::Spelling) if said.ends_in_letter() => return Judgement::Unfinished,
        _ => {}
    }
    let end = text.trim_end();
    if end.ends_with(['…', ',', '-', '—', ':', ';']) || end.ends_with("...") {
        return Judgement::Unfinished;
    }
    if said.breaks_off() {
        return Judgement::Unfinished;
    }
    if let Some(judgement) = said.free_number(numbers) {
        return judgement;
    }
    let is_closed = is_closed(text);
    let unanswered = matches!(
        context.expect,
        Some(Expect::Digits { .. } | Expect::Date | Expect::Spelling)
    );
    let is_whole = if is_closed || lexicon.subjects.is_empty() {
        is_closed || !context.punctuates
    } else {
        !context.punctuates && said.is_whole(context.after_question)
    };
    if is_whole && !unanswered {
        Judgement::Whole
    } else {
        Judgement::Unclear
    }
}

/// Whether `text` ends with the punctuation mark of a sentence.
pub(crate) fn is_closed(text: &str) -> bool {
    text.trim_end().ends_with(['.', '?', '!'])
}

/// The words of `text` in lower case, without punctuation.
fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric() && c != '\'' && c != '’')
        .map(|word| {
            word.trim_matches(['\'', '’'])
                .replace('’', "'")
                .to_lowercase()
        })
        .filter(|word| !word.is_empty())
        .collect()
}

/// The numbers in what was said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Numbers {
    /// How many digits there are.
    digits: usize,
    /// How many of them are at the end, with nothing in between.
    last_digits: usize,
    /// In how many words.
    last_words: usize,
}

struct Said<'a> {
    words: &'a [String],
    lexicon: &'static Lexicon,
}

impl Said<'_> {
    fn last(&self) -> &str {
        self.words.last().map_or("", String::as_str)
    }

    /// So many words at the end.
    fn tail(&self, count: usize) -> String {
        self.words[self.words.len().saturating_sub(count)..].join(" ")
    }

    fn breaks_off(&self) -> bool {
        let (last, lexicon) = (self.last(), self.lexicon);
        if self.ends_in(lexicon.complete) {
            return false;
        }
        if lexicon.openers.contains(&last) || self.ends_in(lexicon.pending) {
            return true;
        }
        let begins_to_ask = self.begins_with(lexicon.asks);
        // "Could you".
        if begins_to_ask && self.said_after_leads().len() < 3 && lexicon.subjects.contains(&last) {
            return true;
        }
        let may_end_in_link = self.is_question() && !begins_to_ask && !lexicon.asks.contains(&last);
        let is_excused = may_end_in_link || self.is_short_answer() || self.refers_back();
        lexicon.links.contains(&last) && !is_excused
    }

    /// Whether what was said ends in one of these; single words count only on their own.
    fn ends_in(&self, list: &[&str]) -> bool {
        let all = self.said_after_leads().len();
        let is = |count: usize| list.contains(&self.tail(count).as_str());
        (2..=4).any(is) || (all <= 1 && is(1))
    }

    /// What was said without what leads in.
    fn said_after_leads(&self) -> &[String] {
        let is_lead = |word: &&String| self.lexicon.leads.contains(&word.as_str());
        let leads = self.words.iter().take_while(is_lead).count();
        &self.words[leads..]
    }

    fn begins_with(&self, list: &[&str]) -> bool {
        let first = self.said_after_leads().first();
        first.is_some_and(|word| list.contains(&word.as_str()))
    }

    /// A question by the order of its words.
    fn is_question(&self) -> bool {
        let said = self.said_after_leads();
        let is = |at: usize, list: &[&str]| {
            said.get(at)
                .is_some_and(|word| list.contains(&word.as_str()))
        };
        let asks = self.lexicon.asks;
        let word_order = is(0, self.lexicon.questions)
            && (said[0].contains('\'') || is(1, asks) || is(2, asks) || is(3, asks));
        said.len() >= 3 && (word_order || is(0, asks))
    }

    /// A question word in the middle: "that is what I want".
    fn refers_back(&self) -> bool {
        let said = self.said_after_leads();
        let end = said.len().saturating_sub(1);
        let middle = said.get(1..end).unwrap_or_default();
        middle
            .iter()
            .any(|word| self.lexicon.questions.contains(&word.as_str()))
    }

    /// Something marks it as all there is.
    fn is_whole(&self, after_question: bool) -> bool {
        let said = self.said_after_leads();
        let is_short = |most| (0..=most).contains(&said.len());
        let states = self.begins_with(self.lexicon.subjects)
            || self.begins_with(self.lexicon.determiners)
            || self.begins_with(self.lexicon.subordinators);
        self.is_question()
            || self.ends_in(self.lexicon.complete)
            || (self.refers_back() && self.lexicon.links.contains(&self.last()))
            || self.begins_with(self.lexicon.commands)
            || self.is_short_answer()
            || self.lexicon.closers.contains(&self.last())
            || (is_short(2) && !states)
            || (is_short(4) && after_question && !self.begins_with(self.lexicon.subordinators))
    }

    /// "Yes I do."
    fn is_short_answer(&self) -> bool {
        let first = self.words.first().map_or("", String::as_str);
        (2..=4).contains(&self.words.len())
            && self.lexicon.yes_no.contains(&first)
            && !self.lexicon.subjects.contains(&self.last())
    }

    fn is_yes_or_no(&self) -> bool {
        let is = |word: &String| self.lexicon.yes_no.contains(&word.as_str());
        self.words.len() <= 4 && self.words.first().is_some_and(is) && !self.breaks_off()
    }

    fn ends_in_letter(&self) -> bool {
        self.last().chars().count() == 1
    }

    /// A number of `min` to `max` digits was asked for, and some were said.
    fn number(&self, numbers: Numbers, min: usize, max: usize) -> Judgement {
        if numbers.digits < min {
            Judgement::Unfinished
        } else if numbers.digits >= max {
            Judgement::Answered
        } else if numbers.last_digits == 0 && !self.breaks_off() {
            Judgement::Whole
        } else {
            Judgement::Unclear
        }
    }

    /// A number nobody asked for is at the end; not "at five" or "a table for two".
    fn free_number(&self, numbers: Numbers) -> Option<Judgement> {
        let before = &self.words[..self.words.len() - numbers.last_words];
        let numbered = before
            .iter()
            .rev()
            .take(4)
            .any(|word| self.lexicon.numbered.contains(&word.as_str()));
        match numbers.last_digits {
            0 => None,
            1 | 2 if numbered => Some(Judgement::Unfinished),
            3.. if numbered || numbers.last_words > 1 => Some(Judgement::Unclear),
            2 if numbers.last_words > 1 => Some(Judgement::Unclear),
            _ => None,
        }
    }

    fn is_date(&self, numbers: Numbers) -> bool {
        let has = |list: &[&str]| self.words.iter().any(|word| list.contains(&word.as_str()));
        let ordinal = |word: &String| {
            word.ends_with("th") || ["first", "second", "third"].contains(&word.as_str())
        };
        let day = numbers.digits > 0 || self.words.iter().any(ordinal);
        !self.breaks_off() && (has(self.lexicon.days) || (has(self.lexicon.months) && day))
    }

    fn numbers(&self) -> Numbers {
        let mut numbers = Numbers::default();
        let mut rest = self.words;
        while !rest.is_empty() {
            match self.number_at(rest) {
                Some((digits, words)) => {
                    numbers.digits += digits;
                    numbers.last_digits += digits;
                    numbers.last_words += words;
                    rest = &rest[words..];
                }
                None => {
                    (numbers.last_digits, numbers.last_words) = (0, 0);
                    rest = &rest[1..];
                }
            }
        }
        numbers
    }

    /// How many digits the number at the start of `words` has, and of how many words it is.
    fn number_at(&self, words: &[String]) -> Option<(usize, usize)> {
        let lexicon = self.lexicon;
        let first = words.first()?;
        if first.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some((first.len(), 1));
        }
        let is_digit = |at: usize| {
            let word = words.get(at);
            word.is_some_and(|word| lexicon.numerals.digit(word).is_some())
        };
        match lexicon.numerals.value(first) {
            Some(0..10) => return Some((1, 1)),
            Some(value) if takes_unit(value) => {
                let has_and = words.get(1).is_some_and(|word| word == lexicon.and);
                let and = usize::from(has_and);
                return Some((2, if is_digit(1 + and) { 2 + and } else { 1 }));
            }
            Some(_) => return Some((2, 1)),
            None => {}
        }
        let multiple = lexicon.multiples.iter().find(|(word, _)| word == first);
        let (_, times) = multiple.filter(|_| is_digit(1))?;
        Some((*times, 2))
    }
}

#[cfg(test)]
mod tests {
    use super::{Judgement::*, *};

    const FREE: Context<'_> = Context {
        language: "en",
        expect: None,
        after_question: false,
        punctuates: false,
    };

    fn all(language: &str, expected: Judgement, texts: &[&str]) {
        for text in texts {
            let context = Context { language, ..FREE };
            assert_eq!(judge(text, context), expected, "{language}: {text:?}");
        }
    }

    #[test]
    fn whole_sentences() {
        let english = [
            "where is my order",
            "Where are you from?",
            "who am I speaking to",
            "hello",
            "hi there",
            "yes",
            "yes it is",
            "I think so",
            "hold on",
            "I don't know where it is",
            "that is what I want",
            "I would like a table for two please",
            "can you call me at five",
            "thank you goodbye",
            "tell me",
            "no",
            "the blue one please",
            "my name is John Smith.",
        ];
        all("en", Whole, &english);
        let spanish = [
            "dónde está mi pedido",
            "¿Cómo es?",
            "sí",
            "no, gracias",
            "Quiero pagar.",
            "puede repetirlo",
        ];
        all("es", Whole, &spanish);
        let portuguese = [
            "onde está o meu pedido",
            "sim",
            "não tenho",
            "pode repetir isso",
        ];
        all("pt", Whole, &portuguese);
    }

    #[test]
    fn sentences_that_break_off() {
        let english = [
            "I would like",
            "I would like to",
            "my number is",
            "I want to talk about the",
            "and um",
            "Um,",
            "my order has not arrived and",
            "I was wondering...",
            "it's",
            "can I speak to",
            "can you tell me",
            "could you",
            "how much does",
            "let me see",
            "so basically",
            "yeah so I",
            "what I really need is",
            "I don't",
            "well",
            "I need",
            "I think",
            "my phone number is four two",
            "my order number is 4",
        ];
        all("en", Unfinished, &english);
        let spanish = [
            "mi número es",
            "quisiera",
            "quiero hablar con",
            "y eh",
            "el pedido de la",
        ];
        all("es", Unfinished, &spanish);
        let portuguese = [
            "meu número é",
            "eu gostaria de",
            "preciso",
            "quero falar com o",
        ];
        all("pt", Unfinished, &portuguese);
    }

    #[test]
    fn what_may_go_on() {
        let english = [
            "my order",
            "I need a refund",
            "I bought a lamp last week",
            "if I order today",
            "my number is four two seven one",
            "four two",
            "it is 4271 double five",
        ];
        all("en", Unclear, &english);
        all(
            "es",
            Unclear,
            &["mi pedido", "cuarenta y dos treinta y tres"],
        );
        all("pt", Unclear, &["meu pedido", "sete meia cinco"]);
    }

    #[test]
    fn a_few_words_answer_a_question() {
        let answer = Context {
            after_question: true,
            ..FREE
        };
        assert_eq!(judge("the blue one", answer), Whole);
        assert_eq!(judge("on Friday afternoon", answer), Whole);
        assert_eq!(judge("I bought it in your shop", answer), Unclear);
        assert_eq!(judge("the", answer), Unfinished);
    }

    #[test]
    fn a_recogniser_that_punctuates_says_where_sentences_end() {
        let context = Context {
            punctuates: true,
            ..FREE
        };
        assert_eq!(judge("I have a question about it", context), Unclear);
        assert_eq!(judge("I have a question about it.", context), Whole);
        assert_eq!(judge("I have a question about.", context), Unfinished);
    }

    #[test]
    fn no_words_are_not_waited_for() {
        assert_eq!(judge(" ... ", FREE), Answered);
    }

    #[test]
    fn yes_or_no_answers_the_question() {
        let context = Context {
            expect: Some(Expect::YesNo),
            ..FREE
        };
        assert_eq!(judge("Yes, please.", context), Answered);
        assert_eq!(judge("no", context), Answered);
        assert_eq!(judge("yes but", context), Unfinished);
        assert_eq!(judge("I am not sure about it", context), Unclear);
    }

    #[test]
    fn a_number_is_awaited_to_its_last_digit() {
        let digits = |min, max| Context {
            expect: Some(Expect::Digits { min, max }),
            ..FREE
        };
        let exact = digits(6, 6);
        assert_eq!(judge("four two seven", exact), Unfinished);
        assert_eq!(judge("427 1 double five", exact), Answered);
        assert_eq!(judge("forty two seventy one nineteen", exact), Answered);
        let range = digits(3, 8);
        assert_eq!(judge("it is four two seven one", range), Unclear);
        assert_eq!(judge("four two seven one thank you", range), Whole);
        assert_eq!(judge("four two", range), Unfinished);
        assert_eq!(judge("wait a minute", range), Unclear);
    }

    #[test]
    fn a_date_has_a_day() {
        let context = Context {
            expect: Some(Expect::Date),
            ..FREE
        };
        assert_eq!(judge("March the", context), Unfinished);
        assert_eq!(judge("March", context), Unclear);
        assert_eq!(judge("March the third", context), Whole);
        assert_eq!(judge("tomorrow", context), Whole);
    }

    #[test]
    fn letters_follow_letters() {
        let context = Context {
            expect: Some(Expect::Spelling),
            ..FREE
        };
        assert_eq!(judge("S M I", context), Unfinished);
        assert_eq!(judge("Smith", context), Unclear);
    }

    #[test]
    fn other_languages_are_judged_by_punctuation() {
        all("fr", Whole, &["je voudrais", "Où est ma commande ?"]);
        all("fr", Unfinished, &["Je voudrais…"]);
    }
}
