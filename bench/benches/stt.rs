//! What an utterance of three seconds costs Whisper, with the bundled model on one thread, and
//! what it saves to run only as much of the encoder as the audio needs.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use criterion::{Criterion, SamplingMode, criterion_group, criterion_main};
use sidetone_codecs::SampleRate;
use sidetone_core::job::{JobEvent, JobId, JobUpdate, SttEvent, SttJob, SttPurpose};
use sidetone_speech::{
    Sink, Stt,
    stt::whisper::{AudioContext, Whisper, WhisperConfig},
};
use tokio::{runtime::Runtime, sync::mpsc};

/// Eight decodes each, in turns.
const ROUNDS: u32 = 8;

struct Recogniser {
    whisper: Whisper,
    runtime: Runtime,
    utterance: SttJob,
    updates: mpsc::Receiver<JobUpdate>,
    to_updates: mpsc::Sender<JobUpdate>,
}

impl Recogniser {
    fn new(audio_context: AudioContext) -> Self {
        let demo = sidetone_models::resolve("demo").expect("the demo model is bundled");
        let mut config = WhisperConfig::new(demo);
        config.threads = 1;
        config.audio_context = audio_context;
        let whisper = Whisper::load(config).expect("the demo model loads");
        let runtime = Runtime::new().expect("a runtime starts");
        runtime.block_on(whisper.warm_up()).expect("it runs warm");
        let (to_updates, updates) = mpsc::channel(1);
        Self {
            whisper,
            runtime,
            utterance: utterance(),
            updates,
            to_updates,
        }
    }

    fn decode(&mut self) -> Duration {
        let begun = Instant::now();
        let answer = self.runtime.block_on(async {
            let sink = Sink::new(self.utterance.id, self.to_updates.clone());
            let _handle = self.whisper.start(self.utterance.clone(), sink);
            self.updates.recv().await
        });
        let took = begun.elapsed();
        assert!(
            matches!(
                answer,
                Some(JobUpdate {
                    event: JobEvent::Stt(SttEvent::Transcript(_)),
                    ..
                })
            ),
            "{answer:?}"
        );
        took
    }
}

/// A sentence of 2.4 s and silence up to 3 s, as a call delivers it.
fn utterance() -> SttJob {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/speech/tests/data/person-flite.wav");
    let mut file = hound::WavReader::open(path).expect("the recording is in the repository");
    let mut audio: Vec<i16> = file
        .samples()
        .map(|sample| sample.expect("the recording is whole"))
        .collect();
    audio.resize(3 * 8_000, 0);
    SttJob {
        id: JobId(1),
        purpose: SttPurpose::Final,
        audio: audio.into(),
        rate: SampleRate::HZ_8000,
        language: None,
    }
}

#[expect(clippy::print_stdout, reason = "a bench reports")]
fn decode(c: &mut Criterion) {
    let mut cut = Recogniser::new(AudioContext::default());
    let mut full = Recogniser::new(AudioContext::Full);

    let mut group = c.benchmark_group("whisper demo, 3 s");
    group
        .sample_size(10)
        .sampling_mode(SamplingMode::Flat)
        .measurement_time(Duration::from_secs(15));
    group.bench_function("encoder cut to the audio", |b| b.iter(|| cut.decode()));
    group.bench_function("whole encoder", |b| b.iter(|| full.decode()));
    group.finish();

    let (mut cut_took, mut full_took) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..ROUNDS {
        cut_took += cut.decode();
        full_took += full.decode();
    }
    println!(
        "whisper demo, 3 s: the whole encoder takes {:.1} times as long as the cut one ({} against {} ms)",
        full_took.as_secs_f64() / cut_took.as_secs_f64(),
        (full_took / ROUNDS).as_millis(),
        (cut_took / ROUNDS).as_millis(),
    );
}

criterion_group!(benches, decode);
criterion_main!(benches);
