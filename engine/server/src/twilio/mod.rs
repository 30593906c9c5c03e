//! Twilio's REST API, as far as phone calls need it, and what Twilio reports back.
//!
//! [`TwilioClient`] places a call, gives a live one other TwiML, ends it, records it and looks at
//! it. [`Report`], [`DialResult`] and [`GatherResult`] are what Twilio posts to the URLs that those
//! requests and [TwiML](crate::twiml) name.
//!
//! ```no_run
//! use sidetone_server::{Config, twilio::{NewCall, TwilioClient}, twiml::{Stream, Twiml}};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::load(None)?;
//! let twilio = TwilioClient::new(&config.twilio)?;
//! let stream = Stream::new("wss://voice.example.com/twilio/media").parameter("token", "…")?;
//! let call = NewCall::new(
//!     "+12025550143".parse()?,
//!     "+12025550199".parse()?,
//!     Twiml::new().connect(&stream),
//! )
//! .ring_seconds(25);
//! let placed = twilio.place_call(&call).await?;
//! println!("{} is {}", placed.sid, placed.status);
//! twilio.end_call(&placed.sid).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Keys on a live call
//!
//! Twilio's REST API has no request that presses a key on a call in progress. `<Play digits>` in
//! new TwiML does, and ends the media stream to do so: the agent would be gone. So digits are
//! [sent when a call is answered](NewCall::send_digits), and on a live call it is for the engine to
//! play the tones into the stream, which are sound like any other: whether a menu at the other end
//! hears keys in them is the telephone network's affair.

mod callback;
mod client;
mod endpoint;
mod error;
mod ids;
mod request;
mod resource;

pub use callback::{
    CallProgress, CallbackError, DialResult, Form, GatherResult, MachineResult, RecordingProgress,
    Report, StreamEvent, StreamProgress,
};
pub use client::TwilioClient;
pub use error::{Action, Refusal, TwilioError};
pub use ids::{CallSid, IdError, PhoneNumber, RecordingSid};
pub use request::{
    Callback, Digits, Instructions, MachineDetection, NewCall, ProgressEvent, RecordingChannels,
};
pub use resource::{AnsweredBy, Call, CallStatus, Recording};

pub(crate) use endpoint::{BaseUrlError, base_url};
pub(crate) use ids::is_sid;
