//! How much silence ends the caller's turn.
//!
//! Silence alone cannot tell a pause from an end: many pauses within sentences are longer than the
//! 200 ms that people leave between turns. So everything that knows more has a say:
//!
//! - `silence`: a fixed time, and, where there are no words, up to twice as much for a caller who is
//!   known to pause;
//! - `text`: whether the words end where a sentence does, and answer what was asked;
//! - the turn model, which hears whether a voice has finished: its probability comes from outside.
//!
//! Each names the silence it wants for what is known now, and they are combined so:
//!
//! 1. What answers the question (an expected "yes", all of a number's digits), and a sound without
//!    words, end the turn after `min_ms`.
//! 2. Otherwise text and model each want a short silence or a long one; where both have a view, the
//!    turn ends at the mean of the two. Text wants the fixed silence for a whole sentence,
//!    `unfinished_ms` for one that breaks off; the model `min_ms` or `unfinished_ms`.
//! 3. Words that are unclear are decided by the model; without one they wait three fifths of the way from
//!    short to long: longer than most pauses.
//! 4. With neither, silence decides alone; where digits, a date or letters were asked for, it waits
//!    as for words that are unclear.
//! 5. While the words are on their way the turn stays open: the answer needs them anyway.
//! 6. `min_ms` and `max_ms` hold whatever anybody wants.
//!
//! The silence is measured in audio; nothing here knows a clock or waits for a service.

mod silence;
mod text;
mod words;

use std::time::Duration;

use self::{
    silence::Silence,
    text::{Context, Judgement, is_closed, judge},
};
use crate::{config::EndpointingConfig, job::Expect};

/// Follows one call's turns and says after how much silence each ends.
#[derive(Debug)]
pub(crate) struct Endpointing {
    language: String,
    min: Duration,
    max: Duration,
    unfinished: Duration,
    model_threshold: f32,
    uses_text: bool,
    silence: Silence,
    punctuates: bool,
    expect: Option<Expect>,
    evidence: Evidence,
    wanted: Duration,
}

/// What is known about the present pause.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Evidence {
    text: TextEvidence,
    /// The model's probability that the caller has finished.
    model: Option<f32>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum TextEvidence {
    /// There are no words to judge by.
    #[default]
    None,
    /// They are on their way.
    Awaited,
    Judged(Judgement),
}

impl Endpointing {
    pub(crate) fn new(config: &EndpointingConfig, language: &str) -> Self {
        let ms = |ms: u32| Duration::from_millis(ms.into());
        let mut this = Self {
            language: language.to_owned(),
            min: ms(config.min_ms),
            max: ms(config.max_ms),
            unfinished: ms(config.unfinished_ms),
            model_threshold: config.model_threshold,
            uses_text: config.text,
            silence: Silence::new(ms(config.silence_ms), config.adaptive),
            punctuates: false,
            expect: None,
            evidence: Evidence::default(),
            wanted: Duration::ZERO,
        };
        this.weigh();
        this
    }

    /// The silence that ends the turn, as far as is known now.
    pub(crate) fn wanted(&self) -> Duration {
        self.wanted
    }

    /// The same if the words did not come: how much of a wait was for the silence, not for them.
    pub(crate) fn wanted_without_text(&self) -> Duration {
        let text = TextEvidence::None;
        let evidence = Evidence {
            text,
            ..self.evidence
        };
        self.weighed(evidence).clamp(self.min, self.max)
    }

    /// A turn begins; what kind of answer was asked for.
    pub(crate) fn turn_began(&mut self, expect: Option<Expect>) {
        self.expect = expect;
        self.evidence = Evidence::default();
        self.weigh();
    }

    /// The words up to here were asked for and will come.
    pub(crate) fn await_text(&mut self) {
        if self.uses_text {
            self.evidence.text = TextEvidence::Awaited;
            self.weigh();
        }
    }

