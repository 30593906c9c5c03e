//! Why Whisper could not be loaded.

use std::{io, path::PathBuf};

use thiserror::Error;

/// Why [`Whisper::load`](super::Whisper::load) failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WhisperError {
    /// A setting is out of its range.
    #[error("stt.{key} = {value}: {expected}")]
    Config {
        /// The setting, as in the config.
        key: &'static str,
        /// What it was set to.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// The model's file cannot be read.
    #[error("cannot read the Whisper model {}", path.display())]
    Unreadable {
        /// The file looked for.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The bytes are no Whisper model that can be loaded.
    #[error("{model} cannot be used as a Whisper model")]
    Model {
        /// The file looked for, or that the model came from memory.
        model: String,
        /// What is wrong with it.
        source: ModelFileError,
    },
    /// whisper.cpp refused a model that looks right from outside: most often a weight's name or
    /// shape does not fit the header.
    #[error("whisper.cpp cannot load {model}: its weights do not fit its header")]
    Load {
        /// The file looked for, or that the model came from memory.
        model: String,
    },
    /// The model does not know a configured language.
    #[error("stt.{key} = {language:?}: {model} understands {understood}")]
    Language {
        /// The setting.
        key: &'static str,
        /// What was asked for.
        language: String,
        /// The model.
        model: String,
        /// What it can do instead.
        understood: String,
    },
    /// A worker thread could not be started.
    #[error("cannot start a Whisper worker")]
    Thread(#[source] io::Error),
}

/// What is wrong with the bytes of a model.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ModelFileError {
    /// Another kind of file.
    #[error(
        "not a Whisper model in ggml format: it starts with {found:02x?}, not with the magic \
         number 6c 6d 67 67 (models named ggml-*.bin have it; GGUF, safetensors and PyTorch files \
         do not)"
    )]
    NotGgml {
        /// Its first four bytes.
        found: [u8; 4],
    },
    /// The file ends too early.
    #[error("cut short: it ends within {part}; fetch it again")]
    CutShort {
        /// What was being read.
        part: &'static str,
    },
    /// A number that no Whisper model has.
    #[error("damaged: {field} is {value}, which must be {expected}")]
    Damaged {
        /// Which number.
        field: &'static str,
        /// The number.
        value: i64,
        /// What it may be.
        expected: &'static str,
    },
    /// Weights are missing, double or too many.
    #[error("holds {found} weights where its header asks for {expected}")]
    Weights {
        /// How many there are.
        found: usize,
        /// How many there must be.
        expected: usize,
    },
    /// It cannot be read.
    #[error("cannot be read")]
    Io(#[source] io::Error),
}
