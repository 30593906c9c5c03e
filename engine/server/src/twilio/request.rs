//! What can be asked of Twilio.

use std::{borrow::Cow, fmt, str::FromStr};

use reqwest::Url;

use super::{
    error::TwilioError,
    ids::{IdError, PhoneNumber},
};
use crate::twiml::{MAX_INLINE_CHARS, Twiml};

/// What Twilio shall do with a call.
#[derive(Clone, PartialEq, Eq)]
pub enum Instructions {
    /// This document, of at most 4000 characters.
    Twiml(Twiml),
    /// The document at this URL, asked for with POST.
    Url(String),
}

impl From<Twiml> for Instructions {
    fn from(twiml: Twiml) -> Self {
        Self::Twiml(twiml)
    }
}

impl Instructions {
    pub(super) fn fields(&self, form: &mut Fields) -> Result<(), TwilioError> {
        match self {
            Self::Twiml(twiml) => {
                let text = twiml.to_string();
                if text.chars().count() > MAX_INLINE_CHARS {
                    return Err(TwilioError::Invalid {
                        field: "twiml",
                        expected: "at most 4000 characters long; put a longer document behind a URL",
                    });
                }
                form.push(("Twiml", text.into()));
            }
            Self::Url(url) => form.push(("Url", http_url("url", url)?.into())),
        }
        Ok(())
    }
}

/// Without what it may hold of tokens and numbers.
impl fmt::Debug for Instructions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Twiml(twiml) => twiml.fmt(f),
            Self::Url(_) => f.write_str("Url(***)"),
        }
    }
}

/// A call to place. Numbers are masked in `Debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCall {
    to: PhoneNumber,
    from: PhoneNumber,
    instructions: Instructions,
    ring_seconds: Option<u16>,
    longest_seconds: Option<u32>,
    send_digits: Option<Digits>,
    status: Option<Callback>,
    machine_detection: Option<MachineDetection>,
}

impl NewCall {
    /// A call to `to` from `from`, a number of the account's or one verified with it, that follows
    /// `instructions` when it is answered.
    #[must_use]
    pub fn new(to: PhoneNumber, from: PhoneNumber, instructions: impl Into<Instructions>) -> Self {
        Self {
            to,
            from,
            instructions: instructions.into(),
            ring_seconds: None,
            longest_seconds: None,
            send_digits: None,
            status: None,
            machine_detection: None,
        }
    }

    /// How long it may ring, in seconds, 1 to 600. Twilio's default: 60.
    #[must_use]
    pub fn ring_seconds(mut self, seconds: u16) -> Self {
        self.ring_seconds = Some(seconds);
        self
    }

    /// When Twilio hangs up, come what may, in seconds after the answer, 1 to 86400. Twilio's
    /// default: four hours.
    #[must_use]
    pub fn longest_seconds(mut self, seconds: u32) -> Self {
        self.longest_seconds = Some(seconds);
        self
    }

    /// Keys that Twilio presses when the call is answered, before the instructions: for an
    /// extension. Not together with machine detection, which Twilio would pass over.
    #[must_use]
    pub fn send_digits(mut self, digits: Digits) -> Self {
        self.send_digits = Some(digits);
        self
    }

    /// Where and when Twilio reports how the call fares.
    #[must_use]
    pub fn status(mut self, callback: Callback) -> Self {
        self.status = Some(callback);
        self
    }

    /// Finds out whether a person answered.
    #[must_use]
    pub fn machine_detection(mut self, detection: MachineDetection) -> Self {
        self.machine_detection = Some(detection);
        self
    }

    pub(super) fn fields(&self) -> Result<Fields, TwilioError> {
        let mut form: Fields = vec![
            ("To", self.to.as_str().to_owned().into()),
            ("From", self.from.as_str().to_owned().into()),
        ];
        self.instructions.fields(&mut form)?;
        if let Some(seconds) = self.ring_seconds {
            within(
                "ring_seconds",
                u32::from(seconds),
                1..=600,
                "1 to 600 seconds",
            )?;
            form.push(("Timeout", seconds.to_string().into()));
        }
        if let Some(seconds) = self.longest_seconds {
            within("longest_seconds", seconds, 1..=86_400, "1 to 86400 seconds")?;
            form.push(("TimeLimit", seconds.to_string().into()));
        }
        if let Some(digits) = &self.send_digits {
            if self.machine_detection.is_some() {
                return Err(TwilioError::Invalid {
                    field: "send_digits",
                    expected: "left out with machine detection: Twilio does not do both",
                });
            }
            form.push(("SendDigits", digits.0.clone().into()));
        }
        if let Some(callback) = &self.status {
            callback.fields(&mut form)?;
        }
        if let Some(detection) = &self.machine_detection {
            detection.fields(&mut form)?;
        }
        Ok(form)
    }
}

