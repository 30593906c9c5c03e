//! The people on one call: their legs' channels, and who taps its audio.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use sidetone_core::{
    io::Command,
    person::{Join, Mode, PersonId, PersonInput, PersonOutput, Refusal},
};
use tokio::sync::{mpsc, oneshot};

use crate::{person::PersonLeg, tap::TappedAudio};

/// How many messages of audio a person may be ahead of the call: of 20 ms, half a second.
const AUDIO: usize = 25;
/// How many outputs a leg may be behind: 1.2 s.
const OUTPUTS: usize = 64;
/// So many of them are kept for what is not audio.
const NOT_AUDIO: usize = 4;
/// How much audio a tap may be behind: 10 s.
pub(crate) const TAPPED: usize = 500;

/// What the program wants of a call.
#[derive(Debug)]
pub(crate) enum Control {
    Command(Command),
    Join {
        join: Join,
        answer: oneshot::Sender<Result<PersonLeg, Refusal>>,
    },
    Mode {
        id: PersonId,
        mode: Mode,
        answer: oneshot::Sender<Result<(), Refusal>>,
    },
    Tap {
        frames: mpsc::Sender<TappedAudio>,
        missed: Arc<AtomicU64>,
    },
}

/// The legs of the people on one call.
pub(crate) struct People {
    legs: Vec<Connected>,
    taps: Vec<Tap>,
    /// Counts the legs, refused ones too.
    latest: u32,
    /// Whose audio is looked at first.
    first: usize,
    controls: mpsc::WeakSender<Control>,
}

struct Connected {
    id: PersonId,
    audio: mpsc::Receiver<Vec<i16>>,
    outputs: mpsc::Sender<PersonOutput>,
    missed: Arc<AtomicU64>,
    /// Who waits to hear whether the leg is on the call, and the leg.
    joining: Option<(oneshot::Sender<Result<PersonLeg, Refusal>>, PersonLeg)>,
    /// Who waits to hear whether the mode is changed.
    changing: Option<oneshot::Sender<Result<(), Refusal>>>,
    /// It was told to the call that the leg is gone.
    gone: bool,
}

struct Tap {
    frames: mpsc::Sender<TappedAudio>,
    missed: Arc<AtomicU64>,
}

impl People {
    pub(crate) fn new(controls: mpsc::WeakSender<Control>) -> Self {
        Self {
            legs: Vec::new(),
            taps: Vec::new(),
            latest: 0,
            first: 0,
            controls,
        }
    }

    /// A leg wants to be on the call: its id. `None` if nobody could control it.
    pub(crate) fn joins(
        &mut self,
        answer: oneshot::Sender<Result<PersonLeg, Refusal>>,
    ) -> Option<PersonId> {
        let controls = self.controls.upgrade()?;
        self.latest += 1;
        let id = PersonId(self.latest);
        let (to_call, audio) = mpsc::channel(AUDIO);
        let (outputs, from_call) = mpsc::channel(OUTPUTS);
        let missed = Arc::new(AtomicU64::new(0));
        let leg = PersonLeg::new(id, to_call, controls, from_call, Arc::clone(&missed));
        self.legs.push(Connected {
            id,
            audio,
            outputs,
            missed,
            joining: Some((answer, leg)),
            changing: None,
            gone: false,
        });
        Some(id)
    }

    /// The answer to the next change of mode goes to `answer`; `false` if the leg is off the call.
    pub(crate) fn changes(
        &mut self,
        id: PersonId,
        answer: oneshot::Sender<Result<(), Refusal>>,
    ) -> bool {
        let leg = self.legs.iter_mut().find(|leg| leg.id == id);
        leg.is_some_and(|leg| {
            leg.changing = Some(answer);
            true
        })
    }

    /// Somebody taps the call's audio; whether they are the first.
    pub(crate) fn taps(
        &mut self,
        frames: mpsc::Sender<TappedAudio>,
        missed: Arc<AtomicU64>,
    ) -> bool {
        self.taps.push(Tap { frames, missed });
        self.taps.len() == 1
    }

    /// The next audio of any leg, or that it is gone.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<(PersonId, PersonInput<'static>)> {
        let count = self.legs.len();
        for n in 0..count {
            let leg = &mut self.legs[(self.first + n) % count];
            if leg.gone {
                continue;
            }
            // Who only listens sends nothing; that nobody does is seen at the next 20 ms for them.
            let input = match leg.audio.poll_recv(cx) {
                _ if leg.outputs.is_closed() => None,
                Poll::Ready(pcm) => pcm,
                Poll::Pending => continue,
            };
            leg.gone = input.is_none();
            let input = input.map_or(PersonInput::Left, |pcm| PersonInput::Audio(pcm.into()));
            self.first = (self.first + n + 1) % count;
            return Poll::Ready((leg.id, input));
        }
        Poll::Pending
    }

    /// Tells a leg what the call says to it.
    pub(crate) fn tell(&mut self, id: PersonId, output: PersonOutput) {
        let Some(index) = self.legs.iter().position(|leg| leg.id == id) else {
            return;
        };
        let leg = &mut self.legs[index];
        match &output {
            PersonOutput::Audio { .. } if leg.outputs.capacity() <= NOT_AUDIO => {
                leg.missed.fetch_add(1, Ordering::Relaxed);
                return;
            }
            PersonOutput::Joined { .. } => {
                if let Some((answer, joined)) = leg.joining.take() {
                    // Who does not wait any more drops the leg, which takes it off the call.
                    let _ = answer.send(Ok(joined));
                }
            }
            PersonOutput::Mode { .. } => {
                if let Some(answer) = leg.changing.take() {
                    let _ = answer.send(Ok(()));
                }
            }
            PersonOutput::Refused { reason } => {
                if let Some((answer, _)) = leg.joining.take() {
                    let _ = answer.send(Err(*reason));
                    self.legs.remove(index);
                    return;
                }
                if let Some(answer) = leg.changing.take() {
                    let _ = answer.send(Err(*reason));
                }
            }
            _ => {}
        }
        let is_last = matches!(output, PersonOutput::Closed { .. });
        // A leg that is gone, or has not listened for long, misses it.
        let _ = leg.outputs.try_send(output);
        if is_last {
            self.legs.remove(index);
        }
    }

    /// Hands out the next audio of the call; whether nobody wants any more of it.
    pub(crate) fn tap(&mut self, audio: &TappedAudio) -> bool {
        self.taps
            .retain(|tap| match tap.frames.try_send(audio.clone()) {
                Ok(()) => true,
                Err(mpsc::error::TrySendError::Full(_)) => {
                    tap.missed.fetch_add(1, Ordering::Relaxed);
                    true
                }
                Err(mpsc::error::TrySendError::Closed(_)) => false,
            });
        self.taps.is_empty()
    }
}
