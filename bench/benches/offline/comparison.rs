//! Both programs on a recording, in turns.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use sidetone_bench::word_errors::WordErrors;

use crate::{
    process::{self, Run},
    recordings::{Kind, Recording},
    report::Report,
    sidetone_child,
    subject::Subject,
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

/// What is run: the programs on a recording, with a model.
pub(crate) struct Trial<'a> {
    pub(crate) subject: &'a Subject,
    pub(crate) recording: &'a Recording,
    pub(crate) whisper_cpp: Option<&'a WhisperCpp>,
    pub(crate) threads: usize,
    pub(crate) rounds: usize,
}

/// What came of a run.
struct Outcome {
    run: Run,
    /// For each channel.
    texts: Vec<String>,
    encodes: Option<u32>,
}

impl Trial<'_> {
    /// Runs each program in each round, whisper.cpp's only if there is one.
    pub(crate) fn compare(&self) -> io::Result<Vec<Row>> {
        let mut rows = vec![Row::new(Program::Sidetone)];
        if self.whisper_cpp.is_some() {
            rows.push(Row::new(Program::WhisperCpp(Search::Greedy)));
            if self.recording.kind == Kind::Dense {
                if self.subject.shape().is_some() {
                    rows.push(Row::new(Program::WhisperCpp(Search::Aligned)));
                }
                rows.push(Row::new(Program::WhisperCpp(Search::Default)));
            }
        }
        let mut models = Vec::new();
        for row in &mut rows {
            let model = self.model(row.program)?;
            row.model = model.metadata()?.len();
            models.push(model);
        }
        for round in 0..self.rounds {
            for (row, model) in rows.iter_mut().zip(&models) {
                let outcome = self.run(row.program, model)?;
                Report.ran(row.program, self.recording.kind, outcome.run.wall);
                row.runs.push(outcome.run);
                if round > 0 {
                    continue;
                }
                row.encodes = outcome.encodes;
                row.words = words(&outcome.texts);
                if self.subject.understands() {
                    let mut errors = WordErrors::default();
                    for (said, written) in self.recording.texts.iter().zip(&outcome.texts) {
                        errors.add(WordErrors::between(said, written));
                    }
                    row.errors = Some(errors);
                }
            }
        }
        Ok(rows)
    }

    /// The file that a program is to run. Random weights write what is said in all of the recording,
    /// shared out to the windows that the program makes of it.
    fn model(&self, program: Program) -> io::Result<PathBuf> {
        let config = self.subject.transcriber(PathBuf::new(), self.threads);
        let positions = match program {
            Program::Sidetone => config.window_ms as usize / 20,
            Program::WhisperCpp(_) => 1_500,
        };
        if self.subject.understands() {
            return self
                .subject
                .file(Subject::pace(Duration::ZERO, 1, positions));
        }
        let (probe, pace) = self.subject.probe(positions)?;
        // However it decodes, its windows are the same.
        let simplest = match program {
            Program::Sidetone => program,
            Program::WhisperCpp(_) => Program::WhisperCpp(Search::Greedy),
        };
        let told = self.run(simplest, &probe)?.texts;
        let windows = words(&told).div_ceil(pace.words);
        let channels = self.recording.channels.len() as u32;
        let speech = self.recording.duration.mul_f64(self.recording.share) * channels;
        self.subject.file(Subject::pace(speech, windows, positions))
    }

    fn run(&self, program: Program, model: &Path) -> io::Result<Outcome> {
        match (program, self.whisper_cpp) {
            (Program::WhisperCpp(search), Some(whisper_cpp)) => {
                self.run_whisper_cpp(whisper_cpp, search, model)
            }
            _ => self.run_sidetone(model),
        }
    }

    fn run_sidetone(&self, model: &Path) -> io::Result<Outcome> {
        let config = self.subject.transcriber(model.to_owned(), self.threads);
        let run = process::measure(&mut sidetone_child::command(&config, &self.recording.file)?)?;
        let (texts, encodes) = sidetone_child::texts(&run.output, self.recording.texts.len())?;
        Ok(Outcome {
            run,
            texts,
            encodes: Some(encodes),
        })
    }

    fn run_whisper_cpp(
        &self,
        whisper_cpp: &WhisperCpp,
        search: Search,
        model: &Path,
    ) -> io::Result<Outcome> {
        let run = process::measure(&mut whisper_cpp.command(&Job {
            model,
            threads: self.threads,
            search,
            timestamps: self.subject.has_timestamps(),
            understands: self.subject.understands(),
            shape: self.subject.shape(),
            files: &self.recording.channels,
        }))?;
        Ok(Outcome {
            run,
            texts: WhisperCpp::texts(&self.recording.channels)?,
            encodes: None,
        })
    }
}

/// How many words there are in texts.
fn words(texts: &[String]) -> usize {
    texts
        .iter()
        .map(|text| text.split_whitespace().count())
        .sum()
}
