use std::path::PathBuf;

use sidetone_codecs::{g711::mulaw, wav};

use super::*;

fn speech(file: &str) -> Vec<i16> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(file);
    wav::read_file(path).expect("the fixture is there").into_mono()
}

fn agents() -> Vec<i16> {
    let lines = ["1-where", "2-number", "3-hold-on", "4-when", "5-goodbye"];
    lines.iter().flat_map(|line| speech(&format!("demo/{line}.wav"))).collect()
}

fn level_dbfs(samples: &[i16]) -> f32 {
    let active: Vec<f32> = samples.chunks_exact(FRAME).map(energy).filter(|e| *e > 160.0 * 300.0 * 300.0).collect();
    10.0 * (active.iter().sum::<f32>() / active.len() as f32 / FRAME as f32 / 32_768.0_f32.powi(2)).log10()
}

fn at_level(samples: &[i16], dbfs: f32) -> Vec<f32> {
    let gain = 10_f32.powf((dbfs - level_dbfs(samples)) / 20.0);
    samples.iter().map(|s| f32::from(*s) * gain).collect()
}

/// A room's response: the direct sound, and reflections that die away.
fn room(seed: u64, rt60_ms: f32, direct_to_rest_db: f32) -> Vec<f32> {
    let mut random = fastrand::Rng::with_seed(seed);
    let length = (rt60_ms * 8.0) as usize;
    let mut rest: Vec<f32> = (0..length)
        .map(|n| (random.f32() * 2.0 - 1.0) * 10_f32.powf(-3.0 * n as f32 / length as f32))
        .collect();
    rest[..8].fill(0.0);
    let energy: f32 = rest.iter().map(|s| s * s).sum();
    let gain = 10_f32.powf(-direct_to_rest_db / 20.0) / energy.sqrt();
    rest.iter_mut().for_each(|s| *s *= gain);
    rest[0] = 1.0;
    let whole: f32 = rest.iter().map(|s| s * s).sum::<f32>().sqrt();
    rest.iter().map(|s| s / whole).collect()
}

fn filtered(samples: &[f32], response: &[f32]) -> Vec<f32> {
    (0..samples.len())
        .map(|n| response.iter().take(n + 1).enumerate().map(|(k, r)| r * samples[n - k]).sum())
        .collect()
}

#[test]
#[ignore]
fn explore() {
    let agent = at_level(&agents(), -20.0);
    let far: Vec<i16> = agent.iter().map(|s| mulaw::decode(mulaw::encode(s.round() as i16))).collect();
    let far_f: Vec<f32> = far.iter().map(|s| f32::from(*s)).collect();
    let callers = ["annie", "max"];
    for rt60 in [300.0_f32] {
        let response = if rt60 == 0.0 { vec![1.0] } else { room(7, rt60, 3.0) };
        let echo = filtered(&far_f, &response);
        for erl in [15.0_f32, 25.0, 35.0, 40.0] {
            for delay_ms in [40usize, 300] {
                let gain = 10_f32.powf(-erl / 20.0);
                let delay = delay_ms * 8;
                let mut random = fastrand::Rng::with_seed(3);
                let mut noise = || (random.f32() * 2.0 - 1.0) * 56.0 * 0.5;
                let line: Vec<i16> = (0..echo.len())
                    .map(|n| {
                        let e = if n >= delay { echo[n - delay] * gain } else { 0.0 };
                        mulaw::decode(mulaw::encode((e + noise()).round() as i16))
                    })
                    .collect();
                let mut guard = Echo::new();
                let (mut loud, mut missed, mut first) = (0, 0, None);
                let (mut run, mut longest) = (0, 0);
                let threshold = 160.0 * 40.0_f32.powi(2);
                for (n, (near, played)) in line.chunks_exact(FRAME).zip(far.chunks_exact(FRAME)).enumerate() {
                    guard.push(near, played);
                    if energy(near) < threshold.max(160.0 * (32768.0_f32 * 10_f32.powf((-20.0 - erl - 12.0) / 20.0)).powi(2)) {
                        run = 0;
                        continue;
                    }
                    loud += 1;
                    if guard.is_heard() {
                        first.get_or_insert(n);
                        run = 0;
                    } else {
                        missed += 1;
                        run += 1;
                        longest = longest.max(run);
                    }
                }
                println!("echo only rt60 {rt60} erl {erl} delay {delay_ms}: {missed}/{loud} missed, longest {longest} frames, lag {:?}", guard.path);
            }
        }
    }
    let echo = filtered(&far_f[..8000 * 6], &room(9, 300.0, 3.0));
    // Callers without any echo, while the agent speaks.
    for name in callers {
        for word in ["hello", "no", "yes", "where-is-my-order", "four-two-seven-one"] {
            let caller = at_level(&speech(&format!("callers/{name}/{word}.wav")), -25.0);
            for (echo_db, label) in [(-100.0_f32, "none"), (-45.0, "-45"), (-35.0, "-35"), (-30.0, "-30")] {
                let gain = 10_f32.powf((echo_db + 20.0) / 20.0);
                let mut guard = Echo::new();
                let (mut loud, mut taken, mut first) = (0, 0, 0);
                let start = 24_000;
                for n in 0..echo.len() / FRAME {
                    let range = n * FRAME..(n + 1) * FRAME;
                    let near: Vec<i16> = range.clone().map(|i| {
                        let e = if i >= 1_440 { echo[i - 1_440] * gain } else { 0.0 };
                        let c = if i >= start { caller.get(i - start).copied().unwrap_or(0.0) } else { 0.0 };
                        mulaw::decode(mulaw::encode((e + c) as i16))
                    }).collect();
                    let own: f32 = range.clone().map(|i| if i >= start { caller.get(i - start).copied().unwrap_or(0.0).powi(2) } else { 0.0 }).sum();
                    guard.push(&near, &far[range]);
                    let active = energy(&near) > 160.0 * 100.0_f32.powi(2);
                    let judged = active && guard.is_heard();
                    if own > 160.0 * (32768.0_f32 * 10_f32.powf(-35.0 / 20.0)).powi(2) {
                        loud += 1;
                        taken += usize::from(judged);
                        if judged && taken == loud { first += 1; }
                    }
                }
                println!("{name} {word} echo {label}: {taken}/{loud} taken for echo, {first} at first, path {:?}", guard.path);
            }
        }
    }
}
