//! Work done ahead: in a pause that may be the end of the caller's turn, the call asks for the
//! final transcript and the turn model's judgement, and for the answer and its first words.
//!
//! Nothing of it is heard, told or remembered before the turn has ended. If the caller goes on, it
//! is cancelled and forgotten; if it fails, it is asked for again at the end of the turn.

use std::time::Duration;

use super::{Call, Partial, Phase, Talk};
use crate::{
    config::TurnModel,
    conversation::{Message, Role},
    event::CallEvent,
    io::Output,
    job::{Expect, Job, JobId, LlmJob, SttJob, SttPurpose, TurnEvent, TurnJob},
    latency::Latency,
    ledger::join,
    reply::{Delivery, Reply},
    time::CallTime,
};

/// How much of a turn the turn model hears.
const MODEL_HEARS: Duration = Duration::from_secs(8);

/// What was asked for in the present pause.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// When the pause was noticed.
    since: Option<CallTime>,
    pub(super) words: Words,
    model: Option<JobId>,
}

/// The transcript of the turn up to the pause.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Words {
    /// There is none.
    #[default]
    None,
    /// It is on its way.
    Asked { job: JobId, asked: CallTime },
    /// It came.
    Heard {
        job: JobId,
        asked: CallTime,
        at: CallTime,
        text: String,
    },
}

impl Call {
    /// What kind of answer was asked for.
    pub(super) fn expected(&self) -> Option<Expect> {
        let Phase::Talking(talk) = &self.phase else {
            return None;
        };
        let being_said = talk.reply.as_ref().and_then(|reply| reply.expect);
        being_said.or(talk.expect)
    }

    /// The caller paused in the middle of a turn, or at its end.
    pub(super) fn caller_paused(&mut self, out: &mut Vec<Output>) {
        let (words, model) = (self.next_job(), self.next_job());
        let now = self.now;
        let config = &self.config;
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        if talk.reply.as_ref().is_some_and(Reply::is_farewell) {
            return;
        }
        talk.ahead.since = Some(now);
        if config.eager.enabled {
            talk.stop_partial(out);
            talk.ahead.words = Words::Asked {
                job: words,
                asked: now,
            };
            talk.endpointing.await_text();
            let job = SttJob {
                id: words,
                purpose: SttPurpose::Eager,
                audio: talk.hearing.utterance(),
                rate: talk.hearing.rate(),
                language: config.agent.caller_language(),
            };
            Self::start_job(Job::Stt(job), out);
        }
        if config.endpointing.model != TurnModel::None {
            talk.ahead.model = Some(model);
            let job = TurnJob {
                id: model,
                audio: talk.hearing.latest(MODEL_HEARS),
                rate: talk.hearing.rate(),
            };
            Self::start_job(Job::Turn(job), out);
        }
        if !config.eager.enabled {
            self.ask_partial_in_pause(out);
        }
    }

    /// A partial transcript of the turn up to the pause tells whether it is one.
    fn ask_partial_in_pause(&mut self, out: &mut Vec<Output>) {
        if self.config.partials.interval_ms > 0 && self.config.endpointing.text {
            self.ask_partial(out);
        }
    }

    /// The caller went on after a pause.
    pub(super) fn caller_resumed(&mut self, pause: Duration, out: &mut Vec<Output>) {
        self.drop_ahead(out);
        let next_partial = self.next_partial();
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        talk.stop_ahead(out);
        talk.endpointing.resumed(pause);
        if talk.partial == Partial::Off {
            talk.partial = next_partial;
        }
    }

    /// The transcript up to the pause came; `false` if it is not what `job` is about.
    pub(super) fn words_ahead(
        &mut self,
        job: JobId,
        text: Option<&str>,
        out: &mut Vec<Output>,
    ) -> bool {
        let now = self.now;
        let Phase::Talking(talk) = &mut self.phase else {
            return false;
        };
        let asked = match talk.ahead.words {
            Words::Asked { job: id, asked } if id == job => asked,
            _ => return false,
        };
        let Some(text) = text else {
            // The final transcript will be asked for when the turn has ended.
            talk.ahead.words = Words::None;
            talk.endpointing.no_text();
            self.ask_partial_in_pause(out);
            self.weigh_pause(out);
            return true;
        };
        talk.ahead.words = Words::Heard {
            job,
            asked,
            at: now,
            text: text.to_owned(),
        };
        talk.endpointing.text(text);
        if !text.is_empty() && !talk.endpointing.breaks_off() {
            self.answer_ahead(text, out);
        }
        self.weigh_pause(out);
        self.words_stand_still(job, asked, text, out);
        true
    }

