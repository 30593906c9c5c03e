//! A call whose every input a test gives by hand, for orders of events that a world would have to
//! be lucky to bring about.

use std::{sync::Arc, time::Duration};

use sidetone_core::{
    call::Call,
    config::CallConfig,
    dialect::{Inbound, LegFormat, Outbound},
    event::CallEvent,
    io::{Command, Input, Output},
    job::{Job, JobEvent, JobId, JobUpdate, LlmEvent, SttEvent, Transcript, TtsEvent},
    time::CallTime,
};

use super::{FRAME_MS, LevelVad, Run, SAMPLES_PER_MS, VOICE_LEVEL, inputs};

/// The call, and everything that came out of it.
pub(crate) struct ByHand {
    pub(crate) call: Call,
    pub(crate) now: CallTime,
    pub(crate) outputs: Vec<(u64, Output)>,
    deadline: Option<CallTime>,
}

impl ByHand {
    /// A call whose stream has started.
    pub(crate) fn started(mut config: CallConfig) -> Self {
        // All sounds here are constant levels, each of which is an echo of any other.
        config.barge_in.ignore_echo = false;
        config
            .validate()
            .expect("the test's configuration is valid");
        let mut this = Self {
            call: Call::new(Arc::new(config), Box::new(LevelVad)),
            now: CallTime::ZERO,
            outputs: Vec::new(),
            deadline: None,
        };
        this.step(inputs::start());
        this
    }

    pub(crate) fn step(&mut self, input: Input<'static>) {
        let mut out = Vec::new();
        self.deadline = self.call.step(self.now, input, &mut out);
        let at_ms = self.now.as_millis();
        self.outputs.extend(out.into_iter().map(|o| (at_ms, o)));
    }

    pub(crate) fn leg(&mut self, body: Inbound<'static>) {
        self.step(inputs::leg(body));
    }

    pub(crate) fn say(&mut self, text: &str) {
        self.step(Input::Command(Command::Say {
            text: text.into(),
            interruptible: true,
        }));
    }

    /// The caller says nothing for so long.
    pub(crate) fn silence(&mut self, ms: u64) {
        self.hear(ms, 0xFF);
    }

    /// The caller makes a sound for so long.
    pub(crate) fn sound(&mut self, ms: u64) {
        self.hear(ms, 0x8A);
    }

    /// The caller says something: a turn, and its end. Its transcript has been asked for.
    pub(crate) fn turn(&mut self) {
        self.sound(500);
        self.silence(400);
    }

    fn hear(&mut self, ms: u64, code: u8) {
        for frame in 0..ms / FRAME_MS {
            self.wait(FRAME_MS);
            let is_soft = code < 0xB0 && super::is_soft(frame * FRAME_MS);
            let code = if is_soft { code + 0x40 } else { code };
            self.step(inputs::media(vec![
                code;
                (FRAME_MS * SAMPLES_PER_MS) as usize
            ]));
        }
    }

    /// Time passes without any audio of the caller; deadlines are kept.
    pub(crate) fn wait(&mut self, ms: u64) {
        let until = self.now + Duration::from_millis(ms);
        while let Some(deadline) = self.deadline.filter(|deadline| *deadline <= until) {
            assert!(deadline >= self.now, "a deadline in the past");
            self.now = deadline;
            self.step(Input::Deadline);
        }
        self.now = until;
    }

    pub(crate) fn news(&mut self, id: JobId, event: impl Into<JobEvent>) {
        let event = event.into();
        self.step(Input::Job(JobUpdate { id, event }));
    }

    /// Recognition answers its newest job.
    pub(crate) fn transcript(&mut self, text: &str) {
        let text = text.to_owned();
        let transcript = Transcript {
            text,
            ..Transcript::default()
        };
        self.news(self.stt(), SttEvent::Transcript(transcript));
    }

    /// The language model writes all of its newest job.
    pub(crate) fn answer(&mut self, text: &str) {
        let id = self.llm();
        let text = text.to_owned();
        self.news(id, LlmEvent::Delta { text });
        self.news(id, LlmEvent::Done { hang_up: false });
    }

    /// The voice speaks so much of its newest job.
    pub(crate) fn audio(&mut self, ms: u64) {
        let samples = vec![VOICE_LEVEL; (ms * SAMPLES_PER_MS) as usize];
        let rate = LegFormat::MULAW_8000.rate;
        self.news(self.tts(), TtsEvent::Audio { samples, rate });
    }

    /// The voice speaks all of its newest job.
    pub(crate) fn voice(&mut self, ms: u64) {
        self.audio(ms);
        self.news(self.tts(), TtsEvent::Done);
    }

    /// The newest job for recognition.
    pub(crate) fn stt(&self) -> JobId {
        self.newest(|job| matches!(job, Job::Stt(_)))
    }

    /// The newest job for the language model.
    pub(crate) fn llm(&self) -> JobId {
        self.newest(|job| matches!(job, Job::Llm(_)))
    }

    /// The newest job for the voice.
    pub(crate) fn tts(&self) -> JobId {
        self.newest(|job| matches!(job, Job::Tts(_)))
    }

    fn newest(&self, wanted: impl Fn(&Job) -> bool) -> JobId {
        let jobs = self.jobs().into_iter().rev();
        jobs.filter(|job| wanted(job))
            .map(Job::id)
            .next()
            .expect("the job was asked for")
    }

    pub(crate) fn jobs(&self) -> Vec<&Job> {
        let outputs = self.outputs.iter();
        let jobs = outputs.filter_map(|(_, output)| match output {
            Output::Start(job) => Some(job),
            _ => None,
        });
        jobs.collect()
    }

    /// The texts that the voice was given.
    pub(crate) fn spoken(&self) -> Vec<&str> {
        let jobs = self.jobs().into_iter();
        let texts = jobs.filter_map(|job| match job {
            Job::Tts(job) => Some(job.text.as_str()),
            _ => None,
        });
        texts.collect()
    }

    pub(crate) fn events(&self) -> Vec<&CallEvent> {
        let outputs = self.outputs.iter();
        let events = outputs.filter_map(|(_, output)| match output {
            Output::Event(event) => Some(event),
            _ => None,
        });
        events.collect()
    }

    /// How much audio was sent so far, in ms.
    pub(crate) fn sent_ms(&self) -> u64 {
        let samples = self.outputs.iter().map(|(_, output)| match output {
            Output::Leg(Outbound::Media { payload }) => payload.len() as u64,
            _ => 0,
        });
        samples.sum::<u64>() / SAMPLES_PER_MS
    }

    /// The first `count` marks that were sent come back, for the second time maybe.
    pub(crate) fn return_marks(&mut self, count: usize) {
        let mark = |(_, output): &(u64, Output)| match output {
            Output::Leg(Outbound::Mark { name }) => Some(name.clone()),
            _ => None,
        };
        let marks: Vec<String> = self.outputs.iter().filter_map(mark).take(count).collect();
        for name in marks {
            self.leg(Inbound::Mark { name: name.into() });
        }
    }

    /// The conversation as `who: text` lines.
    pub(crate) fn lines(&self) -> Vec<String> {
        Run::lines_of(self.call.conversation())
    }
}
