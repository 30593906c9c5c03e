//! Transcription of recordings beside whisper.cpp's own program: `cargo bench --bench offline`.
//!
//! Same weights, same audio, as many threads; a process each from its start to its end, model and audio loaded. The
//! programs take turns, so that what else the machine does falls on both; times are medians, and ratios
//! medians of the rounds' ratios. No time is asserted: machines differ.
//!
//! `SIDETONE_WHISPER_CPP` names whisper.cpp's program; without it only Sidetone runs. `SIDETONE_BENCH_MODEL`
//! names a model to run too, one that was fetched or a path.

mod clockwork;
mod comparison;
mod live;
mod process;
mod recordings;
mod report;
mod sidetone_child;
mod speech;
mod subject;
mod whisper_cpp;

use std::{io, num::NonZeroUsize, path::PathBuf, process::ExitCode, thread::available_parallelism};

use clap::Parser;

use comparison::Trial;
use recordings::{Kind, Recording};
use report::Report;
use speech::Speech;
use subject::Subject;
use whisper_cpp::WhisperCpp;

/// Transcribes recordings with Sidetone and with whisper.cpp's own program.
#[derive(Parser)]
#[command(name = "offline")]
struct Args {
    /// What to measure. Default: all.
    cases: Vec<Case>,
    /// The models, by name: demo, tiny.en, base.en, and the one of `SIDETONE_BENCH_MODEL`. Default: all.
    #[arg(long, value_delimiter = ',')]
    models: Vec<String>,
    /// The length of the dense speech and of the call, in minutes.
    #[arg(long, default_value_t = 5.0, value_parser = minutes)]
    minutes: f64,
    /// The length of the long file, in minutes; 240 for the goal of the memory.
    #[arg(long, default_value_t = 60.0, value_parser = minutes)]
    long_minutes: f64,
    /// How often each program runs; the long file once.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
    /// Threads of both programs. Default: one per core.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=64))]
    threads: Option<u8>,
    /// Where models and recordings are written to, and stay. Default: a temporary folder.
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
    /// What cargo adds.
    #[arg(long, hide = true)]
    bench: bool,
    /// Be the child that transcribes.
    #[arg(long, hide = true)]
    order: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Case {
    /// One speaker after the other without long pauses.
    Dense,
    /// Two speakers on two channels who take turns.
    Call,
    /// A long file, mostly pauses.
    Long,
    /// The live path, turn by turn.
    Live,
}

fn minutes(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(minutes) if (0.1..=600.0).contains(&minutes) => Ok(minutes),
        _ => Err("must be 0.1 to 600".to_owned()),
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match &args.order {
        Some(order) => sidetone_child::transcribe(order),
        None => measure(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn measure(args: &Args) -> io::Result<()> {
    let wanted = |case| args.cases.is_empty() || args.cases.contains(&case);
    let threads = args.threads.map_or_else(cores, usize::from);
    let temporary = tempfile::tempdir()?;
    let folder = args.keep.as_deref().unwrap_or(temporary.path());
    std::fs::create_dir_all(folder)?;
    let speech = Speech::new()?;
    let whisper_cpp = WhisperCpp::find();
    Report.say(&format!(
        "{} cores. Speech: {}, over a telephone line; the same in every run. {threads} threads each. Times are whole \
         processes', model and audio loaded: medians of {} rounds in which the programs take turns.",
        cores(), speech.origin, args.rounds
    ));
    match &whisper_cpp {
        Ok(_) => Report.say(
            "whisper.cpp's program gets mono WAV files of 16 kHz, a call's channels as two files of one run; \
             Sidetone the same file, the call as one of 8 kHz and two channels. Greedy: with \
             --beam-size 1 --best-of 1 --max-context 0 --no-flash-attn, which is what Sidetone does and its fastest; \
             Sidetone always finds the words' times too, whisper.cpp with --dtw only.",
        ),
        Err(reason) => Report.say(&format!("whisper.cpp's rows are left out: {reason}")),
    }
    let whisper_cpp = whisper_cpp.ok();

    let make = |kind, minutes| Recording::make(kind, minutes, &speech, folder);
    let dense = if wanted(Case::Dense) || wanted(Case::Live) {
        Some(make(Kind::Dense, args.minutes)?)
    } else {
        None
    };
    let mut compared = Vec::new();
    if wanted(Case::Call) {
        compared.push((make(Kind::Call, args.minutes)?, args.rounds));
    }
    if wanted(Case::Long) {
        compared.push((make(Kind::Long, args.long_minutes)?, 1));
    }
    if let Some(dense) = dense.as_ref().filter(|_| wanted(Case::Dense)) {
        compared.insert(0, (dense.clone(), args.rounds));
    }
    for subject in Subject::all(folder)? {
        if !args.models.is_empty() && !args.models.iter().any(|name| name == subject.name()) {
            continue;
        }
        Report.say(&format!("\n## {}\n\n{}", subject.name(), subject.note()));
        for (recording, rounds) in &compared {
            let trial = Trial {
                subject: &subject,
                recording,
                whisper_cpp: whisper_cpp.as_ref(),
                threads,
                rounds: usize::from(*rounds),
            };
            Report.comparison(recording, &trial.compare()?);
        }
        if let Some(dense) = dense.as_ref().filter(|_| wanted(Case::Live)) {
            let live = live::measure(&subject, &dense.turns)?;
            Report.live(&live, subject.understands());
        }
        if args.keep.is_none() {
            subject.forget()?;
        }
    }
    Ok(())
}

fn cores() -> usize {
    available_parallelism().map_or(1, NonZeroUsize::get)
}

#[expect(clippy::print_stderr, reason = "why there are no figures")]
fn complain(error: &io::Error) {
    eprintln!("offline: {error}");
}
