//! The model of Twilio's buffer, which other tests and figures rest on.

use std::time::Duration;

use proptest::prelude::*;
use sidetone_codecs::SampleRate;
use sidetone_core::{
    sim::{Pause, PlayoutBuffer},
    time::CallTime,
};

const LOUD: i16 = 1_000;

/// A buffer and the ear at its end.
struct Ear {
    buffer: PlayoutBuffer,
    heard: Vec<i16>,
    marks: Vec<(CallTime, String)>,
}

impl Ear {
    fn new(rate: SampleRate) -> Self {
        Self {
            buffer: PlayoutBuffer::new(rate),
            heard: Vec::new(),
            marks: Vec::new(),
        }
    }

    fn advance(&mut self, now: CallTime) {
        self.buffer.advance(now, &mut self.heard, &mut self.marks);
    }

    fn take_marks(&mut self) -> Vec<(u64, String)> {
        let marks = self.marks.drain(..);
        marks.map(|(at, name)| (at.as_micros(), name)).collect()
    }
}

fn ear() -> Ear {
    Ear::new(SampleRate::HZ_8000)
}

fn ms(millis: u64) -> CallTime {
    CallTime::from_millis(millis)
}

fn us(micros: u64) -> CallTime {
    CallTime::from_micros(micros)
}

fn named(marks: &[(u64, &str)]) -> Vec<(u64, String)> {
    marks
        .iter()
        .map(|&(at, name)| (at, name.to_owned()))
        .collect()
}

#[test]
fn an_empty_buffer_is_silence() {
    let mut ear = ear();
    ear.advance(ms(20));
    ear.advance(us(20_124));
    assert_eq!(ear.heard, [0; 160]);
    ear.advance(us(20_125));
    assert_eq!(ear.heard, [0; 161]);
    assert_eq!(ear.buffer.next_mark_at(), None);
}

