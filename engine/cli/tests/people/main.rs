//! People on calls, by phone and by browser: a real server, the carrier on this machine, and phones that hum.

#![allow(
    clippy::unwrap_used,
    reason = "a failure in a helper is the test's failure"
)]

mod console;
mod phone;
#[path = "../../../server/tests/legs/tones.rs"]
mod tones;
mod transfer;
mod world;
