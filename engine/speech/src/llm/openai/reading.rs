//! What is answered: chunks of a streamed completion, put together. Pure: text in, text out.

use serde::Deserialize;
use serde_json::Value;
use sidetone_core::job::Expect;

use super::request::{ASK_FOR, END_CALL, SAY_NOTICE};

/// So much text is the longest answer; a model that goes on is cut off.
const MAX_TEXT: usize = 8 << 10;
/// Models that reason aloud do so between these, first thing.
const THINKS: &str = "<think>";
const HAS_THOUGHT: &str = "</think>";

/// An answer, as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    voice: Voice,
    /// The text told so far.
    told: String,
    calls: Calls,
    /// Why the service ended the answer, where it says.
    finish_reason: Option<String>,
}

/// What is new after an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// This text, perhaps empty; more may come.
    More(String),
    /// This text, perhaps empty, and no more.
    Complete(String),
    /// This text, the last that fits.
    TooLong(String),
}

/// Why an event cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// It is not JSON, or not a chunk of an answer.
    Json,
    /// It reports an error: this JSON.
    Error(String),
}

/// How an answer ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct End {
    /// Text that was still held back.
    pub(super) text: Option<String>,
    /// The rest, which the caller is to hear to its end; empty: what was told already is.
    pub(super) notice: Option<String>,
    /// The model ended the call.
    pub(super) hang_up: bool,
    /// What kind of answer the model asks for, where it says.
    pub(super) expect: Option<Expect>,
}

#[derive(Deserialize)]
struct Chunk {
    choices: Option<Vec<Choice>>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Option<Delta>,
    /// In place of `delta` where the service does not stream.
    message: Option<Delta>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Delta {
    content: Option<Value>,
    tool_calls: Option<Vec<ToolCall>>,
}

#[derive(Deserialize)]
struct ToolCall {
    function: Option<Function>,
}

#[derive(Deserialize)]
struct Function {
    name: Option<String>,
    arguments: Option<Value>,
}

/// The tools the model uses.
#[derive(Debug, Default)]
struct Calls {
    end_call: Option<String>,
    ask_for: Option<String>,
    say_notice: Option<String>,
    /// Whose arguments stream in.
    open: Option<Tool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tool {
    EndCall,
    AskFor,
    SayNotice,
}

/// The most digits a number has that is asked for, where the model does not say.
const MAX_DIGITS: u64 = 20;

impl Reading {
    /// Takes the data of the next event.
    pub(super) fn push(&mut self, data: &str) -> Result<Progress, Unusable> {
        let data = data.trim();
        if data == "[DONE]" {
            return Ok(Progress::Complete(String::new()));
        }
        let chunk: Chunk = serde_json::from_str(data).map_err(|_| Unusable::Json)?;
        if let Some(error) = chunk.error {
            return Err(Unusable::Error(error.to_string()));
        }
        // Usage and keep-alives have no choice in them.
        let Some(choice) = chunk.choices.into_iter().flatten().next() else {
            return Ok(Progress::More(String::new()));
        };
        let mut text = String::new();
        if let Some(delta) = choice.delta.or(choice.message) {
            self.calls.push(delta.tool_calls.into_iter().flatten());
            text = self.voice.push(&content(delta.content));
        }
        if !self.fit(&mut text) {
            return Ok(Progress::TooLong(text));
        }
        Ok(match choice.finish_reason {
            Some(reason) if !reason.is_empty() => {
                self.finish_reason = Some(reason);
                Progress::Complete(text)
            }
            _ => Progress::More(text),
        })
    }

    /// Concludes. An answer without a word is a failure, unless the model ends the call.
    pub(super) fn finish(mut self) -> Result<End, String> {
        let mut text = self.voice.rest();
        let hang_up = self.calls.end_call.is_some();
        let words = if self.told.is_empty() && text.trim().is_empty() {
            text.clear();
            self.calls.words()
        } else {
            String::new()
        };
        let mut notice = self.calls.notice();
        match &mut notice {
            None => text.push_str(&words),
            Some(notice) => {
                self.fit(&mut text);
                if is_said_in(notice, &self.told) {
                    notice.clear();
                } else if !self.told.is_empty() {
                    notice.insert(0, ' ');
                }
                if !words.is_empty() {
                    notice.push(' ');
                    notice.push_str(&words);
                }
                self.fit(notice);
            }
        }
        if notice.is_none() {
            self.fit(&mut text);
        }
        if self.told.is_empty() && !hang_up {
            let is_code = |c: char| c.is_ascii_alphabetic() || c == '_';
            let reason = self
                .finish_reason
                .filter(|reason| reason.chars().all(is_code));
            let reason = reason.map(|reason| format!(" (finish_reason {reason:.32})"));
            return Err(format!(
                "the answer holds no words{}",
                reason.unwrap_or_default()
            ));
        }
        let text = (!text.is_empty()).then_some(text);
        let expect = self.calls.expect();
        Ok(End {
            text,
            notice,
            hang_up,
            expect,
        })
    }

