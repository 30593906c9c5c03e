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

#[cfg(test)]
mod tests {
    use sidetone_speech::stt::whisper::batch::{DecodedPiece, Piece};

    use super::*;

    /// Words with their times in ms from the piece's beginning, which is 100 s into the recording.
    fn of(words: &[(&str, u64, u64)], with_words: bool) -> Vec<Segment> {
        const GAP: usize = 1_600;
        let words = words.iter().map(|(text, start, end)| DecodedWord {
            text: (*text).to_owned(),
            at: GAP + (start * MS) as usize..GAP + (end * MS) as usize,
            probability: 0.5,
        });
        let piece = Piece {
            audio: GAP..GAP + 30 * 16_000,
            speech: GAP..GAP + 30 * 16_000,
        };
        let window = Window {
            channel: 1,
            samples: Vec::new(),
            pieces: vec![piece],
            starts: vec![100 * 16_000],
        };
        let decoded = DecodedWindow {
            pieces: vec![DecodedPiece {
                words: words.collect(),
            }],
            encodes: 1,
        };
        let heading = Heading {
            speaker: Some("agent".to_owned()),
            language: "en".to_owned(),
            words: with_words,
        };
        segments(&window, decoded, &heading)
    }

    fn texts(segments: &[Segment]) -> Vec<(&str, u64, u64)> {
        let told = segments
            .iter()
            .map(|segment| (&*segment.text, segment.start_ms, segment.end_ms));
        told.collect()
    }

    #[test]
    fn sentences_are_segments_unless_they_are_short() {
        let said = of(
            &[
                (" Yes.", 0, 400),
                (" It", 500, 800),
                (" left.", 900, 2_100),
                (" When?", 2_500, 3_000),
            ],
            false,
        );
        assert_eq!(
            texts(&said),
            [
                ("Yes. It left.", 100_000, 102_100),
                ("When?", 102_500, 103_000)
            ]
        );
        let segment = &said[0];
        assert_eq!(
            (segment.channel, segment.speaker.as_deref()),
            (1, Some("agent"))
        );
        assert_eq!((&*segment.language, segment.probability), ("en", 0.5));
        assert!(segment.words.is_empty());
    }

    #[test]
    fn what_is_long_is_parted_at_its_longest_pauses() {
        let mut words: Vec<(&str, u64, u64)> = (0..28)
            .map(|n| (" so", n * 1_000, n * 1_000 + 900))
            .collect();
        // Pauses of 400 ms after the 10th word and of 300 ms after the 20th.
        (words[9].2, words[19].2) = (9_600, 19_700);
        let said = of(&words, false);
        let starts: Vec<_> = said.iter().map(|segment| segment.start_ms).collect();
        assert_eq!(starts, [100_000, 110_000, 120_000]);
        assert!(
            said.iter()
                .all(|segment| segment.end_ms - segment.start_ms <= 12_000)
        );
        // Of equal pauses the one in the middle.
        let words: Vec<_> = (0..16)
            .map(|n| (" so", n * 1_000, n * 1_000 + 900))
            .collect();
        let starts: Vec<_> = of(&words, false).iter().map(|s| s.start_ms).collect();
        assert_eq!(starts, [100_000, 108_000]);
        // A single word cannot be parted.
        assert_eq!(of(&[(" so", 0, 20_000)], false).len(), 1);
    }

    #[test]
    fn words_are_given_where_they_are_wanted_and_blank_ones_make_no_segment() {
        let said = of(
            &[(" No", 200, 500), (",", 500, 500), (" wait", 900, 1_200)],
            true,
        );
        assert_eq!(texts(&said), [("No, wait", 100_200, 101_200)]);
        let words: Vec<_> = said[0]
            .words
            .iter()
            .map(|w| (&*w.text, w.start_ms, w.end_ms))
            .collect();
        assert_eq!(
            words,
            [
                ("No", 100_200, 100_500),
                (",", 100_500, 100_500),
                ("wait", 100_900, 101_200)
            ]
        );
        assert!(of(&[(" ", 0, 100)], true).is_empty());
        assert!(of(&[], true).is_empty());
    }
}
