//! A real-time voice engine for phone calls: the embedding API.
