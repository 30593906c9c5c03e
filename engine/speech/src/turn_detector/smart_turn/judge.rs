//! One worker's use of the model: from a job's audio to its judgement.

use ort::{session::Session, value::Tensor};
use sidetone_codecs::SampleRate;
use sidetone_core::job::{TurnEvent, TurnJob};

use super::features::{BANDS, FRAMES, LogMel, SAMPLES};
use crate::{
    onnx::{Model, OnnxError, one_line},
    pool::{Stop, WorkError, Worker},
    resampling::Resampling,
};

const RATE: SampleRate = SampleRate::HZ_16000;

/// A session, and the way to its input.
pub(super) struct Judge {
    session: Session,
    input: Tensor<f32>,
    mel: LogMel,
    resampling: Resampling,
    samples: Vec<f32>,
}

impl Judge {
    pub(super) fn new(model: &Model) -> Result<Self, OnnxError> {
        let session = model.session()?;
        let input = Tensor::from_array(([1, BANDS, FRAMES], vec![0.0_f32; BANDS * FRAMES]))
            .map_err(|error| model.other(error.to_string()))?;
        Ok(Self {
            session,
            input,
            mel: LogMel::new(),
            resampling: Resampling::new(RATE),
            samples: vec![0.0; SAMPLES],
        })
    }

    /// Brings the end of the job's audio to what the model hears, in `self.samples`: the last 8 s,
    /// or silence and then all of it.
    fn listen(&mut self, job: &TurnJob) -> Result<(), WorkError> {
        let seconds = SAMPLES / RATE.hz() as usize;
        let newest = job
            .audio
            .len()
            .saturating_sub(seconds * job.rate.hz() as usize);
        let audio = &job.audio[newest..];
        let pcm = self.resampling.resample(audio, job.rate)?;
        let pcm = &pcm[pcm.len().saturating_sub(SAMPLES)..];
        let (silence, speech) = self.samples.split_at_mut(SAMPLES - pcm.len());
        silence.fill(0.0);
        for (sample, pcm) in speech.iter_mut().zip(pcm) {
            *sample = f32::from(*pcm) / 32_768.0;
        }
        Ok(())
    }

    fn judge(&mut self) -> ort::Result<f32> {
        let (_, features) = self.input.extract_tensor_mut();
        self.mel.compute(&mut self.samples, features);
        let outputs = self.session.run(ort::inputs![&self.input])?;
        let (_, probability) = outputs[0].try_extract_tensor::<f32>()?;
        // Its name is "logits", and it is a probability.
        Ok(probability.first().copied().unwrap_or(f32::NAN))
    }
}

impl Worker for Judge {
    type Job = TurnJob;
    type Event = TurnEvent;

    fn warm_up(&mut self) -> Result<(), WorkError> {
        self.samples.fill(0.0);
        self.judge().map(drop).map_err(broken)
    }

    fn work(&mut self, job: &TurnJob, stop: &Stop<'_>) -> Result<TurnEvent, WorkError> {
        self.listen(job)?;
        if stop() {
            return Err(WorkError::Stopped);
        }
        let probability = self.judge().map_err(broken)?;
        if stop() {
            return Err(WorkError::Stopped);
        }
        if (0.0..=1.0).contains(&probability) {
            Ok(TurnEvent::Complete { probability })
        } else {
            let detail = format!("the model answered {probability}, which is no probability");
            Err(WorkError::Broken(detail))
        }
    }
}

fn broken(error: ort::Error) -> WorkError {
    WorkError::Broken(format!(
        "ONNX Runtime failed: {}",
        one_line(&error.to_string())
    ))
}
