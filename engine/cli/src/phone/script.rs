//! What the caller says, and when: a state machine that is told the time.
//!
//! [`Script`] is the plan and is shared by any number of calls; [`Caller`] is one call's place in
//! it. The caller knows only what a person with a phone at the ear knows: when the agent's voice
//! begins and when it stops.

use std::{ops::Range, sync::Arc, time::Duration};

use serde::Deserialize;
use sidetone_core::time::CallTime;

use super::audio::{Background, speech_span};

/// A caller's whole part of a conversation.
#[derive(Clone, Debug)]
pub struct Script {
    /// What is said, in order.
    pub lines: Vec<Line>,
    /// What the microphone picks up while the caller says nothing.
    pub background: Background,
    /// A turn that gets no answer within this time is unanswered. Default: 10 s.
    pub max_wait: Duration,
    /// The caller hangs up when the last answer has been over for this long; time for the agent
    /// to hang up first. Default: 3 s.
    pub linger: Duration,
    /// The caller hangs up after this long, come what may. Default: 3 min.
    pub max_call: Duration,
}

impl Script {
    /// These lines, with the default patience and a quiet room.
    #[must_use]
    pub fn new(lines: Vec<Line>) -> Self {
        Self {
            lines,
            background: Background::default(),
            max_wait: Duration::from_secs(10),
            linger: Duration::from_secs(3),
            max_call: Duration::from_secs(180),
        }
    }
}

/// Something the caller says without a break.
#[derive(Clone, Debug)]
pub struct Line {
    /// The words, or a name for them: only shown.
    pub text: String,
    /// How it sounds: mono 16-bit PCM at 8 kHz.
    pub audio: Arc<[i16]>,
    /// Where in `audio` there is speech, in samples.
    pub speech: Range<usize>,
    /// When it is said.
    pub when: When,
    /// What the agent should do about it.
    pub expect: Expect,
    /// The answer must be heard this soon after the end of speech to pass.
    pub within: Option<Duration>,
}

impl Line {
    /// A line that expects an answer in any time.
    #[must_use]
    pub fn new(text: impl Into<String>, audio: Arc<[i16]>, when: When) -> Self {
        Self {
            text: text.into(),
            speech: speech_span(&audio),
            audio,
            when,
            expect: Expect::Answer,
            within: None,
        }
    }
}

/// When a line is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// This long after the previous line, or the start of the call, whatever the agent does.
    PauseMs(u32),
    /// When the agent has spoken and has then been silent for this long. For the first line: after
    /// the greeting.
    AgentSilenceMs(u32),
    /// This long after the agent began to answer: an interruption.
    InterruptAfterMs(u32),
}

/// What the agent should do about a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// Answer it; and if it was said over the agent's voice, fall silent for it.
    #[default]
    Answer,
    /// Nothing: go on speaking, or stay silent (a cough, an "mm-hm").
    Ignore,
}

/// What the caller does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cue {
    /// Says the line with this index.
    Speak(usize),
    /// Puts the phone down.
    HangUp,
}

/// One call's place in a [`Script`].
#[derive(Debug)]
pub struct Caller {
    script: Arc<Script>,
    state: State,
    agent: Agent,
    /// When the last line that wants an answer began. An older voice is no answer to it.
    asked_at: CallTime,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Saying line `line`.
    Speaking { line: usize },
    /// Listening since `since`; line `next` comes next, or the end of the call.
    Listening { next: usize, since: CallTime },
    /// The phone is down.
    Gone,
}

/// What the caller has heard of the agent since the line it has to answer.
#[derive(Clone, Copy, Debug)]
enum Agent {
    /// Nothing yet.
    Awaited,
    /// It speaks, since `since`.
    Speaking { since: CallTime },
    /// It spoke from `since` to `until`.
    Silent { since: CallTime, until: CallTime },
}

impl Caller {
    /// A caller who has just been connected, at [`CallTime::ZERO`].
    #[must_use]
    pub fn new(script: Arc<Script>) -> Self {
        Self {
            script,
            state: State::Listening {
                next: 0,
                since: CallTime::ZERO,
            },
            agent: Agent::Awaited,
            asked_at: CallTime::ZERO,
        }
    }

    /// The agent's voice was heard from `at` on, after silence.
    pub fn agent_started(&mut self, at: CallTime) {
        let since = match self.agent {
            Agent::Silent { since, .. } => since,
            Agent::Awaited | Agent::Speaking { .. } => at,
        };
        self.agent = Agent::Speaking { since };
    }

    /// The agent's voice was heard until `at`, and is not any more.
    pub fn agent_stopped(&mut self, at: CallTime) {
        self.agent = match self.agent {
            // What began before the question, or stops before its end, was no answer to it.
            Agent::Speaking { since } if since < self.asked_at || self.is_asking() => {
                Agent::Awaited
            }
            Agent::Speaking { since } => Agent::Silent { since, until: at },
            other => other,
        };
    }

    /// The speech of the current line ended at `at`. False: that was known.
    pub fn line_ended(&mut self, at: CallTime) -> bool {
        let State::Speaking { line } = self.state else {
            return false;
        };
        self.state = State::Listening {
            next: line + 1,
            since: at,
        };
        true
    }

    /// What the caller does at `now`, if anything; a cue is given once.
    pub fn poll(&mut self, now: CallTime) -> Option<Cue> {
        if now >= CallTime::ZERO + self.script.max_call && !matches!(self.state, State::Gone) {
            self.state = State::Gone;
            return Some(Cue::HangUp);
        }
        if now < self.moment()? {
            return None;
        }
        let State::Listening { next, .. } = self.state else {
            return None;
        };
        if let Some(line) = self.script.lines.get(next) {
            self.state = State::Speaking { line: next };
            // A line that wants no answer leaves the one before it to be answered.
            if line.expect == Expect::Answer {
                self.asked_at = now;
                if matches!(self.agent, Agent::Silent { .. }) {
                    self.agent = Agent::Awaited;
                }
            }
            Some(Cue::Speak(next))
        } else {
            self.state = State::Gone;
            Some(Cue::HangUp)
        }
    }

    /// When [`poll`](Self::poll) gives its next cue if the agent does nothing until then.
    #[must_use]
    pub fn moment(&self) -> Option<CallTime> {
        let State::Listening { next, since } = self.state else {
            return None;
        };
        let give_up = since + self.script.max_wait;
        let when = self.script.lines.get(next).map(|line| line.when);
        let silence = match when {
            Some(When::PauseMs(ms)) => return Some(since + millis(ms)),
            Some(When::InterruptAfterMs(ms)) => {
                return Some(match self.agent {
                    Agent::Awaited => give_up,
                    Agent::Speaking { since } | Agent::Silent { since, .. } => since + millis(ms),
                });
            }
            Some(When::AgentSilenceMs(ms)) => millis(ms),
            None if self.nothing_to_await() => return Some(since + self.script.linger),
            None => self.script.linger,
        };
        match self.agent {
            Agent::Awaited => Some(give_up),
            Agent::Speaking { .. } => None,
            Agent::Silent { until, .. } => Some(until.max(since) + silence),
        }
    }

    /// Nothing the caller said wants an answer.
    fn nothing_to_await(&self) -> bool {
        let lines = &self.script.lines;
        lines.iter().all(|line| line.expect == Expect::Ignore)
    }

    fn is_asking(&self) -> bool {
        match self.state {
            State::Speaking { line } => self.script.lines[line].expect == Expect::Answer,
            State::Listening { .. } | State::Gone => false,
        }
    }
}

fn millis(ms: u32) -> Duration {
    Duration::from_millis(u64::from(ms))
}
