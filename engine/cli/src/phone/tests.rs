//! Whole calls of the phone in simulated time, against an agent that does what it is told when.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use sidetone_codecs::g711::mulaw;
use sidetone_core::time::CallTime;

use super::*;

const STREAM: &str = "MZ1";

/// A voice: a square wave, loud from its first sample to its last.
fn voice(ms: usize) -> Arc<[i16]> {
    (0..ms * 8)
        .map(|n| if n % 8 < 4 { 4_000 } else { -4_000 })
        .collect()
}

fn line(text: &str, ms: usize, when: When) -> Line {
    Line::new(text, voice(ms), when)
}

fn script(lines: Vec<Line>) -> Script {
    Script {
        max_wait: Duration::from_secs(2),
        linger: Duration::from_secs(1),
        ..Script::new(lines)
    }
}

fn says(ms: usize) -> String {
    let mut codes = Vec::new();
    mulaw::encode_append(&voice(ms), &mut codes);
    json!({"event": "media", "streamSid": STREAM, "media": {"payload": STANDARD.encode(codes)}})
        .to_string()
}

fn mark(name: &str) -> String {
    json!({"event": "mark", "streamSid": STREAM, "mark": {"name": name}}).to_string()
}

fn clear() -> String {
    json!({"event": "clear", "streamSid": STREAM}).to_string()
}

/// A finished call: what it reported, showed and sent, with the time in ms.
struct Played {
    report: CallReport,
    sights: Vec<(u64, Sight)>,
    sent: Vec<(u64, Value)>,
    ended_ms: u64,
}

impl Played {
    fn sent(&self, event: &str) -> Vec<(u64, &Value)> {
        let sent = self.sent.iter().filter(|(_, m)| m["event"] == event);
        sent.map(|(at, message)| (*at, message)).collect()
    }

    fn marks(&self) -> Vec<(u64, &str)> {
        let marks = self.sent("mark").into_iter();
        marks
            .map(|(at, m)| (at, m["mark"]["name"].as_str().unwrap()))
            .collect()
    }
}

/// Plays `script` against an agent that sends these messages at these times, in ms.
fn play(script: Script, agent: &[(u64, String)]) -> Played {
    let identity = CallIdentity {
        account_sid: "AC1".into(),
        call_sid: "CA1".into(),
        stream_sid: STREAM.into(),
    };
    let mut handset = Handset::new(Arc::new(script), identity, true);
    let mut actions = Actions::default();
    let (mut sights, mut sent) = (Vec::new(), Vec::new());
    let mut agent = agent.iter().peekable();
    let mut now = CallTime::ZERO;
    handset.start(&BTreeMap::new(), &mut actions);
    loop {
        for (at, sight) in actions.sights.drain(..) {
            sights.push((at.as_millis(), sight));
        }
        for text in actions.send.drain(..) {
            sent.push((now.as_millis(), serde_json::from_str(&text).unwrap()));
        }
        if actions.hang_up {
            return Played {
                report: handset.end(now, Ending::Caller),
                sights,
                sent,
                ended_ms: now.as_millis(),
            };
        }
        let deadline = handset.deadline();
        match agent.next_if(|(at, _)| CallTime::from_millis(*at) < deadline) {
            Some((at, message)) => {
                now = CallTime::from_millis(*at);
                handset.receive(now, message, &mut actions);
            }
            None => {
                now = deadline;
                handset.advance(now, &mut actions);
            }
        }
    }
}

fn ms(duration: Option<Duration>) -> Option<u128> {
    duration.map(|d| d.as_millis())
}

#[test]
fn a_frame_leaves_every_20_ms_from_the_start_to_the_end() {
    let played = play(script(vec![line("hi", 500, When::PauseMs(100))]), &[]);
    for (n, (at, message)) in played.sent("media").into_iter().enumerate() {
        assert_eq!(at, 20 * (n as u64 + 1));
        assert_eq!(message["media"]["timestamp"], (20 * n).to_string());
        assert_eq!(message["media"]["chunk"], (n + 1).to_string());
    }
    let audio = played.report.audio.unwrap();
    assert_eq!(audio.caller.len() as u64, played.ended_ms * 8);
    assert_eq!(audio.agent.len(), audio.caller.len());
}

#[test]
fn the_sequence_has_no_gap_and_ends_with_stop() {
    let played = play(
        script(vec![line("hi", 500, When::PauseMs(100))]),
        &[(700, says(300)), (701, mark("a"))],
    );
    assert_eq!(played.sent[0].1["event"], "connected");
    for (n, (_, message)) in played.sent[1..].iter().enumerate() {
        assert_eq!(message["sequenceNumber"], (n + 1).to_string());
    }
    assert_eq!(played.sent[1].1["event"], "start");
    assert_eq!(played.sent.last().unwrap().1["event"], "stop");
}

