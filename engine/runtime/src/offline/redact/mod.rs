//! Takes out of transcripts what should not be kept.
//!
//! [`lexicon`] has the words, [`mod@tokens`] what they are looked for in, and a file each what is found.

use std::{collections::VecDeque, fmt, ops::Range, str::FromStr};

use super::{Segment, Transcript, Word};

mod email;
mod lexicon;
mod numbers;
mod profanity;
mod tokens;

use tokens::{Token, tokens};

/// A number goes on in the same speaker's next segment if that begins within this time.
const NUMBER_GOES_ON_MS: u64 = 10_000;

/// What is taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Redaction {
    /// Three digits or more in a row, written or spoken: card numbers, order numbers, dates, amounts.
    Digits,
    /// E-mail addresses, written or spoken ("john at example dot com").
    Email,
    /// Seven to fifteen digits in a row, written or spoken, which may be a telephone number.
    Phone,
    /// Strong swear words and slurs.
    Profanity,
}

impl Redaction {
    /// Everything that can be taken out.
    pub const ALL: [Self; 4] = [Self::Digits, Self::Email, Self::Phone, Self::Profanity];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Digits => "digits",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Profanity => "profanity",
        }
    }

    /// What stands in the transcript instead.
    #[must_use]
    pub const fn placeholder(self) -> &'static str {
        match self {
            Self::Digits => "[digits]",
            Self::Email => "[email]",
            Self::Phone => "[phone]",
            Self::Profanity => "[profanity]",
        }
    }
}

impl fmt::Display for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no redaction's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown redaction {0:?}: digits, email, phone or profanity")]
pub struct UnknownRedaction(String);

impl FromStr for Redaction {
    type Err = UnknownRedaction;

    fn from_str(name: &str) -> Result<Self, UnknownRedaction> {
        Self::ALL
            .into_iter()
            .find(|redaction| redaction.name() == name)
            .ok_or_else(|| UnknownRedaction(name.to_owned()))
    }
}

/// Redacts segments as they come.
///
/// It goes by rules: it finds what has the form of a number, an address or one of a few words, rather a word too many
/// than one too few, and no names. Spoken forms are known in English, Spanish and Portuguese, written ones in every
/// language. What the recogniser misheard it cannot know.
///
/// A number may go on in the speaker's next segment, so a segment that ends in one, and those after it,
/// are held back until that is known.
///
/// Where words have times, those that are taken out become one word with the placeholder as its text, the
/// times of them all and the lowest of their probabilities.
#[derive(Debug)]
pub struct Redactor {
    what: Vec<Redaction>,
    /// In the order they came; the first is always open.
    held: VecDeque<Held>,
}

#[derive(Debug)]
struct Held {
    segment: Segment,
    /// Ends in a number that may go on.
    open: bool,
}

/// Something to take out: bytes of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Span {
    range: Range<usize>,
    what: Redaction,
}

impl Redactor {
    /// Takes out everything of these kinds.
    #[must_use]
    pub fn new(what: &[Redaction]) -> Self {
        Self {
            what: what.to_owned(),
            held: VecDeque::new(),
        }
    }

    /// Takes the next segment, and returns those that are settled, in their order.
    pub fn push(&mut self, segment: Segment) -> Vec<Segment> {
        let channel = segment.channel;
        for outdated in self.outdated(segment.start_ms) {
            self.close(outdated);
        }
        let (begins, ends) = self.number_at_edges(&segment);
        if !begins {
            self.close(channel);
        }
        self.held.push_back(Held {
            segment,
            open: true,
        });
        if !ends {
            self.close(channel);
        }
        self.settled()
    }

    /// Returns the segments that are still held back.
    pub fn finish(&mut self) -> Vec<Segment> {
        while let Some(held) = self.held.iter().find(|held| held.open) {
            self.close(held.segment.channel);
        }
        self.settled()
    }

    /// Redacts a whole transcript.
    #[must_use]
    pub fn redact(what: &[Redaction], mut transcript: Transcript) -> Transcript {
        let mut redactor = Self::new(what);
        let mut segments = Vec::with_capacity(transcript.segments.len());
        for segment in transcript.segments {
            segments.extend(redactor.push(segment));
        }
        segments.extend(redactor.finish());
        transcript.segments = segments;
        transcript
    }

    fn settled(&mut self) -> Vec<Segment> {
        let settled = self.held.iter().take_while(|held| !held.open).count();
        self.held
            .drain(..settled)
            .map(|held| held.segment)
            .collect()
    }

    /// The channels whose numbers no longer go on.
    fn outdated(&self, now_ms: u64) -> Vec<u16> {
        let mut last: Vec<(u16, u64)> = Vec::new();
        for Held { segment, open } in &self.held {
            match last
                .iter_mut()
                .find(|(channel, _)| *channel == segment.channel)
            {
                _ if !open => {}
                Some((_, end_ms)) => *end_ms = segment.end_ms.max(*end_ms),
                None => last.push((segment.channel, segment.end_ms)),
            }
        }
        last.retain(|(_, end_ms)| now_ms.saturating_sub(*end_ms) > NUMBER_GOES_ON_MS);
        last.into_iter().map(|(channel, _)| channel).collect()
    }

