//! The words of each language by which spoken numbers, addresses and swearing are known.
//!
//! Lower case, without accents but for ñ, as [`tokens`](super::tokens) folds them. The lists are short on
//! purpose: what is ambiguous in everyday speech is left out.

use sidetone_core::numerals::{Numerals, takes_unit};

/// A language's words.
#[derive(Debug)]
pub(super) struct Lexicon {
    numerals: Numerals,
    /// What is more often no number, and what adds to one.
    other_numbers: &'static [(&'static str, NumberWord)],
    /// Before a telephone number.
    pub(super) plus: &'static [&'static str],
    /// Said between digits.
    pub(super) between_digits: &'static [&'static str],
    /// "@".
    pub(super) at: &'static [&'static str],
    /// "." in an address.
    pub(super) dot: &'static [&'static str],
    /// Other marks in an address.
    pub(super) marks: &'static [&'static str],
    /// Words before an address that are no part of it.
    pub(super) before_address: &'static [&'static str],
    /// With `*`: and whatever begins so.
    profane: &'static [&'static str],
}

/// What a word adds to a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NumberWord {
    /// So many digits.
    Digits(usize),
    /// Two, of which a digit after it is the second: "twenty".
    Tens,
    /// So many more digits to a number before it: "hundred". Alone it is no number ("a hundred times").
    More(usize),
}

impl NumberWord {
    pub(super) fn digits_first(self) -> Option<usize> {
        match self {
            Self::Digits(digits) => Some(digits),
            Self::Tens => Some(2),
            Self::More(_) => None,
        }
    }

    pub(super) fn digits_after(self) -> usize {
        match self {
            Self::Digits(digits) | Self::More(digits) => digits,
            Self::Tens => 2,
        }
    }
}

impl Lexicon {
    pub(super) fn number(&self, word: &str) -> Option<NumberWord> {
        if let Some(value) = self.numerals.value(word) {
            return Some(match value {
                0..10 => Digits(1),
                _ if takes_unit(value) => Tens,
                _ => Digits(2),
            });
        }
        let mut others = self.other_numbers.iter();
        others
            .find(|(text, _)| *text == word)
            .map(|(_, number)| *number)
    }

    pub(super) fn is_profane(&self, word: &str) -> bool {
        self.profane
            .iter()
            .any(|entry| match entry.strip_suffix('*') {
                Some(stem) => word.starts_with(stem),
                None => word == *entry,
            })
    }
}

/// The words of a language, by its ISO 639-1 code; none where it is not known.
pub(super) fn of(language: &str) -> &'static Lexicon {
    match language {
        "en" => &ENGLISH,
        "es" => &SPANISH,
        "pt" => &PORTUGUESE,
        _ => &NONE,
    }
}

use NumberWord::{Digits, More, Tens};

static NONE: Lexicon = Lexicon {
    numerals: Numerals::NONE,
    other_numbers: &[],
    plus: &[],
    between_digits: &[],
    at: &[],
    dot: &[],
    marks: &[],
    before_address: &[],
    profane: &[],
};

static ENGLISH: Lexicon = Lexicon {
    numerals: Numerals::ENGLISH,
    other_numbers: &[
        ("o", Digits(1)),
        ("naught", Digits(1)),
        ("niner", Digits(1)),
        // One more of the digit after it.
        ("double", Digits(1)),
        ("triple", Digits(2)),
        ("treble", Digits(2)),
        ("hundred", More(2)),
        ("thousand", More(3)),
        ("million", More(6)),
    ],
    plus: &["plus"],
    between_digits: &[
        "and", "dash", "hyphen", "minus", "point", "dot", "slash", "space", "uh", "um", "er",
    ],
    at: &["at"],
    dot: &["dot", "period", "point"],
    marks: &[
        "underscore",
        "dash",
        "hyphen",
        "minus",
        "plus",
        "score",
        "under",
    ],
    before_address: &[
        "a", "address", "am", "an", "and", "be", "by", "can", "contact", "dot", "e", "email",
        "emails", "for", "have", "he", "i", "is", "it", "its", "look", "mail", "me", "my", "of",
        "ok", "okay", "on", "or", "order", "please", "reach", "s", "send", "she", "shop", "so",
        "that", "the", "their", "them", "they", "this", "to", "uh", "um", "us", "use", "visit",
        "was", "we", "with", "would", "write", "yeah", "yes", "you", "your",
    ],
    profane: &[
        "fuck*",
        "motherfuck*",
        "clusterfuck*",
        "shit*",
        "bullshit*",
        "horseshit*",
        "bitch*",
        "asshole*",
        "arsehole*",
        "dumbass*",
        "jackass*",
        "bastard*",
        "cunt*",
        "dickhead*",
        "prick",
        "pricks",
        "piss",
        "pissed",
        "pissing",
        "wank*",
        "twat*",
        "goddamn*",
        "bollocks",
        "whore*",
        "slut",
        "sluts",
        "nigger*",
        "nigga*",
        "faggot*",
        "fag",
        "fags",
        "retard",
        "retards",
        "retarded",
    ],
};

