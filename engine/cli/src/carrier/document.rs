//! Reads TwiML, as far as the stand-in acts on it.

use std::time::Duration;

use roxmltree::Node;

use crate::phone::{Stream, TwimlError, stream_noun};

/// What a call is told to do, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Document {
    pub(super) verbs: Vec<Verb>,
}

#[derive(Clone, Debug)]
pub(super) enum Verb {
    Say(String),
    Play(String),
    Pause(Duration),
    Stream {
        stream: Stream,
        status_callback: Option<String>,
    },
    Dial(Dial),
    Enqueue(String),
    Gather(Gather),
    Redirect(String),
    Hangup,
    Other(String),
}

#[derive(Clone, Debug)]
pub(super) struct Dial {
    pub(super) target: Target,
    pub(super) caller_id: Option<String>,
    pub(super) ring: Duration,
    pub(super) action: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) enum Target {
    Number {
        number: String,
        screen_url: Option<String>,
        status_callback: Option<String>,
        events: Vec<String>,
    },
    Conference(String),
}

#[derive(Clone, Debug)]
pub(super) struct Gather {
    pub(super) prompts: Vec<String>,
    pub(super) digits: usize,
    pub(super) wait: Duration,
    pub(super) action: Option<String>,
}

/// Twilio's defaults.
const RING: Duration = Duration::from_secs(30);
const GATHER_WAIT: Duration = Duration::from_secs(5);

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    ///
    /// It is not TwiML, or a verb lacks what it needs.
    pub(super) fn read(text: &str) -> Result<Self, TwimlError> {
        let document = roxmltree::Document::parse(text)?;
        let root = document.root_element();
        if !root.has_tag_name("Response") {
            return Err(TwimlError::NotTwiml(root.tag_name().name().to_owned()));
        }
        let verbs = root.children().filter(Node::is_element).map(verb);
        Ok(Self {
            verbs: verbs.collect::<Result<_, _>>()?,
        })
    }
}

fn verb(node: Node<'_, '_>) -> Result<Verb, TwimlError> {
    Ok(match node.tag_name().name() {
        "Say" => Verb::Say(text(node)),
        "Play" => Verb::Play(attribute(node, "digits").unwrap_or_else(|| text(node))),
        "Pause" => Verb::Pause(seconds(node, "length").unwrap_or(Duration::from_secs(1))),
        "Connect" => match child(node, "Stream") {
            Some(stream) => Verb::Stream {
                stream: stream_noun(stream)?,
                status_callback: attribute(stream, "statusCallback"),
            },
            None => Verb::Other("Connect".to_owned()),
        },
        "Dial" => Verb::Dial(Dial {
            target: target(node),
            caller_id: attribute(node, "callerId"),
            ring: seconds(node, "timeout").unwrap_or(RING),
            action: attribute(node, "action"),
        }),
        "Enqueue" => Verb::Enqueue(text(node)),
        "Gather" => Verb::Gather(Gather {
            prompts: node
                .children()
                .filter(|prompt| prompt.has_tag_name("Say"))
                .map(text)
                .collect(),
            digits: attribute(node, "numDigits")
                .and_then(|digits| digits.parse().ok())
                .unwrap_or(usize::MAX),
            wait: seconds(node, "timeout").unwrap_or(GATHER_WAIT),
            action: attribute(node, "action"),
        }),
        "Redirect" => Verb::Redirect(text(node)),
        "Hangup" | "Reject" => Verb::Hangup,
        other => Verb::Other(other.to_owned()),
    })
}

fn target(dial: Node<'_, '_>) -> Target {
    if let Some(conference) = child(dial, "Conference") {
        return Target::Conference(text(conference));
    }
    let number = child(dial, "Number");
    let of_number = |name| number.and_then(|number| attribute(number, name));
    let events = of_number("statusCallbackEvent").unwrap_or_default();
    Target::Number {
        number: text(number.unwrap_or(dial)),
        screen_url: of_number("url"),
        status_callback: of_number("statusCallback"),
        events: events.split_whitespace().map(str::to_owned).collect(),
    }
}

fn child<'a, 'b>(node: Node<'a, 'b>, name: &str) -> Option<Node<'a, 'b>> {
    node.children().find(|child| child.has_tag_name(name))
}

fn text(node: Node<'_, '_>) -> String {
    node.text().unwrap_or_default().trim().to_owned()
}

fn attribute(node: Node<'_, '_>, name: &str) -> Option<String> {
    node.attribute(name).map(str::to_owned)
}

fn seconds(node: Node<'_, '_>, name: &str) -> Option<Duration> {
    let seconds = node.attribute(name)?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}
