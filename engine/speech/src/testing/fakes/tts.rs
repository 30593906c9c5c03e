//! Speech synthesis.

use std::time::Duration;

use sidetone_codecs::SampleRate;
use sidetone_core::job::{FailureKind, TtsEvent, TtsJob};

use super::{Act, Plan, Step, failure, scripted};
use crate::{
    job::{JobHandle, Sink, SinkClosed},
    testing::Probe,
    tts::Tts,
};

/// How much of a sentence is spoken before the job ends.
#[derive(Clone, Copy, Debug)]
enum Speech {
    Whole,
    BreaksOff(Duration),
}

/// Speech synthesis that speaks a tone, as long as the text would take. Without a script it
/// speaks everything.
#[derive(Clone, Debug)]
pub struct FakeTts {
    plan: Plan<Speech>,
    rate: SampleRate,
    per_char: Duration,
    between_chunks: Duration,
    probe: Probe<TtsJob>,
}

impl Default for FakeTts {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeTts {
    /// How much audio one `TtsEvent::Audio` carries.
    pub const CHUNK: Duration = Duration::from_millis(100);

    /// Speaks everything, at 8 kHz and 60 ms a character.
    #[must_use]
    pub fn new() -> Self {
        Self {
            plan: Plan(Vec::new()),
            rate: SampleRate::HZ_8000,
            per_char: Duration::from_millis(60),
            between_chunks: Duration::ZERO,
            probe: Probe::default(),
        }
    }

    /// The next job is spoken.
    #[must_use]
    pub fn speaks(mut self) -> Self {
        self.plan.push(Act::Answer(Speech::Whole));
        self
    }

    /// The next job fails after this much audio.
    #[must_use]
    pub fn breaks_off(mut self, spoken: Duration) -> Self {
        self.plan.push(Act::Answer(Speech::BreaksOff(spoken)));
        self
    }

    /// Speaks at this rate.
    #[must_use]
    pub fn rate(mut self, rate: SampleRate) -> Self {
        self.rate = rate;
        self
    }

    /// Speaks each character this long.
    #[must_use]
    pub fn per_char(mut self, length: Duration) -> Self {
        self.per_char = length;
        self
    }

    /// Every chunk after the first comes this long after the one before it. Default: at once.
    #[must_use]
    pub fn between_chunks(mut self, delay: Duration) -> Self {
        self.between_chunks = delay;
        self
    }

    /// How long `text` takes to say.
    #[must_use]
    pub fn length_of(&self, text: &str) -> Duration {
        let chars = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        self.per_char.saturating_mul(chars)
    }

    /// What `text` sounds like: a tone of 440 Hz at a quarter of full scale, mono PCM.
    #[must_use]
    pub fn sound_of(&self, text: &str) -> Vec<i16> {
        tone(self.length_of(text), self.rate)
    }
}

impl Tts for FakeTts {
    fn start(&self, job: TtsJob, sink: Sink<TtsEvent>) -> JobHandle {
        let whole = self.length_of(&job.text);
        let (index, running) = self.probe.start(job);
        let step = self.plan.step(index).unwrap_or(Step {
            after: Duration::ZERO,
            act: Act::Answer(Speech::Whole),
        });
        let (rate, between_chunks) = (self.rate, self.between_chunks);
        JobHandle::spawn(async move {
            tokio::time::sleep(step.after).await;
            let (spoken, end) = match step.act {
                Act::Answer(Speech::Whole) => (whole, TtsEvent::Done),
                Act::Answer(Speech::BreaksOff(spoken)) => {
                    let failure = failure("tts", FailureKind::Unavailable);
                    (spoken.min(whole), TtsEvent::Failed(failure))
                }
                Act::Fail(failure) => (Duration::ZERO, TtsEvent::Failed(failure)),
                Act::Hang => return std::future::pending().await,
            };
            let audio = tone(spoken, rate);
            if stream_audio(&audio, rate, between_chunks, end, &sink)
                .await
                .is_ok()
            {
                running.finish();
            }
        })
    }
}

scripted!(FakeTts, TtsJob, "tts");

async fn stream_audio(
    audio: &[i16],
    rate: SampleRate,
    between_chunks: Duration,
    end: TtsEvent,
    sink: &Sink<TtsEvent>,
) -> Result<(), SinkClosed> {
    let chunk = usize::try_from(rate.samples_in(FakeTts::CHUNK).0).unwrap_or(usize::MAX);
    for (index, samples) in audio.chunks(chunk.max(1)).enumerate() {
        if index > 0 {
            tokio::time::sleep(between_chunks).await;
        }
        let samples = samples.to_vec();
        sink.send(TtsEvent::Audio { samples, rate }).await?;
    }
    sink.send(end).await
}

/// 440 Hz at a quarter of full scale.
pub(in crate::testing) fn tone(length: Duration, rate: SampleRate) -> Vec<i16> {
    let step = std::f64::consts::TAU * 440.0 / f64::from(rate.hz());
    (0..rate.samples_in(length).0)
        .map(|n| ((n as f64 * step).sin() * 8_191.0) as i16)
        .collect()
}
