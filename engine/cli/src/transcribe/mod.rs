//! `sidetone transcribe`: writes down what is said in recordings.

use std::{
    env,
    error::Error,
    ffi::OsString,
    fs,
    path::PathBuf,
    process::{self, ExitCode},
    sync::{Arc, Mutex, atomic::AtomicBool},
};

use futures_util::StreamExt as _;
use sidetone::offline::{Format, TranscribeOptions, Transcriber, TranscriberConfig};
use sidetone_models::{ModelSource, Sha256Digest, demo};
use tokio::{sync::watch, task};

mod args;
mod calls;
mod files;
mod finished;
mod inputs;
mod one;
mod outcome;
mod places;
mod summary;
mod telling;

pub use args::TranscribeArgs;

use self::{
    calls::Calls,
    finished::FinishedList,
    inputs::{Input, Inputs},
    one::{Run, Task},
    outcome::{Outcome, State, Tally},
    places::Place,
    telling::{Manner, Teller},
};
use crate::{in_full, signals::Signals};

/// The most recordings that are under way at the same time: short ones would leave threads idle.
const TOGETHER_MAX: usize = 8;

/// Said with the demo model.
const DEMO_HINT: &str = "\
the bundled demo model knows a few hundred words of an order line, most of them English: to try things out.
For real recordings fetch a real one, as by `sidetone models fetch base.en`, and say --model base.en";

/// Said where it is given a prompt.
const DEMO_PROMPT_HINT: &str =
    "it never learned what --prompt and --vocabulary are: it may write less with them";

