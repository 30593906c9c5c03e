//! From a job's audio to its transcript.

use std::sync::Arc;

use sidetone_codecs::SampleRate;
use sidetone_core::job::{SttEvent, SttJob, Transcript};

use super::{
    config::WhisperConfig,
    cut::{SHORTEST, windows},
    gate::{self, Evidence},
    model::{Language, Model},
    session::{Manner, Session},
};
use crate::{
    pool::{Stop, WorkError, Worker},
    resampling::Resampling,
};

const RATE: SampleRate = SampleRate::HZ_16000;

/// What all workers go by.
#[derive(Debug)]
pub(super) struct Settings {
    language: Option<String>,
    prompt: Vec<i32>,
    no_speech_threshold: f32,
    /// The most samples that are decoded at once.
    longest: usize,
}

impl Settings {
    pub(super) fn new(model: &Model, config: WhisperConfig) -> Self {
        Self {
            prompt: model.prompt(config.prompt.as_deref().unwrap_or_default()),
            language: config.language,
            no_speech_threshold: config.no_speech_threshold,
            longest: model.longest(config.window_ms),
        }
    }
}

/// One worker's use of the model.
pub(super) struct Decoder {
    session: Session,
    settings: Arc<Settings>,
    resampling: Resampling,
    samples: Vec<f32>,
}

impl Decoder {
    pub(super) fn new(model: Arc<Model>, settings: Arc<Settings>) -> Result<Self, String> {
        Ok(Self {
            session: Session::new(model)?,
            settings,
            resampling: Resampling::new(RATE),
            samples: Vec::new(),
        })
    }

    /// Brings the job's audio to what Whisper hears, in `self.samples`.
    fn listen(&mut self, job: &SttJob) -> Result<(), WorkError> {
        let pcm = self.resampling.resample(&job.audio, job.rate)?;
        self.samples.clear();
        self.samples
            .extend(pcm.iter().map(|sample| f32::from(*sample) / 32_768.0));
        Ok(())
    }

    fn decode_all(
        &mut self,
        samples: &[f32],
        language: Option<Language>,
        stop: &Stop<'_>,
    ) -> Result<Transcript, WorkError> {
        let language = match language {
            Some(language) => language,
            None => {
                let first = samples.len().min(self.settings.longest);
                self.session.detect(&samples[..first])?
            }
        };
        let mut text = String::new();
        let mut no_speech_probability: Option<f32> = None;
        for window in windows(samples, self.settings.longest) {
            if stop() {
                return Err(WorkError::Stopped);
            }
            let window = &samples[window];
            let loudest_dbfs = gate::loudest_dbfs(window);
            let (words, no_speech) = if gate::is_silent(loudest_dbfs) {
                (String::new(), Some(1.0))
            } else {
                self.decode_window(window, loudest_dbfs, language, stop)?
            };
            if !text.is_empty() && !words.is_empty() {
                text.push(' ');
            }
            text.push_str(&words);
            no_speech_probability = match (no_speech_probability, no_speech) {
                (Some(before), Some(now)) => Some(before.min(now)),
                (before, now) => before.or(now),
            };
        }
        Ok(Transcript {
            text,
            language: Some(language.0.to_owned()),
            no_speech_probability,
        })
    }

    /// The words of one window, and the probability that there are none.
    fn decode_window(
        &mut self,
        samples: &[f32],
        loudest_dbfs: f32,
        language: Language,
        stop: &Stop<'_>,
    ) -> Result<(String, Option<f32>), WorkError> {
        let manner = Manner {
            language,
            translate: false,
            prompt: &self.settings.prompt,
            temperature: 0.0,
        };
        let decoded = self.session.decode(samples, manner, stop)?;
        let no_speech = self.session.no_speech()?;
        let evidence = Evidence {
            no_speech,
            log_probability: decoded.log_probability,
            loudest_dbfs,
        };
        let threshold = self.settings.no_speech_threshold;
        let words = gate::believed(&decoded.text(), evidence, threshold);
        Ok((words, no_speech))
    }
}

impl Worker for Decoder {
    type Job = SttJob;
    type Event = SttEvent;

    fn warm_up(&mut self) -> Result<(), WorkError> {
        self.session.warm_up()
    }

    fn work(&mut self, job: &SttJob, stop: &Stop<'_>) -> Result<SttEvent, WorkError> {
        let model = &self.session.model;
        let wanted = job.language.as_ref().or(self.settings.language.as_ref());
        let language = match wanted {
            Some(code) => Some(model.language(code).ok_or_else(|| {
                WorkError::Refused(format!(
                    "language {code:?}: {} understands {}",
                    model.name(),
                    model.understood()
                ))
            })?),
            None => model.only_language(),
        };
        self.listen(job)?;
        if gate::is_silent(gate::loudest_dbfs(&self.samples)) {
            return Ok(SttEvent::Transcript(Transcript {
                text: String::new(),
                language: language.map(|(code, _)| code.to_owned()),
                no_speech_probability: Some(1.0),
            }));
        }
        if self.samples.len() < SHORTEST {
            self.samples.resize(SHORTEST, 0.0);
        }

        // Taken out while it is read, because decoding needs all of `self`.
        let samples = std::mem::take(&mut self.samples);
        let result = self.decode_all(&samples, language, stop);
        self.samples = samples;
        result.map(SttEvent::Transcript)
    }
}
