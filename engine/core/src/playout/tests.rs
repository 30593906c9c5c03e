//! What is sent when, and what counts as heard.

use sidetone_codecs::g711;

use super::*;

const RATE: SampleRate = SampleRate::HZ_8000;
const GRACE: Duration = Duration::from_secs(1);

fn playout() -> Playout {
    Playout::new(LegFormat::MULAW_8000, &PlayoutConfig::default(), GRACE)
}

fn said(text: &str) -> Words {
    Words::Said(text.to_owned())
}

fn at(ms: u64) -> CallTime {
    CallTime::from_millis(ms)
}

fn audio(ms: usize) -> Vec<i16> {
    vec![1_000; ms * 8]
}

/// Sends what may be sent; the lengths of the audio messages in ms, and the marks' names.
fn pump(playout: &mut Playout, now_ms: u64) -> (Vec<usize>, Vec<String>) {
    let mut out = Vec::new();
    playout.pump(at(now_ms), false, &mut out);
    let (mut media, mut marks) = (Vec::new(), Vec::new());
    for output in out {
        match output {
            Output::Leg(Outbound::Media { payload }) => media.push(payload.len() / 8),
            Output::Leg(Outbound::Mark { name }) => marks.push(name),
            other => panic!("{other:?} is neither audio nor a mark"),
        }
    }
    (media, marks)
}

#[test]
fn sends_up_to_the_lead_and_goes_on_when_there_is_room() {
    let mut playout = playout();
    playout.play(said("long"), &audio(5_000));
    let (media, marks) = pump(&mut playout, 0);
    assert_eq!((media, marks.len()), (vec![200; 10], 10));
    assert_eq!(playout.send_deadline(false), Some(at(200)));
    assert_eq!(pump(&mut playout, 199).0, [0; 0]);
    assert_eq!(pump(&mut playout, 200).0, [200]);
}

#[test]
fn the_first_audio_does_not_wait_for_a_whole_chunk() {
    let mut playout = playout();
    playout.begin(said("first"));
    playout.push(&audio(20), RATE).unwrap();
    assert_eq!(pump(&mut playout, 0), (vec![20], vec![]));
    playout.push(&audio(500), RATE).unwrap();
    let (media, marks) = pump(&mut playout, 5);
    assert_eq!(media, [180, 200], "up to the mark, and a chunk");
    assert_eq!(marks.len(), 2);
}

#[test]
fn a_rest_waits_for_more_while_it_cannot_be_missed() {
    let mut playout = playout();
    playout.begin(said("first"));
    playout.push(&audio(1_000), RATE).unwrap();
    pump(&mut playout, 0);
    playout.push(&audio(50), RATE).unwrap();
    assert_eq!(
        pump(&mut playout, 100).0,
        [0; 0],
        "900 ms are still to be played"
    );
    assert_eq!(playout.send_deadline(false), Some(at(800)));
    assert_eq!(pump(&mut playout, 800).0, [50]);
}

#[test]
fn a_mark_says_how_far_the_leg_got() {
    let mut playout = playout();
    playout.play(said("two words"), &audio(1_800));
    let (_, marks) = pump(&mut playout, 0);
    // The leg began to play 300 ms late: its first mark comes at 500 ms.
    assert_eq!(playout.mark_returned(at(500), &marks[0]), MarkReturn::Heard);
    assert_eq!(playout.play_end(), at(2_100));
    assert_eq!(playout.clear(at(550), &mut Vec::new()), "");
}

#[test]
fn what_the_clock_says_never_passes_a_mark_that_is_still_out() {
    let mut playout = playout();
    playout.play(said("one two three four five six"), &audio(2_700));
    pump(&mut playout, 0);
    let heard = playout.clear(at(1_500), &mut Vec::new());
    assert_eq!(heard, "", "not even the mark at 200 ms came back");
}

