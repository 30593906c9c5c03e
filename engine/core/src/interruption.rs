//! Sounds of the caller over the agent: what becomes of them.
//!
//! The agent stops at the first of any sound, and what it had not said yet is kept. A sound with
//! too little voice for a word is over at once: the agent goes on, though its transcript is still
//! on its way. Words that come after all stop it again. Everything longer waits for its words.

use std::{collections::VecDeque, time::Duration};

use crate::{
    config::{BargeInConfig, VadConfig},
    event::TurnId,
    hearing::Frame,
    ledger::Stop,
    reply::Stopped,
    time::CallTime,
};

/// Less unbroken voice than this does not go on with a sound that is ending.
const BLIP: Duration = Duration::from_millis(25);
/// A question of which so much was heard can be answered: in hundredths of its characters.
const QUESTION_HEARD_PERCENT: usize = 60;
/// An answer to the question before begins within so many characters of the next sentence: some
/// 1.2 s of it.
const ANSWERED_LATE: usize = 20;
/// With so few words left the agent has as good as finished.
const LAST_WORDS: usize = 2;

/// A sound that stopped the agent, as long as it lasts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sound {
    voiced: Duration,
    /// The latest unbroken voice.
    run: Duration,
    /// Since the last voice that was more than a blip.
    silent: Duration,
}

impl Sound {
    /// One that was noticed when it had lasted so long.
    pub(crate) fn since(onset: Duration) -> Self {
        Self {
            voiced: onset,
            ..Self::default()
        }
    }

    /// One that is known to be words.
    pub(crate) fn of_words() -> Self {
        Self::since(Duration::MAX)
    }

    /// Takes the next frame.
    pub(crate) fn frame(&mut self, frame: Frame, vad: &VadConfig) {
        self.silent += frame.duration;
        if frame.speech < vad.silence_threshold || frame.is_quiet {
            self.run = Duration::ZERO;
            return;
        }
        self.run += frame.duration;
        if self.run > BLIP {
            self.silent = Duration::ZERO;
        }
        if frame.speech >= vad.speech_threshold {
            self.voiced = self.voiced.saturating_add(frame.duration);
        }
    }

    /// It has had too little voice to wait for its words.
    pub(crate) fn is_short(&self, config: &BargeInConfig) -> bool {
        self.voiced < ms(config.confirm_ms)
    }

    /// It has ended, as far as the agent is concerned.
    pub(crate) fn is_over(&self, config: &BargeInConfig) -> bool {
        self.silent >= ms(config.resume_after_ms)
    }
}

/// Turns of the caller that began while the agent was to be heard, until their words are known.
#[derive(Debug, Default)]
pub(crate) struct Overlaps(VecDeque<Overlap>);

/// A turn of the caller that began while the agent was to be heard.
#[derive(Clone, Debug)]
pub(crate) struct Overlap {
    /// The caller's turn.
    pub(crate) turn: TurnId,
    /// The agent's.
    pub(crate) agent: TurnId,
    pub(crate) onset: CallTime,
    pub(crate) stopped: Stopped,
    /// The agent went on before the words were known.
    pub(crate) was_short: bool,
}

impl Overlaps {
    pub(crate) fn push(&mut self, overlap: Overlap) {
        self.0.push_back(overlap);
    }

    /// That of `turn`, whose words are known; older ones never came to words.
    pub(crate) fn take(&mut self, turn: TurnId) -> Option<Overlap> {
        while self.0.front().is_some_and(|overlap| overlap.turn < turn) {
            self.0.pop_front();
        }
        self.0.pop_front_if(|overlap| overlap.turn == turn)
    }

    /// The agent goes on without waiting for the words of `turn`; `false` if that did not begin
    /// while the agent was to be heard.
    pub(crate) fn went_on(&mut self, turn: TurnId) -> bool {
        let overlap = self.0.iter_mut().find(|overlap| overlap.turn == turn);
        overlap.is_some_and(|overlap| {
            overlap.was_short = true;
            true
        })
    }

