//! One phone call as a pure state machine.
//!
//! A [`Call`](call::Call) is driven by one method, [`Call::step`](call::Call::step): time and an
//! [`Input`](io::Input) go in, [`Output`](io::Output)s are appended to the caller's buffer, and
//! the next deadline comes back. The call asks for speech recognition, language models and speech
//! synthesis as [`Job`](job::Job)s by id and receives their results as inputs; results whose id is
//! no longer current are dropped.
//!
//! Nothing in this crate is asynchronous, asks a clock, or does I/O. A whole conversation
//! therefore runs in a test in microseconds, and benches, offline transcription and replay are
//! simply other drivers of the same machine.

mod as_base64;
mod backchannel;
mod bridge;
pub mod call;
pub mod config;
pub mod conversation;
pub mod dialect;
mod echo;
mod echo_text;
mod endpointing;
pub mod event;
pub mod handoff;
mod hearing;
mod idle;
pub mod ingress;
mod interruption;
pub mod io;
pub mod job;
mod keypad;
mod latency;
mod ledger;
mod line;
mod loudness;
mod noise;
pub mod numerals;
mod partials;
pub mod person;
mod playout;
mod reply;
mod sentence;
pub mod sim;
pub mod suppression;
pub mod time;
pub mod timer;
mod tones;
mod transcripts;
mod turn;
pub mod vad;
