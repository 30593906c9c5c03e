//! The thread that reads a recording and hands out its windows.

use std::{sync::Arc, time::Duration};

use sidetone_codecs::{SampleRate, recording::RecordingError};
use sidetone_speech::{
    stt::whisper::batch::{WindowError, WindowTask},
    vad::EarshotVad,
};

use super::{
    channels::{self, Decision, Layout, Verdict},
    error::TranscribeError,
    lane::{Lane, Speech},
    options::LanguageChoice,
    pack::{Packer, Window},
    pool::{self, Queue},
    progress::Board,
    segments::Heading,
    source::Source,
    task::{DecodeTask, Detection, TaskLanguage},
    transcript::Damage,
};

/// Enough speech to tell a language, 10 s.
const DETECTION: u64 = 10 * 16_000;

/// What is to be done, checked.
pub(super) struct Plan {
    pub(super) rate: SampleRate,
    pub(super) channels: usize,
    pub(super) decision: Result<Decision, Layout>,
    /// The speakers' names, as many as channels; empty where one channel has none.
    pub(super) speakers: Vec<String>,
    pub(super) language: LanguageChoice,
    pub(super) translate: bool,
    pub(super) prompt: Arc<[i32]>,
    pub(super) words: bool,
    /// The longest window, in samples at 16 kHz.
    pub(super) longest: usize,
    /// Whether windows hold several pieces.
    pub(super) several: bool,
    /// The pause that parts pieces.
    pub(super) pause_ms: u32,
}

/// Reads, and hands out windows as there is room for them.
pub(super) struct Reader {
    plan: Plan,
    board: Arc<Board>,
    queue: Arc<Queue>,
    lanes: Vec<(Lane, Packer)>,
    /// `None` until it is decided.
    layout: Option<Layout>,
    /// What a window is decoded as; `None` until the language is known.
    language: Option<TaskLanguage>,
    /// Windows that wait for the language.
    undetected: Vec<Window>,
    one: Vec<i16>,
    speech: Vec<Speech>,
    windows: Vec<Window>,
}

/// No more windows are taken.
struct Stopped;

impl Reader {
    pub(super) fn new(
        plan: Plan,
        board: Arc<Board>,
        queue: Arc<Queue>,
    ) -> Result<Self, TranscribeError> {
        let layout = plan.decision.as_ref().err().copied();
        let lanes = match layout {
            Some(Layout::Mix) => 1,
            _ => plan.channels,
        };
        let lanes = (0..lanes)
            .map(|n| {
                let vad = Box::new(EarshotVad::new());
                let lane = Lane::new(plan.rate, vad, plan.longest, plan.pause_ms)?;
                let channel = u16::try_from(n).unwrap_or(u16::MAX);
                Ok((lane, Packer::new(channel, plan.longest, plan.several)))
            })
            .collect::<Result<_, _>>()
            .map_err(TranscribeError::Rate)?;
        let language = match &plan.language {
            LanguageChoice::Is(code) => Some(TaskLanguage::Is(code.clone())),
            LanguageChoice::DetectEach => Some(TaskLanguage::Detect),
            LanguageChoice::DetectOnce => None,
        };
        let mut reader = Self {
            plan,
            board,
            queue,
            lanes,
            layout: None,
            language,
            undetected: Vec::new(),
            one: Vec::new(),
            speech: Vec::new(),
            windows: Vec::new(),
        };
        if let Some(layout) = layout {
            reader.lay_out(layout);
        }
        Ok(reader)
    }

    /// Reads all of `source`, until told to stop.
    pub(super) fn run(mut self, source: &mut dyn Source) {
        let whole = self.read(source).is_ok();
        self.board.read_all(whole);
    }

    fn read(&mut self, source: &mut dyn Source) -> Result<(), Stopped> {
        let mut block = Vec::new();
        let mut instants = 0_u64;
        loop {
            if self.board.lock().stopping {
                return Err(Stopped);
            }
            block.clear();
            let result = pool::caught(|| Ok(source.read(&mut block)));
            // What came before the damage is good.
            let len = block.len() - block.len() % self.plan.channels;
            instants += (len / self.plan.channels) as u64;
            let read = self.duration(instants);
            self.board.lock().read = read;
            self.push(&block[..len])?;
            let damage = match result {
                Ok(Ok(0)) => None,
                Ok(Ok(_)) => continue,
                // Of damage in the middle it is told at the end.
                Ok(Err(error)) => Some((error.at().unwrap_or(read), told(&error))),
                Err(panic) => Some((read, format!("its decoder failed: {panic}"))),
            };
            let mut state = self.board.lock();
            state.total = Some(read);
            state.damage = damage.map(|(at, message)| Damage {
                at_ms: u64::try_from(at.as_millis()).unwrap_or(u64::MAX),
                message,
            });
            drop(state);
            return self.finish();
        }
    }

