//! What an utterance costs Whisper, with the bundled model on one thread, and what it saves to run
//! only as much of the encoder as the audio needs.

use std::{sync::Arc, time::Duration};

use sidetone_cli::phone::load_audio;
use sidetone_codecs::{SampleCount, SampleRate};
use sidetone_core::job::{JobEvent, JobId, JobUpdate, SttEvent, SttJob, SttPurpose};
use sidetone_speech::{
    Sink, Stt,
    stt::whisper::{AudioContext, Whisper, WhisperConfig},
};
use tokio::{runtime::Runtime, sync::mpsc};

use crate::{
    audio::fixtures,
    stage::{Pace, Stage, Stages},
};

pub(crate) fn time(stages: &mut Stages) {
    let audio = utterance();
    let duration = SampleCount(audio.len() as u64).duration(SampleRate::HZ_8000);
    let iteration = format!(
        "an utterance of {:.1} s, demo model",
        duration.as_secs_f64()
    );
    for (name, context) in [
        ("encoder cut to the audio", AudioContext::default()),
        ("whole encoder", AudioContext::Full),
    ] {
        let stage = Stage {
            group: "whisper",
            name,
            iteration: &iteration,
            audio: Some(duration),
            pace: Pace::Slow,
        };
        stages.time(
            stage,
            || Recogniser::new(context, Arc::clone(&audio)),
            Recogniser::decode,
        );
    }
}

struct Recogniser {
    whisper: Whisper,
    runtime: Runtime,
    utterance: SttJob,
    updates: mpsc::Receiver<JobUpdate>,
    to_updates: mpsc::Sender<JobUpdate>,
}

impl Recogniser {
    fn new(audio_context: AudioContext, audio: Arc<[i16]>) -> Self {
        let demo = sidetone_models::resolve("demo").expect("the demo model is bundled");
        let mut config = WhisperConfig::new(demo);
        config.threads = 1;
        config.audio_context = audio_context;
        let whisper = Whisper::load(config).expect("the demo model loads");
        let runtime = Runtime::new().expect("a runtime starts");
        runtime.block_on(whisper.warm_up()).expect("it runs warm");
        let (to_updates, updates) = mpsc::channel(1);
        let utterance = SttJob {
            id: JobId(1),
            purpose: SttPurpose::Final,
            audio,
            rate: SampleRate::HZ_8000,
            language: Some("en".to_owned()),
        };
        Self {
            whisper,
            runtime,
            utterance,
            updates,
            to_updates,
        }
    }

    /// From the job's start to its transcript, which must hold words.
    fn decode(&mut self) {
        let answer = self.runtime.block_on(async {
            let sink = Sink::new(self.utterance.id, self.to_updates.clone());
            let _handle = self.whisper.start(self.utterance.clone(), sink);
            self.updates.recv().await
        });
        let event = answer.expect("a job is always answered").event;
        let JobEvent::Stt(SttEvent::Transcript(transcript)) = event else {
            panic!("no transcript: {event:?}");
        };
        assert!(!transcript.text.is_empty(), "the caller said something");
    }
}

/// A caller's question as a call delivers it: with the silence that ended the turn.
fn utterance() -> Arc<[i16]> {
    let file = fixtures().join("callers/paul/where-is-my-order.wav");
    let question = load_audio(&file).expect("the fixtures are in the repository");
    let silence = SampleRate::HZ_8000.samples_in(Duration::from_millis(300)).0;
    let mut audio = question.to_vec();
    audio.resize(audio.len() + silence as usize, 0);
    audio.into()
}
