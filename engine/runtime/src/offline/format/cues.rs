//! Segments cut into what fits on a screen and can be read in time.

use std::collections::HashMap;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::one_line;
use crate::offline::{Segment, Transcript};

const LINE_COLUMNS: usize = 42;
const CUE_MAX_MS: u64 = 7_000;
/// A shorter one stays this long, unless its speaker goes on sooner.
const CUE_MIN_MS: u64 = 1_000;
/// A pause between words at which a cut is welcome.
const PAUSE_MS: u64 = 300;

/// One subtitle.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cue {
    pub(super) start_ms: u64,
    pub(super) end_ms: u64,
    pub(super) speaker: Option<String>,
    /// One or two, unless a speaker's name alone fills a line.
    pub(super) lines: Vec<String>,
    channel: u16,
}

/// What is not cut: a word.
#[derive(Clone, Debug)]
struct Piece {
    text: String,
    start_ms: u64,
    end_ms: u64,
    /// Some languages write none.
    space_before: bool,
}

/// Cues by the time they begin. `prefix` makes what stands before a speaker's words.
pub(super) fn cues(transcript: &Transcript, prefix: impl Fn(&str) -> String) -> Vec<Cue> {
    let mut cues = Vec::new();
    for segment in &transcript.segments {
        let pieces = pieces(segment);
        let prefix = segment
            .speaker
            .as_deref()
            .map(|speaker| one_line(&prefix(speaker)));
        let prefix = prefix.filter(|prefix| !prefix.is_empty());
        cut(&pieces, prefix.as_deref(), segment, &mut cues);
    }
    cues.sort_by_key(|cue| cue.start_ms);
    linger(&mut cues, transcript.source.duration_ms);
    cues
}

/// Halves `pieces`, near the middle and where a sentence or a breath ends, until each part fits.
fn cut(pieces: &[Piece], prefix: Option<&str>, segment: &Segment, cues: &mut Vec<Cue>) {
    let (Some(first), Some(last)) = (pieces.first(), pieces.last()) else {
        return;
    };
    let lines = wrap(pieces, prefix);
    let in_time = last.end_ms.saturating_sub(first.start_ms) <= CUE_MAX_MS;
    let fits = lines.len() <= 2 && in_time;
    if fits || pieces.len() == 1 {
        cues.push(Cue {
            start_ms: first.start_ms,
            end_ms: last.end_ms.max(first.start_ms + 1),
            speaker: segment.speaker.clone(),
            lines,
            channel: segment.channel,
        });
        return;
    }
    let total = width(pieces);
    let cost = |at: &usize| {
        let (left, right) = pieces.split_at(*at);
        let uneven = (2 * width(left)).abs_diff(total);
        let breath = right[0].start_ms.saturating_sub(left[at - 1].end_ms) >= PAUSE_MS;
        let text = &left[at - 1].text;
        let welcome = if text.ends_with(['.', '?', '!', '…', '。', '？', '！']) {
            total / 2
        } else if breath || text.ends_with([',', ';', ':', '、', '，']) {
            total / 4
        } else {
            0
        };
        (uneven as i64).saturating_sub(welcome as i64)
    };
    let at = (1..pieces.len())
        .min_by_key(cost)
        .expect("at least two pieces");
    let (left, right) = pieces.split_at(at);
    cut(left, prefix, segment, cues);
    cut(right, prefix, segment, cues);
}

/// The pieces on one line if they fit there, else on two of the most even length, else on as many as
/// it takes.
fn wrap(pieces: &[Piece], prefix: Option<&str>) -> Vec<String> {
    let prefix = prefix.map_or(String::new(), |prefix| format!("{prefix} "));
    let first_line = |pieces: &[Piece]| prefix.clone() + &joined(pieces);
    let whole = first_line(pieces);
    if whole.width() <= LINE_COLUMNS {
        return vec![whole];
    }
    let two = (1..pieces.len())
        .map(|at| {
            let (upper, lower) = pieces.split_at(at);
            [first_line(upper), joined(lower)]
        })
        .min_by_key(|lines| lines.iter().map(|line| line.width()).max());
    if let Some(lines) = two
        && lines.iter().all(|line| line.width() <= LINE_COLUMNS)
    {
        return lines.into();
    }
    let mut lines = vec![prefix];
    for piece in pieces {
        let line = lines.last_mut().expect("never empty");
        let space = piece.space_before && !line.is_empty() && !line.ends_with(' ');
        if line.width() + usize::from(space) + piece.text.width() <= LINE_COLUMNS || line.is_empty()
        {
            if space {
                line.push(' ');
            }
            line.push_str(&piece.text);
        } else {
            line.truncate(line.trim_end().len());
            lines.push(piece.text.clone());
        }
    }
    lines
}

