//! What one frame costs each voice activity detector, and the noise suppressor before it.

use std::hint::black_box;

use std::time::Duration;

use sidetone_codecs::SampleCount;
use sidetone_core::suppression::NoiseSuppressor as _;
use sidetone_speech::{
    noise_suppression::Rnnoise,
    vad::{VadMaker, VadProvider},
};

use crate::{
    audio::buzz,
    stage::{Pace, Stage, Stages},
};

#[expect(clippy::print_stdout, reason = "a bench reports")]
pub(crate) fn time(stages: &mut Stages) {
    for provider in VadProvider::ALL {
        match provider.load() {
            Ok(make) => frame(stages, &provider.to_string(), &make),
            Err(missing) => {
                let cause = std::error::Error::source(&missing).map(ToString::to_string);
                let cause = cause.unwrap_or_default();
                println!("vad/{provider}: skipped, {missing}: {cause}");
            }
        }
    }
}

/// A frame of 10 ms at 48 kHz.
pub(crate) fn time_suppression(stages: &mut Stages) {
    let suppressor = Rnnoise::new();
    let (rate, frame_len) = (suppressor.rate(), suppressor.frame_len());
    let second = buzz(rate, Duration::from_secs(1));
    let mut frames = second.chunks_exact(frame_len).cycle();
    let stage = Stage {
        group: "noise suppression",
        name: "rnnoise",
        iteration: "one frame of the suppressor",
        audio: Some(SampleCount(frame_len as u64).duration(rate)),
        pace: Pace::Fast,
    };
    stages.time(stage, Rnnoise::new, |suppressor| {
        let mut frame = [0; 480];
        frame.copy_from_slice(frames.next().expect("the cycle never ends"));
        suppressor.suppress(black_box(&mut frame));
        frame
    });
}

fn frame(stages: &mut Stages, name: &str, make: &VadMaker) {
    let vad = make();
    let (rate, frame_len) = (vad.rate(), vad.frame_len());
    // The cost hardly depends on what is heard.
    let second = buzz(rate, Duration::from_secs(1));
    let mut frames = second.chunks_exact(frame_len).cycle();
    let stage = Stage {
        group: "vad",
        name,
        iteration: "one frame of the detector",
        audio: Some(SampleCount(frame_len as u64).duration(rate)),
        pace: Pace::Fast,
    };
    stages.time(stage, make, |vad| {
        vad.push(black_box(frames.next().expect("the cycle never ends")))
    });
}
