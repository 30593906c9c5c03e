//! From a decoded window to segments at their true times.

use sidetone_speech::stt::whisper::batch::{DecodedWindow, DecodedWord};

use super::{
    pack::Window,
    transcript::{Segment, Word},
};

/// Samples of a millisecond.
const MS: u64 = 16;

/// A sentence of at least this is a segment of its own, 2 s.
const SENTENCE: u64 = 2_000 * MS;

/// A segment that is longer is parted at its longest pause, 12 s.
const LONGEST: u64 = 12_000 * MS;

/// What a window's segments have in common.
#[derive(Clone, Debug)]
pub(super) struct Heading {
    pub(super) speaker: Option<String>,
    pub(super) language: String,
    /// Whether the words are wanted.
    pub(super) words: bool,
}

/// The segments of a window, in the order of their pieces.
pub(super) fn segments(window: &Window, decoded: DecodedWindow, heading: &Heading) -> Vec<Segment> {
    let mut segments = Vec::new();
    for ((piece, start), decoded) in window.pieces.iter().zip(&window.starts).zip(decoded.pieces) {
        let spoken = decoded.words.into_iter().map(|word| Spoken {
            start: start + (word.at.start - piece.audio.start) as u64,
            end: start + (word.at.end - piece.audio.start) as u64,
            word,
        });
        for part in parted(spoken.collect()) {
            segments.extend(segment(part, window.channel, heading));
        }
    }
    segments
}

/// A word at its place in the recording, in samples.
struct Spoken {
    start: u64,
    end: u64,
    word: DecodedWord,
}

/// Parts a piece at the ends of its sentences, and what is still long at its longest pauses.
fn parted(words: Vec<Spoken>) -> Vec<Vec<Spoken>> {
    let mut parts: Vec<Vec<Spoken>> = Vec::new();
    let mut part: Vec<Spoken> = Vec::new();
    for word in words {
        let ends = word
            .word
            .text
            .ends_with(['.', '!', '?', '…', '。', '！', '？']);
        part.push(word);
        if ends && length(&part) >= SENTENCE {
            parts.push(std::mem::take(&mut part));
        }
    }
    parts.push(part);
    let mut short = Vec::new();
    parts.reverse();
    while let Some(mut part) = parts.pop() {
        if length(&part) <= LONGEST || part.len() < 2 {
            short.push(part);
            continue;
        }
        let pause = |n: &usize| part[*n].start.saturating_sub(part[*n - 1].end);
        let middle = part.len() / 2;
        // Of equal pauses the one nearest the middle.
        let at = (1..part.len())
            .max_by_key(|n| (pause(n), std::cmp::Reverse(n.abs_diff(middle))))
            .unwrap_or(middle);
        let rest = part.split_off(at);
        parts.push(rest);
        parts.push(part);
    }
    short
}

fn length(words: &[Spoken]) -> u64 {
    match words {
        [] => 0,
        [first, ..] => words[words.len() - 1].end.saturating_sub(first.start),
    }
}

fn segment(words: Vec<Spoken>, channel: u16, heading: &Heading) -> Option<Segment> {
    let text: String = words.iter().map(|spoken| &*spoken.word.text).collect();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (first, last) = (words.first()?, words.last()?);
    if text.is_empty() {
        return None;
    }
    let sum: f32 = words.iter().map(|spoken| spoken.word.probability).sum();
    Some(Segment {
        start_ms: first.start / MS,
        end_ms: last.end / MS,
        speaker: heading.speaker.clone(),
        channel,
        language: heading.language.clone(),
        text,
        probability: sum / words.len() as f32,
        words: if heading.words {
            words.into_iter().map(word).collect()
        } else {
            Vec::new()
        },
    })
}

fn word(spoken: Spoken) -> Word {
    Word {
        text: spoken.word.text.trim().to_owned(),
        start_ms: spoken.start / MS,
        end_ms: spoken.end / MS,
        probability: spoken.word.probability,
    }
}
