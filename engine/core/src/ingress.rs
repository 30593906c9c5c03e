//! What a leg sends: its order, its identity, and its audio as PCM.
//!
//! [`Ingress`] stands between a [`Dialect`](crate::dialect::Dialect) and the call. It lets through
//! what belongs to the call's one stream, once and in order, and counts everything else.
//!
//! - Before the stream starts, audio, keys and marks are ignored
//!   ([`LegFault::BeforeStart`]). A second start is ignored ([`LegFault::SecondStart`]), and so is
//!   every message for another stream ([`LegFault::ForeignStream`]).
//! - Sequence numbers, where messages carry them, tell repeats ([`LegFault::Duplicate`]),
//!   stragglers ([`LegFault::Late`]) and missing messages ([`LegFault::Gap`]) apart. Repeats are
//!   dropped, and so is audio that comes late; a key or a mark that comes late still counts.
//!   A straggler does not undo the gap it left. The end of the stream is always believed.
//! - A number out of all proportion changes nothing; a leg that begins to count anew is followed
//!   from its third message on.
//! - Missing audio would shorten time, and with it every pause. Where the timestamps of two
//!   consecutive frames leave at least [`MIN_FILL`] between them, the hole is filled with silence, up
//!   to [`MAX_FILL`]; without timestamps nothing is filled.
//! - After the stream's end everything is [`LegFault::Late`].

mod order;

use std::{borrow::Cow, time::Duration};

use sidetone_codecs::{
    SampleCount, SampleRate,
    g711::{alaw, mulaw},
};

use self::order::{Order, Place};
use crate::{
    dialect::{Encoding, Inbound, LegFormat, LegMessage, Media, Start, Track},
    event::{Counters, LegFault},
};

/// A hole between two frames that is shorter is jitter of the sender's clock, and stays.
pub const MIN_FILL: Duration = Duration::from_millis(10);

/// At most this much silence is put where audio is missing.
pub const MAX_FILL: Duration = Duration::from_millis(200);

/// What became of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Accepted<'a> {
    /// Nothing for the call.
    Nothing,
    /// The stream started.
    Started(Start),
    /// The PCM buffer holds the caller's next audio.
    Audio,
    /// The caller pressed a key.
    Dtmf {
        /// `0` to `9`, `*`, `#`, `A` to `D`.
        digit: char,
    },
    /// A mark came back.
    Mark {
        /// As it was sent.
        name: Cow<'a, str>,
    },
    /// The stream is over.
    Stopped,
}

/// The receiving end of one leg.
#[derive(Clone, Debug, Default)]
pub struct Ingress {
    state: State,
    /// The kinds of fault that were returned already: each is, once.
    reported: Vec<LegFault>,
}

#[derive(Clone, Debug, Default)]
enum State {
    #[default]
    Waiting,
    Streaming(Stream),
    /// With the stream that was, if one ever started.
    Stopped(Option<Stream>),
}

#[derive(Clone, Debug)]
struct Stream {
    id: String,
    format: LegFormat,
    order: Order,
    /// Where the next frame's timestamp is due, if the last frame had one.
    due: Option<Duration>,
}

impl Ingress {
    /// Waits for a stream to start.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one message.
    ///
    /// For [`Accepted::Audio`], `pcm` holds the new audio, and nothing else: mono PCM at the
    /// leg's rate, at most [`MAX_FILL`] longer than the message's. Otherwise `pcm` is untouched.
    ///
    /// Used audio frames and all faults are counted in `counters`. The first fault of each kind is
    /// also put into `fault`, with one line for the operator that holds nothing of what was said;
    /// where one message has two faults of new kinds, the second kind's turn is the next time it
    /// occurs.
    pub fn accept<'a>(
        &mut self,
        message: LegMessage<'a>,
        pcm: &mut Vec<i16>,
        counters: &mut Counters,
        fault: &mut Option<(LegFault, String)>,
    ) -> Accepted<'a> {
        let mut faults = Faults {
            reported: &mut self.reported,
            counters,
            first: fault,
        };
        match &mut self.state {
            State::Waiting => match message.body {
                Inbound::Start(start) => {
                    let mut order = Order::default();
                    if let Some(sequence) = message.sequence {
                        order.place(sequence);
                    }
                    self.state = State::Streaming(Stream {
                        id: start.stream_id.clone(),
                        format: start.format,
                        order,
                        due: None,
                    });
                    Accepted::Started(start)
                }
                Inbound::Stop => {
                    self.state = State::Stopped(None);
                    Accepted::Stopped
                }
                Inbound::Connected => Accepted::Nothing,
                Inbound::Unknown => faults.unknown(),
                body @ (Inbound::Media(_) | Inbound::Dtmf { .. } | Inbound::Mark { .. }) => faults
                    .ignore(LegFault::BeforeStart, || {
                        format!("{} before the stream started", name(&body))
                    }),
            },
            State::Streaming(stream) => {
                let accepted = stream.accept(message, pcm, &mut faults);
                if accepted == Accepted::Stopped
                    && let State::Streaming(stream) = std::mem::take(&mut self.state)
                {
                    self.state = State::Stopped(Some(stream));
                }
                accepted
            }
            State::Stopped(_) => faults.ignore(LegFault::Late, || {
                format!("{} after the stream's end", name(&message.body))
            }),
        }
    }

    /// The audio format of the stream, once it started; it stays known after the end.
    #[must_use]
    pub fn format(&self) -> Option<LegFormat> {
        self.stream().map(|stream| stream.format)
    }

    /// The provider's id of the stream, once it started; it stays known after the end.
    #[must_use]
    pub fn stream_id(&self) -> Option<&str> {
        self.stream().map(|stream| stream.id.as_str())
    }

    fn stream(&self) -> Option<&Stream> {
        match &self.state {
            State::Waiting => None,
            State::Streaming(stream) => Some(stream),
            State::Stopped(stream) => stream.as_ref(),
        }
    }
}

