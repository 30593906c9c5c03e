//! The providers over real sockets and processes.
#![allow(clippy::unwrap_used, reason = "a failure here is a test's failure")]

mod command;
mod common;
mod conformance;
mod openai_llm;
mod openai_stt;
mod openai_tts;
