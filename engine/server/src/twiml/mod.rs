//! TwiML documents: what Twilio shall do with a call, verb after verb.
//!
//! ```
//! use sidetone_server::{twilio::PhoneNumber, twiml::{Dial, Say, Twiml}};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let colleague: PhoneNumber = "+12025550143".parse()?;
//! let document = Twiml::new()
//!     .dial(&Dial::number(colleague).ring_seconds(20).action("https://voice.example/dialled"))
//!     .say(&Say::new("Nobody is free just now.").language("en-US"))
//!     .hangup();
//! assert!(document.to_string().contains("<Number>+12025550143</Number>"));
//! # Ok(())
//! # }
//! ```
//!
//! Texts, names and URLs are escaped, whatever is in them. Source: Twilio, "TwiML for Programmable
//! Voice".

mod answers;
mod dial;
mod gather;
mod stream;
mod xml;

#[cfg(test)]
mod tests;

use std::fmt;

pub use dial::{Conference, Dial, Enqueue, Number};
pub use gather::{Gather, Say};
pub use stream::{ParameterTooLong, Stream};

pub(crate) use answers::{TOKEN_PARAMETER, busy, connect, hang_up, locale};

use xml::Element;

/// Twilio takes no longer document inside a request, in characters (error 32018). One that it
/// fetches from a URL may be longer.
pub const MAX_INLINE_CHARS: usize = 4_000;

/// A TwiML document. `to_string` writes it out; `Debug` does not, for it may hold phone numbers
/// and tokens.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Twiml {
    verbs: String,
}

impl Twiml {
    /// A document without a verb: Twilio hangs up.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Connects the call to a media stream in both directions until the stream ends; then the next
    /// verb runs.
    #[must_use]
    pub fn connect(self, stream: &Stream) -> Self {
        self.verb(Element::new("Connect").containing(&stream.xml()))
    }

    /// Calls somebody else, or joins a conference, and connects the two.
    #[must_use]
    pub fn dial(self, dial: &Dial) -> Self {
        self.verb(dial.xml())
    }

    /// Puts the call into a queue.
    #[must_use]
    pub fn enqueue(self, enqueue: &Enqueue) -> Self {
        self.verb(enqueue.xml())
    }

    /// Waits for a key. Where none is pressed, the next verb runs.
    #[must_use]
    pub fn gather(self, gather: &Gather) -> Self {
        self.verb(gather.xml())
    }

    /// Speaks with one of Twilio's voices.
    #[must_use]
    pub fn say(self, say: &Say) -> Self {
        self.verb(say.xml())
    }

    /// Waits.
    #[must_use]
    pub fn pause(self, seconds: u16) -> Self {
        self.verb(
            Element::new("Pause")
                .attribute("length", &seconds.to_string())
                .empty(),
        )
    }

    /// Goes on with the document at `url`, asked for with POST.
    #[must_use]
    pub fn redirect(self, url: &str) -> Self {
        self.verb(Element::new("Redirect").text(url))
    }

    /// Hangs up.
    #[must_use]
    pub fn hangup(self) -> Self {
        self.verb(Element::new("Hangup").empty())
    }

    fn verb(mut self, xml: String) -> Self {
        self.verbs.push_str(&xml);
        self
    }
}

/// The whole document.
impl fmt::Display for Twiml {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response>{}</Response>\n",
            self.verbs
        )
    }
}

impl fmt::Debug for Twiml {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Twiml({} bytes of verbs)", self.verbs.len())
    }
}
