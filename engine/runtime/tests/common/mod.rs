//! A caller on a Twilio leg, in simulated time: speaks frames at the pace of a phone, hears
//! through Twilio's buffer and sends its marks back.

// Every test binary uses its part of this, and a helper's failure is the test's.
#![allow(dead_code, clippy::unwrap_used)]

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use sidetone::{
    AcceptOptions, CallHandle, Engine, EngineBuilder, EventRecord, EventStream,
    core::{
        config::CallConfig, dialect::twilio::Twilio, event::CallEvent, sim::PlayoutBuffer,
        time::CallTime, vad::Vad,
    },
    speech::testing::{FakeLlm, FakeStt, FakeTts},
    transport::{MemoryPeer, WireMessage, memory},
};
use sidetone_codecs::{SampleRate, g711::mulaw};
use tokio::time::{Instant, sleep_until};

/// What a phone sends at once.
pub(crate) const FRAME: Duration = Duration::from_millis(20);
const STREAM: &str = "MZ0123456789abcdef0123456789abcdef";

/// Hears speech in whatever is loud.
pub(crate) struct LoudnessVad;

impl Vad for LoudnessVad {
    fn rate(&self) -> SampleRate {
        SampleRate::HZ_8000
    }

    fn frame_len(&self) -> usize {
        160
    }

    fn push(&mut self, frame: &[i16]) -> f32 {
        let loud = frame.iter().any(|sample| sample.unsigned_abs() > 1_000);
        f32::from(u8::from(loud))
    }

    fn reset(&mut self) {}
}

pub(crate) fn builder(stt: FakeStt, llm: FakeLlm, tts: FakeTts) -> EngineBuilder {
    Engine::builder()
        .stt(Arc::new(stt))
        .llm(Arc::new(llm))
        .tts(Arc::new(tts))
        .vad(|| Box::new(LoudnessVad))
}

/// An engine whose agent greets with this.
pub(crate) fn greeting(greeting: &str) -> CallConfig {
    let mut config = CallConfig::default();
    config.agent.greeting = greeting.into();
    config
}

/// What came from the engine, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Media { length: Duration },
    Mark { name: String },
    Clear,
}

pub(crate) struct Phone {
    pub(crate) peer: MemoryPeer,
    pub(crate) buffer: PlayoutBuffer,
    /// Everything the engine sent.
    pub(crate) log: Vec<(CallTime, Heard)>,
    /// The engine closed the socket.
    pub(crate) closed: bool,
    /// The longest lead of what was sent over what was played.
    pub(crate) longest_lead: Duration,
    began: Instant,
    sequence: u64,
    chunk: u64,
}

impl Phone {
    /// Dials in; the stream has not started.
    pub(crate) fn dial(engine: &Engine, capacity: usize) -> (Self, CallHandle) {
        Self::dial_with(engine, capacity, AcceptOptions::new())
    }

    pub(crate) fn dial_with(
        engine: &Engine,
        capacity: usize,
        options: AcceptOptions,
    ) -> (Self, CallHandle) {
        let (transport, peer) = memory(capacity);
        let handle = engine.accept_with(transport, Twilio::default(), options);
        let phone = Self {
            peer,
            buffer: PlayoutBuffer::new(SampleRate::HZ_8000),
            log: Vec::new(),
            closed: false,
            longest_lead: Duration::ZERO,
            began: Instant::now(),
            sequence: 0,
            chunk: 0,
        };
        (phone, handle)
    }

    /// Dials in and starts the stream.
    pub(crate) async fn call(engine: &Engine) -> (Self, CallHandle) {
        let (mut phone, handle) = Self::dial(engine, 64);
        phone.start().await;
        (phone, handle)
    }

    pub(crate) fn now(&self) -> CallTime {
        CallTime::from_micros(self.began.elapsed().as_micros() as u64)
    }

