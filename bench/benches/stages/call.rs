//! What 20 ms cost a call, from the socket's bytes to the next deadline; what an answer costs; and
//! that a frame allocates nothing.

use std::{sync::Arc, time::Duration};

use sidetone_bench::load::talk;
use sidetone_cli::phone::Script;
use sidetone_codecs::SampleRate;
use sidetone_core::{call::Call, config::CallConfig, vad::Vad};
use sidetone_speech::{noise_suppression::Rnnoise, vad::EarshotVad};

use crate::{
    audio::{FRAME, fixtures},
    conversation::{Conversation, Cost},
    stage::{Pace, Stage, Stages},
};

/// The stage of a whole frame of a call that listens.
pub(crate) const LISTENING: (&str, &str) = ("call", "frame, listening");

/// How many rounds of question and interruption a conversation has.
const ROUNDS: usize = 4;

/// Times the stages; says how long each answer took, if answers were among them.
pub(crate) fn time(stages: &mut Stages) -> Vec<Duration> {
    let frame = |name, iteration| Stage {
        group: LISTENING.0,
        name,
        iteration,
        audio: Some(FRAME),
        pace: Pace::Fast,
    };
    type Setup = fn() -> Conversation;
    type Share = fn(Cost) -> Duration;
    let stages_of_a_frame: [(&str, &str, Setup, Share); 5] = [
        (
            "turn",
            "20 ms of noise: ingress, resampler, turn",
            || Conversation::new(listener(), || call(PeakVad)),
            |cost| cost.steps,
        ),
        (
            "step",
            "the same and the detector: Call::step",
            listening,
            |cost| cost.steps,
        ),
        (
            LISTENING.1,
            "the same and the dialect: a whole frame",
            listening,
            |cost| cost.time(),
        ),
        (
            "frame, suppressing noise",
            "the same and RNNoise before the detector",
            suppressing_noise,
            |cost| cost.time(),
        ),
        (
            "frame, talking",
            "20 ms of a conversation, all of the engine",
            talking,
            |cost| cost.time(),
        ),
    ];
    for (name, iteration, setup, share) in stages_of_a_frame {
        stages.time_by(frame(name, iteration), setup, |conversation, frames| {
            (0..frames).map(|_| share(conversation.frame())).sum()
        });
    }
    let mut answers = Vec::new();
    let stage = Stage {
        group: "call",
        name: "answer",
        iteration: "end of turn decided → first audio written",
        audio: None,
        pace: Pace::Fast,
    };
    stages.time_by(stage, talking, |conversation, turns| {
        let taken = (0..turns).map(|_| conversation.answer());
        let taken: Vec<Duration> = taken.collect();
        answers.extend_from_slice(&taken);
        taken.iter().sum()
    });
    answers
}

/// How often `frames` frames of a listening call allocate, with noise suppression and without, after
/// a second to warm up.
pub(crate) fn allocations(frames: u32) -> u64 {
    let calls = [listening(), suppressing_noise()];
    let of_a_call = |mut conversation: Conversation| -> u64 {
        for _ in 0..50 {
            conversation.frame();
        }
        (0..frames).map(|_| conversation.frame().allocations).sum()
    };
    calls.into_iter().map(of_a_call).sum()
}

fn listening() -> Conversation {
    Conversation::new(listener(), || call(EarshotVad::new()))
}

fn suppressing_noise() -> Conversation {
    Conversation::new(listener(), || {
        call(EarshotVad::new()).suppressing_noise(Box::new(Rnnoise::new()))
    })
}

/// A call with the engine's defaults.
fn call(detector: impl Vad + 'static) -> Call {
    Call::new(Arc::new(CallConfig::default()), Box::new(detector))
}

/// The load generator's callers, without its sockets.
fn talking() -> Conversation {
    let script = talk::script(&fixtures(), ROUNDS).expect("the fixtures are in the repository");
    Conversation::new(script, || call(EarshotVad::new()))
}

/// A caller who says nothing for an hour, in a quiet room.
fn listener() -> Arc<Script> {
    let hour = Duration::from_secs(3_600);
    Arc::new(Script {
        linger: hour,
        max_call: hour,
        ..Script::new(Vec::new())
    })
}

/// Takes anything loud for speech: a detector that costs next to nothing, so that what is left of
/// a step can be seen.
struct PeakVad;

impl Vad for PeakVad {
    fn rate(&self) -> SampleRate {
        SampleRate::HZ_16000
    }

    fn frame_len(&self) -> usize {
        256
    }

    fn push(&mut self, frame: &[i16]) -> f32 {
        f32::from(u8::from(
            frame.iter().any(|sample| sample.unsigned_abs() > 1_000),
        ))
    }

    fn reset(&mut self) {}
}
