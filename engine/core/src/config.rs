//! What can be set about a call, with defaults, checked once before the first call.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Everything a [`Call`](crate::call::Call) needs to know. Shared by all calls.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct CallConfig {
    /// Who the agent is.
    pub agent: AgentConfig,
    /// When somebody speaks.
    pub vad: VadConfig,
    /// When the caller interrupts the agent.
    pub barge_in: BargeInConfig,
    /// When a turn has ended.
    pub endpointing: EndpointingConfig,
    /// Work done ahead while it is not certain that a turn has ended.
    pub eager: EagerConfig,
    /// Transcripts while the caller speaks.
    pub partials: PartialsConfig,
    /// How audio reaches the caller.
    pub playout: PlayoutConfig,
    /// When nobody speaks.
    pub idle: IdleConfig,
    /// People on the call.
    pub handoff: HandoffConfig,
    /// How long anybody waits for anything.
    pub patience: PatienceConfig,
    /// What is said when services fail: audio that needs none.
    pub phrases: Phrases,
}

/// `[agent]`: who the agent is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AgentConfig {
    /// What the agent says first. Default: empty, the caller speaks first.
    pub greeting: String,
    /// Whether the caller can interrupt the greeting; a legal notice is better heard to its end.
    /// Default: true.
    pub greeting_interruptible: bool,
    /// What the language model is told about its task. Default: empty.
    pub instructions: String,
    /// The language of the call, an ISO 639-1 code. Default: `en`.
    pub language: String,
    /// Whether the recogniser finds out which language the caller speaks, in place of expecting
    /// `language`; the agent speaks `language` all the same. Default: false.
    pub detect_language: bool,
}

impl AgentConfig {
    /// The language to expect of the caller; `None`: the recogniser finds out.
    pub(crate) fn caller_language(&self) -> Option<String> {
        (!self.detect_language).then(|| self.language.clone())
    }
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            greeting: String::new(),
            greeting_interruptible: true,
            instructions: String::new(),
            language: "en".into(),
            detect_language: false,
        }
    }
}

/// When somebody speaks: hysteresis over the detector's probability.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VadConfig {
    /// At or above this probability a frame is speech. 0.0 to 1.0. Default: 0.5.
    pub speech_threshold: f32,
    /// Below this probability a frame is silence once speech has begun; not above
    /// `speech_threshold`. Default: 0.35.
    pub silence_threshold: f32,
    /// Speech begins after this much of it, in ms, 0 to 1000. Default: 80.
    pub min_speech_ms: u32,
    /// Speech over the agent must last this long to interrupt it, in ms, 0 to 1000. Default: 80.
    pub barge_in_ms: u32,
    /// How much audio before the first speech frame belongs to the turn, in ms, 0 to 1000.
    /// Default: 300.
    pub pre_roll_ms: u32,
}

impl Default for VadConfig {
    fn default() -> Self {
        Self {
            speech_threshold: 0.5,
            silence_threshold: 0.35,
            min_speech_ms: 80,
            barge_in_ms: 80,
            pre_roll_ms: 300,
        }
    }
}

/// `[barge_in]`: when the caller interrupts the agent.
///
/// Any sound that lasts `vad.barge_in_ms` stops the agent at once, and what it had not said yet is
/// kept. Then it is decided whether the caller took the floor, or the agent goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BargeInConfig {
    /// Whether the caller can interrupt at all. If not, what is said over the agent is answered
    /// when it has finished. Default: true.
    pub enabled: bool,
    /// A sound with less voice than this, in ms, is taken for none until its words are known: the
    /// agent goes on, and stops again if there were words. 0 to 2000. Default: 300.
    pub confirm_ms: u32,
    /// So long after the end of such a sound the agent goes on, in ms, 100 to 2000. Default: 300.
    pub resume_after_ms: u32,
    /// The caller interrupts with this many words or more, 1 to 20; fewer are passed over as a
    /// cough would be. Default: 1.
    pub min_words: u32,
    /// Whether "mm-hm", "yeah" and "okay" interrupt nothing, unless the agent has asked something
    /// or as good as finished. There are lists for `en`, `es` and `pt`. Default: true.
    pub ignore_backchannels: bool,
    /// Further words and phrases of this kind. Default: none.
    pub backchannels: Vec<String>,
    /// Whether the agent's own voice in the caller's line, from a speakerphone, is recognised and
    /// interrupts nothing. Default: true.
    pub ignore_echo: bool,
}

