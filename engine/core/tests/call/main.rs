//! Whole calls in simulated time: a caller, a network, services and people, without a clock or a sleep.

mod ahead;
mod barge_in;
mod conversation;
mod echo_of_people;
mod endpointing;
mod floor;
mod handoff;
mod handoff_races;
mod handoff_time;
mod odd_orders;
mod silence;
mod sim;
mod suppression;
mod traps;
