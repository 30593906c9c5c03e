//! What it costs to have people on a call: `cargo bench -p sidetone-bench --bench bridge`.
//!
//! The delay is measured in simulated time, so it is the same on every machine: clicks go in on one
//! leg, in packets of 20 ms that the network delays by up to so much, and come out on the other. From
//! the arrival of a click's packet to the moment it is handed out, counted to the sample: the jitter
//! buffer, the wait for the bridge's tick and both resamplers are in it, the network is not. Then the
//! processor time of a second of a call is shown, without people and with.

#![allow(clippy::print_stdout, reason = "its purpose")]

use std::{
    collections::{BTreeMap, BinaryHeap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use fastrand::Rng;
use sidetone_codecs::{SampleRate, g711::mulaw};
use sidetone_core::{
    call::Call,
    config::CallConfig,
    dialect::{Inbound, LegFormat, LegMessage, Media, Outbound, Start, Track},
    io::{Input, Output},
    person::{Join, Mode, PersonId, PersonInput, PersonOutput},
    time::CallTime,
};
use sidetone_speech::vad::EarshotVad;

/// How much audio a packet holds.
const PACKET: Duration = Duration::from_millis(20);
/// A click in every so many packets.
const CLICK_EVERY: u64 = 25;
/// How much of a call is simulated for a row of delays, and for one of costs.
const DELAYS_OVER: Duration = Duration::from_secs(600);
const COST_OVER: Duration = Duration::from_secs(60);
const PERSON: PersonId = PersonId(1);

fn main() {
    println!("delay inside the engine, ms, person at 48 kHz, caller at 8 kHz:\n");
    println!("| network jitter | way | p50 | p95 | p99 | max | concealed | cut |");
    println!("|---|---|---|---|---|---|---|---|");
    for jitter_ms in [0, 20, 40] {
        let measured =
            Bridged::new(Some(Mode::Takeover), jitter_ms, Sound::Clicks).run(DELAYS_OVER);
        for (way, mut delays, leg) in [
            ("person → caller", measured.to_caller, 1),
            ("caller → person", measured.to_person, 0),
        ] {
            delays.sort_unstable();
            let at = |percent: usize| {
                let index = (delays.len() * percent / 100).min(delays.len() - 1);
                delays[index] as f64 / 1_000.0
            };
            let quality = measured.quality[leg];
            println!(
                "| 0 to {jitter_ms} ms | {way} | {:.1} | {:.1} | {:.1} | {:.1} | {} ms | {} ms |",
                at(50),
                at(95),
                at(99),
                at(100),
                quality.concealed_ms,
                quality.cut_ms
            );
        }
    }
    println!("\nprocessor time of a second of a call, µs, detector included:\n");
    println!("| call | µs |");
    println!("|---|---|");
    for (name, mode) in [
        ("caller and agent", None),
        ("with a monitor", Some(Mode::Monitor)),
        ("with a whisperer", Some(Mode::Whisper)),
        ("three-way", Some(Mode::Barge)),
        ("taken over", Some(Mode::Takeover)),
    ] {
        let mut best = Duration::MAX;
        for _ in 0..3 {
            best = best.min(Bridged::new(mode, 20, Sound::Noise).run(COST_OVER).spent);
        }
        let each = best.as_micros() as f64 / COST_OVER.as_secs_f64();
        println!("| {name} | {each:.0} |");
    }
}

/// What the legs send.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sound {
    /// Silence with a click now and then.
    Clicks,
    /// Noise at the level of speech.
    Noise,
}

struct Measured {
    /// In µs.
    to_caller: Vec<u64>,
    to_person: Vec<u64>,
    /// Of the caller's leg, then the person's.
    quality: Vec<sidetone_core::person::BridgeQuality>,
    /// In the core.
    spent: Duration,
}

/// A call with a person on it.
struct Bridged {
    call: Call,
    has_person: bool,
    jitter: u64,
    sound: Sound,
    rng: Rng,
    now: CallTime,
    deadline: Option<CallTime>,
    out: Vec<Output>,
    /// When the clicks that were not heard yet came, in µs, to the sample.
    from_caller: VecDeque<u64>,
    from_person: VecDeque<u64>,
    measured: Measured,
}

/// A packet on its way, the earliest first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Packet {
    arrives: std::cmp::Reverse<u64>,
    n: std::cmp::Reverse<u64>,
    is_callers: bool,
}

impl Bridged {
    fn new(mode: Option<Mode>, jitter_ms: u64, sound: Sound) -> Self {
        let mut config = CallConfig::default();
        config.idle.prompt_after_ms = 0;
        let call = Call::new(Arc::new(config), Box::new(EarshotVad::new()))
            .hearing_people(Arc::new(|| Box::new(EarshotVad::new())));
        let mut this = Self {
            call,
            has_person: mode.is_some(),
            jitter: jitter_ms * 1_000,
            sound,
            rng: Rng::with_seed(6),
            now: CallTime::ZERO,
            deadline: None,
            out: Vec::new(),
            from_caller: VecDeque::new(),
            from_person: VecDeque::new(),
            measured: Measured {
                to_caller: Vec::new(),
                to_person: Vec::new(),
                quality: Vec::new(),
                spent: Duration::ZERO,
            },
        };
        this.step(Input::Leg(LegMessage {
            stream_id: None,
            sequence: None,
            body: Inbound::Start(Start {
                stream_id: "MZ1".into(),
                call_id: None,
                account_id: None,
                parameters: BTreeMap::new(),
                format: LegFormat::MULAW_8000,
            }),
        }));
        if let Some(mode) = mode {
            // Not in step with the caller's packets.
            this.now = CallTime::from_micros(7_300);
            this.step(Input::Person {
                id: PERSON,
                input: PersonInput::Join(Join {
                    name: "Anna".into(),
                    mode,
                    rank: 1,
                    rate: SampleRate::HZ_48000,
                }),
            });
        }
        this
    }