    /// A partial transcript came that was asked for at `asked`.
    pub(super) fn partial_in_pause(&mut self, asked: CallTime, text: &str, out: &mut Vec<Output>) {
        if let Phase::Talking(talk) = &mut self.phase
            && talk.ahead.since.is_some_and(|since| asked >= since)
            && talk.ahead.words == Words::None
        {
            talk.endpointing.text(text);
            self.weigh_pause(out);
        }
    }

    /// The turn model has judged the pause, or could not.
    pub(super) fn model_judged(&mut self, job: JobId, event: &TurnEvent, out: &mut Vec<Output>) {
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        if talk.ahead.model != Some(job) {
            return;
        }
        talk.ahead.model = None;
        // Without its judgement the others decide.
        if let TurnEvent::Complete { probability } = event {
            talk.endpointing.model(*probability);
            self.weigh_pause(out);
        }
    }

    /// Ends the turn if its silence is long enough for what is known now.
    fn weigh_pause(&mut self, out: &mut Vec<Output>) {
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        if let Some(ended) = talk.turn.end_after(talk.endpointing.wanted()) {
            self.turn_ended(ended, out);
        }
    }

    /// Has the answer to `words` written, if nothing else is on its way to the caller.
    fn answer_ahead(&mut self, words: &str, out: &mut Vec<Output>) {
        let now = self.now;
        let job = self.next_job();
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let Some(turn) = talk.turn.current() else {
            return;
        };
        let is_free = talk.reply.is_none()
            && talk.owed.is_none()
            && talk.transcripts.is_empty()
            && !talk.handoff.rests()
            && !talk.keypad.is_pressing()
            && !talk.is_audible(now);
        if !is_free {
            return;
        }
        let latency = Latency::new(turn, now, now);
        self.set_reply(Reply::written_ahead(job, turn, now, latency));
        let mut messages = self.conversation.clone();
        add_words(&mut messages, words);
        let job = LlmJob {
            id: job,
            messages: messages.into(),
            language: self.config.agent.language.clone(),
            eager: true,
        };
        Self::start_job(Job::Llm(job), out);
    }

    /// The turn that was answered ahead has ended; `false` if it was not answered ahead.
    pub(super) fn confirm_ahead(&mut self, latency: Latency, out: &mut Vec<Output>) -> bool {
        let answers = latency.turn();
        let is_answer = |reply: &Reply| reply.delivery == Delivery::Ahead { answers };
        let Phase::Talking(talk) = &self.phase else {
            return false;
        };
        if !talk.reply.as_ref().is_some_and(is_answer) {
            return false;
        }
        let turn = self.next_turn();
        let Phase::Talking(talk) = &mut self.phase else {
            return false;
        };
        if let Some(reply) = &mut talk.reply {
            reply.turn = turn;
            reply.delivery = Delivery::Waiting;
            reply.latency = reply.latency.map(|ahead| latency.with_answer(ahead));
            for text in reply.prepared.drain(..) {
                out.push(Output::Event(CallEvent::AgentSentence { turn, text }));
            }
        }
        true
    }

    /// Forgets an answer made ahead; whether there was one.
    pub(super) fn drop_ahead(&mut self, out: &mut Vec<Output>) -> bool {
        let Phase::Talking(talk) = &self.phase else {
            return false;
        };
        let is_ahead = talk.reply.as_ref().is_some_and(Reply::is_ahead);
        if is_ahead {
            self.abandon_reply(out);
        }
        is_ahead
    }
}

impl Talk {
    /// Nothing that was asked for in the present pause is needed.
    pub(super) fn stop_ahead(&mut self, out: &mut Vec<Output>) {
        if let Words::Asked { job, .. } = self.take_ahead(out) {
            out.push(Output::Cancel(job));
        }
    }

    /// The pause is over; what became of its words.
    pub(super) fn take_ahead(&mut self, out: &mut Vec<Output>) -> Words {
        let ahead = std::mem::take(&mut self.ahead);
        out.extend(ahead.model.map(Output::Cancel));
        ahead.words
    }
}

/// Words of the caller that no answer stands between belong to the same message.
pub(super) fn add_words(conversation: &mut Vec<Message>, words: &str) {
    match conversation.last_mut() {
        Some(last) if last.role == Role::Caller => join(&mut last.text, words),
        _ => conversation.push(Message::new(Role::Caller, words.to_owned())),
    }
}
