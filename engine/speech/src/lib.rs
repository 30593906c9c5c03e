//! Speech recognition, language models, speech synthesis, voice activity detection and turn
//! detection, as adapters behind small traits.
//!
//! A [`Job`](sidetone_core::job::Job) from a call comes in, a provider works on it off the audio
//! path, and [`JobUpdate`](sidetone_core::job::JobUpdate)s go back through a bounded [`Sink`].
//! Providers share their models and connections between all calls. They know nothing of sockets,
//! turns or playout.

mod caught;
mod error;
pub mod http;
pub mod job;
pub mod llm;
pub mod noise_suppression;
#[cfg(feature = "onnx")]
pub mod onnx;
mod phrases;
mod pool;
mod resampling;
mod secret;
pub mod stt;
#[cfg(feature = "testing")]
pub mod testing;
pub mod tts;
pub mod turn_detector;
pub mod vad;

pub use caught::caught;
pub use error::ProviderError;
pub use http::Timeouts;
pub use job::{JobHandle, Sink, SinkClosed};
pub use llm::Llm;
pub use phrases::phrases;
pub use secret::Secret;
pub use stt::Stt;
pub use tts::Tts;
pub use turn_detector::TurnDetector;
