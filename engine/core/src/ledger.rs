//! What the caller heard, word by word.
//!
//! Positions are samples at the leg's rate since the ledger was last cleared. The voice gives no
//! times for its words, so a sentence's words share its voiced audio by their length.

use std::ops::Range;

use crate::sentence::has_words;

/// Below this level a sample at the edge of a sentence is silence: about −46 dBFS.
const VOICED: u16 = 160;
/// How fast a voice speaks while its sentence's length is not known: samples of 8 kHz a character.
const SAMPLES_PER_CHAR: u64 = 560;

/// The audio that was queued, and the words it says.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    segments: Vec<Segment>,
}

/// Whether the words of a segment are part of the conversation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Words {
    /// They are what the agent says.
    Said(String),
    /// They only bridge a wait.
    Filler,
}

#[derive(Debug)]
struct Segment {
    words: Words,
    span: Span,
}

/// Where the audio of some words lies.
#[derive(Debug)]
struct Span {
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

/// Where the agent was stopped.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Stop {
    /// All that was heard, up to the word where playout stopped.
    pub(crate) heard: String,
    /// How much of `heard`, in bytes, belongs to the sentence that was cut.
    pub(crate) heard_of_sentence: usize,
    /// The rest of that sentence.
    pub(crate) rest: String,
    /// Whether another sentence has begun behind it.
    pub(crate) more: bool,
}

impl Ledger {
    /// A new segment begins at `position` with nothing queued yet.
    pub(crate) fn open(&mut self, words: Words, position: u64) {
        let span = Span {
            audio: position..position,
            voiced: None,
            progress: Progress::Open,
        };
        self.segments.push(Segment { words, span });
    }

    /// Takes the newest segment back: nothing was queued for it.
    pub(crate) fn withdraw(&mut self) {
        let newest = self.segments.pop();
        debug_assert!(
            newest.is_none_or(|newest| newest.span.audio.is_empty()),
            "only a segment without audio is withdrawn"
        );
    }

    /// So many samples of filler come in between at `position`, where one segment has ended and
    /// the next may have begun.
    pub(crate) fn insert_filler(&mut self, position: u64, samples: u64) {
        let behind = |segment: &Segment| segment.span.audio.start >= position;
        let index = self.segments.iter().position(behind);
        let index = index.unwrap_or(self.segments.len());
        for segment in &mut self.segments[index..] {
            segment.span.shift(|position| position + samples);
        }
        let span = Span {
            audio: position..position + samples,
            voiced: None,
            progress: Progress::Complete,
        };
        let words = Words::Filler;
        self.segments.insert(index, Segment { words, span });
    }

    /// Where the first words that are no filler begin, if any were queued.
    pub(crate) fn first_words(&self) -> Option<u64> {
        let mut said = self
            .segments
            .iter()
            .filter(|segment| matches!(segment.words, Words::Said(_)));
        said.next().map(|segment| segment.span.audio.start)
    }

    /// How many samples were queued for the newest segment.
    pub(crate) fn newest_len(&self) -> u64 {
        let newest = self.segments.last();
        newest.map_or(0, |newest| newest.span.audio.end - newest.span.audio.start)
    }

    /// `samples` were queued for the newest segment.
    pub(crate) fn add(&mut self, samples: &[i16]) {
        let Some(Segment { span, .. }) = self.segments.last_mut() else {
            return;
        };
        let start = span.audio.end;
        let loud = |sample: &i16| sample.unsigned_abs() > VOICED;
        if let Some(first) = samples.iter().position(loud) {
            let last = samples.iter().rposition(loud).expect("there is a first");
            let from = span
                .voiced
                .as_ref()
                .map_or(start + first as u64, |voiced| voiced.start);
            span.voiced = Some(from..start + last as u64 + 1);
        }
        span.audio.end = start + samples.len() as u64;
    }

    /// The newest segment has all its audio.
    pub(crate) fn complete(&mut self) {
        if let Some(segment) = self.segments.last_mut() {
            segment.span.progress = Progress::Complete;
        }
    }

    /// Where the first word begins that was not heard to its end when playout stopped at
    /// `position`: in the middle of a sentence not after `position`. `None`: all was heard.
    pub(crate) fn unheard_from(&self, position: u64) -> Option<u64> {
        self.segments.iter().find_map(|Segment { words, span }| {
            let Words::Said(text) = words else {
                return None;
            };
            let (heard, unheard) = span.split(text, position);
            let start = span.audio.start;
            match (heard.is_empty(), unheard.is_empty()) {
                (_, true) => None,
                (true, false) => Some(start),
                (false, false) => {
                    let before = &text[..text.len() - unheard.len()];
                    let reached = span.reached_after(before.chars().count(), text);
                    Some(reached.min(position).max(start))
                }
            }
        })
    }

    /// Playout stopped at `position` and will go on at `from`, which becomes position 0. Forgets
    /// what was heard.
    pub(crate) fn stop(&mut self, position: u64, from: u64) -> Stop {
        let mut stop = Stop::default();
        self.segments.retain_mut(|Segment { words, span }| {
            let Words::Said(text) = words else {
                return false;
            };
            let (heard, unheard) = span.split(text, position);
            join(&mut stop.heard, heard);
            if unheard.is_empty() && span.progress == Progress::Complete {
                return false;
            }
            if stop.rest.is_empty() {
                stop.heard_of_sentence = heard.len();
                stop.rest = unheard.to_owned();
            } else {
                stop.more = true;
            }
            *text = unheard.to_owned();
            span.shift(|position| position.saturating_sub(from));
            true
        });
        stop
    }

