//! What Smart Turn hears: Whisper's log-mel spectrogram of 8 s.
//!
//! As Whisper's feature extractor makes it, with the waveform first brought to zero mean and unit
//! variance: frames of 25 ms each 10 ms, centred, the ends reflected; a periodic Hann window; power
//! in 80 triangular bands of equal width on Slaney's mel scale, each of equal area; the decadic
//! logarithm, at most 8 below its highest; moved to around 0.

use std::{f64::consts::TAU, sync::Arc};

use realfft::{RealFftPlanner, RealToComplex, num_complex::Complex};

/// The rate it takes, in Hz.
const RATE_HZ: usize = 16_000;
/// The length of what it takes: 8 s.
pub(super) const SAMPLES: usize = 8 * RATE_HZ;
/// Frequency bands.
pub(super) const BANDS: usize = 80;
/// Frames of [`SAMPLES`].
pub(super) const FRAMES: usize = SAMPLES / HOP;

const HOP: usize = 160;
const WINDOW: usize = 400;
const BINS: usize = WINDOW / 2 + 1;

/// Makes spectrograms; keeps its working memory.
pub(super) struct LogMel {
    fft: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    bands: Vec<Band>,
    frame: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
}

/// The bins of a band that count, and how much.
struct Band {
    first_bin: usize,
    weights: Vec<f32>,
}

impl LogMel {
    pub(super) fn new() -> Self {
        let fft = RealFftPlanner::new().plan_fft_forward(WINDOW);
        let hann = |i| 0.5 - 0.5 * (TAU * f64::from(i) / WINDOW as f64).cos();
        Self {
            window: (0..WINDOW as u32).map(|i| hann(i) as f32).collect(),
            bands: bands(),
            frame: fft.make_input_vec(),
            spectrum: fft.make_output_vec(),
            scratch: fft.make_scratch_vec(),
            fft,
        }
    }

    /// Writes the spectrogram of `samples` to `out`, band by band. Normalises `samples` in place.
    ///
    /// # Panics
    ///
    /// If there are not [`SAMPLES`] samples, or not room for [`BANDS`] times [`FRAMES`] values.
    pub(super) fn compute(&mut self, samples: &mut [f32], out: &mut [f32]) {
        assert_eq!(samples.len(), SAMPLES, "samples in 8 s");
        assert_eq!(out.len(), BANDS * FRAMES, "values of 8 s");
        normalise(samples);
        let mut highest = f32::NEG_INFINITY;
        for index in 0..FRAMES {
            self.transform(samples, index);
            for (number, band) in self.bands.iter().enumerate() {
                let bins = &self.spectrum[band.first_bin..];
                let power: f32 = bins
                    .iter()
                    .zip(&band.weights)
                    .map(|(bin, weight)| bin.norm_sqr() * weight)
                    .sum();
                let log = power.max(1e-10).log10();
                highest = highest.max(log);
                out[number * FRAMES + index] = log;
            }
        }
        for value in out {
            *value = (value.max(highest - 8.0) + 4.0) / 4.0;
        }
    }

    /// The spectrum of the frame around sample `index * HOP`.
    fn transform(&mut self, samples: &[f32], index: usize) {
        // In the signal with its first and last half window reflected before and after it.
        let start = index * HOP;
        match start.checked_sub(WINDOW / 2) {
            Some(start) if start + WINDOW <= samples.len() => {
                self.frame.copy_from_slice(&samples[start..start + WINDOW]);
            }
            _ => {
                for (i, value) in self.frame.iter_mut().enumerate() {
                    *value = samples[reflected(start + i)];
                }
            }
        }
        for (value, weight) in self.frame.iter_mut().zip(&self.window) {
            *value *= weight;
        }
        self.fft
            .process_with_scratch(&mut self.frame, &mut self.spectrum, &mut self.scratch)
            .expect("the buffers were made for this transform");
    }
}

