//! The path of an inbound frame, from the socket's bytes to the decision who holds the floor,
//! allocates nothing once it is warm.

use std::sync::Arc;

use sidetone_codecs::SampleRate;
use sidetone_core::{
    call::Call,
    config::CallConfig,
    dialect::{Dialect, twilio::Twilio},
    io::{Input, Output},
    job::{Job, JobEvent, JobUpdate, TtsEvent},
    time::CallTime,
    vad::Vad,
};

/// At the rate of real detectors, so that the resampler works.
struct LoudVad;

impl Vad for LoudVad {
    fn rate(&self) -> SampleRate {
        SampleRate::HZ_16000
    }
    fn frame_len(&self) -> usize {
        256
    }
    fn push(&mut self, frame: &[i16]) -> f32 {
        let loud = frame
            .iter()
            .filter(|sample| sample.unsigned_abs() > 500)
            .count();
        if loud > frame.len() / 2 { 0.9 } else { 0.1 }
    }
    fn reset(&mut self) {}
}

const START: &str = r#"{"event":"start","sequenceNumber":"1","streamSid":"MZ1","start":{
    "accountSid":"AC1","callSid":"CA1","streamSid":"MZ1","tracks":["inbound"],
    "customParameters":{},
    "mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}}}"#;

/// What speech sounds like in frame `n`: no speech is of one level for long.
fn speech(n: u64) -> &'static str {
    if n % 6 < 4 { "gICA" } else { "wMDA" }
}

/// 20 ms of one μ-law code: `gA` repeated is loud, `wM` softer, `//` is silence.
fn media(n: u64, pair: &str) -> String {
    let payload = format!(
        "{}{}",
        pair.repeat(53),
        if pair == "////" { "/w==" } else { "gA==" }
    );
    format!(
        r#"{{"event":"media","sequenceNumber":"{}","media":{{"track":"inbound","chunk":"{}","timestamp":"{}","payload":"{}"}},"streamSid":"MZ1"}}"#,
        n + 2,
        n + 1,
        n * 20,
        payload
    )
}

fn allocations_of(frames: std::ops::Range<u64>, loud: impl Fn(u64) -> bool) -> u64 {
    let mut twilio = Twilio::new();
    let mut config = CallConfig::default();
    config.idle.prompt_after_ms = 0;
    let mut call = Call::new(Arc::new(config), Box::new(LoudVad));
    let mut out = Vec::with_capacity(64);
    let first = frames.start;
    let messages: Vec<String> = (0..frames.end)
        .map(|n| media(n, if loud(n) { speech(n) } else { "////" }))
        .collect();
    let start = twilio.parse(START.as_bytes()).expect("a start");
    call.step(CallTime::ZERO, Input::Leg(start), &mut out);
    let mut feed = |n: u64| {
        let message = twilio
            .parse(messages[n as usize].as_bytes())
            .expect("a frame");
        out.clear();
        call.step(CallTime::from_millis(n * 20), Input::Leg(message), &mut out);
    };
    (0..first).for_each(&mut feed);
    let counted = allocation_counter::measure(|| (frames).for_each(&mut feed));
    counted.count_total
}

#[test]
fn listening_to_silence_allocates_nothing() {
    assert_eq!(allocations_of(50..500, |_| false), 0);
}

#[test]
fn listening_to_speech_allocates_nothing() {
    // A turn that has begun before the count starts and goes on for 25 s.
    assert_eq!(allocations_of(50..1_300, |n| n > 10), 0);
}

#[test]
fn looking_for_echo_allocates_nothing_after_the_first_time() {
    // The agent has spoken, and the line has been loud since: every frame is compared with what was
    // played a second ago, and less.
    let mut twilio = Twilio::new();
    let mut config = CallConfig::default();
    config.agent.greeting = "Hello.".into();
    let mut call = Call::new(Arc::new(config), Box::new(LoudVad));
    let mut out = Vec::with_capacity(64);
    let messages: Vec<String> = (0..60).map(|n| media(n, "gICA")).collect();
    let start = twilio.parse(START.as_bytes()).expect("a start");
    call.step(CallTime::ZERO, Input::Leg(start), &mut out);
    let id = out
        .iter()
        .find_map(|output| match output {
            Output::Start(Job::Tts(job)) => Some(job.id),
            _ => None,
        })
        .expect("the greeting is to be spoken");
    let mut random = fastrand::Rng::with_seed(1);
    let samples = (0..3_200).map(|_| random.i16(-5_000..5_000)).collect();
    let rate = SampleRate::HZ_8000;
    for event in [TtsEvent::Audio { samples, rate }, TtsEvent::Done] {
        let event = JobEvent::Tts(event);
        call.step(
            CallTime::ZERO,
            Input::Job(JobUpdate { id, event }),
            &mut out,
        );
    }
    let mut feed = |n: usize| {
        let message = twilio.parse(messages[n].as_bytes()).expect("a frame");
        out.clear();
        call.step(
            CallTime::from_millis(n as u64 * 20),
            Input::Leg(message),
            &mut out,
        );
    };
    (0..35).for_each(&mut feed);
    let counted = allocation_counter::measure(|| (35..50).for_each(&mut feed));
    assert_eq!(counted.count_total, 0);
}

#[test]
fn the_count_counts() {
    // The end of a turn hands its audio over, which has to live somewhere.
    assert!(allocations_of(50..150, |n| (10..60).contains(&n)) > 0);
}
