//! The resampler measured with tones over the matrix of rates, and its promises as a stream.

use std::f64::consts::TAU;

use proptest::prelude::*;
use sidetone_codecs::{ResampleError, Resampler, SampleRate};

const HZ_8000: SampleRate = SampleRate::HZ_8000;
const HZ_16000: SampleRate = SampleRate::HZ_16000;
const HZ_22050: SampleRate = SampleRate::HZ_22050;
const HZ_24000: SampleRate = SampleRate::HZ_24000;
const HZ_44100: SampleRate = SampleRate::HZ_44100;
const HZ_48000: SampleRate = SampleRate::HZ_48000;

const MATRIX: [(SampleRate, SampleRate); 14] = [
    (HZ_8000, HZ_16000),
    (HZ_16000, HZ_8000),
    (HZ_22050, HZ_8000),
    (HZ_24000, HZ_8000),
    (HZ_44100, HZ_8000),
    (HZ_48000, HZ_8000),
    (HZ_8000, HZ_48000),
    (HZ_22050, HZ_16000),
    (HZ_24000, HZ_16000),
    (HZ_44100, HZ_16000),
    (HZ_48000, HZ_16000),
    (HZ_16000, HZ_48000),
    (HZ_8000, HZ_24000),
    (HZ_8000, HZ_44100),
];

const AMPLITUDE: f64 = 20_000.0;

fn resampler(from: SampleRate, to: SampleRate) -> Resampler {
    Resampler::new(from, to).expect("the matrix is supported")
}

fn tone(hz: f64, rate: SampleRate, len: usize) -> Vec<i16> {
    let step = TAU * hz / f64::from(rate.hz());
    (0..len)
        .map(|n| (AMPLITUDE * (step * n as f64).sin()).round() as i16)
        .collect()
}

/// Resamples half a second of a tone and leaves the first and the last 50 ms out of the result.
/// Also says at which output sample the result begins.
fn settled_tone(hz: f64, from: SampleRate, to: SampleRate) -> (Vec<i16>, usize) {
    let mut out = Vec::new();
    let mut resampler = resampler(from, to);
    resampler.process(&tone(hz, from, from.hz() as usize / 2), &mut out);
    resampler.finish(&mut out);
    let edge = to.hz() as usize / 20;
    (out[edge..out.len() - edge].to_vec(), edge)
}

struct Measured {
    gain_db: f64,
    /// How late the tone is, in seconds.
    late: f64,
    /// All that is not the tone (images, aliases, noise), against the tone that went in.
    rest_db: f64,
}

/// Fits `a sin + b cos` of the tone to the samples.
fn measure(samples: &[i16], first: usize, hz: f64, rate: SampleRate) -> Measured {
    let step = TAU * hz / f64::from(rate.hz());
    let angle = |n: usize| step * (first + n) as f64;
    let (mut ss, mut sc, mut cc, mut xs, mut xc) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (n, &x) in samples.iter().enumerate() {
        let ((s, c), x) = (angle(n).sin_cos(), f64::from(x));
        (ss, sc, cc, xs, xc) = (ss + s * s, sc + s * c, cc + c * c, xs + x * s, xc + x * c);
    }
    let determinant = ss * cc - sc * sc;
    let (a, b) = (
        (xs * cc - xc * sc) / determinant,
        (xc * ss - xs * sc) / determinant,
    );
    let rest = samples.iter().enumerate().map(|(n, &x)| {
        let (s, c) = angle(n).sin_cos();
        f64::from(x) - a * s - b * c
    });
    Measured {
        gain_db: db(a.hypot(b)),
        late: (-b).atan2(a) / (TAU * hz),
        rest_db: db(rms(rest) * 2.0_f64.sqrt()),
    }
}

fn db(amplitude: f64) -> f64 {
    20.0 * (amplitude / AMPLITUDE).log10()
}

fn rms(samples: impl ExactSizeIterator<Item = f64>) -> f64 {
    let len = samples.len() as f64;
    (samples.map(|x| x * x).sum::<f64>() / len).sqrt()
}

#[test]
fn the_pass_band_is_flat_and_clean_and_on_time() {
    for (from, to) in MATRIX {
        // 3.4 kHz where 8 kHz is the lower rate.
        let edge = 0.425 * f64::from(from.min(to).hz());
        for share in [0.02, 0.1, 0.3, 0.5, 0.7, 0.85, 0.95, 1.0] {
            let hz = edge * share;
            let (samples, first) = settled_tone(hz, from, to);
            let Measured {
                gain_db,
                late,
                rest_db,
            } = measure(&samples, first, hz, to);
            let what = format!("{from} to {to}, {hz:.0} Hz");
            assert!(gain_db.abs() < 0.5, "{what}: gain {gain_db:.2} dB");
            assert!(
                rest_db < -60.0,
                "{what}: images and aliases {rest_db:.1} dB"
            );
            assert!(late.abs() < 1e-6, "{what}: {late:e} s late");
        }
    }
}

