//! `<Stream>`: where the audio of a call goes.

use std::fmt;

use thiserror::Error;

use super::xml::Element;

/// The name and the value of a `<Parameter>` together stay under this many characters.
const MAX_PARAMETER_CHARS: usize = 500;

/// A media stream in both directions.
#[derive(Clone, PartialEq, Eq)]
pub struct Stream {
    url: String,
    status_callback: Option<String>,
    parameters: Vec<(String, String)>,
}

/// A `<Parameter>` that Twilio would not take.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "the stream's parameter `{name}`: name and value have {chars} characters together, and must \
     have fewer than {MAX_PARAMETER_CHARS}"
)]
pub struct ParameterTooLong {
    /// Its name.
    pub name: String,
    /// The characters of name and value.
    pub chars: usize,
}

impl Stream {
    /// A stream to `url`: `wss://`, and without a query, which Twilio does not pass on; use
    /// parameters.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            status_callback: None,
            parameters: Vec::new(),
        }
    }

    /// Where Twilio reports how the stream fares.
    #[must_use]
    pub fn status_callback(mut self, url: impl Into<String>) -> Self {
        self.status_callback = Some(url.into());
        self
    }

    /// What the stream's `start` message carries in `customParameters`.
    ///
    /// # Errors
    ///
    /// Name and value are 500 characters or more.
    pub fn parameter(
        mut self,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Result<Self, ParameterTooLong> {
        let (name, value) = (name.into(), value.into());
        let chars = name.chars().count() + value.chars().count();
        if chars >= MAX_PARAMETER_CHARS {
            return Err(ParameterTooLong { name, chars });
        }
        self.parameters.push((name, value));
        Ok(self)
    }

    pub(super) fn xml(&self) -> String {
        let parameters: String = self
            .parameters
            .iter()
            .map(|(name, value)| {
                Element::new("Parameter")
                    .attribute("name", name)
                    .attribute("value", value)
                    .empty()
            })
            .collect();
        Element::new("Stream")
            .attribute("url", &self.url)
            .optional("statusCallback", self.status_callback.as_deref())
            .containing(&parameters)
    }
}

/// Without the parameters' values: one of them is a token.
impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.parameters.iter().map(|(name, _)| name).collect();
        f.debug_struct("Stream")
            .field("url", &self.url)
            .field("status_callback", &self.status_callback)
            .field("parameters", &names)
            .finish()
    }
}
