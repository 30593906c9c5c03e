//! What was said, as the language model is told it.

use serde::{Deserialize, Serialize};

/// Who says a [`Message`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The operator's instructions to the agent.
    System,
    /// The caller.
    Caller,
    /// The agent.
    Agent,
}

/// One message of the conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// The words. For the agent: what the caller heard, cut at the word where playout stopped.
    pub text: String,
}