#[test]
fn audio_plays_in_order_from_when_it_came() {
    let mut ear = ear();
    ear.buffer.media(ms(1), &[1, 2, 3]);
    ear.buffer.media(ms(1), &[4]);
    assert_eq!(ear.buffer.buffered(), Duration::from_micros(500));
    ear.advance(us(1_250));
    assert_eq!(ear.heard, [0, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
    assert_eq!(ear.buffer.buffered(), Duration::from_micros(250));
    ear.advance(us(1_750));
    assert_eq!(ear.heard[8..], [1, 2, 3, 4, 0, 0]);
    assert_eq!(ear.buffer.buffered(), Duration::ZERO);
}

#[test]
fn audio_between_two_samples_begins_at_the_next() {
    let mut ear = ear();
    ear.buffer.media(us(126), &[7, 8]);
    ear.buffer.mark(us(126), "m".to_owned());
    assert_eq!(ear.buffer.next_mark_at(), Some(us(500)));
    ear.advance(us(249));
    assert_eq!(ear.heard, [0]);
    ear.advance(us(499));
    assert_eq!(ear.heard, [0, 0, 7]);
    ear.advance(us(500));
    assert_eq!(ear.heard, [0, 0, 7, 8]);
    assert_eq!(ear.take_marks(), named(&[(500, "m")]));
}

#[test]
fn marks_come_back_when_what_was_before_them_was_played() {
    let mut ear = ear();
    ear.buffer.media(ms(10), &[LOUD; 160]);
    ear.buffer.mark(ms(10), "a".to_owned());
    ear.buffer.mark(ms(10), "b".to_owned());
    ear.buffer.media(ms(15), &[LOUD; 80]);
    ear.buffer.mark(ms(15), "c".to_owned());
    assert_eq!(ear.buffer.next_mark_at(), Some(ms(30)));
    ear.advance(us(29_999));
    assert_eq!(ear.take_marks(), []);
    ear.advance(ms(30));
    assert_eq!(ear.take_marks(), named(&[(30_000, "a"), (30_000, "b")]));
    assert_eq!(ear.buffer.next_mark_at(), Some(ms(40)));
    ear.advance(ms(500));
    assert_eq!(
        ear.take_marks(),
        named(&[(40_000, "c")]),
        "with its own time"
    );
}

#[test]
fn a_mark_on_an_empty_buffer_comes_back_at_once() {
    let mut ear = ear();
    ear.buffer.mark(us(33), "a".to_owned());
    assert_eq!(ear.buffer.next_mark_at(), Some(us(33)));
    ear.advance(us(33));
    assert_eq!(ear.take_marks(), named(&[(33, "a")]));
    ear.buffer.media(ms(1), &[LOUD; 8]);
    ear.buffer.mark(ms(2), "b".to_owned());
    ear.advance(ms(2));
    assert_eq!(ear.take_marks(), named(&[(2_000, "b")]), "just played");
}

#[test]
fn clear_forgets_and_returns_all_marks_now() {
    let mut ear = ear();
    ear.buffer.media(ms(0), &[LOUD; 800]);
    ear.buffer.mark(ms(0), "a".to_owned());
    ear.buffer.media(ms(0), &[LOUD; 800]);
    ear.buffer.mark(ms(0), "b".to_owned());
    ear.buffer.clear(ms(40));
    assert_eq!(ear.buffer.buffered(), Duration::ZERO);
    assert_eq!(ear.buffer.next_mark_at(), Some(ms(40)));
    ear.advance(ms(60));
    assert_eq!(ear.take_marks(), named(&[(40_000, "a"), (40_000, "b")]));
    assert_eq!(ear.heard[..320], [LOUD; 320]);
    assert_eq!(ear.heard[320..], [0; 160]);
    ear.buffer.media(ms(60), &[LOUD; 80]);
    ear.buffer.mark(ms(60), "c".to_owned());
    ear.advance(ms(70));
    assert_eq!(ear.take_marks(), named(&[(70_000, "c")]));
    assert_eq!(ear.buffer.pauses(), [], "a pause after a clear was wanted");
}

#[test]
fn a_sender_that_is_late_underruns() {
    let mut ear = ear();
    ear.advance(ms(300));
    ear.buffer.media(ms(300), &[LOUD; 160]);
    ear.buffer.media(ms(310), &[LOUD; 160]);
    ear.buffer.mark(ms(310), "m".to_owned());
    ear.buffer.media(ms(340), &[LOUD; 160]);
    assert_eq!(ear.buffer.underruns(), 0, "in time to the sample");
    ear.buffer.media(us(360_125), &[LOUD; 160]);
    ear.buffer.media(ms(400), &[LOUD; 160]);
    assert_eq!(ear.buffer.underruns(), 2);
    assert_eq!(
        ear.buffer.underrun_duration(),
        Duration::from_micros(125 + 19_875)
    );
    ear.buffer.media(ms(920), &[LOUD; 160]);
    assert_eq!(ear.buffer.underruns(), 2, "half a second is a pause");
    assert_eq!(
        ear.buffer.pauses().last(),
        Some(&Pause {
            began: ms(420),
            ended: ms(920)
        })
    );
    ear.buffer.media(us(1_439_875), &[LOUD; 160]);
    assert_eq!(ear.buffer.underruns(), 3, "a little less is not");
}

#[test]
fn nothing_is_no_audio() {
    let mut ear = ear();
    ear.buffer.media(ms(0), &[LOUD; 160]);
    ear.buffer.media(ms(100), &[]);
    ear.advance(ms(200));
    assert_eq!(ear.buffer.pauses(), []);
}

#[test]
fn time_only_moves_forward() {
    let mut ear = ear();
    ear.advance(ms(100));
    ear.buffer.media(ms(50), &[LOUD; 8]);
    ear.buffer.mark(ms(20), "m".to_owned());
    ear.advance(ms(0));
    assert_eq!(ear.heard.len(), 800);
    assert_eq!(ear.buffer.next_mark_at(), Some(ms(101)));
}

#[derive(Clone, Debug)]
enum Step {
    Media(usize),
    Mark,
    Clear,
    Advance,
}

fn steps() -> impl Strategy<Value = Vec<(u64, Step)>> {
    let step = prop_oneof![
        4 => prop_oneof![0..400usize, Just(160)].prop_map(Step::Media),
        3 => Just(Step::Mark),
        1 => Just(Step::Clear),
        3 => Just(Step::Advance),
    ];
    proptest::collection::vec((prop_oneof![Just(0), 0..60_000u64], step), 0..60)
}

fn rates() -> impl Strategy<Value = SampleRate> {
    prop::sample::select(vec![
        SampleRate::HZ_8000,
        SampleRate::HZ_22050,
        SampleRate::HZ_44100,
    ])
}

/// What is heard when the steps are taken, each sample and mark numbered; with or without the
/// advances in between.
fn taken(rate: SampleRate, steps: &[(u64, Step)], advances: bool) -> (Ear, u64) {
    let mut ear = Ear::new(rate);
    let (mut now, mut sample, mut mark) = (0, 0, 0);
    for (later, step) in steps {
        now += later;
        match step {
            Step::Media(len) => {
                let audio: Vec<i16> = (0..*len).map(|n| sample + 1 + n as i16).collect();
                sample += *len as i16;
                ear.buffer.media(us(now), &audio);
            }
            Step::Mark => {
                ear.buffer.mark(us(now), format!("{mark}"));
                mark += 1;
            }
            Step::Clear => ear.buffer.clear(us(now)),
            Step::Advance if advances => ear.advance(us(now)),
            Step::Advance => {}
        }
    }
    (ear, now)
}

proptest! {
    #[test]
    fn how_often_one_listens_changes_nothing(rate in rates(), steps in steps()) {
        let (mut often, end) = taken(rate, &steps, true);
        let (mut once, _) = taken(rate, &steps, false);
        often.advance(us(end + 5_000_000));
        once.advance(us(end + 5_000_000));
        prop_assert_eq!(often.heard, once.heard);
        prop_assert_eq!(often.marks, once.marks);
        prop_assert_eq!(often.buffer.pauses(), once.buffer.pauses());
    }

    #[test]
    fn everything_is_played_once_and_in_order(rate in rates(), steps in steps()) {
        let (mut ear, end) = taken(rate, &steps, true);
        let end = us(end + 5_000_000);
        ear.advance(end);
        prop_assert_eq!(
            ear.heard.len() as u64,
            rate.samples_in(end.since(CallTime::ZERO)).0,
            "aligned with time"
        );
        let audible: Vec<i16> = ear.heard.iter().copied().filter(|&s| s != 0).collect();
        prop_assert!(audible.is_sorted_by(|a, b| a < b));
        if !steps.iter().any(|(_, step)| matches!(step, Step::Clear)) {
            let sent: usize = steps
                .iter()
                .map(|(_, step)| if let Step::Media(len) = step { *len } else { 0 })
                .sum();
            prop_assert_eq!(audible.len(), sent);
        }
        let names: Vec<_> = ear.marks.iter().map(|(_, name)| name.clone()).collect();
        let marks = steps.iter().filter(|(_, step)| matches!(step, Step::Mark)).count();
        let all: Vec<_> = (0..marks).map(|n| n.to_string()).collect();
        prop_assert_eq!(names, all);
        prop_assert!(ear.marks.is_sorted_by(|(a, _), (b, _)| a <= b));
        prop_assert_eq!(ear.buffer.next_mark_at(), None);
    }

    #[test]
    fn a_mark_comes_at_the_foretold_microsecond(rate in rates(), steps in steps()) {
        let (mut ear, now) = taken(rate, &steps, true);
        ear.advance(us(now));
        ear.marks.clear();
        while let Some(at) = ear.buffer.next_mark_at() {
            ear.advance(us(at.as_micros() - 1));
            prop_assert!(ear.marks.is_empty());
            ear.advance(at);
            prop_assert!(!ear.marks.is_empty());
            prop_assert!(ear.marks.drain(..).all(|(reached, _)| reached == at));
        }
    }
}
