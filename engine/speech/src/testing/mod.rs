//! Stand-ins for speech services: scripted fakes of the services, and an HTTP server that
//! speaks the OpenAI-compatible protocols. Behind the feature `testing`.
//!
//! The fakes answer from a script, one step a job, and repeat their last step when the script is
//! over. Their delays are tokio's time: under `start_paused` a test with them takes none.
//!
//! ```
//! use std::time::Duration;
//! use sidetone_core::job::FailureKind;
//! use sidetone_speech::testing::{FakeLlm, FakeStt, FakeTts};
//!
//! let stt = FakeStt::new().hears("hello").hears("goodbye").after(Duration::from_millis(80));
//! let llm = FakeLlm::new().fails(FailureKind::Overloaded).says_and_hangs_up("Goodbye.");
//! let tts = FakeTts::new().speaks().breaks_off(Duration::from_millis(300)).hangs();
//! ```

pub mod conformance;
mod fakes;
mod probe;
mod stand_in;

pub use fakes::{FakeLlm, FakeStt, FakeTts, FakeTurnDetector};
pub use probe::Probe;
pub use stand_in::{Misbehaviour, OpenAiStandIn, Route, Seen};
