//! Scripted fakes of the services, one a file, and what they share: the script.

mod llm;
mod stt;
mod tts;
mod turn_detector;

use std::time::Duration;

use sidetone_core::job::{FailureKind, JobEvent, JobFailure};

use super::Probe;
use crate::job::{JobHandle, Sink};

pub(super) use self::tts::tone;
pub use self::{llm::FakeLlm, stt::FakeStt, tts::FakeTts, turn_detector::FakeTurnDetector};

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

/// The methods of every fake that has a `plan` and a `probe`.
macro_rules! scripted {
    ($fake:ty, $job:ty, $service:literal) => {
        impl $fake {
            /// The next job fails, without any result.
            #[must_use]
            pub fn fails(mut self, kind: FailureKind) -> Self {
                let failure = $crate::testing::fakes::failure($service, kind);
                self.plan.push(Act::Fail(failure));
                self
            }

            /// The next job has no result, and never ends by itself.
            #[must_use]
            pub fn hangs(mut self) -> Self {
                self.plan.push(Act::Hang);
                self
            }

            /// The step just added has its first result this late.
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
            pub fn probe(&self) -> Probe<$job> {
                self.probe.clone()
            }
        }
    };
}
use scripted;

fn failure(service: &str, kind: FailureKind) -> JobFailure {
    JobFailure::new(kind, format!("the fake {service} was told to fail"))
}

/// Starts a job that has one answer: what the `plan` has for it, or `otherwise`.
fn answer_once<A, J, E>(
    plan: &Plan<A>,
    probe: &Probe<J>,
    job: J,
    sink: Sink<E>,
    otherwise: A,
    answered: fn(A) -> E,
) -> JobHandle
where
    A: Clone + Send + 'static,
    J: Clone + Send + 'static,
    E: Into<JobEvent> + From<JobFailure> + Send + 'static,
{
    let (index, running) = probe.start(job);
    let step = plan.step(index);
    JobHandle::spawn(async move {
        let act = match step {
            None => Act::Answer(otherwise),
            Some(step) => {
                tokio::time::sleep(step.after).await;
                step.act
            }
        };
        let event = match act {
            Act::Answer(answer) => answered(answer),
            Act::Fail(failure) => failure.into(),
            Act::Hang => return std::future::pending().await,
        };
        if sink.send(event).await.is_ok() {
            running.finish();
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sidetone_codecs::SampleRate;
    use sidetone_core::job::{JobId, JobUpdate, SttEvent, SttJob, SttPurpose, Transcript};
    use tokio::sync::mpsc;

    use super::*;
    use crate::stt::Stt as _;

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
