//! What a person says: their audio to turns.

use std::{sync::Arc, time::Duration};

use sidetone_codecs::{Resampler, SampleRate};

use crate::{
    config::CallConfig,
    event::TurnId,
    hearing::Hearing,
    job::JobId,
    partials::{Growth, PROBED, STANDS_STILL},
    time::CallTime,
    turn::{EndedTurn, Turn, TurnChange},
    vad::Vad,
};

/// Speech is recognised from audio of this rate at most.
const HIGHEST: SampleRate = SampleRate::HZ_16000;
/// A person's turn ends after this much silence at least: nobody waits for it.
const SILENCE: Duration = Duration::from_millis(500);
/// A turn in which no audio arrives for this long has ended.
const STALLED: Duration = Duration::from_millis(1_500);
/// A decision waits for the end of the detector's frame, and that for the end of the leg's.
const DECISION_ROUNDING: Duration = Duration::from_millis(40);

/// Finds the turns in a person's audio.
pub(crate) struct Listener {
    hearing: Hearing,
    turn: Turn,
    silence: Duration,
    /// From the leg's rate to that of the recogniser, where it is lower.
    resampler: Option<Resampler>,
    pcm: Vec<i16>,
    latest: CallTime,
    probe: Probe,
    growth: Growth,
}

/// Whether there are words in what goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Probe {
    /// They say nothing.
    Off,
    /// It is looked into then.
    Due { at: CallTime },
    /// A transcript was asked for.
    Asked { job: JobId, asked: CallTime },
}

/// What happened in a person's audio.
#[derive(Debug)]
pub(crate) enum Heard {
    /// They began to speak.
    Began {
        /// From their first sound until it was decided.
        since_onset: Duration,
    },
    /// They finished.
    Ended(Utterance),
}

/// What has come of a transcript of what is going on.
#[derive(Debug)]
pub(crate) enum Probed {
    /// Their words, as far as there are any, grow.
    GoesOn,
    /// Nothing but noise goes on: their turn has ended.
    Ended(Utterance),
}

/// What a person said, to be recognised.
#[derive(Debug)]
pub(crate) struct Utterance {
    pub(crate) turn: TurnId,
    pub(crate) audio: Arc<[i16]>,
    pub(crate) rate: SampleRate,
    /// The silence at its end.
    pub(crate) silent: Duration,
    /// What looked into it while it went on, and is not needed any more.
    pub(crate) probe: Option<JobId>,
}

impl Listener {
    /// Listens to a leg of `rate`; `None` if that cannot be resampled to the detector's.
    pub(crate) fn new(vad: Box<dyn Vad>, rate: SampleRate, config: &CallConfig) -> Option<Self> {
        let ms = |ms: u32| Duration::from_millis(ms.into());
        let resampler = match rate > HIGHEST {
            true => Some(Resampler::new(rate, HIGHEST).ok()?),
            false => None,
        };
        let pre_roll = ms(config.vad.pre_roll_ms + config.vad.min_speech_ms) + DECISION_ROUNDING;
        let max_turn = ms(config.endpointing.max_turn_ms);
        Some(Self {
            hearing: Hearing::new(vad, None, rate.min(HIGHEST), pre_roll, max_turn)?,
            turn: Turn::new(config),
            silence: ms(config.endpointing.silence_ms).max(SILENCE),
            resampler,
            pcm: Vec::new(),
            latest: CallTime::ZERO,
            probe: Probe::Off,
            growth: Growth::default(),
        })
    }

