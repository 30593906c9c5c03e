//! The models that both programs run.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use sidetone::offline::TranscriberConfig;
use sidetone_models::{ModelSource, demo};

use crate::clockwork::{self, PROBE, Pace, SIZES, Size};

/// The variable that names a model to run too: one that was fetched, or a path.
const MODEL_VAR: &str = "SIDETONE_BENCH_MODEL";

/// What people say in English in a second of speech, in tokens.
const TOKENS_PER_SECOND: f64 = 3.0;

/// What a model of random weights writes for a turn of a call.
const TURN: Pace = Pace {
    words: 8,
    positions: 1_500,
};

/// A model.
pub(crate) struct Subject {
    name: String,
    weights: Weights,
    /// What is written for it lies here.
    folder: PathBuf,
}

enum Weights {
    /// The bundled model.
    Demo(PathBuf),
    /// Somebody's.
    File(PathBuf),
    Random(Size),
}

impl Subject {
    /// The bundled model, the one that the environment names, and one of random weights for each size.
    pub(crate) fn all(folder: &Path) -> io::Result<Vec<Self>> {
        let demo_file = folder.join("demo.bin");
        fs::write(&demo_file, demo::load().map_err(io::Error::other)?)?;
        let mut subjects = vec![Self {
            name: demo::NAME.to_owned(),
            weights: Weights::Demo(demo_file),
            folder: folder.to_owned(),
        }];
        if let Ok(name) = std::env::var(MODEL_VAR) {
            let found = sidetone_models::resolve(&name)
                .map_err(|error| io::Error::other(format!("{MODEL_VAR}={name}: {error}")))?;
            if let ModelSource::File(path) = found {
                fs::metadata(&path).map_err(|error| {
                    io::Error::other(format!("{MODEL_VAR}={name}: {}: {error}", path.display()))
                })?;
                subjects.push(Self {
                    name,
                    weights: Weights::File(path),
                    folder: folder.to_owned(),
                });
            }
        }
        subjects.extend(SIZES.map(|size| Self {
            name: size.name.to_owned(),
            weights: Weights::Random(size),
            folder: folder.to_owned(),
        }));
        Ok(subjects)
    }

    /// A name for the command line.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What to think of its figures.
    pub(crate) fn note(&self) -> String {
        match &self.weights {
            Weights::Demo(_) => "the bundled demo model: 1.5 million parameters and trained on \
                single short utterances. Sidetone therefore gives it one piece of speech at a time, and whisper.cpp's \
                program windows of 30 s, which it never learnt to read: no figure here speaks for a real model"
                .to_owned(),
            Weights::File(path) => path.display().to_string(),
            Weights::Random(size) => format!(
                "random weights in the true size of {}: for speed and memory only. Its texts are made up: {} words \
                 for each second of speech in the recording, dealt out evenly to the windows that a program \
                 makes of it, which a run with a tiny model counts. So both programs write as much. Neither \
                 tries again at higher temperatures",
                size.name, TOKENS_PER_SECOND
            ),
        }
    }

    /// Whether what it writes has to do with what is said.
    pub(crate) fn understands(&self) -> bool {
        !matches!(self.weights, Weights::Random(_))
    }

    /// Which of OpenAI's models has its shape, where that is known.
    pub(crate) fn shape(&self) -> Option<&'static str> {
        match self.weights {
            Weights::Random(size) => Some(size.name),
            Weights::Demo(_) | Weights::File(_) => None,
        }
    }

    /// Whether it learnt to write timestamps, by which whisper.cpp's windows end between words.
    pub(crate) fn has_timestamps(&self) -> bool {
        matches!(self.weights, Weights::File(_))
    }

    /// The file, in ggml's format. Random weights write at `pace`.
    pub(crate) fn file(&self, pace: Pace) -> io::Result<PathBuf> {
        match &self.weights {
            Weights::Demo(path) | Weights::File(path) => Ok(path.clone()),
            Weights::Random(size) => self.random(*size, pace),
        }
    }

    /// A model that tells how many windows a program makes of a recording: by its words.
    pub(crate) fn probe(&self, positions: usize) -> io::Result<(PathBuf, Pace)> {
        // So many that no piece of speech goes without, which would be decoded again.
        let words = positions * 3 / 50;
        let pace = Pace { words, positions };
        Ok((self.random(PROBE, pace)?, pace))
    }

    fn random(&self, size: Size, pace: Pace) -> io::Result<PathBuf> {
        let Pace { words, positions } = pace;
        let path = self
            .folder
            .join(format!("{}-{words}-{positions}.bin", size.name));
        if !path.exists() {
            clockwork::write(&path, size, pace)?;
        }
        Ok(path)
    }

    /// What random weights are to write in each of so many windows, so that it is what is said in
    /// `speech`.
    pub(crate) fn pace(speech: Duration, windows: usize, positions: usize) -> Pace {
        let words = speech.as_secs_f64() * TOKENS_PER_SECOND / windows.max(1) as f64;
        Pace {
            words: (words.round() as usize).max(1),
            positions,
        }
    }

    /// The model's file for a turn of a live call.
    pub(crate) fn turn_file(&self) -> io::Result<PathBuf> {
        self.file(TURN)
    }

    /// How Sidetone transcribes recordings with it.
    pub(crate) fn transcriber(&self, model: PathBuf, threads: usize) -> TranscriberConfig {
        let mut config = TranscriberConfig::new(ModelSource::File(model), &self.name);
        config.threads = threads;
        match self.weights {
            Weights::Demo(_) => config.window_ms = demo::WINDOW_MS,
            Weights::File(_) => {}
            Weights::Random(_) => config.retries = 0,
        }
        config
    }

    /// The longest window on live calls.
    pub(crate) fn live_window_ms(&self) -> Option<u32> {
        matches!(self.weights, Weights::Demo(_)).then_some(demo::WINDOW_MS)
    }

    /// Removes what was written for it.
    pub(crate) fn forget(&self) -> io::Result<()> {
        if let Weights::Random(size) = self.weights {
            for entry in fs::read_dir(&self.folder)? {
                let entry = entry?;
                let name = entry.file_name();
                let name = name.to_string_lossy();
                if name.starts_with(size.name) || name.starts_with(PROBE.name) {
                    fs::remove_file(entry.path())?;
                }
            }
        }
        Ok(())
    }
}
