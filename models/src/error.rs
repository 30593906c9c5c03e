//! What can go wrong between a model's name and its weights.

use std::io;
use std::path::PathBuf;

use crate::{ModelKind, Sha256Digest};

/// Why a model could not be resolved, loaded or verified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A model of the manifest is not in the models directory.
    #[error("the model `{name}` is not here: looked for {}\nfetch it with:\n  {fetch_command}", .path.display())]
    NotFetched {
        /// The model's name in the manifest.
        name: String,
        /// The file looked for.
        path: PathBuf,
        /// A shell command that puts the model there.
        fetch_command: String,
    },
    /// The model is published in builds, none of which is for this platform.
    #[error("there is no `{name}` for this platform, only {}", .builds.join(", "))]
    NoBuild {
        /// The name without a platform.
        name: String,
        /// The names of the builds that there are.
        builds: Vec<String>,
    },
    /// A model of the manifest, of another kind than wanted.
    #[error("`{name}` is {actual}, not {wanted}")]
    WrongKind {
        /// The model's name in the manifest.
        name: String,
        /// What it is.
        actual: ModelKind,
        /// What is wanted.
        wanted: ModelKind,
    },
    /// A path, and no such file.
    #[error("there is no file {}", .path.display())]
    NoSuchFile {
        /// The path asked for.
        path: PathBuf,
    },
    /// Neither a name of the manifest nor a file.
    #[error(
        "there is no model `{name}`, and no such file; the nearest names are {}; `sidetone models list` shows all",
        .known.iter().take(4).map(String::as_str).collect::<Vec<_>>().join(", ")
    )]
    Unknown {
        /// What was asked for.
        name: String,
        /// Every name there is, the most similar first.
        known: Vec<String>,
    },
    /// The path names something that is not a file, such as a directory.
    #[error("the model {} is not a file", .path.display())]
    NotAFile {
        /// The path asked for.
        path: PathBuf,
    },
    /// The file has not the size that the manifest states: most often a fetch that was cut short.
    #[error(
        "the model file {} has {actual_bytes} bytes, expected {expected_bytes}: fetch it again with:\n  {fetch_command}",
        .path.display()
    )]
    WrongSize {
        /// The file.
        path: PathBuf,
        /// The size that the manifest states.
        expected_bytes: u64,
        /// The size of the file.
        actual_bytes: u64,
        /// A shell command that fetches the model anew.
        fetch_command: String,
    },
    /// The file's content is not what the manifest states.
    #[error(
        "the model file {} has the SHA-256 {actual}, expected {expected}: fetch it again with:\n  {fetch_command}",
        .path.display()
    )]
    WrongDigest {
        /// The file.
        path: PathBuf,
        /// The digest that the manifest states.
        expected: Sha256Digest,
        /// The digest of the file.
        actual: Sha256Digest,
        /// A shell command that fetches the model anew.
        fetch_command: String,
    },
    /// The bundled model did not unpack to what was packed: the program file itself is damaged.
    #[error("the bundled demo model is damaged ({reason}): install the program again")]
    DamagedBundle {
        /// What was wrong.
        reason: String,
    },
    /// The operating system would not read the file.
    #[error("cannot read the model file {}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The operating system would not remove the file.
    #[error("cannot remove {}", .path.display())]
    Remove {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The file is being fetched, by this process or another.
    #[error("the model file {} is being fetched", .path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// There is no home directory to derive the models directory from.
    #[error("no models directory: set SIDETONE_MODELS_DIR")]
    NoModelsDir {
        /// Why the home directory is not known.
        source: etcetera::HomeDirError,
    },
}
