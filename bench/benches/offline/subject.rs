//! The models that both programs run.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use sidetone::offline::TranscriberConfig;
use sidetone_models::{ModelSource, demo};

use crate::clockwork::{self, SIZES, Size};

/// The variable that names a model to run too: one that was fetched, or a path.
const MODEL_VAR: &str = "SIDETONE_BENCH_MODEL";

/// What a model of random weights writes in a window of 30 s that is full of speech: what people say in
/// English, in tokens.
const TOKENS_PER_WINDOW: f64 = 90.0;

/// What it writes for a turn of a call.
const TOKENS_PER_TURN: usize = 8;

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

/// Who is to run a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runner {
    /// Fills its windows with speech.
    Sidetone,
    /// Takes windows as they come, with this share of speech.
    WhisperCpp { percent: u8 },
    /// A turn of a call at a time.
    Live,
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
                "random weights in the true size of {}: for speed and memory only. Its texts are made up, {} words in a \
                 window of 30 s of speech for Sidetone, which fills its windows, and as many for each second of speech \
                 for whisper.cpp; both without second tries at higher temperatures",
                size.name, TOKENS_PER_WINDOW
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

    /// The file, in ggml's format.
    pub(crate) fn file(&self, runner: Runner) -> io::Result<PathBuf> {
        let (Weights::Demo(path) | Weights::File(path)) = &self.weights else {
            return self.random(runner);
        };
        Ok(path.clone())
    }

    fn random(&self, runner: Runner) -> io::Result<PathBuf> {
        let Weights::Random(size) = self.weights else {
            unreachable!("asked for random weights only");
        };
        let tokens = match runner {
            Runner::Sidetone => TOKENS_PER_WINDOW as usize,
            Runner::WhisperCpp { percent } => {
                (TOKENS_PER_WINDOW * f64::from(percent) / 100.0).ceil() as usize
            }
            Runner::Live => TOKENS_PER_TURN,
        };
        let path = self.folder.join(format!("{}-{tokens}.bin", size.name));
        if !path.exists() {
            clockwork::write(&path, size, tokens)?;
        }
        Ok(path)
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
                if entry.file_name().to_string_lossy().starts_with(size.name) {
                    fs::remove_file(entry.path())?;
                }
            }
        }
        Ok(())
    }
}
