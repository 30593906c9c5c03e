//! `sidetone demo`, whole: the program, the server, the socket, Whisper, the dialogue, the voice.
//! It takes as long as the call, about half a minute.

#![allow(clippy::unwrap_used)]

use std::{
    fs,
    process::{Command, Stdio},
};

use serde_json::Value;
use sidetone::offline::Transcript;
use sidetone_codecs::wav;

const SAID: [&str; 5] = [
    "where is my order",
    "my order number is four two seven one",
    "hold on a second",
    "when will it arrive",
    "thank you goodbye",
];

#[test]
fn the_demo_holds_its_conversation_and_leaves_its_account() {
    let espeak = Command::new("espeak-ng")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    if espeak.is_err() {
        eprintln!("skipped: the demo's voice is espeak-ng, which is not installed");
        return;
    }
    let out = tempfile::tempdir().unwrap();
    let demo = Command::new(env!("CARGO_BIN_EXE_sidetone"))
        .args(["demo", "--out"])
        .arg(out.path())
        .output()
        .unwrap();
    let printed = String::from_utf8(demo.stdout).unwrap();
    let errors = String::from_utf8(demo.stderr).unwrap();
    assert!(demo.status.success(), "{printed}\n{errors}");
    for said in SAID {
        let understood = format!("understood “{said}”");
        assert!(printed.contains(&understood), "{said}: {printed}");
    }

    let read = |file: &str| fs::read_to_string(out.path().join(file)).unwrap();
    let events: Vec<Value> = read("events.ndjson")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for (n, event) in events.iter().enumerate() {
        assert_eq!(event["seq"], n + 1, "{event}");
    }
    let count = |name: &str| events.iter().filter(|e| e["event"] == name).count();
    assert_eq!(count("agent.interrupted"), 1);
    assert_eq!(count("turn.metrics"), 5);
    assert_eq!(events.last().unwrap()["event"], "call.ended");
    assert_eq!(events.last().unwrap()["reason"], "agent_hung_up");

    let report: Value = serde_json::from_str(&read("report.json")).unwrap();
    assert_eq!(report["ending"], "agent");
    assert_eq!(report["turns"].as_array().unwrap().len(), 5);
    assert_eq!(report["call_sid"], events[0]["provider_call_id"]);
    for turn in report["turns"].as_array().unwrap() {
        assert!(turn["response_ms"].as_f64() > Some(0.0), "{turn}");
        assert_eq!(turn["failure"], Value::Null, "{turn}");
    }
    // The goodbye was heard to its end before the agent hung up.
    assert_eq!(report["unplayed_ms"], 0.0);

    let sound = wav::read_file(out.path().join("call.wav")).unwrap();
    assert_eq!(sound.channels.get(), 2);
    let loud = |channel: usize| {
        let samples = sound.samples.iter().skip(channel).step_by(2);
        samples.filter(|s| s.unsigned_abs() > 1_000).count()
    };
    // At least two seconds of each voice.
    assert!(loud(0) > 16_000 / 4 && loud(1) > 16_000 / 4);

    let picture = read("timeline.svg");
    let picture = roxmltree::Document::parse(&picture).unwrap();
    let texts: Vec<_> = picture.descendants().filter_map(|n| n.text()).collect();
    assert!(texts.iter().any(|text| text.starts_with("barge-in ")));
    for said in SAID {
        assert!(texts.contains(&said), "{said}: {texts:?}");
    }

    let transcribed = Command::new(env!("CARGO_BIN_EXE_sidetone"))
        .args(["transcribe", "--quiet", "--format", "json"])
        .arg(out.path())
        .output()
        .unwrap();
    let transcript: Transcript = serde_json::from_slice(&transcribed.stdout).unwrap();
    assert_eq!(transcript.speakers, ["caller", "agent"]);
    let call = transcript.source.call.unwrap();
    assert_eq!(call.call_id.as_str(), events[0]["call_id"]);
    assert_eq!(
        call.provider_call_id.unwrap(),
        events[0]["provider_call_id"]
    );
    let by = |speaker: &str| {
        let segments = transcript.segments.iter();
        let by = segments.filter(|segment| segment.speaker.as_deref() == Some(speaker));
        by.map(|segment| &*segment.text)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(by("caller"), SAID.join(" "));
    assert!(by("agent").contains("order number"), "{}", by("agent"));
}