    /// The words up to here.
    pub(crate) fn text(&mut self, text: &str) {
        self.evidence.text = self.judged(text);
        self.weigh();
    }

    /// The silence that these words would want, were they all.
    pub(crate) fn wanted_after(&self, text: &str) -> Duration {
        let evidence = Evidence {
            text: self.judged(text),
            model: None,
        };
        self.weighed(evidence).clamp(self.min, self.max)
    }

    fn judged(&self, text: &str) -> TextEvidence {
        if !self.uses_text {
            return self.evidence.text;
        }
        let context = Context {
            language: &self.language,
            expect: self.expect,
            punctuates: self.punctuates,
        };
        TextEvidence::Judged(judge(text, context))
    }

    /// The words will not come.
    pub(crate) fn no_text(&mut self) {
        self.evidence.text = TextEvidence::None;
        self.weigh();
    }

    /// The model's probability that the caller has finished.
    pub(crate) fn model(&mut self, probability: f32) {
        self.evidence.model = Some(probability);
        self.weigh();
    }

    /// The caller went on after `pause`. What was known about it tells nothing about the next.
    pub(crate) fn resumed(&mut self, pause: Duration) {
        if self.is_up_to_silence() {
            self.silence.paused(pause);
        }
        self.evidence = Evidence::default();
        self.weigh();
    }

    /// The caller went on after a silence that had ended the turn.
    pub(crate) fn was_wrong(&mut self, pause: Duration) {
        if self.is_up_to_silence() {
            self.silence.paused(pause);
        }
    }

    /// The turn ended with these words.
    pub(crate) fn turn_ended(&mut self, text: &str) {
        self.punctuates |= is_closed(text);
        self.silence.ended();
    }

    /// Something says that the caller has not finished: an answer would be made for nothing.
    pub(crate) fn breaks_off(&self) -> bool {
        self.evidence.text == TextEvidence::Judged(Judgement::Unfinished)
            || self
                .evidence
                .model
                .is_some_and(|p| p < self.model_threshold)
    }

    /// Nothing but silence, or a whole sentence, speaks for the end: a caller who goes on all the same
    /// needs more of it.
    fn is_up_to_silence(&self) -> bool {
        let no_text = matches!(
            self.evidence.text,
            TextEvidence::None | TextEvidence::Judged(Judgement::Whole)
        );
        no_text && !self.breaks_off()
    }

    fn weigh(&mut self) {
        self.wanted = self.weighed(self.evidence).clamp(self.min, self.max);
    }

