//! What one frame costs each voice activity detector.

use std::hint::black_box;

use std::time::Duration;

use sidetone_codecs::SampleCount;
use sidetone_speech::vad::{VadMaker, VadProvider};

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
