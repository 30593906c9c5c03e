//! A call's audio, for whoever records it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use sidetone_codecs::SampleRate;
use tokio::sync::mpsc;

/// 20 ms of a call: both sides, of the same length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TappedAudio {
    /// The rate of both: that of the caller's leg.
    pub rate: SampleRate,
    /// What the caller said: mono 16-bit PCM.
    pub caller: Vec<i16>,
    /// What the caller heard, the agent and people alike: mono 16-bit PCM.
    pub others: Vec<i16>,
}

/// Receives a call's audio from now on. Dropping it ends that.
#[derive(Debug)]
pub struct AudioTap {
    frames: mpsc::Receiver<TappedAudio>,
    missed: Arc<AtomicU64>,
}

impl AudioTap {
    pub(crate) fn new(frames: mpsc::Receiver<TappedAudio>, missed: Arc<AtomicU64>) -> Self {
        Self { frames, missed }
    }

    /// The next 20 ms; `None` once the call is over. May be dropped and called again without losing
    /// any.
    pub async fn recv(&mut self) -> Option<TappedAudio> {
        self.frames.recv().await
    }

    /// How many stretches of 20 ms are missing because they were not received in time: a call waits
    /// for nobody.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}
