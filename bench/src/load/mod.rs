//! The load generator: a server under many calls.

pub mod child;
pub mod leg;
pub mod listen;
pub mod machine;
pub mod report;
pub mod services;
pub mod talk;
