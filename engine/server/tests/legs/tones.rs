//! Tones, by which it is told who hears whom. To the engine's detector they are no speech.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::{
    collections::VecDeque,
    f64::consts::TAU,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::Notify;

/// The caller's tone, in Hz.
pub(crate) const CALLER: f64 = 440.0;
/// A person's tone.
pub(crate) const PERSON: f64 = 700.0;
/// Another person's tone.
pub(crate) const OTHER: f64 = 1_150.0;

/// The amplitude of a tone that is heard; they are made with 8000.
pub(crate) const HEARD: f64 = 2_000.0;
/// The amplitude of a tone that is not: others' beginnings and ends leave traces everywhere.
pub(crate) const SILENT: f64 = 800.0;

/// So much is looked at for a tone, in ms.
const WINDOW_MS: usize = 200;

/// Longer than anything takes on the busiest machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// An endless tone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tone {
    hz: f64,
    rate: f64,
    position: u32,
}

impl Tone {
    pub(crate) fn new(hz: f64, rate: u32) -> Self {
        Self {
            hz,
            rate: f64::from(rate),
            position: 0,
        }
    }

    /// The next 20 ms.
    pub(crate) fn frame(&mut self) -> Vec<i16> {
        #[expect(clippy::cast_possible_truncation, reason = "within 16 bits")]
        #[expect(clippy::cast_sign_loss, reason = "a rate")]
        let samples = (self.rate / 50.0) as u32;
        let start = self.position;
        self.position += samples;
        (start..self.position)
            .map(|n| {
                let phase = f64::from(n) / self.rate * self.hz * TAU;
                #[expect(clippy::cast_possible_truncation, reason = "within 16 bits")]
                {
                    (phase.sin() * 8_000.0) as i16
                }
            })
            .collect()
    }
}

/// What somebody heard lately.
#[derive(Clone, Debug)]
pub(crate) struct Ear {
    rate: u32,
    lately: Arc<Mutex<VecDeque<i16>>>,
    more: Arc<Notify>,
}

impl Ear {
    pub(crate) fn new(rate: u32) -> Self {
        Self {
            rate,
            lately: Arc::default(),
            more: Arc::default(),
        }
    }

    pub(crate) fn hear(&self, pcm: &[i16]) {
        let window = self.rate as usize * WINDOW_MS / 1_000;
        let mut lately = self.lately.lock().unwrap();
        lately.extend(pcm);
        let surplus = lately.len().saturating_sub(window);
        lately.drain(..surplus);
        self.more.notify_waiters();
    }

    /// Waits until the tone is heard.
    pub(crate) async fn hears(&self, hz: f64) {
        self.until(|level| level > HEARD, hz, "is not heard").await;
    }

    /// Waits until the tone is not heard any more.
    pub(crate) async fn hears_no(&self, hz: f64) {
        self.until(|level| level < SILENT, hz, "is still heard")
            .await;
    }

    async fn until(&self, good: impl Fn(f64) -> bool, hz: f64, otherwise: &str) {
        let waiting = async {
            loop {
                let more = self.more.notified();
                if self.level(hz).is_some_and(&good) {
                    return;
                }
                more.await;
            }
        };
        if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
            panic!("{hz} Hz {otherwise}: {:?}", self.level(hz));
        }
    }

    /// The amplitude of a tone in what was heard lately (Goertzel); none before that is enough.
    pub(crate) fn level(&self, hz: f64) -> Option<f64> {
        let lately = self.lately.lock().unwrap();
        let window = self.rate as usize * WINDOW_MS / 1_000;
        if lately.len() < window {
            return None;
        }
        let coefficient = 2.0 * (TAU * hz / f64::from(self.rate)).cos();
        let (mut last, mut before) = (0.0, 0.0);
        for sample in lately.iter() {
            let next = f64::from(*sample) + coefficient * last - before;
            (before, last) = (last, next);
        }
        let power = last * last + before * before - coefficient * last * before;
        #[expect(clippy::cast_precision_loss, reason = "a few thousand samples")]
        Some(power.max(0.0).sqrt() * 2.0 / lately.len() as f64)
    }
}

#[test]
fn an_ear_tells_tones_apart() {
    let ear = Ear::new(8_000);
    let mut tone = Tone::new(PERSON, 8_000);
    for _ in 0..20 {
        ear.hear(&tone.frame());
    }
    assert!((ear.level(PERSON).unwrap() - 8_000.0).abs() < 100.0);
    assert!(ear.level(CALLER).unwrap() < SILENT);
    assert!(ear.level(OTHER).unwrap() < SILENT);
}
