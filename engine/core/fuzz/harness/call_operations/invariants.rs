//! What must hold for all that comes out of a call.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use sidetone_codecs::{SampleRate, g711::mulaw};
use sidetone_core::{
    conversation::{Message, Role},
    dialect::Outbound,
    event::{CallEvent, RejectReason, TurnId, TurnMetrics},
    handoff::HandoffState,
    io::Output,
    job::{Job, JobId},
    person::{Mode, PersonId, PersonOutput},
    sim::PlayoutBuffer,
    time::CallTime,
};

use super::waits::Waits;

/// Watches the outputs of one call.
pub(crate) struct Invariants {
    lead: Duration,
    /// What a phone without a network in between would have to play.
    phone: PlayoutBuffer,
    pub(crate) jobs: BTreeMap<JobId, Job>,
    /// Cancelled, or answered to the end.
    pub(crate) over: BTreeSet<JobId>,
    /// Of which audio was sent.
    spoken: BTreeSet<JobId>,
    /// Whose audio is not to be sent any more, unless its turn is resumed.
    cleared: BTreeSet<JobId>,
    /// Whose turn each of the voice's jobs belongs to.
    spoken_in: BTreeMap<JobId, TurnId>,
    newest_sentence: Option<TurnId>,
    /// What the voice was given for a turn of the caller that may go on.
    ahead: Option<JobId>,
    /// What was made for a turn of the caller that went on.
    dropped: BTreeSet<JobId>,
    /// What the caller said, in order.
    words: Vec<String>,
    /// Some of it was not for the agent.
    words_were_rejected: bool,
    marks: BTreeSet<String>,
    turns: BTreeSet<TurnId>,
    callers: BTreeMap<TurnId, Callers>,
    agents: BTreeMap<TurnId, Agents>,
    /// Who is on the call, and what they do.
    people: BTreeMap<PersonId, Mode>,
    handoff: HandoffState,
    paused: bool,
    waits: Waits,
    pub(crate) stream_started: bool,
    pub(crate) ended: bool,
    pub(crate) media_sent: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Callers {
    Speaks,
    Ended,
    Understood,
}

/// A turn of the agent, as its events tell it.
#[derive(Debug, Default)]
struct Agents {
    state: AgentsState,
    sentences: Vec<String>,
    heard: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum AgentsState {
    #[default]
    Silent,
    Speaks,
    Interrupted,
    Finished,
}

/// So many samples of their own level in a row are no coincidence.
const A_WORD: usize = 80;

/// So many samples of one level are a voice, and no tone.
const LEVEL: usize = 16;

/// The level of what a person says: no voice has it.
pub(crate) fn level_of(person: PersonId) -> i16 {
    -2_000 - 100 * i16::try_from(person.0 % 50).expect("it is below 50")
}

/// Nobody speaks at one level for long: at times they are so many times softer.
pub(crate) const SOFTER: i16 = 16;

/// The rate of a person's leg.
pub(crate) fn rate_of(person: PersonId) -> SampleRate {
    match person.0 % 3 {
        0 => SampleRate::HZ_16000,
        1 => SampleRate::HZ_8000,
        _ => SampleRate::HZ_48000,
    }
}

/// Whether a code is that of one of `levels`, as nearly as resampling leaves them, or of loud ones
/// together, which are bent.
fn is_one_of(code: u8, levels: &[i32]) -> bool {
    let heard = i32::from(mulaw::decode(code));
    let is_near = |level: &i32| {
        let exact = (heard - level).abs() <= 16 + level.abs() / 16;
        exact || *level < -20_000 && heard < -20_000
    };
    levels.iter().any(is_near)
}

/// The one μ-law code that the voice's audio for `job` consists of.
pub(crate) fn code_of(job: JobId) -> u8 {
    0x80 + u8::try_from(job.0 % 0x50).expect("it is below 0x50")
}

impl Invariants {
    /// `has_phrases`: the call has words that need no service.
    pub(crate) fn new(lead: Duration, has_phrases: bool) -> Self {
        Self {
            lead,
            phone: PlayoutBuffer::new(SampleRate::HZ_8000),
            jobs: BTreeMap::new(),
            over: BTreeSet::new(),
            spoken: BTreeSet::new(),
            cleared: BTreeSet::new(),
            spoken_in: BTreeMap::new(),
            newest_sentence: None,
            ahead: None,
            dropped: BTreeSet::new(),
            words: Vec::new(),
            words_were_rejected: false,
            marks: BTreeSet::new(),
            turns: BTreeSet::new(),
            callers: BTreeMap::new(),
            agents: BTreeMap::new(),
            people: BTreeMap::new(),
            handoff: HandoffState::Agent,
            paused: false,
            waits: Waits::new(has_phrases),
            stream_started: false,
            ended: false,
            media_sent: 0,
        }
    }

