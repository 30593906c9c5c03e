//! What the agent is about to say, is saying, or was interrupted in.

use std::{collections::VecDeque, time::Duration};

use crate::{
    config::Phrase,
    event::{EndReason, TurnId},
    interruption::Sound,
    job::{Expect, JobId},
    latency::Latency,
    sentence::Splitter,
    time::CallTime,
};

/// A reply longer than this many bytes is cut: nobody listens to five minutes of speech.
const LONGEST: usize = 6_000;

/// A caller who goes on after so many words of the agent was not answered.
const RETRACTED: usize = 2;

/// One turn of the agent: text comes in from the language model (or is there from the start),
/// leaves in sentences to the voice, and is heard.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) turn: TurnId,
    pub(crate) text: Text,
    pub(crate) voice: Voice,
    pub(crate) delivery: Delivery,
    pub(crate) ending: Ending,
    pub(crate) latency: Option<Latency>,
    /// What was heard of it before an interruption that turned out to be none.
    pub(crate) heard: String,
    /// What the program wants said, until some of it was sent.
    pub(crate) announcement: Option<Announcement>,
    /// The caller does not wait for it since before then.
    pub(crate) waited_since: CallTime,
    /// Whether the caller can stop it.
    pub(crate) interruptible: bool,
    /// Whether it begins, and goes on after an interruption, only while nobody else speaks.
    pub(crate) lets_speak: bool,
    /// Where it was stopped last.
    pub(crate) stopped: Option<Stopped>,
    /// Whether it began too early.
    pub(crate) timing: Timing,
    /// What kind of answer it asks for.
    pub(crate) expect: Option<Expect>,
    /// What the voice was given ahead, while it is not certain that it will be said.
    pub(crate) prepared: Vec<String>,
    splitter: Splitter,
    pieces: VecDeque<Piece>,
    length: usize,
}

/// A piece of what the agent says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Piece {
    /// A sentence for the voice.
    Sentence(String),
    /// Words that need no voice, since their audio is there.
    Phrase(Phrase),
}

impl Piece {
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Sentence(text) | Self::Phrase(Phrase { text, .. }) => text,
        }
    }
}

/// Where the text comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    /// The language model is writing.
    Writing { job: JobId, progressed: CallTime },
    /// All of it is there.
    Written,
}

/// What the voice is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Voice {
    /// Between sentences.
    Idle,
    /// Asked for a sentence, of which nothing came yet.
    Asked { job: JobId, progressed: CallTime },
    /// In the middle of a sentence.
    Speaking { job: JobId, progressed: CallTime },
}

/// How far the reply is on its way to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// It answers this turn of the caller, which may not have ended; nothing of it was sent.
    Ahead { answers: TurnId },
    /// Nothing of it was sent.
    Waiting,
    /// The caller hears it.
    Audible,
    /// The caller began to speak before hearing any of it.
    HeldUnheard,
    /// The caller stopped it, by this sound.
    Interrupted(Sound),
    /// The interruption was none; nothing of the rest was sent yet.
    Resuming,
}

/// Whether a reply came when it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timing {
    /// It answers nothing the caller said.
    Unasked,
    /// It answers the caller, who had finished as far as is known.
    InTurn,
    /// The caller went on: it came too early.
    TooEarly,
}

/// Where a reply was stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stopped {
    /// Whether a mere "yes" answers it there.
    pub(crate) can_be_answered: bool,
    /// What the caller has heard of it, and the rest of its sentence.
    pub(crate) saying: String,
}

/// Something that the program wants said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Announcement {
    pub(crate) text: String,
    pub(crate) interruptible: bool,
    /// Since when the agent could say it but for others who speak.
    pub(crate) since: CallTime,
}

impl Announcement {
    /// When it, if it may not be interrupted, has waited for others to finish for as long as they may take.
    pub(crate) fn overdue_at(&self, longest: Duration) -> Option<CallTime> {
        (!self.interruptible).then(|| self.since + longest)
    }

    /// That was before, or is now.
    pub(crate) fn is_overdue(&self, now: CallTime, longest: Duration) -> bool {
        self.overdue_at(longest).is_some_and(|at| at <= now)
    }
}

/// What follows when the reply was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The caller's turn.
    Listen,
    /// The end of the call.
    HangUp(EndReason),
}