    fn weighed(&self, evidence: Evidence) -> Duration {
        // Who pauses within sentences does not pause after whole ones.
        let short = match evidence.text {
            TextEvidence::Judged(_) => self.silence.fixed(),
            TextEvidence::None | TextEvidence::Awaited => self.silence.wanted(),
        };
        let long = self.unfinished.max(short);
        let between = (short * 2 + long * 3) / 5;
        let model = evidence.model.map(|probability| {
            if probability >= self.model_threshold {
                self.min
            } else {
                long
            }
        });
        let text = match evidence.text {
            TextEvidence::Awaited => return self.max,
            TextEvidence::Judged(Judgement::Answered) => return self.min,
            TextEvidence::Judged(Judgement::Whole) => Some(short),
            TextEvidence::Judged(Judgement::Unfinished) => Some(long),
            TextEvidence::Judged(Judgement::Unclear) => return model.unwrap_or(between),
            TextEvidence::None => None,
        };
        match (text, model) {
            (Some(text), Some(model)) => (text + model) / 2,
            (Some(wanted), None) | (None, Some(wanted)) => wanted,
            (None, None) => match self.expect {
                Some(Expect::Digits { .. } | Expect::Date | Expect::Spelling) => between,
                Some(Expect::YesNo) | None => short,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpointing() -> Endpointing {
        Endpointing::new(&EndpointingConfig::default(), "en")
    }

    fn asked(expect: Expect) -> Endpointing {
        let mut this = endpointing();
        this.turn_began(Some(expect));
        this
    }

    fn wanted_ms(this: &Endpointing) -> u128 {
        this.wanted().as_millis()
    }

    #[test]
    fn silence_decides_where_nothing_else_is_known() {
        assert_eq!(wanted_ms(&endpointing()), 300);
        assert_eq!(wanted_ms(&asked(Expect::YesNo)), 300);
        assert_eq!(wanted_ms(&asked(Expect::Spelling)), 840);
    }

    #[test]
    fn words_decide_once_they_are_there() {
        let mut this = endpointing();
        this.await_text();
        assert_eq!(wanted_ms(&this), 2_000, "nothing is lost by waiting");
        this.text("where is my order");
        assert_eq!(wanted_ms(&this), 300);
        this.text("I would like");
        assert_eq!(wanted_ms(&this), 1_200);
        this.text("my order");
        assert_eq!(wanted_ms(&this), 840);
        this.text("");
        assert_eq!(wanted_ms(&this), 200);
        this.await_text();
        this.no_text();
        assert_eq!(wanted_ms(&this), 300);
    }

    #[test]
    fn an_answer_ends_the_turn_sooner() {
        let mut this = asked(Expect::Digits { min: 4, max: 4 });
        this.text("four two");
        assert_eq!(wanted_ms(&this), 1_200);
        this.text("four two seven one");
        assert_eq!(wanted_ms(&this), 200);
    }

    #[test]
    fn the_model_decides_alone_or_meets_the_words_half_way() {
        let mut this = endpointing();
        this.model(0.9);
        assert_eq!(wanted_ms(&this), 200);
        this.model(0.1);
        assert_eq!(wanted_ms(&this), 1_200);
        this.text("where is my order");
        assert_eq!(wanted_ms(&this), 750);
        this.text("my order");
        assert_eq!(wanted_ms(&this), 1_200);
        this.model(0.9);
        assert_eq!(wanted_ms(&this), 200);
        this.text("I would like");
        assert_eq!(wanted_ms(&this), 700);
    }

    #[test]
    fn what_was_known_about_a_pause_ends_with_it() {
        let mut this = endpointing();
        this.text("I would like");
        this.model(0.1);
        assert!(this.breaks_off());
        this.resumed(Duration::from_millis(900));
        assert_eq!(
            wanted_ms(&this),
            300,
            "words said that it was none of the end"
        );
        assert!(!this.breaks_off());
        this.text("all right");
        this.resumed(Duration::from_millis(280));
        assert_eq!(wanted_ms(&this), 350, "this caller pauses");
    }

    #[test]
    fn the_bounds_hold_whatever_anybody_wants() {
        let config = EndpointingConfig {
            min_ms: 400,
            silence_ms: 400,
            unfinished_ms: 600,
            max_ms: 600,
            ..EndpointingConfig::default()
        };
        let mut this = Endpointing::new(&config, "en");
        for pause_ms in [0, 390, 5_000] {
            this.resumed(Duration::from_millis(pause_ms));
            for text in ["", "yes", "and", "my order"] {
                for probability in [0.0, 1.0, f32::NAN] {
                    this.text(text);
                    this.model(probability);
                    assert!((400..=600).contains(&wanted_ms(&this)));
                    this.no_text();
                    assert!((400..=600).contains(&wanted_ms(&this)));
                    this.await_text();
                    assert_eq!(wanted_ms(&this), 600);
                }
            }
        }
    }

    #[test]
    fn words_have_no_say_where_they_are_not_to() {
        let config = EndpointingConfig {
            text: false,
            ..EndpointingConfig::default()
        };
        let mut this = Endpointing::new(&config, "en");
        this.await_text();
        assert_eq!(wanted_ms(&this), 300);
        this.text("and");
        assert_eq!(wanted_ms(&this), 300);
    }
}
