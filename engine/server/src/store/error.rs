//! What can go wrong with a store.

use std::{io, path::PathBuf};

use thiserror::Error;

/// Why the store did not do what it was asked. No message holds a password, a number or a word of a
/// call.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Not the address of a database.
    #[error(
        "must be \"sqlite:\" and a file, such as \"sqlite:/var/lib/sidetone/calls.db\", or the \
         address of a PostgreSQL server, such as \"postgres://user:password@host/database\""
    )]
    Url(#[source] Option<sqlx::Error>),
    /// The platform does not say where data belongs.
    #[error("there is no data directory for the database; set `store.url`")]
    NoDataDir {
        /// Why.
        source: etcetera::HomeDirError,
    },
    /// The database's file, or a file beside it, cannot be made.
    #[error("cannot create {}", path.display())]
    Create {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The database cannot be connected to.
    #[error("cannot open the database {place}")]
    Open {
        /// Which one: a file, or a host and a name.
        place: String,
        /// Why.
        source: sqlx::Error,
    },
    /// The database is of another version of the program, or was changed by hand.
    #[error(
        "the tables of the database {place} are not those of this version of sidetone; a database of a \
         newer version cannot be used by an older one"
    )]
    Migrate {
        /// Which one: a file, or a host and a name.
        place: String,
        /// What did not fit.
        source: sqlx::migrate::MigrateError,
    },
    /// A query failed: the database is away, locked, damaged, or its disk is full.
    #[error("the database failed")]
    Query(#[from] sqlx::Error),
    /// A row holds what this version does not understand.
    #[error("the database holds {found:?} as {what}, which this version of sidetone does not know")]
    Unknown {
        /// Which column.
        what: &'static str,
        /// What it holds.
        found: String,
    },
    /// A call that is going on cannot be deleted.
    #[error("the call is going on: it can be deleted when it has ended")]
    Live,
    /// The recording of a call cannot be deleted.
    #[error("cannot delete the recording {}", path.display())]
    Recording {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
