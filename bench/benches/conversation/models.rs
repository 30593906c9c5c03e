//! The models that are not part of the engine: used where they are at hand.

use std::{
    collections::HashMap,
    env,
    hash::{DefaultHasher, Hash, Hasher},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use sidetone_bench::scenario::JudgesTurn;
use sidetone_core::{
    job::{FailureKind, JobEvent, JobFailure, TurnEvent, TurnJob},
    suppression::NoiseSuppressor,
    vad::Vad,
};
use sidetone_models::ModelSource;
use sidetone_speech::{
    Sink, TurnDetector,
    noise_suppression::Rnnoise,
    turn_detector::{SmartTurn, SmartTurnConfig},
    vad::{EarshotVad, Silero, SileroRate, SileroVad},
};
use tokio::{runtime::Runtime, sync::mpsc};

/// How long a judgement takes in simulated time, in ms: about what it takes on one core.
const JUDGEMENT_MS: u64 = 40;

/// Who tells speech from noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detector {
    /// Earshot, the engine's default.
    Default,
    /// Silero; only if it was found.
    Silero,
    /// Earshot, on audio without noise.
    Suppressed,
}

/// What was found.
pub(crate) struct Models {
    silero: Result<Arc<Silero>, String>,
    smart_turn: Result<SmartTurn, String>,
    runtime: Runtime,
    /// Strategies hear the same pauses.
    judged: Mutex<HashMap<u64, TurnEvent>>,
}

impl Models {
    /// Looks for models in `SIDETONE_MODELS_DIR`, under the names they have there as fetched or
    /// as published.
    pub(crate) fn find() -> std::io::Result<Self> {
        let fetched = |name: &str| sidetone_models::path_of(name).map(ModelSource::File);
        let published = |file: &str| {
            let folder = PathBuf::from(env::var_os("SIDETONE_MODELS_DIR")?);
            let path = folder.join(file);
            path.is_file().then_some(ModelSource::File(path))
        };
        let source = |name: &str, file: &str| match published(file) {
            Some(source) => Ok(source),
            None => fetched(name).map_err(|error| error.to_string()),
        };
        let silero = source("silero-vad", "silero_vad.onnx").and_then(|source| {
            Silero::load(source, SileroRate::default()).map_err(|error| error.to_string())
        });
        let smart_turn = source("smart-turn-v3.2", "smart-turn-v3.2-cpu.onnx").and_then(|source| {
            let config = SmartTurnConfig::new(source);
            SmartTurn::load(config).map_err(|error| error.to_string())
        });
        Ok(Self {
            silero,
            smart_turn,
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .build()?,
            judged: Mutex::default(),
        })
    }

    /// Why Silero cannot be heard.
    pub(crate) fn no_silero(&self) -> Option<&str> {
        self.silero.as_ref().err().map(String::as_str)
    }

    /// Why Smart Turn cannot be heard.
    pub(crate) fn no_smart_turn(&self) -> Option<&str> {
        self.smart_turn.as_ref().err().map(String::as_str)
    }

    pub(crate) fn detector(&self, detector: Detector) -> Box<dyn Vad> {
        match (detector, &self.silero) {
            (Detector::Silero, Ok(silero)) => Box::new(SileroVad::new(Arc::clone(silero))),
            _ => Box::new(EarshotVad::new()),
        }
    }

    /// What takes the noise out of what `detector` hears.
    pub(crate) fn suppressor(detector: Detector) -> Option<Box<dyn NoiseSuppressor>> {
        (detector == Detector::Suppressed).then(|| Box::new(Rnnoise::new()) as _)
    }

    /// The turn model, as a call asks it.
    pub(crate) fn turn_model(&self) -> JudgesTurn<'_> {
        Box::new(|job| (JUDGEMENT_MS, self.judge(job)))
    }

    fn judge(&self, job: &TurnJob) -> TurnEvent {
        let mut hasher = DefaultHasher::new();
        (&job.audio, job.rate.hz()).hash(&mut hasher);
        let key = hasher.finish();
        let judged = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        let known = judged.get(&key).cloned();
        drop(judged);
        let event = known.unwrap_or_else(|| self.ask(job));
        let mut judged = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        judged.insert(key, event.clone());
        event
    }

    fn ask(&self, job: &TurnJob) -> TurnEvent {
        let failed = |why: &str| JobFailure::new(FailureKind::Unavailable, why).into();
        let Ok(smart_turn) = &self.smart_turn else {
            return failed("it is not here");
        };
        let (updates, mut result) = mpsc::channel(1);
        let handle = {
            let _entered = self.runtime.enter();
            smart_turn.start(job.clone(), Sink::new(job.id, updates))
        };
        let update = self.runtime.block_on(result.recv());
        drop(handle);
        match update.map(|update| update.event) {
            Some(JobEvent::Turn(event)) => event,
            _ => failed("it said nothing"),
        }
    }
}
