//! Conversations as data: what a caller says and when, how the line and the services behave, and
//! what must come of it.
//!
//! A [`Scenario`] is one small file of `fixtures/scenarios`, whose README describes the format.
//! [`Scenario::play`] holds the conversation in simulated time: the real call and the real voice
//! activity detector, recorded callers, a [`Phone`] that is Twilio's side to the sample, and
//! [`Services`] that answer by table. [`Scenario::play_live`] holds the same at real pace with the
//! real server, through a socket. [`Scenario::judge`] compares what happened with what was
//! expected; [`Played`] answers other questions about it, such as how long the caller waited.

mod clips;
mod file;
mod judge;
mod live;
mod phone;
mod played;
mod services;
mod simulation;
mod sounds;
mod voice;

pub use clips::{Clip, Clips};
pub use file::{
    Act, ActExpected, Action, Answer, Behaviour, Echo, Expected, Line, Noise, NoiseKind, Scenario,
    ScenarioError, ServiceBehaviours, When,
};
pub use phone::{FromPhone, Phone};
pub use played::{Played, PlayedAct};
pub use services::{Later, Services, agent_phrases};
pub use simulation::{Ears, JudgesTurn};
pub use voice::{AgentVoice, HeardWord};
