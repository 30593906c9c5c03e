//! The far end, modelled: what tests, the simulated phone and the load generator talk from.

mod playout_buffer;

pub use playout_buffer::{LONGEST_UNDERRUN, Pause, PlayoutBuffer};
