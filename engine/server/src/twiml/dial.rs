//! `<Dial>` and `<Enqueue>`: where else a call can go.

use super::xml::Element;
use crate::twilio::PhoneNumber;

/// Calls somebody, or joins a conference, and connects the call with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dial {
    target: Target,
    caller_id: Option<PhoneNumber>,
    ring_seconds: Option<u16>,
    action: Option<String>,
    answer_on_bridge: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    Number(Number),
    Conference(Conference),
}

/// How long Twilio lets a `<Dial>` ring, in seconds.
const RING_SECONDS: std::ops::RangeInclusive<u16> = 5..=600;

impl Dial {
    /// Calls a number, with whatever else `number` says: a [`PhoneNumber`] alone will do.
    #[must_use]
    pub fn number(number: impl Into<Number>) -> Self {
        Self::new(Target::Number(number.into()))
    }

    /// Joins a conference.
    #[must_use]
    pub fn conference(conference: Conference) -> Self {
        Self::new(Target::Conference(conference))
    }

    fn new(target: Target) -> Self {
        Self {
            target,
            caller_id: None,
            ring_seconds: None,
            action: None,
            answer_on_bridge: false,
        }
    }

    /// The number that the other side sees: one of the account's. Twilio's default: the caller's.
    #[must_use]
    pub fn caller_id(mut self, number: PhoneNumber) -> Self {
        self.caller_id = Some(number);
        self
    }

    /// How long it may ring, in seconds; what is outside 5 to 600 becomes the nearest of these.
    /// Twilio's default: 30.
    #[must_use]
    pub fn ring_seconds(mut self, seconds: u16) -> Self {
        self.ring_seconds = Some(seconds.clamp(*RING_SECONDS.start(), *RING_SECONDS.end()));
        self
    }

    /// The URL that learns how it went, as a [`DialResult`](crate::twilio::DialResult), and
    /// answers with the TwiML to go on with. Without it the next verb runs.
    #[must_use]
    pub fn action(mut self, url: impl Into<String>) -> Self {
        self.action = Some(url.into());
        self
    }

    /// A call that was not answered yet goes on ringing until the other side answers. Twilio's
    /// default: it is answered at once.
    #[must_use]
    pub fn answer_on_bridge(mut self) -> Self {
        self.answer_on_bridge = true;
        self
    }

    pub(super) fn xml(&self) -> String {
        let ring = self.ring_seconds.map(|seconds| seconds.to_string());
        Element::new("Dial")
            .optional("action", self.action.as_deref())
            .optional("callerId", self.caller_id.as_ref().map(PhoneNumber::as_str))
            .optional("timeout", ring.as_deref())
            .flag("answerOnBridge", self.answer_on_bridge, false)
            .containing(&match &self.target {
                Target::Number(number) => number.xml(),
                Target::Conference(conference) => conference.xml(),
            })
    }
}

/// A number to dial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number {
    number: PhoneNumber,
    screen_url: Option<String>,
    status_callback: Option<String>,
}

impl Number {
    /// This number.
    #[must_use]
    pub fn new(number: PhoneNumber) -> Self {
        Self {
            number,
            screen_url: None,
            status_callback: None,
        }
    }

    /// Whoever answers first gets the TwiML at this URL, alone, before the two are connected: a
    /// summary, and a [`Gather`](super::Gather) to accept by a key. They are connected when that
    /// document ends, and not if it hangs up.
    #[must_use]
    pub fn screen(mut self, url: impl Into<String>) -> Self {
        self.screen_url = Some(url.into());
        self
    }

    /// Where Twilio reports how the call to this number fares, from `initiated` to `completed`.
    #[must_use]
    pub fn status_callback(mut self, url: impl Into<String>) -> Self {
        self.status_callback = Some(url.into());
        self
    }

    fn xml(&self) -> String {
        let events = self
            .status_callback
            .is_some()
            .then_some("initiated ringing answered completed");
        Element::new("Number")
            .optional("url", self.screen_url.as_deref())
            .optional("statusCallback", self.status_callback.as_deref())
            .optional("statusCallbackEvent", events)
            .text(self.number.as_str())
    }
}

impl From<PhoneNumber> for Number {
    fn from(number: PhoneNumber) -> Self {
        Self::new(number)
    }
}

/// A room where any number of calls meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conference {
    name: String,
    start_on_enter: bool,
    end_on_exit: bool,
    muted: bool,
    beep: bool,
    wait_url: Option<String>,
}

impl Conference {
    /// The conference of this name; within an account the name is the room.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            start_on_enter: true,
            end_on_exit: false,
            muted: false,
            beep: true,
            wait_url: None,
        }
    }

    /// Whether the conference begins when this call enters; until it does, those in it hear music.
    /// Default: yes.
    #[must_use]
    pub fn start_on_enter(mut self, yes: bool) -> Self {
        self.start_on_enter = yes;
        self
    }

    /// Whether it ends for everybody when this call leaves. Default: no.
    #[must_use]
    pub fn end_on_exit(mut self, yes: bool) -> Self {
        self.end_on_exit = yes;
        self
    }

    /// Whether this call is only listening. Default: no.
    #[must_use]
    pub fn muted(mut self, yes: bool) -> Self {
        self.muted = yes;
        self
    }

    /// Whether a beep is heard when somebody comes or goes. Default: yes.
    #[must_use]
    pub fn beep(mut self, yes: bool) -> Self {
        self.beep = yes;
        self
    }

    /// TwiML, or music, for those who wait. Default: Twilio's music.
    #[must_use]
    pub fn wait_url(mut self, url: impl Into<String>) -> Self {
        self.wait_url = Some(url.into());
        self
    }

    fn xml(&self) -> String {
        Element::new("Conference")
            .flag("startConferenceOnEnter", self.start_on_enter, true)
            .flag("endConferenceOnExit", self.end_on_exit, false)
            .flag("muted", self.muted, false)
            .flag("beep", self.beep, true)
            .optional("waitUrl", self.wait_url.as_deref())
            .text(&self.name)
    }
}

/// A queue that calls wait in until somebody dials it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enqueue {
    name: String,
    action: Option<String>,
    wait_url: Option<String>,
}

impl Enqueue {
    /// The queue of this name, of at most 64 characters; Twilio makes it if there is none.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            action: None,
            wait_url: None,
        }
    }

    /// The URL that is asked what comes next when the call leaves the queue.
    #[must_use]
    pub fn action(mut self, url: impl Into<String>) -> Self {
        self.action = Some(url.into());
        self
    }

    /// TwiML for those who wait. Default: Twilio's music.
    #[must_use]
    pub fn wait_url(mut self, url: impl Into<String>) -> Self {
        self.wait_url = Some(url.into());
        self
    }

    pub(super) fn xml(&self) -> String {
        Element::new("Enqueue")
            .optional("action", self.action.as_deref())
            .optional("waitUrl", self.wait_url.as_deref())
            .text(&self.name)
    }
}
