//! Scripted fakes of the services.

use std::{fmt, sync::Arc, time::Duration};

use sidetone_codecs::SampleRate;
use sidetone_core::job::{
    FailureKind, JobFailure, LlmEvent, LlmJob, SttEvent, SttJob, Transcript, TtsEvent, TtsJob,
    TurnEvent, TurnJob,
};

use super::Probe;
use crate::{
    job::{JobHandle, Sink, SinkClosed},
    llm::Llm,
    stt::{Stt, SttCapabilities},
    tts::Tts,
    turn_detector::TurnDetector,
};

/// What a fake does with one job, after a delay.
#[derive(Clone, Debug)]
struct Step<A> {
    after: Duration,
    act: Act<A>,
}

#[derive(Clone, Debug)]
enum Act<A> {
    Answer(A),
    Fail(JobFailure),
    Hang,
}

/// One step for each job, in order; the last repeats.
#[derive(Clone, Debug)]
struct Plan<A>(Vec<Step<A>>);

impl<A: Clone> Plan<A> {
    fn push(&mut self, act: Act<A>) {
        let after = Duration::ZERO;
        self.0.push(Step { after, act });
    }

    fn delay_last(&mut self, after: Duration) {
        let last = self.0.last_mut();
        last.expect("a delay belongs to the step before it").after = after;
    }

    /// What to do with the job at `index`; `None`: whatever the fake does without a script.
    fn step(&self, index: usize) -> Option<Step<A>> {
        self.0.get(index).or(self.0.last()).cloned()
    }
}

fn failure(service: &str, kind: FailureKind) -> JobFailure {
    JobFailure::new(kind, format!("the fake {service} was told to fail"))
}

/// Speech recognition that hears what its script says, whatever the audio holds. Without a
/// script it hears no words.
#[derive(Clone, Debug)]
pub struct FakeStt {
    plan: Plan<Transcript>,
    capabilities: SttCapabilities,
    probe: Probe<SttJob>,
}

impl Default for FakeStt {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeStt {
    /// Hears no words in anything.
    #[must_use]
    pub fn new() -> Self {
        Self {
            plan: Plan(Vec::new()),
            capabilities: SttCapabilities {
                detects_language: false,
                partials: true,
            },
            probe: Probe::default(),
        }
    }

    /// The next job's transcript is `text`.
    #[must_use]
    pub fn hears(self, text: impl Into<String>) -> Self {
        self.transcribes(Transcript {
            text: text.into(),
            ..Transcript::default()
        })
    }

    /// The next job's transcript.
    #[must_use]
    pub fn transcribes(mut self, transcript: Transcript) -> Self {
        self.plan.push(Act::Answer(transcript));
        self
    }

    /// The next job fails.
    #[must_use]
    pub fn fails(mut self, kind: FailureKind) -> Self {
        self.plan.push(Act::Fail(failure("stt", kind)));
        self
    }

    /// The next job never ends by itself.
    #[must_use]
    pub fn hangs(mut self) -> Self {
        self.plan.push(Act::Hang);
        self
    }

    /// The step just added takes this long.
    ///
    /// # Panics
    ///
    /// If no step was added yet.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.plan.delay_last(delay);
        self
    }

    /// Says that partial transcripts are too expensive.
    #[must_use]
    pub fn without_partials(mut self) -> Self {
        self.capabilities.partials = false;
        self
    }

    /// What this fake sees.
    #[must_use]
    pub fn probe(&self) -> Probe<SttJob> {
        self.probe.clone()
    }
}

impl Stt for FakeStt {
    fn capabilities(&self) -> SttCapabilities {
        self.capabilities
    }

    fn start(&self, job: SttJob, sink: Sink<SttEvent>) -> JobHandle {
        let (index, running) = self.probe.start(job);
        let step = self.plan.step(index);
        JobHandle::spawn(async move {
            let act = match step {
                None => Act::Answer(Transcript::default()),
                Some(step) => {
                    tokio::time::sleep(step.after).await;
                    step.act
                }
            };
            let event = match act {
                Act::Answer(transcript) => SttEvent::Transcript(transcript),
                Act::Fail(failure) => SttEvent::Failed(failure),
                Act::Hang => return std::future::pending().await,
            };
            if sink.send(event).await.is_ok() {
                running.finish();
            }
        })
    }
}

/// Text, and how it ends.
#[derive(Clone, Debug)]
struct Answer {
    text: String,
    end: LlmEvent,
}

type Answering = Arc<dyn Fn(&LlmJob) -> String + Send + Sync>;

/// A language model that says what its script says, word by word. Without a script it says
/// "Okay."
#[derive(Clone)]
pub struct FakeLlm {
    plan: Plan<Answer>,
    otherwise: Answering,
    between_words: Duration,
    probe: Probe<LlmJob>,
}

