//! Language models.

use std::{fmt, sync::Arc, time::Duration};

use sidetone_core::job::{FailureKind, LlmEvent, LlmJob};

use super::{Act, Plan, Step, failure, scripted};
use crate::{
    job::{JobHandle, Sink, SinkClosed},
    llm::Llm,
    testing::Probe,
};

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

    /// Every word after the first comes this long after the one before it. Default: at once.
    #[must_use]
    pub fn between_words(mut self, delay: Duration) -> Self {
        self.between_words = delay;
        self
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

scripted!(FakeLlm, LlmJob, "llm");
