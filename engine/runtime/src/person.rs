//! A person's leg, as the program that carries its audio holds it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use sidetone_core::person::{Mode, PersonId, PersonOutput, Refusal};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use crate::{handle::CallOver, people::Control};

/// Somebody on a call: their audio goes in and out.
///
/// Dropping it, or one of its [halves](Self::split), takes them off the call.
#[derive(Debug)]
pub struct PersonLeg {
    sender: PersonSender,
    receiver: PersonReceiver,
}

/// The half of a [`PersonLeg`] that speaks.
#[derive(Debug)]
pub struct PersonSender {
    id: PersonId,
    audio: mpsc::Sender<Vec<i16>>,
    controls: mpsc::Sender<Control>,
    dropped: u64,
}

/// The half of a [`PersonLeg`] that listens.
#[derive(Debug)]
pub struct PersonReceiver {
    id: PersonId,
    outputs: mpsc::Receiver<PersonOutput>,
    missed: Arc<AtomicU64>,
}

/// A person may not join, or not do what they want.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PersonError {
    /// The call is over, or the person is off it.
    #[error(transparent)]
    Over(#[from] CallOver),
    /// The call refuses.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl PersonLeg {
    pub(crate) fn new(
        id: PersonId,
        audio: mpsc::Sender<Vec<i16>>,
        controls: mpsc::Sender<Control>,
        outputs: mpsc::Receiver<PersonOutput>,
        missed: Arc<AtomicU64>,
    ) -> Self {
        Self {
            sender: PersonSender {
                id,
                audio,
                controls,
                dropped: 0,
            },
            receiver: PersonReceiver {
                id,
                outputs,
                missed,
            },
        }
    }

    /// The leg's id in its call.
    #[must_use]
    pub fn id(&self) -> PersonId {
        self.sender.id
    }

    /// See [`PersonSender::send_audio`].
    pub fn send_audio(&mut self, pcm: &[i16]) -> bool {
        self.sender.send_audio(pcm)
    }

    /// See [`PersonReceiver::recv`].
    pub async fn recv(&mut self) -> Option<PersonOutput> {
        self.receiver.recv().await
    }

    /// See [`PersonSender::set_mode`].
    ///
    /// # Errors
    ///
    /// [`PersonError`].
    pub async fn set_mode(&self, mode: Mode) -> Result<(), PersonError> {
        self.sender.set_mode(mode).await
    }

    /// See [`PersonSender::dropped`].
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.sender.dropped()
    }

    /// See [`PersonReceiver::missed`].
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.receiver.missed()
    }

    /// Takes the person off the call.
    pub fn leave(self) {}

    /// Both halves, for two tasks.
    #[must_use]
    pub fn split(self) -> (PersonSender, PersonReceiver) {
        (self.sender, self.receiver)
    }
}

impl PersonSender {
    /// The leg's id in its call.
    #[must_use]
    pub fn id(&self) -> PersonId {
        self.id
    }

    /// Hands audio to the call: mono 16-bit PCM at the leg's rate, 20 ms at best, without a pause
    /// where the person is silent. Never waits; `false`: the call is too busy to take it, or over.
    pub fn send_audio(&mut self, pcm: &[i16]) -> bool {
        let taken = self.audio.try_send(pcm.to_vec()).is_ok();
        self.dropped += u64::from(!taken);
        taken
    }

    /// How often the call did not take audio.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether the person is off the call.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.audio.is_closed()
    }

    /// Does something else from now on; when this returns, it is so.
    ///
    /// # Errors
    ///
    /// [`PersonError::Refused`] with the reason: then nothing has changed. [`PersonError::Over`]
    /// if the person is off the call.
    pub async fn set_mode(&self, mode: Mode) -> Result<(), PersonError> {
        let (answer, answered) = oneshot::channel();
        let id = self.id;
        let asked = Control::Mode { id, mode, answer };
        self.controls.send(asked).await.map_err(|_| CallOver)?;
        Ok(answered.await.map_err(|_| CallOver)??)
    }
}

impl PersonReceiver {
    /// The leg's id in its call.
    #[must_use]
    pub fn id(&self) -> PersonId {
        self.id
    }

    /// What comes next: audio, 20 ms at a time at the leg's rate, and news of the person's mode.
    /// `None` after [`PersonOutput::Closed`]. May be dropped and called again without losing any.
    ///
    /// Who does not listen misses the newest audio, never anything else.
    pub async fn recv(&mut self) -> Option<PersonOutput> {
        self.outputs.recv().await
    }

    /// How many stretches of 20 ms were missed because nobody received them in time.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}
