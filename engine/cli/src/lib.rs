//! The sidetone program: what its commands do.

pub mod call;
pub mod phone;
pub mod timeline;
mod view;
