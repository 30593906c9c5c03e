//! A leg's messages: understood, judged and written.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sidetone_core::{
    dialect::{Dialect, Outbound, twilio::Twilio},
    event::Counters,
    ingress::{Accepted, Ingress},
};

const START: &str = r#"{"event":"start","sequenceNumber":"1","start":{"accountSid":"AC00000000000000000000000000000002","streamSid":"MZ00000000000000000000000000000001","callSid":"CA00000000000000000000000000000003","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},"customParameters":{}},"streamSid":"MZ00000000000000000000000000000001"}"#;

const MARK: &str = r#"{"event":"mark","sequenceNumber":"4","streamSid":"MZ00000000000000000000000000000001","mark":{"name":"17"}}"#;

/// 20 ms of audio, as Twilio sends it.
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

fn parse(c: &mut Criterion) {
    let mut group = c.benchmark_group("dialect/twilio/parse");
    let mut twilio = started();
    for (name, message) in [
        ("media_20ms", media(2)),
        ("mark", MARK.to_owned()),
        ("start", START.to_owned()),
    ] {
        group.throughput(Throughput::Bytes(message.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| assert!(twilio.parse(black_box(message.as_bytes())).is_ok()));
        });
    }
    group.finish();
}

fn write(c: &mut Criterion) {
    let mut group = c.benchmark_group("dialect/twilio/write");
    let mut twilio = started();
    let mut out = Vec::new();
    for (name, message) in [
        (
            "media_200ms",
            Outbound::Media {
                payload: vec![0x7f; 1_600],
            },
        ),
        (
            "mark",
            Outbound::Mark {
                name: "17".to_owned(),
            },
        ),
        ("clear", Outbound::Clear),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| {
                out.clear();
                twilio.write(black_box(&message), &mut out);
                black_box(out.len())
            });
        });
    }
    group.finish();
}

/// From the socket's bytes to PCM.
fn ingress(c: &mut Criterion) {
    let mut group = c.benchmark_group("ingress");
    // Fresh numbers in every frame, so that none is a repeat.
    let frames: Vec<String> = (2..1_002).map(media).collect();
    group.throughput(Throughput::Elements(frames.len() as u64));
    group.bench_function("1000_frames_of_20ms", |b| {
        let mut pcm = Vec::new();
        b.iter(|| {
            let mut twilio = Twilio::new();
            let mut ingress = Ingress::new();
            let mut counters = Counters::default();
            let mut fault = None;
            let mut take = |message: &str, expected: fn(&Accepted<'_>) -> bool| {
                let message = twilio.parse(message.as_bytes()).expect("a valid message");
                let accepted = ingress.accept(message, &mut pcm, &mut counters, &mut fault);
                assert!(expected(&accepted));
            };
            take(START, |accepted| matches!(accepted, Accepted::Started(_)));
            for frame in &frames {
                take(black_box(frame), |accepted| *accepted == Accepted::Audio);
            }
            assert_eq!(fault, None);
        });
    });
    group.finish();
}

criterion_group!(benches, parse, write, ingress);
criterion_main!(benches);