    /// That of `turn`.
    pub(crate) fn of(&self, turn: TurnId) -> Option<&Overlap> {
        self.0.iter().find(|overlap| overlap.turn == turn)
    }

    /// Whether the agent went on without waiting for the words of `turn`.
    pub(crate) fn was_short(&self, turn: TurnId) -> bool {
        self.of(turn).is_some_and(|overlap| overlap.was_short)
    }

    /// `turn` is not the caller's.
    pub(crate) fn forget(&mut self, turn: TurnId) {
        self.0.retain(|overlap| overlap.turn != turn);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Whether a "yes" here answers the agent: it has asked, or as good as finished. `heard` is all
/// that was heard of its turn, `is_all`: nothing will follow what the ledger holds.
pub(crate) fn can_be_answered(heard: &str, stop: &Stop, is_all: bool) -> bool {
    let before = &heard[..heard.len().saturating_sub(stop.heard_of_sentence)];
    let heard_characters = heard[before.len()..].chars().count();
    let rest_characters = stop.rest.chars().count();
    let all = heard_characters + rest_characters;
    let is_asking =
        is_question(&stop.rest) && heard_characters * 100 >= all * QUESTION_HEARD_PERCENT;
    let has_asked = is_question(before) && heard_characters <= ANSWERED_LATE;
    let is_last = is_all && !stop.more && stop.rest.split_whitespace().count() <= LAST_WORDS;
    is_asking || has_asked || is_last
}

fn is_question(text: &str) -> bool {
    text.trim_end().ends_with(['?', '？'])
}

fn ms(ms: u32) -> Duration {
    Duration::from_millis(ms.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(16);

    fn after(frames: &[(f32, usize)]) -> Sound {
        let mut sound = Sound::since(FRAME * 6);
        for (speech, count) in frames {
            for _ in 0..*count {
                let frame = Frame {
                    speech: *speech,
                    is_quiet: false,
                    duration: FRAME,
                };
                sound.frame(frame, &VadConfig::default());
            }
        }
        sound
    }

    #[test]
    fn a_short_sound_is_over_after_some_silence() {
        let config = BargeInConfig::default();
        let passes = |frames: &[(f32, usize)]| {
            let sound = after(frames);
            sound.is_short(&config) && sound.is_over(&config)
        };
        assert!(!passes(&[(0.9, 5), (0.0, 15)]));
        assert!(passes(&[(0.9, 5), (0.0, 19)]));
        assert!(passes(&[(0.9, 5), (0.0, 10), (0.9, 1), (0.0, 8)]), "a blip");
        assert!(
            !passes(&[(0.9, 5), (0.0, 10), (0.9, 3), (0.0, 8)]),
            "goes on"
        );
        assert!(!passes(&[(0.9, 15), (0.0, 50)]), "words");
        assert!(!Sound::of_words().is_short(&config));
    }

    /// Stopped where the `|` is, everything else heard.
    fn answered(text: &str, is_all: bool) -> bool {
        let (heard, rest) = text.split_once('|').unwrap();
        let sentence = heard.rfind(['.', '?']).map_or(0, |end| end + 2);
        let stop = Stop {
            heard: heard.into(),
            heard_of_sentence: heard.len().saturating_sub(sentence),
            rest: rest.into(),
            more: false,
        };
        can_be_answered(heard, &stop, is_all)
    }

    #[test]
    fn a_question_is_answered_and_a_story_is_not() {
        assert!(answered("Shall I book the table for|you?", true));
        assert!(!answered("Shall|I book the table for you?", true));
        assert!(answered(
            "Is that right? I would|then book the table.",
            true
        ));
        assert!(!answered(
            "Is that right? I would then book the table for|two at eight.",
            true
        ));
        assert!(!answered(
            "Your parcel has left|the house and is on its way.",
            true
        ));
        assert!(answered("Your parcel is on its|way.", true));
        assert!(
            !answered("Your parcel is on its|way.", false),
            "more follows"
        );
        assert!(answered("¿Le reservo la mesa para|dos?", true));
    }
}