impl Default for BargeInConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            confirm_ms: 300,
            resume_after_ms: 300,
            min_words: 1,
            ignore_backchannels: true,
            backchannels: Vec::new(),
            ignore_echo: true,
        }
    }
}

/// `[endpointing]`: when a turn has ended. How the parts work together: `endpointing` in the
/// source, and `docs/turn-taking.md`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EndpointingConfig {
    /// This much silence ends a turn that nothing speaks for or against, and one whose words are
    /// a whole sentence, in ms, `min_ms` to `max_ms`. Default: 300.
    pub silence_ms: u32,
    /// Callers who pause longer within their turns are waited for longer where nothing but silence
    /// can decide: up to twice `silence_ms`. Default: true.
    pub adaptive: bool,
    /// Whether the words of the turn have a say. They are there in time only with eager work or
    /// partial transcripts. Default: true.
    pub text: bool,
    /// This much silence ends a turn that breaks off in mid-sentence, in ms, `silence_ms` to
    /// `max_ms`. Default: 1200.
    pub unfinished_ms: u32,
    /// A model that hears whether the caller has finished. Default: none.
    pub model: TurnModel,
    /// The model's probability from which the caller has finished, 0.0 to 1.0. Default: 0.5.
    pub model_threshold: f32,
    /// No turn ends after less silence than this, in ms, 100 to 5000. Default: 200.
    pub min_ms: u32,
    /// Every turn ends after this much silence, in ms, `min_ms` to 10000. Default: 2000.
    pub max_ms: u32,
    /// A turn longer than this is cut: its words are recognised, and what follows is a turn of its
    /// own, in ms, 1000 to 120000. Default: 30000.
    pub max_turn_ms: u32,
}

/// Who hears whether the caller has finished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TurnModel {
    /// Nobody.
    #[default]
    None,
    /// Smart Turn, an ONNX model.
    SmartTurn,
}

impl Default for EndpointingConfig {
    fn default() -> Self {
        Self {
            silence_ms: 300,
            adaptive: true,
            text: true,
            unfinished_ms: 1_200,
            model: TurnModel::None,
            model_threshold: 0.5,
            min_ms: 200,
            max_ms: 2_000,
            max_turn_ms: 30_000,
        }
    }
}

/// `[eager]`: work done ahead while it is not certain that a turn has ended. The caller hears
/// nothing of it until it is; if the caller goes on, it is dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EagerConfig {
    /// Whether to transcribe, answer and speak ahead. Default: true.
    pub enabled: bool,
    /// The silence at which it begins, and the turn model is asked, in ms, 60 to 1000.
    /// Default: 150.
    pub pause_ms: u32,
    /// How many jobs of all calls together may be eager at the same time, 0 to 10000; what goes
    /// beyond that waits for the end of its turn. Default: 32.
    pub max_jobs: u32,
}

impl Default for EagerConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            pause_ms: 150,
            max_jobs: 32,
        }
    }
}

/// Transcripts while the caller speaks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PartialsConfig {
    /// Ask for a partial transcript this often while the caller speaks, in ms; 0: never.
    /// Default: 0.
    pub interval_ms: u32,
}

/// How audio reaches the caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlayoutConfig {
    /// How much audio may be sent ahead of what was played, in ms, 200 to 10000. Default: 2000.
    pub lead_ms: u32,
    /// How much audio one message carries; a mark follows each, in ms, 20 to 200. Default: 200.
    pub chunk_ms: u32,
}

impl Default for PlayoutConfig {
    fn default() -> Self {
        Self {
            lead_ms: 2_000,
            chunk_ms: 200,
        }
    }
}

/// `[idle]`: nobody waits in silence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IdleConfig {
    /// A caller who says nothing for this long is asked whether they are still there, in ms, 1000
    /// to 600000; 0: never. Default: 8000.
    pub prompt_after_ms: u32,
    /// How often in a row they are asked before the agent says goodbye and hangs up, 0 to 10.
    /// Default: 2.
    pub max_prompts: u32,
    /// What they are asked. Default: empty, "Are you still there?" in the call's language.
    pub prompt: String,
    /// The goodbye. Default: empty, "I can't hear you, so I will hang up now. Goodbye." in the
    /// call's language.
    pub goodbye: String,
    /// A caller who waits this long for an answer is told to hold, in ms, 500 to 60000; if they
    /// have to wait on, they are told again, at growing distances. Default: 3500.
    pub hold_after_ms: u32,
}

