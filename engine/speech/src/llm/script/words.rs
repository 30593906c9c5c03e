//! What a caller said, as words that can be compared, and the digits among them.

use sidetone_core::numerals::{Numerals, without_accent};

/// Lower-case words without punctuation and accents: `"I'd like 4-2, señor!"` → `id like 4 2
/// senor`.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for c in text.chars().flat_map(char::to_lowercase) {
        let word = words.last_mut().expect("there is always one");
        match c {
            '\'' | '’' => {}
            c if c.is_alphanumeric() => word.push(plain(c)),
            // A combining mark belongs to its letter.
            '\u{300}'..='\u{36f}' => {}
            _ if word.is_empty() => {}
            _ => words.push(String::new()),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn plain(c: char) -> char {
    match c {
        'ñ' => 'n',
        c => without_accent(c),
    }
}

/// How digits are said in a language. Numerals are understood in every one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbers {
    English,
    Spanish,
    Portuguese,
    /// Numerals only.
    Numerals,
}

impl Numbers {
    /// For a language, an ISO 639-1 code.
    pub(super) fn of(language: &str) -> Self {
        match language {
            "en" => Self::English,
            "es" => Self::Spanish,
            "pt" => Self::Portuguese,
            _ => Self::Numerals,
        }
    }

    /// The digits at the start of `words` and how many words they took.
    pub(super) fn digits(self, words: &[String]) -> (String, usize) {
        let mut digits = String::new();
        let mut used = 0;
        while let Some((more, length)) = self.next(&words[used..]) {
            digits.push_str(&more);
            used += length;
        }
        (digits, used)
    }

    /// How `digits` are said one by one.
    pub(super) fn say(self, digits: &str) -> String {
        let said = digits.chars().map(|digit| {
            let value = digit.to_digit(10).and_then(|value| value.try_into().ok());
            let name = value.and_then(|value| self.numerals().name(value));
            name.map_or_else(|| digit.to_string(), str::to_owned)
        });
        said.collect::<Vec<_>>().join(" ")
    }

    /// The digits of the first number of `words` and how many words it took.
    fn next(self, words: &[String]) -> Option<(String, usize)> {
        let (first, rest) = words.split_first()?;
        if first.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some((first.clone(), 1));
        }
        if let Some(digit) = self.digit(first) {
            return Some((digit.to_string(), 1));
        }
        if self != Self::English {
            return None;
        }
        let times = match first.as_str() {
            "double" => 2,
            "triple" => 3,
            _ => 1,
        };
        if times > 1 {
            let digit = rest.first().and_then(|word| self.digit(word))?;
            return Some((digit.to_string().repeat(times), 2));
        }
        let value = self.numerals().value(first)?;
        if value < 20 {
            return Some((value.to_string(), 1));
        }
        // "forty two" is 42; "forty" alone is 40.
        let unit = rest
            .first()
            .and_then(|word| self.digit(word))
            .filter(|&unit| unit > 0);
        Some(match unit {
            Some(unit) => ((value + unit).to_string(), 2),
            None => (value.to_string(), 1),
        })
    }

    fn digit(self, word: &str) -> Option<u8> {
        // What is an article or a letter elsewhere is a digit where one was asked for.
        let other = match (self, word) {
            (Self::English, "o") => Some(0),
            (Self::Spanish, "un" | "una") => Some(1),
            _ => None,
        };
        other.or_else(|| self.numerals().digit(word))
    }

    fn numerals(self) -> Numerals {
        match self {
            Self::English => Numerals::ENGLISH,
            Self::Spanish => Numerals::SPANISH,
            Self::Portuguese => Numerals::PORTUGUESE,
            Self::Numerals => Numerals::NONE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(language: &str, text: &str) -> String {
        Numbers::of(language).digits(&words(text)).0
    }

    #[test]
    fn words_lose_case_punctuation_and_accents() {
        assert_eq!(
            words("I'd like 4-2, señor! Não?"),
            ["id", "like", "4", "2", "senor", "nao"]
        );
        assert_eq!(words(" … "), [""; 0]);
    }

    #[test]
    fn digits_are_understood_however_they_are_said() {
        for text in [
            "four two seven one",
            "4271",
            "4,271",
            "#4-2-7-1.",
            "42 seven one",
            "forty two seventy one",
            "Four, two, seven, one",
        ] {
            assert_eq!(digits("en", text), "4271", "{text}");
        }
        assert_eq!(digits("en", "oh double five triple zero"), "055000");
        assert_eq!(digits("en", "eleven twenty oh"), "11200");
        assert_eq!(digits("en", "four please"), "4");
        assert_eq!(digits("en", "double trouble"), "");
        assert_eq!(digits("es", "cuatro dos siete uno"), "4271");
        assert_eq!(digits("pt", "três meia"), "36");
        assert_eq!(digits("de", "vier 27"), "");
    }

    #[test]
    fn digits_are_said_one_by_one() {
        assert_eq!(Numbers::English.say("4271"), "four two seven one");
        assert_eq!(Numbers::Portuguese.say("30"), "três zero");
        assert_eq!(Numbers::Numerals.say("42"), "4 2");
    }
}
