//! What can go wrong on the way from a server to the models directory.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use reqwest::StatusCode;

use crate::{ModelError, Sha256Digest};

/// Why a model could not be fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The models directory is not known, or what is in it cannot be read.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The mirror is not an HTTP address.
    #[error("the mirror {url:?} is not an http or https address")]
    Mirror {
        /// What was given.
        url: String,
    },
    /// The HTTP client could not be set up.
    #[error("cannot set up the HTTP client")]
    Client(#[source] reqwest::Error),
    /// A folder or file could not be written. What was fetched so far stays for the next time.
    #[error("cannot write {}", .path.display())]
    Write {
        /// The folder or file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// A file could not be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The server refused, and would again.
    #[error("{url} answered {status}")]
    Status {
        /// The address.
        url: String,
        /// The server's answer.
        status: StatusCode,
    },
    /// The connection broke too often. What was fetched so far stays for the next time.
    #[error("gave up on {url} after {attempts} attempts that brought nothing new")]
    GaveUp {
        /// The address.
        url: String,
        /// How many there were since the last one that brought something.
        attempts: u32,
        /// What ended the last one.
        source: Interruption,
    },
    /// The server's file has another size than the manifest states: it is not that file.
    #[error("{url} has {actual_bytes} bytes, expected {expected_bytes}: it is another file")]
    WrongSize {
        /// The address.
        url: String,
        /// The size that the manifest states.
        expected_bytes: u64,
        /// The size that the server states.
        actual_bytes: u64,
    },
    /// The server sent more than the manifest states. What it sent was thrown away.
    #[error("{url} sent more than the expected {expected_bytes} bytes: it is another file")]
    TooLong {
        /// The address.
        url: String,
        /// The size that the manifest states.
        expected_bytes: u64,
    },
    /// The content is not what the manifest states. It was thrown away.
    #[error(
        "{origin} has the SHA-256 {actual}, expected {expected}: it is another file, or was damaged on its way"
    )]
    WrongDigest {
        /// The address or the file that it came from.
        origin: String,
        /// The digest that the manifest states.
        expected: Sha256Digest,
        /// The digest of what came.
        actual: Sha256Digest,
    },
    /// The archive cannot be unpacked.
    #[error("cannot take {member} out of the archive from {origin}")]
    Archive {
        /// The address or the file that the archive came from.
        origin: String,
        /// The wanted file's path in it.
        member: String,
        /// Why not.
        source: Box<dyn Error + Send + Sync>,
    },
    /// None of the given files is the one that the model needs.
    #[error("{name} is wanted and not given: it is {url}")]
    NotGiven {
        /// The file's name.
        name: String,
        /// Where it can be had.
        url: String,
    },
    /// The given file is another one, by its size.
    #[error("{} has {actual_bytes} bytes, expected {expected_bytes}: it is another file", .path.display())]
    GivenWrongSize {
        /// The given file.
        path: PathBuf,
        /// The size that the manifest states.
        expected_bytes: u64,
        /// The size of the given file.
        actual_bytes: u64,
    },
}

/// What ended an attempt after which another one makes sense.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Interruption {
    /// No connection, a broken one, or one on which nothing came for too long.
    #[error("the connection failed")]
    Connection(#[source] reqwest::Error),
    /// The server has a trouble that may pass.
    #[error("the server answered {0}")]
    Status(StatusCode),
    /// The server ended before the file's end.
    #[error("the server stopped after {received_bytes} of {expected_bytes} bytes")]
    Short {
        /// How much there is now.
        received_bytes: u64,
        /// How much there should be.
        expected_bytes: u64,
    },
    /// The server's answer to a request for the rest of the file does not fit the request.
    #[error("the server sent another part of the file than asked for")]
    WrongPart,
}