impl Default for IdleConfig {
    fn default() -> Self {
        Self {
            prompt_after_ms: 8_000,
            max_prompts: 2,
            prompt: String::new(),
            goodbye: String::new(),
            hold_after_ms: 3_500,
        }
    }
}

/// `[handoff]`: people who listen in, coach, join in and take over. How it works: `docs/people.md`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HandoffConfig {
    /// How many people may be on a call beside caller and agent, 1 to 32. Default: 8.
    pub max_people: u32,
    /// A call that is handed back is the agent's within this time, in ms, 200 to 2000: if the
    /// language model has no sentence by then, the caller is told to hold. Default: 800.
    pub resume_within_ms: u32,
    /// A leg that took over and sends no audio for this long is lost, in ms, 500 to 60000.
    /// Default: 3000.
    pub stall_ms: u32,
    /// Somebody who is called to the phone and does not come within this time does not come, in
    /// ms, 5000 to 600000. Default: 45000.
    pub ring_timeout_ms: u32,
    /// A caller who waits for somebody, or for a paused agent, hears a word this often, in ms, 3000
    /// to 120000. Default: 12000.
    pub company_ms: u32,
    /// An agent that is paused for this long, with nobody to speak with the caller, takes part
    /// again, in ms, 10000 to 3600000; 0: never. Default: 300000.
    pub pause_limit_ms: u32,
    /// What the agent says when somebody is called to the phone. Default: empty, "One moment, I
    /// will connect you with a colleague." in the call's language.
    pub connecting: String,
}

impl Default for HandoffConfig {
    fn default() -> Self {
        Self {
            max_people: 8,
            resume_within_ms: 800,
            stall_ms: 3_000,
            ring_timeout_ms: 45_000,
            company_ms: 12_000,
            pause_limit_ms: 300_000,
            connecting: String::new(),
        }
    }
}

/// How long anybody waits for anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatienceConfig {
    /// A service that has not moved for this long has failed. Default: 8 s.
    pub service: Duration,
    /// After this many failures in a row the agent says goodbye. Default: 3.
    pub max_failures: u32,
    /// A mark that has not come back this long after its audio should have been played never
    /// will. Default: 1 s.
    pub mark_grace: Duration,
    /// The stream must start this soon after the socket opened. Default: 5 s.
    pub start: Duration,
    /// A started leg that sends nothing for this long is gone. Default: 30 s.
    pub idle: Duration,
}

impl Default for PatienceConfig {
    fn default() -> Self {
        Self {
            service: Duration::from_secs(8),
            max_failures: 3,
            mark_grace: Duration::from_secs(1),
            start: Duration::from_secs(5),
            idle: Duration::from_secs(30),
        }
    }
}

/// Words with their audio, for when speech synthesis cannot be relied on.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Phrases {
    /// "One moment, please."
    pub hold: Phrase,
    /// "I'm with you again. One moment, please.": to a caller whom a person has given back.
    pub back: Phrase,
    /// "I'm sorry, something went wrong. Could you say that again?"
    pub apology: Phrase,
    /// "I'm sorry, we are having technical difficulties. Please call again later. Goodbye."
    pub farewell: Phrase,
}

/// Words with their audio.
#[derive(Clone, Debug, PartialEq)]
pub struct Phrase {
    /// The words.
    pub text: String,
    /// The same as mono 16-bit PCM at 8 kHz. Empty: nothing is played.
    pub audio: Arc<[i16]>,
}

impl Default for Phrase {
    fn default() -> Self {
        Self {
            text: String::new(),
            audio: Arc::from([]),
        }
    }
}

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("`{key}` = {value}: {expected}")]
#[non_exhaustive]
pub struct ConfigError {
    /// The key as in the configuration file, `section.key`.
    pub key: &'static str,
    /// The value given.
    pub value: String,
    /// What is allowed.
    pub expected: &'static str,
}

