//! Words that only say "I am listening": "mm-hm", "yeah", "claro".

/// What listeners of English say.
const ENGLISH: &[&str] = &[
    "ah",
    "ah ha",
    "aha",
    "all right",
    "alright",
    "cool",
    "fine",
    "good",
    "got it",
    "great",
    "hm",
    "huh",
    "i see",
    "mhm",
    "mm",
    "mm hm",
    "nice",
    "of course",
    "oh",
    "ok",
    "okay",
    "right",
    "sure",
    "true",
    "uh",
    "uh huh",
    "uhuh",
    "um",
    "wow",
    "ya",
    "yeah",
    "yep",
    "yes",
    "yup",
];
/// Of Spanish.
const SPANISH: &[&str] = &[
    "ah",
    "aha",
    "ajá",
    "bien",
    "bueno",
    "claro",
    "claro que sí",
    "comprendo",
    "de acuerdo",
    "eh",
    "entiendo",
    "eso",
    "está bien",
    "exacto",
    "hm",
    "mm",
    "mhm",
    "mm hm",
    "muy bien",
    "oh",
    "ok",
    "okay",
    "okey",
    "perfecto",
    "por supuesto",
    "sí",
    "uh",
    "uhum",
    "vale",
    "ya",
    "ya veo",
];
/// Of Portuguese.
const PORTUGUESE: &[&str] = &[
    "ah",
    "ah tá",
    "aham",
    "ahã",
    "beleza",
    "bom",
    "certo",
    "claro",
    "com certeza",
    "é",
    "é verdade",
    "eh",
    "entendi",
    "entendo",
    "exato",
    "hm",
    "humhum",
    "isso",
    "mm",
    "mhm",
    "mm hm",
    "muito bem",
    "oh",
    "ok",
    "okay",
    "pois",
    "pois é",
    "pois não",
    "sei",
    "sim",
    "tá",
    "tá bem",
    "tá bom",
    "está bem",
    "uh",
    "uhum",
];

/// Tells words that only say "I am listening" from words that say something.
#[derive(Clone, Debug)]
pub(crate) struct Backchannels {
    /// Each as its words, in the form of [`words_of`]; longer ones first.
    phrases: Vec<Vec<String>>,
}

impl Backchannels {
    /// Those of `language`; of all languages for `None`; and `more`.
    pub(crate) fn new(language: Option<&str>, more: &[String]) -> Self {
        let known: &[&[&str]] = match language {
            Some("en") => &[ENGLISH],
            Some("es") => &[SPANISH],
            Some("pt") => &[PORTUGUESE],
            Some(_) => &[],
            None => &[ENGLISH, SPANISH, PORTUGUESE],
        };
        let known = known.iter().flat_map(|phrases| phrases.iter().copied());
        let all = known.chain(more.iter().map(String::as_str));
        let mut phrases: Vec<Vec<String>> = all.map(words_of).filter(|w| !w.is_empty()).collect();
        phrases.sort_unstable_by_key(|words| std::cmp::Reverse(words.len()));
        Self { phrases }
    }

    /// Whether `text` consists of nothing else; an empty one does not.
    pub(crate) fn are_all_of(&self, text: &str) -> bool {
        let words = words_of(text);
        let mut rest = words.as_slice();
        while !rest.is_empty() {
            let next = self.phrases.iter().find(|phrase| rest.starts_with(phrase));
            let Some(phrase) = next else { return false };
            rest = &rest[phrase.len()..];
        }
        !words.is_empty()
    }
}

/// The words of `text` without case and punctuation; letters that are drawn out count once, as
/// do those of "okaaay" and "mmm".
fn words_of(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric() && c != '\'')
        .map(|word| {
            let mut letters: Vec<char> = word.chars().flat_map(char::to_lowercase).collect();
            letters.dedup();
            letters
                .into_iter()
                .filter(|c| c.is_alphanumeric())
                .collect()
        })
        .filter(|word: &String| !word.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn english() -> Backchannels {
        Backchannels::new(Some("en"), &[])
    }

    #[test]
    fn listening_is_told_from_speaking() {
        for text in [
            "Mm-hm.",
            "mmm",
            "Mhm",
            "Yeah.",
            "yeah, yeah",
            "Okay.",
            "OK okay!",
            "okaaay",
            "Uh-huh.",
            "right",
            "Oh, I see.",
            "Hmm…",
            "all right, got it",
        ] {
            assert!(english().are_all_of(text), "{text}");
        }
        for text in [
            "",
            "…",
            "no",
            "stop",
            "wait",
            "yeah but no",
            "okay stop",
            "see",
            "42",
            "all",
        ] {
            assert!(!english().are_all_of(text), "{text}");
        }
    }

    #[test]
    fn every_language_has_its_own() {
        for (language, text) in [
            ("es", "Ajá."),
            ("es", "¡Sí, sí!"),
            ("es", "Vale, vale."),
            ("es", "claro que sí"),
            ("pt", "Tá."),
            ("pt", "Sim, sim."),
            ("pt", "Pois é…"),
            ("pt", "Uhum"),
        ] {
            assert!(
                Backchannels::new(Some(language), &[]).are_all_of(text),
                "{text}"
            );
            assert!(Backchannels::new(None, &[]).are_all_of(text), "{text}");
        }
        assert!(!english().are_all_of("vale"));
        for (language, text) in [
            ("es", "no"),
            ("es", "espere"),
            ("pt", "não"),
            ("pt", "pare"),
        ] {
            assert!(
                !Backchannels::new(Some(language), &[]).are_all_of(text),
                "{text}"
            );
        }
    }

    #[test]
    fn more_can_be_added() {
        let more = ["Roger that".to_owned(), String::new()];
        let backchannels = Backchannels::new(Some("de"), &more);
        assert!(backchannels.are_all_of("roger that, ROGER THAT"));
        assert!(!backchannels.are_all_of("roger"));
        assert!(!backchannels.are_all_of("okay"));
    }
}