    /// Counts `text`, cut to what still fits; whether all of it did.
    fn fit(&mut self, text: &mut String) -> bool {
        let room = MAX_TEXT - self.told.len();
        let fits = text.len() <= room;
        if !fits {
            text.truncate(text.floor_char_boundary(room));
        }
        self.told.push_str(text);
        fits
    }
}

/// Text, or a list of parts with text in them.
fn content(content: Option<Value>) -> String {
    match content {
        Some(Value::String(text)) => text,
        Some(Value::Array(parts)) => parts
            .iter()
            .filter_map(|part| part["text"].as_str())
            .collect(),
        _ => String::new(),
    }
}

impl Calls {
    fn push(&mut self, calls: impl Iterator<Item = ToolCall>) {
        for function in calls.filter_map(|call| call.function) {
            // The name comes once; the arguments follow in pieces without it.
            if let Some(name) = function.name.filter(|name| !name.is_empty()) {
                // Of several calls of the same tool the first counts.
                self.open = match name.as_str() {
                    END_CALL if self.end_call.is_none() => Some(Tool::EndCall),
                    ASK_FOR if self.ask_for.is_none() => Some(Tool::AskFor),
                    SAY_NOTICE if self.say_notice.is_none() => Some(Tool::SayNotice),
                    _ => None,
                };
            }
            let arguments = match self.open {
                Some(Tool::EndCall) => self.end_call.get_or_insert_default(),
                Some(Tool::AskFor) => self.ask_for.get_or_insert_default(),
                Some(Tool::SayNotice) => self.say_notice.get_or_insert_default(),
                None => continue,
            };
            if arguments.len() > MAX_TEXT {
                continue;
            }
            match function.arguments {
                Some(Value::String(piece)) => arguments.push_str(&piece),
                Some(object @ Value::Object(_)) => *arguments = object.to_string(),
                _ => {}
            }
        }
    }

    /// What is to be said, where the model put it into the tool's arguments only.
    fn words(&self) -> String {
        let farewell = field(self.end_call.as_ref(), "farewell");
        let question = field(self.ask_for.as_ref(), "question");
        let words = [farewell, question].into_iter().find(|v| v.is_string());
        words
            .as_ref()
            .and_then(Value::as_str)
            .unwrap_or_default()
            .trim()
            .to_owned()
    }

    /// What the caller is to hear to its end.
    fn notice(&self) -> Option<String> {
        let notice = field(self.say_notice.as_ref(), "notice");
        let notice = notice.as_str()?.trim();
        (!notice.is_empty()).then(|| notice.to_owned())
    }

    fn expect(&self) -> Option<Expect> {
        let arguments = self.ask_for.as_ref();
        match field(arguments, "kind").as_str()? {
            "yes_no" => Some(Expect::YesNo),
            "digits" => {
                let limit = |key| field(arguments, key).as_u64().filter(|n| *n > 0);
                let max = limit("max_digits").unwrap_or(MAX_DIGITS);
                let min = limit("min_digits").unwrap_or(1).min(max);
                let digits = |n: u64| u8::try_from(n).unwrap_or(u8::MAX);
                Some(Expect::Digits {
                    min: digits(min),
                    max: digits(max),
                })
            }
            "date" => Some(Expect::Date),
            "spelling" => Some(Expect::Spelling),
            _ => None,
        }
    }
}

fn field(arguments: Option<&String>, key: &str) -> Value {
    let arguments: Option<Value> = arguments.and_then(|json| serde_json::from_str(json).ok());
    arguments.map_or(Value::Null, |arguments| arguments[key].clone())
}

/// Models repeat what they said in a tool's arguments, with other marks and spaces.
fn is_said_in(notice: &str, told: &str) -> bool {
    let spoken = |text: &str| -> String {
        let letters = text.chars().filter(|c| c.is_alphanumeric());
        letters.flat_map(char::to_lowercase).collect()
    };
    spoken(told).contains(&spoken(notice))
}

/// Separates what is to be said from leading white space and from reasoning.
#[derive(Debug)]
enum Voice {
    /// Nothing said yet; held back is what may become the start of reasoning.
    Before(String),
    /// Reasoning; held back is what may become its end.
    Thinking(String),
    /// All that comes is said.
    Speaking,
}

impl Default for Voice {
    fn default() -> Self {
        Self::Before(String::new())
    }
}

impl Voice {
    fn push(&mut self, text: &str) -> String {
        match self {
            Self::Speaking => text.to_owned(),
            Self::Before(held) => {
                held.push_str(text);
                let begins = held.trim_start();
                if let Some(thought) = begins.strip_prefix(THINKS) {
                    let thought = thought.to_owned();
                    *self = Self::Thinking(String::new());
                    return self.push(&thought);
                }
                if THINKS.starts_with(begins) {
                    *held = begins.to_owned();
                    return String::new();
                }
                let said = begins.to_owned();
                *self = Self::Speaking;
                said
            }
            Self::Thinking(held) => {
                held.push_str(text);
                if let Some((_, said)) = held.split_once(HAS_THOUGHT) {
                    let said = said.to_owned();
                    *self = Self::default();
                    return self.push(&said);
                }
                let tail = held.len().saturating_sub(HAS_THOUGHT.len() - 1);
                held.drain(..held.floor_char_boundary(tail));
                String::new()
            }
        }
    }

