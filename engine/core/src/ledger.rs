//! What the caller heard, word by word.
//!
//! Positions are samples at the leg's rate since the ledger was last cleared. The voice gives no
//! times for its words, so a sentence's words share its voiced audio by their length.

use std::ops::Range;

use crate::{config::Phrase, sentence::has_words};

/// Below this level a sample at the edge of a sentence is silence: about −46 dBFS.
const VOICED: u16 = 160;
/// How fast a voice speaks while its sentence's length is not known: samples of 8 kHz a character.
const SAMPLES_PER_CHAR: u64 = 560;

/// The audio that was queued, and the words it says.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    segments: Vec<Segment>,
}

/// A piece of what the agent says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Piece {
    /// A sentence for the voice.
    Sentence(String),
    /// Words that need no voice, since their audio is there. After an interruption they begin anew.
    Phrase(Phrase),
}

impl Piece {
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Sentence(text) | Self::Phrase(Phrase { text, .. }) => text,
        }
    }
}

/// Whether the words of a segment are part of the conversation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Words {
    /// They are what the agent says.
    Said(Piece),
    /// They only bridge a wait.
    Filler,
}

#[derive(Debug)]
struct Segment {
    words: Words,
    /// All of it so far.
    audio: Range<u64>,
    /// From the first to the last sample that is not silence.
    voiced: Option<Range<u64>>,
    progress: Progress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// More audio may come.
    Open,
    /// All of it is queued.
    Complete,
}

/// What was heard of the text, and what was not.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Cut {
    /// Up to the word where playout stopped.
    pub(crate) heard: String,
    /// From that word on.
    pub(crate) unheard: Vec<Piece>,
}

impl Ledger {
    /// A new segment begins at `position` with nothing queued yet.
    pub(crate) fn open(&mut self, words: Words, position: u64) {
        self.segments.push(Segment {
            words,
            audio: position..position,
            voiced: None,
            progress: Progress::Open,
        });
    }

    /// Takes the newest segment back: nothing was queued for it.
    pub(crate) fn withdraw(&mut self) -> Option<Words> {
        let newest = self.segments.last()?;
        debug_assert!(
            newest.audio.is_empty(),
            "only a segment without audio is withdrawn"
        );
        self.segments.pop().map(|segment| segment.words)
    }

    /// Where the first words that are no filler begin, if any were queued.
    pub(crate) fn first_words(&self) -> Option<u64> {
        let mut said = self
            .segments
            .iter()
            .filter(|segment| matches!(segment.words, Words::Said(_)));
        said.next().map(|segment| segment.audio.start)
    }

    /// How many samples were queued for the newest segment.
    pub(crate) fn newest_len(&self) -> u64 {
        let newest = self.segments.last();
        newest.map_or(0, |segment| segment.audio.end - segment.audio.start)
    }

    /// `samples` were queued for the newest segment.
    pub(crate) fn add(&mut self, samples: &[i16]) {
        let Some(segment) = self.segments.last_mut() else {
            return;
        };
        let start = segment.audio.end;
        let loud = |sample: &i16| sample.unsigned_abs() > VOICED;
        if let Some(first) = samples.iter().position(loud) {
            let last = samples.iter().rposition(loud).expect("there is a first");
            let from = segment
                .voiced
                .as_ref()
                .map_or(start + first as u64, |voiced| voiced.start);
            segment.voiced = Some(from..start + last as u64 + 1);
        }
        segment.audio.end = start + samples.len() as u64;
    }

    /// The newest segment has all its audio.
    pub(crate) fn complete(&mut self) {
        if let Some(segment) = self.segments.last_mut() {
            segment.progress = Progress::Complete;
        }
    }

    /// Everything said up to `position` and after it; forgets all of it.
    pub(crate) fn cut(&mut self, position: u64) -> Cut {
        let mut cut = Cut::default();
        for segment in self.segments.drain(..) {
            let Words::Said(piece) = &segment.words else {
                continue;
            };
            let (heard, unheard) = segment.split(piece.text(), position);
            join(&mut cut.heard, heard);
            if unheard.is_empty() {
                continue;
            }
            cut.unheard.push(match piece {
                Piece::Sentence(_) => Piece::Sentence(unheard.to_owned()),
                Piece::Phrase(phrase) => Piece::Phrase(phrase.clone()),
            });
        }
        cut
    }

    /// All that was said; forgets it.
    pub(crate) fn take_all(&mut self) -> String {
        self.cut(u64::MAX).heard
    }
}

