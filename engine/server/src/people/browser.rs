//! A person's leg in a browser: a WebSocket between them and the call.
//!
//! Text messages say what they want and are told, binary messages are audio; `docs/people.md` has the
//! protocol. The two directions do not wait for each other: who does not read loses audio, who floods
//! is not listened to, and neither costs memory.

use std::{fmt, num::NonZeroU32, sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    extract::ws::{CloseFrame, Message, close_code},
};
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use sidetone::{CallHandle, PersonError, PersonReceiver, PersonSender};
use sidetone_codecs::SampleRate;
use sidetone_core::person::{Join, LeaveReason, Mode, PersonOutput};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, timeout},
};
use tracing::{debug, info};

use super::{
    audio::{Decoder, Encoder, coders},
    guest::{Guest, signed_out, why_not},
    wire::{Asked, AudioFormat, Told},
};
use crate::api::Api;

/// The longest message taken from a browser, in bytes: 120 ms of PCM at 48 kHz have 11520.
pub(crate) const MAX_MESSAGE: usize = 16 * 1024;

/// The first message comes this soon after the socket is open.
const JOIN_TIMEOUT: Duration = Duration::from_secs(10);

/// How often the browser is asked whether it is there: it answers without the page's help.
const PING: Duration = Duration::from_secs(2);

/// A browser of which nothing comes for so long is gone.
const IDLE: Duration = Duration::from_secs(6);

/// A browser that takes nothing for so long is gone.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the last words may take to be sent.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);

/// Messages a second: of audio, twice what 20 ms need; of text, more than anybody clicks.
const AUDIO_PER_SECOND: NonZeroU32 = NonZeroU32::new(100).expect("not zero");
const TEXT_PER_SECOND: NonZeroU32 = NonZeroU32::new(20).expect("not zero");

/// How many words of the server's own may wait to be told.
const NOTES: usize = 4;

/// Why a leg ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// They may not come on the call.
    Refused,
    /// The person goes, or closed the page.
    Left,
    /// The call says so.
    Call(LeaveReason),
    /// Nothing comes from the browser.
    Gone,
    /// The browser takes nothing.
    Stuck,
    /// The socket failed.
    Broken,
    /// The token is not good any more.
    Revoked,
    /// The browser does not speak the protocol.
    Misused(&'static str),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "you are not on the call",
            Self::Left | Self::Call(LeaveReason::Left) => "you have left the call",
            Self::Call(LeaveReason::Stalled) => {
                "no audio came from this browser any more, so the agent has the call again"
            }
            Self::Call(LeaveReason::Removed) => "an operator has taken you off the call",
            Self::Call(_) => "the call is over",
            Self::Gone => "nothing came from this browser any more",
            Self::Stuck => "this browser took no audio any more",
            Self::Broken => "the connection broke",
            Self::Revoked => "the session is over, or its token was revoked",
            Self::Misused(why) => why,
        })
    }
}

/// Brings the person behind `socket` onto the call, and takes them off it in the end.
pub(crate) async fn serve<S, E>(api: Arc<Api>, guest: Guest, call: CallHandle, socket: S)
where
    S: Stream<Item = Result<Message, E>> + Sink<Message> + Unpin,
{
    let (mut to, mut from) = socket.split();
    let asked = match timeout(JOIN_TIMEOUT, first(&mut from)).await {
        Ok(Ok(asked)) => asked,
        Ok(Err(end)) => return close(&mut to, &mut from, end).await,
        Err(_) => {
            let why = "a leg begins with `join`, within 10 s";
            return close(&mut to, &mut from, End::Misused(why)).await;
        }
    };
    let (leg, coders) = match come_on(&guest, &call, asked).await {
        Ok(on) => on,
        Err(detail) => {
            tell_it(&mut to, &Told::Refused { detail }).await;
            return close(&mut to, &mut from, End::Refused).await;
        }
    };
    let (sender, receiver) = leg.split();
    guest.came(&api, call.id(), sender.id(), asked.mode);
    let (notes, noted) = mpsc::channel(NOTES);
    let telling = Telling {
        receiver,
        noted,
        encoder: coders.encoder,
        asked,
        mode: asked.mode,
        guest: &guest,
        api: &api,
        call: &call,
    };
    let hearing = Hearing {
        sender,
        notes,
        decoder: coders.decoder,
        guest: &guest,
        unusable: 0,
    };
    let end = tokio::select! {
        end = hearing.run(&mut from) => end,
        end = telling.run(&mut to) => end,
        () = signed_out(&api, &guest) => End::Revoked,
    };
    close(&mut to, &mut from, end).await;
}