impl Stream {
    fn accept<'a>(
        &mut self,
        message: LegMessage<'a>,
        pcm: &mut Vec<i16>,
        faults: &mut Faults<'_>,
    ) -> Accepted<'a> {
        if matches!(message.body, Inbound::Start(_)) {
            return faults.ignore(LegFault::SecondStart, || {
                "a second start; the first stream goes on".to_owned()
            });
        }
        if message.stream_id.as_ref().is_some_and(|id| *id != self.id) {
            return faults.ignore(LegFault::ForeignStream, || {
                format!("{} for another stream", name(&message.body))
            });
        }
        let is_late = match message.sequence.map(|number| self.order.place(number)) {
            None | Some(Place::Next) => false,
            Some(Place::After { missing }) => {
                faults.count(LegFault::Gap, missing, || {
                    format!("{missing} missing before {}", name(&message.body))
                });
                false
            }
            Some(Place::Late) => {
                faults.count(LegFault::Late, 1, || {
                    format!("{} after its successor", name(&message.body))
                });
                true
            }
            Some(Place::Duplicate) if !matches!(message.body, Inbound::Stop) => {
                return faults.ignore(LegFault::Duplicate, || {
                    format!("{} a second time", name(&message.body))
                });
            }
            Some(Place::Duplicate) => true,
        };
        match message.body {
            Inbound::Media(media) if !is_late => self.hear(&media, pcm, faults),
            Inbound::Dtmf { digit } => Accepted::Dtmf { digit },
            Inbound::Mark { name } => Accepted::Mark { name },
            Inbound::Stop => Accepted::Stopped,
            Inbound::Unknown => faults.unknown(),
            Inbound::Media(_) | Inbound::Connected | Inbound::Start(_) => Accepted::Nothing,
        }
    }

    fn hear(
        &mut self,
        media: &Media<'_>,
        pcm: &mut Vec<i16>,
        faults: &mut Faults<'_>,
    ) -> Accepted<'static> {
        if media.track != Track::Inbound || media.payload.is_empty() {
            return Accepted::Nothing;
        }
        let rate = self.format.rate;
        pcm.clear();
        let at = media.timestamp_ms.map(Duration::from_millis);
        let hole = match (at, self.due) {
            (Some(at), Some(due)) => at.saturating_sub(due),
            _ => Duration::ZERO,
        };
        if hole >= MIN_FILL {
            pcm.resize(samples(rate, hole.min(MAX_FILL)), 0);
        }
        match self.format.encoding {
            Encoding::Mulaw => mulaw::decode_append(&media.payload, pcm),
            Encoding::Alaw => alaw::decode_append(&media.payload, pcm),
        }
        let lasts = SampleCount(media.payload.len() as u64).duration(rate);
        self.due = at.map(|at| at.saturating_add(lasts));
        faults.counters.frames_in += 1;
        Accepted::Audio
    }
}

fn samples(rate: SampleRate, duration: Duration) -> usize {
    usize::try_from(rate.samples_in(duration).0).unwrap_or(usize::MAX)
}

fn name(body: &Inbound<'_>) -> &'static str {
    match body {
        Inbound::Connected => "`connected`",
        Inbound::Start(_) => "`start`",
        Inbound::Media(_) => "audio",
        Inbound::Dtmf { .. } => "a key",
        Inbound::Mark { .. } => "a mark",
        Inbound::Stop => "`stop`",
        Inbound::Unknown => "an unknown event",
    }
}

/// Counts faults, and hands out the first of each kind.
struct Faults<'f> {
    reported: &'f mut Vec<LegFault>,
    counters: &'f mut Counters,
    first: &'f mut Option<(LegFault, String)>,
}

impl Faults<'_> {
    fn count(&mut self, fault: LegFault, times: u64, detail: impl FnOnce() -> String) {
        let counted = self.counters.leg_faults.entry(fault).or_default();
        *counted = counted.saturating_add(times);
        if self.first.is_none() && !self.reported.contains(&fault) {
            self.reported.push(fault);
            *self.first = Some((fault, detail()));
        }
    }

    fn ignore(&mut self, fault: LegFault, detail: impl FnOnce() -> String) -> Accepted<'static> {
        self.count(fault, 1, detail);
        Accepted::Nothing
    }

    fn unknown(&mut self) -> Accepted<'static> {
        self.ignore(LegFault::Unknown, || {
            "an event this dialect does not know".to_owned()
        })
    }
}
