//! A small written dialogue in place of a model: a call works with no key and no network.

mod parse;
mod pattern;
mod replay;
mod words;

use std::{collections::BTreeMap, fs, io, path::Path, sync::Arc};

use sidetone_core::{
    conversation::Role,
    job::{LlmEvent, LlmJob},
};
use thiserror::Error;

use self::{
    parse::{Answer, Rule, State, Variants},
    pattern::Slots,
    replay::Reply,
};
use super::Llm;
use crate::job::{JobHandle, Sink, SinkClosed};

/// A written dialogue.
///
/// A script is TOML. What the caller says is compared word by word, without case and
/// punctuation; the first rule that fits answers, the current state's rules before those that
/// hold `always`:
///
/// ```
/// # use sidetone_speech::llm::Script;
/// let script = Script::parse(r#"
/// start = "open"
/// opening = "Hello. How can I help you?"           # where nobody has said anything yet
/// otherwise = ["Sorry?", "I can find orders."]     # variants, in turn
/// max_misses = 3                                   # so many misses in a row …
/// give_up = { say = "Please call again.", hang_up = true }   # … end the call
///
/// [slots]
/// order = { kind = "digits", min = 3, max = 8 }    # or "words", or "choice" with options
///
/// [[always]]
/// when = ["(bye|goodbye)"]                         # one of these words
/// say = "Goodbye."
/// hang_up = true
///
/// [[states.open.rules]]
/// when = ["order {order}", "track* {order}"]       # in this order, other words between
/// say = "Order {order} is on its way."             # digits are said one by one
///
/// [[states.open.rules]]
/// when = ["where order", "/^(my )?order$/"]        # or a regular expression
/// say = "What is its number?"
/// goto = "number"
///
/// [[states.open.rules]]
/// when = ["agree"]
/// say = "By law you may withdraw within fourteen days."
/// interruptible = false       # heard to its end, whatever the caller says meanwhile
///
/// [states.number]
/// expect = "order"            # whose digits have pauses; or "yes_no", "date", "spelling"
/// otherwise = "Please say the number digit by digit."
/// rules = [
///     { when = ["{order}"], say = "Order {order} is on its way.", goto = "open" },
///     { when = ["again"], repeat = true },         # once more what was said last
/// ]
/// "#);
/// # script.unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Script {
    start: String,
    opening: String,
    otherwise: Variants,
    max_misses: u32,
    give_up: Option<Answer>,
    slots: Slots,
    always: Vec<Rule>,
    states: BTreeMap<String, State>,
}

/// Why a script cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// The file cannot be read.
    #[error("cannot read the script {path}")]
    Read {
        /// Where it should be.
        path: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Something in it is wrong.
    #[error("line {line} of the script{}: {problem}", under(.key))]
    Invalid {
        /// From 1.
        line: usize,
        /// The key, with rules counted from 1; empty where the TOML itself is wrong.
        key: String,
        /// What is wrong, and what is allowed.
        problem: String,
    },
}

fn under(key: &str) -> String {
    if key.is_empty() {
        String::new()
    } else {
        format!(", `{key}`")
    }
}

impl Script {
    /// The script that is part of the program: a help line for orders.
    #[must_use]
    pub fn embedded() -> Self {
        let source = include_str!("../../../assets/demo.toml");
        Self::parse(source).expect("a test parses it")
    }

    /// Parses a script.
    ///
    /// # Errors
    ///
    /// [`ScriptError::Invalid`], which names the line, the key and what is allowed.
    pub fn parse(source: &str) -> Result<Self, ScriptError> {
        Self::from_toml(source)
    }

    /// Reads and parses a script.
    ///
    /// # Errors
    ///
    /// [`ScriptError`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ScriptError> {
        let path = path.as_ref();
        let source = fs::read_to_string(path).map_err(|source| ScriptError::Read {
            path: path.display().to_string(),
            source,
        })?;
        Self::parse(&source)
    }
}

/// A language model that follows a script. It remembers nothing between jobs: each job carries
/// the whole conversation, which is followed from its start.
#[derive(Clone, Debug)]
pub struct ScriptLlm(Arc<Script>);

impl ScriptLlm {
    /// Follows `script`.
    #[must_use]
    pub fn new(script: Script) -> Self {
        Self(Arc::new(script))
    }
}

impl Llm for ScriptLlm {
    fn follows_instructions(&self) -> bool {
        false
    }

    fn start(&self, job: LlmJob, sink: Sink<LlmEvent>) -> JobHandle {
        let script = Arc::clone(&self.0);
        JobHandle::spawn(async move {
            let caller = job
                .messages
                .iter()
                .filter(|message| message.role == Role::Caller);
            let mut reply = script.reply(caller.map(|message| message.text.as_str()));
            if let Some(text) = back(&job) {
                reply = Reply {
                    text: text.into(),
                    ..Reply::default()
                };
            }
            // Nobody listens any more: there is nothing left to stop.
            let _ = tell(reply, &sink).await;
        })
    }
}

/// What is said where nobody asked anything: something happened on the line, such as that a person
/// handed the call back.
fn back(job: &LlmJob) -> Option<&'static str> {
    let told = job.messages.iter().rev();
    let latest = told.into_iter().find(|m| m.role != Role::Guidance)?;
    (latest.role == Role::Note).then_some(match job.language.as_str() {
        "es" => "Sigo aquí. ¿En qué más puedo ayudarle?",
        "pt" => "Continuo aqui. Em que mais posso ajudar?",
        _ => "I'm still here. What else can I do for you?",
    })
}

async fn tell(reply: Reply, sink: &Sink<LlmEvent>) -> Result<(), SinkClosed> {
    if reply.is_uninterruptible {
        sink.send(LlmEvent::Uninterruptible).await?;
    }
    for text in sentences(&reply.text) {
        let text = text.to_owned();
        sink.send(LlmEvent::Delta { text }).await?;
    }
    if let Some(expect) = reply.expect {
        sink.send(LlmEvent::Expects { expect }).await?;
    }
    let hang_up = reply.hang_up;
    sink.send(LlmEvent::Done { hang_up }).await
}

/// `text` cut after each sentence; nothing is lost.
fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let ends = rest.match_indices(". ").chain(rest.match_indices("? "));
        let end = ends
            .chain(rest.match_indices("! "))
            .map(|(at, _)| at + 2)
            .min();
        let (sentence, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after;
        Some(sentence)
    })
}

#[cfg(test)]
mod tests;
