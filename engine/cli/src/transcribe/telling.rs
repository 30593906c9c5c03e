//! Tells on standard error what happens: a bar on a terminal, lines elsewhere, JSON for programs.

use std::{
    borrow::Cow,
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use owo_colors::OwoColorize as _;
use serde::Serialize;
use sidetone::offline::Progress;

use super::{
    outcome::{Outcome, State, Tally},
    summary::{clock, fitted, length, name, speed, summary},
};

/// How often a long recording gets a line, where there is no bar.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// How often it gets a JSON line.
const JSON_EVERY: Duration = Duration::from_millis(500);

/// How it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// For people: a bar or lines, and a table.
    Plain,
    /// For programs.
    Json,
    /// Errors alone.
    Quiet,
}

/// Tells what happens to all recordings.
#[derive(Debug)]
pub(super) struct Teller {
    manner: Manner,
    bar: Option<ProgressBar>,
    began: Instant,
    /// By the recording's place.
    recordings: Mutex<Vec<Known>>,
}

/// What is known of a recording so far.
#[derive(Debug)]
struct Known {
    name: PathBuf,
    /// Its share in the whole: its length in bytes.
    weight: u64,
    progress: Progress,
    ended: bool,
    began: Instant,
    told: Instant,
}

/// A line of `--json-progress`.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line<'a> {
    /// Something to know.
    Note { message: &'a str },
    /// Something is wrong, with a recording or before any.
    Error { message: &'a str },
    Started {
        file: &'a str,
        recording: usize,
        of: usize,
    },
    Progress {
        file: &'a str,
        done_ms: u64,
        total_ms: Option<u64>,
    },
    Finished {
        file: Cow<'a, str>,
        state: &'a str,
        audio_ms: u64,
        speech_ms: u64,
        speakers: usize,
        language: Option<&'a str>,
        segments: usize,
        took_ms: u64,
        outputs: Vec<String>,
        damaged_at_ms: Option<u64>,
    },
    Summary {
        #[serde(flatten)]
        tally: Tally,
        audio_ms: u64,
        took_ms: u64,
        passed_over: usize,
        exit_status: u8,
    },
}

impl Teller {
    /// `recordings`: their names and lengths in bytes.
    pub(super) fn new(manner: Manner, recordings: impl Iterator<Item = (PathBuf, u64)>) -> Self {
        let began = Instant::now();
        let known = recordings.map(|(name, weight)| Known {
            name,
            weight,
            progress: Progress::default(),
            ended: false,
            began,
            told: began,
        });
        let known: Vec<Known> = known.collect();
        let show_bar = manner == Manner::Plain && io::stderr().is_terminal() && !known.is_empty();
        Self {
            manner,
            bar: show_bar.then(|| bar(known.iter().map(|known| known.weight).sum())),
            began,
            recordings: Mutex::new(known),
        }
    }

    pub(super) fn note(&self, message: &str) {
        match self.manner {
            Manner::Plain => self.line(message),
            Manner::Json => json(&Line::Note { message }),
            Manner::Quiet => {}
        }
    }

    pub(super) fn error(&self, message: &str) {
        match self.manner {
            Manner::Json => json(&Line::Error { message }),
            _ => self.line(&format!("{} {message}", "error:".red().bold())),
        }
    }

    pub(super) fn began(&self, n: usize) {
        let mut known = self.known();
        known[n].began = Instant::now();
        known[n].told = known[n].began;
        if self.manner == Manner::Json {
            json(&Line::Started {
                file: &known[n].name.to_string_lossy(),
                recording: n + 1,
                of: known.len(),
            });
        }
    }

    pub(super) fn progress(&self, n: usize, progress: Progress) {
        let mut known = self.known();
        known[n].progress = progress;
        if let Some(bar) = &self.bar {
            return self.show(bar, &known);
        }
        let of = known.len();
        let known = &mut known[n];
        match self.manner {
            Manner::Json if known.told.elapsed() >= JSON_EVERY => json(&Line::Progress {
                file: &known.name.to_string_lossy(),
                done_ms: progress.done.as_millis() as u64,
                total_ms: progress.total.map(|total| total.as_millis() as u64),
            }),
            Manner::Plain if known.told.elapsed() >= LINE_EVERY => {
                let total = progress
                    .total
                    .map_or(String::new(), |total| format!(" of {}", clock(total)));
                let (name, done) = (name(&known.name), clock(progress.done));
                let speed = speed(progress.done, known.began.elapsed());
                self.line(&format!(
                    "[{}/{of}] {name}: {done}{total}, {speed} real time",
                    n + 1
                ));
            }
            _ => return,
        }
        known.told = Instant::now();
    }

    pub(super) fn ended(&self, n: usize, outcome: &Outcome) {
        let mut known = self.known();
        known[n].ended = !matches!(outcome.state, State::Stopped | State::GivenUp);
        known[n].progress.done = outcome.audio;
        match &outcome.state {
            State::Failed(why) => self.error(&format!("{}: {why}", name(&outcome.name))),
            State::Damaged(damage) => {
                let (name, message) = (name(&outcome.name), &damage.message);
                self.error(&format!(
                    "{name}: {message}; what can be decoded is transcribed"
                ));
            }
            _ => {}
        }
        if let Some(bar) = &self.bar {
            return self.show(bar, &known);
        }
        match self.manner {
            Manner::Json => json(&finished(outcome)),
            Manner::Plain if !outcome.audio.is_zero() => {
                let (name, of) = (name(&outcome.name), known.len());
                let (audio, speed) = (length(outcome.audio), speed(outcome.audio, outcome.took));
                self.line(&format!(
                    "[{}/{of}] {name}: {audio} of audio, {speed} real time",
                    n + 1
                ));
            }
            _ => {}
        }
    }

    /// Prints to standard output without disturbing the bar.
    pub(super) fn print(&self, bytes: &[u8]) -> io::Result<()> {
        let write = || {
            let mut out = io::stdout().lock();
            out.write_all(bytes)?;
            out.flush()
        };
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// The end: the table, or what is in it.
    pub(super) fn summary(&self, outcomes: &[Outcome], tally: Tally, others: usize) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let took = self.began.elapsed();
        match self.manner {
            Manner::Plain => {
                anstream::eprint!("{}", summary(outcomes, tally, others, took));
            }
            Manner::Json => {
                let audio: Duration = outcomes.iter().map(|outcome| outcome.audio).sum();
                json(&Line::Summary {
                    tally,
                    audio_ms: audio.as_millis() as u64,
                    took_ms: took.as_millis() as u64,
                    passed_over: others,
                    exit_status: tally.exit_status(),
                });
            }
            Manner::Quiet => {}
        }
    }

    fn known(&self) -> MutexGuard<'_, Vec<Known>> {
        self.recordings.lock().expect("nobody panics while telling")
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| anstream::eprintln!("{text}")),
            None => anstream::eprintln!("{text}"),
        }
    }

    fn show(&self, bar: &ProgressBar, known: &[Known]) {
        let share = |known: &Known| match known.progress.total {
            _ if known.ended => known.weight,
            Some(total) if !total.is_zero() => {
                let done = known.progress.done.as_secs_f64() / total.as_secs_f64();
                (known.weight as f64 * done.min(1.0)) as u64
            }
            _ => 0,
        };
        let audio: Duration = known.iter().map(|known| known.progress.done).sum();
        let ended = known.iter().filter(|known| known.ended).count();
        let counted = match known {
            [only] => fitted(&name(&only.name), 24),
            _ => format!("{ended}/{} recordings", known.len()),
        };
        bar.set_message(format!(
            "{counted}, {}, {}",
            clock(audio),
            speed(audio, self.began.elapsed())
        ));
        bar.set_position(known.iter().map(share).sum());
    }
}