/// Where the sample at `padded`, counted from half a window before the first, is found.
fn reflected(padded: usize) -> usize {
    let distance = padded.abs_diff(WINDOW / 2);
    if padded < WINDOW / 2 || distance < SAMPLES {
        distance
    } else {
        2 * (SAMPLES - 1) - distance
    }
}

/// Brings `samples` to zero mean and unit variance.
fn normalise(samples: &mut [f32]) {
    let count = samples.len() as f64;
    let mean = samples.iter().map(|s| f64::from(*s)).sum::<f64>() / count;
    let squares = samples.iter().map(|s| (f64::from(*s) - mean).powi(2));
    let deviation = (squares.sum::<f64>() / count + 1e-7).sqrt();
    for sample in samples {
        *sample = ((f64::from(*sample) - mean) / deviation) as f32;
    }
}

fn bands() -> Vec<Band> {
    let highest = mel(RATE_HZ as f64 / 2.0);
    let edge = |i: usize| hertz(highest * i as f64 / (BANDS + 1) as f64);
    (0..BANDS)
        .map(|band| {
            let (low, centre, high) = (edge(band), edge(band + 1), edge(band + 2));
            let weight = |bin: usize| {
                let hz = (bin * RATE_HZ) as f64 / WINDOW as f64;
                let slope = ((hz - low) / (centre - low)).min((high - hz) / (high - centre));
                slope.max(0.0) * 2.0 / (high - low)
            };
            let inside = |bin: &usize| weight(*bin) > 0.0;
            let first_bin = (0..BINS).find(inside).unwrap_or(0);
            let weights = (first_bin..BINS)
                .take_while(inside)
                .map(|bin| weight(bin) as f32);
            Band {
                first_bin,
                weights: weights.collect(),
            }
        })
        .collect()
}

/// Slaney's mel scale: even up to 1 kHz, logarithmic from there.
const HZ_PER_MEL: f64 = 200.0 / 3.0;
const BREAK_HZ: f64 = 1_000.0;
const BREAK_MEL: f64 = BREAK_HZ / HZ_PER_MEL;

/// Above the break, 27 mels are a factor of 6.4.
fn log_step() -> f64 {
    6.4_f64.ln() / 27.0
}

fn mel(hz: f64) -> f64 {
    if hz < BREAK_HZ {
        hz / HZ_PER_MEL
    } else {
        BREAK_MEL + (hz / BREAK_HZ).ln() / log_step()
    }
}

