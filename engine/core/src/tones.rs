//! The tones of telephone keys (ITU-T Q.23 and Q.24).

use std::time::Duration;

use sidetone_codecs::SampleRate;

/// The rate of the tones.
const RATE: SampleRate = SampleRate::HZ_8000;
/// How long a tone sounds, and the silence behind it.
const TONE: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_millis(100);
/// The silence that `w` asks for.
const WAIT: Duration = Duration::from_millis(500);
/// Of each of a tone's two frequencies: about −8 dBFS together, the higher a little louder, as
/// telephones have it.
const LOW_LEVEL: f64 = 5_800.0;
const HIGH_LEVEL: f64 = 7_200.0;
/// Tones begin and end softly over this length.
const EDGE: Duration = Duration::from_millis(3);

/// Those of `digits` that have a tone or are a pause, at most `max`.
pub(crate) fn playable(digits: &str, max: usize) -> String {
    let known = digits.chars().filter_map(|digit| match digit {
        'w' | 'W' => Some('w'),
        digit => {
            let digit = digit.to_ascii_uppercase();
            frequencies(digit).map(|_| digit)
        }
    });
    known.take(max).collect()
}

/// The tones of `digits`: mono 16-bit PCM at 8 kHz.
pub(crate) fn tones(digits: &str) -> Vec<i16> {
    let mut pcm = Vec::new();
    for digit in digits.chars() {
        match frequencies(digit) {
            Some(frequencies) => tone(frequencies, &mut pcm),
            None => pcm.resize(pcm.len() + len(WAIT), 0),
        }
    }
    pcm
}

fn tone((low, high): (f64, f64), pcm: &mut Vec<i16>) {
    let (samples, edge) = (len(TONE), len(EDGE));
    let wave = |frequency: f64, n: usize| {
        let seconds = n as f64 / f64::from(RATE.hz());
        (std::f64::consts::TAU * frequency * seconds).sin()
    };
    pcm.extend((0..samples).map(|n| {
        let soft = (n.min(samples - 1 - n) as f64 / edge as f64).min(1.0);
        (soft * (LOW_LEVEL * wave(low, n) + HIGH_LEVEL * wave(high, n))) as i16
    }));
    pcm.resize(pcm.len() + len(PAUSE), 0);
}

fn frequencies(digit: char) -> Option<(f64, f64)> {
    const KEYS: [&str; 4] = ["123A", "456B", "789C", "*0#D"];
    const LOW: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
    const HIGH: [f64; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];
    KEYS.iter().zip(LOW).find_map(|(row, low)| {
        let column = row.find(digit)?;
        Some((low, HIGH[column]))
    })
}

fn len(duration: Duration) -> usize {
    usize::try_from(RATE.samples_in(duration).0).expect("less than a second")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How much of `frequency` there is (Goertzel).
    fn power(pcm: &[i16], frequency: f64) -> f64 {
        let step = 2.0 * (std::f64::consts::TAU * frequency / 8_000.0).cos();
        let (mut a, mut b) = (0.0, 0.0);
        for sample in pcm {
            (a, b) = (f64::from(*sample) + step * a - b, a);
        }
        a * a + b * b - step * a * b
    }

    #[test]
    fn every_key_has_its_two_frequencies_and_no_other() {
        let low = [697.0, 770.0, 852.0, 941.0];
        let high = [1_209.0, 1_336.0, 1_477.0, 1_633.0];
        for (n, key) in "123A456B789C*0#D".chars().enumerate() {
            let pcm = tones(&key.to_string());
            assert_eq!(pcm.len(), 1_600);
            assert_eq!(pcm[800..], [0; 800], "then silence");
            let tone = &pcm[..800];
            for (group, wanted) in [(low, n / 4), (high, n % 4)] {
                let loudest =
                    (0..4).max_by(|a, b| power(tone, group[*a]).total_cmp(&power(tone, group[*b])));
                assert_eq!(loudest, Some(wanted), "{key}");
                let others = (0..4).filter(|other| *other != wanted);
                for other in others {
                    let ratio = power(tone, group[wanted]) / power(tone, group[other]);
                    assert!(ratio > 50.0, "{key}: {ratio}");
                }
            }
        }
    }

    #[test]
    fn what_has_no_tone_is_left_out() {
        assert_eq!(playable("1a-w 2,€#", 64), "1Aw2#");
        assert_eq!(playable("12345", 3), "123");
        assert_eq!(tones("w").len(), 4_000);
    }
}