#[test]
fn response_time_runs_from_the_last_loud_sample_to_the_first_one_heard() {
    // The caller speaks from 100 to 600 ms. The agent's message begins with 50 ms of silence.
    let silence = json!({
        "event": "media",
        "streamSid": STREAM,
        "media": {"payload": STANDARD.encode([0xFF; 400])},
    });
    let played = play(
        script(vec![line("hi", 500, When::PauseMs(100))]),
        &[(850, silence.to_string()), (851, says(300))],
    );
    let turn = &played.report.turns[0];
    assert_eq!(turn.speech_began.as_millis(), 100);
    assert_eq!(turn.speech_ended.as_millis(), 600);
    assert_eq!(ms(turn.response()), Some(300));
    assert_eq!(turn.failure(), None);
    assert_eq!(played.report.underruns, 0);
    // One second after the agent's last word.
    assert_eq!(played.ended_ms, 2_200);
    let heard = (CallTime::from_millis(900), CallTime::from_millis(1_200));
    assert_eq!(played.report.agent_speech, [heard]);
}

#[test]
fn the_caller_waits_for_the_greeting_and_for_the_silence_after_it() {
    let played = play(
        script(vec![line("hi", 500, When::AgentSilenceMs(600))]),
        &[(40, says(1_000)), (1_940, says(100))],
    );
    // The greeting ends at 1040 ms.
    assert_eq!(played.report.turns[0].speech_began.as_millis(), 1_640);
    assert_eq!(played.report.turns[0].answered_at, None);
}

#[test]
fn a_pause_between_sentences_is_not_the_end_of_the_answer() {
    let lines = vec![
        line("one", 200, When::PauseMs(0)),
        line("two", 200, When::AgentSilenceMs(600)),
    ];
    // Speaks 300..800 and 1200..1500 ms.
    let agent = [(300, says(500)), (1_200, says(300)), (2_400, says(100))];
    let played = play(script(lines), &agent);
    assert_eq!(played.report.turns[0].answered_at.unwrap().as_millis(), 300);
    assert_eq!(played.report.turns[1].speech_began.as_millis(), 2_100);
    assert_eq!(ms(played.report.turns[1].response()), Some(100));
}

#[test]
fn an_interruption_is_timed_from_its_first_loud_sample_to_the_clear() {
    let lines = vec![
        line("one", 200, When::PauseMs(0)),
        line("wait", 400, When::InterruptAfterMs(500)),
    ];
    // The agent begins at 300 ms and would speak for 5 s; the caller interrupts at 800 ms.
    let agent = [
        (300, says(5_000)),
        (301, mark("end")),
        (970, clear()),
        (1_400, says(300)),
    ];
    let played = play(script(lines), &agent);
    let turn = &played.report.turns[1];
    assert!(turn.over_agent);
    assert_eq!(turn.speech_began.as_millis(), 800);
    assert_eq!(ms(turn.barge_in()), Some(170));
    // From 1200 ms on.
    assert_eq!(ms(turn.response()), Some(200));
    assert_eq!(turn.failure(), None);
    assert_eq!(played.marks(), [(970, "end")]);
    assert!(played.sights.contains(&(
        970,
        Sight::MarkReturned {
            name: "end".into(),
            flushed: true
        }
    )));
    let heard = (CallTime::from_millis(300), CallTime::from_millis(970));
    assert_eq!(played.report.agent_speech[0], heard);
}

#[test]
fn a_clear_after_the_interruption_ended_still_counts_and_what_was_cut_is_no_answer() {
    let lines = vec![
        line("one", 200, When::PauseMs(0)),
        line("no", 100, When::InterruptAfterMs(500)),
        line("two", 100, When::AgentSilenceMs(300)),
    ];
    // "no" lasts from 800 to 900 ms.
    let agent = [
        (300, says(5_000)),
        (1_000, clear()),
        (2_000, says(100)),
        (2_700, says(100)),
    ];
    let played = play(script(lines), &agent);
    assert_eq!(ms(played.report.turns[1].barge_in()), Some(200));
    assert_eq!(ms(played.report.turns[1].response()), Some(1_100));
    assert_eq!(played.report.turns[2].speech_began.as_millis(), 2_400);
}

#[test]
fn an_agent_that_talks_on_was_not_interrupted() {
    let lines = vec![
        line("one", 200, When::PauseMs(0)),
        line("wait", 400, When::InterruptAfterMs(500)),
    ];
    let played = play(script(lines), &[(300, says(3_000))]);
    let turn = &played.report.turns[1];
    assert_eq!(turn.failure(), Some(TurnFailure::NotInterrupted));
    assert_eq!(turn.answered_at, None);
}

