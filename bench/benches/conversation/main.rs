//! How well turns are taken: `cargo bench -p sidetone-bench --bench conversation`.
//!
//! Callers who pause, interrupt, cough and listen, over quiet, noisy and echoing lines, in simulated
//! time: the figures are the same on every machine and in every run. Services answer at once, except
//! where it says otherwise; speech recognition makes no mistakes and sets no punctuation marks.
//!
//! Smart Turn and Silero take part where they are: fetched (`sidetone models fetch`), or in
//! `SIDETONE_MODELS_DIR` as they are published, with ONNX Runtime at `ORT_DYLIB_PATH`. `-- --write`
//! puts the tables into `docs/turn-taking.md` and the curve beside it. `-- --misses` tells instead what
//! the defaults, or the `[endpointing]` settings that follow it (`'silence_ms = 400'`), make of each part
//! of the corpus, and the whole course of conversations in which words were lost. Nothing here is asserted: what
//! must hold is in the tests.

mod corpus;
mod curve;
mod endpointing;
mod figures;
mod interruptions;
mod lines;
mod misses;
mod models;
mod play;
mod report;
mod suite;
mod table;
mod words;

use std::{error::Error, fs, path::Path, time::Instant};

use sidetone_bench::scenario::{Clips, ServiceBehaviours};
use sidetone_core::config::CallConfig;

use crate::{
    corpus::Corpus,
    models::{Detector, Models},
    play::Stage,
};

/// In the documentation, the tables stand between these.
const BEGIN: &str = "<!-- evaluation: written by `cargo bench --bench conversation -- --write` -->";
const END: &str = "<!-- end of the evaluation -->";

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let has = |wanted: &str| args.iter().any(|arg| arg == wanted);
    // Cargo says `--bench` to a bench; without it this is `cargo test --benches`, which only wants to
    // see it run.
    let rounds = if has("--bench") { usize::MAX } else { 1 };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let stage = Stage {
        fixtures: root.join("fixtures"),
        models: Models::find()?,
    };
    let began = Instant::now();
    let corpus = Corpus::read(&stage.fixtures, &mut Clips::new(&stage.fixtures)?, rounds)?;
    if rounds == 1 {
        let (config, line) = (CallConfig::default(), lines::noisy().remove(0).1);
        let services = ServiceBehaviours::default();
        endpointing::over(
            &stage,
            &corpus,
            &config,
            &line,
            &services,
            Detector::Default,
        )?;
        return Ok(());
    }
    if let Some(at) = args.iter().position(|arg| arg == "--misses") {
        let settings = args.get(at + 1).filter(|arg| arg.contains('='));
        let config = CallConfig {
            endpointing: toml::from_str(settings.map_or("", String::as_str))?,
            ..CallConfig::default()
        };
        config.validate()?;
        print(&misses::tell(&stage, &corpus, &config)?);
        return Ok(());
    }
    let mut tables = Vec::new();
    let figures = report::measure(&stage, &corpus, |table| {
        print(table);
        tables.push(table.to_owned());
    })?;
    print(&format!("Took {} s.", began.elapsed().as_secs()));
    if has("--write") {
        let docs = root.join("docs");
        fs::write(
            docs.join("endpointing-curve.svg"),
            curve::draw(&figures.strategies, figures.defaults()),
        )?;
        let page = docs.join("turn-taking.md");
        let text = fs::read_to_string(&page)?;
        fs::write(&page, with_tables(&text, &tables.join("\n"))?)?;
    }
    Ok(())
}

/// `text` with `tables` between the marks.
fn with_tables(text: &str, tables: &str) -> Result<String, Box<dyn Error>> {
    let missing = || format!("docs/turn-taking.md must have the lines {BEGIN:?} and {END:?}");
    let (before, rest) = text.split_once(BEGIN).ok_or_else(missing)?;
    let (_, after) = rest.split_once(END).ok_or_else(missing)?;
    Ok(format!("{before}{BEGIN}\n\n{tables}\n{END}{after}"))
}

#[expect(clippy::print_stdout, reason = "a bench reports")]
fn print(text: &str) {
    println!("{text}");
}
