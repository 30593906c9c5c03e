//! Benches per stage and per call, and the load generator.
