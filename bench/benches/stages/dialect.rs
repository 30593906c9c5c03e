//! A leg's messages: understood, judged and written.

use std::{hint::black_box, time::Duration};

use sidetone_core::{
    dialect::{Dialect, Outbound, twilio::Twilio},
    event::Counters,
    ingress::{Accepted, Ingress},
};

use crate::{
    audio::FRAME,
    stage::{Pace, Stage, Stages},
};

const START: &str = r#"{"event":"start","sequenceNumber":"1","start":{"accountSid":"AC00000000000000000000000000000002","streamSid":"MZ00000000000000000000000000000001","callSid":"CA00000000000000000000000000000003","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},"customParameters":{}},"streamSid":"MZ00000000000000000000000000000001"}"#;

const MARK: &str = r#"{"event":"mark","sequenceNumber":"4","streamSid":"MZ00000000000000000000000000000001","mark":{"name":"17"}}"#;

/// How many frames one iteration of the ingress takes: a minute's.
const MINUTE: u64 = 3_000;

pub(crate) fn time(stages: &mut Stages) {
    parse(stages);
    write(stages);
    ingress(stages);
}

/// 20 ms of audio, as Twilio sends it; the stream's first has number 2.
fn media(sequence: u64) -> String {
    let (chunk, timestamp) = (sequence - 1, (sequence - 2) * 20);
    let payload = "f39/".repeat(53);
    format!(
        r#"{{"event":"media","sequenceNumber":"{sequence}","media":{{"track":"inbound","chunk":"{chunk}","timestamp":"{timestamp}","payload":"{payload}fw=="}},"streamSid":"MZ00000000000000000000000000000001"}}"#
    )
}

fn started() -> Twilio {
    let mut twilio = Twilio::new();
    twilio
        .parse(START.as_bytes())
        .expect("a start as Twilio sends it");
    twilio
}

fn parse(stages: &mut Stages) {
    for (name, iteration, message, audio) in [
        ("media", "a media message of 20 ms", media(2), Some(FRAME)),
        ("mark", "a mark message", MARK.to_owned(), None),
        ("start", "a start message", START.to_owned(), None),
    ] {
        let stage = Stage {
            group: "twilio parse",
            name,
            iteration,
            audio,
            pace: Pace::Fast,
        };
        stages.time(stage, started, |twilio| {
            assert!(twilio.parse(black_box(message.as_bytes())).is_ok());
        });
    }
}

fn write(stages: &mut Stages) {
    let payload = vec![0x7F; 1_600];
    let name = "17".to_owned();
    for (stage_name, iteration, message, audio) in [
        (
            "media",
            "a media message of 200 ms",
            Outbound::Media { payload },
            Some(Duration::from_millis(200)),
        ),
        ("mark", "a mark message", Outbound::Mark { name }, None),
        ("clear", "a clear message", Outbound::Clear, None),
    ] {
        let stage = Stage {
            group: "twilio write",
            name: stage_name,
            iteration,
            audio,
            pace: Pace::Fast,
        };
        stages.time(
            stage,
            || (started(), Vec::new()),
            |(twilio, out)| {
                out.clear();
                twilio.write(black_box(&message), out);
                black_box(out.len())
            },
        );
    }
}

/// From the socket's bytes to PCM. A minute in one go, since a frame that comes twice is dropped.
fn ingress(stages: &mut Stages) {
    let stage = Stage {
        group: "ingress",
        name: "minute",
        iteration: "3,000 media messages of 20 ms, to PCM",
        audio: Some(FRAME * MINUTE as u32),
        pace: Pace::Fast,
    };
    stages.time(
        stage,
        || {
            let messages: Vec<String> = (2..2 + MINUTE).map(media).collect();
            (messages, Vec::new())
        },
        |(messages, pcm)| {
            let mut twilio = Twilio::new();
            let mut ingress = Ingress::new();
            let mut counters = Counters::default();
            let mut fault = None;
            let mut take = |message: &str, expected: fn(&Accepted<'_>) -> bool| {
                let message = twilio.parse(message.as_bytes()).expect("a valid message");
                let accepted = ingress.accept(message, pcm, &mut counters, &mut fault);
                assert!(expected(&accepted));
            };
            take(START, |accepted| matches!(accepted, Accepted::Started(_)));
            for message in black_box(messages) {
                take(message, |accepted| *accepted == Accepted::Audio);
            }
            assert_eq!(fault, None, "every frame is new, in order and on time");
        },
    );
}
