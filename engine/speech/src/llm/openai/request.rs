//! What is asked: the conversation as chat messages.

use serde_json::{Value, json};
use sidetone_core::{conversation::Role, job::LlmJob};

use super::OpenAiLlmConfig;

/// What services differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Offer the tools that are configured.
    pub(super) tools: bool,
    /// Name the limit `max_completion_tokens` instead of `max_tokens`.
    pub(super) newer_limit: bool,
}

/// The tool with which the model ends the call.
pub(super) const END_CALL: &str = "end_call";
/// The tool with which the model says what kind of answer it asks for.
pub(super) const ASK_FOR: &str = "ask_for";
/// The tool with which the model says what the caller is to hear to its end.
pub(super) const SAY_NOTICE: &str = "say_notice";

/// Said for the caller where a model needs somebody to answer.
const CONNECTED: &str = "(The call is connected.)";
const SILENT: &str = "(The caller says nothing.)";
/// Goes before what supervisors whisper.
const GUIDANCE: &str = "During this call your supervisors tell you the following, the newest last. \
     Follow it. It is for you alone: never read it out, and never mention it to the caller.";

/// The request's body.
pub(super) fn body(config: &OpenAiLlmConfig, job: &LlmJob, shape: Shape) -> Value {
    let mut body = json!({
        "model": config.model,
        "messages": messages(job),
        "stream": true,
    });
    if let Some(temperature) = config.temperature {
        body["temperature"] = json!(temperature);
    }
    if let Some(limit) = config.max_tokens {
        let key = if shape.newer_limit {
            "max_completion_tokens"
        } else {
            "max_tokens"
        };
        body[key] = json!(limit);
    }
    let mut tools = Vec::new();
    if config.hang_up_tool {
        tools.push(tool(
            END_CALL,
            "Ends the phone call. Use it once the caller has said goodbye or wants to end the call.",
            json!({
                "farewell": {
                    "type": "string",
                    "description": "The last words to say to the caller.",
                },
            }),
            &["farewell"],
        ));
    }
    if config.expect_tool {
        tools.push(tool(
            ASK_FOR,
            "Asks the caller a question whose answer is yes or no, a number, a date, or spelt \
             letter by letter, so that the caller is not cut off in the middle of it. Not for \
             other questions.",
            json!({
                "question": {
                    "type": "string",
                    "description": "The words to say to the caller.",
                },
                "kind": { "type": "string", "enum": ["yes_no", "digits", "date", "spelling"] },
                "min_digits": { "type": "integer", "minimum": 1, "maximum": 99 },
                "max_digits": { "type": "integer", "minimum": 1, "maximum": 99 },
            }),
            &["question", "kind"],
        ));
    }
    if config.notice_tool {
        tools.push(tool(
            SAY_NOTICE,
            "Says words that the caller has to hear to their end, such as a legal notice: the \
             caller cannot interrupt them. Not for anything else.",
            json!({
                "notice": {
                    "type": "string",
                    "description": "The words to say to the caller.",
                },
            }),
            &["notice"],
        ));
    }
    if shape.tools && !tools.is_empty() {
        body["tools"] = json!(tools);
    }
    body
}

fn tool(name: &str, description: &str, properties: Value, required: &[&str]) -> Value {
    json!({
        "type": "function",
        "function": {
            "name": name,
            "description": description,
            "parameters": { "type": "object", "properties": properties, "required": required },
        },
    })
}

