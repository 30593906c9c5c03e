//! Voice activity detectors for the call.
//!
//! [`EarshotVad`] is the default: a small neural network, right on speech and deaf to
//! noise. [`WebrtcVad`] costs less still, but takes any steady tone for speech. With the feature
//! `onnx` there is [`SileroVad`] too, which needs a model and ONNX Runtime.

mod earshot;
#[cfg(feature = "onnx")]
mod silero;
mod webrtc;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sidetone_core::vad::Vad;
use thiserror::Error;

#[cfg(feature = "onnx")]
pub use self::silero::{Silero, SileroRate, SileroVad};
pub use self::{
    earshot::EarshotVad,
    webrtc::{Aggressiveness, WebrtcVad},
};
#[cfg(feature = "onnx")]
use crate::onnx::{self, OnnxError};

/// `vad.provider`: which detector the calls use. Default: `earshot`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum VadProvider {
    /// [`EarshotVad`].
    #[default]
    Earshot,
    /// [`WebrtcVad`] with its default aggressiveness.
    Webrtc,
    /// [`SileroVad`] at 8 kHz, with the model that `sidetone models fetch silero-vad` brings.
    #[cfg(feature = "onnx")]
    Silero,
}

impl VadProvider {
    /// Every provider.
    pub const ALL: &'static [Self] = &[
        Self::Earshot,
        Self::Webrtc,
        #[cfg(feature = "onnx")]
        Self::Silero,
    ];

    /// The name in the config.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Earshot => "earshot",
            Self::Webrtc => "webrtc",
            #[cfg(feature = "onnx")]
            Self::Silero => "silero",
        }
    }

    /// Gets ready whatever all legs share, and returns what makes each leg's detector. Blocks
    /// while it loads a model.
    ///
    /// # Errors
    ///
    /// The model or what runs it is missing or cannot be used. Never for detectors without one.
    pub fn load(self) -> Result<VadMaker, VadError> {
        Ok(match self {
            Self::Earshot => Box::new(|| Box::new(EarshotVad::new())),
            Self::Webrtc => Box::new(|| Box::new(WebrtcVad::default())),
            #[cfg(feature = "onnx")]
            Self::Silero => {
                let model = onnx::fetched(SILERO_MODEL)?;
                let model = Silero::load(model, SileroRate::default())?;
                Box::new(move || Box::new(SileroVad::new(model.clone())))
            }
        })
    }

    /// Checks that what [`load`](Self::load) needs is there, without loading a model.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Self::load) that can be told so far.
    pub fn check(self) -> Result<(), VadError> {
        match self {
            Self::Earshot | Self::Webrtc => Ok(()),
            #[cfg(feature = "onnx")]
            Self::Silero => {
                onnx::fetched(SILERO_MODEL)?;
                Ok(onnx::open()?)
            }
        }
    }
}

impl fmt::Display for VadProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Makes a fresh detector for one leg.
pub type VadMaker = Box<dyn Fn() -> Box<dyn Vad> + Send + Sync>;

/// The name of Silero's model among those that can be fetched.
#[cfg(feature = "onnx")]
const SILERO_MODEL: &str = "silero-vad";

/// Why a detector cannot be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VadError {
    /// Its model, or ONNX Runtime.
    #[cfg(feature = "onnx")]
    #[error("`vad.provider` = \"silero\"")]
    Onnx(#[from] OnnxError),
}

/// No voice activity detector has this name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("vad.provider = {name:?}: must be {}", names())]
pub struct UnknownVad {
    name: String,
}

fn names() -> String {
    let quoted: Vec<_> = VadProvider::ALL
        .iter()
        .map(|provider| format!("{:?}", provider.name()))
        .collect();
    quoted.join(" or ")
}

impl FromStr for VadProvider {
    type Err = UnknownVad;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|provider| provider.name() == name)
            .ok_or_else(|| UnknownVad { name: name.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_through_text_and_serde() {
        for provider in VadProvider::ALL.iter().copied() {
            assert_eq!(provider.to_string().parse(), Ok(provider));
            let json = serde_json::to_string(&provider).unwrap();
            assert_eq!(json, format!("{:?}", provider.name()));
            assert_eq!(
                serde_json::from_str::<VadProvider>(&json).unwrap(),
                provider
            );
        }
        let error = "loudness".parse::<VadProvider>().unwrap_err().to_string();
        assert!(
            error.contains("\"loudness\"") && error.contains("\"earshot\""),
            "{error}"
        );
    }
}
