//! Voice activity detection, as the call sees it.

use std::sync::Arc;

use sidetone_codecs::SampleRate;

/// Makes the detector of a person's leg.
pub type MakeVad = Arc<dyn Fn() -> Box<dyn Vad> + Send + Sync>;

/// A voice activity detector for one leg.
///
/// It is fed whole frames in order and answers at once; it runs inside
/// [`Call::step`](crate::call::Call::step), so it neither blocks nor allocates after construction.
pub trait Vad: Send {
    /// The rate of the PCM it listens to.
    fn rate(&self) -> SampleRate;

    /// The length of a frame, in samples at [`rate`](Self::rate). Constant.
    fn frame_len(&self) -> usize;

    /// The probability, 0.0 to 1.0, that `frame` holds speech.
    ///
    /// # Panics
    ///
    /// May panic if `frame` is not [`frame_len`](Self::frame_len) samples long.
    fn push(&mut self, frame: &[i16]) -> f32;

    /// Forgets everything heard so far.
    fn reset(&mut self);
}
