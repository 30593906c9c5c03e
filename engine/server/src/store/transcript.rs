//! What was said, line by line.

use serde::{Deserialize, Serialize};
use sidetone_core::event::CallEvent;
use sqlx::{Row as _, any::AnyRow};

use super::{
    Store, StoreError,
    calls::{parse, storable, to_i64, to_u64},
};

/// What somebody said at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The number of the event that told it: lines are in this order.
    pub seq: u64,
    /// When, in ms since the call's socket was accepted.
    pub at_ms: u64,
    /// The turn.
    pub turn: u32,
    /// Who.
    pub speaker: Speaker,
    /// The name of a person.
    pub name: Option<String>,
    /// The words; of the agent, what the caller heard.
    pub text: String,
}

#[cfg(test)]
impl Line {
    /// A line for a test.
    pub(crate) fn example(speaker: Speaker, text: &str) -> Self {
        Self {
            seq: 1,
            at_ms: 0,
            turn: 1,
            speaker,
            name: None,
            text: text.into(),
        }
    }
}

/// Who said something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Speaker {
    /// The caller.
    Caller,
    /// The agent.
    Agent,
    /// A person who joined the call, by name.
    Person,
}

impl Speaker {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Agent => "agent",
            Self::Person => "person",
        }
    }
}

/// What an event does to the transcript of its call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change<'a> {
    /// Somebody said something.
    Add {
        turn: u32,
        speaker: Speaker,
        name: Option<&'a str>,
        text: &'a str,
    },
    /// What the agent said in this turn is no part of the conversation.
    Retract { turn: u32 },
}

impl<'a> Change<'a> {
    /// The change that `event` makes; none where nothing was said.
    pub(crate) fn of(event: &'a CallEvent) -> Option<Self> {
        let (turn, speaker, text) = match event {
            CallEvent::TranscriptFinal { turn, text } => (turn, Speaker::Caller, text),
            CallEvent::AgentFinished { turn, heard }
            | CallEvent::AgentInterrupted { turn, heard, .. } => (turn, Speaker::Agent, heard),
            CallEvent::PersonSaid {
                name, turn, text, ..
            } => {
                let text = text.trim();
                return (!text.is_empty()).then_some(Self::Add {
                    turn: turn.0,
                    speaker: Speaker::Person,
                    name: Some(name),
                    text,
                });
            }
            CallEvent::AgentRetracted { turn } => return Some(Self::Retract { turn: turn.0 }),
            _ => return None,
        };
        let text = text.trim();
        (!text.is_empty()).then_some(Self::Add {
            turn: turn.0,
            speaker,
            name: None,
            text,
        })
    }
}

impl Store {
    /// What was said in a call after the event number `after_seq` (0: from the beginning), in order.
    ///
    /// # Errors
    ///
    /// [`StoreError::Query`].
    pub async fn transcript(&self, call_id: &str, after_seq: u64) -> Result<Vec<Line>, StoreError> {
        let rows =
            sqlx::query("SELECT * FROM transcript WHERE call_id = $1 AND seq > $2 ORDER BY seq")
                .bind(storable(call_id))
                .bind(to_i64(after_seq))
                .fetch_all(&self.pool)
                .await?;
        rows.iter().map(line_from).collect()
    }
}

fn line_from(row: &AnyRow) -> Result<Line, StoreError> {
    Ok(Line {
        seq: to_u64(row.try_get("seq")?),
        at_ms: to_u64(row.try_get("at_ms")?),
        turn: u32::try_from(row.try_get::<i64, _>("turn")?).unwrap_or(0),
        speaker: parse("a speaker", row.try_get("speaker")?)?,
        name: row.try_get("name")?,
        text: row.try_get("text")?,
    })
}
