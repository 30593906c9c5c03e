//! The final transcripts that are on their way, in the order of their turns.

use std::collections::VecDeque;

use crate::{event::TurnId, job::JobId, latency::Latency, person::PersonId, time::CallTime};

/// Every turn that ended and whose words are not part of the conversation yet. A transcript that
/// overtakes an older one waits for it.
#[derive(Debug, Default)]
pub(crate) struct Transcripts {
    finals: VecDeque<Final>,
}

#[derive(Debug)]
struct Final {
    speaker: Speaker,
    job: JobId,
    turn: TurnId,
    asked: CallTime,
    latency: Latency,
    result: Option<Outcome>,
}

/// Whose turn it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Speaker {
    Caller,
    /// A person, who may have left since.
    Person {
        id: PersonId,
        name: String,
    },
}

/// What became of a turn's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// They were understood; empty: there were none.
    Words(String),
    /// Recognition failed.
    Lost,
}

impl Transcripts {
    /// The words of `turn`, of the caller, were asked for.
    pub(crate) fn ask(&mut self, job: JobId, turn: TurnId, asked: CallTime, latency: Latency) {
        self.ask_of(Speaker::Caller, job, turn, asked, latency);
    }

    /// The words of `speaker`'s `turn` were asked for.
    pub(crate) fn ask_of(
        &mut self,
        speaker: Speaker,
        job: JobId,
        turn: TurnId,
        asked: CallTime,
        latency: Latency,
    ) {
        self.finals.push_back(Final {
            speaker,
            job,
            turn,
            asked,
            latency,
            result: None,
        });
    }

    /// The result of `job` came at `now`; `false` if nobody waits for it.
    pub(crate) fn answer(&mut self, now: CallTime, job: JobId, outcome: Outcome) -> bool {
        let waiting = self
            .finals
            .iter_mut()
            .find(|f| f.job == job && f.result.is_none());
        let Some(waiting) = waiting else { return false };
        waiting.latency.transcript(now);
        waiting.result = Some(outcome);
        true
    }

    /// The oldest turn, once its result is there.
    pub(crate) fn next_ready(&mut self) -> Option<(Speaker, TurnId, Outcome, Latency)> {
        self.finals.front()?.result.as_ref()?;
        let ready = self.finals.pop_front()?;
        Some((ready.speaker, ready.turn, ready.result?, ready.latency))
    }

    /// Whether the result of `turn` is there.
    pub(crate) fn knows(&self, turn: TurnId) -> bool {
        let mut finals = self.finals.iter();
        finals.any(|f| f.turn == turn && f.result.is_some())
    }

    /// The caller's turns whose words are on their way.
    pub(crate) fn turns(&self) -> impl Iterator<Item = TurnId> + '_ {
        let callers = self.finals.iter().filter(|f| f.speaker == Speaker::Caller);
        callers.map(|f| f.turn)
    }

    /// `job` recognises what the caller said.
    pub(crate) fn is_callers(&self, job: JobId) -> bool {
        let mut finals = self.finals.iter();
        finals.any(|f| f.job == job && f.speaker == Speaker::Caller)
    }

    /// No words are on their way.
    pub(crate) fn is_empty(&self) -> bool {
        self.finals.is_empty()
    }

    /// The oldest unanswered job and when it was asked for.
    pub(crate) fn oldest_unanswered(&self) -> Option<(JobId, CallTime)> {
        self.finals
            .iter()
            .find(|f| f.result.is_none())
            .map(|f| (f.job, f.asked))
    }

    /// Forgets all; returns the jobs that are still running.
    pub(crate) fn abandon(&mut self) -> impl Iterator<Item = JobId> + '_ {
        self.finals
            .drain(..)
            .filter(|f| f.result.is_none())
            .map(|f| f.job)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(turns: u32) -> Transcripts {
        let mut transcripts = Transcripts::default();
        for n in 0..turns {
            let latency = Latency::new(TurnId(n), CallTime::ZERO, CallTime::ZERO);
            transcripts.ask(JobId(n.into()), TurnId(n), CallTime::ZERO, latency);
        }
        transcripts
    }

    fn words(text: &str) -> Outcome {
        Outcome::Words(text.to_owned())
    }

    #[test]
    fn words_keep_the_order_of_the_turns() {
        let mut transcripts = asked(2);
        assert!(transcripts.answer(CallTime::ZERO, JobId(1), words("two")));
        assert_eq!(transcripts.next_ready(), None, "one is not there yet");
        assert!(transcripts.answer(CallTime::ZERO, JobId(0), words("one")));
        let order: Vec<_> = std::iter::from_fn(|| transcripts.next_ready())
            .map(|(_, _, words, _)| words)
            .collect();
        assert_eq!(order, [words("one"), words("two")]);
        assert!(transcripts.is_empty());
    }

    #[test]
    fn a_second_answer_changes_nothing() {
        let mut transcripts = asked(1);
        assert!(transcripts.answer(CallTime::ZERO, JobId(0), Outcome::Lost));
        assert!(!transcripts.answer(CallTime::ZERO, JobId(0), words("late")));
        assert!(!transcripts.answer(CallTime::ZERO, JobId(9), words("foreign")));
        assert_eq!(transcripts.oldest_unanswered(), None);
        assert_eq!(
            transcripts.next_ready().map(|(_, _, outcome, _)| outcome),
            Some(Outcome::Lost)
        );
    }
}
