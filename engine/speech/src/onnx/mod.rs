//! Models by ONNX Runtime, whose library is opened at run time.
//!
//! The library is looked for at the environment's `ORT_DYLIB_PATH`; else in the models directory,
//! where `sidetone models fetch onnxruntime` puts it; else where the system keeps its libraries.
//! The first that is there is used, for the rest of the process, and must be version 1.24 or later.
//! Without one, whatever needs a model of this kind says so, and nothing else is the worse.

mod elf;
mod library;

use std::{path::PathBuf, sync::Arc};

use ort::{
    environment::Environment,
    logging::LogLevel,
    session::{Session, builder::SessionBuilder},
};
use sidetone_models::{ModelError, ModelSource};
use thiserror::Error;

/// Opens ONNX Runtime, if it is not open yet; every model does this by itself.
///
/// # Errors
///
/// [`OnnxError::NoRuntime`], [`OnnxError::Runtime`] or [`OnnxError::Models`].
pub fn open() -> Result<(), OnnxError> {
    library::environment().map(drop)
}

/// The model of the manifest that is called `name`, such as `silero-vad`, in the models directory.
///
/// # Errors
///
/// [`OnnxError::NoModel`] if it was not fetched; [`OnnxError::Models`].
pub fn fetched(name: &str) -> Result<ModelSource, OnnxError> {
    match sidetone_models::path_of(name) {
        Ok(path) => Ok(ModelSource::File(path)),
        Err(ModelError::NotFetched {
            name,
            path,
            fetch_command,
        }) => Err(OnnxError::NoModel {
            name,
            path,
            fetch_command,
        }),
        Err(other) => Err(OnnxError::Models(other)),
    }
}

/// Why a model cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// There is no ONNX Runtime.
    #[error(
        "ONNX Runtime is not here: fetch it with `sidetone models fetch onnxruntime`, or set \
         ORT_DYLIB_PATH to its library, version 1.24 or later"
    )]
    NoRuntime,
    /// There is an ONNX Runtime that cannot be used.
    #[error(
        "the ONNX Runtime {} cannot be used: {problem}; `sidetone models fetch onnxruntime` \
         brings one that can",
        path.display()
    )]
    Runtime {
        /// The library.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The model was not fetched.
    #[error("the model {name} is not here ({}): fetch it with `{fetch_command}`", path.display())]
    NoModel {
        /// The model's name in the manifest.
        name: String,
        /// The file looked for.
        path: PathBuf,
        /// A command that fetches it.
        fetch_command: String,
    },
    /// What was fetched cannot be used.
    #[error(transparent)]
    Models(#[from] ModelError),
    /// The file is no model that ONNX Runtime can load.
    #[error("{model} cannot be loaded as an ONNX model: {problem}")]
    Unloadable {
        /// The file, or that the model came from memory.
        model: String,
        /// What ONNX Runtime says about it.
        problem: String,
    },
    /// A model, but of something else.
    #[error("{model} is not a {expected} model: {problem}")]
    OtherModel {
        /// The file, or that the model came from memory.
        model: String,
        /// What it should be.
        expected: &'static str,
        /// What shows that it is not.
        problem: String,
    },
    /// A setting is out of its range.
    #[error("{key} = {value}: {expected}")]
    Config {
        /// The setting.
        key: &'static str,
        /// What it was set to.
        value: usize,
        /// What it may be.
        expected: &'static str,
    },
    /// A worker thread could not be started.
    #[error("cannot start a thread for the model")]
    Thread(#[source] std::io::Error),
}

/// A model's file, and what it is: enough to make sessions of it.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    source: ModelSource,
    name: Arc<str>,
    shape: Shape,
}

/// What sets a model apart from others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// What the model is called.
    pub(crate) name: &'static str,
    /// The names of its inputs, in their order.
    pub(crate) inputs: &'static [&'static str],
    /// The names of its outputs, in their order.
    pub(crate) outputs: &'static [&'static str],
}

impl Model {
    pub(crate) fn new(source: ModelSource, shape: Shape) -> Self {
        let name = match &source {
            ModelSource::File(path) => path.display().to_string(),
            ModelSource::Memory(_) => "the model in memory".to_owned(),
        };
        Self {
            source,
            name: name.into(),
            shape,
        }
    }

    /// A session of the model's own, to be used by one thread at a time: `ort` holds that ONNX
    /// Runtime's `Run` is not safe to share. It starts no threads.
    pub(crate) fn session(&self) -> Result<Session, OnnxError> {
        let environment = library::environment()?;
        let session = self
            .load(&environment)
            .map_err(|error| OnnxError::Unloadable {
                model: self.name.to_string(),
                problem: one_line(&error.to_string()),
            })?;
        let inputs: Vec<&str> = session.inputs().iter().map(|input| input.name()).collect();
        let outputs: Vec<&str> = session.outputs().iter().map(|out| out.name()).collect();
        if inputs == self.shape.inputs && outputs == self.shape.outputs {
            Ok(session)
        } else {
            Err(self.other(format!(
                "it takes {} and gives {}",
                inputs.join(", "),
                outputs.join(", ")
            )))
        }
    }

    /// The error of a model that turned out to be another.
    pub(crate) fn other(&self, problem: impl Into<String>) -> OnnxError {
        OnnxError::OtherModel {
            model: self.name.to_string(),
            expected: self.shape.name,
            problem: one_line(&problem.into()),
        }
    }

    fn load(&self, environment: &Environment) -> ort::Result<Session> {
        let mut builder = SessionBuilder::new(environment)?
            .with_intra_threads(1)?
            .with_inter_threads(1)?
            .with_log_level(LogLevel::Warning)?;
        match &self.source {
            ModelSource::File(path) => builder.commit_from_file(path),
            ModelSource::Memory(bytes) => builder.commit_from_memory(bytes),
        }
    }
}

/// ONNX Runtime's messages can be paragraphs; the first says what is wrong.
pub(crate) fn one_line(message: &str) -> String {
    let mut lines = message.lines().map(str::trim);
    lines
        .find(|line| !line.is_empty())
        .unwrap_or("no reason given")
        .to_owned()
}