/// What a leg begins with.
#[derive(Clone, Copy, Debug)]
struct Asking {
    mode: Mode,
    audio: AudioFormat,
    rate_hz: u32,
}

struct Coders {
    decoder: Decoder,
    encoder: Encoder,
}

/// The first message.
async fn first<S, E>(from: &mut S) -> Result<Asking, End>
where
    S: Stream<Item = Result<Message, E>> + Unpin,
{
    loop {
        match from.next().await {
            Some(Ok(Message::Text(text))) => {
                return match Asked::read(&text) {
                    Ok(Asked::Join { mode, audio, rate }) => Ok(Asking {
                        mode,
                        audio,
                        rate_hz: rate,
                    }),
                    Ok(Asked::Leave) => Err(End::Left),
                    Ok(Asked::Mode { .. }) | Err(_) => {
                        Err(End::Misused("a leg begins with `join`: see docs/people.md"))
                    }
                };
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Binary(_))) => {
                return Err(End::Misused("a leg begins with `join`, not with audio"));
            }
            Some(Ok(Message::Close(_))) | None => return Err(End::Left),
            Some(Err(_)) => return Err(End::Broken),
        }
    }
}

/// Puts the person on the call, or says why not.
async fn come_on(
    guest: &Guest,
    call: &CallHandle,
    asked: Asking,
) -> Result<(sidetone::PersonLeg, Coders), String> {
    guest.may(asked.mode).map_err(str::to_owned)?;
    let (rate, decoder, encoder): (SampleRate, _, _) =
        coders(asked.audio, asked.rate_hz).map_err(|error| error.to_string())?;
    let join = Join {
        name: guest.name.clone(),
        mode: asked.mode,
        rank: guest.rank,
        rate,
    };
    match call.join(join).await {
        Ok(leg) => Ok((leg, Coders { decoder, encoder })),
        Err(PersonError::Refused(refusal)) => Err(why_not(call, refusal)),
        Err(PersonError::Over(over)) => Err(over.to_string()),
    }
}

/// Browser to call.
struct Hearing<'a> {
    sender: PersonSender,
    notes: mpsc::Sender<Told>,
    decoder: Decoder,
    guest: &'a Guest,
    /// Messages of audio that could not be used.
    unusable: u64,
}

impl Hearing<'_> {
    async fn run<S, E>(mut self, from: &mut S) -> End
    where
        S: Stream<Item = Result<Message, E>> + Unpin,
    {
        let audio_limit = limiter(AUDIO_PER_SECOND);
        let text_limit = limiter(TEXT_PER_SECOND);
        let mut pcm = Vec::new();
        let end = loop {
            match timeout(IDLE, from.next()).await {
                Err(_) => break End::Gone,
                Ok(None | Some(Ok(Message::Close(_)))) => break End::Left,
                Ok(Some(Err(_))) => break End::Broken,
                Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => {}
                Ok(Some(Ok(Message::Binary(message)))) => {
                    if audio_limit.check().is_err() {
                        self.unusable += 1;
                        continue;
                    }
                    pcm.clear();
                    self.unusable += u64::from(self.decoder.decode(&message, &mut pcm).is_err());
                    if !pcm.is_empty() {
                        self.sender.send_audio(&pcm);
                    }
                }
                Ok(Some(Ok(Message::Text(text)))) => {
                    if text_limit.check().is_err() {
                        break End::Misused("too many messages came at once");
                    }
                    if let Err(end) = self.asked(&text).await {
                        break end;
                    }
                }
            }
        };
        if self.unusable > 0 || self.sender.dropped() > 0 {
            debug!(
                unusable = self.unusable,
                dropped = self.sender.dropped(),
                "not all of a person's audio could be used"
            );
        }
        end
    }

    async fn asked(&mut self, text: &str) -> Result<(), End> {
        let mode = match Asked::read(text) {
            Ok(Asked::Mode { mode }) => mode,
            Ok(Asked::Leave) => return Err(End::Left),
            Ok(Asked::Join { .. }) => return self.refuse("you are on the call already"),
            Err(error) => return self.refuse(error.to_string()),
        };
        if let Err(why) = self.guest.may(mode) {
            return self.refuse(why);
        }
        // What comes of it, the receiver gets to know.
        let _ = self.sender.set_mode(mode).await;
        Ok(())
    }

    fn refuse(&self, detail: impl Into<String>) -> Result<(), End> {
        let detail = detail.into();
        // Who does not read what they are told asks in vain.
        let _ = self.notes.try_send(Told::Refused { detail });
        Ok(())
    }
}

