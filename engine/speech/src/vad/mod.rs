//! Voice activity detectors for the call.
//!
//! [`EarshotVad`] is the default: a small neural network, right on speech and deaf to
//! noise. [`WebrtcVad`] costs less still, but takes any steady tone for speech.

mod earshot;
mod webrtc;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sidetone_core::vad::Vad;
use thiserror::Error;

pub use self::{
    earshot::EarshotVad,
    webrtc::{Aggressiveness, WebrtcVad},
};

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
}

impl VadProvider {
    /// Every provider.
    pub const ALL: [Self; 2] = [Self::Earshot, Self::Webrtc];

    /// The name in the config.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Earshot => "earshot",
            Self::Webrtc => "webrtc",
        }
    }

    /// A fresh detector for one leg.
    #[must_use]
    pub fn build(self) -> Box<dyn Vad> {
        match self {
            Self::Earshot => Box::new(EarshotVad::new()),
            Self::Webrtc => Box::new(WebrtcVad::new(Aggressiveness::default())),
        }
    }
}

impl fmt::Display for VadProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No voice activity detector has this name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("vad.provider = {0:?}: must be \"earshot\" or \"webrtc\"")]
pub struct UnknownVad(String);

impl FromStr for VadProvider {
    type Err = UnknownVad;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|provider| provider.name() == name)
            .ok_or_else(|| UnknownVad(name.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_through_text_and_serde() {
        for provider in VadProvider::ALL {
            assert_eq!(provider.to_string().parse(), Ok(provider));
            let json = serde_json::to_string(&provider).unwrap();
            assert_eq!(json, format!("{:?}", provider.name()));
            assert_eq!(
                serde_json::from_str::<VadProvider>(&json).unwrap(),
                provider
            );
        }
        let error = "silero".parse::<VadProvider>().unwrap_err().to_string();
        assert!(
            error.contains("\"silero\"") && error.contains("\"earshot\""),
            "{error}"
        );
    }
}