fn joined(pieces: &[Piece]) -> String {
    let mut text = String::new();
    for piece in pieces {
        if piece.space_before && !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&piece.text);
    }
    text
}

fn width(pieces: &[Piece]) -> usize {
    let widths = pieces
        .iter()
        .map(|piece| piece.text.width() + usize::from(piece.space_before));
    widths.sum()
}

/// The segment's words with their times, or those of its text with times by their length.
fn pieces(segment: &Segment) -> Vec<Piece> {
    let text = one_line(&segment.text);
    let pieces = if segment.words.is_empty() {
        timed_by_length(&text, segment)
    } else {
        timed_by_words(&text, segment)
    };
    pieces.into_iter().flat_map(short).collect()
}

fn timed_by_words(text: &str, segment: &Segment) -> Vec<Piece> {
    let mut rest = text;
    let mut pieces = Vec::new();
    for word in &segment.words {
        let text = one_line(&word.text);
        if text.is_empty() {
            continue;
        }
        // Where the text has the word, it says whether a space is before it.
        let space_before = match rest.find(&text) {
            Some(at) if rest[..at].trim().is_empty() => {
                rest = &rest[at + text.len()..];
                at > 0
            }
            _ => true,
        };
        pieces.push(Piece {
            text,
            start_ms: word.start_ms,
            end_ms: word.end_ms.max(word.start_ms),
            space_before,
        });
    }
    pieces
}

fn timed_by_length(text: &str, segment: &Segment) -> Vec<Piece> {
    let total = (text.width() as u64).max(1);
    let duration_ms = segment.end_ms.saturating_sub(segment.start_ms);
    let at = |columns: u64| segment.start_ms + duration_ms.saturating_mul(columns) / total;
    let mut columns = 0;
    let words = text.split(' ').filter(|word| !word.is_empty());
    words
        .map(|word| {
            let start_ms = at(columns);
            columns += word.width() as u64;
            let end_ms = at(columns);
            columns += 1;
            Piece {
                text: word.to_owned(),
                start_ms,
                end_ms,
                space_before: true,
            }
        })
        .collect()
}

/// A piece that fills more than a line, as a sentence does where words have no spaces between them, in
/// parts of half a line, with times by their length.
fn short(piece: Piece) -> Vec<Piece> {
    if piece.text.width() <= LINE_COLUMNS {
        return vec![piece];
    }
    let total = piece.text.width() as u64;
    let duration_ms = piece.end_ms - piece.start_ms;
    let at = |columns: usize| piece.start_ms + duration_ms.saturating_mul(columns as u64) / total;
    let mut parts: Vec<Piece> = Vec::new();
    let mut columns = 0;
    for c in piece.text.chars() {
        let wide = c.width().unwrap_or(0);
        match parts.last_mut() {
            Some(part) if part.text.width() + wide <= LINE_COLUMNS / 2 => part.text.push(c),
            _ => parts.push(Piece {
                text: c.into(),
                start_ms: at(columns),
                end_ms: 0,
                space_before: parts.is_empty() && piece.space_before,
            }),
        }
        columns += wide;
        parts.last_mut().expect("just filled").end_ms = at(columns);
    }
    parts
}

/// Lets short cues stay until they can be read, or until the same speaker goes on or the recording ends.
fn linger(cues: &mut [Cue], end_ms: u64) {
    let mut next: HashMap<u16, u64> = HashMap::new();
    for cue in cues.iter_mut().rev() {
        let wanted = cue.start_ms + CUE_MIN_MS;
        let free = next.get(&cue.channel).copied().unwrap_or(end_ms);
        cue.end_ms = cue.end_ms.max(wanted.min(free));
        next.insert(cue.channel, cue.start_ms);
    }
}
