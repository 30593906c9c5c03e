//! What is kept of calls, and who may read it: SQLite in a file of its own, or a PostgreSQL server.
//!
//! [`Store`] reads and writes; its clones share one pool of connections. [`StoreWriter`] writes down
//! what the engine tells, off the calls' path. One set of queries serves both databases; only
//! migrations and the search of texts differ.

mod access;
mod audit;
mod calls;
mod database;
mod deliveries;
mod error;
mod events;
mod presence;
mod search;
mod summary;
#[cfg(test)]
mod tests;
mod time;
mod transcript;
pub(crate) mod writer;

pub use access::{NewToken, Role, Session, Token};
pub use audit::{AuditEntry, AuditFilter, NewAuditEntry};
pub use calls::{
    CallFilter, CallRecord, CallState, Cursor, Direction, InvalidCursor, Latency, Page,
    RecordingFile, RecordingFormat, UnansweredCall,
};
pub use database::Store;
pub(crate) use database::{create_private_dir, data_dir};
pub use deliveries::{Delivery, NewDelivery};
pub use error::StoreError;
pub use events::StoredEvent;
pub use summary::Hour;
pub use time::UnixMs;
pub(crate) use transcript::Change;
pub use transcript::{Line, Speaker};
pub use writer::{ExpectedCall, StoreWriter, WriterStatus};
