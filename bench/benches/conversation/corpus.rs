//! Callers who pause in mid-sentence: `fixtures/turns`, as conversations.

use std::{error::Error, fs, path::Path};

use serde::Deserialize;
use sidetone_bench::scenario::{
    Act, ActExpected, Action, Answer, Clips, Expected, Line, Scenario, ServiceBehaviours, When,
};
use sidetone_core::{config::CallConfig, job::Expect};

/// How long callers pause, in ms.
pub(crate) const PAUSES_MS: [u64; 7] = [300, 400, 500, 600, 700, 1_000, 1_500];
/// How long a caller waits before answering the agent.
const ANSWER_AFTER_MS: u64 = 400;

/// The conversations of the corpus, several for each caller.
pub(crate) struct Corpus {
    conversations: Vec<Conversation>,
}

/// A conversation with known pauses and ends.
pub(crate) struct Conversation {
    scenario: Scenario,
    /// What follows each act; the acts are the parts of the turns, one after the other.
    pub(crate) after: Vec<After>,
}

/// What follows a part of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// The caller goes on after this many ms.
    Pause(u64),
    /// The caller has finished.
    End,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    call: Vec<WrittenCall>,
}

#[derive(Deserialize)]
struct WrittenCall {
    caller: String,
    turn: Vec<WrittenTurn>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTurn {
    agent: String,
    parts: Vec<String>,
    expects: Option<Expect>,
}

impl Corpus {
    /// Reads `fixtures/turns`, and has each caller call once for each length of pause: in every other
    /// call all pauses are so long, as a slow or a quick speaker makes them, in the rest they are of
    /// every length in turn. `rounds` limits how often they call.
    pub(crate) fn read(
        fixtures: &Path,
        clips: &mut Clips,
        rounds: usize,
    ) -> Result<Self, Box<dyn Error>> {
        let text = fs::read_to_string(fixtures.join("turns/corpus.toml"))?;
        let written: Written = toml::from_str(&text)?;
        let mut conversations = Vec::new();
        for round in 0..rounds.min(PAUSES_MS.len()) {
            let mut nth = 0;
            for (n, call) in written.call.iter().enumerate() {
                let is_steady = (n + round) % 2 == 0;
                let call = Conversation::new(call, round, is_steady, &mut nth, clips)?;
                conversations.push(call);
            }
        }
        Ok(Self { conversations })
    }

    pub(crate) fn conversations(&self) -> &[Conversation] {
        &self.conversations
    }

    /// How many pauses there are, and how many ends.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let after = self.conversations.iter().flat_map(|c| &c.after);
        let ends = after.clone().filter(|after| **after == After::End).count();
        (after.count() - ends, ends)
    }
}

impl Conversation {
    fn new(
        call: &WrittenCall,
        round: usize,
        is_steady: bool,
        nth: &mut usize,
        clips: &mut Clips,
    ) -> Result<Self, Box<dyn Error>> {
        let (mut acts, mut after, mut answers) = (Vec::new(), Vec::new(), Vec::new());
        let gain_db = gain(call, clips)?;
        for (n, turn) in call.turn.iter().enumerate() {
            let mut when = When::AgentSilenceMs(ANSWER_AFTER_MS);
            for (m, words) in turn.parts.iter().enumerate() {
                acts.push(Act {
                    action: Action::Plays {
                        clip: clip(call, n, m),
                        words: Some(words.clone()),
                        gain_db,
                    },
                    when,
                    expect: ActExpected::default(),
                });
                if m + 1 == turn.parts.len() {
                    after.push(After::End);
                } else {
                    let place = if is_steady { round } else { round + 3 * *nth };
                    let pause = PAUSES_MS[place % PAUSES_MS.len()];
                    *nth += 1;
                    when = When::PauseMs(pause);
                    after.push(After::Pause(pause));
                }
            }
            if let (Some(last), Some(next)) = (turn.parts.last(), call.turn.get(n + 1)) {
                answers.push(Answer {
                    to: last.clone(),
                    says: next.agent.clone(),
                    expects: next.expects,
                    interruptible: true,
                    hangs_up: false,
                });
            }
        }
        let mut config = CallConfig::default();
        config.agent.greeting.clone_from(&call.turn[0].agent);
        Ok(Self {
            scenario: scenario(config, acts, answers),
            after,
        })
    }

    /// The conversation with these settings over this line; its greeting stays.
    pub(crate) fn with(
        &self,
        config: &CallConfig,
        line: &Line,
        services: &ServiceBehaviours,
    ) -> Scenario {
        let mut scenario = self.scenario.clone();
        let greeting = std::mem::take(&mut scenario.config.agent.greeting);
        scenario.config = config.clone();
        scenario.config.agent.greeting = greeting;
        scenario.line = line.clone();
        scenario.services = services.clone();
        scenario
    }
}

/// A conversation of these acts, with nothing expected.
pub(crate) fn scenario(config: CallConfig, acts: Vec<Act>, answers: Vec<Answer>) -> Scenario {
    Scenario {
        name: String::new(),
        about: String::new(),
        config,
        line: Line::default(),
        services: ServiceBehaviours::default(),
        answers,
        acts,
        linger_ms: 3_000,
        max_ms: 120_000,
        real_time: false,
        expect: Expected::default(),
    }
}

/// The name of the sound of part `m` of turn `n`, both from 0.
fn clip(call: &WrittenCall, n: usize, m: usize) -> String {
    format!("turns/{}/{}-{}", call.caller, n + 1, m + 1)
}

/// What makes a caller as loud as the one to whom the noise of a line relates, in dB.
fn gain(call: &WrittenCall, clips: &mut Clips) -> Result<f32, Box<dyn Error>> {
    let mut levels = Vec::new();
    for (n, turn) in call.turn.iter().enumerate() {
        for m in 0..turn.parts.len() {
            levels.push(clips.get(&clip(call, n, m))?.rms());
        }
    }
    let level = levels.iter().sum::<f32>() / levels.len() as f32;
    let wanted = clips.get("callers/paul/where-is-my-order")?.rms();
    Ok(20.0 * (wanted / level).log10())
}