/// Transcribes, tells how it goes on standard error, and returns the exit status that the help states.
pub async fn run(args: TranscribeArgs) -> ExitCode {
    let manner = match (args.json_progress, args.quiet) {
        (true, _) => Manner::Json,
        (false, true) => Manner::Quiet,
        (false, false) => Manner::Plain,
    };
    match transcribe(args, manner).await {
        Ok(tally) => {
            if tally.stopped > 0 {
                // A thread may still wait for standard input.
                process::exit(tally.exit_status().into());
            }
            tally.exit_code()
        }
        Err(error) => {
            Teller::new(manner, std::iter::empty()).error(&in_full(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn transcribe(args: TranscribeArgs, manner: Manner) -> Result<Tally, Box<dyn Error>> {
    let (formats, options) = (args.formats(), args.options()?);
    let calls = Calls::read(args.events.as_deref())?;
    let found = inputs::find(&args.recordings, args.flat);
    let (output, folder) = (args.output.as_deref(), args.output_dir.as_deref());
    let place = Place::of(output, folder, &found.recordings, &formats)?;
    let list = match &place {
        Place::Folder(folder) if !found.recordings.is_empty() => Some(FinishedList::open(folder)?),
        Place::Folder(_) => None,
        _ if args.resume => {
            return Err("--resume goes by the files in --output-dir, which is not given".into());
        }
        _ => None,
    };
    let teller = Arc::new(teller(manner, &found));
    for problem in &found.problems {
        teller.error(&in_full(problem));
    }
    let mut outcomes = Vec::new();
    if !found.recordings.is_empty() {
        let mut config = TranscriberConfig::named(&args.model)?;
        config.threads = args.threads();
        let together = match (&place, formats.contains(&Format::Ndjson)) {
            // Lines of one recording stay together.
            (Place::Stdout, true) => 1,
            _ => config.threads.min(TOGETHER_MAX),
        };
        let settings = settings(&config, &options, &args);
        if args.model == demo::NAME {
            teller.note(DEMO_HINT);
            if options.prompt.is_some() || !options.vocabulary.is_empty() {
                teller.note(DEMO_PROMPT_HINT);
            }
        }
        let transcriber = task::spawn_blocking(|| Transcriber::load(config));
        let transcriber = transcriber.await.expect("loading does not panic")?;
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(obey_signals(Signals::listen()?, stop, Arc::clone(&teller)));
        let run = Run {
            transcriber,
            options,
            raw: args.input_format,
            calls,
            headings: found.recordings.len() > 1,
            finished: list.map(Mutex::new),
            resume: args.resume,
            settings,
            teller: Arc::clone(&teller),
            stop: stopped,
            hopeless: AtomicBool::new(false),
            redact: args.redact.clone(),
            formats: formats.clone(),
        };
        outcomes = transcribe_all(
            &run,
            &found,
            place.files(&found.recordings, &formats),
            together,
        )
        .await;
    }
    let tally = Tally::of(&outcomes, found.problems.len());
    teller.summary(&outcomes, tally, found.others);
    if tally.stopped > 0 && manner == Manner::Plain {
        let ends = found.recordings.iter().zip(&outcomes);
        let mut stopped =
            ends.filter(|(_, outcome)| matches!(outcome.state, State::Stopped | State::NotBegun));
        let only_stdin = stopped.all(|(input, _)| *input == Input::Stdin);
        how_to_go_on(&place, only_stdin, &teller);
    }
    Ok(tally)
}

/// In the order they were named, as many at the same time as `together`.
async fn transcribe_all(
    run: &Run,
    found: &Inputs,
    files: Vec<Vec<PathBuf>>,
    together: usize,
) -> Vec<Outcome> {
    let tasks = found.recordings.iter().zip(files).enumerate();
    let tasks = tasks.map(|(n, (input, files))| Task {
        n,
        input: input.clone(),
        files,
    });
    let mut running = futures_util::stream::iter(tasks)
        .map(|task| run.transcribe(task))
        .buffered(together);
    let mut outcomes = Vec::new();
    while let Some(mut outcome) = running.next().await {
        let printed = std::mem::take(&mut outcome.printed);
        if let Err(error) = run.print(&printed) {
            outcome.state = error;
        }
        outcomes.push(outcome);
    }
    outcomes
}

fn teller(manner: Manner, found: &Inputs) -> Teller {
    let known = found.recordings.iter().map(|input| {
        let bytes = fs::metadata(input.name()).map_or(0, |about| about.len());
        (input.name().to_owned(), bytes)
    });
    Teller::new(manner, known)
}

/// A digest of all that makes a transcript what it is, apart from the recording and the format.
fn settings(
    config: &TranscriberConfig,
    options: &TranscribeOptions,
    args: &TranscribeArgs,
) -> String {
    let model = match &config.model {
        ModelSource::File(path) => {
            let about = fs::metadata(path).ok();
            let about = about.map(|about| (about.len(), about.modified().ok()));
            format!("{:?}", (path.file_name(), about))
        }
        ModelSource::Memory(bytes) => bytes.len().to_string(),
    };
    let mut redact = args.redact.clone();
    redact.sort_unstable();
    redact.dedup();
    let all = format!(
        "{:?}",
        (model, &config.name, options, redact, args.input_format)
    );
    Sha256Digest::of(all.as_bytes()).to_string()
}

/// The first signal stops, the second ends the program.
async fn obey_signals(mut signals: Signals, stop: watch::Sender<bool>, teller: Arc<Teller>) {
    signals.next().await;
    teller.note("stopping: what is being recognised is finished; once more ends at once");
    // Without a run there is nothing to stop.
    let _ = stop.send(true);
    signals.next().await;
    process::exit(130);
}

fn how_to_go_on(place: &Place, only_stdin: bool, teller: &Teller) {
    match place {
        _ if only_stdin => teller.note(
            "standard input cannot be gone on with: what comes after is lost, unless it is written to a file \
             and that is transcribed",
        ),
        Place::Folder(_) => {
            let mut command: Vec<String> = env::args_os().map(quoted).collect();
            if !command.iter().any(|word| word == "--resume") {
                command.push("--resume".to_owned());
            }
            teller.note(&format!("to go on:\n  {}", command.join(" ")));
        }
        _ => teller.note("with --output-dir, a later run could go on with --resume"),
    }
}

/// As a shell takes it for one word.
fn quoted(word: OsString) -> String {
    let word = word.to_string_lossy().into_owned();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,=:+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_repeated() {
        for (word, expected) in [
            ("calls/a.wav", "calls/a.wav"),
            ("", "''"),
            ("my calls", "'my calls'"),
            ("*.wav", "'*.wav'"),
            ("it's", r"'it'\''s'"),
        ] {
            assert_eq!(quoted(word.into()), expected);
        }
    }
}