/// Call to browser.
struct Telling<'a> {
    receiver: PersonReceiver,
    noted: mpsc::Receiver<Told>,
    encoder: Encoder,
    asked: Asking,
    /// What the person does.
    mode: Mode,
    guest: &'a Guest,
    api: &'a Api,
    call: &'a CallHandle,
}

impl Telling<'_> {
    async fn run<S>(mut self, to: &mut S) -> End
    where
        S: Sink<Message> + Unpin,
    {
        let mut ping = interval(PING);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let message = tokio::select! {
                output = self.receiver.recv() => match output {
                    Some(PersonOutput::Closed { reason }) => return End::Call(reason),
                    None => return End::Call(LeaveReason::Left),
                    Some(output) => match self.message(output) {
                        Some(message) => message,
                        None => continue,
                    },
                },
                Some(told) = self.noted.recv() => Message::text(told.write()),
                _ = ping.tick() => Message::Ping(Bytes::new()),
            };
            match timeout(SEND_TIMEOUT, to.send(message)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return End::Broken,
                Err(_) => return End::Stuck,
            }
        }
    }

    fn message(&mut self, output: PersonOutput) -> Option<Message> {
        let told = match output {
            PersonOutput::Audio { pcm } => {
                let message = self.encoder.encode(&pcm);
                return message.ok().map(|message| Message::Binary(message.into()));
            }
            PersonOutput::Joined { mode } => Told::Joined {
                person: self.receiver.id(),
                mode,
                audio: self.asked.audio,
                rate: self.asked.rate_hz,
            },
            PersonOutput::Mode { mode } => {
                if self.mode != mode {
                    self.mode = mode;
                    let (call, person) = (self.call.id(), self.receiver.id());
                    self.guest.changed(self.api, call, person, mode);
                }
                Told::Mode { mode }
            }
            PersonOutput::Refused { reason } => Told::Refused {
                detail: why_not(self.call, reason),
            },
            _ => return None,
        };
        Some(Message::text(told.write()))
    }
}

fn limiter(per_second: NonZeroU32) -> DefaultDirectRateLimiter {
    RateLimiter::direct(Quota::per_second(per_second))
}

async fn tell_it<S: Sink<Message> + Unpin>(to: &mut S, told: &Told) {
    // Whoever is not there misses it.
    let _ = timeout(FAREWELL_TIMEOUT, to.send(Message::text(told.write()))).await;
}

/// Says why, and closes the socket once the browser has closed its side: what it sends meanwhile is read, or
/// the last words would be lost with it.
async fn close<T, R, E>(to: &mut T, from: &mut R, end: End)
where
    T: Sink<Message> + Unpin,
    R: Stream<Item = Result<Message, E>> + Unpin,
{
    info!(why = %end, "a person's leg ends");
    let code = match end {
        End::Misused(_) | End::Revoked => close_code::POLICY,
        _ => close_code::NORMAL,
    };
    let detail = end.to_string();
    let frame = CloseFrame {
        code,
        reason: detail.as_str().into(),
    };
    tell_it(to, &Told::Closed { detail }).await;
    let farewell = async {
        if to.send(Message::Close(Some(frame))).await.is_ok() {
            while let Some(Ok(_)) = from.next().await {}
        }
    };
    // A browser that does not answer is left alone.
    let _ = timeout(FAREWELL_TIMEOUT, farewell).await;
}