impl fmt::Debug for FakeLlm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeLlm")
            .field("plan", &self.plan)
            .field("between_words", &self.between_words)
            .finish_non_exhaustive()
    }
}

impl Default for FakeLlm {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeLlm {
    /// Says "Okay." to everything.
    #[must_use]
    pub fn new() -> Self {
        Self::answering(|_| "Okay.".into())
    }

    /// Says whatever `answer` returns, in place of a script.
    #[must_use]
    pub fn answering(answer: impl Fn(&LlmJob) -> String + Send + Sync + 'static) -> Self {
        Self {
            plan: Plan(Vec::new()),
            otherwise: Arc::new(answer),
            between_words: Duration::ZERO,
            probe: Probe::default(),
        }
    }

    /// The next job's answer.
    #[must_use]
    pub fn says(self, text: impl Into<String>) -> Self {
        self.answers(text, LlmEvent::Done { hang_up: false })
    }

    /// The next job's answer, after which the call is to end.
    #[must_use]
    pub fn says_and_hangs_up(self, text: impl Into<String>) -> Self {
        self.answers(text, LlmEvent::Done { hang_up: true })
    }

    /// The next job fails after it has said `text`.
    #[must_use]
    pub fn breaks_off(self, text: impl Into<String>) -> Self {
        let failure = failure("llm", FailureKind::Unavailable);
        self.answers(text, LlmEvent::Failed(failure))
    }

    /// The next job fails without a word.
    #[must_use]
    pub fn fails(mut self, kind: FailureKind) -> Self {
        self.plan.push(Act::Fail(failure("llm", kind)));
        self
    }

    /// The next job never says anything.
    #[must_use]
    pub fn hangs(mut self) -> Self {
        self.plan.push(Act::Hang);
        self
    }

    /// The step just added begins this late.
    ///
    /// # Panics
    ///
    /// If no step was added yet.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.plan.delay_last(delay);
        self
    }

    /// Every word after the first comes this long after the one before it. Default: at once.
    #[must_use]
    pub fn between_words(mut self, delay: Duration) -> Self {
        self.between_words = delay;
        self
    }

    /// What this fake sees.
    #[must_use]
    pub fn probe(&self) -> Probe<LlmJob> {
        self.probe.clone()
    }

    fn answers(mut self, text: impl Into<String>, end: LlmEvent) -> Self {
        let text = text.into();
        self.plan.push(Act::Answer(Answer { text, end }));
        self
    }
}

impl Llm for FakeLlm {
    fn start(&self, job: LlmJob, sink: Sink<LlmEvent>) -> JobHandle {
        let (index, running) = self.probe.start(job.clone());
        let step = self.plan.step(index).unwrap_or_else(|| Step {
            after: Duration::ZERO,
            act: Act::Answer(Answer {
                text: (self.otherwise)(&job),
                end: LlmEvent::Done { hang_up: false },
            }),
        });
        let between_words = self.between_words;
        JobHandle::spawn(async move {
            tokio::time::sleep(step.after).await;
            let said = match step.act {
                Act::Answer(answer) => stream_words(answer, between_words, &sink).await,
                Act::Fail(failure) => sink.send(LlmEvent::Failed(failure)).await,
                Act::Hang => return std::future::pending().await,
            };
            if said.is_ok() {
                running.finish();
            }
        })
    }
}

