//! Cuts the language model's stream of text into sentences for the voice.
//!
//! The first piece goes out as early as it can be spoken on its own: at the end of a clause if it
//! is long enough. Later ones wait for the end of their sentence: by then there is audio to
//! listen to, and whole sentences sound better.

/// The first piece may end at a clause once it has this many characters.
const FIRST_CLAUSE: usize = 24;
/// No piece is longer than this many characters: it is cut at a clause, else at a space.
const LONGEST: usize = 280;

/// Words that end in a full stop without ending a sentence.
const ABBREVIATIONS: &[&str] = &[
    "mr", "mrs", "ms", "dr", "prof", "st", "no", "vs", "etc", "e.g", "i.e", "a.m", "p.m", "approx",
    "ext", "sr", "sra", "srta", "ud", "uds", "av", "núm", "pág", "tel", "exmo", "exma",
];

/// Collects text and gives it back in sentences.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    text: String,
    given: usize,
}

impl Splitter {
    /// Takes the next piece of text and calls `sentence` for each that is complete.
    pub(crate) fn push(&mut self, delta: &str, mut sentence: impl FnMut(String)) {
        self.text.push_str(delta);
        while let Some(end) = self.boundary() {
            let rest = self.text.split_off(end);
            let piece = std::mem::replace(&mut self.text, rest);
            self.give(&piece, &mut sentence);
        }
    }

    /// The text is over: what is left is a sentence.
    pub(crate) fn finish(&mut self, mut sentence: impl FnMut(String)) {
        let piece = std::mem::take(&mut self.text);
        self.give(&piece, &mut sentence);
    }

    /// How many sentences were given back so far.
    pub(crate) fn given(&self) -> usize {
        self.given
    }

    fn give(&mut self, piece: &str, sentence: &mut impl FnMut(String)) {
        let spoken = speakable(piece);
        if has_words(&spoken) {
            self.given += 1;
            sentence(spoken);
        }
    }

    /// Where the first piece ends, in bytes, if that is known already.
    fn boundary(&self) -> Option<usize> {
        let (mut characters, mut clause, mut space) = (0, None, None);
        let mut chars = self.text.char_indices().peekable();
        while let Some((index, character)) = chars.next() {
            characters += 1;
            let after = index + character.len_utf8();
            let next = chars.peek().map(|(_, next)| *next);
            match character {
                '\n' if characters > 1 => return Some(after),
                '。' | '！' | '？' => return Some(after),
                '.' | '!' | '?' | '…' | ':' => {
                    let end = self.skip_closing(after);
                    if self.space_follows(end) && (character != '.' || !self.is_abbreviation(index))
                    {
                        if character != ':' {
                            return Some(end);
                        }
                        clause = Some(end);
                    }
                }
                ',' | ';' | '—' if next.is_some_and(char::is_whitespace) => clause = Some(after),
                _ if character.is_whitespace() => space = Some(after),
                _ => {}
            }
            if self.given == 0 && characters >= FIRST_CLAUSE && clause == Some(after) {
                return clause;
            }
            if characters >= LONGEST {
                return Some(clause.or(space).unwrap_or(after));
            }
        }
        None
    }

    /// Behind the quotes and brackets that close a sentence ending at `end`.
    fn skip_closing(&self, end: usize) -> usize {
        let closing = |c: &char| {
            matches!(
                c,
                '"' | '\'' | '”' | '’' | ')' | ']' | '*' | '»' | '.' | '!' | '?'
            )
        };
        end + self.text[end..]
            .chars()
            .take_while(closing)
            .map(char::len_utf8)
            .sum::<usize>()
    }

    fn space_follows(&self, end: usize) -> bool {
        self.text[end..]
            .chars()
            .next()
            .is_some_and(char::is_whitespace)
    }

    /// Whether the full stop at `stop` belongs to an abbreviation, an initial or a list number.
    fn is_abbreviation(&self, stop: usize) -> bool {
        let word = self.text[..stop]
            .rsplit(|c: char| c.is_whitespace() || matches!(c, '(' | '"' | '¿' | '¡'))
            .next()
            .unwrap_or_default();
        let lower = word.to_lowercase();
        let list_number = word.len() <= 2
            && word.bytes().all(|b| b.is_ascii_digit())
            && !word.is_empty()
            && self.text[..stop - word.len()].trim().is_empty();
        let initial =
            word.chars().count() == 1 && word.chars().all(char::is_uppercase) && word != "I";
        ABBREVIATIONS.contains(&lower.as_str()) || initial || list_number
    }
}

