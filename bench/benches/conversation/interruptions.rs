//! Sounds over the agent: those that take the floor, and those that must not.

use std::error::Error;

use sidetone_bench::scenario::{Act, ActExpected, Action, Answer, Line, Played, Scenario, When};
use sidetone_core::config::CallConfig;

use crate::{
    corpus::scenario,
    figures::{Share, Times, Words},
    lines,
    models::Detector,
    play::Stage,
};

/// What the agent is telling when the sound comes: some nine seconds.
const STORY: &str = "Your order left the warehouse in Hamburg early this morning. \
                     It has been handed to the carrier and is on its way to you now. \
                     You can expect it on Friday afternoon.";
/// What it says to anything but the question.
const REPLY: &str = "Very well, I have made a note of that.";
/// The question that it answers with its story.
const QUESTION: &str = "callers/paul/where-is-my-order";
/// How far into the story's first sentence sounds come, in ms. (The count starts anew after a pause of
/// the voice.)
const OFFSETS_MS: [u64; 6] = [150, 400, 700, 1_000, 1_300, 1_600];

/// Callers who want the floor.
const INTERRUPTIONS: [&str; 12] = [
    "callers/annie/four-two-seven-one",
    "callers/annie/hello",
    "callers/annie/no",
    "callers/max/four-two-seven-one",
    "callers/max/hello",
    "callers/max/no",
    "callers/paul/no",
    "callers/paul/hold-on",
    "callers/paul/stop-please",
    "callers/paul/what-about-tomorrow",
    "callers/paul/change-my-address",
    "callers/paul/on-friday-morning",
];

/// Callers who only listen.
const BACKCHANNELS: [&str; 5] = [
    "callers/paul/mm-hm",
    "callers/paul/okay",
    "callers/paul/right",
    "callers/paul/yeah",
    "callers/annie/yes",
];

/// What came of interruptions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupted {
    /// From the caller's first sound to `clear`.
    pub(crate) barge_in: Times,
    /// From the end of the interruption to the answer.
    pub(crate) response: Times,
    /// Interruptions that did not stop the agent.
    pub(crate) missed: Share,
    /// The agent never answered the question: there was nothing to interrupt.
    pub(crate) unanswered: Share,
    pub(crate) callers_words: Words,
    pub(crate) agents_words: Words,
}

/// What came of sounds that are no interruption.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disturbed {
    /// The agent never answered the question: there was nothing to disturb. The rest is about those
    /// that it answered.
    pub(crate) unanswered: Share,
    /// The agent stopped for it, for a moment.
    pub(crate) stopped: Share,
    /// The agent gave up the floor: what it was saying was not heard to its end.
    pub(crate) yielded: Share,
    /// It said nothing more at all.
    pub(crate) silenced: Share,
    /// From the end of the sound until the agent was heard again, if it had stopped.
    pub(crate) resume: Times,
    pub(crate) agents_words: Words,
}

/// A line with noise on it, and what came of it.
pub(crate) struct OnLine {
    pub(crate) name: String,
    pub(crate) interrupted: Interrupted,
    /// By coughs and slamming doors.
    pub(crate) noises: Disturbed,
    /// By backchannels.
    pub(crate) backchannels: Disturbed,
    /// By the line's noise alone.
    pub(crate) line_alone: Disturbed,
}

/// An echo of one loudness, at all delays.
pub(crate) struct OnEcho {
    pub(crate) loss_db: f32,
    /// By the echo alone.
    pub(crate) echo_alone: Disturbed,
    pub(crate) interrupted: Interrupted,
}

/// Interruptions and disturbances on lines with noise.
pub(crate) fn over_noise(stage: &Stage, detector: Detector) -> Result<Vec<OnLine>, Box<dyn Error>> {
    let noises: Vec<String> = (0..50)
        .map(|n| match n % 3 {
            2 => format!("door-slam-{n}"),
            _ => format!("cough-{n}"),
        })
        .collect();
    let backchannels: Vec<String> = (0..50)
        .map(|n| BACKCHANNELS[n % BACKCHANNELS.len()].to_owned())
        .collect();
    let mut all = Vec::new();
    for (name, line) in lines::noisy() {
        all.push(OnLine {
            interrupted: interrupt(stage, detector, &line)?,
            noises: disturb(stage, detector, &line, &noises)?,
            backchannels: disturb(stage, detector, &line, &backchannels)?,
            line_alone: leave_alone(stage, detector, std::slice::from_ref(&line))?,
            name,
        });
    }
    Ok(all)
}

/// Interruptions on lines with an echo, and the echo alone.
pub(crate) fn over_echo(stage: &Stage, detector: Detector) -> Result<Vec<OnEcho>, Box<dyn Error>> {
    let mut all: Vec<OnEcho> = Vec::new();
    let lines = lines::echoing();
    for of_one_loudness in lines.chunk_by(|a, b| a.0 == b.0) {
        let only: Vec<Line> = of_one_loudness
            .iter()
            .map(|(_, _, line)| line.clone())
            .collect();
        let mut interrupted = Interrupted::default();
        for line in &only {
            interrupted.add(&interrupt(stage, detector, line)?);
        }
        all.push(OnEcho {
            loss_db: of_one_loudness[0].0,
            echo_alone: leave_alone(stage, detector, &only)?,
            interrupted,
        });
    }
    Ok(all)
}

