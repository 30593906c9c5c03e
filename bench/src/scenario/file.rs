//! The scenario file: read, checked, and turned into a [`Scenario`].

use std::{fs, path::Path, time::Duration};

use serde::Deserialize;
use sidetone_cli::phone::{ScenarioFileError, read_scenario, scenario_from_toml};
use sidetone_core::{
    config::{
        AgentConfig, BargeInConfig, CallConfig, EagerConfig, EndpointingConfig, IdleConfig,
        PartialsConfig, PlayoutConfig, VadConfig,
    },
    job::Expect,
};
use thiserror::Error;

/// One conversation.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The file's name without its ending.
    pub name: String,
    /// What it shows, in one sentence.
    pub about: String,
    /// The settings of the call; the defaults, where the file names none.
    pub config: CallConfig,
    /// Between the caller's room and the engine.
    pub line: Line,
    /// How the services behave.
    pub services: ServiceBehaviours,
    /// What the language model says.
    pub answers: Vec<Answer>,
    /// What the caller and the program do, in order.
    pub acts: Vec<Act>,
    /// The conversation is over when everything was done and the agent has been silent for this
    /// long, in ms. Default: 3000.
    pub linger_ms: u64,
    /// The conversation is over after this long, come what may, in ms. Default: 60000.
    pub max_ms: u64,
    /// It is played through a real socket too, at real pace.
    pub real_time: bool,
    /// What must come of it.
    pub expect: Expected,
}

/// Something the caller or the program around the engine does.
#[derive(Clone, Debug)]
pub struct Act {
    /// What.
    pub action: Action,
    /// When.
    pub when: When,
    /// What must come of it.
    pub expect: ActExpected,
}

/// What is done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// The caller makes a sound: a recording, or one that is computed.
    Plays {
        /// The name of a [`Clip`](super::Clip).
        clip: String,
        /// The words in it; `None`: the clip's own.
        words: Option<String>,
        /// How much louder than recorded, in dB.
        gain_db: f32,
    },
    /// The caller presses keys, 200 ms apart.
    Presses(String),
    /// The caller hangs up.
    HangsUp,
    /// The program has the agent say something.
    ProgramSays {
        /// What.
        text: String,
        /// Whether the caller can interrupt it.
        interruptible: bool,
    },
    /// The program ends the call with these words.
    ProgramHangsUp(String),
}

/// When something is done: a sound begins to be heard then, or as soon after as it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// This long after the call began.
    AtMs(u64),
    /// This long after the end of the act before, or after the call began.
    PauseMs(u64),
    /// When the agent has spoken since the act before and has then been silent for this long.
    AgentSilenceMs(u64),
    /// This long after the agent became audible, since the act before began.
    InterruptAfterMs(u64),
    /// When the agent has only this much left to say, at most 1000.
    AgentEndsInMs(u64),
}

/// What must come of an act. A bound is in ms.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ActExpected {
    /// The agent becomes audible so soon after the end of this sound, and not before its end.
    pub answered_within_ms: Option<u64>,
    /// The agent says nothing before the next act is over.
    pub waited_for: bool,
    /// What was left to hear is thrown away so soon after this sound began.
    pub cleared_within_ms: Option<u64>,
    /// Nothing is thrown away from the beginning of this sound until the next act begins.
    pub not_interrupted: bool,
    /// The agent is audible so soon after the end of this sound: it goes on, having stopped or
    /// not.
    pub resumed_within_ms: Option<u64>,
}

/// The line between the caller's room and the engine.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Line {
    /// How loud the quiet room is, in dB relative to full scale. Default: -60.
    pub background_dbfs: f32,
    /// Noise in the room, from the beginning to the end of the call.
    pub noise: Option<Noise>,
    /// The agent's voice comes back out of the caller's loudspeaker.
    pub echo: Option<Echo>,
    /// How long a message takes each way, in ms.
    pub delay_ms: u64,
    /// How much longer it may take, in ms, at random. The order of messages is kept.
    pub jitter_ms: u64,
    /// No mark ever comes back.
    pub loses_marks: bool,
    /// The room, the noise and the jitter follow from this.
    pub seed: u64,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            background_dbfs: -60.0,
            noise: None,
            echo: None,
            delay_ms: 0,
            jitter_ms: 0,
            loses_marks: false,
            seed: 1,
        }
    }
}

/// Noise in the caller's room.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Noise {
    /// What makes it.
    pub kind: NoiseKind,
    /// How much louder the caller speaks, in dB, as root mean squares over the speech.
    pub snr_db: f32,
}