impl Reply {
    /// A reply that the language model will write.
    pub(crate) fn written_by(job: JobId, turn: TurnId, now: CallTime, latency: Latency) -> Self {
        Self {
            latency: Some(latency),
            timing: Timing::InTurn,
            ..Self::new(
                turn,
                Text::Writing {
                    job,
                    progressed: now,
                },
            )
        }
    }

    /// A reply that the language model will write though nobody asked anything.
    pub(crate) fn written_unasked(job: JobId, turn: TurnId, now: CallTime) -> Self {
        let progressed = now;
        Self::new(turn, Text::Writing { job, progressed })
    }

    /// A reply to a turn that may not have ended. It gets a turn of its own once it has.
    pub(crate) fn written_ahead(
        job: JobId,
        answers: TurnId,
        now: CallTime,
        latency: Latency,
    ) -> Self {
        Self {
            delivery: Delivery::Ahead { answers },
            ..Self::written_by(job, TurnId::default(), now, latency)
        }
    }

    /// A reply whose text is there.
    pub(crate) fn of_text(turn: TurnId, text: &str) -> Self {
        let mut reply = Self::new(turn, Text::Written);
        reply.split(text);
        reply.finish_text();
        reply
    }

    /// A reply that says what the program wants said.
    pub(crate) fn announcing(turn: TurnId, announcement: Announcement) -> Self {
        Self {
            interruptible: announcement.interruptible,
            ..Self::of_text(turn, &announcement.text)
        }
        .until_sent(announcement)
    }

    fn until_sent(mut self, announcement: Announcement) -> Self {
        self.announcement = Some(announcement);
        self
    }

    fn new(turn: TurnId, text: Text) -> Self {
        Self {
            turn,
            text,
            voice: Voice::Idle,
            delivery: Delivery::Waiting,
            ending: Ending::Listen,
            latency: None,
            heard: String::new(),
            announcement: None,
            waited_since: CallTime::ZERO,
            interruptible: true,
            lets_speak: true,
            stopped: None,
            timing: Timing::Unasked,
            expect: None,
            prepared: Vec::new(),
            splitter: Splitter::default(),
            pieces: VecDeque::new(),
            length: 0,
        }
    }

    /// Takes the next piece of text; `false` once there is too much of it.
    pub(crate) fn write(&mut self, delta: &str) -> bool {
        let fits = delta.floor_char_boundary(LONGEST - self.length);
        self.length += fits;
        self.split(&delta[..fits]);
        fits == delta.len()
    }

    fn split(&mut self, text: &str) {
        let pieces = &mut self.pieces;
        self.splitter
            .push(text, |sentence| pieces.push_back(Piece::Sentence(sentence)));
    }

    /// There is no more text.
    pub(crate) fn finish_text(&mut self) {
        let pieces = &mut self.pieces;
        self.splitter
            .finish(|sentence| pieces.push_back(Piece::Sentence(sentence)));
        self.text = Text::Written;
    }

    /// The next piece, unless the reply is held or the voice is busy. Of a reply made ahead only
    /// the first is spoken.
    pub(crate) fn next_piece(&mut self) -> Option<Piece> {
        let may_speak = if self.is_ahead() {
            self.prepared.is_empty()
        } else {
            !self.is_held()
        };
        if !may_speak || self.voice != Voice::Idle {
            return None;
        }
        self.pieces.pop_front()
    }

    /// It answers a turn that may not have ended.
    pub(crate) fn is_ahead(&self) -> bool {
        matches!(self.delivery, Delivery::Ahead { .. })
    }

    /// Says `phrase` after everything else.
    pub(crate) fn append(&mut self, phrase: &Phrase) {
        if !phrase.audio.is_empty() {
            self.pieces.push_back(Piece::Phrase(phrase.clone()));
        }
    }

    /// The voice works on it as `id`.
    pub(crate) fn is_voiced_by(&self, id: JobId) -> bool {
        self.voice_job() == Some(id)
    }

    /// A sentence is ready for the voice.
    pub(crate) fn has_sentence(&self) -> bool {
        !self.pieces.is_empty()
    }

    /// All of it was given to the caller's leg.
    pub(crate) fn is_spoken(&self) -> bool {
        self.text == Text::Written && self.voice == Voice::Idle && self.pieces.is_empty()
    }

