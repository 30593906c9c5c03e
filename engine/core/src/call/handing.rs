//! The call between the agent and people: handed over, handed back, paused.
//!
//! Whoever gets the call, nobody speaks into the other's words: the agent stops in the step in which
//! a person takes over, and speaks again only when they are gone. What happens is noted in the
//! conversation, so that the agent knows.

use std::{sync::Arc, time::Duration};

use super::{Call, Owed, Phase, Talk};
use crate::{
    config::CallConfig,
    conversation::{Message, Role},
    event::{BackReason, CallEvent, UnpauseReason},
    handoff::connecting,
    io::{Command, Output},
    person::{LeaveReason, Mode, PersonId},
    reply::Reply,
    sentence::has_words,
    time::CallTime,
    timer::{Earliest, Timer},
    tones,
};

impl Call {
    pub(super) fn is_taken_over(&self) -> bool {
        match &self.phase {
            Phase::Talking(talk) => talk.handoff.is_taken_over(),
            _ => false,
        }
    }

    /// `who` joined in, took over, changed over or is gone. `back` says why, if the call is the
    /// agent's again by that.
    pub(super) fn speakers_changed(
        &mut self,
        id: PersonId,
        who: &str,
        back: BackReason,
        out: &mut Vec<Output>,
    ) {
        let now = self.now;
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let was_taken_over = talk.handoff.is_taken_over();
        let first = {
            let mut speakers = talk.bridge.iter().flat_map(|bridge| bridge.speakers());
            let first = talk.holder().or(speakers.next().map(|leg| &leg.person));
            first.map(|person| (person.id, person.mode))
        };
        let is_news = talk.handoff.speakers(now, first);
        let is_taken_over = talk.handoff.is_taken_over();
        let state = talk.handoff.state();
        if is_taken_over && !was_taken_over {
            self.silence_agent(out);
            self.counters.takeovers += 1;
        }
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        talk.playout.set_live(first.is_some());
        if !is_news {
            return;
        }
        let is_back = first.is_none();
        if is_back {
            // The caller has been waiting for the agent since now, and so has what it is to say.
            talk.quiet_since = talk.quiet_since.max(now);
            for waiting in &mut self.announcements {
                waiting.since = now;
            }
        }
        out.push(Output::Event(CallEvent::Handoff {
            state,
            back: is_back.then_some(back),
        }));
        match (first, was_taken_over) {
            (Some((_, Mode::Takeover)), _) => {
                self.note(format!("{who} has taken the call over from you."));
            }
            (Some((first, _)), false) if first == id => {
                self.note(format!(
                    "{who} is on the call, and the caller hears both of you."
                ));
            }
            (_, false) => {
                self.note(format!("{who} does not take part in the call any more."));
            }
            (_, true) => {
                let what = match back {
                    BackReason::Left | BackReason::Stalled => "is not on the line any more",
                    _ => "has handed the call back",
                };
                self.give_back(format!(
                    "{who} {what}: the call is yours again. Tell the caller that you are there \
                     again, in a sentence, and go on from what was said."
                ));
            }
        }
    }

    /// The agent has the call again and says so.
    fn give_back(&mut self, note: String) {
        self.note(note);
        let within = Duration::from_millis(self.config.handoff.resume_within_ms.into());
        let now = self.now;
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        talk.handoff.is_due(now + within);
        // Until now the caller waited for nobody, or for somebody else.
        talk.quiet_since = talk.quiet_since.max(now);
        if !talk.handoff.rests() {
            talk.owed.get_or_insert(Owed::Word);
        }
    }

    /// What happened on the line, for the agent.
    fn note(&mut self, text: String) {
        self.conversation.push(Message::new(Role::Note, text));
    }

    /// The agent stops at once; what the caller heard of it stays. Nothing is owed any more.
    fn silence_agent(&mut self, out: &mut Vec<Output>) {
        self.abandon_reply(out);
        let now = self.now;
        if let Phase::Talking(talk) = &mut self.phase {
            if talk.playout.has_sent() || talk.playout.has_queued() {
                talk.playout.clear(now, out);
            }
            talk.tones_end = talk.tones_end.min(now);
            talk.owed = None;
            talk.fillers = 0;
        }
    }

    pub(super) fn pause_agent(&mut self, out: &mut Vec<Output>) {
        let now = self.now;
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        // The end of the call is decided already.
        if talk.reply.as_ref().is_some_and(Reply::is_farewell) || !talk.handoff.pause(now) {
            return;
        }
        talk.quiet_since = talk.quiet_since.max(now);
        self.silence_agent(out);
        out.push(Output::Event(CallEvent::AgentPaused));
    }

    pub(super) fn resume_agent(&mut self, reason: UnpauseReason, out: &mut Vec<Output>) {
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        if !talk.handoff.unpause() {
            return;
        }
        out.push(Output::Event(CallEvent::AgentUnpaused { reason }));
        if !self.is_taken_over() {
            self.give_back(
                "You were paused for a while, and take part again. Go on from what was said, in \
                 a sentence."
                    .into(),
            );
        }
    }