/// What makes the noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoiseKind {
    /// Many people who speak at the same time.
    Babble,
    /// Two people who talk to each other: louder and softer as speech is.
    Talk,
    /// Traffic: more of the low frequencies than of the high ones.
    Street,
    /// A fan: all frequencies alike.
    White,
}

/// The way from the caller's loudspeaker back into the microphone.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Echo {
    /// How much softer it comes back, in dB, 0 to 60.
    pub loss_db: f32,
    /// How much later, in ms, 0 to 1000.
    pub delay_ms: u64,
}

/// How each service behaves: one entry for each job in order, the last one for all that follow.
/// Cancelled jobs are answered all the same: it is too late to stop them.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceBehaviours {
    /// Speech recognition.
    pub stt: Vec<Behaviour>,
    /// The language model.
    pub llm: Vec<Behaviour>,
    /// Speech synthesis.
    pub tts: Vec<Behaviour>,
    /// Eager jobs are refused, as under load.
    pub refuses_eager: bool,
}

/// How a service behaves. Without one it answers at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Behaviour {
    /// Answers after this many ms.
    AfterMs(u64),
    /// Fails after this many ms.
    FailsAfterMs(u64),
    /// Never answers.
    Never,
    /// Answers half after this many ms, then nothing more.
    StallsAfterMs(u64),
    /// Answers piece by piece, this many ms apart.
    TricklesMs(u64),
}

/// What the language model says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// To a message of the caller that contains this, in capitals or not; missing: to every one.
    #[serde(default)]
    pub to: String,
    /// What it says.
    pub says: String,
    /// What kind of answer it asks for.
    pub expects: Option<Expect>,
    /// The caller can interrupt it.
    #[serde(default = "yes")]
    pub interruptible: bool,
    /// It wants the call to end after that.
    #[serde(default)]
    pub hangs_up: bool,
}

/// What must come of the whole conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Expected {
    /// The conversation as the language model is told it, as lines that begin with `caller: ` or
    /// `agent: `. A line that ends in `…` is only the beginning of what was said.
    pub conversation: Option<Vec<String>>,
    /// Why the call ended, as in the event; missing: it did not.
    pub ended: Option<String>,
    /// How often what was left to hear was thrown away.
    pub clears: Option<usize>,
    /// The caller hears something at least this often, from the first answer owed to the last, in
    /// ms.
    pub longest_wait_ms: Option<u64>,
    /// How many failures of services were reported. Default: 0.
    pub failures: usize,
    /// Services are late in the middle of a sentence, and it is heard.
    pub underruns: bool,
}