/// Keys to press: up to 32 of `0`–`9`, `A`–`D`, `*`, `#`, and `w` and `W`, which wait for half a
/// second and a whole one. `Debug` masks them: it may be a PIN.
#[derive(Clone, PartialEq, Eq)]
pub struct Digits(String);

impl FromStr for Digits {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let is_key = |byte: u8| byte.is_ascii_digit() || b"ABCD*#wW".contains(&byte);
        if (1..=32).contains(&text.len()) && text.bytes().all(is_key) {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError {
                expected: "1 to 32 of 0 to 9, A to D, * and #, with w and W for pauses of half a \
                           second and a second",
            })
        }
    }
}

impl fmt::Debug for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digits(***)")
    }
}

/// Where Twilio reports how a call fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    url: String,
    events: Vec<ProgressEvent>,
}

impl Callback {
    /// Every event, to `url`.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            events: ProgressEvent::ALL.to_vec(),
        }
    }

    /// Only these.
    #[must_use]
    pub fn events(mut self, events: impl IntoIterator<Item = ProgressEvent>) -> Self {
        self.events = events.into_iter().collect();
        self
    }

    fn fields(&self, form: &mut Fields) -> Result<(), TwilioError> {
        form.push((
            "StatusCallback",
            http_url("status callback", &self.url)?.into(),
        ));
        for event in &self.events {
            form.push(("StatusCallbackEvent", event.as_str().into()));
        }
        Ok(())
    }
}

/// When Twilio reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressEvent {
    /// Twilio has begun to call.
    Initiated,
    /// It rings.
    Ringing,
    /// Somebody, or a machine, answered.
    Answered,
    /// It is over, however it ended.
    Completed,
}

impl ProgressEvent {
    /// All of them, in the order in which they happen.
    pub const ALL: [Self; 4] = [
        Self::Initiated,
        Self::Ringing,
        Self::Answered,
        Self::Completed,
    ];

    /// As Twilio writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initiated => "initiated",
            Self::Ringing => "ringing",
            Self::Answered => "answered",
            Self::Completed => "completed",
        }
    }
}

/// Whether a person or a machine answered. Costs extra at Twilio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineDetection {
    for_message: bool,
    callback: Option<String>,
    longest_seconds: Option<u16>,
}

impl MachineDetection {
    /// Waits for the verdict before the call follows its instructions; the verdict is in
    /// [`Call::answered_by`](super::Call::answered_by), and in what Twilio posts to the
    /// instructions' URL. A person hears nothing until then.
    #[must_use]
    pub fn first() -> Self {
        Self {
            for_message: false,
            callback: None,
            longest_seconds: None,
        }
    }

    /// Follows the instructions at once and posts the verdict to `url` later, as a
    /// [`MachineResult`](super::MachineResult).
    #[must_use]
    pub fn meanwhile(url: impl Into<String>) -> Self {
        Self {
            callback: Some(url.into()),
            ..Self::first()
        }
    }

    /// Waits, where a machine answers, until its greeting has ended: to leave a message.
    #[must_use]
    pub fn until_message_can_be_left(mut self) -> Self {
        self.for_message = true;
        self
    }

    /// How long it may take, in seconds, 3 to 59; then the verdict is "unknown". Twilio's
    /// default: 30.
    #[must_use]
    pub fn longest_seconds(mut self, seconds: u16) -> Self {
        self.longest_seconds = Some(seconds);
        self
    }

    fn fields(&self, form: &mut Fields) -> Result<(), TwilioError> {
        let mode = if self.for_message {
            "DetectMessageEnd"
        } else {
            "Enable"
        };
        form.push(("MachineDetection", mode.into()));
        if let Some(seconds) = self.longest_seconds {
            within(
                "machine detection",
                u32::from(seconds),
                3..=59,
                "3 to 59 seconds",
            )?;
            form.push(("MachineDetectionTimeout", seconds.to_string().into()));
        }
        if let Some(url) = &self.callback {
            let url = http_url("machine detection callback", url)?;
            form.push(("AsyncAmd", "true".into()));
            form.push(("AsyncAmdStatusCallback", url.into()));
        }
        Ok(())
    }
}