    /// This turn of the agent says `text`.
    pub(crate) fn says(&self, turn: TurnId, text: &str) -> bool {
        let agent = self.agents.get(&turn);
        let first = agent.and_then(|agent| agent.sentences.first());
        first.is_some_and(|sentence| text.starts_with(sentence))
    }

    /// Takes the outputs of one step; returns the marks among them.
    pub(crate) fn step(&mut self, now: CallTime, out: Vec<Output>) -> Vec<String> {
        if !self.ended {
            self.waits.check(now);
        }
        let mut marks = Vec::new();
        let count = out.len();
        for output in &out {
            if let Output::Event(CallEvent::AgentResumed { turn }) = output {
                let of_turn = |id: &JobId| self.spoken_in.get(id) == Some(turn);
                self.cleared.retain(|id| !of_turn(id));
            }
        }
        for (n, output) in out.into_iter().enumerate() {
            assert!(!self.ended, "the hang-up is the last output");
            match output {
                Output::Leg(message) => marks.extend(self.sent(now, message)),
                Output::Start(job) => self.started(job),
                Output::Cancel(id) => {
                    assert!(self.jobs.contains_key(&id), "only what runs is cancelled");
                    assert!(self.over.insert(id), "and only once, while it runs");
                    if self.ahead == Some(id) {
                        self.ahead = None;
                        self.dropped.insert(id);
                    }
                }
                Output::Event(CallEvent::CallEnded { .. }) => {
                    assert_eq!(n, count - 2, "the last event, right before the hang-up");
                }
                Output::Event(event) => {
                    self.waits.event(now, &event);
                    self.event(event);
                }
                Output::HangUp(_) => {
                    self.ended = true;
                    assert_eq!(self.people, BTreeMap::new(), "everybody is told");
                    let running: Vec<_> = self.jobs.keys().collect();
                    let running = running.iter().filter(|id| !self.over.contains(id));
                    assert_eq!(running.count(), 0, "no job outlives the call");
                }
                Output::Person { id, output } => self.person(id, output),
                Output::Recorded { caller, others, .. } => {
                    assert_eq!((caller.len(), others.len()), (160, 160), "20 ms of each");
                }
                other => panic!("unknown output {other:?}"),
            }
        }
        marks
    }

    /// What a person's leg is told.
    fn person(&mut self, id: PersonId, output: PersonOutput) {
        match output {
            PersonOutput::Joined { mode } => {
                let before = self.people.insert(id, mode);
                assert_eq!(before, None, "{id} comes once");
            }
            PersonOutput::Mode { mode } => {
                let before = self.people.insert(id, mode);
                assert!(before.is_some(), "{id} is on the call");
            }
            PersonOutput::Closed { .. } => {
                let before = self.people.remove(&id);
                assert!(before.is_some(), "{id} leaves once");
            }
            PersonOutput::Audio { pcm } => {
                assert!(self.people.contains_key(&id), "{id} is on the call");
                let frame = usize::try_from(rate_of(id).hz()).expect("it is small") / 50;
                assert_eq!(pcm.len(), frame, "20 ms");
                let is_own = |sample: &&i16| **sample == level_of(id);
                let own = pcm.iter().filter(is_own).count();
                assert!(own < A_WORD, "{id} hears itself");
            }
            PersonOutput::Refused { .. } => {}
            other => panic!("unknown output {other:?}"),
        }
        let holders = self.people.values().filter(|m| **m == Mode::Takeover);
        assert!(
            holders.count() <= 2,
            "one, or two while one takes over from the other"
        );
    }

    /// The agent is to be silent.
    fn agent_rests(&self) -> bool {
        matches!(
            self.handoff,
            HandoffState::Bridged {
                mode: Mode::Takeover,
                ..
            }
        )
    }

    /// The levels that the caller hears where people speak, each of them alone or together.
    fn voices_of_people(&self) -> Vec<i32> {
        let mut sums = vec![0];
        for (id, mode) in &self.people {
            if mode.is_heard_by_caller() {
                let level = i32::from(level_of(*id));
                let with = |level: i32| sums.iter().map(move |sum| sum + level);
                let more: Vec<i32> = with(level).chain(with(level / i32::from(SOFTER))).collect();
                sums.extend(more);
            }
        }
        sums
    }

    /// The caller hears people.
    fn is_bridged(&self) -> bool {
        self.people.values().any(|mode| mode.is_heard_by_caller())
    }