#[test]
fn a_lost_mark_is_given_up_and_the_clock_counts() {
    let mut playout = playout();
    playout.play(said("one two three four five six"), &audio(2_700));
    pump(&mut playout, 0);
    assert_eq!(playout.mark_deadline(), Some(at(1_200)));
    for ms in [1_200, 1_400, 1_500] {
        playout.give_up_marks(at(ms));
    }
    let heard = playout.clear(at(1_500), &mut Vec::new());
    assert_eq!(heard, "one", "as far as the first mark that may still come");
}

#[test]
fn after_a_clear_marks_are_stale_and_positions_begin_anew() {
    let mut playout = playout();
    playout.play(said("one two three"), &audio(1_300));
    let (_, marks) = pump(&mut playout, 0);
    let mut out = Vec::new();
    playout.clear(at(100), &mut out);
    assert_eq!(out, [Output::Leg(Outbound::Clear)]);
    for mark in &marks {
        assert_eq!(playout.mark_returned(at(150), mark), MarkReturn::Stale);
    }
    assert_eq!(
        playout.mark_returned(at(150), "st-7-160"),
        MarkReturn::Foreign
    );
    assert_eq!(playout.mark_returned(at(150), "hello"), MarkReturn::Foreign);
    assert!(playout.is_drained(at(150)));
    playout.play(said("again"), &audio(200));
    let (media, again) = pump(&mut playout, 200);
    assert_eq!(media, [200]);
    assert!(!marks.contains(&again[0]));
}

#[test]
fn nothing_is_cleared_where_nothing_can_be_heard() {
    let mut playout = playout();
    playout.play(said("prepared"), &audio(400));
    let mut out = Vec::new();
    playout.clear(at(10), &mut out);
    assert_eq!(out, []);
}

#[test]
fn the_first_word_does_not_wait_for_the_silence_in_front_of_it() {
    let silence = |ms: usize| vec![5; ms * 8];
    let mut playout = playout();
    playout.begin(said("first"));
    playout.push(&silence(100), RATE).unwrap();
    assert_eq!(pump(&mut playout, 0).0, [0; 0], "nothing to hear yet");
    playout
        .push(&[silence(50), audio(200)].concat(), RATE)
        .unwrap();
    playout.push(&silence(300), RATE).unwrap();
    playout.complete();
    playout.play(said("second"), &[silence(100), audio(200)].concat());
    let sent: usize = pump(&mut playout, 0).0.iter().sum();
    assert_eq!(
        sent,
        10 + 200 + 300 + 100 + 200,
        "other silence is the voice's own"
    );
}

#[test]
fn a_voice_that_is_silent_for_long_is_believed() {
    let mut playout = playout();
    playout.play(said("…"), &vec![0; 8_000]);
    let sent: usize = pump(&mut playout, 0).0.iter().sum();
    assert_eq!(sent, 600, "a second less what is left out at most");
}

#[test]
fn filler_goes_in_front_of_a_sentence_that_has_no_audio_yet() {
    let mut playout = playout();
    playout.begin(said("the answer"));
    playout.interject(&audio(200));
    playout.push(&audio(400), RATE).unwrap();
    playout.complete();
    assert_eq!(pump(&mut playout, 0).0, [200, 200, 200]);
    assert_eq!(playout.finish(), "the answer");
}

/// Steps that the ear can tell apart: 100 ms each.
fn staircase(steps: i16) -> Vec<i16> {
    let level = |n: usize| g711::mulaw::decode(0x80 + u8::try_from(n / 800).unwrap());
    (0..steps as usize * 800).map(level).collect()
}

/// What is sent when nothing is held, as the steps it consists of.
fn steps(playout: &mut Playout, now_ms: u64) -> Vec<u8> {
    let mut out = Vec::new();
    playout.pump(at(now_ms), false, &mut out);
    let mut steps: Vec<u8> = out
        .into_iter()
        .flat_map(|output| match output {
            Output::Leg(Outbound::Media { payload }) => payload,
            _ => Vec::new(),
        })
        .collect();
    steps.dedup();
    steps
}

