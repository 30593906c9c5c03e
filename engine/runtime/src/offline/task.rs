//! What the threads are asked to do for a transcription.

use std::{
    sync::{Arc, mpsc},
    time::Instant,
};

use sidetone_speech::stt::whisper::batch::{WindowError, WindowTask};

use super::{
    error::TranscribeError,
    pack::Window,
    pool::{Recogniser, Task},
    progress::Board,
    segments::{Heading, segments},
};

/// The language of a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TaskLanguage {
    Is(String),
    /// It is found out first.
    Detect,
}

/// A window to be decoded.
pub(super) struct DecodeTask {
    pub(super) board: Arc<Board>,
    pub(super) number: u64,
    pub(super) window: Window,
    pub(super) language: TaskLanguage,
    /// Its language is filled in.
    pub(super) task: WindowTask,
    /// The same.
    pub(super) heading: Heading,
}

impl Task for DecodeTask {
    fn begin(&mut self) -> bool {
        let stopping = self.board.lock().stopping;
        if stopping {
            self.board.given_up(self.number);
        }
        !stopping
    }

    fn run(&mut self, recogniser: &mut dyn Recogniser) -> Result<(), WindowError> {
        let began = Instant::now();
        let stop = || self.board.lock().cancelled;
        let result = (|| {
            let samples = &self.window.samples;
            let mut encodes = 0;
            self.task.language = match &self.language {
                TaskLanguage::Is(code) => code.clone(),
                TaskLanguage::Detect => {
                    encodes += 1;
                    recogniser.detect(samples)?
                }
            };
            let decoded = recogniser.decode(samples, &self.window.pieces, &self.task, &stop)?;
            encodes += decoded.encodes;
            Ok((decoded, encodes))
        })();
        match result {
            Ok((decoded, encodes)) => {
                // What was spoken, also where the text is a translation.
                self.heading.language.clone_from(&self.task.language);
                let segments = segments(&self.window, decoded, &self.heading);
                self.board
                    .done(self.number, segments, began.elapsed(), encodes);
                Ok(())
            }
            Err(WindowError::Stopped) => {
                self.board.given_up(self.number);
                Err(WindowError::Stopped)
            }
            Err(error) => Err(error),
        }
    }

    fn fail(self: Box<Self>, reason: WindowError) {
        self.board.fail(TranscribeError::Recognition(reason));
        self.board.given_up(self.number);
    }
}

/// A language to be found out.
pub(super) struct Detection {
    board: Arc<Board>,
    samples: Vec<f32>,
    answer: mpsc::SyncSender<Result<String, WindowError>>,
}

impl Detection {
    /// With it the way in which the answer comes.
    pub(super) fn new(
        board: Arc<Board>,
        samples: Vec<f32>,
    ) -> (Self, mpsc::Receiver<Result<String, WindowError>>) {
        let (answer, answered) = mpsc::sync_channel(1);
        let detection = Self {
            board,
            samples,
            answer,
        };
        (detection, answered)
    }

    fn answer(&self, answer: Result<String, WindowError>) {
        // Who asked waits for it, or is gone.
        let _ = self.answer.send(answer);
    }
}

impl Task for Detection {
    fn begin(&mut self) -> bool {
        let stopping = self.board.lock().stopping;
        if stopping {
            self.answer(Err(WindowError::Stopped));
        }
        !stopping
    }

    fn run(&mut self, recogniser: &mut dyn Recogniser) -> Result<(), WindowError> {
        let began = Instant::now();
        let language = recogniser.detect(&self.samples)?;
        let mut state = self.board.lock();
        state.decode += began.elapsed();
        state.encodes += 1;
        drop(state);
        self.answer(Ok(language));
        Ok(())
    }

    fn fail(self: Box<Self>, reason: WindowError) {
        self.answer(Err(reason));
    }
}
