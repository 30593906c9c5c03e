//! Benches per stage and per call, and the load generator.
//!
//! The benches (`benches/stages`) time one stage each, in one process and on one thread;
//! `benches/offline` transcribes recordings beside whisper.cpp's own program; `benches/people` measures what
//! people on a call notice. The load
//! generator (`load`) holds many simulated calls with a server in a process of its own, over real
//! sockets and at real pace, and measures what a caller notices and what the machine pays.
//! Figures are printed beside the budgets; nothing here asserts a time.

pub mod load;
pub mod scenario;
pub mod word_errors;
