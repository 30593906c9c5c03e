//! Noise suppression for the call.
//!
//! With the feature `denoise` there is [`Rnnoise`]. What hears the caller through it is the call's
//! to say: `docs/turn-taking.md` has what it gains and what it costs.

#[cfg(feature = "denoise")]
mod rnnoise;

use serde::{Deserialize, Serialize};
use sidetone_core::suppression::NoiseSuppressor;

#[cfg(feature = "denoise")]
pub use self::rnnoise::Rnnoise;

/// `vad.noise_suppression`: what takes the noise out of the audio in which calls look for speech.
/// Default: `off`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NoiseSuppression {
    /// Nothing: the audio is heard as it comes.
    #[default]
    Off,
    /// [`Rnnoise`].
    #[cfg(feature = "denoise")]
    Rnnoise,
}

impl NoiseSuppression {
    /// What makes each leg's suppressor; `None`: there is none.
    #[must_use]
    pub fn maker(self) -> Option<NoiseSuppressorMaker> {
        match self {
            Self::Off => None,
            #[cfg(feature = "denoise")]
            Self::Rnnoise => Some(Box::new(|| Box::new(Rnnoise::new()))),
        }
    }
}

/// Makes a fresh suppressor for one leg.
pub type NoiseSuppressorMaker = Box<dyn Fn() -> Box<dyn NoiseSuppressor> + Send + Sync>;
