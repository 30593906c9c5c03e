//! The sidetone program: what its commands do.

pub mod call;
pub mod demo;
pub mod phone;
mod saved;
pub mod timeline;
mod view;
