//! Scenario files as text: read, and understood as TOML of some shape.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;
use thiserror::Error;

/// Why a file is no scenario of any kind.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ScenarioFileError {
    /// It, or the folder it lies in, cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not TOML, or not of the right shape.
    #[error("{name}:{line}: not a scenario: {problem}")]
    Malformed {
        /// The file, or a name for it.
        name: String,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong there; names the key.
        problem: String,
    },
}

/// The text of the scenario at `path`.
///
/// # Errors
///
/// It cannot be read.
pub fn read_scenario(path: &Path) -> Result<String, ScenarioFileError> {
    fs::read_to_string(path).map_err(|source| ScenarioFileError::Read {
        path: path.to_owned(),
        source,
    })
}

/// What is written in `text`, a scenario that is called `name` in errors.
///
/// # Errors
///
/// It is not TOML, or not of the shape of `T`.
pub fn scenario_from_toml<T: DeserializeOwned>(
    name: &str,
    text: &str,
) -> Result<T, ScenarioFileError> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let before = &text.as_bytes()[..error.span().map_or(0, |span| span.start)];
        ScenarioFileError::Malformed {
            name: name.to_owned(),
            line: before.iter().filter(|byte| **byte == b'\n').count() + 1,
            problem: error.message().to_owned(),
        }
    })
}
