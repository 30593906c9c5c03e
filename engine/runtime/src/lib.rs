//! A real-time voice engine for phone calls: the embedding API.
pub mod transport;

mod driver;
mod engine;
mod event_log;
mod events;
mod handle;
mod jobs;
mod leg;

pub use engine::{BuildError, Engine, EngineBuilder, LegLimits, WarmUpError};
pub use event_log::{EventLog, EventLogError};
pub use events::{CallId, CallSummary, EventRecord, EventStream, EventsMissed};
pub use handle::{AcceptOptions, CallHandle, CallOver};
pub use sidetone_core as core;
pub use sidetone_speech as speech;
