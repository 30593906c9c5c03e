//! What goes into a call and what comes out of it.
//!
//! Every input and output serialises, so that a call can be written down and replayed to the
//! same output.

use serde::{Deserialize, Serialize};

use crate::{
    dialect::{DialectError, LegMessage, Outbound},
    event::{CallEvent, EndReason},
    job::{Job, JobId, JobUpdate},
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
    /// the agent has finished. It is said once; the end of the call comes before it.
    Say {
        /// What to say.
        text: String,
        /// Whether the caller can interrupt it. A legal notice is heard to its end: what the
        /// caller says meanwhile is answered afterwards.
        #[serde(default = "yes")]
        interruptible: bool,
    },
    /// End the call: say the words, wait until they were heard, hang up.
    HangUp {
        /// The last words; `None`: hang up at once.
        farewell: Option<String>,
    },
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
    /// Close the leg; the call is over and takes no more inputs.
    HangUp(EndReason),
}