    /// Everything said up to `position`; forgets all.
    pub(crate) fn cut(&mut self, position: u64) -> String {
        let heard = self.stop(position, 0).heard;
        self.segments.clear();
        heard
    }

    /// All that was said; forgets it.
    pub(crate) fn take_all(&mut self) -> String {
        self.cut(u64::MAX)
    }
}

impl Span {
    /// The words of `text` that were played entirely by `position`, and the others.
    fn split<'t>(&self, text: &'t str, position: u64) -> (&'t str, &'t str) {
        let voiced = self.voiced_for(text);
        let position = position.min(self.audio.end);
        if position >= voiced.end && self.progress == Progress::Complete {
            return (text, "");
        }
        let played = position.saturating_sub(voiced.start);
        let length = (voiced.end - voiced.start).max(1);
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

    /// Where `text` is after so many of its characters.
    fn reached_after(&self, characters: usize, text: &str) -> u64 {
        let voiced = self.voiced_for(text);
        let total = text.chars().count().max(1) as u64;
        voiced.start + (voiced.end - voiced.start) * characters as u64 / total
    }

    /// The audio that the words share; a guess while more of it may come.
    fn voiced_for(&self, text: &str) -> Range<u64> {
        let mut voiced = self.voiced.clone().unwrap_or_else(|| self.audio.clone());
        if self.progress == Progress::Open {
            let guess = voiced.start + text.len() as u64 * SAMPLES_PER_CHAR;
            voiced.end = voiced.end.max(guess);
        }
        voiced
    }

    fn shift(&mut self, moved: impl Fn(u64) -> u64) {
        for range in std::iter::once(&mut self.audio).chain(&mut self.voiced) {
            *range = moved(range.start)..moved(range.end);
        }
        self.voiced = self.voiced.take().filter(|voiced| !voiced.is_empty());
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
        Words::Said(text.to_owned())
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

    /// What was heard at `position`, and the rest of the sentence that was cut.
    fn stop(mut ledger: Ledger, position: u64) -> (String, String) {
        let stop = ledger.stop(position, position);
        (stop.heard, stop.rest)
    }

    #[test]
    fn all_of_it() {
        let mut ledger = ledger_of(&[("One two.", 800), ("Three.", 600)]);
        assert_eq!(ledger.unheard_from(1_400), None);
        assert_eq!(ledger.cut(1_400), "One two. Three.");
        assert_eq!(ledger.cut(u64::MAX), "", "the ledger forgets");
    }

    #[test]
    fn nothing_of_it() {
        let ledger = ledger_of(&[("One two.", 800)]);
        assert_eq!(ledger.unheard_from(0), Some(0));
        assert_eq!(stop(ledger, 0), (String::new(), "One two.".into()));
    }

    #[test]
    fn a_word_counts_when_it_is_over() {
        // 13 characters in 1300 samples: "four" ends at 400, "two" at 800.
        for (position, heard, unheard, from) in [
            (399, "", "four two nine", 0),
            (400, "four", "two nine", 400),
            (510, "four", "two nine", 500),
            (799, "four", "two nine", 500),
            (800, "four two", "nine", 800),
            (1_299, "four two", "nine", 900),
        ] {
            let ledger = ledger_of(&[("four two nine", 1_300)]);
            assert_eq!(ledger.unheard_from(position), Some(from));
            assert_eq!(stop(ledger, position), (heard.into(), unheard.into()));
        }
    }

    #[test]
    fn what_was_not_heard_goes_on_from_the_beginning() {
        let mut ledger = ledger_of(&[("four two nine", 1_300), ("And so on.", 1_000)]);
        let stop = ledger.stop(799, 500);
        assert_eq!(stop.heard_of_sentence, "four".len());
        assert!(stop.more);
        // "two" ends at 300, "nine" at 800, where the next sentence begins.
        assert_eq!(ledger.unheard_from(650), Some(400));
        assert_eq!(ledger.stop(800, 800).heard, "two nine");
        assert_eq!(ledger.cut(1_000), "And so on.");
    }

    #[test]
    fn filler_comes_in_between() {
        let mut ledger = ledger_of(&[("four two nine", 1_300), ("And so on.", 1_000)]);
        ledger.stop(1_300, 1_300);
        ledger.insert_filler(0, 500);
        assert_eq!(ledger.first_words(), Some(500));
        assert_eq!(ledger.unheard_from(200), Some(500));
        assert_eq!(ledger.cut(1_499), "And so");
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
            assert_eq!(ledger.cut(position), heard);
        }
    }

    #[test]
    fn an_unfinished_sentence_is_not_heard_to_its_end() {
        let mut ledger = Ledger::default();
        ledger.open(said("a sentence of which only the beginning came"), 0);
        ledger.add(&[1_000; 8_000]);
        let (heard, rest) = stop(ledger, 8_000);
        assert_eq!(heard, "a sentence of");
        assert_eq!(rest, "which only the beginning came");
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
        assert_eq!(ledger.unheard_from(100), Some(800));
        assert_eq!(stop(ledger, 100), (String::new(), "Here it is.".into()));
    }

    #[test]
    fn words_of_every_script_are_cut_between_characters() {
        for position in (0..4_000).step_by(50) {
            let text = "¿Qué día? Não é amanhã. 明日 です。";
            let (mut all, rest) = stop(ledger_of(&[(text, 3_500)]), position);
            join(&mut all, &rest);
            assert_eq!(all, text);
        }
    }
}