static SPANISH: Lexicon = Lexicon {
    numerals: Numerals::SPANISH,
    other_numbers: &[
        ("un", Digits(1)),
        ("una", Digits(1)),
        ("doble", Digits(1)),
        ("triple", Digits(2)),
        ("veintiun", Digits(2)),
        ("veintiuna", Digits(2)),
        ("cien", More(3)),
        ("ciento", Digits(3)),
        ("doscientos", Digits(3)),
        ("doscientas", Digits(3)),
        ("trescientos", Digits(3)),
        ("trescientas", Digits(3)),
        ("cuatrocientos", Digits(3)),
        ("cuatrocientas", Digits(3)),
        ("quinientos", Digits(3)),
        ("quinientas", Digits(3)),
        ("seiscientos", Digits(3)),
        ("seiscientas", Digits(3)),
        ("setecientos", Digits(3)),
        ("setecientas", Digits(3)),
        ("ochocientos", Digits(3)),
        ("ochocientas", Digits(3)),
        ("novecientos", Digits(3)),
        ("novecientas", Digits(3)),
        ("mil", More(3)),
        ("millon", More(6)),
        ("millones", More(6)),
    ],
    plus: &["mas"],
    between_digits: &[
        "y", "guion", "menos", "punto", "coma", "barra", "espacio", "eh",
    ],
    at: &["arroba"],
    dot: &["punto"],
    marks: &["guion", "bajo", "medio", "menos", "mas"],
    before_address: &[
        "a",
        "al",
        "correo",
        "de",
        "del",
        "direccion",
        "e",
        "el",
        "electronico",
        "email",
        "en",
        "es",
        "escriba",
        "escribame",
        "este",
        "la",
        "mail",
        "me",
        "mi",
        "nuestro",
        "o",
        "para",
        "por",
        "que",
        "seria",
        "si",
        "su",
        "tu",
        "un",
        "y",
    ],
    profane: &[
        "mierda*",
        "puta",
        "putas",
        "puto",
        "putos",
        "putada*",
        "hijueputa*",
        "hijoputa*",
        "hideputa*",
        "joder",
        "jodete",
        "jodido",
        "jodida",
        "jodidos",
        "jodidas",
        "coño*",
        "cabron*",
        "gilipollas",
        "pendej*",
        "chingar",
        "chingada*",
        "chingado*",
        "chinga",
        "chingas",
        "verga",
        "vergas",
        "carajo",
        "maricon*",
        "culero*",
        "malparid*",
        "gonorrea",
    ],
};

static PORTUGUESE: Lexicon = Lexicon {
    numerals: Numerals::PORTUGUESE,
    other_numbers: &[
        ("duplo", Digits(1)),
        ("triplo", Digits(2)),
        ("cem", More(3)),
        ("cento", Digits(3)),
        ("duzentos", Digits(3)),
        ("duzentas", Digits(3)),
        ("trezentos", Digits(3)),
        ("trezentas", Digits(3)),
        ("quatrocentos", Digits(3)),
        ("quatrocentas", Digits(3)),
        ("quinhentos", Digits(3)),
        ("quinhentas", Digits(3)),
        ("seiscentos", Digits(3)),
        ("seiscentas", Digits(3)),
        ("setecentos", Digits(3)),
        ("setecentas", Digits(3)),
        ("oitocentos", Digits(3)),
        ("oitocentas", Digits(3)),
        ("novecentos", Digits(3)),
        ("novecentas", Digits(3)),
        ("mil", More(3)),
        ("milhao", More(6)),
        ("milhoes", More(6)),
    ],
    plus: &["mais"],
    between_digits: &[
        "e", "traco", "hifen", "menos", "ponto", "virgula", "barra", "espaco",
    ],
    at: &["arroba"],
    dot: &["ponto"],
    marks: &[
        "underline",
        "sublinhado",
        "underscore",
        "traco",
        "hifen",
        "menos",
        "mais",
    ],
    before_address: &[
        "a",
        "ao",
        "com",
        "de",
        "do",
        "e",
        "eletronico",
        "email",
        "endereco",
        "em",
        "escreva",
        "esse",
        "este",
        "eu",
        "mail",
        "me",
        "meu",
        "minha",
        "na",
        "no",
        "nosso",
        "o",
        "para",
        "por",
        "pra",
        "que",
        "seria",
        "seu",
        "sim",
        "um",
    ],
    profane: &[
        "merda*",
        "puta",
        "putas",
        "puto",
        "putos",
        "putaria*",
        "caralho*",
        "porra",
        "porras",
        "foda",
        "fodas",
        "fodase",
        "foder",
        "fodido",
        "fodida",
        "fodidos",
        "fodidas",
        "buceta*",
        "cuzao",
        "cuzoes",
        "viado*",
        "arrombado*",
        "arrombada*",
        "desgracado*",
        "desgracada*",
        "corno",
        "otario",
        "otaria",
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_can_be_met() {
        // As the tokens fold them: an accent or a capital would never match.
        let plain = |word: &str| {
            !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == 'ñ')
        };
        for lexicon in [&ENGLISH, &SPANISH, &PORTUGUESE] {
            let numbers = lexicon.other_numbers.iter().map(|(word, _)| *word);
            let lists = [
                lexicon.plus,
                lexicon.between_digits,
                lexicon.at,
                lexicon.dot,
                lexicon.marks,
                lexicon.before_address,
            ];
            let profane = lexicon
                .profane
                .iter()
                .map(|word| word.trim_end_matches('*'));
            let words = numbers
                .chain(lists.into_iter().flatten().copied())
                .chain(profane);
            for word in words {
                assert!(plain(word), "{word:?}");
            }
        }
    }
}
