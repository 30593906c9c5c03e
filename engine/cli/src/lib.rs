//! The sidetone program.

pub mod phone;
