//! Both programs on a recording, in turns.

use std::{io, time::Duration};

use sidetone_bench::word_errors::WordErrors;

use crate::{
    process::{self, Run},
    recordings::{Kind, Recording},
    report::Report,
    sidetone_child,
    subject::{Runner, Subject},
    whisper_cpp::{Job, Search, WhisperCpp},
};

/// Who ran, how often, and what came out.
pub(crate) struct Row {
    pub(crate) program: Program,
    pub(crate) runs: Vec<Run>,
    /// Size of the model's file in bytes.
    pub(crate) model: u64,
    /// `None` where the text is made up.
    pub(crate) errors: Option<WordErrors>,
    pub(crate) words: usize,
    /// How often the encoder ran, where it is told.
    pub(crate) encodes: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    Sidetone,
    WhisperCpp(Search),
}

impl Row {
    fn new(program: Program) -> Self {
        Self {
            program,
            runs: Vec::new(),
            model: 0,
            errors: None,
            words: 0,
            encodes: None,
        }
    }

    pub(crate) fn wall(&self) -> Duration {
        median(self.runs.iter().map(|run| run.wall))
    }

    pub(crate) fn cpu(&self) -> Duration {
        median(self.runs.iter().map(|run| run.cpu))
    }

    /// The highest memory of any run, without the model.
    pub(crate) fn memory(&self) -> u64 {
        let peak = self.runs.iter().map(|run| run.peak).max();
        peak.unwrap_or_default().saturating_sub(self.model)
    }

    /// How many times as long `other` took in the same rounds, as the median over them.
    pub(crate) fn faster_than(&self, other: &Self, time: fn(&Run) -> Duration) -> f64 {
        let rounds = self.runs.iter().zip(&other.runs);
        let ratio = rounds.map(|(own, other)| time(other).as_secs_f64() / time(own).as_secs_f64());
        let mut ratios: Vec<f64> = ratio.collect();
        ratios.sort_by(f64::total_cmp);
        ratios[ratios.len() / 2]
    }
}

/// The middle one; of two the longer.
pub(crate) fn median(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<Duration> = times.collect();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Runs each program in each round, whisper.cpp's only if there is one.
pub(crate) fn compare(
    subject: &Subject,
    recording: &Recording,
    whisper_cpp: Option<&WhisperCpp>,
    threads: usize,
    rounds: usize,
) -> io::Result<Vec<Row>> {
    let mut rows = vec![Row::new(Program::Sidetone)];
    if whisper_cpp.is_some() {
        rows.push(Row::new(Program::WhisperCpp(Search::Greedy)));
        if recording.kind == Kind::Dense {
            if subject.shape().is_some() {
                rows.push(Row::new(Program::WhisperCpp(Search::Aligned)));
            }
            rows.push(Row::new(Program::WhisperCpp(Search::Default)));
        }
    }
    for round in 0..rounds {
        for row in &mut rows {
            let texts = match (row.program, whisper_cpp) {
                (Program::WhisperCpp(search), Some(whisper_cpp)) => {
                    run_whisper_cpp(row, subject, recording, whisper_cpp, search, threads)?
                }
                _ => run_sidetone(row, subject, recording, threads)?,
            };
            if let Some(run) = row.runs.last() {
                Report.ran(row.program, recording.kind, run.wall);
            }
            if round > 0 {
                continue;
            }
            row.words = texts
                .iter()
                .map(|text| text.split_whitespace().count())
                .sum();
            if subject.understands() {
                let mut errors = WordErrors::default();
                for (said, written) in recording.texts.iter().zip(&texts) {
                    errors.add(WordErrors::between(said, written));
                }
                row.errors = Some(errors);
            }
        }
    }
    Ok(rows)
}

fn run_sidetone(
    row: &mut Row,
    subject: &Subject,
    recording: &Recording,
    threads: usize,
) -> io::Result<Vec<String>> {
    let model = subject.file(Runner::Sidetone)?;
    row.model = model.metadata()?.len();
    let config = subject.transcriber(model, threads);
    let run = process::measure(&mut sidetone_child::command(&config, &recording.file)?)?;
    let (texts, encodes) = sidetone_child::texts(&run.output, recording.texts.len())?;
    row.encodes = Some(encodes);
    row.runs.push(run);
    Ok(texts)
}

fn run_whisper_cpp(
    row: &mut Row,
    subject: &Subject,
    recording: &Recording,
    whisper_cpp: &WhisperCpp,
    search: Search,
    threads: usize,
) -> io::Result<Vec<String>> {
    let percent = (recording.share * 100.0).ceil() as u8;
    let model = subject.file(Runner::WhisperCpp { percent })?;
    row.model = model.metadata()?.len();
    let run = process::measure(&mut whisper_cpp.command(&Job {
        model: &model,
        threads,
        search,
        timestamps: subject.has_timestamps(),
        understands: subject.understands(),
        shape: subject.shape(),
        files: &recording.channels,
    }))?;
    row.runs.push(run);
    WhisperCpp::texts(&recording.channels)
}