fn hertz(mel: f64) -> f64 {
    if mel < BREAK_MEL {
        mel * HZ_PER_MEL
    } else {
        BREAK_HZ * ((mel - BREAK_MEL) * log_step()).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rising tone in noise in the last 3 s, as a turn is: silence before it.
    fn turn() -> Vec<f32> {
        let mut random = fastrand::Rng::with_seed(11);
        (0..SAMPLES)
            .map(|i| {
                let t = i as f64 / RATE_HZ as f64;
                let tone = (TAU * (200.0 + 300.0 * t) * t).sin() * 0.3;
                let noise = (random.f64() - 0.5) * 0.02;
                if t < 5.0 { 0.0 } else { (tone + noise) as f32 }
            })
            .collect()
    }

    /// The same by the definitions, in double precision: every sum written out.
    fn by_definition(samples: &[f32], frames: &[usize]) -> Vec<Vec<f64>> {
        let count = SAMPLES as f64;
        let signal: Vec<f64> = samples.iter().map(|s| f64::from(*s)).collect();
        let mean = signal.iter().sum::<f64>() / count;
        let variance = signal.iter().map(|s| (s - mean) * (s - mean)).sum::<f64>() / count;
        let at = |i: i64| {
            let last = SAMPLES as i64 - 1;
            let i = if i < 0 {
                -i
            } else if i > last {
                2 * last - i
            } else {
                i
            };
            (signal[i as usize] - mean) / (variance + 1e-7).sqrt()
        };
        let edges: Vec<f64> = (0..BANDS + 2)
            .map(|i| {
                // 8 kHz are 15 + 27 ln(8) / ln(6.4) mels.
                let mel = (15.0 + 27.0 * 8.0_f64.ln() / 6.4_f64.ln()) * i as f64 / 81.0;
                if mel < 15.0 {
                    mel * 200.0 / 3.0
                } else {
                    1_000.0 * 6.4_f64.powf((mel - 15.0) / 27.0)
                }
            })
            .collect();
        frames
            .iter()
            .map(|frame| {
                let power: Vec<f64> = (0..=200)
                    .map(|bin| {
                        let (mut re, mut im) = (0.0, 0.0);
                        for n in 0..400 {
                            let phase = TAU * (bin * n % 400) as f64 / 400.0;
                            let hann = 0.5 - 0.5 * (TAU * n as f64 / 400.0).cos();
                            let x = at((frame * 160 + n) as i64 - 200) * hann;
                            re += x * phase.cos();
                            im -= x * phase.sin();
                        }
                        re * re + im * im
                    })
                    .collect();
                edges
                    .windows(3)
                    .map(|edge| {
                        let band: f64 = power
                            .iter()
                            .enumerate()
                            .map(|(bin, power)| {
                                let hz = bin as f64 * 40.0;
                                let up = (hz - edge[0]) / (edge[1] - edge[0]);
                                let down = (edge[2] - hz) / (edge[2] - edge[1]);
                                up.min(down).max(0.0) * power * 2.0 / (edge[2] - edge[0])
                            })
                            .sum();
                        band.max(1e-10).log10()
                    })
                    .collect()
            })
            .collect()
    }

    #[test]
    fn it_is_what_the_definition_says() {
        let mut samples = turn();
        // The first and last frames reach over the ends; 499 is the last before the turn.
        let frames = [0, 1, 2, 250, 498, 499, 500, 501, 650, 797, 798, 799];
        let expected = by_definition(&samples, &frames);
        let mut out = vec![0.0; BANDS * FRAMES];
        LogMel::new().compute(&mut samples, &mut out);
        // The floor follows the highest value of all frames.
        let highest = out.iter().copied().fold(f32::NEG_INFINITY, f32::max) * 4.0 - 4.0;
        let floor = f64::from(highest) - 8.0;
        let mut worst = 0.0_f64;
        for (frame, bands) in frames.iter().zip(expected) {
            for (band, log) in bands.into_iter().enumerate() {
                let expected = (log.max(floor) + 4.0) / 4.0;
                let found = f64::from(out[band * FRAMES + frame]);
                worst = worst.max((found - expected).abs());
            }
        }
        assert!(worst < 1e-4, "off by {worst}");
    }

    #[test]
    fn loudness_and_offset_make_no_difference() {
        let mut out = [vec![0.0; BANDS * FRAMES], vec![0.0; BANDS * FRAMES]];
        let mut mel = LogMel::new();
        mel.compute(&mut turn(), &mut out[0]);
        let mut louder: Vec<f32> = turn().iter().map(|s| s * 2.5 + 0.1).collect();
        mel.compute(&mut louder, &mut out[1]);
        for (a, b) in out[0].iter().zip(&out[1]) {
            assert!((a - b).abs() < 2e-3, "{a} {b}");
        }
    }

    #[test]
    fn silence_is_even_and_finite() {
        let mut out = vec![0.0; BANDS * FRAMES];
        LogMel::new().compute(&mut vec![0.0; SAMPLES], &mut out);
        assert!(out.iter().all(|value| *value == -1.5));
    }

    #[test]
    fn every_band_hears_something() {
        for (number, band) in bands().iter().enumerate() {
            assert!(!band.weights.is_empty(), "band {number}");
            assert!(band.first_bin + band.weights.len() <= BINS);
        }
    }
}
