//! A speakerphone: the agent's own voice comes back in the caller's line. Real detector, recorded
//! speech, simulated time.
//!
//! `cargo test -p sidetone-speech --test echo -- --nocapture` prints the tables.

#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]
#![allow(clippy::print_stdout, reason = "the tables are half of its purpose")]

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use sidetone_codecs::{SampleRate, g711::mulaw, wav};
use sidetone_core::{
    call::Call,
    config::CallConfig,
    dialect::{Inbound, LegFormat, LegMessage, Media, Outbound, Start, Track},
    event::CallEvent,
    io::{Command, Input, Output},
    job::{Job, JobEvent, JobUpdate, SttEvent, Transcript, TtsEvent},
    sim::PlayoutBuffer,
    time::CallTime,
};
use sidetone_speech::{noise_suppression::Rnnoise, vad::EarshotVad};

const RATE: SampleRate = SampleRate::HZ_8000;
const FRAME: usize = 160;
const FULL_SCALE: f32 = 32_768.0;

fn fixture(file: &str) -> Vec<i16> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let audio = wav::read_file(path.join(file)).expect("the fixture is there");
    audio.into_mono()
}

/// What the agent says: 7 s of speech at −20 dBFS.
fn agents_voice() -> Vec<i16> {
    let lines = ["1-where", "2-number", "3-hold-on", "4-when", "5-goodbye"];
    let lines = lines.map(|line| fixture(&format!("demo/{line}.wav")));
    at_level(&lines.concat(), -20.0)
}

/// The same with so many dBFS where there is speech.
fn at_level(samples: &[i16], dbfs: f32) -> Vec<i16> {
    let power = |frame: &[i16]| {
        let energy: f32 = frame.iter().map(|s| f32::from(*s).powi(2)).sum();
        energy / FRAME as f32
    };
    let frames: Vec<f32> = samples.chunks_exact(FRAME).map(power).collect();
    let loudest = frames.iter().copied().fold(0.0, f32::max);
    let speech: Vec<f32> = frames
        .into_iter()
        .filter(|p| *p > loudest / 100.0)
        .collect();
    let level = (speech.iter().sum::<f32>() / speech.len() as f32).sqrt() / FULL_SCALE;
    let gain = 10_f32.powf(dbfs / 20.0) / level;
    samples
        .iter()
        .map(|s| (f32::from(*s) * gain) as i16)
        .collect()
}

/// The way from the loudspeaker to the microphone: how much later, how much lower, and a room.
#[derive(Clone, Copy, Debug)]
struct Path {
    delay_ms: usize,
    loss_db: f32,
    /// How long until the room is silent (60 dB); 0: no room.
    rt60_ms: usize,
}

impl Path {
    /// The direct sound and 60 reflections, as delays in samples and gains.
    fn response(self) -> Vec<(usize, f32)> {
        let mut random = fastrand::Rng::with_seed(5);
        let direct = self.delay_ms * 8;
        let mut response = vec![(direct, 1.0)];
        if self.rt60_ms > 0 {
            let mut reflections: Vec<(usize, f32)> = (0..60)
                .map(|_| {
                    let after = random.usize(16..self.rt60_ms * 4);
                    let decay = 10_f32.powf(-3.0 * after as f32 / (self.rt60_ms * 8) as f32);
                    (direct + after, (random.f32() - 0.5) * decay)
                })
                .collect();
            let energy: f32 = reflections.iter().map(|(_, gain)| gain * gain).sum();
            // Together 3 dB below the direct sound.
            let scale = (0.5 / energy).sqrt();
            reflections.iter_mut().for_each(|(_, gain)| *gain *= scale);
            response.extend(reflections);
        }
        let energy: f32 = response.iter().map(|(_, gain)| gain * gain).sum();
        let scale = 10_f32.powf(-self.loss_db / 20.0) / energy.sqrt();
        response.iter_mut().for_each(|(_, gain)| *gain *= scale);
        response
    }
}

struct Scene {
    path: Option<Path>,
    /// What the caller says, and when, in samples.
    caller: Option<(usize, Vec<i16>)>,
    /// Room noise.
    noise_dbfs: f32,
    ignore_echo: bool,
    /// The detector hears the line without its noise.
    suppresses_noise: bool,
}

