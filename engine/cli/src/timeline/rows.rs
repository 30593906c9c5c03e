//! Breaks a call into rows, as text is broken into lines: where nobody speaks and nobody waits for
//! an answer, if possible.

use std::ops::Range;

/// The longest row, in seconds.
pub(super) const ROW_SECONDS: f64 = 12.0;

/// A row is not broken before this share of it.
const EARLIEST: f64 = 0.55;

/// Samples per second of everything drawn.
pub(super) const RATE: f64 = 8_000.0;

/// Below this nobody speaks.
const QUIET: i16 = 260;

/// Ranges of seconds, without gaps, each at most [`ROW_SECONDS`] long. `whole`: what should not be
/// broken, in seconds.
pub(super) fn rows(caller: &[i16], agent: &[i16], whole: &[Range<f64>]) -> Vec<Range<f64>> {
    let end = caller.len().max(agent.len()) as f64 / RATE;
    let mut rows = Vec::new();
    let mut from = 0.0;
    while end - from > ROW_SECONDS {
        let latest = from + ROW_SECONDS;
        let search = from + ROW_SECONDS * EARLIEST..latest;
        let until = longest_silence(caller, agent, whole, search).unwrap_or(latest);
        rows.push(from..until);
        from = until;
    }
    rows.push(from..end);
    rows
}

/// The end, less a moment, of the longest common silence: rows begin where somebody does.
fn longest_silence(
    caller: &[i16],
    agent: &[i16],
    whole: &[Range<f64>],
    search: Range<f64>,
) -> Option<f64> {
    const STEP: f64 = 0.02;
    const MOMENT: f64 = 0.1;
    let quiet = |audio: &[i16], at: f64| {
        let from = ((at * RATE) as usize).min(audio.len());
        let until = (((at + STEP) * RATE) as usize).min(audio.len());
        audio[from..until].iter().all(|s| s.abs() < QUIET)
    };
    let mut longest: Option<Range<f64>> = None;
    let mut current: Option<Range<f64>> = None;
    let steps = ((search.end - search.start) / STEP) as usize;
    for step in 0..steps {
        let at = search.start + step as f64 * STEP;
        let waiting = whole.iter().any(|whole| whole.contains(&at));
        current = (!waiting && quiet(caller, at) && quiet(agent, at))
            .then(|| current.map_or(at, |silence| silence.start)..at + STEP);
        let length = |range: &Option<Range<f64>>| range.as_ref().map_or(0.0, |r| r.end - r.start);
        if length(&current) >= length(&longest) && current.is_some() {
            longest.clone_from(&current);
        }
    }
    let silence = longest.filter(|silence| silence.end - silence.start > 2.0 * MOMENT)?;
    Some(silence.end - MOMENT)
}

/// Breaks `text` into lines of at most `width` characters; a longer word stands alone.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speech(seconds: &[(f64, f64)], len: f64) -> Vec<i16> {
        let mut audio = vec![0; (len * RATE) as usize];
        for &(from, until) in seconds {
            audio[(from * RATE) as usize..(until * RATE) as usize].fill(5_000);
        }
        audio
    }

    #[test]
    fn a_short_call_is_one_row() {
        assert_eq!(rows(&speech(&[], 9.0), &[], &[]), [0.0..9.0]);
        assert_eq!(rows(&[], &[], &[]), [0.0..0.0]);
    }

    #[test]
    fn rows_break_where_nobody_speaks() {
        let caller = speech(&[(0.0, 2.0), (10.0, 14.0)], 20.0);
        let agent = speech(&[(2.5, 8.0)], 20.0);
        let rows = rows(&caller, &agent, &[]);
        assert_eq!(rows.len(), 2);
        assert!((rows[0].end - 9.9).abs() < 0.05, "{rows:?}");
        assert_eq!(rows[0].end, rows[1].start);
    }

    #[test]
    fn a_wait_for_an_answer_is_not_broken() {
        let caller = speech(&[(0.0, 7.0), (8.0, 10.0)], 20.0);
        let agent = speech(&[(12.0, 18.0)], 20.0);
        let rows = rows(&caller, &agent, std::slice::from_ref(&(10.0..12.0)));
        assert!((rows[0].end - 7.9).abs() < 0.05, "{rows:?}");
    }

    #[test]
    fn endless_speech_breaks_at_the_longest_row() {
        let rows = rows(&speech(&[(0.0, 30.0)], 30.0), &[], &[]);
        assert_eq!(rows, [0.0..12.0, 12.0..24.0, 24.0..30.0]);
    }

    #[test]
    fn text_wraps_at_words() {
        assert_eq!(wrap("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrap("extraordinary", 5), ["extraordinary"]);
        assert_eq!(wrap("", 5), Vec::<String>::new());
    }
}