impl CallConfig {
    /// Checks every value.
    ///
    /// # Errors
    ///
    /// Names the first key whose value is out of range, and what is allowed.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let check = |ok: bool, key, value: String, expected| {
            if ok {
                Ok(())
            } else {
                Err(ConfigError {
                    key,
                    value,
                    expected,
                })
            }
        };
        let vad = &self.vad;
        check(
            (0.0..=1.0).contains(&vad.speech_threshold),
            "vad.speech_threshold",
            vad.speech_threshold.to_string(),
            "must be between 0.0 and 1.0",
        )?;
        check(
            (0.0..=vad.speech_threshold).contains(&vad.silence_threshold),
            "vad.silence_threshold",
            vad.silence_threshold.to_string(),
            "must be between 0.0 and vad.speech_threshold",
        )?;
        let threshold = self.endpointing.model_threshold;
        check(
            (0.0..=1.0).contains(&threshold),
            "endpointing.model_threshold",
            threshold.to_string(),
            "must be between 0.0 and 1.0",
        )?;
        let ranges = [
            (
                "vad.min_speech_ms",
                vad.min_speech_ms,
                0..=1_000,
                "must be 0 to 1000",
            ),
            (
                "vad.barge_in_ms",
                vad.barge_in_ms,
                0..=1_000,
                "must be 0 to 1000",
            ),
            (
                "vad.pre_roll_ms",
                vad.pre_roll_ms,
                0..=1_000,
                "must be 0 to 1000",
            ),
            (
                "barge_in.confirm_ms",
                self.barge_in.confirm_ms,
                0..=2_000,
                "must be 0 to 2000",
            ),
            (
                "barge_in.resume_after_ms",
                self.barge_in.resume_after_ms,
                100..=2_000,
                "must be 100 to 2000",
            ),
            (
                "barge_in.min_words",
                self.barge_in.min_words,
                1..=20,
                "must be 1 to 20",
            ),
            (
                "idle.max_prompts",
                self.idle.max_prompts,
                0..=10,
                "must be 0 to 10",
            ),
            (
                "idle.hold_after_ms",
                self.idle.hold_after_ms,
                500..=60_000,
                "must be 500 to 60000",
            ),
            (
                "endpointing.min_ms",
                self.endpointing.min_ms,
                100..=5_000,
                "must be 100 to 5000",
            ),
            (
                "endpointing.max_ms",
                self.endpointing.max_ms,
                self.endpointing.min_ms..=10_000,
                "must be endpointing.min_ms to 10000",
            ),
            (
                "endpointing.silence_ms",
                self.endpointing.silence_ms,
                self.endpointing.min_ms..=self.endpointing.max_ms,
                "must be endpointing.min_ms to endpointing.max_ms",
            ),
            (
                "endpointing.unfinished_ms",
                self.endpointing.unfinished_ms,
                self.endpointing.silence_ms..=self.endpointing.max_ms,
                "must be endpointing.silence_ms to endpointing.max_ms",
            ),
            (
                "endpointing.max_turn_ms",
                self.endpointing.max_turn_ms,
                1_000..=120_000,
                "must be 1000 to 120000",
            ),
            (
                "eager.pause_ms",
                self.eager.pause_ms,
                60..=1_000,
                "must be 60 to 1000",
            ),
            (
                "eager.max_jobs",
                self.eager.max_jobs,
                0..=10_000,
                "must be 0 to 10000",
            ),
            (
                "playout.lead_ms",
                self.playout.lead_ms,
                200..=10_000,
                "must be 200 to 10000",
            ),
            (
                "playout.chunk_ms",
                self.playout.chunk_ms,
                20..=200,
                "must be 20 to 200",
            ),
            (
                "handoff.max_people",
                self.handoff.max_people,
                1..=32,
                "must be 1 to 32",
            ),
            (
                "handoff.resume_within_ms",
                self.handoff.resume_within_ms,
                200..=2_000,
                "must be 200 to 2000",
            ),
            (
                "handoff.stall_ms",
                self.handoff.stall_ms,
                500..=60_000,
                "must be 500 to 60000",
            ),
            (
                "handoff.ring_timeout_ms",
                self.handoff.ring_timeout_ms,
                5_000..=600_000,
                "must be 5000 to 600000",
            ),
            (
                "handoff.company_ms",
                self.handoff.company_ms,
                3_000..=120_000,
                "must be 3000 to 120000",
            ),
        ];
        for (key, value, range, expected) in ranges {
            check(range.contains(&value), key, value.to_string(), expected)?;
        }
        let partials = self.partials.interval_ms;
        check(
            partials == 0 || (200..=10_000).contains(&partials),
            "stt.partial_interval_ms",
            partials.to_string(),
            "must be 0 (off) or 200 to 10000",
        )?;
        let prompt_after = self.idle.prompt_after_ms;
        check(
            prompt_after == 0 || (1_000..=600_000).contains(&prompt_after),
            "idle.prompt_after_ms",
            prompt_after.to_string(),
            "must be 0 (never) or 1000 to 600000",
        )?;
        let limit = self.handoff.pause_limit_ms;
        check(
            limit == 0 || (10_000..=3_600_000).contains(&limit),
            "handoff.pause_limit_ms",
            limit.to_string(),
            "must be 0 (never) or 10000 to 3600000",
        )?;
        let language = &self.agent.language;
        check(
            language.len() == 2 && language.bytes().all(|b| b.is_ascii_lowercase()),
            "agent.language",
            format!("{language:?}"),
            "must be an ISO 639-1 code such as \"en\", \"es\" or \"pt\"",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(CallConfig::default().validate(), Ok(()));
    }

    #[test]
    fn an_error_names_the_key_the_value_and_what_is_allowed() {
        type Change = fn(&mut CallConfig);
        let changes: [(Change, &str); 18] = [
            (
                |c| c.vad.speech_threshold = 1.5,
                "`vad.speech_threshold` = 1.5: must be between",
            ),
            (
                |c| c.vad.speech_threshold = f32::NAN,
                "`vad.speech_threshold` = NaN",
            ),
            (
                |c| c.vad.silence_threshold = 0.9,
                "`vad.silence_threshold` = 0.9",
            ),
            (
                |c| c.vad.pre_roll_ms = 2_000,
                "`vad.pre_roll_ms` = 2000: must be 0 to 1000",
            ),
            (
                |c| c.barge_in.min_words = 0,
                "`barge_in.min_words` = 0: must be 1 to 20",
            ),
            (
                |c| c.barge_in.resume_after_ms = 0,
                "`barge_in.resume_after_ms` = 0: must be 100 to",
            ),
            (
                |c| c.idle.prompt_after_ms = 10,
                "`idle.prompt_after_ms` = 10: must be 0 (never)",
            ),
            (
                |c| c.idle.hold_after_ms = 0,
                "`idle.hold_after_ms` = 0: must be 500 to",
            ),
            (
                |c| c.endpointing.silence_ms = 0,
                "`endpointing.silence_ms` = 0: must be endpointing.min_ms to",
            ),
            (
                |c| c.endpointing.max_ms = 150,
                "`endpointing.max_ms` = 150: must be endpointing.min_ms to",
            ),
            (
                |c| c.endpointing.unfinished_ms = 250,
                "`endpointing.unfinished_ms` = 250: must be endpointing.silence_ms to",
            ),
            (
                |c| c.endpointing.model_threshold = 1.5,
                "`endpointing.model_threshold` = 1.5: must be between",
            ),
            (
                |c| c.eager.pause_ms = 10,
                "`eager.pause_ms` = 10: must be 60 to 1000",
            ),
            (
                |c| c.playout.chunk_ms = 500,
                "`playout.chunk_ms` = 500: must be 20 to 200",
            ),
            (
                |c| c.partials.interval_ms = 5,
                "`stt.partial_interval_ms` = 5: must be 0 (off)",
            ),
            (
                |c| c.handoff.max_people = 0,
                "`handoff.max_people` = 0: must be 1 to",
            ),
            (
                |c| c.handoff.pause_limit_ms = 5,
                "`handoff.pause_limit_ms` = 5: must be 0 (never)",
            ),
            (
                |c| c.agent.language = "English".into(),
                "`agent.language` = \"English\"",
            ),
        ];
        for (change, expected) in changes {
            let mut config = CallConfig::default();
            change(&mut config);
            let error = config.validate().unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