#[test]
fn nothing_mirrors_up_even_from_the_edge_of_the_band() {
    for (from, to) in MATRIX.into_iter().filter(|(from, to)| from < to) {
        for share in [0.86, 0.9, 0.94, 0.98] {
            let hz = f64::from(from.hz()) / 2.0 * share;
            let (samples, first) = settled_tone(hz, from, to);
            let Measured { rest_db, .. } = measure(&samples, first, hz, to);
            assert!(
                rest_db < -60.0,
                "{from} to {to}, {hz:.0} Hz: images {rest_db:.1} dB"
            );
        }
    }
}

#[test]
fn nothing_folds_back_from_above_the_band() {
    for (from, to) in MATRIX.into_iter().filter(|(from, to)| from > to) {
        let (lowest, highest) = (f64::from(to.hz()) / 2.0, f64::from(from.hz()) / 2.0);
        for share in [0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.77, 0.9, 0.99] {
            let hz = lowest + (highest - lowest) * share;
            let (samples, _) = settled_tone(hz, from, to);
            let alias_db = db(rms(samples.iter().map(|&x| f64::from(x))) * 2.0_f64.sqrt());
            assert!(
                alias_db < -60.0,
                "{from} to {to}, {hz:.0} Hz: alias {alias_db:.1} dB"
            );
        }
    }
}

#[test]
fn the_reported_delay_is_the_delay() {
    for (from, to) in MATRIX {
        let mut resampler = resampler(from, to);
        let delay = resampler.delay();
        let lookahead_us = delay.duration(to).as_micros();
        let budget_us = 4_000 * 8_000 / u128::from(from.min(to).hz());
        assert!(
            lookahead_us <= budget_us,
            "{from} to {to}: {lookahead_us} µs"
        );

        let block = from.hz() as usize / 200;
        let mut out = Vec::new();
        for blocks in 1..=200 {
            resampler.process(&vec![0; block], &mut out);
            if blocks > 4 {
                let due = (blocks * block) as u64 * u64::from(to.hz()) / u64::from(from.hz());
                let lag = due - out.len() as u64;
                let expected = delay.0 - 2..=delay.0;
                assert!(
                    expected.contains(&lag),
                    "{from} to {to}: {lag}, not {expected:?}"
                );
            }
        }
    }
}

#[test]
fn every_20_ms_frame_from_the_phone_gives_20_ms_at_16_khz() {
    let mut resampler = resampler(HZ_8000, HZ_16000);
    let mut out = Vec::new();
    resampler.process(&[0; 160], &mut out);
    let missing = 320 - out.len() as u64;
    assert!(
        (resampler.delay().0 - 2..=resampler.delay().0).contains(&missing),
        "{missing}"
    );
    for _ in 0..100 {
        out.clear();
        resampler.process(&[0; 160], &mut out);
        assert_eq!(out.len(), 320);
    }
}

#[test]
fn length_is_exact_and_finish_starts_afresh() {
    for (from, to) in MATRIX.into_iter().chain([(HZ_8000, HZ_8000)]) {
        let mut resampler = resampler(from, to);
        for len in [0, 1, 2, 39, 160, 441, 4_410, 30_001] {
            let mut out = Vec::new();
            resampler.process(&vec![1_000; len], &mut out);
            resampler.finish(&mut out);
            let exact = (len as u64 * u64::from(to.hz())).div_ceil(u64::from(from.hz()));
            assert_eq!(out.len() as u64, exact, "{from} to {to}, {len} samples");
        }
    }
}

#[test]
fn finish_and_reset_leave_no_trace_of_the_stream_before() {
    for (from, to) in MATRIX {
        let input = tone(440.0, from, 5_000);
        let run = |resampler: &mut Resampler| {
            let mut out = Vec::new();
            resampler.process(&input, &mut out);
            resampler.finish(&mut out);
            out
        };
        let mut resampler = resampler(from, to);
        let first = run(&mut resampler);
        assert_eq!(run(&mut resampler), first, "{from} to {to} after finish");
        resampler.process(&[i16::MAX; 777], &mut Vec::new());
        resampler.reset();
        assert_eq!(run(&mut resampler), first, "{from} to {to} after reset");
    }
}

#[test]
fn full_scale_saturates_and_does_not_wrap() {
    for (from, to) in MATRIX {
        let half_wave = from.hz() as usize / 200;
        let square: Vec<i16> = (0..from.hz() as usize / 2)
            .map(|n| {
                if (n / half_wave).is_multiple_of(2) {
                    i16::MAX
                } else {
                    i16::MIN
                }
            })
            .collect();
        let mut out = Vec::new();
        resampler(from, to).process(&square, &mut out);
        // Between the edges' ringing the level holds; a wrap would flip the sign there.
        for (n, &sample) in out.iter().enumerate() {
            let at = n as f64 * f64::from(from.hz()) / f64::from(to.hz()) / half_wave as f64;
            if (0.3..0.7).contains(&at.fract()) {
                let expected = if (at as usize).is_multiple_of(2) {
                    i16::MAX
                } else {
                    i16::MIN
                };
                let off = (i32::from(sample) - i32::from(expected)).abs();
                assert!(off < 2_500, "{from} to {to}, sample {n}: {sample}");
            }
        }
        assert!(
            out.contains(&i16::MAX) && out.contains(&i16::MIN),
            "{from} to {to}: no clipping"
        );
    }
}