/// When the agent was stopped, in ms, and how many frames were taken for echo.
fn run(scene: &Scene) -> (Vec<u64>, u64) {
    let mut config = CallConfig::default();
    config.barge_in.ignore_echo = scene.ignore_echo;
    config.idle.prompt_after_ms = 0;
    let mut call = Call::new(Arc::new(config), Box::new(EarshotVad::new()));
    if scene.suppresses_noise {
        call = call.suppressing_noise(Box::new(Rnnoise::new()));
    }
    let voice = agents_voice();
    let mut phone = PlayoutBuffer::new(RATE);
    let mut random = fastrand::Rng::with_seed(11);
    let noise = 10_f32.powf(scene.noise_dbfs / 20.0) * FULL_SCALE * 3_f32.sqrt();
    let response = scene.path.map(Path::response).unwrap_or_default();
    let (mut heard, mut marks, mut stopped) = (Vec::new(), Vec::new(), Vec::new());
    let mut inputs = vec![
        start(),
        Input::Command(Command::Say {
            text: "Many words.".into(),
            interruptible: true,
        }),
    ];
    let frames = (voice.len() + 16_000) / FRAME;
    for n in 0..frames {
        let now = CallTime::ZERO + Duration::from_millis(20) * u32::try_from(n + 1).unwrap();
        phone.advance(now, &mut heard, &mut marks);
        for (_, name) in marks.drain(..) {
            inputs.push(leg(Inbound::Mark { name: name.into() }));
        }
        let payload: Vec<u8> = (n * FRAME..(n + 1) * FRAME)
            .map(|at| {
                let echo: f32 = response
                    .iter()
                    .filter_map(|(delay, gain)| {
                        let played = heard.get(at.checked_sub(*delay)?)?;
                        Some(f32::from(*played) * gain)
                    })
                    .sum();
                let caller = scene
                    .caller
                    .as_ref()
                    .and_then(|(from, pcm)| pcm.get(at.checked_sub(*from)?).map(|s| f32::from(*s)));
                let noise = (random.f32() * 2.0 - 1.0) * noise;
                mulaw::encode((echo + caller.unwrap_or(0.0) + noise) as i16)
            })
            .collect();
        inputs.push(leg(Inbound::Media(Media {
            track: Track::Inbound,
            chunk: None,
            timestamp_ms: None,
            payload: payload.into(),
        })));
        let mut queue = std::mem::take(&mut inputs);
        queue.push(Input::Deadline);
        let mut queue = std::collections::VecDeque::from(queue);
        while let Some(input) = queue.pop_front() {
            let mut out = Vec::new();
            call.step(now, input, &mut out);
            for output in out {
                match output {
                    Output::Leg(Outbound::Media { payload }) => {
                        let pcm: Vec<i16> = payload.iter().map(|c| mulaw::decode(*c)).collect();
                        phone.media(now, &pcm);
                    }
                    Output::Leg(Outbound::Mark { name }) => phone.mark(now, name),
                    Output::Leg(Outbound::Clear) => phone.clear(now),
                    Output::Start(Job::Tts(job)) => {
                        let samples = voice.clone();
                        let audio = TtsEvent::Audio {
                            samples,
                            rate: RATE,
                        };
                        for event in [JobEvent::Tts(audio), JobEvent::Tts(TtsEvent::Done)] {
                            queue.push_back(Input::Job(JobUpdate { id: job.id, event }));
                        }
                    }
                    Output::Start(Job::Stt(job)) => {
                        let event = JobEvent::Stt(SttEvent::Transcript(Transcript::default()));
                        queue.push_back(Input::Job(JobUpdate { id: job.id, event }));
                    }
                    Output::Event(CallEvent::AgentInterrupted { .. }) => {
                        stopped.push(now.as_millis());
                    }
                    _ => {}
                }
            }
        }
    }
    (stopped, call.counters().echo_frames)
}

fn start() -> Input<'static> {
    leg(Inbound::Start(Start {
        stream_id: "MZ1".into(),
        call_id: None,
        account_id: None,
        parameters: BTreeMap::new(),
        format: LegFormat::MULAW_8000,
    }))
}