impl Segment {
    /// The words of `text` that were played entirely by `position`, and the others.
    fn split<'t>(&self, text: &'t str, position: u64) -> (&'t str, &'t str) {
        let voiced = self.voiced.clone().unwrap_or_else(|| self.audio.clone());
        let position = position.min(self.audio.end);
        let end = match self.progress {
            Progress::Complete => voiced.end,
            Progress::Open => voiced
                .end
                .max(voiced.start + text.len() as u64 * SAMPLES_PER_CHAR),
        };
        if position >= end && self.progress == Progress::Complete {
            return (text, "");
        }
        let played = position.saturating_sub(voiced.start);
        let length = (end - voiced.start).max(1);
        let total = text.chars().count() as u64;
        let (mut characters, mut heard_bytes) = (0, 0);
        for (index, character) in text.char_indices() {
            characters += 1;
            let after = index + character.len_utf8();
            let word_ends = !character.is_whitespace()
                && text[after..].chars().next().is_none_or(char::is_whitespace);
            if word_ends && characters * length <= played * total {
                heard_bytes = after;
            }
        }
        let (heard, unheard) = text.split_at(heard_bytes);
        if !has_words(unheard) {
            // A mark that stands alone, as before a French `!`, is no sound that is missed.
            return (text, "");
        }
        (heard, unheard.trim_start())
    }
}

/// Appends `text` to `sentences` with a space in between where both have words.
pub(crate) fn join(sentences: &mut String, text: &str) {
    if !sentences.is_empty() && !text.is_empty() {
        sentences.push(' ');
    }
    sentences.push_str(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Words {
        Words::Said(Piece::Sentence(text.to_owned()))
    }

    fn sentence(text: &str) -> Piece {
        Piece::Sentence(text.to_owned())
    }

    fn ledger_of(sentences: &[(&str, usize)]) -> Ledger {
        let mut ledger = Ledger::default();
        let mut position = 0;
        for (text, samples) in sentences {
            ledger.open(said(text), position);
            ledger.add(&vec![1_000; *samples]);
            ledger.complete();
            position += *samples as u64;
        }
        ledger
    }

    #[test]
    fn all_of_it() {
        let mut ledger = ledger_of(&[("One two.", 800), ("Three.", 600)]);
        assert_eq!(
            ledger.cut(1_400),
            Cut {
                heard: "One two. Three.".into(),
                unheard: vec![]
            }
        );
        assert_eq!(ledger.cut(u64::MAX), Cut::default(), "the ledger forgets");
    }

    #[test]
    fn nothing_of_it() {
        let cut = ledger_of(&[("One two.", 800)]).cut(0);
        assert_eq!(
            cut,
            Cut {
                heard: String::new(),
                unheard: vec![sentence("One two.")]
            }
        );
    }

    #[test]
    fn a_word_counts_when_it_is_over() {
        // 13 characters in 1300 samples: "four" ends at 400, "two" at 800.
        for (position, heard, unheard) in [
            (399, "", "four two nine"),
            (400, "four", "two nine"),
            (799, "four", "two nine"),
            (800, "four two", "nine"),
            (1_299, "four two", "nine"),
        ] {
            let cut = ledger_of(&[("four two nine", 1_300)]).cut(position);
            assert_eq!(
                (cut.heard.as_str(), cut.unheard[0].text()),
                (heard, unheard)
            );
        }
    }

    #[test]
    fn silence_around_a_sentence_holds_no_words() {
        for (position, heard) in [(1_300, ""), (1_800, "four two")] {
            let mut ledger = Ledger::default();
            ledger.open(said("four two"), 0);
            ledger.add(&[0; 1_000]);
            ledger.add(&[1_000; 800]);
            ledger.add(&[0; 1_000]);
            ledger.complete();
            assert_eq!(ledger.cut(position).heard, heard);
        }
    }

    #[test]
    fn an_unfinished_sentence_is_not_heard_to_its_end() {
        let mut ledger = Ledger::default();
        ledger.open(said("a sentence of which only the beginning came"), 0);
        ledger.add(&[1_000; 8_000]);
        let cut = ledger.cut(8_000);
        assert_eq!(cut.heard, "a sentence of");
        assert_eq!(cut.unheard, [sentence("which only the beginning came")]);
    }

    #[test]
    fn filler_is_no_part_of_the_conversation() {
        let mut ledger = Ledger::default();
        ledger.open(Words::Filler, 0);
        ledger.add(&[1_000; 800]);
        ledger.complete();
        ledger.open(said("Here it is."), 800);
        ledger.add(&[1_000; 800]);
        ledger.complete();
        assert_eq!(ledger.cut(100).unheard, [sentence("Here it is.")]);
    }

    #[test]
    fn words_of_every_script_are_cut_between_characters() {
        for position in (0..4_000).step_by(50) {
            let text = "¿Qué día? Não é amanhã. 明日 です。";
            let cut = ledger_of(&[(text, 3_500)]).cut(position);
            let mut all = cut.heard.clone();
            join(&mut all, cut.unheard.first().map_or("", Piece::text));
            assert_eq!(all, text);
        }
    }
}
