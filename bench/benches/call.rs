//! What a 20 ms frame costs a call, from the socket's bytes to the next deadline, with the real
//! detector; what the turn and the reply cost; and that a frame allocates nothing.

use std::{hint::black_box, path::Path, sync::Arc, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sidetone_codecs::{g711::mulaw, wav};
use sidetone_core::{
    call::Call,
    config::CallConfig,
    dialect::{Dialect, Outbound, twilio::Twilio},
    io::{Input, Output},
    job::{Job, JobEvent, JobUpdate, LlmEvent, SttEvent, Transcript, TtsEvent},
    time::CallTime,
};
use sidetone_speech::vad::EarshotVad;

const START: &str = r#"{"event":"start","sequenceNumber":"1","streamSid":"MZ1","start":{"accountSid":"AC1","callSid":"CA1","streamSid":"MZ1","tracks":["inbound"],"customParameters":{},"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}}}"#;

/// A leg that sends the same audio over and over.
struct Leg {
    twilio: Twilio,
    call: Call,
    frames: Vec<String>,
    next: usize,
    sent: u64,
    out: Vec<Output>,
}

impl Leg {
    fn new(audio: &[i16]) -> Self {
        let mut twilio = Twilio::new();
        let mut call = Call::new(Arc::new(CallConfig::default()), Box::new(EarshotVad::new()));
        let mut out = Vec::with_capacity(64);
        let start = twilio.parse(START.as_bytes()).expect("a start message");
        call.step(CallTime::ZERO, Input::Leg(start), &mut out);
        // The dialect writes what an engine sends; between legs only the event's name differs.
        let frames = audio.chunks_exact(160).map(|frame| {
            let mut payload = Vec::new();
            mulaw::encode_append(frame, &mut payload);
            let mut text = Vec::new();
            twilio.write(&Outbound::Media { payload }, &mut text);
            String::from_utf8(text).expect("JSON is UTF-8").replace(
                "\"media\":{",
                "\"sequenceNumber\":null,\"media\":{\"track\":\"inbound\",",
            )
        });
        let frames = frames.collect();
        Self {
            frames,
            twilio,
            call,
            next: 0,
            sent: 0,
            out,
        }
    }

    fn now(&self) -> CallTime {
        CallTime::from_millis(self.sent * 20)
    }

    fn frame(&mut self) {
        self.sent += 1;
        let now = self.now();
        let text = &self.frames[self.next];
        self.next = (self.next + 1) % self.frames.len();
        let message = self
            .twilio
            .parse(black_box(text.as_bytes()))
            .expect("a media message");
        self.out.clear();
        black_box(self.call.step(now, Input::Leg(message), &mut self.out));
    }

    /// Answers whatever the call asks for at once, until it asks for nothing more.
    fn answer(&mut self, answer: &[i16]) {
        let mut asked: Vec<Job> = Vec::new();
        loop {
            asked.extend(self.out.drain(..).filter_map(|output| match output {
                Output::Start(job) => Some(job),
                _ => None,
            }));
            let Some(job) = asked.pop() else { return };
            let events = match &job {
                Job::Stt(_) => vec![JobEvent::Stt(SttEvent::Transcript(Transcript {
                    text: "where is my order".into(),
                    ..Transcript::default()
                }))],
                Job::Llm(_) => vec![
                    JobEvent::Llm(LlmEvent::Delta {
                        text: "It is on its way.".into(),
                    }),
                    JobEvent::Llm(LlmEvent::Done { hang_up: false }),
                ],
                Job::Tts(_) => vec![
                    JobEvent::Tts(TtsEvent::Audio {
                        samples: answer.to_vec(),
                        rate: sidetone_codecs::SampleRate::HZ_22050,
                    }),
                    JobEvent::Tts(TtsEvent::Done),
                ],
            };
            let now = self.now();
            for event in events {
                let update = JobUpdate {
                    id: job.id(),
                    event,
                };
                self.call.step(now, Input::Job(update), &mut self.out);
            }
        }
    }
}

/// A recorded caller, looped with a second of silence.
fn caller() -> Vec<i16> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fixtures/callers/annie/where-is-my-order.wav");
    let mut audio = wav::read_file(&file).expect("the fixture is there").samples;
    audio.resize(audio.len() + 8_000, 0);
    audio
}

fn frames(c: &mut Criterion) {
    let mut group = c.benchmark_group("call");
    group.throughput(Throughput::Elements(1));
    for (name, audio) in [
        ("frame of silence", vec![0; 8_000]),
        ("frame of a conversation", caller()),
    ] {
        let mut leg = Leg::new(&audio);
        group.bench_function(name, |b| b.iter(|| leg.frame()));
    }
    let audio = caller();
    let answer = vec![1_000; 22_050 * 2];
    group
        .sample_size(20)
        .measurement_time(Duration::from_secs(8));
    group.bench_function("turn answered with 2 s of speech", |b| {
        let mut leg = Leg::new(&audio);
        b.iter(|| {
            for _ in 0..leg.frames.len() {
                leg.frame();
                leg.answer(&answer);
            }
        });
    });
    group.finish();
    print_allocations();
}

#[allow(clippy::print_stdout, reason = "a figure of the bench")]
fn print_allocations() {
    let mut leg = Leg::new(&vec![0; 8_000]);
    (0..100).for_each(|_| leg.frame());
    let counted = allocation_counter::measure(|| (0..10_000).for_each(|_| leg.frame()));
    println!(
        "call/allocations of 10,000 frames after warm-up: {} (budget 0)",
        counted.count_total
    );
    assert_eq!(counted.count_total, 0, "a frame allocates nothing");
}

criterion_group!(benches, frames);
criterion_main!(benches);
