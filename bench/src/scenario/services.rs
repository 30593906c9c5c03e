//! Services that know the answers: what was said where, and what is said to it.

use sidetone_cli::phone::RATE;
use sidetone_codecs::SampleRate;
use sidetone_core::{
    config::{Phrase, Phrases},
    conversation::{Message, Role},
    job::{
        FailureKind, Job, JobEvent, JobFailure, LlmEvent, SttEvent, Transcript, TtsEvent, TurnEvent,
    },
};

use super::{
    clips::Clips,
    file::{Answer, Behaviour, ScenarioError, ServiceBehaviours},
    phone::Phone,
    voice::AgentVoice,
};

/// An echo softer than this is not understood, in dB.
const ECHO_UNDERSTOOD_DB: f32 = 30.0;
/// Audio in which nobody is looked for: what is compared, in samples.
const COMPARED: usize = 800;

/// Speech recognition, the language model and the voice of one call.
#[derive(Debug)]
pub struct Services {
    behaviours: ServiceBehaviours,
    answers: Vec<Answer>,
    counts: [usize; 3],
    /// The conversations that the language model was shown.
    shown: Vec<Vec<Message>>,
}

/// News of a job, and how long after its start it comes, in ms.
pub type Later = (u64, JobEvent);

impl Services {
    /// Services that behave and answer like this.
    #[must_use]
    pub fn new(behaviours: ServiceBehaviours, answers: Vec<Answer>) -> Self {
        Self {
            behaviours,
            answers,
            counts: [0; 3],
            shown: Vec::new(),
        }
    }

    /// What comes of a job that is started now.
    pub fn start(&mut self, job: &Job, phone: &Phone, voice: &mut AgentVoice) -> Vec<Later> {
        let (service, behaviours) = match job {
            Job::Stt(_) => (0, &self.behaviours.stt),
            Job::Llm(_) => (1, &self.behaviours.llm),
            Job::Tts(_) => (2, &self.behaviours.tts),
            Job::Turn(_) => return vec![(0, failure(job))],
        };
        let nth = self.counts[service];
        self.counts[service] += 1;
        let behaviour = behaviours.get(nth).or(behaviours.last()).copied();
        if job.is_eager() && self.behaviours.refuses_eager {
            return vec![(0, failure(job))];
        }
        let mut events = match job {
            Job::Stt(job) => vec![JobEvent::Stt(SttEvent::Transcript(Transcript {
                text: recognise(&job.audio, phone, voice),
                ..Transcript::default()
            }))],
            Job::Llm(job) => {
                self.shown.push(job.messages.to_vec());
                self.answer(&job.messages)
            }
            Job::Tts(job) => {
                let samples = voice.speak(&job.text);
                let pieces = samples.chunks(2_400).map(|piece| {
                    JobEvent::Tts(TtsEvent::Audio {
                        samples: piece.to_vec(),
                        rate: SampleRate::HZ_8000,
                    })
                });
                pieces.chain([JobEvent::Tts(TtsEvent::Done)]).collect()
            }
            Job::Turn(_) => Vec::new(),
        };
        let (first_ms, apart_ms) = match behaviour {
            None => (0, 0),
            Some(Behaviour::AfterMs(ms)) => (ms, 0),
            Some(Behaviour::TricklesMs(ms)) => (ms, ms),
            Some(Behaviour::FailsAfterMs(ms)) => {
                events = vec![failure(job)];
                (ms, 0)
            }
            Some(Behaviour::Never) => return Vec::new(),
            Some(Behaviour::StallsAfterMs(ms)) => {
                events.truncate(events.len() / 2);
                (ms, 0)
            }
        };
        let times = (0..).map(|n| first_ms + n * apart_ms);
        times.zip(events).collect()
    }

    /// The conversations that the language model was shown, in order.
    #[must_use]
    pub fn shown(&self) -> &[Vec<Message>] {
        &self.shown
    }

