//! The HTTP server that Twilio connects to.

mod admission;
pub mod config;
pub mod signature;
mod twiml;