#[test]
fn a_turn_nobody_answers_is_given_up_and_the_caller_goes_on() {
    let lines = vec![
        line("one", 200, When::PauseMs(0)),
        line("two", 200, When::AgentSilenceMs(500)),
    ];
    let played = play(script(lines), &[(2_500, says(100))]);
    assert_eq!(
        played.report.turns[0].failure(),
        Some(TurnFailure::Unanswered)
    );
    // Two seconds after the end of "one", which began with the second frame.
    assert_eq!(played.report.turns[1].speech_began.as_millis(), 2_220);
    assert_eq!(played.report.turns[1].failure(), None);
    let given_up = (2_220, Sight::Unanswered { turn: 0 });
    assert!(played.sights.contains(&given_up));
    assert_eq!(played.report.failures().count(), 1);
}

#[test]
fn a_cough_must_not_stop_the_agent() {
    let cough = Line {
        expect: Expect::Ignore,
        ..line("cough", 100, When::InterruptAfterMs(500))
    };
    let lines = vec![line("one", 200, When::PauseMs(0)), cough];
    let kept = play(script(lines.clone()), &[(300, says(1_500))]);
    assert_eq!(kept.report.failures().count(), 0);
    // The answer goes on until 1800 ms; a second later the caller hangs up.
    assert_eq!(kept.ended_ms, 2_800);
    let stopped = play(script(lines), &[(300, says(1_500)), (1_000, clear())]);
    let failures: Vec<_> = stopped.report.failures().map(|(n, _, f)| (n, f)).collect();
    assert_eq!(failures, [(2, TurnFailure::NotIgnored)]);
}

#[test]
fn a_late_answer_fails_where_the_script_says_how_soon() {
    let lines = vec![Line {
        within: Some(Duration::from_millis(500)),
        ..line("hi", 200, When::PauseMs(0))
    }];
    let played = play(script(lines), &[(900, says(100))]);
    let failure = played.report.turns[0].failure().unwrap();
    assert_eq!(
        failure.to_string(),
        "answered after 680 ms, later than 500 ms"
    );
}

#[test]
fn marks_come_back_when_their_audio_was_played() {
    let agent = [
        (100, mark("nothing before it")),
        (300, says(500)),
        (310, mark("first")),
        (320, says(205)),
        (330, mark("second")),
    ];
    let played = play(script(vec![line("hi", 100, When::PauseMs(0))]), &agent);
    assert_eq!(
        played.marks(),
        [
            (100, "nothing before it"),
            (800, "first"),
            (1_005, "second")
        ]
    );
}

#[test]
fn audio_that_runs_dry_is_an_underrun() {
    let agent = [(300, says(200)), (600, says(200))];
    let played = play(script(vec![line("hi", 100, When::PauseMs(0))]), &agent);
    assert_eq!(played.report.underruns, 1);
}

#[test]
fn messages_twilio_would_refuse_are_counted_and_change_nothing() {
    let foreign = json!({"event": "clear", "streamSid": "MZ2"}).to_string();
    let agent = [
        (300, says(500)),
        (400, foreign),
        (401, "junk".into()),
        (800, says(100)),
    ];
    let played = play(script(vec![line("hi", 100, When::PauseMs(0))]), &agent);
    assert_eq!(played.report.refused_messages, 2);
    let first = played.report.first_refusal.unwrap();
    assert!(first.contains("MZ2"), "{first}");
    assert_eq!(played.report.agent_speech[0].1.as_millis(), 900);
}

#[test]
fn an_engine_gone_wild_cannot_fill_the_memory() {
    let minute = says(60_000);
    let agent: Vec<_> = (0..15).map(|n| (300 + n, minute.clone())).collect();
    let script = Script {
        max_call: Duration::from_secs(1),
        ..script(vec![line("hi", 100, When::PauseMs(0))])
    };
    let played = play(script, &agent);
    assert!((4..=5).contains(&played.report.refused_messages));
    assert!(played.report.unplayed < Duration::from_secs(600));
}

#[test]
fn the_longest_call_ends_and_says_what_was_left_unsaid() {
    let lines = vec![
        line("one", 100, When::PauseMs(0)),
        line("two", 100, When::AgentSilenceMs(500)),
    ];
    let script = Script {
        max_call: Duration::from_secs(3),
        ..script(lines)
    };
    let played = play(script, &[(300, says(10_000))]);
    assert_eq!(played.ended_ms, 3_000);
    assert_eq!(played.report.unsaid, 1);
    assert_eq!(played.report.unplayed, Duration::from_millis(7_300));
}

#[test]
fn a_script_that_wants_no_answer_ends_by_itself() {
    let lines = vec![Line {
        expect: Expect::Ignore,
        ..line("cough", 100, When::PauseMs(500))
    }];
    let played = play(script(lines), &[]);
    assert_eq!(played.ended_ms, 1_600);
    assert_eq!(played.report.failures().count(), 0);
}
