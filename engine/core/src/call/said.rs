//! What is said on the legs of people: to turns, to words, to the conversation or to guidance.

use std::{borrow::Cow, time::Duration};

use super::{Call, Owed, Phase};
use crate::{
    bridge::{Heard, Listener, Probed, Utterance},
    conversation::{Message, Role},
    event::{CallEvent, TurnId},
    interruption::Sound,
    io::Output,
    job::{Job, JobId, SttJob, SttPurpose},
    latency::Latency,
    ledger::join,
    person::{Mode, PersonId},
    reply::Delivery,
    transcripts::{Outcome, Speaker},
};

impl Call {
    /// A person's next audio, at their leg's rate.
    pub(super) fn person_audio(
        &mut self,
        id: PersonId,
        pcm: Cow<'_, [i16]>,
        out: &mut Vec<Output>,
    ) {
        let now = self.now;
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let Some(bridge) = &mut talk.bridge else {
            return;
        };
        let next = bridge.next();
        let Some(leg) = bridge.leg(id) else { return };
        if pcm.is_empty() {
            return;
        }
        leg.push(now, next, &pcm);
        if !leg.person.mode.is_transcribed() {
            return;
        }
        for slice in pcm.chunks(leg.tick_len()) {
            let next = TurnId(self.turns + 1);
            let Some(listener) = self.persons_leg(id).and_then(|leg| leg.listener.as_mut()) else {
                return;
            };
            for heard in listener.push(now, slice, next).into_iter().flatten() {
                match heard {
                    Heard::Began { since_onset } => {
                        self.turns = next.0;
                        self.person_speaks(id, next, since_onset, out);
                    }
                    Heard::Ended(utterance) => self.ask_persons_words(id, utterance, out),
                }
            }
        }
    }

    /// A person began to speak. Whom the caller hears, the agent lets speak.
    fn person_speaks(
        &mut self,
        id: PersonId,
        turn: TurnId,
        since_onset: Duration,
        out: &mut Vec<Output>,
    ) {
        let Some(leg) = self.persons_leg(id) else {
            return;
        };
        if !leg.person.mode.is_heard_by_caller() {
            return;
        }
        out.push(Output::Event(CallEvent::PersonSpeaking {
            person: id,
            turn,
        }));
        self.yield_floor(turn, since_onset, Sound::of_words(), out);
        if let Phase::Talking(talk) = &mut self.phase {
            talk.overlaps.forget(turn);
        }
    }

    /// The turn of a person ends, whatever they still want to say.
    pub(super) fn end_persons_turn(&mut self, id: PersonId, out: &mut Vec<Output>) {
        let leg = self.persons_leg(id);
        let utterance = leg
            .and_then(|leg| leg.listener.as_mut())
            .and_then(Listener::end);
        if let Some(utterance) = utterance {
            self.ask_persons_words(id, utterance, out);
        }
    }

    /// No audio comes any more in the middle of a person's turn.
    pub(super) fn people_paused(&mut self, out: &mut Vec<Output>) {
        let now = self.now;
        let Phase::Talking(talk) = &self.phase else {
            return;
        };
        let legs = talk.bridge.iter().flat_map(|bridge| &bridge.legs);
        let paused: Vec<PersonId> = legs
            .filter(|leg| {
                let stalls_at = leg.listener.as_ref().and_then(Listener::stalls_at);
                stalls_at.is_some_and(|at| at <= now)
            })
            .map(|leg| leg.person.id)
            .collect();
        for id in paused {
            self.end_persons_turn(id, out);
        }
    }

    /// What goes on on a leg, and keeps the agent silent, may be no words: looks into those that are due.
    /// Who has taken the call over keeps nobody waiting.
    pub(super) fn probe_people(&mut self, out: &mut Vec<Output>) {
        let (now, config) = (self.now, self.config.clone());
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let is_waited_for = talk.reply.is_some() || talk.owed.is_some();
        let legs = talk.bridge.iter_mut().flat_map(|bridge| &mut bridge.legs);
        for leg in legs.filter(|leg| leg.person.mode == Mode::Barge) {
            let Some(listener) = &mut leg.listener else {
                continue;
            };
            let is_due = listener.probed_at(config.patience.service);
            if is_due.is_none_or(|at| at > now) {
                continue;
            }
            out.extend(listener.give_up_probe().map(Output::Cancel));
            self.jobs += 1;
            let id = JobId(self.jobs);
            if let Some((audio, rate)) = listener.probe(now, id, is_waited_for) {
                let job = SttJob {
                    id,
                    purpose: SttPurpose::Partial,
                    audio,
                    rate,
                    language: config.agent.caller_language(),
                };
                Self::start_job(Job::Stt(job), out);
            }
        }
    }

