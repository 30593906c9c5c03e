//! Compares what happened with what was expected.

use sidetone_core::event::{CallError, CallEvent, LegFault};

use super::{file::Scenario, played::Played};

impl Scenario {
    /// What went wrong in `played`, one line each; empty: nothing.
    ///
    /// Besides what the scenario expects, this holds of every conversation: every act had its
    /// occasion; audio was never late; the leg had no fault to report; and no word of the agent's
    /// was heard twice or skipped.
    #[must_use]
    pub fn judge(&self, played: &Played) -> Vec<String> {
        let mut wrong = Vec::new();
        self.judge_acts(played, 0, &mut wrong);
        self.judge_whole(played, 0, &mut wrong);
        self.judge_always(played, &mut wrong);
        if played.underruns > 0 && !self.expect.underruns {
            wrong.push(format!("{} underruns", played.underruns));
        }
        wrong
    }

    /// The same for a conversation at real pace: every bound is `slack_ms` longer, and audio may
    /// have been late, since the machine may have had other things to do.
    #[must_use]
    pub fn judge_live(&self, played: &Played, slack_ms: u64) -> Vec<String> {
        let mut wrong = Vec::new();
        self.judge_acts(played, slack_ms, &mut wrong);
        self.judge_whole(played, slack_ms, &mut wrong);
        self.judge_always(played, &mut wrong);
        wrong
    }

    fn judge_acts(&self, played: &Played, slack_ms: u64, wrong: &mut Vec<String>) {
        for (n, act) in self.acts.iter().enumerate() {
            let Some(done) = played.acts.get(n) else {
                wrong.push(format!("act {}: there was no occasion for it", n + 1));
                continue;
            };
            let mut fail =
                |what: String| wrong.push(format!("act {} ({}): {what}", n + 1, done.what));
            let mut within = |what: &str, limit: Option<u64>, took: Option<u64>| match (limit, took)
            {
                (Some(limit), None) => fail(format!("never {what}, expected within {limit} ms")),
                (Some(limit), Some(took)) if took > limit + slack_ms => {
                    fail(format!(
                        "{what} after {took} ms, expected within {limit} ms"
                    ));
                }
                _ => {}
            };
            let expect = &act.expect;
            within(
                "answered",
                expect.answered_within_ms,
                played.answered_after(n),
            );
            within("cleared", expect.cleared_within_ms, played.cleared_after(n));
            within("resumed", expect.resumed_within_ms, played.resumed_after(n));
            if expect.waited_for && played.is_cut_off(n) {
                fail("cut off: the agent spoke before the next act was over".into());
            }
            if expect.not_interrupted
                && let Some(after) = played.cleared_after(n)
            {
                fail(format!("interrupted the agent after {after} ms"));
            }
        }
    }

    fn judge_whole(&self, played: &Played, slack_ms: u64, wrong: &mut Vec<String>) {
        let expect = &self.expect;
        if let Some(expected) = &expect.conversation {
            let lines = played.lines();
            let fits = |line: &String, expected: &String| match expected.strip_suffix('…') {
                Some(beginning) => line.starts_with(beginning),
                None => line == expected,
            };
            let all_fit = lines.iter().zip(expected).all(|(line, e)| fits(line, e));
            if lines.len() != expected.len() || !all_fit {
                wrong.push(format!(
                    "the conversation is {lines:#?}, expected {expected:#?}"
                ));
            }
        }
        let ended = played.ended.map(|(_, reason)| reason.to_string());
        if ended != expect.ended {
            wrong.push(format!("ended: {ended:?}, expected {:?}", expect.ended));
        }
        if let Some(clears) = expect.clears
            && clears != played.clears.len()
        {
            wrong.push(format!("{} clears, expected {clears}", played.clears.len()));
        }
        if let Some(limit) = expect.longest_wait_ms
            && played.longest_wait() > limit + slack_ms
        {
            let wait = played.longest_wait();
            wrong.push(format!(
                "the caller heard nothing for {wait} ms, expected {limit} at most"
            ));
        }
        let failed = |event: &CallEvent| {
            let failure = |error: &CallError| matches!(error, CallError::Service { .. });
            matches!(event, CallEvent::Error { error } if failure(error))
        };
        let failures = played
            .events
            .iter()
            .filter(|(_, event)| failed(event))
            .count();
        if failures != expect.failures {
            wrong.push(format!(
                "{failures} failures of services, expected {}",
                expect.failures
            ));
        }
    }

    fn judge_always(&self, played: &Played, wrong: &mut Vec<String>) {
        for (_, event) in &played.events {
            if let CallEvent::Error {
                error: CallError::Leg { fault, detail },
            } = event
                && !(*fault == LegFault::LostMark && self.line.loses_marks)
            {
                wrong.push(format!("a fault of the leg: {detail}"));
            }
        }
        let (repeated, lost) = played.repeated_and_lost();
        if !repeated.is_empty() {
            let words: Vec<&str> = repeated.iter().map(|word| word.word.as_str()).collect();
            wrong.push(format!("the caller heard twice: {words:?}"));
        }
        if !lost.is_empty() {
            wrong.push(format!("the caller never heard: {lost:?}"));
        }
    }
}
