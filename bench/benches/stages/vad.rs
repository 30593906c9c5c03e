//! What one frame costs each voice activity detector.

use std::hint::black_box;

use std::time::Duration;

use sidetone_codecs::SampleCount;
use sidetone_speech::vad::VadProvider;

use crate::{
    audio::buzz,
    stage::{Pace, Stage, Stages},
};

pub(crate) fn time(stages: &mut Stages) {
    for provider in VadProvider::ALL {
        let name = provider.to_string();
        let (rate, frame_len) = {
            let vad = provider.build();
            (vad.rate(), vad.frame_len())
        };
        let frame = SampleCount(frame_len as u64).duration(rate);
        // The cost hardly depends on what is heard.
        let second = buzz(rate, Duration::from_secs(1));
        let mut frames = second.chunks_exact(frame_len).cycle();
        let stage = Stage {
            group: "vad",
            name: &name,
            iteration: "one frame of the detector",
            audio: Some(frame),
            pace: Pace::Fast,
        };
        stages.time(
            stage,
            || provider.build(),
            |vad| vad.push(black_box(frames.next().expect("the cycle never ends"))),
        );
    }
}