#[test]
fn what_was_stopped_goes_on_where_the_word_began() {
    // Ten characters of 100 ms each; the third word begins at 600 ms.
    let mut playout = playout();
    playout.play(said("ab cd efgh"), &staircase(10));
    let (_, marks) = pump(&mut playout, 0);
    for (n, mark) in marks.iter().enumerate() {
        let played = at((n as u64 + 1) * 200);
        if played <= at(800) {
            playout.mark_returned(played, mark);
        }
    }
    let mut out = Vec::new();
    let stop = playout.stop(at(850), &mut out);
    assert_eq!(out, [Output::Leg(Outbound::Clear)]);
    assert_eq!((stop.heard.as_str(), stop.rest.as_str()), ("ab cd", "efgh"));
    assert!(!playout.has_sent(), "all of it is to be sent again");
    let mut held = Vec::new();
    playout.pump(at(1_000), true, &mut held);
    assert_eq!(held, [], "not while it is held");
    // Quieter steps have higher codes: playout goes on up to 80 ms after the guess.
    assert_eq!(steps(&mut playout, 1_200), [0x86, 0x87, 0x88, 0x89]);
    assert_eq!(playout.finish(), "efgh");
}

#[test]
fn a_voice_that_still_speaks_goes_on_behind_what_was_kept() {
    let mut playout = playout();
    playout.begin(said("one two three four"));
    let audio = staircase(12);
    playout.push(&audio[..4_800], RATE).unwrap();
    pump(&mut playout, 0);
    playout.stop(at(10), &mut Vec::new());
    playout.push(&audio[4_800..], RATE).unwrap();
    playout.complete();
    let all: Vec<u8> = (0x80..0x8C).collect();
    assert_eq!(steps(&mut playout, 500), all);
    assert_eq!(playout.finish(), "one two three four");
}

#[test]
fn filler_is_sent_before_what_is_held() {
    let mut playout = playout();
    playout.play(said("one two"), &staircase(8));
    pump(&mut playout, 0);
    playout.stop(at(10), &mut Vec::new());
    playout.interject(&[900; 1_600]);
    let mut out = Vec::new();
    playout.pump(at(100), true, &mut out);
    let sent: usize = out
        .iter()
        .map(|output| match output {
            Output::Leg(Outbound::Media { payload }) => payload.len(),
            _ => 0,
        })
        .sum();
    assert_eq!(sent, 1_600, "the filler");
    assert_eq!(playout.send_deadline(true), None);
    let all: Vec<u8> = (0x80..0x88).collect();
    assert_eq!(steps(&mut playout, 400), all);
}

#[test]
fn what_the_leg_plays_is_known() {
    let mut playout = playout();
    playout.play(said("one two"), &staircase(8));
    pump(&mut playout, 1_000);
    let played = |playout: &Playout, from_ms: u64| {
        let mut pcm = Vec::new();
        playout.played(at(from_ms), 800, &mut pcm);
        assert_eq!(pcm.len(), 800);
        pcm.into_iter()
            .map(g711::mulaw::encode)
            .collect::<Vec<u8>>()
    };
    assert_eq!(played(&playout, 800), [0xFF; 800], "nothing yet");
    assert_eq!(played(&playout, 1_300), [0x83; 800]);
    let half = [[0x87; 400], [0xFF; 400]].concat();
    assert_eq!(played(&playout, 1_750), half, "and then nothing more");
    playout.stop(at(1_400), &mut Vec::new());
    assert_eq!(played(&playout, 1_400), [0xFF; 800]);
}

#[test]
fn a_long_speech_is_not_kept_for_ever() {
    let mut playout = playout();
    playout.play(said("a long speech"), &audio(60_000));
    for ms in (0..50_000).step_by(100) {
        pump(&mut playout, ms);
        playout.give_up_marks(at(ms));
    }
    assert_eq!(playout.queue.end(), 60_000 * 8);
    let kept_from = playout.queue.kept_from();
    assert!(kept_from > 40_000 * 8, "{kept_from}");
}