/// Whether there is anything in `text` that a voice can say.
pub(crate) fn has_words(text: &str) -> bool {
    text.chars().any(char::is_alphanumeric)
}

/// The text without what is written but not spoken: Markdown's signs, emoji, repeated space.
fn speakable(text: &str) -> String {
    let mut spoken = String::with_capacity(text.len());
    let line_starts = text.trim_start().trim_start_matches(['#', '>']);
    let line_starts = line_starts
        .strip_prefix("- ")
        .or_else(|| line_starts.strip_prefix("* "))
        .or_else(|| line_starts.strip_prefix("• "))
        .unwrap_or(line_starts);
    for character in line_starts.chars() {
        match character {
            '*' | '`' | '_' | '~' | '|' => {}
            c if is_pictograph(c) => {}
            c if c.is_whitespace() => {
                if !spoken.ends_with(' ') && !spoken.is_empty() {
                    spoken.push(' ');
                }
            }
            c if c.is_control() => {}
            c => spoken.push(c),
        }
    }
    spoken.truncate(spoken.trim_end().len());
    spoken
}

fn is_pictograph(character: char) -> bool {
    matches!(u32::from(character), 0x2600..=0x27BF | 0x1F000..=0x1FAFF | 0xFE0F | 0x200D)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Splits `text` fed `step` characters at a time.
    fn split(text: &str, step: usize) -> Vec<String> {
        let mut splitter = Splitter::default();
        let mut sentences = Vec::new();
        let characters: Vec<char> = text.chars().collect();
        for piece in characters.chunks(step) {
            splitter.push(&piece.iter().collect::<String>(), |s| sentences.push(s));
        }
        splitter.finish(|s| sentences.push(s));
        sentences
    }

    #[track_caller]
    fn splits(text: &str, expected: &[&str]) {
        for step in [1, 2, 3, 7, 1_000] {
            assert_eq!(
                split(text, step),
                expected,
                "fed {step} characters at a time"
            );
        }
    }

    #[test]
    fn sentences() {
        splits(
            "Yes. It is on its way! Anything else?",
            &["Yes.", "It is on its way!", "Anything else?"],
        );
    }

    #[test]
    fn a_full_stop_is_not_always_an_end() {
        splits(
            "Dr. Smith owes 3.50 dollars at 10 a.m. on Friday. Fine.",
            &["Dr. Smith owes 3.50 dollars at 10 a.m. on Friday.", "Fine."],
        );
        splits("J. R. Tolkien. Yes.", &["J. R. Tolkien.", "Yes."]);
        splits(
            "Well... maybe. \"Really?\" he asked.",
            &["Well...", "maybe.", "\"Really?\"", "he asked."],
        );
    }

    #[test]
    fn the_first_piece_may_be_a_clause() {
        splits(
            "Let me look that up for you, it will take a moment, I am afraid.",
            &[
                "Let me look that up for you,",
                "it will take a moment, I am afraid.",
            ],
        );
        splits("Sure, it is here.", &["Sure, it is here."]);
    }

    #[test]
    fn a_first_sentence_leaves_before_the_second_is_there() {
        let mut splitter = Splitter::default();
        let mut sentences = Vec::new();
        splitter.push("Your order is on its way. It", |s| sentences.push(s));
        assert_eq!(sentences, ["Your order is on its way."]);
    }

    #[test]
    fn endless_text_is_cut_at_a_word() {
        let text = "word ".repeat(500);
        for sentence in split(&text, 5) {
            assert!(sentence.chars().count() <= LONGEST);
            assert!(sentence.ends_with("word"));
        }
        let text = "x".repeat(1_000);
        assert_eq!(split(&text, 50).concat(), text);
    }

    #[test]
    fn what_is_not_spoken_is_left_out() {
        splits(
            "**Great!** 👍 Here:\n- `one`\n- two\n",
            &["Great!", "Here:", "one", "two"],
        );
        splits(
            "# Title\n\n---\n1. First. 2. Second.",
            &["Title", "1. First.", "2. Second."],
        );
    }

    #[test]
    fn other_languages() {
        splits(
            "¿Qué tal? El Sr. Pérez llega mañana. Não é hoje!",
            &["¿Qué tal?", "El Sr. Pérez llega mañana.", "Não é hoje!"],
        );
        splits("今日は。明日は？", &["今日は。", "明日は？"]);
    }
}