#[test]
fn equal_rates_are_a_copy() {
    let input = tone(1_000.0, HZ_8000, 333);
    let mut resampler = resampler(HZ_8000, HZ_8000);
    let mut out = Vec::new();
    resampler.process(&input, &mut out);
    resampler.finish(&mut out);
    assert_eq!(out, input);
    assert_eq!((resampler.delay().0, resampler.max_output(160)), (0, 160));
}

#[test]
fn a_call_allocates_nothing() {
    for (from, to) in MATRIX {
        let mut resampler = resampler(from, to);
        let input = tone(440.0, from, from.hz() as usize / 50);
        let mut out = Vec::with_capacity(resampler.max_output(input.len()));
        let capacity = out.capacity();
        for call in 0..50 {
            out.clear();
            let allocations = allocation_counter::measure(|| {
                resampler.process(&input, &mut out);
            });
            assert_eq!(allocations.count_total, 0, "{from} to {to}, call {call}");
        }
        let mut tail = Vec::with_capacity(resampler.max_finish());
        let allocations = allocation_counter::measure(|| resampler.finish(&mut tail));
        assert_eq!(allocations.count_total, 0, "{from} to {to}, finish");
        assert_eq!(out.capacity(), capacity);
    }
}

#[test]
fn a_resampler_is_small() {
    for (from, to) in MATRIX {
        let mut kept = None;
        let memory = allocation_counter::measure(|| kept = Some(resampler(from, to)));
        let kib = memory.bytes_current as f64 / 1024.0;
        println!(
            "{from} to {to}: {kib:.1} KiB, {} output samples late",
            kept.unwrap().delay().0
        );
        // Only going up to 44.1 kHz, with its 441 phases, takes a large table.
        let most = if to == HZ_44100 { 128.0 } else { 20.0 };
        assert!(kib < most, "{from} to {to}: {kib:.1} KiB");
    }
}

#[test]
fn every_pair_of_usual_rates_is_supported() {
    let usual = [8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];
    for (from, to) in usual
        .into_iter()
        .flat_map(|from| usual.map(|to| (from, to)))
    {
        let [from, to] = [from, to].map(|hz| SampleRate::new(hz).expect("not zero"));
        assert!(Resampler::new(from, to).is_ok(), "{from} to {to}");
    }
}

#[test]
fn rates_that_make_no_sense_are_refused_with_a_reason() {
    let rate = |hz| SampleRate::new(hz).expect("not zero");
    let error = Resampler::new(rate(1), HZ_8000).unwrap_err();
    assert!(matches!(error, ResampleError::Rate { .. }));
    assert_eq!(
        error.to_string(),
        "cannot resample 1 Hz to 8000 Hz: rates from 4000 Hz to 192000 Hz are supported"
    );
    assert!(Resampler::new(HZ_8000, rate(u32::MAX)).is_err());
    let error = Resampler::new(HZ_8000, rate(44_101))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("44101:8000") && error.contains("48000 Hz"),
        "{error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn chunks_make_no_difference(
        pair in prop::sample::select(&MATRIX[..]),
        input in prop::collection::vec(any::<i16>(), 0..3_000),
        cuts in prop::collection::vec(1_usize..700, 1..20),
    ) {
        let (from, to) = pair;
        let mut whole = Vec::new();
        let mut at_once = resampler(from, to);
        at_once.process(&input, &mut whole);
        at_once.finish(&mut whole);

        let mut pieces = Vec::new();
        let mut in_chunks = resampler(from, to);
        let mut rest = &input[..];
        for cut in cuts.into_iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at(cut.min(rest.len()));
            let before = pieces.len();
            in_chunks.process(now, &mut pieces);
            prop_assert!(pieces.len() - before <= in_chunks.max_output(now.len()));
            rest = later;
        }
        let before = pieces.len();
        let most = in_chunks.max_finish();
        in_chunks.finish(&mut pieces);
        prop_assert!(pieces.len() - before <= most);
        prop_assert_eq!(pieces, whole);
    }

    #[test]
    fn any_rates_give_a_resampler_or_an_error(
        from in prop_oneof![4_000_u32..=192_000, any::<u32>()],
        to in prop_oneof![4_000_u32..=192_000, any::<u32>()],
    ) {
        let (Some(from), Some(to)) = (SampleRate::new(from), SampleRate::new(to)) else {
            return Ok(());
        };
        if let Ok(mut resampler) = Resampler::new(from, to) {
            let mut out = Vec::new();
            resampler.process(&[1_000; 2_000], &mut out);
            resampler.finish(&mut out);
            let exact = (2_000 * u64::from(to.hz())).div_ceil(u64::from(from.hz()));
            prop_assert_eq!(out.len() as u64, exact);
        }
    }
}
