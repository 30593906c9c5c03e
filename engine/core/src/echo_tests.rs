use super::*;

/// Something like speech: noise through two slowly moving resonances, in syllables.
fn babble(seed: u64, len: usize, level: f32) -> Vec<i16> {
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut low, mut high) = ([0.0_f32; 2], [0.0_f32; 2]);
    let (mut f1, mut f2) = (500.0, 1_500.0);
    let mut out: Vec<f32> = Vec::with_capacity(len);
    for n in 0..len {
        if n % 800 == 0 {
            f1 = 250.0 + random.f32() * 600.0;
            f2 = 900.0 + random.f32() * 1_600.0;
        }
        let excitation = random.f32() * 2.0 - 1.0;
        let resonate = |memory: &mut [f32; 2], hz: f32| {
            let turn = 2.0 * 0.97 * (std::f32::consts::TAU * hz / 8_000.0).cos();
            let sample = excitation + turn * memory[0] - 0.94 * memory[1];
            *memory = [sample, memory[0]];
            sample
        };
        let syllable = (n as f32 / 8_000.0 * 4.0 * std::f32::consts::PI)
            .sin()
            .abs();
        out.push((resonate(&mut low, f1) + 0.5 * resonate(&mut high, f2)) * syllable);
    }
    let power: f32 = out.iter().map(|s| s * s).sum::<f32>() / len as f32;
    let scale = level / power.sqrt();
    out.iter()
        .map(|s| (s * scale).clamp(-32_000.0, 32_000.0) as i16)
        .collect()
}

/// How many frames of the line, of those that are not silent, are taken for the echo of `played`.
fn judged(line: &[i16], played: &[i16]) -> (usize, usize) {
    let mut echo = Echo::new();
    let (mut echoes, mut all) = (0, 0);
    for (near, far) in line.chunks_exact(FRAME).zip(played.chunks_exact(FRAME)) {
        echo.push(near, far);
        if energy(near) > 160.0 * 30.0 * 30.0 {
            all += 1;
            echoes += usize::from(echo.is_heard());
        }
    }
    (echoes, all)
}

fn delayed(samples: &[i16], delay: usize, gain: f32) -> Vec<i16> {
    let mut line = vec![0; delay];
    line.extend(samples.iter().map(|s| (f32::from(*s) * gain) as i16));
    line.truncate(samples.len());
    line
}

#[test]
fn an_echo_is_recognised_at_every_delay() {
    let played = babble(1, 24_000, 3_000.0);
    for delay in [0, 1, 320, 1_111, 4_000, 8_000] {
        let (echoes, all) = judged(&delayed(&played, delay, 0.1), &played);
        assert!(
            all > 50 && all - echoes <= 4,
            "{delay} samples: {echoes} of {all}"
        );
    }
}

#[test]
fn another_voice_is_no_echo() {
    let played = babble(1, 24_000, 3_000.0);
    for seed in 2..8 {
        let (echoes, all) = judged(&babble(seed, 24_000, 1_500.0), &played);
        assert!(all > 50 && echoes <= 1, "{echoes} of {all}");
    }
}

#[test]
fn a_line_that_gave_nothing_back_has_no_echo_whatever_it_sounds_like() {
    let tone = |n: usize| ((n as f32 * 0.35).sin() * 4_000.0) as i16;
    for played in [
        babble(1, 24_000, 3_000.0),
        (0..24_000).map(tone).collect::<Vec<_>>(),
    ] {
        // For two seconds the agent is not to be heard in the line; then comes a voice like its own.
        let mut line = delayed(&played, 320, 0.3);
        line[..16_000].fill(0);
        let mut echo = Echo::new();
        let frames = line.chunks_exact(FRAME).zip(played.chunks_exact(FRAME));
        let mut echoes = 0;
        for (near, far) in frames.take(115) {
            echo.push(near, far);
            let loud = energy(near) > 160.0 * 100.0 * 100.0;
            echoes += usize::from(loud && echo.is_heard());
        }
        assert_eq!(echoes, 0);
    }
}

#[test]
fn a_voice_over_the_echo_is_no_echo() {
    let played = babble(1, 48_000, 3_000.0);
    let mut line = delayed(&played, 1_440, 0.1);
    // As wide a spectrum as fricatives have; recorded voices: sidetone-speech's tests/echo.rs.
    let mut random = fastrand::Rng::with_seed(2);
    for sample in &mut line[24_000..] {
        *sample += random.i16(-6_000..6_000);
    }
    let mut echo = Echo::new();
    let (mut speech, mut echoes) = (0, 0);
    let frames = line.chunks_exact(FRAME).zip(played.chunks_exact(FRAME));
    for (n, (near, far)) in frames.enumerate() {
        echo.push(near, far);
        let loud = energy(near) > 160.0 * 1_600.0 * 1_600.0;
        let is_echo = echo.is_heard();
        if n >= 152 && loud {
            speech += 1;
            echoes += usize::from(is_echo);
        }
    }
    assert!(echoes * 10 <= speech, "{echoes} of {speech}");
    assert!(speech > 30, "{speech}");
    assert!(echo.is_known());
}

#[test]
fn while_nothing_was_played_nothing_is_judged() {
    let line = babble(2, 24_000, 1_500.0);
    assert_eq!(judged(&line, &vec![0; 24_000]).0, 0);
}

#[test]
fn audio_of_any_length_is_followed() {
    let played = babble(1, 24_000, 3_000.0);
    let line = delayed(&played, 1_000, 0.1);
    let mut echo = Echo::new();
    let mut at = 0;
    let mut echoes = 0;
    for len in [1, 7, 160, 320, 90, 33].into_iter().cycle() {
        if at + len > line.len() {
            break;
        }
        echo.push(&line[at..at + len], &played[at..at + len]);
        echoes += usize::from(echo.is_heard());
        at += len;
    }
    assert!(echoes > 200, "{echoes}");
}

#[test]
fn a_constant_or_clipped_line_is_survived() {
    for level in [i16::MIN, -1, 0, 1, i16::MAX] {
        let line = vec![level; 16_000];
        judged(&line, &line);
        judged(&line, &babble(1, 16_000, 20_000.0));
        judged(&babble(1, 16_000, 20_000.0), &line);
    }
}
