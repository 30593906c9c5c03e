//! The part of a growing transcript that does not change any more.
//!
//! A recogniser that hears more of a sentence changes its mind about the last words, rarely about
//! those before. Words on which two transcripts in a row agree are taken for certain.
//!
//! Where noise hides the end of a turn, it is found by this: the words do not grow any more.

use std::time::Duration;

use crate::time::CallTime;

/// A turn that may be noise is transcribed every so often while it goes on without a pause.
pub(crate) const PROBED: Duration = Duration::from_millis(1_500);
/// It has ended when its words have not grown for this long at least: the rest is noise.
pub(crate) const STANDS_STILL: Duration = Duration::from_millis(1_250);

/// Follows the partial transcripts of one turn.
#[derive(Debug, Default)]
pub(crate) struct StableText {
    stable: Vec<String>,
    latest: Vec<String>,
    unstable: String,
}

/// What is certain, and what followed it in the newest transcript.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Grown {
    pub(crate) stable: String,
    pub(crate) unstable: String,
}

impl StableText {
    /// Takes the next transcript of the same turn; `None` if it tells nothing new.
    pub(crate) fn push(&mut self, text: &str) -> Option<Grown> {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        let agree = self.latest.iter().zip(&words);
        let agreed = agree.take_while(|(a, b)| bare(a) == bare(b)).count();
        let known = self.stable.len();
        self.stable
            .extend(words.iter().take(agreed).skip(known).cloned());
        let unstable = words.get(self.stable.len()..).unwrap_or_default().join(" ");
        let is_new = self.stable.len() > known || unstable != self.unstable;
        self.unstable.clone_from(&unstable);
        self.latest = words;
        is_new.then(|| Grown {
            stable: self.stable.join(" "),
            unstable,
        })
    }
}

/// Since when the transcript of one turn has not grown.
#[derive(Debug, Default)]
pub(crate) struct Growth {
    words: Vec<String>,
    since: CallTime,
}

impl Growth {
    /// Of a turn that began then.
    pub(crate) fn since(onset: CallTime) -> Self {
        Self {
            words: Vec::new(),
            since: onset,
        }
    }

    /// Takes the transcript of all that was heard until `asked`; for how long it has been the same.
    pub(crate) fn push(&mut self, asked: CallTime, text: &str) -> Duration {
        let words: Vec<String> = text.split_whitespace().map(bare).collect();
        if words != self.words {
            (self.words, self.since) = (words, asked);
        }
        asked.since(self.since)
    }
}

/// A word as it is compared: capitals and punctuation depend on what follows.
fn bare(word: &str) -> String {
    word.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grown(text: &mut StableText, next: &str) -> Option<(String, String)> {
        text.push(next).map(|g| (g.stable, g.unstable))
    }

    fn some(stable: &str, unstable: &str) -> Option<(String, String)> {
        Some((stable.into(), unstable.into()))
    }

    #[test]
    fn words_are_certain_once_two_transcripts_agree() {
        let mut text = StableText::default();
        assert_eq!(grown(&mut text, "I wood"), some("", "I wood"));
        assert_eq!(grown(&mut text, "I would like"), some("I", "would like"));
        assert_eq!(
            grown(&mut text, "I would like, a table"),
            some("I would like,", "a table")
        );
        assert_eq!(
            grown(&mut text, "I would like, a table"),
            some("I would like, a table", "")
        );
        assert_eq!(
            grown(&mut text, "I would like a table"),
            None,
            "nothing new"
        );
    }

    #[test]
    fn words_stand_still_since_they_were_first_the_same() {
        let at = CallTime::from_millis;
        let ms = Duration::from_millis;
        let mut growth = Growth::since(at(100));
        assert_eq!(growth.push(at(1_600), ""), ms(1_500), "none since it began");
        assert_eq!(growth.push(at(3_100), "Where is"), ms(0));
        assert_eq!(growth.push(at(4_600), "Where is my order"), ms(0));
        assert_eq!(growth.push(at(6_100), "Where is my order?"), ms(1_500));
        assert_eq!(growth.push(at(7_600), "where is my order"), ms(3_000));
    }

    #[test]
    fn what_is_certain_never_changes() {
        let mut text = StableText::default();
        text.push("four two");
        assert_eq!(
            grown(&mut text, "Four two seven"),
            some("Four two", "seven")
        );
        assert_eq!(grown(&mut text, "for"), some("Four two", ""));
        assert_eq!(grown(&mut text, ""), None);
        assert_eq!(grown(&mut text, "a b c d"), some("Four two", "c d"));
        assert_eq!(grown(&mut text, "a b c d"), some("Four two c d", ""));
    }
}
