//! The call-control API, from outside: a server with a store in memory, requests, and live calls.

#![allow(
    clippy::unwrap_used,
    reason = "a failure in a helper is the test's failure"
)]

mod access;
mod calls;
mod control;
mod document;
mod hooks;
mod phone;
mod place;
mod shared;
mod stand_in;
mod streams;
#[path = "../support/mod.rs"]
mod support;
mod trouble;
mod world;