async fn stream_words(
    answer: Answer,
    between_words: Duration,
    sink: &Sink<LlmEvent>,
) -> Result<(), SinkClosed> {
    for (index, word) in answer.text.split_inclusive(' ').enumerate() {
        if index > 0 {
            tokio::time::sleep(between_words).await;
        }
        let text = word.to_owned();
        sink.send(LlmEvent::Delta { text }).await?;
    }
    sink.send(answer.end).await
}

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

    /// The next job fails without a sound.
    #[must_use]
    pub fn fails(mut self, kind: FailureKind) -> Self {
        self.plan.push(Act::Fail(failure("tts", kind)));
        self
    }

    /// The next job never makes a sound.
    #[must_use]
    pub fn hangs(mut self) -> Self {
        self.plan.push(Act::Hang);
        self
    }

    /// The step just added begins this late.
    ///
    /// # Panics
    ///
    /// If no step was added yet.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.plan.delay_last(delay);
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

    /// What this fake sees.
    #[must_use]
    pub fn probe(&self) -> Probe<TtsJob> {
        self.probe.clone()
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
pub(super) fn tone(length: Duration, rate: SampleRate) -> Vec<i16> {
    let step = std::f64::consts::TAU * 440.0 / f64::from(rate.hz());
    (0..rate.samples_in(length).0)
        .map(|n| ((n as f64 * step).sin() * 8_191.0) as i16)
        .collect()
}

#[cfg(test)]
mod tests {
    use sidetone_core::job::{JobEvent, JobId, JobUpdate, SttPurpose};
    use tokio::sync::mpsc;

    use super::*;

    fn stt_job(id: u64) -> SttJob {
        SttJob {
            id: JobId(id),
            purpose: SttPurpose::Final,
            audio: Arc::from([0; 8]),
            rate: SampleRate::HZ_8000,
            language: None,
        }
    }

    async fn heard(stt: &FakeStt, id: u64) -> Vec<JobUpdate> {
        let (updates, mut news) = mpsc::channel(8);
        let _job = stt.start(stt_job(id), Sink::new(JobId(id), updates));
        let mut all = Vec::new();
        while let Some(update) = news.recv().await {
            all.push(update);
        }
        all
    }

    fn words(text: &str) -> JobEvent {
        JobEvent::Stt(SttEvent::Transcript(Transcript {
            text: text.into(),
            ..Transcript::default()
        }))
    }

    #[tokio::test(start_paused = true)]
    async fn steps_come_in_order_and_the_last_repeats() {
        let stt = FakeStt::new()
            .hears("one")
            .after(Duration::from_secs(3))
            .hears("two");
        let began = tokio::time::Instant::now();
        let first = heard(&stt, 1).await;
        assert_eq!(began.elapsed(), Duration::from_secs(3));
        assert_eq!(
            first,
            [JobUpdate {
                id: JobId(1),
                event: words("one")
            }]
        );
        for id in 2..4 {
            assert_eq!(heard(&stt, id).await[0].event, words("two"));
        }
        assert_eq!(stt.probe().jobs().len(), 3);
        assert_eq!(stt.probe().finished(), 3);
    }

    #[tokio::test]
    async fn a_dropped_handle_counts_as_cancelled() {
        let stt = FakeStt::new().hangs();
        let probe = stt.probe();
        let (updates, mut news) = mpsc::channel(8);
        let job = stt.start(stt_job(1), Sink::new(JobId(1), updates));
        probe.started(1).await;
        drop(job);
        assert_eq!(news.recv().await, None);
        assert_eq!((probe.cancelled(), probe.finished()), (1, 0));
    }

    #[test]
    fn a_tone_lasts_as_long_as_its_text() {
        let tts = FakeTts::new().rate(SampleRate::HZ_24000);
        assert_eq!(tts.sound_of("ten chars.").len(), 24_000 * 6 / 10);
    }
}

/// Turn detection that judges as its script says, whatever the audio holds. Without a script every
/// turn is complete.
#[derive(Clone, Debug)]
pub struct FakeTurnDetector {
    plan: Plan<f32>,
    probe: Probe<TurnJob>,
}

impl Default for FakeTurnDetector {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeTurnDetector {
    /// Takes every turn for complete.
    #[must_use]
    pub fn new() -> Self {
        Self {
            plan: Plan(Vec::new()),
            probe: Probe::default(),
        }
    }

    /// The next job's probability that the turn is complete.
    #[must_use]
    pub fn judges(mut self, probability: f32) -> Self {
        self.plan.push(Act::Answer(probability));
        self
    }

    /// The next job fails.
    #[must_use]
    pub fn fails(mut self, kind: FailureKind) -> Self {
        self.plan.push(Act::Fail(failure("turn detector", kind)));
        self
    }

    /// The next job never ends by itself.
    #[must_use]
    pub fn hangs(mut self) -> Self {
        self.plan.push(Act::Hang);
        self
    }

    /// The step just added takes this long.
    ///
    /// # Panics
    ///
    /// If no step was added yet.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.plan.delay_last(delay);
        self
    }

    /// What this fake sees.
    #[must_use]
    pub fn probe(&self) -> Probe<TurnJob> {
        self.probe.clone()
    }
}

impl TurnDetector for FakeTurnDetector {
    fn start(&self, job: TurnJob, sink: Sink<TurnEvent>) -> JobHandle {
        let (index, running) = self.probe.start(job);
        let step = self.plan.step(index);
        JobHandle::spawn(async move {
            let act = match step {
                None => Act::Answer(1.0),
                Some(step) => {
                    tokio::time::sleep(step.after).await;
                    step.act
                }
            };
            let event = match act {
                Act::Answer(probability) => TurnEvent::Complete { probability },
                Act::Fail(failure) => TurnEvent::Failed(failure),
                Act::Hang => return std::future::pending().await,
            };
            if sink.send(event).await.is_ok() {
                running.finish();
            }
        })
    }
}