    /// Starts the stream, with a token among its parameters.
    pub(crate) async fn start(&mut self) {
        self.send(json!({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
            .await;
        self.envelope(json!({"event": "start", "start": {
            "accountSid": "AC00", "callSid": "CA00", "streamSid": STREAM, "tracks": ["inbound"],
            "customParameters": {"token": "open-sesame", "from": "+15005550006"},
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        }}))
        .await;
    }

    /// Says something loud for `length`, at the pace of speech.
    pub(crate) async fn speak(&mut self, length: Duration) {
        self.frames(length, 8_000).await;
    }

    /// Is quiet for `length`, and listens.
    pub(crate) async fn listen(&mut self, length: Duration) {
        self.frames(length, 0).await;
    }

    /// Is quiet until `until` holds.
    ///
    /// Panics if it has not within a minute.
    pub(crate) async fn listen_until(&mut self, mut until: impl FnMut(&Self) -> bool) {
        let began = self.now();
        while !until(self) {
            self.frames(FRAME, 0).await;
            let waited = self.now().since(began);
            assert!(
                waited < Duration::from_secs(60),
                "waited in vain: {:?}",
                self.log
            );
        }
    }

    async fn frames(&mut self, length: Duration, level: i16) {
        let frames = length.as_micros().div_ceil(FRAME.as_micros());
        for _ in 0..frames {
            let samples: Vec<i16> = (0..160)
                .map(|n| if n % 16 < 8 { level } else { -level })
                .collect();
            self.media(&samples).await;
            self.wait(FRAME).await;
        }
    }

    /// Sends one frame.
    pub(crate) async fn media(&mut self, samples: &[i16]) {
        let mut codes = Vec::new();
        mulaw::encode_append(samples, &mut codes);
        self.chunk += 1;
        self.envelope(json!({"event": "media", "media": {
            "track": "inbound", "chunk": self.chunk.to_string(),
            "timestamp": (self.chunk * 20).to_string(), "payload": STANDARD.encode(codes),
        }}))
        .await;
    }

    pub(crate) async fn stop(&mut self) {
        let stop = json!({"event": "stop", "stop": {"accountSid": "AC00", "callSid": "CA00"}});
        self.envelope(stop).await;
    }

    pub(crate) async fn press(&mut self, digit: char) {
        let dtmf = json!({"track": "inbound_track", "digit": digit.to_string()});
        self.envelope(json!({"event": "dtmf", "dtmf": dtmf})).await;
    }

    /// Receives and plays, and sends marks back, for `length`; sends nothing else.
    pub(crate) async fn wait(&mut self, length: Duration) {
        let until = Instant::now() + length;
        loop {
            self.play().await;
            let wake = self.buffer.next_mark_at().map_or(until, |mark| {
                until.min(self.began + Duration::from_micros(mark.as_micros()))
            });
            tokio::select! {
                biased;
                message = self.peer.recv(), if !self.closed => match message {
                    Some(message) => self.receive(&message),
                    None => self.closed = true,
                },
                () = sleep_until(wake) => if Instant::now() >= until {
                    self.play().await;
                    return;
                },
            }
        }
    }

    /// Sends those marks back that were played.
    async fn play(&mut self) {
        let mut marks = Vec::new();
        self.buffer.advance(self.now(), &mut Vec::new(), &mut marks);
        for (_, name) in marks {
            self.envelope(json!({"event": "mark", "mark": {"name": name}}))
                .await;
        }
    }

    fn receive(&mut self, message: &WireMessage) {
        let now = self.now();
        let message: Value = serde_json::from_slice(&message.payload).unwrap();
        assert_eq!(message["streamSid"], STREAM, "{message}");
        let heard = match message["event"].as_str().unwrap() {
            "media" => {
                let payload = message["media"]["payload"].as_str().unwrap();
                let mut samples = Vec::new();
                mulaw::decode_append(&STANDARD.decode(payload).unwrap(), &mut samples);
                self.buffer.media(now, &samples);
                Heard::Media {
                    length: FRAME * (samples.len() as u32) / 160,
                }
            }
            "mark" => {
                let name = message["mark"]["name"].as_str().unwrap().to_owned();
                self.buffer.mark(now, name.clone());
                Heard::Mark { name }
            }
            "clear" => {
                self.buffer.clear(now);
                Heard::Clear
            }
            other => panic!("unexpected {other}"),
        };
        self.longest_lead = self.longest_lead.max(self.buffer.buffered());
        self.log.push((now, heard));
    }

    async fn envelope(&mut self, mut message: Value) {
        self.sequence += 1;
        message["sequenceNumber"] = self.sequence.to_string().into();
        message["streamSid"] = STREAM.into();
        self.send(message).await;
    }

    /// Sends a message; to an engine that has closed the socket it goes nowhere.
    pub(crate) async fn send(&mut self, message: Value) {
        let _ = self.peer.send(WireMessage::text(message.to_string())).await;
    }

    /// The agent is to be heard, or will be.
    pub(crate) fn hears_agent(&self) -> bool {
        !self.buffer.buffered().is_zero()
    }

    /// How much audio the engine sent.
    pub(crate) fn audio(&self) -> Duration {
        let media = self.log.iter().filter_map(|(_, heard)| match heard {
            Heard::Media { length } => Some(*length),
            _ => None,
        });
        media.sum()
    }
}

/// All events of a call, to its end.
pub(crate) async fn all_events(mut events: EventStream) -> Vec<Arc<EventRecord>> {
    let mut all = Vec::new();
    while let Some(record) = events.recv().await {
        all.push(record.unwrap());
    }
    all
}

/// The name of an event as it is written.
pub(crate) fn name(event: &CallEvent) -> String {
    let value = serde_json::to_value(event).unwrap();
    value["event"].as_str().unwrap().to_owned()
}
