//! When the caller holds the floor.
//!
//! Hysteresis over the voice activity detector's probability, one frame at a time; a turn that has
//! begun also ends where the line is as quiet as before. Durations are
//! audio time, counted in frames, so that jitter of the network moves no decision.

use std::time::Duration;

use crate::{
    config::{CallConfig, VadConfig},
    event::TurnId,
    hearing::Frame,
};

/// A blip of voice shorter than this does not interrupt the silence at the end of a turn.
const BLIP: Duration = Duration::from_millis(25);

/// Speech begins anew after frames that were neither speech nor silence for longer than this: clicks
/// on a noisy line are not added up to a word.
const DOUBT: Duration = Duration::from_millis(100);

/// Decides, frame by frame, whether the caller speaks.
#[derive(Debug)]
pub(crate) struct Turn {
    speech_threshold: f32,
    silence_threshold: f32,
    min_speech: Duration,
    barge_in: Duration,
    pause: Duration,
    max_turn: Duration,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nobody speaks, or not for long enough yet.
    Quiet {
        /// Speech so far, without the frames in between that were neither.
        voiced: Duration,
        /// Since the first frame of that speech.
        since_onset: Duration,
        /// Since the last one.
        doubtful: Duration,
    },
    /// The caller speaks, or has only just stopped.
    Speaking {
        turn: TurnId,
        /// Since the first frame of speech.
        since_onset: Duration,
        /// The latest unbroken voice.
        voiced_run: Duration,
        /// Since the last voice that was more than a blip.
        silent: Duration,
        /// That silence was told to be a pause.
        paused: bool,
    },
}

/// What a frame changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TurnChange {
    /// The caller took the floor.
    Began {
        /// From the first frame of speech to the end of this one.
        since_onset: Duration,
    },
    /// The caller paused, and may have finished.
    Paused,
    /// The caller went on.
    Resumed {
        /// The silence in between.
        pause: Duration,
    },
    /// The caller gave the floor back.
    Ended(EndedTurn),
}

/// A turn that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EndedTurn {
    pub(crate) turn: TurnId,
    /// How long the caller spoke, without the silence at the end.
    pub(crate) speech: Duration,
    /// The silence at the end.
    pub(crate) silent: Duration,
}

const QUIET: State = State::Quiet {
    voiced: Duration::ZERO,
    since_onset: Duration::ZERO,
    doubtful: Duration::ZERO,
};

impl Turn {
    pub(crate) fn new(config: &CallConfig) -> Self {
        let ms = |ms: u32| Duration::from_millis(ms.into());
        let vad: &VadConfig = &config.vad;
        Self {
            speech_threshold: vad.speech_threshold,
            silence_threshold: vad.silence_threshold,
            min_speech: ms(vad.min_speech_ms),
            barge_in: ms(vad.barge_in_ms),
            pause: ms(config.eager.pause_ms),
            max_turn: ms(config.endpointing.max_turn_ms),
            state: QUIET,
        }
    }

    /// The caller's turn, while the caller holds the floor.
    pub(crate) fn current(&self) -> Option<TurnId> {
        match self.state {
            State::Quiet { .. } => None,
            State::Speaking { turn, .. } => Some(turn),
        }
    }

