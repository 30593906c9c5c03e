//! The sidetone program.