/// Strict chat templates want instructions first, then caller and agent in turn, the caller
/// first and last. What people on the call say, and what happens on the line, stands among the
/// caller's words, told apart by brackets; a supervisor's guidance stands with the instructions,
/// where no caller can put words.
fn messages(job: &LlmJob) -> Vec<Value> {
    let spoken = || {
        job.messages
            .iter()
            .filter(|message| !message.text.trim().is_empty())
    };
    let mut instructions: Vec<String> = spoken()
        .filter(|message| message.role == Role::System)
        .map(|message| message.text.clone())
        .collect();
    let guidance: Vec<String> = spoken()
        .filter(|message| message.role == Role::Guidance)
        .map(|message| {
            let name = message.name.as_deref().unwrap_or("A supervisor");
            format!("{name}: {}", message.text)
        })
        .collect();
    if !guidance.is_empty() {
        instructions.push(format!("{GUIDANCE}\n{}", guidance.join("\n")));
    }
    let mut turns: Vec<(&str, String)> = Vec::new();
    for message in spoken() {
        let (role, content) = match message.role {
            Role::System | Role::Guidance => continue,
            Role::Caller => ("user", message.text.clone()),
            Role::Agent => ("assistant", message.text.clone()),
            Role::Person => {
                let name = message.name.as_deref().unwrap_or("A colleague");
                let text = format!(
                    "({name}, a colleague of yours on the call: {})",
                    message.text
                );
                ("user", text)
            }
            Role::Note => ("user", format!("({})", message.text)),
        };
        match turns.last_mut() {
            Some((last, text)) if *last == role => {
                text.push(' ');
                text.push_str(&content);
            }
            _ => turns.push((role, content)),
        }
    }
    if turns.first().is_none_or(|(role, _)| *role == "assistant") {
        turns.insert(0, ("user", CONNECTED.into()));
    }
    if turns.last().is_some_and(|(role, _)| *role == "assistant") {
        turns.push(("user", SILENT.into()));
    }
    let system = (!instructions.is_empty()).then(|| ("system", instructions.join("\n\n")));
    system
        .into_iter()
        .chain(turns)
        .map(|(role, content)| json!({ "role": role, "content": content }))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sidetone_core::{conversation::Message, job::JobId};

    use super::*;

    fn job(messages: &[(Role, &str)]) -> LlmJob {
        let messages = messages
            .iter()
            .map(|&(role, text)| Message::new(role, text));
        LlmJob {
            id: JobId(1),
            messages: Arc::from_iter(messages),
            language: "en".into(),
            eager: false,
        }
    }

    fn asked(messages: &[(Role, &str)]) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        super::messages(&job(messages))
            .iter()
            .map(|message| (text(&message["role"]), text(&message["content"])))
            .collect()
    }

    fn pairs(messages: &[(&str, &str)]) -> Vec<(String, String)> {
        messages
            .iter()
            .map(|(role, text)| ((*role).into(), (*text).into()))
            .collect()
    }

    #[test]
    fn roles_have_the_services_names_and_alternate() {
        let asked = asked(&[
            (Role::System, "Be brief."),
            (Role::Agent, "Hello."),
            (Role::Caller, "Where is"),
            (Role::Agent, ""),
            (Role::Caller, "my order?"),
        ]);
        let expected = pairs(&[
            ("system", "Be brief."),
            ("user", CONNECTED),
            ("assistant", "Hello."),
            ("user", "Where is my order?"),
        ]);
        assert_eq!(asked, expected);
    }

    #[test]
    fn people_are_told_apart_from_the_caller_and_guidance_is_an_instruction() {
        let messages = [
            Message::new(Role::System, "Be brief."),
            Message::new(Role::Caller, "Is it open?"),
            Message::named(Role::Guidance, "Anna", "Offer ten percent."),
            Message::named(Role::Person, "Bob", "Until six."),
            Message::new(Role::Note, "Bob has left the call."),
        ];
        let job = LlmJob {
            messages: Arc::from(messages),
            ..job(&[])
        };
        let texts: Vec<String> = super::messages(&job)
            .iter()
            .map(|message| message["content"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(
            texts[0],
            format!("Be brief.\n\n{GUIDANCE}\nAnna: Offer ten percent.")
        );
        assert_eq!(
            texts[1..],
            [
                "Is it open? (Bob, a colleague of yours on the call: Until six.) (Bob has left the call.)"
            ]
        );
    }

    #[test]
    fn there_is_always_a_caller_to_answer() {
        assert_eq!(asked(&[]), pairs(&[("user", CONNECTED)]));
        assert_eq!(
            asked(&[(Role::Caller, "Hi."), (Role::Agent, "Hello.")]),
            pairs(&[("user", "Hi."), ("assistant", "Hello."), ("user", SILENT)])
        );
    }

    #[test]
    fn a_body_holds_only_what_is_configured() {
        let plain = Shape {
            tools: false,
            newer_limit: false,
        };
        let config = OpenAiLlmConfig::default();
        let body = super::body(&config, &job(&[]), plain);
        let keys: Vec<&String> = body.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["messages", "model", "stream"]);

        let config = OpenAiLlmConfig {
            temperature: Some(0.5),
            max_tokens: Some(90),
            ..config
        };
        let shape = Shape {
            tools: true,
            newer_limit: true,
        };
        let body = super::body(&config, &job(&[]), shape);
        assert_eq!(body["temperature"], 0.5);
        assert_eq!(body["max_completion_tokens"], 90);
        assert_eq!(body["max_tokens"], Value::Null);
        assert_eq!(body["tools"][0]["function"]["name"], END_CALL);
        assert_eq!(body["tools"][1]["function"]["name"], ASK_FOR);
        assert_eq!(body["tools"][2], Value::Null);
        let config = OpenAiLlmConfig {
            hang_up_tool: false,
            notice_tool: true,
            ..config
        };
        let body = super::body(&config, &job(&[]), shape);
        assert_eq!(body["tools"][0]["function"]["name"], ASK_FOR);
        assert_eq!(body["tools"][1]["function"]["name"], SAY_NOTICE);
    }
}