    /// Somebody is to be called to the phone.
    pub(super) fn request_handoff(&mut self, say: Option<String>, out: &mut Vec<Output>) {
        let until = self.ring_until();
        let config = self.config.clone();
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        if !talk.handoff.request(until) {
            return;
        }
        self.tell_handoff(None, out);
        self.note(
            "A colleague of yours is being called to the phone. Until they come, keep the caller \
             company."
                .into(),
        );
        let own = || connecting(&config.handoff.connecting, &config.agent.language).to_owned();
        let text = say.filter(|text| has_words(text)).unwrap_or_else(own);
        self.say(text, true, out);
    }

    pub(super) fn handoff_ringing(&mut self, out: &mut Vec<Output>) {
        let until = self.ring_until();
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        if talk.handoff.ring(until) {
            self.tell_handoff(None, out);
        }
    }

    /// Nobody comes.
    pub(super) fn handoff_failed(
        &mut self,
        reason: BackReason,
        say: Option<String>,
        out: &mut Vec<Output>,
    ) {
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        if !talk.handoff.fail() {
            return;
        }
        self.tell_handoff(Some(reason), out);
        match say.filter(|text| has_words(text)) {
            Some(text) => {
                self.note("Nobody came to the phone: the call stays with you.".into());
                self.say(text, true, out);
            }
            None => self.give_back(
                "Nobody came to the phone: the call stays with you. Tell the caller, in a \
                 sentence, and go on."
                    .into(),
            ),
        }
    }

    /// The call is the agent's again; who spoke with the caller listens on.
    pub(super) fn hand_back(&mut self, person: Option<PersonId>, out: &mut Vec<Output>) {
        let Phase::Talking(talk) = &self.phase else {
            return;
        };
        let speakers = talk.bridge.iter().flat_map(|bridge| bridge.speakers());
        let speakers: Vec<PersonId> = speakers
            .map(|leg| leg.person.id)
            .filter(|id| person.is_none_or(|person| person == *id))
            .collect();
        for id in speakers {
            self.set_mode(id, Mode::Monitor, out);
        }
    }

    /// The leg of who took over sends no audio any more.
    pub(super) fn person_stalled(&mut self, out: &mut Vec<Output>) {
        let holder = match &self.phase {
            Phase::Talking(talk) => talk.holder().map(|holder| holder.id),
            _ => None,
        };
        if let Some(id) = holder {
            self.person_leaves(id, LeaveReason::Stalled, out);
        }
    }

    /// The agent got the call back and is not heard yet.
    pub(super) fn back_due(&mut self, out: &mut Vec<Output>) {
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        talk.handoff.is_settled();
        if talk.others_have_floor() {
            return;
        }
        let phrases = &self.config.phrases;
        // Who brings phrases of their own may have none for this.
        let phrase = if phrases.back.audio.is_empty() {
            &phrases.hold
        } else {
            &phrases.back
        };
        let audio = Arc::clone(&phrase.audio);
        self.interject(&audio, out);
    }

    /// The caller has waited without a word.
    pub(super) fn keep_company(&mut self, out: &mut Vec<Output>) {
        let audio = Arc::clone(&self.config.phrases.hold.audio);
        self.interject(&audio, out);
    }

    /// Says something that needs no service.
    fn interject(&mut self, audio: &[i16], out: &mut Vec<Output>) {
        let now = self.now;
        if let Phase::Talking(talk) = &mut self.phase {
            talk.quiet_since = now;
            talk.playout.interject(audio);
        }
        self.speak(out);
    }

    /// Plays the tones of keys to the caller.
    pub(super) fn send_digits(&mut self, digits: &str, out: &mut Vec<Output>) {
        let digits = tones::playable(digits, Command::MAX_DIGITS);
        let now = self.now;
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        if digits.is_empty() {
            return;
        }
        let pcm = tones::tones(&digits);
        talk.tones_end = talk.playout.interject_until(now, &pcm);
        out.push(Output::Event(CallEvent::DigitsSent { digits }));
        self.speak(out);
    }

    fn tell_handoff(&mut self, back: Option<BackReason>, out: &mut Vec<Output>) {
        if let Phase::Talking(talk) = &self.phase {
            let state = talk.handoff.state();
            out.push(Output::Event(CallEvent::Handoff { state, back }));
        }
    }

    fn ring_until(&self) -> CallTime {
        self.now + Duration::from_millis(self.config.handoff.ring_timeout_ms.into())
    }
}

impl Talk {
    pub(super) fn handing_timers(
        &self,
        now: CallTime,
        config: &CallConfig,
        earliest: &mut Earliest,
    ) {
        let ms = |ms: u32| Duration::from_millis(ms.into());
        let config = &config.handoff;
        // The tones of keys may still be playing, and their marks may never come back.
        let due = self.handoff.due();
        let due = due.map(|due| due.max(self.playout.play_end()));
        earliest.consider(Timer::Back, due);
        earliest.consider(Timer::Ring, self.handoff.ring_deadline());
        if self.handoff.caller_waits() && self.is_idle() && !self.is_audible(now) {
            let quiet = self.quiet_since.max(self.playout.play_end());
            earliest.consider(Timer::Company, Some(quiet + ms(config.company_ms)));
        }
        if config.pause_limit_ms > 0 {
            let paused = self.handoff.paused_alone_since();
            let limit = paused.map(|since| since + ms(config.pause_limit_ms));
            earliest.consider(Timer::Paused, limit);
        }
    }
}
