//! The providers over real sockets and processes.

mod common;
mod conformance;
