//! An agent that speaks in a tone, at once, and as long as it is asked to.

use std::{f64::consts::TAU, sync::Arc};

use sidetone::{BuildError, Engine};
use sidetone_bench::load::services::InstantStt;
use sidetone_codecs::SampleRate;
use sidetone_core::{
    config::CallConfig,
    job::{LlmEvent, LlmJob, TtsEvent, TtsJob},
};
use sidetone_speech::{JobHandle, Llm, Sink, Tts, vad::EarshotVad};

use crate::ear::{AMPLITUDE, Voice};

/// An engine whose agent's sentences are `sentence_ms` long. It greets if they are long: it is to be found
/// speaking then.
pub(crate) fn engine(sentence_ms: u32) -> Result<Engine, BuildError> {
    let mut config = CallConfig::default();
    config.idle.prompt_after_ms = 0;
    if sentence_ms >= LONG_MS {
        config.agent.greeting = SENTENCE.into();
    }
    Engine::builder()
        .stt(Arc::new(InstantStt))
        .llm(Arc::new(OneSentence))
        .tts(Arc::new(ToneTts { sentence_ms }))
        .vad(|| Box::new(EarshotVad::new()))
        .config(config)
        .build()
}

const LONG_MS: u32 = 5_000;
const SENTENCE: &str = "I am with you again.";

struct OneSentence;

impl Llm for OneSentence {
    fn start(&self, _: LlmJob, sink: Sink<LlmEvent>) -> JobHandle {
        JobHandle::spawn(async move {
            let text = SENTENCE.to_owned();
            if sink.send(LlmEvent::Delta { text }).await.is_ok() {
                let _ = sink.send(LlmEvent::Done { hang_up: false }).await;
            }
        })
    }
}

struct ToneTts {
    sentence_ms: u32,
}

impl ToneTts {
    const RATE: SampleRate = SampleRate::HZ_24000;
    const PIECE_MS: u32 = 100;
}

impl Tts for ToneTts {
    fn start(&self, _: TtsJob, sink: Sink<TtsEvent>) -> JobHandle {
        let pieces = self.sentence_ms.div_ceil(Self::PIECE_MS);
        JobHandle::spawn(async move {
            // Whole periods.
            let len = Self::RATE.hz() * Self::PIECE_MS / 1_000;
            let step = TAU * f64::from(Voice::Agent.hz()) / f64::from(Self::RATE.hz());
            let piece = (0..len).map(|n| ((f64::from(n) * step).sin() * AMPLITUDE) as i16);
            let samples: Vec<i16> = piece.collect();
            for _ in 0..pieces {
                let audio = TtsEvent::Audio {
                    samples: samples.clone(),
                    rate: Self::RATE,
                };
                if sink.send(audio).await.is_err() {
                    return;
                }
            }
            let _ = sink.send(TtsEvent::Done).await;
        })
    }
}
