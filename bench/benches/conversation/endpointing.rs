//! Who is cut off, and who waits: endpointing over the corpus of callers who pause.

use std::error::Error;

use sidetone_bench::scenario::{Behaviour, Line, Played, Scenario, ServiceBehaviours};
use sidetone_core::{
    config::{CallConfig, TurnModel},
    event::CallEvent,
};

use crate::{
    corpus::{After, Corpus, PAUSES_MS},
    figures::{Share, Times, Words},
    models::Detector,
    play::Stage,
};

/// Nobody should be cut off in pauses up to this, in ms.
pub(crate) const SHORT_PAUSE_MS: u64 = 700;

/// What came of the corpus with one setting.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// Pauses in which the agent began to speak, for each of [`PAUSES_MS`].
    pub(crate) cut_off: [Share; PAUSES_MS.len()],
    /// Pauses in which a turn ended, though the caller may have heard nothing of it.
    pub(crate) ended: [Share; PAUSES_MS.len()],
    /// From the end of a turn to the agent's first sound.
    pub(crate) response: Times,
    /// Turns that were never answered.
    pub(crate) unanswered: usize,
    pub(crate) callers_words: Words,
    pub(crate) agents_words: Words,
}

impl Outcome {
    /// Those in pauses that should cut off nobody.
    pub(crate) fn short(&self) -> Share {
        let mut sum = Share::default();
        for (pause, share) in PAUSES_MS.iter().zip(self.cut_off) {
            if *pause <= SHORT_PAUSE_MS {
                sum.some += share.some;
                sum.of += share.of;
            }
        }
        sum
    }

    pub(crate) fn note(&mut self, played: &Played, after: &[After]) {
        for (n, after) in after.iter().enumerate() {
            match after {
                After::Pause(pause) => {
                    let place = PAUSES_MS.iter().position(|ms| ms == pause);
                    let place = place.expect("pauses are of these lengths");
                    self.cut_off[place].note(played.is_cut_off(n));
                    self.ended[place].note(ends_after(played, n));
                }
                After::End => match played.answered_after(n) {
                    Some(ms) => self.response.push(ms),
                    None => self.unanswered += 1,
                },
            }
        }
        self.callers_words.note_caller(played, |_| true);
        self.agents_words.note_agent(played);
    }
}

/// Whether a turn ended after act `n` and before the next one had.
fn ends_after(played: &Played, n: usize) -> bool {
    let (Some(act), Some(next)) = (played.acts.get(n), played.acts.get(n + 1)) else {
        return false;
    };
    let pause = act.ms.end..next.ms.end;
    let ends = |(at, event): &(u64, CallEvent)| {
        pause.contains(at) && matches!(event, CallEvent::TurnEnded { .. })
    };
    played.events.iter().any(ends)
}

/// A row of settings between which one value changes: a line of the curve.
pub(crate) struct Strategy {
    /// What it is called.
    pub(crate) name: &'static str,
    /// What the value is.
    pub(crate) value: &'static str,
    /// What came of each value.
    pub(crate) points: Vec<(String, Outcome)>,
}

/// Sets what a strategy is about, and its value.
type Set = fn(&mut CallConfig, u32);

/// The settings that are compared. `silence_ms` also moves the bounds out of its way.
fn strategies(has_smart_turn: bool) -> Vec<(&'static str, &'static str, &'static [u32], Set)> {
    fn silence(config: &mut CallConfig, ms: u32, adaptive: bool, text: bool) {
        let endpointing = &mut config.endpointing;
        endpointing.silence_ms = ms;
        endpointing.unfinished_ms = endpointing.unfinished_ms.max(ms);
        endpointing.adaptive = adaptive;
        endpointing.text = text;
    }
    let mut all: Vec<(_, _, &[u32], Set)> = vec![
        (
            "silence",
            "silence_ms",
            &[200, 300, 400, 500, 700, 1_000],
            |config, ms| silence(config, ms, false, false),
        ),
        (
            "adaptive",
            "silence_ms",
            &[200, 300, 500, 700],
            |config, ms| silence(config, ms, true, false),
        ),
        ("text", "silence_ms", &[200, 300, 500, 700], |config, ms| {
            silence(config, ms, false, true);
        }),
        (
            "text, adaptive",
            "silence_ms",
            &[200, 250, 300, 400, 500, 700],
            |config, ms| silence(config, ms, true, true),
        ),
        (
            "text, adaptive",
            "unfinished_ms",
            &[800, 1_500, 2_000],
            |config, ms| config.endpointing.unfinished_ms = ms,
        ),
    ];
    if has_smart_turn {
        all.push((
            "Smart Turn",
            "model_threshold, %",
            &[10, 50, 90],
            |config, percent| {
                silence(config, 300, false, false);
                config.endpointing.model = TurnModel::SmartTurn;
                config.endpointing.model_threshold = percent as f32 / 100.0;
            },
        ));
        all.push((
            "text, adaptive, Smart Turn",
            "model_threshold, %",
            &[10, 50, 90],
            |config, percent| {
                config.endpointing.model = TurnModel::SmartTurn;
                config.endpointing.model_threshold = percent as f32 / 100.0;
            },
        ));
    }
    all
}

/// The corpus with each strategy, on a quiet line.
pub(crate) fn compare(stage: &Stage, corpus: &Corpus) -> Result<Vec<Strategy>, Box<dyn Error>> {
    let has_smart_turn = stage.models.no_smart_turn().is_none();
    let mut compared = Vec::new();
    for (name, value, values, set) in strategies(has_smart_turn) {
        let mut points = Vec::new();
        for &setting in values {
            let mut config = CallConfig::default();
            set(&mut config, setting);
            config.validate()?;
            let (line, services) = (Line::default(), ServiceBehaviours::default());
            let outcome = over(stage, corpus, &config, &line, &services, Detector::Default)?;
            points.push((setting.to_string(), outcome));
        }
        compared.push(Strategy {
            name,
            value,
            points,
        });
    }
    Ok(compared)
}

/// The corpus with `config`, over `line`.
pub(crate) fn over(
    stage: &Stage,
    corpus: &Corpus,
    config: &CallConfig,
    line: &Line,
    services: &ServiceBehaviours,
    detector: Detector,
) -> Result<Outcome, Box<dyn Error>> {
    let conversations = corpus.conversations();
    let scenarios: Vec<Scenario> = conversations
        .iter()
        .map(|conversation| conversation.with(config, line, services))
        .collect();
    let mut outcome = Outcome::default();
    for (played, conversation) in stage.play(detector, &scenarios)?.iter().zip(conversations) {
        outcome.note(played, &conversation.after);
    }
    Ok(outcome)
}

/// Services that take as long as good ones do.
pub(crate) const SERVICES_MS: [u64; 3] = [150, 300, 150];

/// The corpus with work done ahead and without, with services that take [`SERVICES_MS`].
pub(crate) fn eager(
    stage: &Stage,
    corpus: &Corpus,
) -> Result<Vec<(&'static str, Outcome)>, Box<dyn Error>> {
    let [stt, llm, tts] = SERVICES_MS.map(|ms| vec![Behaviour::AfterMs(ms)]);
    let services = ServiceBehaviours {
        stt,
        llm,
        tts,
        refuses_eager: false,
    };
    let mut outcomes = Vec::new();
    for (name, enabled) in [("on", true), ("off", false)] {
        let mut config = CallConfig::default();
        config.eager.enabled = enabled;
        let outcome = over(
            stage,
            corpus,
            &config,
            &Line::default(),
            &services,
            Detector::Default,
        )?;
        outcomes.push((name, outcome));
    }
    Ok(outcomes)
}