    fn answer(&self, messages: &[Message]) -> Vec<JobEvent> {
        let callers = messages.iter().rev();
        let latest = callers.into_iter().find(|m| m.role == Role::Caller);
        let said = latest.map_or(String::new(), |message| message.text.to_lowercase());
        let answer = self
            .answers
            .iter()
            .find(|answer| said.contains(&answer.to.to_lowercase()));
        let text = answer.map_or("All right.", |answer| answer.says.as_str());
        let words = text.split_inclusive(' ').map(|word| LlmEvent::Delta {
            text: word.to_owned(),
        });
        let expects = answer.and_then(|answer| answer.expects);
        let expects = expects.map(|expect| LlmEvent::Expects { expect });
        let hang_up = answer.is_some_and(|answer| answer.hangs_up);
        let insists = answer.is_some_and(|answer| !answer.interruptible);
        let insists = insists.then_some(LlmEvent::Uninterruptible);
        let events = insists.into_iter().chain(words).chain(expects);
        let events = events.chain([LlmEvent::Done { hang_up }]);
        events.map(JobEvent::Llm).collect()
    }
}

/// The caller's words in `audio`; if there are none, the agent's that came back as an echo.
fn recognise(audio: &[i16], phone: &Phone, voice: &AgentVoice) -> String {
    let Some(from) = place_of(audio, phone.sent()) else {
        return String::new();
    };
    let stretch = from as u64..(from + audio.len()) as u64;
    let mut words = Vec::new();
    for begun in phone.begun() {
        let characters = begun.words.chars().count() as u64;
        let at = |character: u64| {
            begun.onset + (begun.end - begun.onset) * character / characters.max(1)
        };
        let mut character = 0;
        for word in begun.words.split(' ').filter(|word| !word.is_empty()) {
            let len = word.chars().count() as u64;
            let (from, to) = (at(character), at(character + len));
            character += len + 1;
            let heard = to.min(stretch.end).saturating_sub(from.max(stretch.start));
            if heard * 2 > to - from {
                words.push(word);
            }
        }
    }
    if words.is_empty()
        && let Some(echo) = phone.echo()
        && echo.loss_db < ECHO_UNDERSTOOD_DB
    {
        let ms = |sample: u64| (sample / 8).saturating_sub(echo.delay_ms);
        return voice.words_within(ms(stretch.start)..ms(stretch.end));
    }
    words.join(" ")
}

/// Where in `line` the newest occurrence of `audio` begins.
fn place_of(audio: &[i16], line: &[i16]) -> Option<usize> {
    let compared = &audio[audio.len().saturating_sub(COMPARED)..];
    let last = compared.last()?;
    let ends = (compared.len()..=line.len()).rev();
    let mut ends = ends.filter(|end| line[end - 1] == *last);
    let end = ends.find(|end| &line[end - compared.len()..*end] == compared)?;
    end.checked_sub(audio.len())
}

fn failure(job: &Job) -> JobEvent {
    let failure = JobFailure::new(FailureKind::Unavailable, "as the scenario has it");
    match job {
        Job::Stt(_) => SttEvent::from(failure).into(),
        Job::Llm(_) => LlmEvent::from(failure).into(),
        Job::Tts(_) => TtsEvent::from(failure).into(),
        Job::Turn(_) => TurnEvent::from(failure).into(),
    }
}

/// What the agent says when services fail, in its own voice.
///
/// # Errors
///
/// The recordings of the voice cannot be read.
pub fn agent_phrases(clips: &mut Clips) -> Result<Phrases, ScenarioError> {
    let mut voice = AgentVoice::new(clips)?;
    let mut phrase = |text: &str| Phrase {
        text: text.to_owned(),
        audio: voice.speak(text).into(),
    };
    debug_assert_eq!(RATE, SampleRate::HZ_8000);
    Ok(Phrases {
        hold: phrase("One moment, please."),
        back: phrase("I'm with you again."),
        apology: phrase("I'm sorry, could you say that again?"),
        farewell: phrase("I'm sorry, please call again later."),
    })
}