/// A scenario as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    about: String,
    #[serde(default)]
    config: WrittenConfig,
    #[serde(default)]
    line: Line,
    #[serde(default)]
    services: ServiceBehaviours,
    #[serde(default)]
    answer: Vec<Answer>,
    act: Vec<WrittenAct>,
    #[serde(default = "three_seconds")]
    linger_ms: u64,
    #[serde(default = "one_minute")]
    max_ms: u64,
    #[serde(default)]
    real_time: bool,
    #[serde(default)]
    expect: Expected,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WrittenConfig {
    agent: AgentConfig,
    vad: VadConfig,
    barge_in: BargeInConfig,
    endpointing: EndpointingConfig,
    eager: EagerConfig,
    partials: PartialsConfig,
    playout: PlayoutConfig,
    idle: IdleConfig,
    service_timeout_ms: Option<u64>,
    max_failures: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenAct {
    plays: Option<String>,
    words: Option<String>,
    gain_db: Option<f32>,
    presses: Option<String>,
    #[serde(default)]
    hangs_up: bool,
    program_says: Option<String>,
    interruptible: Option<bool>,
    program_hangs_up: Option<String>,
    when: When,
    #[serde(default)]
    expect: ActExpected,
}

fn yes() -> bool {
    true
}

fn three_seconds() -> u64 {
    3_000
}

fn one_minute() -> u64 {
    60_000
}

/// Why a scenario cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// The file or the folder cannot be read, or is not TOML of the right shape.
    #[error(transparent)]
    File(#[from] ScenarioFileError),
    /// A value that cannot be used.
    #[error("{file}: {problem}")]
    Value {
        /// The file.
        file: String,
        /// The key, its value, and what is allowed.
        problem: String,
    },
    /// A sound that is no recording.
    #[error("there is no sound {name:?}: {reason}")]
    NoSound {
        /// The name asked for.
        name: String,
        /// What there is, or why it cannot be used.
        reason: String,
    },
}

impl Scenario {
    /// Reads the file at `path`.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is no scenario.
    pub fn load(path: &Path) -> Result<Self, ScenarioError> {
        let text = read_scenario(path)?;
        let name = path.file_stem().unwrap_or(path.as_os_str());
        Self::parse(&name.to_string_lossy(), &path.display().to_string(), &text)
    }

    /// Reads every `.toml` file of `folder`, by name.
    ///
    /// # Errors
    ///
    /// One of them cannot be read, or is no scenario.
    pub fn load_all(folder: &Path) -> Result<Vec<Self>, ScenarioError> {
        let unreadable = |source| ScenarioFileError::Read {
            path: folder.to_owned(),
            source,
        };
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.extension().is_some_and(|ending| ending == "toml") {
                paths.push(path);
            }
        }
        paths.sort();
        paths.iter().map(|path| Self::load(path)).collect()
    }

    /// Reads `text` as the scenario `name`; errors name `file`.
    ///
    /// # Errors
    ///
    /// It is no scenario.
    pub fn parse(name: &str, file: &str, text: &str) -> Result<Self, ScenarioError> {
        let written: Written = scenario_from_toml(file, text)?;
        let wrong = |problem: String| ScenarioError::Value {
            file: file.to_owned(),
            problem,
        };
        let config = written.config.into_config();
        config
            .validate()
            .map_err(|error| wrong(error.to_string()))?;
        if let Some(echo) = written.line.echo
            && (!(0.0..=60.0).contains(&echo.loss_db) || echo.delay_ms > 1_000)
        {
            return Err(wrong(
                "`line.echo`: loss_db must be 0 to 60 and delay_ms 0 to 1000".into(),
            ));
        }
        if !(-96.0..=-45.0).contains(&written.line.background_dbfs) {
            return Err(wrong("`line.background_dbfs` must be -96 to -45".into()));
        }
        let acts = written.act.into_iter().enumerate();
        let acts = acts.map(|(n, act)| {
            act.into_act()
                .map_err(|problem| wrong(format!("act {}: {problem}", n + 1)))
        });
        let scenario = Self {
            name: name.to_owned(),
            about: written.about,
            config,
            line: written.line,
            services: written.services,
            answers: written.answer,
            acts: acts.collect::<Result<_, _>>()?,
            linger_ms: written.linger_ms,
            max_ms: written.max_ms,
            real_time: written.real_time,
            expect: written.expect,
        };
        let lines = scenario.expect.conversation.iter().flatten();
        for line in lines {
            if !line.starts_with("caller: ") && !line.starts_with("agent: ") {
                let problem = format!(
                    "`expect.conversation`: {line:?} must begin with `caller: ` or `agent: `"
                );
                return Err(wrong(problem));
            }
        }
        Ok(scenario)
    }
}

impl WrittenConfig {
    fn into_config(self) -> CallConfig {
        let mut config = CallConfig {
            agent: self.agent,
            vad: self.vad,
            barge_in: self.barge_in,
            endpointing: self.endpointing,
            eager: self.eager,
            partials: self.partials,
            playout: self.playout,
            idle: self.idle,
            ..CallConfig::default()
        };
        if let Some(ms) = self.service_timeout_ms {
            config.patience.service = Duration::from_millis(ms);
        }
        if let Some(failures) = self.max_failures {
            config.patience.max_failures = failures;
        }
        config
    }
}

impl WrittenAct {
    fn into_act(self) -> Result<Act, String> {
        let needs = |key: &str, is_given: bool, of: &str| match is_given {
            true => Err(format!("`{key}` goes with `{of}`")),
            false => Ok(()),
        };
        if self.plays.is_none() {
            needs("words", self.words.is_some(), "plays")?;
            needs("gain_db", self.gain_db.is_some(), "plays")?;
        }
        if self.program_says.is_none() {
            needs(
                "interruptible",
                self.interruptible.is_some(),
                "program_says",
            )?;
        }
        if let When::AgentEndsInMs(ms) = self.when
            && ms > 1_000
        {
            return Err("`agent_ends_in_ms` must be 0 to 1000".into());
        }
        let actions = [
            self.plays.map(|clip| Action::Plays {
                clip,
                words: self.words,
                gain_db: self.gain_db.unwrap_or_default(),
            }),
            self.presses.map(Action::Presses),
            self.hangs_up.then_some(Action::HangsUp),
            self.program_says.map(|text| Action::ProgramSays {
                text,
                interruptible: self.interruptible.unwrap_or(true),
            }),
            self.program_hangs_up.map(Action::ProgramHangsUp),
        ];
        let mut actions = actions.into_iter().flatten();
        match (actions.next(), actions.next()) {
            (Some(action), None) => Ok(Act {
                action,
                when: self.when,
                expect: self.expect,
            }),
            _ => Err(
                "needs one of `plays`, `presses`, `hangs_up`, `program_says`, `program_hangs_up`"
                    .into(),
            ),
        }
    }
}
