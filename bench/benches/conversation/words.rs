//! What the recogniser makes of a noisy line as it is, and of the same without its noise.

use std::{error::Error, fs, ops::Range, sync::Arc, time::Duration};

use sidetone_bench::{
    scenario::{Act, ActExpected, Action, AgentVoice, Clips, Line, Phone, Scenario, When},
    word_errors::WordErrors,
};
use sidetone_codecs::{Resampler, SampleRate};
use sidetone_core::{
    config::CallConfig,
    job::{JobEvent, JobId, SttEvent, SttJob, SttPurpose},
    suppression::NoiseSuppressor,
    time::CallTime,
};
use sidetone_models::demo;
use sidetone_speech::{
    Sink, Stt,
    noise_suppression::Rnnoise,
    stt::whisper::{Whisper, WhisperConfig},
};
use tokio::{runtime::Runtime, sync::mpsc};

use crate::{corpus::scenario, lines, play::Stage};

/// Who is transcribed: the bundled model knows their voices and their words.
pub(crate) const CALLERS: [&str; 3] = ["annie", "max", "paul"];
/// When they speak: the suppressor knows the noise by then.
const SPEAKS_MS: u64 = 2_000;
/// What the recogniser is given before and after the words, as a call does.
const AROUND: Duration = Duration::from_millis(300);

/// The words of all callers on one line.
pub(crate) struct Understood {
    pub(crate) line: String,
    /// With the audio as it came.
    pub(crate) as_it_is: WordErrors,
    /// With its noise suppressed.
    pub(crate) suppressed: WordErrors,
}

/// The callers on every line.
pub(crate) fn over_lines(stage: &Stage) -> Result<Vec<Understood>, Box<dyn Error>> {
    let recogniser = Recogniser::new()?;
    let mut clips = Clips::new(&stage.fixtures)?;
    let mut names = Vec::new();
    for caller in CALLERS {
        for file in fs::read_dir(stage.fixtures.join("callers").join(caller))? {
            let path = file?.path();
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            names.push(format!("callers/{caller}/{stem}"));
        }
    }
    names.sort_unstable();
    let mut all = Vec::new();
    for (name, line) in lines::noisy() {
        let mut understood = Understood {
            line: name,
            as_it_is: WordErrors::default(),
            suppressed: WordErrors::default(),
        };
        for clip in &names {
            let words = clips.get(clip)?.words;
            let (audio, speech) = heard(&mut clips, clip, &line)?;
            let clean = without_noise(&audio)?;
            for (audio, errors) in [
                (&audio, &mut understood.as_it_is),
                (&clean, &mut understood.suppressed),
            ] {
                let written = recogniser.transcribe(&audio[speech.clone()])?;
                errors.add(WordErrors::between(&words, &written));
            }
        }
        all.push(understood);
    }
    Ok(all)
}

/// What arrives of a caller who says `clip` on `line`, and where in it a recogniser listens.
fn heard(
    clips: &mut Clips,
    clip: &str,
    line: &Line,
) -> Result<(Vec<i16>, Range<usize>), Box<dyn Error>> {
    let act = Act {
        action: Action::Plays {
            clip: clip.to_owned(),
            words: None,
            gain_db: 0.0,
        },
        when: When::AtMs(SPEAKS_MS),
        expect: ActExpected::default(),
    };
    let scenario = Scenario {
        line: line.clone(),
        ..scenario(CallConfig::default(), vec![act], Vec::new())
    };
    let loud = clips.get(clip)?.loud.len();
    let around = SampleRate::HZ_8000.samples_in(AROUND).0 as usize;
    let onset = SPEAKS_MS as usize * 8;
    let end = onset + loud + around;
    let mut phone = Phone::new(&scenario, clips)?;
    let (mut voice, mut out) = (AgentVoice::new(clips)?, Vec::new());
    let enough = CallTime::from_millis(end as u64 / 8 + 40);
    phone.advance(enough, &mut voice, &mut out);
    Ok((phone.sent().to_vec(), onset - around..end))
}

/// The same audio through the suppressor, its delay taken out.
fn without_noise(audio: &[i16]) -> Result<Vec<i16>, Box<dyn Error>> {
    let mut suppressor = Rnnoise::new();
    let delay = suppressor.delay().0 as usize;
    let mut up = Resampler::new(SampleRate::HZ_8000, suppressor.rate())?;
    let mut down = Resampler::new(suppressor.rate(), SampleRate::HZ_8000)?;
    let (mut wide, mut clean) = (Vec::new(), Vec::new());
    up.process(audio, &mut wide);
    up.finish(&mut wide);
    wide.resize(
        (wide.len() + delay).next_multiple_of(suppressor.frame_len()),
        0,
    );
    for frame in wide.chunks_exact_mut(suppressor.frame_len()) {
        suppressor.suppress(frame);
    }
    down.process(&wide[delay..], &mut clean);
    down.finish(&mut clean);
    clean.truncate(audio.len());
    Ok(clean)
}

/// The bundled model, as a call asks it.
struct Recogniser {
    whisper: Whisper,
    runtime: Runtime,
}

impl Recogniser {
    fn new() -> Result<Self, Box<dyn Error>> {
        let mut config = WhisperConfig::new(sidetone_models::resolve(demo::NAME)?);
        config.threads = 1;
        config.window_ms = demo::WINDOW_MS;
        Ok(Self {
            whisper: Whisper::load(config)?,
            runtime: Runtime::new()?,
        })
    }

    fn transcribe(&self, audio: &[i16]) -> Result<String, Box<dyn Error>> {
        let job = SttJob {
            id: JobId(1),
            purpose: SttPurpose::Final,
            audio: Arc::from(audio),
            rate: SampleRate::HZ_8000,
            language: Some("en".to_owned()),
        };
        let event = self.runtime.block_on(async {
            let (updates, mut result) = mpsc::channel(1);
            let _handle = self.whisper.start(job.clone(), Sink::new(job.id, updates));
            result.recv().await
        });
        match event.map(|update| update.event) {
            Some(JobEvent::Stt(SttEvent::Transcript(transcript))) => Ok(transcript.text),
            other => Err(format!("no transcript: {other:?}").into()),
        }
    }
}
