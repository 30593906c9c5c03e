//! Reads the TwiML that answers a call, as far as a call needs it: where the stream is.

use std::collections::BTreeMap;

use thiserror::Error;

/// A bidirectional stream that TwiML asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stream {
    /// Where to connect to.
    pub(crate) url: String,
    /// What to pass in the `start` message.
    pub(crate) parameters: BTreeMap<String, String>,
}

/// Why TwiML does not lead to a stream.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TwimlError {
    /// Not XML.
    #[error("the answer is not TwiML: {0}")]
    NotXml(#[from] roxmltree::Error),
    /// XML of some other kind.
    #[error("the answer is not TwiML: its root is <{0}>, not <Response>")]
    NotTwiml(String),
    /// TwiML that does something else.
    #[error("the server did not connect the call to a stream; its TwiML says {0}")]
    NoStream(String),
    /// A stream that leads nowhere.
    #[error("<Stream> without a `url`")]
    NoUrl,
    /// A parameter without its name or value.
    #[error("<Parameter> without a `{0}`")]
    Parameter(&'static str),
}

/// The `<Connect><Stream>` of a TwiML document.
///
/// # Errors
///
/// The document is not TwiML, or does not connect the call to a bidirectional stream.
pub(super) fn stream(document: &str) -> Result<Stream, TwimlError> {
    let document = roxmltree::Document::parse(document)?;
    let root = document.root_element();
    if !root.has_tag_name("Response") {
        return Err(TwimlError::NotTwiml(root.tag_name().name().to_owned()));
    }
    let stream = root
        .children()
        .filter(|verb| verb.has_tag_name("Connect"))
        .flat_map(|connect| connect.children())
        .find(|noun| noun.has_tag_name("Stream"))
        .ok_or_else(|| TwimlError::NoStream(outline(root)))?;
    stream_noun(stream)
}

/// What a `<Stream>` says.
///
/// # Errors
///
/// It leads nowhere, or a parameter is not whole.
pub(crate) fn stream_noun(stream: roxmltree::Node<'_, '_>) -> Result<Stream, TwimlError> {
    let url = stream.attribute("url").ok_or(TwimlError::NoUrl)?;
    let parameters = stream
        .children()
        .filter(|child| child.has_tag_name("Parameter"))
        .map(|parameter| {
            let attribute = |name| {
                let value = parameter.attribute(name);
                value.map(str::to_owned).ok_or(TwimlError::Parameter(name))
            };
            Ok((attribute("name")?, attribute("value")?))
        })
        .collect::<Result<_, TwimlError>>()?;
    Ok(Stream {
        url: url.to_owned(),
        parameters,
    })
}

/// The verbs of a response, with the words of those that speak.
fn outline(root: roxmltree::Node<'_, '_>) -> String {
    let verbs: Vec<String> = root
        .children()
        .filter(roxmltree::Node::is_element)
        .map(|verb| match verb.text().map(str::trim) {
            Some(text) if !text.is_empty() => format!("<{}> {text:?}", verb.tag_name().name()),
            _ => format!("<{}>", verb.tag_name().name()),
        })
        .collect();
    if verbs.is_empty() {
        "nothing".to_owned()
    } else {
        verbs.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_and_its_parameters_are_found() {
        let twiml = r#"<?xml version="1.0" encoding="UTF-8"?>
            <Response>
              <Say>One moment.</Say>
              <Connect>
                <Stream url="wss://a.example/twilio/media" name="x">
                  <Parameter name="token" value="a&amp;b &quot;c&quot;"/>
                  <Parameter name="lang" value=""/>
                </Stream>
              </Connect>
            </Response>"#;
        let expected = Stream {
            url: "wss://a.example/twilio/media".into(),
            parameters: BTreeMap::from([
                ("lang".into(), String::new()),
                ("token".into(), "a&b \"c\"".into()),
            ]),
        };
        assert_eq!(stream(twiml), Ok(expected));
    }

    #[test]
    fn a_polite_refusal_is_quoted() {
        let twiml = "<Response><Say>All lines are busy.</Say><Hangup/></Response>";
        let error = stream(twiml).unwrap_err().to_string();
        assert!(
            error.contains(r#"<Say> "All lines are busy.", <Hangup>"#),
            "{error}"
        );
    }

    #[test]
    fn what_is_no_stream_is_an_error_with_a_reason() {
        for (twiml, reason) in [
            ("", "not TwiML"),
            ("<html/>", "its root is <html>"),
            ("<Response/>", "says nothing"),
            (
                "<Response><Start><Stream url='wss://x'/></Start></Response>",
                "says <Start>",
            ),
            (
                "<Response><Connect><Stream/></Connect></Response>",
                "without a `url`",
            ),
            (
                "<Response><Connect><Stream url='wss://x'><Parameter name='a'/></Stream></Connect></Response>",
                "without a `value`",
            ),
        ] {
            let error = stream(twiml).unwrap_err().to_string();
            assert!(error.contains(reason), "{twiml}: {error}");
        }
    }
}