/// How a recording keeps the two sides of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordingChannels {
    /// Mixed.
    Mono,
    /// One channel for each side.
    #[default]
    Dual,
}

impl RecordingChannels {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Mono => "mono",
            Self::Dual => "dual",
        }
    }
}

/// The fields of a form, in order.
pub(super) type Fields = Vec<(&'static str, Cow<'static, str>)>;

fn within(
    field: &'static str,
    value: u32,
    range: std::ops::RangeInclusive<u32>,
    expected: &'static str,
) -> Result<(), TwilioError> {
    if range.contains(&value) {
        Ok(())
    } else {
        Err(TwilioError::Invalid { field, expected })
    }
}

/// A URL that Twilio can ask for.
pub(super) fn http_url(field: &'static str, text: &str) -> Result<String, TwilioError> {
    let usable = Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.host_str().is_some_and(|host| !host.contains('_'))
    });
    if usable {
        // As it was written: the signature is made of it.
        Ok(text.to_owned())
    } else {
        Err(TwilioError::Invalid {
            field,
            expected: "a whole URL: https://, a host without underscores, and a path",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twiml::Say;

    fn call() -> NewCall {
        NewCall::new(
            "+12025550143".parse().unwrap(),
            "+12025550199".parse().unwrap(),
            Twiml::new().hangup(),
        )
    }

    fn fault(call: &NewCall) -> &'static str {
        match call.fields() {
            Err(TwilioError::Invalid { field, .. }) => field,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_twilio_would_refuse_is_not_sent() {
        for (call, field) in [
            (call().ring_seconds(0), "ring_seconds"),
            (call().ring_seconds(601), "ring_seconds"),
            (call().longest_seconds(86_401), "longest_seconds"),
            (call().status(Callback::new("/status")), "status callback"),
            (
                call().status(Callback::new("https://my_host.example/")),
                "status callback",
            ),
            (
                call().machine_detection(MachineDetection::first().longest_seconds(60)),
                "machine detection",
            ),
            (
                call().machine_detection(MachineDetection::meanwhile("wss://a")),
                "machine detection callback",
            ),
            (
                call()
                    .send_digits("12".parse().unwrap())
                    .machine_detection(MachineDetection::first()),
                "send_digits",
            ),
        ] {
            assert_eq!(fault(&call), field);
        }
        let long = Twiml::new().say(&Say::new("é".repeat(4_000)));
        let mut call = call();
        call.instructions = long.into();
        assert_eq!(fault(&call), "twiml");
        call.instructions = Instructions::Url("mailto:a@b".into());
        assert_eq!(fault(&call), "url");
    }

    #[test]
    fn the_longest_document_that_fits_is_sent() {
        let around = Twiml::new().say(&Say::new("x")).to_string().len() - 1;
        let mut call = call();
        call.instructions = Twiml::new()
            .say(&Say::new("é".repeat(MAX_INLINE_CHARS - around)))
            .into();
        assert!(call.fields().is_ok());
        call.instructions = Twiml::new()
            .say(&Say::new("é".repeat(MAX_INLINE_CHARS - around + 1)))
            .into();
        assert_eq!(fault(&call), "twiml");
    }

    #[test]
    fn digits_are_keys() {
        for good in ["1", "12w34#", "0123456789ABCD*#wW"] {
            assert!(good.parse::<Digits>().is_ok(), "{good}");
        }
        for bad in ["", "1 2", "E", "1,2", "123456789012345678901234567890123"] {
            assert!(bad.parse::<Digits>().is_err(), "{bad}");
        }
    }

    #[test]
    fn debug_shows_no_number_no_key_and_no_document() {
        let call = call().send_digits("4711".parse().unwrap());
        let debug = format!(
            "{call:?} {:?}",
            Instructions::Url("https://a/?t=hush".into())
        );
        for private in ["2025550143", "4711", "Hangup", "hush"] {
            assert!(!debug.contains(private), "{debug}");
        }
    }
}