fn leg(body: Inbound<'static>) -> Input<'static> {
    Input::Leg(LegMessage {
        stream_id: None,
        sequence: None,
        body,
    })
}

#[test]
fn the_agents_own_voice_interrupts_nothing() {
    interrupts_nothing(false);
}

#[test]
fn nor_does_it_with_noise_suppression() {
    interrupts_nothing(true);
}

fn interrupts_nothing(suppresses_noise: bool) {
    println!("noise suppression: {suppresses_noise}");
    println!("loss   delay  room    stopped without / with the guard");
    let (mut without, mut with, mut calls) = (0, 0, 0);
    for loss_db in [15.0, 20.0, 25.0, 30.0] {
        for delay_ms in [40, 300, 600] {
            for rt60_ms in [0, 300] {
                let path = Path {
                    delay_ms,
                    loss_db,
                    rt60_ms,
                };
                let scene = |ignore_echo| Scene {
                    path: Some(path),
                    caller: None,
                    noise_dbfs: -65.0,
                    ignore_echo,
                    suppresses_noise,
                };
                let unguarded = run(&scene(false)).0.len();
                let (stopped, frames) = run(&scene(true));
                println!(
                    "{loss_db:>3} dB {delay_ms:>4} ms {rt60_ms:>4} ms   {unguarded} / {} ({frames} frames) {stopped:?}",
                    stopped.len()
                );
                without += usize::from(unguarded > 0);
                with += usize::from(!stopped.is_empty());
                calls += 1;
            }
        }
    }
    println!("{calls} calls: {without} stopped without the guard, {with} with it");
    assert!(without > calls / 3, "the echo is one that would be noticed");
    assert_eq!(with, 0, "of {calls} calls");
}

#[test]
fn a_caller_who_speaks_over_the_agent_is_heard_through_the_echo() {
    is_heard_through_the_echo(false);
}

#[test]
fn and_with_noise_suppression_too() {
    is_heard_through_the_echo(true);
}

fn is_heard_through_the_echo(suppresses_noise: bool) {
    println!("noise suppression: {suppresses_noise}");
    // The agent's voice is Paul's.
    let words = [
        "hello",
        "no",
        "yes",
        "where-is-my-order",
        "four-two-seven-one",
    ];
    println!("caller  echo loss   missed   later than without an echo: median, worst");
    let (mut all, mut all_missed) = (0, 0);
    let mut without_echo = BTreeMap::new();
    for caller_dbfs in [-20.0, -25.0, -30.0] {
        for loss_db in [15.0, 25.0] {
            // An echo lower than the caller.
            if -20.0 - loss_db > caller_dbfs - 5.0 {
                continue;
            }
            let (mut missed, mut later) = (0, Vec::new());
            for name in ["annie", "max"] {
                for word in words {
                    let pcm =
                        at_level(&fixture(&format!("callers/{name}/{word}.wav")), caller_dbfs);
                    let from = 24_000;
                    let scene = |path| Scene {
                        path,
                        caller: Some((from, pcm.clone())),
                        noise_dbfs: -65.0,
                        ignore_echo: true,
                        suppresses_noise,
                    };
                    let path = Path {
                        delay_ms: 180,
                        loss_db,
                        rt60_ms: 300,
                    };
                    let alone = without_echo
                        .entry((name, word, caller_dbfs as i32))
                        .or_insert_with(|| run(&scene(None)).0);
                    let both = run(&scene(Some(path))).0;
                    all += 1;
                    match (alone.first(), both.first()) {
                        (Some(alone), Some(both)) => {
                            later.push(
                                i64::try_from(*both).unwrap() - i64::try_from(*alone).unwrap(),
                            );
                        }
                        _ => missed += 1,
                    }
                }
            }
            all_missed += missed;
            later.sort_unstable();
            println!(
                "{caller_dbfs} dBFS {loss_db:>3} dB   {missed}/10   {} ms, {} ms",
                later[later.len() / 2],
                later[later.len() - 1]
            );
            // A caller hardly louder than the echo takes the guard some frames to tell from it.
            let above_echo_db = caller_dbfs + 20.0 + loss_db;
            let allowed_ms = if above_echo_db < 10.0 { 120 } else { 20 };
            assert!(later[later.len() / 2] <= allowed_ms, "as good as no later");
        }
    }
    println!("{all_missed} of {all} missed");
    assert!(all_missed * 50 <= all, "{all_missed} of {all} missed");
}
