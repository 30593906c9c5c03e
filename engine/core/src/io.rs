//! What goes into a call and what comes out of it.
//!
//! Every input and output serialises, so that a call can be written down and replayed to the
//! same output.

use serde::{Deserialize, Serialize};
use sidetone_codecs::SampleRate;

use crate::{
    dialect::{DialectError, LegMessage, Outbound},
    event::{CallEvent, EndReason},
    job::{Job, JobId, JobUpdate},
    person::{PersonId, PersonInput, PersonOutput},
};

/// What happens to a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "input", content = "value", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Input<'a> {
    /// The leg sent a message.
    #[serde(borrow)]
    Leg(LegMessage<'a>),
    /// The leg sent something that is no message; it is counted, and the call goes on.
    LegMalformed(DialectError),
    /// The leg's socket closed or broke.
    LegClosed,
    /// News of a job.
    Job(JobUpdate),
    /// A deadline passed and nothing else happened.
    Deadline,
    /// The program around the engine wants something.
    Command(Command),
    /// A person's leg does something.
    Person {
        /// Which leg. A new one has a new id.
        id: PersonId,
        /// What.
        #[serde(borrow)]
        input: PersonInput<'a>,
    },
    /// The leg broke a rule that only the driver sees: it stalls, sends too long a message, or
    /// may not start its stream. The call ends for this reason in the same step.
    End(EndReason),
}

/// What the program around the engine may ask of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Command {
    /// The agent says this as soon as nobody's turn is under way: the caller was answered, and
    /// the agent has finished. It is said once; the end of the call comes before it. While a person has
    /// taken the call over it waits; at most [`Command::MAX_UNSAID`] wait.
    Say {
        /// What to say.
        text: String,
        /// Whether the caller can interrupt it. A legal notice is heard to its end: what the
        /// caller says meanwhile is answered afterwards. It waits for a caller who speaks, but no
        /// longer than for one turn (`endpointing.max_turn_ms`).
        #[serde(default = "yes")]
        interruptible: bool,
    },
    /// End the call: say the words, wait until they were heard, hang up.
    HangUp {
        /// The last words; `None`: hang up at once.
        farewell: Option<String>,
    },
    /// The agent is silent, at once, until [`ResumeAgent`](Self::ResumeAgent); what it is told to
    /// [`Say`](Self::Say) it says all the same.
    PauseAgent,
    /// The agent takes part again.
    ResumeAgent,
    /// Guidance that nobody but the agent gets.
    Guide {
        /// Who gives it, as the agent is told.
        from: String,
        /// The guidance.
        text: String,
    },
    /// Somebody is to be called to the phone: the agent tells the caller, and keeps them company
    /// until a person takes over or joins in.
    RequestHandoff {
        /// What the agent says; `None`: that it connects the caller, in the call's language.
        say: Option<String>,
    },
    /// Their phone rings. Said again, they have as long again to come.
    HandoffRinging,
    /// Nobody comes: the agent says so and goes on.
    HandoffFailed {
        /// What the agent says; `None`: the language model is told, and goes on.
        say: Option<String>,
    },
    /// The call is the agent's again; who took over listens on.
    HandBack {
        /// Only if it was this person who took over or joined in; `None`: whoever it was.
        person: Option<PersonId>,
    },
    /// Takes somebody off the call; if they had taken it over, it is the agent's again, as if they had left.
    RemovePerson {
        /// Their leg.
        person: PersonId,
    },
    /// Plays the tones of keys to the caller's leg.
    SendDigits {
        /// `0` to `9`, `*`, `#`, `A` to `D`, and `w` for half a second's pause; others are left
        /// out. At most [`Command::MAX_DIGITS`].
        digits: String,
    },
    /// Begins or ends a recording: [`Output::Recorded`].
    Record {
        /// Whether it is to be recorded from now on.
        on: bool,
    },
}

impl Command {
    /// The most keys that are played at a time.
    pub const MAX_DIGITS: usize = 64;
    /// So much may wait to be said; another [`Say`](Self::Say) is refused by
    /// [`CallError::SayRefused`](crate::event::CallError::SayRefused).
    pub const MAX_UNSAID: u32 = 16;
}

fn yes() -> bool {
    true
}

/// What a call wants done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "output", content = "value", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Output {
    /// Send this to the leg, in order.
    Leg(Outbound),
    /// Run this job and feed its updates back.
    Start(Job),
    /// The job's result is no longer wanted; stopping it saves cost.
    Cancel(JobId),
    /// Tell whoever watches.
    Event(CallEvent),
    /// For a person's leg.
    Person {
        /// Which leg.
        id: PersonId,
        /// What.
        output: PersonOutput,
    },
    /// The next 20 ms of a call that is being recorded, mono 16-bit PCM at `rate`.
    Recorded {
        /// The rate of both: that of the caller's leg.
        rate: SampleRate,
        /// What the caller said.
        #[serde(with = "crate::as_base64::pcm")]
        caller: Vec<i16>,
        /// What the caller heard, the agent and people alike.
        #[serde(with = "crate::as_base64::pcm")]
        others: Vec<i16>,
    },
    /// Close the leg; the call is over and takes no more inputs.
    HangUp(EndReason),
}