    /// Takes the next frame. `agent_audible`: speech must last longer to
    /// begin a turn, since it interrupts. `wanted` is the silence that ends one; `next` names the
    /// turn that would begin.
    pub(crate) fn frame(
        &mut self,
        frame: Frame,
        agent_audible: bool,
        wanted: Duration,
        next: TurnId,
    ) -> Option<TurnChange> {
        let Frame {
            speech: probability,
            is_quiet,
            is_noise,
            duration: frame,
        } = frame;
        match &mut self.state {
            State::Quiet {
                voiced,
                since_onset,
                doubtful,
            } => {
                if probability >= self.speech_threshold && !is_noise {
                    *voiced += frame;
                    *doubtful = Duration::ZERO;
                } else {
                    *doubtful += frame;
                }
                if *voiced == Duration::ZERO
                    || probability < self.silence_threshold
                    || *doubtful > DOUBT
                {
                    self.state = QUIET;
                    return None;
                }
                *since_onset += frame;
                let speech = if agent_audible {
                    self.barge_in
                } else {
                    self.min_speech
                };
                if *voiced < speech {
                    return None;
                }
                let since_onset = *since_onset;
                self.state = State::Speaking {
                    turn: next,
                    since_onset,
                    voiced_run: frame,
                    silent: Duration::ZERO,
                    paused: false,
                };
                Some(TurnChange::Began { since_onset })
            }
            State::Speaking {
                since_onset,
                voiced_run,
                silent,
                paused,
                ..
            } => {
                *since_onset += frame;
                *silent += frame;
                if probability >= self.silence_threshold && !is_quiet {
                    *voiced_run += frame;
                    if *voiced_run > BLIP {
                        let pause = silent.saturating_sub(*voiced_run);
                        *silent = Duration::ZERO;
                        if std::mem::take(paused) {
                            return Some(TurnChange::Resumed { pause });
                        }
                    }
                } else {
                    *voiced_run = Duration::ZERO;
                }
                if *silent >= wanted || *since_onset >= self.max_turn {
                    return self.end().map(TurnChange::Ended);
                }
                if *silent >= self.pause && !*paused {
                    *paused = true;
                    return Some(TurnChange::Paused);
                }
                None
            }
        }
    }

    /// Ends the turn if the silence at its end is as long as `wanted`.
    pub(crate) fn end_after(&mut self, wanted: Duration) -> Option<EndedTurn> {
        match self.state {
            State::Speaking { silent, .. } if silent >= wanted => self.end(),
            _ => None,
        }
    }

