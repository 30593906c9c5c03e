//! Times stages with Criterion and keeps what a table of them needs.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use criterion::{Bencher, Criterion, SamplingMode};
use serde_json::Value;

/// One stage: what is timed, and how it is shown.
#[derive(Clone, Copy)]
pub(crate) struct Stage<'a> {
    /// The first half of its name.
    pub(crate) group: &'a str,
    /// The second half of its name.
    pub(crate) name: &'a str,
    /// What one iteration is.
    pub(crate) iteration: &'a str,
    /// How much audio one iteration handles; `None`: none.
    pub(crate) audio: Option<Duration>,
    /// How long one iteration takes, roughly.
    pub(crate) pace: Pace,
}

/// How long an iteration takes, roughly: decides how many are timed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Up to some milliseconds.
    Fast,
    /// Tenths of a second.
    Slow,
}

/// The median time of a stage that ran.
pub(crate) struct Median {
    group: String,
    name: String,
    iteration: String,
    audio: Option<Duration>,
    /// Of one iteration.
    pub(crate) time: Duration,
}

/// The medians of the stages that ran.
pub(crate) struct Medians(Vec<Median>);

impl Medians {
    /// That of one stage, if it ran.
    pub(crate) fn of(&self, group: &str, name: &str) -> Option<Duration> {
        let found = self.0.iter().find(|m| m.group == group && m.name == name);
        found.map(|median| median.time)
    }
}

/// Times stages one after the other.
pub(crate) struct Stages {
    criterion: Criterion,
    results: PathBuf,
    began: SystemTime,
    medians: Vec<Median>,
}

impl Stages {
    /// As the command line says.
    pub(crate) fn from_args() -> Self {
        // Beside this program, which lies in target/release/deps wherever that is.
        let program = std::env::current_exe().expect("a program knows its path");
        let target = program.ancestors().nth(3).expect("cargo runs it in target");
        let results = target.join("criterion");
        let criterion = Criterion::default()
            .without_plots()
            .output_directory(&results)
            .warm_up_time(Duration::from_millis(300))
            .measurement_time(Duration::from_secs(1))
            .sample_size(30)
            .nresamples(10_000)
            .configure_from_args();
        Self {
            criterion,
            results,
            began: SystemTime::now(),
            medians: Vec::new(),
        }
    }

    /// Times `run` on what `setup` makes. `setup` runs once, and not at all if the stage is not
    /// among those asked for.
    pub(crate) fn time<S, R>(
        &mut self,
        stage: Stage<'_>,
        setup: impl FnOnce() -> S,
        mut run: impl FnMut(&mut S) -> R,
    ) {
        self.measure(stage, setup, |bencher, state| {
            bencher.iter(|| run(state));
        });
    }

    /// As [`time`](Self::time), but `run` takes the times itself: it does its work so many times,
    /// and returns how long that took together.
    pub(crate) fn time_by<S>(
        &mut self,
        stage: Stage<'_>,
        setup: impl FnOnce() -> S,
        mut run: impl FnMut(&mut S, u64) -> Duration,
    ) {
        self.measure(stage, setup, |bencher, state| {
            bencher.iter_custom(|iterations| run(state, iterations));
        });
    }

    fn measure<S>(
        &mut self,
        stage: Stage<'_>,
        setup: impl FnOnce() -> S,
        mut run: impl FnMut(&mut Bencher<'_>, &mut S),
    ) {
        let mut group = self.criterion.benchmark_group(stage.group);
        if stage.pace == Pace::Slow {
            group
                .sample_size(10)
                .sampling_mode(SamplingMode::Flat)
                .measurement_time(Duration::from_secs(3));
        }
        // Criterion comes back for every sample, and only if the stage is asked for.
        let (mut setup, mut state) = (Some(setup), None);
        group.bench_function(stage.name, |bencher| {
            if let Some(setup) = setup.take() {
                state = Some(setup());
            }
            run(bencher, state.as_mut().expect("it is set up"));
        });
        group.finish();
        if let Some(time) = self.median(stage.group, stage.name) {
            self.medians.push(Median {
                group: stage.group.to_owned(),
                name: stage.name.to_owned(),
                iteration: stage.iteration.to_owned(),
                audio: stage.audio,
                time,
            });
        }
    }

    /// What Criterion found, if it timed this stage in this run.
    fn median(&self, group: &str, name: &str) -> Option<Duration> {
        let folder = self.results.join(group).join(name);
        let file = folder.join("new").join("estimates.json");
        let written = fs::metadata(&file).and_then(|data| data.modified());
        (written.ok()? >= self.began).then(|| read_median(&file))
    }

    /// Prints the table of the stages that ran.
    #[expect(clippy::print_stdout, reason = "a bench reports")]
    pub(crate) fn finish(self) -> Medians {
        self.criterion.final_summary();
        if !self.medians.is_empty() {
            println!(
                "\n{:<38} {:<46} {:>10}  of real time",
                "stage", "one iteration", "median"
            );
        }
        for median in &self.medians {
            println!(
                "{:<38} {:<46} {:>10}  {}",
                format!("{}/{}", median.group, median.name),
                median.iteration,
                readable(median.time),
                median
                    .audio
                    .map_or(String::new(), |audio| of_real_time(median.time, audio)),
            );
        }
        Medians(self.medians)
    }
}

fn read_median(file: &Path) -> Duration {
    let text = fs::read_to_string(file).expect("Criterion has just written it");
    let estimates: Value = serde_json::from_str(&text).expect("Criterion writes JSON");
    let nanos = estimates["median"]["point_estimate"].as_f64();
    Duration::from_secs_f64(nanos.expect("Criterion estimates the median") / 1e9)
}

/// Three digits and a unit.
pub(crate) fn readable(time: Duration) -> String {
    let nanos = time.as_secs_f64() * 1e9;
    let (value, unit) = match nanos {
        ..1e3 => (nanos, "ns"),
        ..1e6 => (nanos / 1e3, "µs"),
        _ => (nanos / 1e6, "ms"),
    };
    let decimals = match value {
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {unit}")
}

/// The share of the audio's own duration; what takes long, as how much faster than real time.
fn of_real_time(time: Duration, audio: Duration) -> String {
    let share = time.as_secs_f64() / audio.as_secs_f64();
    if audio < Duration::from_secs(1) {
        format!("{:.3} % of {} ms", share * 100.0, audio.as_millis())
    } else {
        format!("{:.0} × faster", 1.0 / share)
    }
}