    /// Whoever speaks is let speak: what comes next of it would be its first sound, or the first after
    /// an interruption.
    pub(crate) fn may_not_begin_over_others(&self) -> bool {
        let begins = matches!(self.delivery, Delivery::Waiting | Delivery::Resuming);
        self.lets_speak && begins
    }

    /// The caller has the floor; the reply waits to hear what becomes of it.
    pub(crate) fn is_held(&self) -> bool {
        matches!(
            self.delivery,
            Delivery::Ahead { .. } | Delivery::HeldUnheard | Delivery::Interrupted(_)
        )
    }

    /// The caller went on right after the end of the turn that it answers.
    pub(crate) fn caller_went_on(&mut self) {
        if self.timing == Timing::InTurn && self.is_held() {
            self.timing = Timing::TooEarly;
        }
    }

    /// So little was heard of it, and so much too early, that it is better not remembered.
    pub(crate) fn is_to_be_retracted(&self) -> bool {
        let words = self.heard.split_whitespace().count();
        self.timing == Timing::TooEarly && self.is_held() && (1..=RETRACTED).contains(&words)
    }

    /// It goes on whoever speaks: what the caller says meanwhile is answered afterwards.
    pub(crate) fn is_uninterruptible(&self) -> bool {
        !self.interruptible && !self.is_held()
    }

    /// The end of the call is decided: not to be interrupted any more. That the agent wants to hang
    /// up is decided only when the caller hears it; until then they may still have something to say.
    pub(crate) fn is_farewell(&self) -> bool {
        match self.ending {
            Ending::Listen => false,
            Ending::HangUp(EndReason::AgentHungUp) => self.delivery == Delivery::Audible,
            // A caller who speaks after all stays.
            Ending::HangUp(EndReason::CallerSilent) => false,
            Ending::HangUp(_) => true,
        }
    }

    /// The caller takes the floor by `sound`; what comes next has to wait.
    pub(crate) fn hold(&mut self, sound: Sound) {
        self.delivery = match self.delivery {
            ahead @ Delivery::Ahead { .. } => ahead,
            Delivery::Waiting | Delivery::HeldUnheard => Delivery::HeldUnheard,
            Delivery::Audible | Delivery::Interrupted(_) | Delivery::Resuming => {
                Delivery::Interrupted(sound)
            }
        };
    }

    /// The caller gives the floor back without having said a word.
    pub(crate) fn release(&mut self) {
        self.delivery = match self.delivery {
            Delivery::HeldUnheard => Delivery::Waiting,
            Delivery::Interrupted(_) => Delivery::Resuming,
            unchanged @ (Delivery::Ahead { .. }
            | Delivery::Waiting
            | Delivery::Audible
            | Delivery::Resuming) => unchanged,
        };
    }

    /// What follows is the end of the call, for the reason that is set already, else for `reason`. A
    /// farewell that was ordered is said whoever speaks.
    pub(crate) fn say_goodbye(&mut self, reason: EndReason) {
        if self.ending == Ending::Listen {
            self.ending = Ending::HangUp(reason);
        }
        self.lets_speak = self.ending != Ending::HangUp(EndReason::Commanded);
        self.release();
    }

    /// All its text is there, and it is none.
    pub(crate) fn says_nothing(&self) -> bool {
        self.text == Text::Written && self.splitter.given() == 0
    }

    /// Nothing that is not spoken yet will be.
    pub(crate) fn drop_rest(&mut self) {
        self.splitter = Splitter::default();
        self.pieces.clear();
        self.text = Text::Written;
        self.voice = Voice::Idle;
        self.latency = None;
    }

    /// The jobs that work on it.
    pub(crate) fn jobs(&self) -> impl Iterator<Item = JobId> + use<> {
        let llm = match self.text {
            Text::Writing { job, .. } => Some(job),
            Text::Written => None,
        };
        llm.into_iter().chain(self.voice_job())
    }

    /// The job of the voice.
    pub(crate) fn voice_job(&self) -> Option<JobId> {
        match self.voice {
            Voice::Asked { job, .. } | Voice::Speaking { job, .. } => Some(job),
            Voice::Idle => None,
        }
    }
}