    /// Takes the next 20 ms at most; `next` names the turn that would begin.
    pub(crate) fn push(&mut self, now: CallTime, pcm: &[i16], next: TurnId) -> [Option<Heard>; 2] {
        self.latest = now;
        let pcm = match &mut self.resampler {
            Some(resampler) => {
                self.pcm.clear();
                resampler.process(pcm, &mut self.pcm);
                &self.pcm
            }
            None => pcm,
        };
        let mut changes = [None; 2];
        let (turn, silence) = (&mut self.turn, self.silence);
        self.hearing
            .push(pcm, |frame| match turn.frame(frame, false, silence, next) {
                Some(change @ (TurnChange::Began { .. } | TurnChange::Ended(_))) => {
                    let slot = usize::from(changes[0].is_some());
                    changes[slot] = Some(change);
                }
                Some(TurnChange::Paused | TurnChange::Resumed { .. }) | None => {}
            });
        changes.map(|change| change.and_then(|change| self.heard(change)))
    }

    /// The turn that is under way, if there is one, is over.
    pub(crate) fn end(&mut self) -> Option<Utterance> {
        let ended = self.turn.end()?;
        Some(self.utterance(ended))
    }

    /// When the turn that is under way has ended because no audio came.
    pub(crate) fn stalls_at(&self) -> Option<CallTime> {
        self.turn.current().map(|_| self.latest + STALLED)
    }

    /// When it is looked into whether what goes on has words; `patience` for a transcript.
    pub(crate) fn probed_at(&self, patience: Duration) -> Option<CallTime> {
        self.turn.current()?;
        match self.probe {
            Probe::Off => None,
            Probe::Due { at } => Some(at),
            // One that never comes holds up only the next.
            Probe::Asked { asked, .. } => Some(asked + patience),
        }
    }

    /// It is looked into now, as `job`, if it may be noise or somebody waits for the end of it: the
    /// audio so far, and its rate.
    pub(crate) fn probe(
        &mut self,
        now: CallTime,
        job: JobId,
        is_waited_for: bool,
    ) -> Option<(Arc<[i16]>, SampleRate)> {
        if !is_waited_for && !self.hearing.may_be_noise() {
            self.probe = Probe::Due { at: now + PROBED };
            return None;
        }
        self.probe = Probe::Asked { job, asked: now };
        Some((self.hearing.utterance(), self.hearing.rate()))
    }

    /// The transcript that is `job` came, or failed; `None` if it is not about what goes on.
    pub(crate) fn probed(
        &mut self,
        now: CallTime,
        job: JobId,
        text: Option<&str>,
    ) -> Option<Probed> {
        let asked = match self.probe {
            Probe::Asked { job: id, asked } if id == job => asked,
            _ => return None,
        };
        self.probe = Probe::Due { at: now + PROBED };
        let Some(text) = text else {
            return Some(Probed::GoesOn);
        };
        let still = self.growth.push(asked, text);
        if still < STANDS_STILL || !(text.is_empty() || self.hearing.may_be_noise()) {
            return Some(Probed::GoesOn);
        }
        self.hearing.learn_noise();
        self.end().map(Probed::Ended)
    }

    /// What goes on is not looked into any more: the job that did.
    pub(crate) fn give_up_probe(&mut self) -> Option<JobId> {
        match std::mem::replace(&mut self.probe, Probe::Off) {
            Probe::Asked { job, .. } => Some(job),
            Probe::Off | Probe::Due { .. } => None,
        }
    }

    /// The person speaks.
    pub(crate) fn is_speaking(&self) -> bool {
        self.turn.current().is_some()
    }

    fn heard(&mut self, change: TurnChange) -> Option<Heard> {
        match change {
            TurnChange::Began { since_onset } => {
                self.hearing.begin_utterance();
                self.growth = Growth::since(self.latest.saturating_sub(since_onset));
                self.probe = Probe::Due {
                    at: self.latest + PROBED,
                };
                Some(Heard::Began { since_onset })
            }
            TurnChange::Ended(ended) => Some(Heard::Ended(self.utterance(ended))),
            TurnChange::Paused | TurnChange::Resumed { .. } => None,
        }
    }

    fn utterance(&mut self, EndedTurn { turn, silent, .. }: EndedTurn) -> Utterance {
        Utterance {
            probe: self.give_up_probe(),
            turn,
            audio: self.hearing.end_utterance(silent),
            rate: self.hearing.rate(),
            silent,
        }
    }
}