    fn started(&mut self, job: Job) {
        if let Job::Llm(_) | Job::Tts(_) = &job {
            assert!(!self.agent_rests(), "{} is for nobody", job.id());
        }
        if let Job::Llm(_) = &job {
            assert!(
                !self.paused,
                "{}: the agent only says what it is told",
                job.id()
            );
        }
        if let Job::Tts(job) = &job {
            assert!(!job.text.trim().is_empty(), "the voice is given words");
            if job.eager {
                self.dropped.extend(self.ahead.replace(job.id));
            } else {
                let turn = self.newest_sentence.expect("a job for a sentence");
                self.spoken_in.insert(job.id, turn);
            }
        }
        if job.is_eager() {
            let speaks = self.callers.values().any(|c| *c == Callers::Speaks);
            assert!(speaks, "{} is ahead of the end of a turn", job.id());
        }
        let id = job.id();
        let earlier = self.jobs.insert(id, job);
        assert!(earlier.is_none(), "ids are not used twice");
    }

    fn sent(&mut self, now: CallTime, message: Outbound) -> Option<String> {
        assert!(self.stream_started, "nothing is sent before the stream");
        match message {
            Outbound::Media { payload } => {
                let len = payload.len();
                assert!((1..=1_600).contains(&len), "{len} bytes");
                // Voices are of one level; the tones of keys pass through many.
                let runs = payload.chunk_by(|one, next| one == next);
                let levels = runs.filter(|run| run.len() >= LEVEL).map(|run| run[0]);
                // Where people speak, voices are added up.
                match self.is_bridged() {
                    false => levels.for_each(|code| self.may_be_heard(code)),
                    true if self.agent_rests() => {
                        let voices = self.voices_of_people();
                        let agents = { levels }.find(|code| !is_one_of(*code, &voices));
                        assert_eq!(agents, None, "only people are heard: {voices:?}");
                    }
                    true => {}
                }
                let pcm: Vec<i16> = payload.iter().map(|code| mulaw::decode(*code)).collect();
                self.phone.media(now, &pcm);
                let buffered = self.phone.buffered();
                assert!(buffered <= self.lead, "{buffered:?} are with the phone");
                self.media_sent += 1;
                self.waits.audio(now + buffered);
                None
            }
            Outbound::Mark { name } => {
                assert!(self.marks.insert(name.clone()), "mark names are unique");
                Some(name)
            }
            Outbound::Clear => {
                self.phone.clear(now);
                // What waits behind a filler is not cleared with it.
                // What was sent ahead when a person joined in is sent again.
                if !self.is_bridged() {
                    self.cleared.extend(&self.spoken);
                }
                None
            }
            other => panic!("unknown message {other:?}"),
        }
    }

    /// Nothing of what was cleared is sent afterwards, nor what was made ahead for a turn before
    /// that has ended.
    fn may_be_heard(&mut self, code: u8) {
        let mut newest_first = self.jobs.values().rev();
        let spoke =
            newest_first.find(|job| matches!(job, Job::Tts(_)) && code_of(job.id()) == code);
        if let Some(job) = spoke {
            let id = job.id();
            assert!(!self.cleared.contains(&id), "{id} is over");
            assert!(!self.dropped.contains(&id), "{id} was dropped");
            assert_ne!(self.ahead, Some(id), "the turn may go on");
            self.spoken.insert(id);
        }
    }

