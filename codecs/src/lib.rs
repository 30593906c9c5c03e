//! G.711, Opus, resampling and audio files for telephony.
//!
//! Samples flow through this crate as 16-bit PCM in buffers that the caller owns. Nothing here
//! asks a clock, opens a socket or starts a thread; after construction the per-frame paths
//! allocate nothing.

pub mod g711;
mod opus;
#[cfg(feature = "recordings")]
pub mod recording;
mod resample;
mod units;
pub mod wav;

pub use opus::{OpusDecoder, OpusEncoder, OpusError, OpusSettings};
pub use resample::{ResampleError, Resampler};
pub use units::{SampleCount, SampleRate};
