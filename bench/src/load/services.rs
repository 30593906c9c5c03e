//! Speech services that answer at once, so that what is measured is the engine.

use std::{sync::Arc, time::Duration};

use sidetone_codecs::{Resampler, SampleRate, wav};
use sidetone_core::job::{LlmEvent, LlmJob, SttEvent, SttJob, Transcript, TtsEvent, TtsJob};
use sidetone_speech::{JobHandle, Llm, Sink, Stt, Tts, stt::SttCapabilities};

/// What [`InstantStt`] hears.
pub const HEARD: &str = "where is my order";

/// What [`InstantLlm`] says: three sentences, about six seconds.
pub const ANSWER: &str = "Your order left the warehouse this morning. It is on its way to you now. \
                          You can expect it on Friday.";

/// Hears the same words in everything.
#[derive(Debug)]
pub struct InstantStt;

impl Stt for InstantStt {
    fn capabilities(&self) -> SttCapabilities {
        SttCapabilities::default()
    }

    fn start(&self, _job: SttJob, sink: Sink<SttEvent>) -> JobHandle {
        JobHandle::spawn(async move {
            let transcript = Transcript {
                text: HEARD.to_owned(),
                ..Transcript::default()
            };
            // Nobody listening means that the call is over.
            let _ = sink.send(SttEvent::Transcript(transcript)).await;
        })
    }
}

/// Says the same to everything.
#[derive(Debug)]
pub struct InstantLlm;

impl Llm for InstantLlm {
    fn start(&self, _job: LlmJob, sink: Sink<LlmEvent>) -> JobHandle {
        JobHandle::spawn(async move {
            let text = ANSWER.to_owned();
            if sink.send(LlmEvent::Delta { text }).await.is_ok() {
                let _ = sink.send(LlmEvent::Done { hang_up: false }).await;
            }
        })
    }
}

/// Speaks a recorded voice at 24 kHz over and over, 60 ms a character, handed over at once in pieces
/// of 100 ms. (A voice and not a tone: a caller's vowel is not unlike a tone, which the engine's
/// echo guard would have to tell apart.)
#[derive(Debug)]
pub struct InstantTts {
    pieces: Arc<[Vec<i16>]>,
}

impl InstantTts {
    const RATE: SampleRate = SampleRate::HZ_24000;
    const PIECE: Duration = Duration::from_millis(100);
    const VOICE: &[u8] = include_bytes!("../../../fixtures/callers/max/where-is-my-order.wav");

    /// One of the recorded callers.
    ///
    /// # Panics
    ///
    /// Never: the recording is part of the program.
    #[must_use]
    pub fn new() -> Self {
        let voice = wav::read(Self::VOICE).expect("the recording is a WAV file");
        let mut resampler =
            Resampler::new(voice.rate, Self::RATE).expect("both rates are supported");
        let mut samples = Vec::new();
        resampler.process(&voice.into_mono(), &mut samples);
        resampler.finish(&mut samples);
        let piece = Self::RATE.samples_in(Self::PIECE).0 as usize;
        Self {
            pieces: samples.chunks_exact(piece).map(<[i16]>::to_vec).collect(),
        }
    }

    /// The pieces of `text`.
    pub fn speak(&self, text: &str) -> impl Iterator<Item = TtsEvent> + use<> {
        let count = (text.chars().count() * 60).div_ceil(100);
        let pieces = Arc::clone(&self.pieces);
        (0..count).map(move |n| TtsEvent::Audio {
            samples: pieces[n % pieces.len()].clone(),
            rate: Self::RATE,
        })
    }
}

impl Default for InstantTts {
    fn default() -> Self {
        Self::new()
    }
}

impl Tts for InstantTts {
    fn start(&self, job: TtsJob, sink: Sink<TtsEvent>) -> JobHandle {
        let pieces = self.speak(&job.text);
        JobHandle::spawn(async move {
            for audio in pieces {
                if sink.send(audio).await.is_err() {
                    return;
                }
            }
            let _ = sink.send(TtsEvent::Done).await;
        })
    }
}
