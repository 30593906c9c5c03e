//! How far a text is from what was said.

/// Words of the texts and how many of them are wrong.
#[derive(Clone, Copy, Debug, Default)]
pub struct WordErrors {
    words: usize,
    wrong: usize,
}

impl WordErrors {
    /// Words that are missing, added or others than said.
    #[must_use]
    pub fn between(said: &str, written: &str) -> Self {
        let (said, written) = (words(said), words(written));
        let mut distances: Vec<usize> = (0..=written.len()).collect();
        for (n, word) in said.iter().enumerate() {
            let mut diagonal = n;
            distances[0] = n + 1;
            for (m, other) in written.iter().enumerate() {
                let changed = diagonal + usize::from(word != other);
                diagonal = distances[m + 1];
                distances[m + 1] = changed.min(diagonal + 1).min(distances[m] + 1);
            }
        }
        Self {
            words: said.len(),
            wrong: distances[written.len()],
        }
    }

    /// Counts those of another text too.
    pub fn add(&mut self, other: Self) {
        self.words += other.words;
        self.wrong += other.wrong;
    }

    /// The word error rate, a share of the words said.
    #[must_use]
    pub fn rate(self) -> f64 {
        self.wrong as f64 / self.words.max(1) as f64
    }
}

/// In lower case, without punctuation and `[tags]`; digits as words.
fn words(text: &str) -> Vec<String> {
    const DIGITS: [&str; 10] = [
        "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    ];
    let mut plain = String::new();
    let mut in_tag = false;
    for c in text.to_lowercase().chars() {
        match c {
            '[' | '(' => in_tag = true,
            ']' | ')' => in_tag = false,
            _ if in_tag => {}
            '\'' | '’' => plain.push('\''),
            '0'..='9' => {
                plain.push(' ');
                plain.push_str(DIGITS[c as usize - '0' as usize]);
                plain.push(' ');
            }
            c if c.is_alphabetic() => plain.push(c),
            _ => plain.push(' '),
        }
    }
    plain.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(said: &str, written: &str) -> usize {
        WordErrors::between(said, written).wrong
    }

    #[test]
    fn words_that_are_missing_added_or_others_count_once() {
        assert_eq!(wrong("where is my order", "where is my order"), 0);
        assert_eq!(wrong("where is my order", "where is order"), 1);
        assert_eq!(wrong("where is my order", "so where is my order"), 1);
        assert_eq!(wrong("where is my order", "where was my border"), 2);
        assert_eq!(wrong("where is my order", ""), 4);
        assert_eq!(wrong("", "thank you"), 2);
    }

    #[test]
    fn case_punctuation_tags_and_how_digits_are_written_do_not_count() {
        let written = " [BLANK_AUDIO] It's number 4,271. (music) Thanks!";
        assert_eq!(wrong("it's number four two seven one thanks", written), 0);
    }

    #[test]
    fn rates_are_of_all_words_together() {
        let mut errors = WordErrors::between("one two three", "one two");
        errors.add(WordErrors::between("four", "four"));
        assert!((errors.rate() - 0.25).abs() < 1e-9);
    }
}