    fn run(mut self, length: Duration) -> Measured {
        let packets = u64::try_from(length.as_micros() / PACKET.as_micros()).unwrap_or(u64::MAX);
        let mut network = BinaryHeap::new();
        let (mut callers, mut persons) = (0, 0);
        for n in 1..packets {
            // The network keeps the order.
            let sent = n * 20_000;
            callers = (sent + self.rng.u64(..=self.jitter)).max(callers);
            persons = (sent + 12_700 + self.rng.u64(..=self.jitter)).max(persons);
            for (arrives, is_callers) in [(callers, true), (persons, false)] {
                if is_callers || self.has_person {
                    network.push(Packet {
                        arrives: std::cmp::Reverse(arrives),
                        n: std::cmp::Reverse(n),
                        is_callers,
                    });
                }
            }
        }
        while let Some(packet) = network.pop() {
            self.wait(CallTime::from_micros(packet.arrives.0));
            if packet.is_callers {
                self.caller_sends(packet.n.0);
            } else {
                self.person_sends(packet.n.0);
            }
        }
        let quality = self.call.bridge_quality().into_iter();
        self.measured.quality = quality.map(|(_, quality)| quality).collect();
        self.measured
    }

    fn wait(&mut self, until: CallTime) {
        while let Some(deadline) = self.deadline.filter(|deadline| *deadline <= until) {
            self.now = deadline;
            self.step(Input::Deadline);
        }
        self.now = until;
    }

    fn packet(&mut self, n: u64, hz: u64) -> (Vec<i16>, Option<u64>) {
        let len = (hz / 50) as usize;
        match self.sound {
            Sound::Noise => {
                let samples = (0..len).map(|_| self.rng.i16(-3_000..3_000));
                (samples.collect(), None)
            }
            Sound::Clicks => {
                let mut pcm = vec![0; len];
                if !n.is_multiple_of(CLICK_EVERY) {
                    return (pcm, None);
                }
                // A burst that survives resampling, in the middle of the packet.
                let (from, to) = (len / 2, len / 2 + (hz / 1_000) as usize);
                pcm[from..to].fill(20_000);
                (pcm, Some(from as u64 * 1_000_000 / hz))
            }
        }
    }

    fn caller_sends(&mut self, n: u64) {
        let (pcm, click) = self.packet(n, 8_000);
        let now = self.now.as_micros();
        self.from_caller.extend(click.map(|at| now + at));
        let mut payload = Vec::new();
        mulaw::encode_append(&pcm, &mut payload);
        self.step(Input::Leg(LegMessage {
            stream_id: None,
            sequence: None,
            body: Inbound::Media(Media {
                track: Track::Inbound,
                chunk: None,
                timestamp_ms: None,
                payload: payload.into(),
            }),
        }));
    }

    fn person_sends(&mut self, n: u64) {
        let (pcm, click) = self.packet(n, 48_000);
        let now = self.now.as_micros();
        self.from_person.extend(click.map(|at| now + at));
        self.step(Input::Person {
            id: PERSON,
            input: PersonInput::Audio(pcm.into()),
        });
    }

    fn step(&mut self, input: Input<'_>) {
        let mut out = std::mem::take(&mut self.out);
        let began = Instant::now();
        self.deadline = self.call.step(self.now, input, &mut out);
        self.measured.spent += began.elapsed();
        let mut sent_before = 0;
        for output in out.drain(..) {
            match output {
                Output::Leg(Outbound::Media { payload }) => {
                    let pcm: Vec<i16> = payload.iter().map(|code| mulaw::decode(*code)).collect();
                    let at = self.now.as_micros() + sent_before;
                    let heard = &mut self.measured.to_caller;
                    hear(at, &pcm, 8_000, &mut self.from_person, heard);
                    // A first tick goes out behind one of silence, which the leg plays first.
                    sent_before += pcm.len() as u64 * 125;
                }
                Output::Person {
                    output: PersonOutput::Audio { pcm },
                    ..
                } => {
                    let at = self.now.as_micros();
                    let heard = &mut self.measured.to_person;
                    hear(at, &pcm, 48_000, &mut self.from_caller, heard);
                }
                _ => {}
            }
        }
        self.out = out;
    }
}

/// Looks for a click in what is handed out at `at`, in µs.
fn hear(at: u64, pcm: &[i16], hz: u64, clicks: &mut VecDeque<u64>, delays: &mut Vec<u64>) {
    let Some(index) = pcm.iter().position(|sample| *sample > 10_000) else {
        return;
    };
    let heard = at + index as u64 * 1_000_000 / hz;
    // Clicks that a cut or a gap swallowed are half a second older.
    while let Some(came) = clicks.pop_front() {
        let delay = heard.saturating_sub(came);
        if delay < 300_000 {
            delays.push(delay);
            return;
        }
    }
}
