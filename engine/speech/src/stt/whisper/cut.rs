//! Where speech that is longer than the encoder's window is cut.

use std::ops::Range;

/// Samples of one encoder position, 20 ms.
pub(super) const POSITION: usize = 320;

/// whisper.cpp takes nothing of 100 ms or less.
pub(super) const SHORTEST: usize = 3_200;

/// A cut falls into the quietest pause of this much audio.
const CUT_RANGE: usize = 5 * 16_000;

/// Long enough not to be taken for the stop within a word, 200 ms.
const PAUSE: usize = 3_200;

/// Where to cut `samples` (at 16 kHz) so that the first part has at most `longest` of them: in the
/// middle of the quietest 200 ms of the last 5 s, or of the later half where that is less. `None`
/// where nothing need be cut.
///
/// # Panics
///
/// If `longest` is below 1 s.
#[must_use]
pub fn cut(samples: &[f32], longest: usize) -> Option<usize> {
    assert!(longest >= 16_000, "room for a pause and speech around it");
    if samples.len() <= longest {
        return None;
    }
    let earliest = longest - CUT_RANGE.min(longest / 2);
    let energy = |pause: usize| -> f32 {
        samples[pause..pause + PAUSE]
            .iter()
            .map(|sample| sample * sample)
            .sum()
    };
    // Of equally quiet pauses the last: fewer windows.
    // Twice a pause from the end, so that no part is too short for whisper.cpp.
    let latest = longest - 2 * PAUSE;
    let pause = (earliest..latest)
        .step_by(POSITION)
        .rev()
        .min_by(|a, b| energy(*a).total_cmp(&energy(*b)))
        .unwrap_or(latest);
    Some(pause + PAUSE / 2)
}

/// Cuts all of `samples` into parts of at most `longest`.
pub(super) fn windows(samples: &[f32], longest: usize) -> Vec<Range<usize>> {
    let mut windows = Vec::new();
    let mut start = 0;
    while let Some(len) = cut(&samples[start..], longest) {
        windows.push(start..start + len);
        start += len;
    }
    windows.push(start..samples.len());
    windows
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: usize = 29 * 16_000;

    /// A loud hum with a pause of 200 ms at each of `pauses`.
    fn hum(len: usize, pauses: &[usize]) -> Vec<f32> {
        (0..len)
            .map(|i| {
                let paused = pauses.iter().any(|at| (*at..at + 3_200).contains(&i));
                if paused { 0.0 } else { (i as f32 * 0.1).sin() }
            })
            .collect()
    }

    #[test]
    fn short_audio_is_one_window() {
        for len in [1, 3_200, LONGEST] {
            let parts = windows(&vec![0.0; len], LONGEST);
            assert_eq!(parts.len(), 1);
            assert_eq!(parts[0], 0..len);
        }
    }

    #[test]
    fn long_audio_is_cut_in_its_pauses() {
        let pauses = [27 * 16_000, 40 * 16_000, 54 * 16_000];
        let audio = hum(80 * 16_000, &pauses);
        let parts = windows(&audio, LONGEST);
        assert_eq!(parts.len(), 3);
        assert_eq!((parts[0].start, parts[2].end), (0, audio.len()));
        for (part, next) in parts.iter().zip(&parts[1..]) {
            assert_eq!(part.end, next.start);
            assert!(part.len() <= LONGEST);
            assert!(
                pauses
                    .iter()
                    .any(|at| (*at..at + 3_200).contains(&part.end)),
                "cut at {}",
                part.end
            );
        }
    }

    #[test]
    fn audio_without_a_pause_is_cut_all_the_same() {
        for longest in [POSITION * 64, LONGEST] {
            let audio = hum(longest * 5 / 2, &[]);
            let parts = windows(&audio, longest);
            assert!(
                parts
                    .iter()
                    .all(|part| (SHORTEST..=longest).contains(&part.len()))
            );
            assert_eq!(parts.last().unwrap().end, audio.len());
        }
    }
}
