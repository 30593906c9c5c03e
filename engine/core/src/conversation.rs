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
    /// A person on the call whom the caller hears.
    Person,
    /// A supervisor, to the agent alone: never to be read out or mentioned.
    Guidance,
    /// The engine, to the agent alone: what happened on the line.
    Note,
}

/// One message of the conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// The words. For the agent: what the caller heard, cut at the word where playout stopped.
    pub text: String,
    /// Which person says it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Message {
    /// A message of somebody without a name.
    #[must_use]
    pub fn new(role: Role, text: impl Into<String>) -> Self {
        Self {
            role,
            text: text.into(),
            name: None,
        }
    }

    /// A message of a person.
    #[must_use]
    pub fn named(role: Role, name: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
            ..Self::new(role, text)
        }
    }
}
