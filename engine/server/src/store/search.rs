//! Words as they are searched, the same in both databases.

use unicode_normalization::{UnicodeNormalization as _, char::is_combining_mark};

/// The words of a text in lower case and without accents: what is neither letter nor digit parts them.
pub(super) fn words(text: &str) -> Vec<String> {
    let plain: String = text
        .nfkd()
        .filter(|char| !is_combining_mark(*char))
        .flat_map(char::to_lowercase)
        .collect();
    let words = plain.split(|char: char| !char.is_alphanumeric());
    words
        .filter(|word| !word.is_empty())
        .map(String::from)
        .collect()
}

/// The condition that a word was said in a call, and what is bound to it. `word` is one of [`words`].
pub(super) fn condition(postgres: bool, word: &str) -> (&'static str, String) {
    if postgres {
        (
            "id IN (SELECT call_id FROM transcript \
             WHERE to_tsvector('simple', words) @@ to_tsquery('simple', ?))",
            format!("'{word}':*"),
        )
    } else {
        (
            "id IN (SELECT t.call_id FROM transcript_words w \
             JOIN transcript t ON t.id = w.rowid WHERE w.words MATCH ?)",
            format!("\"{word}\"*"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_plain() {
        assert_eq!(
            words("Où est l'Élan? O'Brien: 12.50 €"),
            ["ou", "est", "l", "elan", "o", "brien", "12", "50"]
        );
        assert_eq!(words("Straße ｆｕｌｌ"), ["straße", "full"]);
        assert_eq!(words(" \0 \"*' -- "), Vec::<String>::new());
    }
}