    fn rest(&mut self) -> String {
        match self {
            Self::Before(held) => std::mem::take(held),
            Self::Thinking(_) | Self::Speaking => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The text told and the end, of events with these data.
    fn read(events: &[&str]) -> Result<(String, bool), String> {
        let mut reading = Reading::default();
        let mut told = String::new();
        for data in events {
            match reading.push(data).map_err(|error| format!("{error:?}"))? {
                Progress::More(text) => told.push_str(&text),
                Progress::Complete(text) | Progress::TooLong(text) => {
                    told.push_str(&text);
                    break;
                }
            }
        }
        let end = reading.finish()?;
        told.push_str(&end.text.unwrap_or_default());
        Ok((told, end.hang_up))
    }

    fn delta(content: &str) -> String {
        serde_json::json!({ "choices": [{ "delta": { "content": content } }] }).to_string()
    }

    fn said(pieces: &[&str]) -> String {
        let events: Vec<String> = pieces.iter().map(|piece| delta(piece)).collect();
        read(&events.iter().map(String::as_str).collect::<Vec<_>>())
            .unwrap()
            .0
    }

    #[test]
    fn servers_differ() {
        let (text, hang_up) = read(&[
            r#"{"choices":[{"delta":{"role":"assistant","content":null}}]}"#,
            r#"{"choices":[{"delta":{"role":"assistant"},"finish_reason":null}]}"#,
            r#"{"choices":[{"delta":{"content":"It is "},"finish_reason":""}]}"#,
            r#"{"choices":null,"error":null}"#,
            r#"{"choices":[{"delta":{"content":[{"type":"text","text":"late"}]}}]}"#,
            r#"{"choices":[],"usage":{"total_tokens":3}}"#,
            r#"{"choices":[{"delta":{"content":"."},"finish_reason":"stop"}]}"#,
            "never read",
        ])
        .unwrap();
        assert_eq!((text.as_str(), hang_up), ("It is late.", false));
    }

    #[test]
    fn an_answer_may_end_without_saying_so() {
        assert_eq!(said(&["Hello."]), "Hello.");
        assert_eq!(read(&[&delta("Hi."), "[DONE]"]), Ok(("Hi.".into(), false)));
    }

    #[test]
    fn an_answer_without_words_is_a_failure() {
        assert_eq!(read(&[]), Err("the answer holds no words".into()));
        let cut = r#"{"choices":[{"delta":{},"finish_reason":"content_filter"}]}"#;
        let problem = read(&[cut]).unwrap_err();
        assert_eq!(
            problem,
            "the answer holds no words (finish_reason content_filter)"
        );
    }

    #[test]
    fn an_error_in_the_stream_is_one() {
        let error = Reading::default().push(r#"{"error":{"code":"overloaded"}}"#);
        assert_eq!(
            error,
            Err(Unusable::Error(r#"{"code":"overloaded"}"#.into()))
        );
        assert_eq!(Reading::default().push("{"), Err(Unusable::Json));
    }

    #[test]
    fn the_tool_ends_the_call_with_its_farewell() {
        let call = |name: &str, arguments: &str| {
            let function = serde_json::json!({ "name": name, "arguments": arguments });
            let call = serde_json::json!({ "index": 0, "function": function });
            serde_json::json!({ "choices": [{ "delta": { "tool_calls": [call] } }] }).to_string()
        };
        let (name, first, rest) = (
            call("end_call", ""),
            call("", r#"{"farew"#),
            call("", r#"ell":"Bye!"}"#),
        );
        let ended = read(&[&name, &first, &rest]);
        assert_eq!(ended, Ok(("Bye!".into(), true)));
        // What was said already is not said twice.
        let ended = read(&[&delta("Goodbye."), &name, &first, &rest]);
        assert_eq!(ended, Ok(("Goodbye.".into(), true)));
        // Broken arguments still end the call, and other tools do not.
        assert_eq!(read(&[&name, &first]), Ok((String::new(), true)));
        assert!(read(&[&call("look_up", "{}")]).is_err());
    }

    #[test]
    fn the_tool_says_what_is_heard_to_its_end() {
        let call = |name: &str, arguments: &str| {
            let function = serde_json::json!({ "name": name, "arguments": arguments });
            let call = serde_json::json!({ "index": 0, "function": function });
            serde_json::json!({ "choices": [{ "delta": { "tool_calls": [call] } }] }).to_string()
        };
        let end = |events: &[String]| {
            let mut reading = Reading::default();
            for event in events {
                reading.push(event).unwrap();
            }
            reading.finish().map(|end| (end.text, end.notice))
        };
        let notice = call("say_notice", r#"{"notice":"You have 14 days."}"#);
        let alone = std::slice::from_ref(&notice);
        assert_eq!(end(alone), Ok((None, Some("You have 14 days.".into()))));
        let after = [delta("Sure."), notice.clone()];
        assert_eq!(end(&after), Ok((None, Some(" You have 14 days.".into()))));
        let said = [delta("Sure. You have 14 days!"), notice.clone()];
        assert_eq!(end(&said), Ok((None, Some(String::new()))));
        let bye = call("end_call", r#"{"farewell":"Bye!"}"#);
        let both = Some("You have 14 days. Bye!".into());
        assert_eq!(end(&[notice, bye]), Ok((None, both)));
        // Without words it insists on nothing.
        let empty = call("say_notice", r#"{"notice":" "}"#);
        assert_eq!(end(&[delta("Hi."), empty.clone()]), Ok((None, None)));
        assert!(end(&[empty]).is_err());
    }

    #[test]
    fn the_tool_says_what_kind_of_answer_is_asked_for() {
        let ask = |arguments: &str| {
            let function = serde_json::json!({ "name": "ask_for", "arguments": arguments });
            let call = serde_json::json!({ "index": 0, "function": function });
            let event = serde_json::json!({ "choices": [{ "delta": { "tool_calls": [call] } }] });
            let mut reading = Reading::default();
            reading.push(&event.to_string()).unwrap();
            let end = reading.finish().unwrap();
            (end.text.unwrap_or_default(), end.expect)
        };
        let number = r#"{"question":"Which order?","kind":"digits","min_digits":4}"#;
        let expect = Expect::Digits { min: 4, max: 20 };
        assert_eq!(ask(number), ("Which order?".into(), Some(expect)));
        let absurd = r#"{"question":"Go.","kind":"digits","min_digits":9,"max_digits":3000}"#;
        let expect = Expect::Digits { min: 9, max: 255 };
        assert_eq!(ask(absurd).1, Some(expect));
        let sure = r#"{"question":"Sure?","kind":"yes_no"}"#;
        assert_eq!(ask(sure), ("Sure?".into(), Some(Expect::YesNo)));
        let other = r#"{"question":"Why?","kind":"essay"}"#;
        assert_eq!(ask(other), ("Why?".into(), None));
    }

    #[test]
    fn a_runaway_is_cut_at_a_character() {
        let long = "é".repeat(MAX_TEXT);
        let told = read(&[&delta("a"), &delta(&long), &delta("never read")])
            .unwrap()
            .0;
        assert_eq!(told.len(), MAX_TEXT - 1);
    }

    #[test]
    fn reasoning_is_not_spoken() {
        assert_eq!(
            said(&[
                "\n<thi",
                "nk>The caller wants",
                " an order</th",
                "ink>\n\n",
                "Sure."
            ]),
            "Sure."
        );
        assert_eq!(said(&["<think></think>", " Yes <think>"]), "Yes <think>");
        assert_eq!(said(&["<", "3 to you"]), "<3 to you");
        assert_eq!(said(&["<thin"]), "<thin");
    }

    proptest! {
        #[test]
        fn hostile_events_never_panic(events in proptest::collection::vec(".*", 0..8)) {
            let events: Vec<&str> = events.iter().map(String::as_str).collect();
            let _ = read(&events);
        }

        #[test]
        fn cutting_text_into_deltas_changes_nothing(text in "(<think>)?[a-z<>/ é]{0,40}(</think>)?[a-z<]{1,9}", cuts in proptest::collection::vec(0usize..60, 0..6)) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|at| text.floor_char_boundary(at.min(text.len()))).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<String> = cuts.windows(2).map(|pair| delta(&text[pair[0]..pair[1]])).collect();
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            prop_assert_eq!(read(&pieces), read(&[&delta(&text)]));
        }
    }
}