    /// Ends the turn now, if there is one: no more audio will tell when it ended.
    pub(crate) fn end(&mut self) -> Option<EndedTurn> {
        match std::mem::replace(&mut self.state, QUIET) {
            State::Quiet { .. } => None,
            State::Speaking {
                turn,
                since_onset,
                silent,
                ..
            } => Some(EndedTurn {
                turn,
                speech: since_onset.saturating_sub(silent),
                silent,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(16);
    const TURN: TurnId = TurnId(7);
    const SILENCE: Duration = Duration::from_millis(300);

    fn frame(speech: f32) -> Frame {
        Frame {
            speech,
            is_quiet: false,
            is_noise: false,
            duration: FRAME,
        }
    }

    fn turn() -> Turn {
        Turn::new(&CallConfig::default())
    }

    /// Feeds frames until something changes; says after how many ms.
    fn until_change(turn: &mut Turn, probability: f32, audible: bool) -> (u64, TurnChange) {
        for n in 1..10_000 {
            let change = turn.frame(frame(probability), audible, SILENCE, TURN);
            if let Some(change) = change.filter(|change| !is_pause(change)) {
                return (n * 16, change);
            }
        }
        panic!("no change in 160 s");
    }

    fn feed(turn: &mut Turn, probabilities: &[f32]) -> Option<TurnChange> {
        probabilities
            .iter()
            .filter_map(|p| turn.frame(frame(*p), false, SILENCE, TURN))
            .find(|change| !is_pause(change))
    }

    fn is_pause(change: &TurnChange) -> bool {
        matches!(change, TurnChange::Paused | TurnChange::Resumed { .. })
    }

    #[test]
    fn speech_begins_a_turn_after_the_minimum() {
        let (after_ms, change) = until_change(&mut turn(), 0.9, false);
        assert_eq!(after_ms, 80);
        assert_eq!(
            change,
            TurnChange::Began {
                since_onset: Duration::from_millis(80)
            }
        );
    }

    #[test]
    fn speech_over_the_agent_must_last_longer() {
        let mut config = CallConfig::default();
        config.vad.barge_in_ms = 130;
        let (after_ms, _) = until_change(&mut Turn::new(&config), 0.9, true);
        assert_eq!(after_ms, 144);
    }

    #[test]
    fn a_click_begins_nothing() {
        let mut turn = turn();
        for _ in 0..100 {
            assert_eq!(feed(&mut turn, &[0.9, 0.9, 0.9, 0.9, 0.1]), None);
        }
    }

    #[test]
    fn doubtful_frames_neither_break_nor_make_an_onset() {
        let mut turn = turn();
        assert_eq!(feed(&mut turn, &[0.4; 1_000]), None);
        let change = feed(&mut turn, &[0.9, 0.4, 0.9, 0.4, 0.9, 0.9, 0.9]);
        assert_eq!(
            change,
            Some(TurnChange::Began {
                since_onset: FRAME * 7
            })
        );
    }

    #[test]
    fn clicks_on_a_noisy_line_are_no_word() {
        let mut turn = turn();
        for _ in 0..100 {
            assert_eq!(feed(&mut turn, &[0.9]), None);
            assert_eq!(feed(&mut turn, &[0.4; 30]), None);
        }
        let (_, change) = until_change(&mut turn, 0.9, false);
        let since_onset = Duration::from_millis(80);
        assert_eq!(change, TurnChange::Began { since_onset });
    }

    #[test]
    fn silence_ends_the_turn_and_is_not_counted_as_speech() {
        let mut turn = turn();
        until_change(&mut turn, 0.9, false);
        feed(&mut turn, &[0.9; 20]);
        assert_eq!(turn.current(), Some(TURN));
        let (after_ms, change) = until_change(&mut turn, 0.0, false);
        assert_eq!(after_ms, 304);
        let ended = EndedTurn {
            turn: TURN,
            speech: FRAME * 25,
            silent: Duration::from_millis(304),
        };
        assert_eq!(change, TurnChange::Ended(ended));
        assert_eq!(turn.current(), None);
    }

    #[test]
    fn hysteresis_keeps_a_fading_voice() {
        let mut turn = turn();
        until_change(&mut turn, 0.9, false);
        assert_eq!(feed(&mut turn, &[0.36; 500]), None);
    }

    #[test]
    fn a_blip_does_not_restart_the_silence_but_a_word_does() {
        let mut turn = turn();
        until_change(&mut turn, 0.9, false);
        assert_eq!(feed(&mut turn, &[0.0; 15]), None);
        assert_eq!(feed(&mut turn, &[0.9]), None);
        assert!(feed(&mut turn, &[0.0; 3]).is_some(), "the blip was ignored");

        until_change(&mut turn, 0.9, false);
        assert_eq!(feed(&mut turn, &[0.0; 15]), None);
        assert_eq!(feed(&mut turn, &[0.9, 0.9]), None);
        assert_eq!(feed(&mut turn, &[0.0; 17]), None);
    }

    #[test]
    fn a_quiet_line_is_silence_whatever_the_detector_still_believes() {
        let mut turn = turn();
        until_change(&mut turn, 0.9, false);
        let quiet = Frame {
            is_quiet: true,
            ..frame(0.9)
        };
        let mut change = || turn.frame(quiet, false, SILENCE, TURN);
        let frames = (1..).find(|_| matches!(change(), Some(TurnChange::Ended(_))));
        assert_eq!(frames, Some(19), "304 ms");
    }

    #[test]
    fn a_pause_is_told_once_and_so_is_its_end() {
        let mut turn = turn();
        until_change(&mut turn, 0.9, false);
        let mut feed = |probabilities: &[f32]| -> Vec<TurnChange> {
            let frames = probabilities.iter();
            frames
                .filter_map(|p| turn.frame(frame(*p), false, SILENCE, TURN))
                .collect()
        };
        assert_eq!(feed(&[0.0; 9]), [], "144 ms");
        assert_eq!(feed(&[0.0; 5]), [TurnChange::Paused]);
        let pause = FRAME * 14;
        assert_eq!(feed(&[0.9; 5]), [TurnChange::Resumed { pause }]);
        assert_eq!(feed(&[0.0; 9]), []);
    }

    #[test]
    fn a_turn_ends_when_less_silence_turns_out_to_be_enough() {
        let mut turn = turn();
        until_change(&mut turn, 0.9, false);
        let long = Duration::from_secs(2);
        for _ in 0..30 {
            turn.frame(frame(0.0), false, long, TURN);
        }
        assert_eq!(turn.end_after(FRAME * 31), None);
        let ended = turn.end_after(FRAME * 30);
        assert_eq!(ended.map(|ended| ended.silent), Some(FRAME * 30));
    }

    #[test]
    fn an_endless_turn_is_cut() {
        let mut turn = turn();
        until_change(&mut turn, 0.9, false);
        let (after_ms, change) = until_change(&mut turn, 0.9, false);
        assert!((29_800..=30_100).contains(&after_ms), "{after_ms}");
        let TurnChange::Ended(ended) = change else {
            panic!("the turn ended: {change:?}")
        };
        assert_eq!(ended.silent, Duration::ZERO);
    }
}
