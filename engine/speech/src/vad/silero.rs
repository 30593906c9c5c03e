//! Silero VAD: a recurrent network over 32 ms frames, by ONNX Runtime.

use std::{
    fmt,
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use ort::{
    session::{HasSelectedOutputs, OutputSelector, RunOptions, Session},
    value::Tensor,
};
use sidetone_codecs::SampleRate;
use sidetone_core::vad::Vad;
use sidetone_models::ModelSource;

use crate::onnx::{Model, OnnxError, Shape};

const SHAPE: Shape = Shape {
    name: "Silero VAD (version 5 or 6)",
    inputs: &["input", "state", "sr"],
    outputs: &["output", "stateN"],
};

/// Values of the network's memory.
const STATE_LEN: usize = 2 * 128;

/// The longest context, at 16 kHz.
const MAX_CONTEXT_LEN: usize = 64;

/// The rate at which [`Silero`] listens. Frames last 32 ms at both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SileroRate {
    /// A telephone's, and the default: a frame costs two thirds of what it costs at 16 kHz.
    #[default]
    Hz8000,
    /// For legs that carry more than a telephone's band.
    Hz16000,
}

impl SileroRate {
    const fn rate(self) -> SampleRate {
        match self {
            Self::Hz8000 => SampleRate::HZ_8000,
            Self::Hz16000 => SampleRate::HZ_16000,
        }
    }

    const fn frame_len(self) -> usize {
        match self {
            Self::Hz8000 => 256,
            Self::Hz16000 => 512,
        }
    }

    /// How much of the frame before the network hears again.
    const fn context_len(self) -> usize {
        match self {
            Self::Hz8000 => 32,
            Self::Hz16000 => MAX_CONTEXT_LEN,
        }
    }
}

/// A loaded Silero model, which all legs share.
///
/// It holds a few sessions of the model, some 10 MiB each, so that legs on different cores need
/// not wait for each other: a leg uses whichever is free, and keeps its own state.
pub struct Silero {
    rate: SileroRate,
    lanes: Box<[Mutex<Lane>]>,
    legs: AtomicUsize,
}

impl Silero {
    /// Loads the model, with a session for each core, at most 4. Blocks while it does.
    ///
    /// # Errors
    ///
    /// [`OnnxError`] says what is missing or wrong about ONNX Runtime or the model.
    pub fn load(model: ModelSource, rate: SileroRate) -> Result<Arc<Self>, OnnxError> {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let model = Model::new(model, SHAPE);
        let lanes = (0..cores.min(4))
            .map(|_| Lane::new(&model, rate).map(Mutex::new))
            .collect::<Result<_, _>>()?;
        Ok(Arc::new(Self {
            rate,
            lanes,
            legs: AtomicUsize::new(0),
        }))
    }

