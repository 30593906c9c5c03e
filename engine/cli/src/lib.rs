//! The sidetone program: what its commands do.

use std::error::Error;

pub mod call;
pub mod carrier;
pub mod demo;
pub mod dial;
pub mod models;
pub mod phone;
mod saved;
pub mod signals;
pub mod timeline;
pub mod transcribe;
mod view;

/// An error with its causes, on one line where they are one line each.
#[must_use]
pub fn in_full(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
