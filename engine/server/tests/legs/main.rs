//! People's legs: browsers on a real socket, a phone on the other, tones in between.

#![allow(
    clippy::unwrap_used,
    reason = "a failure in a helper is the test's failure"
)]

mod admission;
mod audio;
mod browser;
mod modes;
#[path = "../support/mod.rs"]
mod support;
mod tones;
mod world;