    fn duration(&self, instants: u64) -> Duration {
        let hz = u64::from(self.plan.rate.hz());
        Duration::from_secs(instants / hz) + Duration::from_micros(instants % hz * 1_000_000 / hz)
    }

    fn push(&mut self, block: &[i16]) -> Result<(), Stopped> {
        if let (None, Ok(decision)) = (self.layout, &mut self.plan.decision) {
            match decision.push(block) {
                Verdict::Silence => {}
                Verdict::Held => return Ok(()),
                Verdict::Decided(layout, held) => {
                    self.lay_out(layout);
                    return self.hear(&held);
                }
            }
        }
        self.hear(block)
    }

    fn lay_out(&mut self, layout: Layout) {
        self.layout = Some(layout);
        if layout == Layout::Mix {
            self.lanes.truncate(1);
        }
        let named = layout == Layout::Split || self.plan.channels == 1;
        if named {
            self.board.lock().speakers.clone_from(&self.plan.speakers);
        } else {
            self.plan.speakers.clear();
        }
    }

    /// Passes a block to the lanes, and what they make of it on.
    fn hear(&mut self, block: &[i16]) -> Result<(), Stopped> {
        let channels = self.plan.channels;
        for (n, (lane, packer)) in self.lanes.iter_mut().enumerate() {
            let one = if channels == 1 {
                block
            } else if self.layout == Some(Layout::Mix) {
                channels::mix(block, channels, &mut self.one);
                &self.one
            } else {
                channels::channel(block, channels, n, &mut self.one);
                &self.one
            };
            lane.push(one, &mut self.speech);
            for speech in self.speech.drain(..) {
                packer.add(speech, &mut self.windows);
            }
            packer.wait(lane.settled(), &mut self.windows);
        }
        self.hand_out(false)
    }

    fn finish(&mut self) -> Result<(), Stopped> {
        if let (None, Ok(decision)) = (self.layout, &mut self.plan.decision) {
            let (layout, held) = decision.finish();
            self.lay_out(layout);
            self.hear(&held)?;
        }
        for (lane, packer) in &mut self.lanes {
            lane.finish(&mut self.speech);
            for speech in self.speech.drain(..) {
                packer.add(speech, &mut self.windows);
            }
            packer.finish(&mut self.windows);
        }
        self.hand_out(true)
    }

    /// Hands out the windows that are full; `last`: there will be no more.
    fn hand_out(&mut self, last: bool) -> Result<(), Stopped> {
        self.windows
            .sort_by_key(|window| (window.start(), window.channel));
        for window in std::mem::take(&mut self.windows) {
            match &self.language {
                Some(language) => self.submit(window, language.clone())?,
                None => self.undetected.push(window),
            }
        }
        let speech: u64 = self.undetected.iter().map(Window::speech).sum();
        if speech >= DETECTION || (last && speech > 0) {
            let language = self.detect()?;
            self.language = Some(language.clone());
            for window in std::mem::take(&mut self.undetected) {
                self.submit(window, language.clone())?;
            }
        }
        let waiting = self.undetected.iter().map(Window::start);
        let lanes = self.lanes.iter().map(|(lane, packer)| {
            let settled = lane.settled();
            packer
                .oldest()
                .map_or(settled, |oldest| oldest.min(settled))
        });
        if let Some(position) = waiting.chain(lanes).min() {
            self.board.handed_out(position);
        }
        Ok(())
    }

    fn submit(&self, window: Window, language: TaskLanguage) -> Result<(), Stopped> {
        let number = self.board.begin(window.start(), window.speech());
        let number = number.ok_or(Stopped)?;
        let heading = Heading {
            speaker: self.plan.speakers.get(usize::from(window.channel)).cloned(),
            language: String::new(),
            words: self.plan.words,
        };
        self.queue.push(Box::new(DecodeTask {
            board: self.board.clone(),
            number,
            window,
            language,
            task: WindowTask {
                language: String::new(),
                translate: self.plan.translate,
                prompt: self.plan.prompt.clone(),
            },
            heading,
        }));
        Ok(())
    }

    /// The language of the window with the most speech.
    fn detect(&self) -> Result<TaskLanguage, Stopped> {
        let window = self.undetected.iter().max_by_key(|window| window.speech());
        let samples = window
            .map(|window| window.samples.clone())
            .unwrap_or_default();
        let (detection, answer) = Detection::new(self.board.clone(), samples);
        self.queue.push(Box::new(detection));
        match answer.recv() {
            Ok(Ok(language)) => Ok(TaskLanguage::Is(language)),
            Ok(Err(WindowError::Stopped)) | Err(_) => Err(Stopped),
            Ok(Err(reason)) => {
                self.board.fail(TranscribeError::Recognition(reason));
                Err(Stopped)
            }
        }
    }
}

/// An error with its causes, on one line.
fn told(error: &RecordingError) -> String {
    let mut told = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        told = format!("{told}: {inner}");
        cause = inner.source();
    }
    told
}