fn bar(total: u64) -> ProgressBar {
    let (length, template) = if total > 0 {
        (
            Some(total),
            "{bar:20.cyan/dim} {percent:>3} %  {wide_msg}  {eta} left",
        )
    } else {
        (None, "{spinner} {wide_msg}")
    };
    let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr());
    bar.set_style(
        ProgressStyle::with_template(template)
            .expect("a test draws both")
            .progress_chars("━╸─"),
    );
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn finished(outcome: &Outcome) -> Line<'_> {
    Line::Finished {
        file: outcome.name.to_string_lossy(),
        state: outcome.state.name(),
        audio_ms: outcome.audio.as_millis() as u64,
        speech_ms: outcome.speech.as_millis() as u64,
        speakers: outcome.speakers,
        language: outcome.language.as_deref(),
        segments: outcome.segments,
        took_ms: outcome.took.as_millis() as u64,
        outputs: outcome
            .outputs
            .iter()
            .map(|path| path.to_string_lossy().into_owned())
            .collect(),
        damaged_at_ms: match &outcome.state {
            State::Damaged(damage) => Some(damage.at_ms),
            _ => None,
        },
    }
}

/// A line in one piece. Whoever listens may be gone, which is no reason to stop.
fn json(line: &Line<'_>) {
    let mut text = serde_json::to_string(line).expect("texts and numbers");
    text.push('\n');
    let _ = io::stderr().write_all(text.as_bytes());
}