    /// A session that nobody uses; `preferred` if that is so, or if all are in use.
    fn lane(&self, preferred: usize) -> MutexGuard<'_, Lane> {
        let count = self.lanes.len();
        for index in preferred..preferred + count {
            match self.lanes[index % count].try_lock() {
                Ok(lane) => return lane,
                Err(TryLockError::Poisoned(lane)) => return lane.into_inner(),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        let lane = self.lanes[preferred % count].lock();
        // A lane holds nothing from one frame to the next.
        lane.unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Silero {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Silero")
            .field("rate", &self.rate)
            .field("sessions", &self.lanes.len())
            .finish_non_exhaustive()
    }
}

/// A session with its tensors, made once.
struct Lane {
    session: Session,
    /// The outputs' tensors are in here.
    options: RunOptions<HasSelectedOutputs>,
    input: Tensor<f32>,
    state: Tensor<f32>,
    rate: Tensor<i64>,
}

impl Lane {
    /// A session that has run once.
    fn new(model: &Model, rate: SileroRate) -> Result<Self, OnnxError> {
        let session = model.session()?;
        let mut lane = Self::with(session, rate).map_err(|error| model.other(error.to_string()))?;
        let mut state = [0.0; STATE_LEN];
        let frame = vec![0; rate.frame_len()];
        let probability = lane.run(
            &[0.0; MAX_CONTEXT_LEN][..rate.context_len()],
            &frame,
            &mut state,
        );
        match probability {
            Ok(probability) if (0.0..=1.0).contains(&probability) => Ok(lane),
            Ok(probability) => Err(model.other(format!("it gives silence a {probability}"))),
            Err(error) => Err(model.other(error.to_string())),
        }
    }

    fn with(session: Session, rate: SileroRate) -> ort::Result<Self> {
        let input_len = rate.context_len() + rate.frame_len();
        let output = Tensor::from_array(([1, 1], vec![0.0_f32]))?;
        let next_state = Tensor::from_array(([2, 1, STATE_LEN / 2], vec![0.0_f32; STATE_LEN]))?;
        let outputs = OutputSelector::default()
            .preallocate("output", output)
            .preallocate("stateN", next_state);
        Ok(Self {
            session,
            options: RunOptions::new()?.with_outputs(outputs),
            input: Tensor::from_array(([1, input_len], vec![0.0_f32; input_len]))?,
            state: Tensor::from_array(([2, 1, STATE_LEN / 2], vec![0.0_f32; STATE_LEN]))?,
            rate: Tensor::from_array(((), vec![i64::from(rate.rate().hz())]))?,
        })
    }

    /// The probability that `frame`, after `context`, holds speech; `state` moves on.
    fn run(
        &mut self,
        context: &[f32],
        frame: &[i16],
        state: &mut [f32; STATE_LEN],
    ) -> ort::Result<f32> {
        let (_, input) = self.input.extract_tensor_mut();
        let (before, now) = input.split_at_mut(context.len());
        before.copy_from_slice(context);
        for (sample, pcm) in now.iter_mut().zip(frame) {
            *sample = normalised(*pcm);
        }
        self.state.extract_tensor_mut().1.copy_from_slice(state);
        let inputs = ort::inputs![&self.input, &self.state, &self.rate];
        let outputs = self.session.run_with_options(inputs, &self.options)?;
        let (_, next_state) = outputs[1].try_extract_tensor::<f32>()?;
        state.copy_from_slice(next_state);
        let (_, probability) = outputs[0].try_extract_tensor::<f32>()?;
        Ok(probability[0])
    }
}

fn normalised(pcm: i16) -> f32 {
    f32::from(pcm) / 32_768.0
}

/// Silero VAD for one leg: frames of 32 ms, some 1.3 KiB beside the shared [`Silero`].
///
/// A frame is judged where it is pushed, on the thread of the call: that takes 0.07 ms at 8 kHz and
/// 0.1 ms at 16 kHz of every 32 ms, a third of a percent of a core at most. On another thread it
/// would take no less, and its answer would come a frame late. It waits for another leg only while
/// every session is in use, and no longer than one frame takes.
pub struct SileroVad {
    model: Arc<Silero>,
    /// Which session to try first.
    preferred: usize,
    state: [f32; STATE_LEN],
    /// The end of the last frame.
    context: [f32; MAX_CONTEXT_LEN],
    failed: bool,
}

impl SileroVad {
    /// A detector that has heard nothing yet.
    #[must_use]
    pub fn new(model: Arc<Silero>) -> Self {
        let leg = model.legs.fetch_add(1, Ordering::Relaxed);
        Self {
            preferred: leg % model.lanes.len(),
            model,
            state: [0.0; STATE_LEN],
            context: [0.0; MAX_CONTEXT_LEN],
            failed: false,
        }
    }
}

impl fmt::Debug for SileroVad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SileroVad")
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

impl Vad for SileroVad {
    fn rate(&self) -> SampleRate {
        self.model.rate.rate()
    }

    fn frame_len(&self) -> usize {
        self.model.rate.frame_len()
    }

    fn push(&mut self, frame: &[i16]) -> f32 {
        assert_eq!(frame.len(), self.frame_len(), "samples in a frame");
        let context = &mut self.context[..self.model.rate.context_len()];
        let mut lane = self.model.lane(self.preferred);
        let result = lane.run(context, frame, &mut self.state);
        drop(lane);
        let tail = &frame[frame.len() - context.len()..];
        for (sample, pcm) in context.iter_mut().zip(tail) {
            *sample = normalised(*pcm);
        }
        match result {
            Ok(probability) => probability.clamp(0.0, 1.0),
            // The model has run before, so this is the machine's trouble, such as its memory's
            // end. A leg whose detector hears nothing still speaks, and its call ends some time.
            Err(error) => {
                if !std::mem::replace(&mut self.failed, true) {
                    tracing::error!(%error, "Silero VAD failed; the leg hears no speech in this");
                }
                0.0
            }
        }
    }

    fn reset(&mut self) {
        self.state.fill(0.0);
        self.context.fill(0.0);
    }
}
