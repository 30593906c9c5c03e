//! What happened in a conversation, and questions about it. Times are in ms since the call began.

use std::{fmt::Write as _, ops::Range};

use sidetone_core::{
    conversation::{Message, Role},
    event::{CallEvent, EndReason},
    job::Job,
    time::CallTime,
};

use super::{
    file::{Action, Scenario},
    phone::Phone,
    voice::{AgentVoice, HeardWord},
};

/// A conversation that was held.
#[derive(Clone, Debug, Default)]
pub struct Played {
    /// What the caller and the program did, in order; what there was no occasion for is missing.
    pub acts: Vec<PlayedAct>,
    /// When the caller heard the agent's voice. A pause of less than 200 ms does not end it.
    pub agent: Vec<Range<u64>>,
    /// When the provider's buffer was cleared.
    pub clears: Vec<u64>,
    /// What the call told.
    pub events: Vec<(u64, CallEvent)>,
    /// The conversation as the language model is told it.
    pub conversation: Vec<Message>,
    /// The conversations that the language model was shown, one for each of its jobs.
    pub shown: Vec<Vec<Message>>,
    /// The words of the agent's that the caller's ear heard, in order.
    pub agent_words: Vec<HeardWord>,
    /// What was given to the agent's voice.
    pub sentences: Vec<String>,
    /// When and why the call ended.
    pub ended: Option<(u64, EndReason)>,
    /// When the conversation was over.
    pub over: u64,
    /// How often the agent fell silent because audio came too late.
    pub underruns: u64,
    jobs: Vec<(u64, String)>,
}

/// Something the caller or the program did.
#[derive(Clone, Debug)]
pub struct PlayedAct {
    /// The name of the sound, or what else was done.
    pub what: String,
    /// The words in it.
    pub words: String,
    /// From when to when there was something of it to be heard.
    pub ms: Range<u64>,
    /// The agent's voice was heard when it began.
    pub over_agent: bool,
    /// It was the program, not the caller.
    pub by_program: bool,
}

impl Played {
    /// How long after the end of act `n` the agent was heard, if it was heard before the next act
    /// began, and was not heard in the last 20 ms of the act: what it said before that is no
    /// answer.
    #[must_use]
    pub fn answered_after(&self, n: usize) -> Option<u64> {
        let end = self.acts.get(n)?.ms.end;
        let next = self.next_act(n);
        let mut voices = self.agent.iter().filter(|voice| voice.end > end);
        let voice = voices.next()?;
        let answered = voice.start.checked_sub(end.saturating_sub(20))?;
        (voice.start < next).then_some(answered.saturating_sub(20))
    }

    /// Whether the agent began to speak after act `n` and before the next one had ended, as if the
    /// caller had finished.
    #[must_use]
    pub fn is_cut_off(&self, n: usize) -> bool {
        let (Some(act), Some(next)) = (self.acts.get(n), self.acts.get(n + 1)) else {
            return false;
        };
        let pause = act.ms.end..next.ms.end;
        self.agent.iter().any(|voice| pause.contains(&voice.start))
    }

    /// How long after the onset of act `n` what was left to hear was thrown away.
    #[must_use]
    pub fn cleared_after(&self, n: usize) -> Option<u64> {
        let onset = self.acts.get(n)?.ms.start;
        let next = self.next_act(n);
        let mut clears = self.clears.iter();
        let clear = clears.find(|at| (onset..next).contains(at))?;
        Some(clear - onset)
    }

    /// How long after the end of act `n` the agent was heard again; 0 if it was not silent then.
    #[must_use]
    pub fn resumed_after(&self, n: usize) -> Option<u64> {
        let end = self.acts.get(n)?.ms.end;
        let voice = self.agent.iter().find(|voice| voice.end > end)?;
        (voice.start < self.next_act(n)).then(|| voice.start.saturating_sub(end))
    }

    /// When the caller's next act after `n` begins; the end of time, if there is none.
    fn next_act(&self, n: usize) -> u64 {
        let mut later = self.acts.iter().skip(n + 1);
        let next = later.find(|act| !act.by_program);
        next.map_or(u64::MAX, |act| act.ms.start)
    }

