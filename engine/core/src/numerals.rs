//! The words for the numbers below a hundred, in the languages in which they are known.
//!
//! What is a number only where one is due (Spanish "un", English "o") is left to those who know that
//! it is.

/// A language's words.
#[derive(Clone, Copy, Debug)]
pub struct Numerals(&'static [(&'static str, u8)]);

impl Numerals {
    /// None at all.
    pub const NONE: Self = Self(&[]);

    /// Those of a language, an ISO 639-1 code; none where they are not known.
    #[must_use]
    pub fn of(language: &str) -> Self {
        match language {
            "en" => Self::ENGLISH,
            "es" => Self::SPANISH,
            "pt" => Self::PORTUGUESE,
            _ => Self::NONE,
        }
    }

    /// The value of a word in lower case, with its accents or without: 0 to 99. The tens of
    /// "forty-two" are a word of their own.
    #[must_use]
    pub fn value(self, word: &str) -> Option<u8> {
        let is = |name: &str| {
            let letters = word.chars().map(without_accent);
            name.chars().map(without_accent).eq(letters)
        };
        let mut words = self.0.iter();
        words.find(|(name, _)| is(name)).map(|(_, value)| *value)
    }

    /// The value of a word that is a digit.
    #[must_use]
    pub fn digit(self, word: &str) -> Option<u8> {
        self.value(word).filter(|value| *value < 10)
    }

    /// The usual word for `value`.
    #[must_use]
    pub fn name(self, value: u8) -> Option<&'static str> {
        let mut words = self.0.iter();
        words.find(|(_, of)| *of == value).map(|(name, _)| *name)
    }

    /// English.
    pub const ENGLISH: Self = Self(&[
        ("zero", 0),
        ("oh", 0),
        ("nought", 0),
        ("one", 1),
        ("two", 2),
        ("three", 3),
        ("four", 4),
        ("five", 5),
        ("six", 6),
        ("seven", 7),
        ("eight", 8),
        ("nine", 9),
        ("ten", 10),
        ("eleven", 11),
        ("twelve", 12),
        ("thirteen", 13),
        ("fourteen", 14),
        ("fifteen", 15),
        ("sixteen", 16),
        ("seventeen", 17),
        ("eighteen", 18),
        ("nineteen", 19),
        ("twenty", 20),
        ("thirty", 30),
        ("forty", 40),
        ("fifty", 50),
        ("sixty", 60),
        ("seventy", 70),
        ("eighty", 80),
        ("ninety", 90),
    ]);

    /// Spanish.
    pub const SPANISH: Self = Self(&[
        ("cero", 0),
        ("uno", 1),
        ("dos", 2),
        ("tres", 3),
        ("cuatro", 4),
        ("cinco", 5),
        ("seis", 6),
        ("siete", 7),
        ("ocho", 8),
        ("nueve", 9),
        ("diez", 10),
        ("once", 11),
        ("doce", 12),
        ("trece", 13),
        ("catorce", 14),
        ("quince", 15),
        ("dieciséis", 16),
        ("diecisiete", 17),
        ("dieciocho", 18),
        ("diecinueve", 19),
        ("veinte", 20),
        ("veintiuno", 21),
        ("veintidós", 22),
        ("veintitrés", 23),
        ("veinticuatro", 24),
        ("veinticinco", 25),
        ("veintiséis", 26),
        ("veintisiete", 27),
        ("veintiocho", 28),
        ("veintinueve", 29),
        ("treinta", 30),
        ("cuarenta", 40),
        ("cincuenta", 50),
        ("sesenta", 60),
        ("setenta", 70),
        ("ochenta", 80),
        ("noventa", 90),
    ]);

    /// Portuguese, as it is written in Brazil and in Portugal.
    pub const PORTUGUESE: Self = Self(&[
        ("zero", 0),
        ("um", 1),
        ("uma", 1),
        ("dois", 2),
        ("duas", 2),
        ("três", 3),
        ("quatro", 4),
        ("cinco", 5),
        ("seis", 6),
        // Half a dozen: six, in numbers that are read out in Brazil.
        ("meia", 6),
        ("sete", 7),
        ("oito", 8),
        ("nove", 9),
        ("dez", 10),
        ("onze", 11),
        ("doze", 12),
        ("treze", 13),
        ("catorze", 14),
        ("quatorze", 14),
        ("quinze", 15),
        ("dezesseis", 16),
        ("dezasseis", 16),
        ("dezessete", 17),
        ("dezassete", 17),
        ("dezoito", 18),
        ("dezenove", 19),
        ("dezanove", 19),
        ("vinte", 20),
        ("trinta", 30),
        ("quarenta", 40),
        ("cinquenta", 50),
        ("sessenta", 60),
        ("setenta", 70),
        ("oitenta", 80),
        ("noventa", 90),
    ]);
}

/// Whether a digit may follow the word for `value`, as in "forty-two".
#[must_use]
pub fn takes_unit(value: u8) -> bool {
    value >= 20 && value.is_multiple_of(10)
}

/// A letter in lower case without its accent. ñ is a letter of its own, and stays.
#[must_use]
pub fn without_accent(letter: char) -> char {
    match letter {
        'á' | 'à' | 'â' | 'ã' | 'ä' => 'a',
        'é' | 'è' | 'ê' | 'ë' => 'e',
        'í' | 'ì' | 'î' | 'ï' => 'i',
        'ó' | 'ò' | 'ô' | 'õ' | 'ö' => 'o',
        'ú' | 'ù' | 'û' | 'ü' => 'u',
        'ç' => 'c',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_digit_and_every_ten_has_a_word() {
        for language in ["en", "es", "pt"] {
            let numerals = Numerals::of(language);
            for value in (0..20).chain((20..100).step_by(10)) {
                let name = numerals.name(value).unwrap();
                assert_eq!(numerals.value(name), Some(value), "{name}");
            }
            let lower = |(word, _): &(&str, u8)| word.chars().all(char::is_lowercase);
            assert!(numerals.0.iter().all(lower));
        }
        assert_eq!(Numerals::of("de").name(1), None);
    }

    #[test]
    fn words_are_understood_with_their_accents_and_without() {
        for word in ["dieciséis", "dieciseis"] {
            assert_eq!(Numerals::SPANISH.value(word), Some(16));
        }
        for word in ["três", "tres"] {
            assert_eq!(Numerals::PORTUGUESE.digit(word), Some(3));
        }
        assert_eq!(Numerals::ENGLISH.digit("ten"), None);
        assert_eq!(Numerals::ENGLISH.value("tenth"), None);
        assert_eq!(Numerals::ENGLISH.value(""), None);
    }
}
