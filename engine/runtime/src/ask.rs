//! Asking the language model something beside a call.

use std::{sync::Arc, time::Duration};

use sidetone_core::{
    conversation::Message,
    job::{FailureKind, JobEvent, JobFailure, JobId, LlmEvent, LlmJob},
};
use sidetone_speech::{Llm, Sink};
use thiserror::Error;
use tokio::{sync::mpsc, time::timeout};

/// How many pieces of an answer may wait.
const PIECES: usize = 16;

/// Why there is no answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AskError {
    /// The language model only knows its lines: see
    /// [`Llm::follows_instructions`](sidetone_speech::Llm::follows_instructions).
    #[error("the language model does not do what it is told")]
    Scripted,
    /// The language model failed.
    #[error("the language model failed: {}", .0.detail)]
    Failed(JobFailure),
    /// The answer was not complete in time.
    #[error("the language model had no whole answer within {} ms", patience.as_millis())]
    TooLate {
        /// How long it was waited for.
        patience: Duration,
    },
    /// The answer is longer than was allowed.
    #[error("the language model's answer is longer than {longest} bytes")]
    TooLong {
        /// What was allowed.
        longest: usize,
    },
}

/// A question to the language model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What it is told, oldest first.
    pub messages: Vec<Message>,
    /// The language to answer in, as an ISO 639-1 code.
    pub language: String,
    /// How long the whole answer may take.
    pub patience: Duration,
    /// How long the answer may be, in bytes.
    pub longest: usize,
}

/// Asks, and waits for the whole answer. Whoever waits no longer ends the job.
pub(crate) async fn ask(llm: &Arc<dyn Llm>, question: Question) -> Result<String, AskError> {
    if !llm.follows_instructions() {
        return Err(AskError::Scripted);
    }
    let Question {
        messages,
        language,
        patience,
        longest,
    } = question;
    let id = JobId(0);
    let (sender, mut updates) = mpsc::channel(PIECES);
    let job = LlmJob {
        id,
        messages: messages.into(),
        language,
        eager: false,
    };
    let _running = llm.start(job, Sink::new(id, sender));
    let answer = async {
        let mut answer = String::new();
        while let Some(update) = updates.recv().await {
            match update.event {
                JobEvent::Llm(LlmEvent::Delta { text }) => {
                    if answer.len() + text.len() > longest {
                        return Err(AskError::TooLong { longest });
                    }
                    answer.push_str(&text);
                }
                JobEvent::Llm(LlmEvent::Done { .. }) => return Ok(answer),
                JobEvent::Llm(LlmEvent::Failed(failure)) => return Err(AskError::Failed(failure)),
                _ => {}
            }
        }
        Err(AskError::Failed(JobFailure::new(
            FailureKind::Unavailable,
            "it ended without a word",
        )))
    };
    match timeout(patience, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(AskError::TooLate { patience }),
    }
}

#[cfg(test)]
mod tests {
    use sidetone_core::conversation::Role;
    use sidetone_speech::{
        llm::{Script, ScriptLlm},
        testing::FakeLlm,
    };

    use super::*;

    async fn answer(llm: impl Llm + 'static) -> Result<String, AskError> {
        let question = Question {
            messages: vec![Message::new(Role::Caller, "What was said?")],
            language: "en".into(),
            patience: Duration::from_secs(3),
            longest: 40,
        };
        ask(&(Arc::new(llm) as Arc<dyn Llm>), question).await
    }

    #[tokio::test(start_paused = true)]
    async fn the_whole_answer_is_waited_for() {
        let llm = FakeLlm::new()
            .says("They want a refund.")
            .between_words(Duration::from_millis(500));
        let told = llm.probe();
        assert_eq!(answer(llm).await.unwrap(), "They want a refund.");
        assert_eq!(told.jobs()[0].messages[0].text, "What was said?");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_late_long_or_broken_off_is_none() {
        let late = FakeLlm::new()
            .says("They want a refund for it.")
            .between_words(Duration::from_secs(1));
        let error = answer(late).await.unwrap_err();
        assert!(matches!(error, AskError::TooLate { .. }), "{error:?}");

        let long = FakeLlm::new().says("and on ".repeat(10));
        let error = answer(long).await.unwrap_err();
        assert!(
            matches!(error, AskError::TooLong { longest: 40 }),
            "{error:?}"
        );

        let error = answer(FakeLlm::new().breaks_off("They")).await.unwrap_err();
        let AskError::Failed(failure) = error else {
            panic!("{error:?}");
        };
        assert_eq!(failure.kind, FailureKind::Unavailable);
    }

    #[tokio::test]
    async fn a_script_is_not_asked() {
        let script = Script::parse(
            "start = \"open\"\nopening = \"Hello.\"\notherwise = \"Okay.\"\n[states.open]\n",
        )
        .unwrap();
        let error = answer(ScriptLlm::new(script)).await.unwrap_err();
        assert!(matches!(error, AskError::Scripted), "{error:?}");
    }
}