    /// A transcript of what goes on on a leg came, or failed; `false` if `job` is none.
    pub(super) fn probed(&mut self, job: JobId, text: Option<&str>, out: &mut Vec<Output>) -> bool {
        let now = self.now;
        let Phase::Talking(talk) = &mut self.phase else {
            return false;
        };
        let mut legs = talk.bridge.iter_mut().flat_map(|bridge| &mut bridge.legs);
        let probed = legs.find_map(|leg| {
            let probed = leg.listener.as_mut()?.probed(now, job, text)?;
            Some((leg.person.id, probed))
        });
        if let Some((id, Probed::Ended(utterance))) = probed {
            self.ask_persons_words(id, utterance, out);
            return true;
        }
        probed.is_some()
    }

    fn ask_persons_words(&mut self, id: PersonId, utterance: Utterance, out: &mut Vec<Output>) {
        let Utterance {
            turn,
            audio,
            rate,
            silent,
            probe,
        } = utterance;
        out.extend(probe.map(Output::Cancel));
        let job = self.next_job();
        let now = self.now;
        let language = self.config.agent.caller_language();
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let Some(bridge) = &mut talk.bridge else {
            return;
        };
        let Some(leg) = bridge.leg(id) else { return };
        let name = leg.person.name.clone();
        let is_heard = leg.person.mode.is_heard_by_caller();
        let latency = Latency::new(turn, now.saturating_sub(silent), now);
        let transcripts = if is_heard {
            talk.quiet_since = talk.quiet_since.max(now.saturating_sub(silent));
            &mut talk.transcripts
        } else {
            &mut bridge.guidance
        };
        transcripts.ask_of(Speaker::Person { id, name }, job, turn, now, latency);
        let job = SttJob {
            id: job,
            purpose: SttPurpose::Final,
            audio,
            rate,
            language,
        };
        Self::start_job(Job::Stt(job), out);
    }

    /// The words of a person whom the caller heard. The agent answers the caller; what it was
    /// interrupted in by a person it says again, knowing what they said.
    pub(super) fn person_said(
        &mut self,
        person: PersonId,
        name: String,
        turn: TurnId,
        text: String,
        latency: Latency,
        out: &mut Vec<Output>,
    ) {
        if text.is_empty() {
            return;
        }
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let was_held = talk.reply.as_ref().is_some_and(|reply| {
            matches!(
                reply.delivery,
                Delivery::HeldUnheard | Delivery::Interrupted(_)
            )
        });
        self.abandon_held_reply(out);
        let latest = self.conversation.last_mut();
        match latest.filter(|m| m.role == Role::Person && m.name.as_ref() == Some(&name)) {
            Some(latest) => join(&mut latest.text, &text),
            None => {
                let message = Message::named(Role::Person, name.clone(), text.clone());
                self.conversation.push(message);
            }
        }
        out.push(Output::Event(CallEvent::PersonSaid {
            person,
            name,
            turn,
            text,
        }));
        if let Phase::Talking(talk) = &mut self.phase
            && was_held
            && !talk.handoff.rests()
        {
            talk.owed.get_or_insert(Owed::Answer(latency));
        }
    }

    /// What whisperers said and is known in words now becomes guidance.
    pub(super) fn take_guidance(&mut self, out: &mut Vec<Output>) {
        loop {
            let Phase::Talking(talk) = &mut self.phase else {
                return;
            };
            let Some(bridge) = &mut talk.bridge else {
                return;
            };
            let Some((speaker, _, outcome, _)) = bridge.guidance.next_ready() else {
                break;
            };
            if let (Speaker::Person { id, name }, Outcome::Words(text)) = (speaker, outcome) {
                self.guide(name, Some(id), text, out);
            }
        }
        self.drop_idle_bridge();
    }

    /// Guidance for the agent alone.
    pub(super) fn guide(
        &mut self,
        from: String,
        person: Option<PersonId>,
        text: String,
        out: &mut Vec<Output>,
    ) {
        if text.trim().is_empty() {
            return;
        }
        let message = Message::named(Role::Guidance, from.clone(), text.clone());
        self.conversation.push(message);
        out.push(Output::Event(CallEvent::AgentGuided { from, person, text }));
    }
}