    fn event(&mut self, event: CallEvent) {
        match event {
            CallEvent::CallStarted { .. } => self.stream_started = true,
            CallEvent::TurnStarted { turn } => {
                self.callers.insert(turn, Callers::Speaks);
                self.is_new(turn);
            }
            CallEvent::TurnEnded { turn, .. } => {
                let was = self.callers.insert(turn, Callers::Ended);
                assert_eq!(was, Some(Callers::Speaks), "{turn:?} ends once");
            }
            CallEvent::TranscriptPartial { turn, .. } => {
                assert_eq!(self.callers[&turn], Callers::Speaks, "{turn:?} goes on");
            }
            CallEvent::BargeInRejected { reason, .. } => {
                self.words_were_rejected |= reason != RejectReason::Short;
            }
            CallEvent::TranscriptFinal { turn, text } => {
                self.words
                    .extend(text.split_whitespace().map(str::to_owned));
                let was = self.callers.insert(turn, Callers::Understood);
                assert_eq!(was, Some(Callers::Ended), "{turn:?} is understood once");
            }
            CallEvent::AgentSentence { turn, text } => {
                if !self.agents.contains_key(&turn) {
                    self.is_new(turn);
                }
                self.newest_sentence = Some(turn);
                if let Some(id) = self.ahead.take() {
                    let spoken = self.callers.values().all(|c| *c != Callers::Speaks);
                    assert!(spoken, "{id} is told when the turn has ended");
                    match &self.jobs[&id] {
                        Job::Tts(job) if job.text == text => {
                            self.spoken_in.insert(id, turn);
                        }
                        _ => {
                            self.dropped.insert(id);
                        }
                    }
                }
                self.agents.entry(turn).or_default().sentences.push(text);
            }
            CallEvent::AgentSpeaking { turn } => {
                assert!(!self.agent_rests(), "{turn:?} is for nobody");
                self.agent(turn, &[AgentsState::Silent], AgentsState::Speaks);
                let speak = |a: &&Agents| a.state == AgentsState::Speaks;
                assert_eq!(
                    self.agents.values().filter(speak).count(),
                    1,
                    "one at a time"
                );
            }
            CallEvent::AgentResumed { turn } => {
                self.agent(turn, &[AgentsState::Interrupted], AgentsState::Speaks);
            }
            CallEvent::AgentInterrupted { turn, heard, .. } => {
                self.agent(turn, &[AgentsState::Speaks], AgentsState::Interrupted);
                self.heard(turn, heard);
            }
            CallEvent::AgentRetracted { turn } => {
                self.agent(turn, &[AgentsState::Interrupted], AgentsState::Finished);
                self.agents.entry(turn).or_default().heard.clear();
            }
            CallEvent::AgentFinished { turn, heard } => {
                let from = [AgentsState::Speaks, AgentsState::Interrupted];
                self.agent(turn, &from, AgentsState::Finished);
                self.heard(turn, heard);
            }
            CallEvent::TurnMetrics(metrics) => check_metrics(&metrics),
            CallEvent::Handoff { state, .. } => self.handoff = state,
            CallEvent::AgentPaused => self.paused = true,
            CallEvent::AgentUnpaused { .. } => self.paused = false,
            CallEvent::PersonSpeaking { person, turn } => {
                let mode = self.people[&person];
                assert!(mode.is_heard_by_caller(), "{person} is not heard");
                self.is_new(turn);
            }
            _ => {}
        }
    }

    fn is_new(&mut self, turn: TurnId) {
        assert!(self.turns.insert(turn), "{turn:?} is one turn");
    }

    fn agent(&mut self, turn: TurnId, from: &[AgentsState], to: AgentsState) {
        let state = &mut self.agents.entry(turn).or_default().state;
        assert!(from.contains(state), "{turn:?}: from {state:?} to {to:?}");
        *state = to;
    }

    /// The agent said what it is told to have said, in this order.
    fn heard(&mut self, turn: TurnId, heard: String) {
        let agent = self.agents.entry(turn).or_default();
        let mut said = agent.sentences.iter().flat_map(|s| s.split_whitespace());
        let all = heard.split_whitespace().all(|word| said.any(|w| w == word));
        assert!(all, "{heard:?} of {:?}", agent.sentences);
        let goes_on = heard.starts_with(&agent.heard);
        assert!(goes_on, "{heard:?} after {:?}", agent.heard);
        agent.heard = heard;
    }

    /// The call is over: what it remembers is what its events told.
    pub(crate) fn check_conversation(&self, conversation: &[Message]) {
        let agents = conversation.iter().filter(|m| m.role == Role::Agent);
        let remembered: Vec<&str> = agents.map(|m| m.text.as_str()).collect();
        let told = self.agents.values().map(|agent| agent.heard.as_str());
        let told: Vec<&str> = told.filter(|heard| !heard.is_empty()).collect();
        assert_eq!(remembered, told);
        let callers = conversation.iter().filter(|m| m.role == Role::Caller);
        let mut understood = callers.flat_map(|m| m.text.split_whitespace());
        if self.words_were_rejected {
            let mut words = self.words.iter();
            assert!(understood.all(|word| words.any(|w| w == word)), "in order");
        } else {
            let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
            assert_eq!(
                understood.collect::<Vec<_>>(),
                words,
                "nothing lost or doubled"
            );
        }
        for agent in self.agents.values() {
            assert_ne!(agent.state, AgentsState::Speaks, "every turn is closed");
        }
    }
}

/// The parts of a wait are not longer than the wait.
fn check_metrics(metrics: &TurnMetrics) {
    let parts = metrics.endpointing_ms
        + metrics.stt_ms
        + metrics.llm_first_token_ms
        + metrics.llm_first_sentence_ms
        + metrics.tts_first_byte_ms;
    assert!(parts <= metrics.total_ms, "{metrics:?}");
}
