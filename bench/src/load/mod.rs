//! The load generator: a server under many calls.

pub mod child;
pub mod leg;
pub mod report;
pub mod services;
pub mod talk;