    /// Whether the segment begins and whether it ends with a number that matters.
    fn number_at_edges(&self, segment: &Segment) -> (bool, bool) {
        if self.what.contains(&Redaction::Digits) || self.what.contains(&Redaction::Phone) {
            numbers::at_edges(&tokens(&segment.text, lexicon::of(&segment.language)))
        } else {
            (false, false)
        }
    }

    /// Redacts the open segments of a channel as one text.
    fn close(&mut self, channel: u16) {
        let open = |held: &&mut Held| held.open && held.segment.channel == channel;
        let mut chain: Vec<&mut Held> = self.held.iter_mut().filter(open).collect();
        let mut text = String::new();
        let mut all_tokens: Vec<Token> = Vec::new();
        let mut places = Vec::with_capacity(chain.len());
        for Held { segment, .. } in chain.iter().map(|held| &**held) {
            let from = text.len();
            text.push_str(&segment.text);
            places.push(from..text.len());
            text.push('\n');
            let of_segment = tokens(&segment.text, lexicon::of(&segment.language));
            all_tokens.extend(of_segment.into_iter().map(|token| token.moved_by(from)));
        }
        let spans = spans(&self.what, &text, &all_tokens);
        for (held, place) in chain.iter_mut().zip(places) {
            let of_segment: Vec<Span> = spans
                .iter()
                .filter_map(|span| span.within(&place))
                .collect();
            take_out(&mut held.segment, &of_segment);
            held.open = false;
        }
    }
}

impl Span {
    /// The part of it in `place`, counted from the beginning of that.
    fn within(&self, place: &Range<usize>) -> Option<Self> {
        let start = self.range.start.max(place.start);
        let end = self.range.end.min(place.end);
        (start < end).then(|| Self {
            range: start - place.start..end - place.start,
            what: self.what,
        })
    }
}

/// Everything to take out of `text`, in order and apart from each other.
fn spans(what: &[Redaction], text: &str, tokens: &[Token]) -> Vec<Span> {
    let mut found = Vec::new();
    if what.contains(&Redaction::Email) {
        email::find(text, tokens, &mut found);
    }
    let digits = what.contains(&Redaction::Digits);
    let phone = what.contains(&Redaction::Phone);
    numbers::find(tokens, digits, phone, &mut found);
    if what.contains(&Redaction::Profanity) {
        profanity::find(tokens, &mut found);
    }
    // Of two that overlap, the one that begins first names both.
    found.sort_by_key(|span| (span.range.start, usize::MAX - span.range.end));
    let mut spans: Vec<Span> = Vec::with_capacity(found.len());
    for span in found {
        match spans.last_mut() {
            Some(last) if span.range.start < last.range.end => {
                last.range.end = last.range.end.max(span.range.end);
            }
            _ => spans.push(span),
        }
    }
    spans
}

/// Puts placeholders for `spans` into a segment's text and words.
fn take_out(segment: &mut Segment, spans: &[Span]) {
    if spans.is_empty() {
        return;
    }
    segment.words = words_without(&segment.words, &segment.text, spans);
    segment.text = text_without(&segment.text, 0..segment.text.len(), spans);
}

/// This range of the text, a placeholder for each span.
fn text_without(text: &str, range: Range<usize>, spans: &[Span]) -> String {
    let mut without = String::with_capacity(range.len());
    let mut at = range.start;
    for span in spans {
        if span.range.end <= at || span.range.start >= range.end {
            continue;
        }
        without.push_str(&text[at..span.range.start.max(at)]);
        without.push_str(span.what.placeholder());
        at = span.range.end.min(range.end);
    }
    without.push_str(&text[at..range.end]);
    without
}

/// The words, those joined that share a span. None where they do not spell the text, which would leave no
/// way to tell what to take out.
fn words_without(words: &[Word], text: &str, spans: &[Span]) -> Vec<Word> {
    let Some(places) = places_of(words, text) else {
        return Vec::new();
    };
    let mut without: Vec<Word> = Vec::with_capacity(words.len());
    let mut group: Option<(Range<usize>, Word)> = None;
    for (word, place) in words.iter().zip(places) {
        match &mut group {
            Some((range, joined))
                if spans
                    .iter()
                    .any(|span| span.range.start < range.end && span.range.end > place.start) =>
            {
                range.end = place.end;
                joined.end_ms = joined.end_ms.max(word.end_ms);
                joined.probability = joined.probability.min(word.probability);
            }
            _ => {
                without.extend(group.take().map(|group| settled(group, text, spans)));
                group = Some((place, word.clone()));
            }
        }
    }
    without.extend(group.map(|group| settled(group, text, spans)));
    without
}

fn settled((range, mut word): (Range<usize>, Word), text: &str, spans: &[Span]) -> Word {
    word.text = text_without(text, range, spans);
    word
}

/// Where in the text each word is, white space apart.
fn places_of(words: &[Word], text: &str) -> Option<Vec<Range<usize>>> {
    let mut letters = text.char_indices().filter(|(_, c)| !c.is_whitespace());
    let mut places = Vec::with_capacity(words.len());
    for word in words {
        let mut place: Option<Range<usize>> = None;
        for wanted in word.text.chars().filter(|c| !c.is_whitespace()) {
            let (at, c) = letters.next()?;
            if c != wanted {
                return None;
            }
            let start = place.map_or(at, |place| place.start);
            place = Some(start..at + c.len_utf8());
        }
        places.push(place?);
    }
    letters.next().is_none().then_some(places)
}

#[cfg(test)]
mod tests;