/// Every interruption at half of the offsets, in turn.
fn interrupt(
    stage: &Stage,
    detector: Detector,
    line: &Line,
) -> Result<Interrupted, Box<dyn Error>> {
    let mut scenarios = Vec::new();
    for (n, clip) in INTERRUPTIONS.iter().enumerate() {
        for offset in OFFSETS_MS.into_iter().skip(n % 2).step_by(2) {
            // Not all at the same place in a frame.
            scenarios.push(story(Some((clip, offset + 37 * n as u64)), line, n as u64));
        }
    }
    let mut interrupted = Interrupted::default();
    for played in stage.play(detector, &scenarios)? {
        interrupted.unanswered.note(played.acts.len() < 2);
        if played.acts.len() < 2 {
            continue;
        }
        let cleared = played.cleared_after(1);
        interrupted.missed.note(cleared.is_none());
        if let Some(ms) = cleared {
            interrupted.barge_in.push(ms);
        }
        if let Some(ms) = played.answered_after(1) {
            interrupted.response.push(ms);
        }
        interrupted.callers_words.note_caller(&played, |_| true);
        interrupted.agents_words.note_agent(&played);
    }
    Ok(interrupted)
}

/// Each of these sounds at some offset.
fn disturb(
    stage: &Stage,
    detector: Detector,
    line: &Line,
    sounds: &[String],
) -> Result<Disturbed, Box<dyn Error>> {
    let scenarios: Vec<Scenario> = sounds
        .iter()
        .enumerate()
        .map(|(n, clip)| {
            let offset = OFFSETS_MS[n % OFFSETS_MS.len()] + 37 * (n as u64 % 7);
            story(Some((clip, offset)), line, n as u64)
        })
        .collect();
    let mut plays = stage.play(detector, &scenarios)?;
    // Without its sound a play shows nothing.
    plays.retain(|played| played.acts.len() > 1);
    Ok(judge_disturbed(&plays))
}

/// Nothing but the line, a few times each.
fn leave_alone(
    stage: &Stage,
    detector: Detector,
    lines: &[Line],
) -> Result<Disturbed, Box<dyn Error>> {
    let mut scenarios = Vec::new();
    for line in lines {
        scenarios.extend((0..6).map(|seed| story(None, line, seed)));
    }
    Ok(judge_disturbed(&stage.play(detector, &scenarios)?))
}

fn judge_disturbed(all: &[Played]) -> Disturbed {
    let mut disturbed = Disturbed::default();
    for played in all {
        let is_answered = played.agent_words.iter().any(|word| word.percent >= 50);
        disturbed.unanswered.note(!is_answered);
        if !is_answered {
            continue;
        }
        let question_end = played.acts[0].ms.end;
        let onset = played.acts.get(1).map_or(question_end, |act| act.ms.start);
        let end = played.acts.get(1).map_or(question_end, |act| act.ms.end);
        let stopped = played.clears.iter().any(|at| *at >= onset);
        disturbed.stopped.note(stopped);
        let told = tells_all(played);
        disturbed.yielded.note(!told);
        let goes_on = played.agent.iter().any(|voice| voice.end > end + 200);
        disturbed.silenced.note(!told && !goes_on);
        if stopped
            && told
            && let Some(ms) = played.resumed_after(1)
        {
            disturbed.resume.push(ms);
        }
        disturbed.agents_words.note_agent(played);
    }
    disturbed
}

/// The last word of the story was heard.
fn tells_all(played: &Played) -> bool {
    let last = STORY.rsplit(' ').next().unwrap_or_default();
    let heard = |word: &str| {
        let mut words = played.agent_words.iter();
        words.any(|heard| heard.word == word && heard.percent >= 50)
    };
    heard(last)
}

/// A caller who asks, is told the story, and makes `sound` so many ms into it.
fn story(sound: Option<(&str, u64)>, line: &Line, seed: u64) -> Scenario {
    let plays = |clip: &str, when| Act {
        action: Action::Plays {
            clip: clip.to_owned(),
            words: None,
            gain_db: 0.0,
        },
        when,
        expect: ActExpected::default(),
    };
    let mut acts = vec![plays(QUESTION, When::AtMs(500))];
    acts.extend(sound.map(|(clip, offset)| plays(clip, When::InterruptAfterMs(offset))));
    let answer = |to: &str, says: &str| Answer {
        to: to.to_owned(),
        says: says.to_owned(),
        expects: None,
        interruptible: true,
        hangs_up: false,
    };
    let answers = vec![answer("is my order", STORY), answer("", REPLY)];
    let mut scenario = scenario(CallConfig::default(), acts, answers);
    scenario.line = Line {
        seed: seed + 1,
        ..line.clone()
    };
    scenario
}

impl Interrupted {
    fn add(&mut self, other: &Self) {
        self.barge_in.extend(&other.barge_in);
        self.response.extend(&other.response);
        self.missed.some += other.missed.some;
        self.missed.of += other.missed.of;
        self.unanswered.some += other.unanswered.some;
        self.unanswered.of += other.unanswered.of;
        self.callers_words.add(other.callers_words);
        self.agents_words.add(other.agents_words);
    }
}
