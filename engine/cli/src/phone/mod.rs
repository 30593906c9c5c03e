//! A simulated phone: Twilio's side of a call, with a scripted caller, to any server that speaks
//! Twilio Media Streams.
//!
//! [`call()`] holds one call over a real socket at real pace. Underneath, [`Handset`] does the same
//! without a socket or a clock, and [`script::Caller`] decides what the caller says when.
//!
//! Times are as a person with the phone at the ear would take them: the response time runs from
//! the last loud sample of the caller's speech to the first loud sample of the agent's that is
//! *played*, the barge-in time from the caller's first loud sample to the arrival of `clear`. A
//! frame is sent once its last sample was spoken, as a telephone does.

mod audio;
mod dial;
mod drive;
mod handset;
mod message;
mod report;
mod scenario;
mod scenario_file;
pub mod script;
mod twiml;
mod webhook;

#[cfg(test)]
mod tests;

pub use audio::{Background, FRAME_LEN, RATE, VoiceChange, VoiceMeter, speech_span};
pub use dial::{DialError, Entry, Target};
pub use drive::{Telephone, Watched, call, hold};
pub use handset::{Actions, Handset, Listener, Sight};
pub use message::{CallIdentity, FromEngine, MessageError, Writer, read};
pub use report::{
    CallAudio, CallReport, CallerTurn, Ending, Sender, StreamMessage, TurnFailure, session_ndjson,
};
pub use scenario::{ScenarioError, audio_from_wav, load_audio, load_scenario, parse_scenario};
pub use scenario_file::{ScenarioFileError, read_scenario, scenario_from_toml};
pub use script::{Expect, Line, Script, When};
pub use twiml::TwimlError;

pub(crate) use twiml::{Stream, stream_noun};
pub(crate) use webhook::{Answer, Webhook};