    /// The conversation as `caller: …` and `agent: …`, without the instructions.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let messages = self.conversation.iter();
        let lines = messages.filter_map(|message| match message.role {
            Role::System => None,
            Role::Caller => Some(format!("caller: {}", message.text)),
            Role::Agent => Some(format!("agent: {}", message.text)),
        });
        lines.collect()
    }

    /// The longest the caller heard nothing between a turn of theirs and what they heard next.
    #[must_use]
    pub fn longest_wait(&self) -> u64 {
        let mut longest = 0;
        for (n, act) in self.acts.iter().enumerate() {
            if act.words.is_empty() {
                continue;
            }
            let until = self.next_act(n).min(self.over);
            let mut since = act.ms.end;
            for voice in &self.agent {
                if voice.end > since && voice.start < until {
                    longest = longest.max(voice.start.saturating_sub(since));
                    since = voice.end;
                    break;
                }
            }
            if since == act.ms.end {
                longest = longest.max(until.saturating_sub(since));
            }
        }
        longest
    }

    /// Words of the agent's that the caller heard again after having heard them whole, and words
    /// within what was said that were never heard, though later ones of the same sentence were.
    #[must_use]
    pub fn repeated_and_lost(&self) -> (Vec<&HeardWord>, Vec<String>) {
        let (mut repeated, mut lost) = (Vec::new(), Vec::new());
        for (n, word) in self.agent_words.iter().enumerate() {
            let before = &self.agent_words[..n];
            let same = |w: &&HeardWord| w.sentence == word.sentence;
            if before
                .iter()
                .filter(same)
                .any(|w| w.index == word.index && w.percent >= 90)
                && word.percent >= 50
            {
                repeated.push(word);
            }
            let sentence = &self.sentences[word.sentence];
            let reached = before
                .iter()
                .filter(same)
                .map(|w| w.index + 1)
                .max()
                .unwrap_or(0);
            let skipped = sentence.split(' ').take(word.index).skip(reached);
            lost.extend(skipped.map(str::to_owned));
        }
        (repeated, lost)
    }

    pub(super) fn event(&mut self, now: CallTime, event: CallEvent) {
        self.events.push((now.as_millis(), event));
    }

    pub(super) fn job(&mut self, now: CallTime, job: &Job) {
        let eager = if job.is_eager() { " ahead" } else { "" };
        let what = match job {
            Job::Stt(job) => format!("stt {:?}, {} ms of audio", job.purpose, job.audio.len() / 8),
            Job::Llm(job) => {
                let latest = job.messages.last().map_or("", |message| &message.text);
                format!("llm{eager}, to {latest:?}")
            }
            Job::Tts(job) => format!("tts{eager}, {:?}", job.text),
            Job::Turn(_) => "turn model".to_owned(),
        };
        self.jobs.push((now.as_millis(), what));
    }

    pub(super) fn finish(
        &mut self,
        scenario: &Scenario,
        phone: &Phone,
        voice: &AgentVoice,
        now: CallTime,
    ) {
        let ms = |samples: u64| samples / 8;
        self.over = now.as_millis();
        let acts = phone.begun().iter().map(|begun| PlayedAct {
            what: name_of(&scenario.acts[begun.act].action),
            words: begun.words.clone(),
            ms: ms(begun.onset)..ms(begun.end),
            over_agent: begun.over_agent,
            by_program: matches!(
                scenario.acts[begun.act].action,
                Action::ProgramSays { .. } | Action::ProgramHangsUp(_)
            ),
        });
        self.acts = acts.collect();
        let spans = phone.agent_voice().iter();
        let spans = spans.map(|(start, end)| ms(*start)..end.map_or(self.over, ms));
        self.agent = spans.collect();
        self.clears = phone.clears().iter().map(|at| at.as_millis()).collect();
        self.agent_words = voice.words();
        self.sentences = voice.sentences().into_iter().map(str::to_owned).collect();
        self.underruns = phone.underruns();
    }

    /// What happened, in order, one line each.
    #[must_use]
    pub fn timeline(&self) -> String {
        let mut lines: Vec<(u64, String)> = Vec::new();
        for act in &self.acts {
            lines.push((act.ms.start, format!("CALLER {} {:?}", act.what, act.words)));
            if act.ms.end > act.ms.start {
                lines.push((act.ms.end, format!("       … ends: {}", act.what)));
            }
        }
        for voice in &self.agent {
            lines.push((voice.start, "AGENT  is heard".to_owned()));
            lines.push((voice.end, "AGENT  is silent".to_owned()));
        }
        lines.extend(
            self.clears
                .iter()
                .map(|at| (*at, "       clear".to_owned())),
        );
        for (at, job) in &self.jobs {
            lines.push((*at, format!("         job: {job}")));
        }
        for (at, event) in &self.events {
            let mut event = format!("{event:?}");
            if let Some((name, _)) = event.split_once("counters:") {
                event = name.to_owned();
            }
            lines.push((*at, format!("         event: {event}")));
        }
        lines.sort_by_key(|(at, _)| *at);
        let mut text = String::new();
        for (at, line) in lines {
            let _ = writeln!(text, "{:>7.3}  {line}", at as f64 / 1_000.0);
        }
        for line in self.lines() {
            let _ = writeln!(text, "         {line}");
        }
        let words: Vec<&str> = self.agent_words.iter().map(|w| w.word.as_str()).collect();
        let _ = writeln!(text, "         the ear: {}", words.join(" "));
        text
    }
}

fn name_of(action: &Action) -> String {
    match action {
        Action::Plays { clip, .. } => clip.clone(),
        Action::Presses(keys) => format!("presses {keys}"),
        Action::HangsUp => "hangs up".to_owned(),
        Action::ProgramSays { text, .. } => format!("(program says {text:?})"),
        Action::ProgramHangsUp(text) => format!("(program hangs up: {text:?})"),
    }
}
