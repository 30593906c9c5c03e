//! The live path: a job for each turn, one thread.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use sidetone_bench::word_errors::WordErrors;
use sidetone_core::job::{JobEvent, JobId, JobUpdate, SttEvent, SttJob, SttPurpose};
use sidetone_models::ModelSource;
use sidetone_speech::{
    Sink, Stt,
    stt::whisper::{AudioContext, Whisper, WhisperConfig},
};
use tokio::{runtime::Runtime, sync::mpsc};

use crate::{speech::LINE, subject::Subject};

/// So many turns are decoded with the whole encoder too, in between.
const WHOLE: usize = 15;

/// So many turns tell the time where the text tells nothing.
const TIMED: usize = 30;

/// How long turns took to decode, and what was wrong in their texts.
pub(crate) struct Live {
    /// With the encoder cut to the audio.
    pub(crate) cut: Vec<Duration>,
    /// With all of it, for the first turns.
    pub(crate) whole: Vec<Duration>,
    pub(crate) errors: WordErrors,
    /// How long the turns are, and the silence that ended them.
    pub(crate) audio: Vec<Duration>,
}

/// Decodes `turns`, one after the other.
pub(crate) fn measure(subject: &Subject, turns: &[(String, Vec<i16>)]) -> io::Result<Live> {
    let runtime = Runtime::new()?;
    let cut = Recogniser::new(subject, AudioContext::default(), &runtime)?;
    let whole = Recogniser::new(subject, AudioContext::Full, &runtime)?;
    let mut live = Live {
        cut: Vec::new(),
        whole: Vec::new(),
        errors: WordErrors::default(),
        audio: Vec::new(),
    };
    let count = if subject.understands() {
        turns.len()
    } else {
        turns.len().min(TIMED)
    };
    for (n, (said, samples)) in turns[..count].iter().enumerate() {
        let audio: Arc<[i16]> = samples.as_slice().into();
        let (text, time) = runtime.block_on(cut.decode(audio.clone()))?;
        live.cut.push(time);
        live.errors.add(WordErrors::between(said, &text));
        let len = sidetone_codecs::SampleCount(samples.len() as u64);
        live.audio.push(len.duration(LINE));
        if n < WHOLE {
            live.whole.push(runtime.block_on(whole.decode(audio))?.1);
        }
    }
    Ok(live)
}

struct Recogniser {
    whisper: Whisper,
}

impl Recogniser {
    fn new(subject: &Subject, audio_context: AudioContext, runtime: &Runtime) -> io::Result<Self> {
        let model = subject.turn_file()?;
        let mut config = WhisperConfig::new(ModelSource::File(model));
        config.threads = 1;
        config.audio_context = audio_context;
        if let Some(window_ms) = subject.live_window_ms() {
            config.window_ms = window_ms;
        }
        let whisper = Whisper::load(config).map_err(io::Error::other)?;
        let warm = runtime.block_on(whisper.warm_up());
        warm.map_err(|failure| io::Error::other(format!("{failure:?}")))?;
        Ok(Self { whisper })
    }

    async fn decode(&self, audio: Arc<[i16]>) -> io::Result<(String, Duration)> {
        let (to_updates, mut updates) = mpsc::channel::<JobUpdate>(1);
        let id = JobId(1);
        let job = SttJob {
            id,
            purpose: SttPurpose::Final,
            audio,
            rate: LINE,
            language: Some("en".to_owned()),
        };
        let began = Instant::now();
        let _handle = self.whisper.start(job, Sink::new(id, to_updates));
        let update = updates.recv().await;
        let time = began.elapsed();
        match update.map(|update| update.event) {
            Some(JobEvent::Stt(SttEvent::Transcript(transcript))) => Ok((transcript.text, time)),
            other => Err(io::Error::other(format!("no transcript: {other:?}"))),
        }
    }
}
