//! The legs of people on the call: who comes, what they do, and when they go.

use std::time::Duration;

use super::{Call, Phase, Talk};
use crate::{
    bridge::{Bridge, Leg, Listener},
    config::CallConfig,
    event::{BackReason, CallEvent, EndReason},
    handoff::{CallState, Floor},
    io::Output,
    person::{
        BridgeQuality, Join, LeaveReason, Mode, Person, PersonId, PersonInput, PersonOutput,
        Refusal,
    },
    reply::Reply,
    time::CallTime,
    timer::{Earliest, Timer},
};

impl Call {
    /// The call at a glance.
    #[must_use]
    pub fn state(&self) -> CallState {
        let talk = match &self.phase {
            Phase::Connecting { .. } => return CallState::default(),
            Phase::Ended => {
                return CallState {
                    started: true,
                    ended: true,
                    ..CallState::default()
                };
            }
            Phase::Talking(talk) => talk,
        };
        let bridge = talk.bridge.as_deref();
        let legs = bridge.map(|bridge| bridge.legs.as_slice());
        let people = legs.unwrap_or_default().iter();
        CallState {
            started: true,
            ended: false,
            floor: talk.floor(self.now),
            handoff: talk.handoff.state(),
            paused: talk.handoff.is_paused(),
            recording: bridge.is_some_and(|bridge| bridge.recording),
            unsaid: self.unsaid(),
            people: people.map(|leg| leg.person.clone()).collect(),
        }
    }

    /// How the audio of each leg fares in the bridge: the caller's first, then those of people in
    /// the order they came. Empty while there is no bridge.
    #[must_use]
    pub fn bridge_quality(&self) -> Vec<(Option<PersonId>, BridgeQuality)> {
        let bridge = match &self.phase {
            Phase::Talking(talk) => talk.bridge.as_deref(),
            _ => None,
        };
        bridge.map_or_else(Vec::new, |bridge| {
            let people = bridge.legs.iter();
            let people = people.map(|leg| (Some(leg.person.id), leg.quality()));
            std::iter::once((None, bridge.caller_quality()))
                .chain(people)
                .collect()
        })
    }

    /// A person's leg does something.
    pub(super) fn person(&mut self, id: PersonId, input: PersonInput<'_>, out: &mut Vec<Output>) {
        match input {
            PersonInput::Join(join) => self.person_joins(id, join, out),
            PersonInput::Audio(pcm) => self.person_audio(id, pcm, out),
            PersonInput::Mode(mode) => self.person_wants(id, mode, out),
            PersonInput::Left => self.person_leaves(id, LeaveReason::Left, out),
        }
    }

    fn person_joins(&mut self, id: PersonId, join: Join, out: &mut Vec<Output>) {
        if let Err(reason) = self.admit(id, join, out) {
            self.refuse(id, reason, out);
        }
    }

    fn admit(
        &mut self,
        id: PersonId,
        mut join: Join,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        if self.latest_person.is_some_and(|latest| id <= latest) {
            return Err(Refusal::Id);
        }
        self.latest_person = Some(id);
        let Phase::Talking(talk) = &self.phase else {
            return Err(Refusal::NotStarted);
        };
        join.name = join.name.trim().to_owned();
        if join.name.is_empty() || join.name.len() > Join::MAX_NAME {
            return Err(Refusal::Name);
        }
        let max = self.config.handoff.max_people;
        let people = talk.bridge.as_ref().map_or(0, |bridge| bridge.legs.len());
        if u32::try_from(people).is_ok_and(|people| people >= max) {
            return Err(Refusal::TooMany { max });
        }
        self.may(id, join.mode, join.rank)?;
        let now = self.now;
        let Phase::Talking(talk) = &mut self.phase else {
            return Err(Refusal::NotStarted);
        };
        let (name, mode, rank) = (join.name.clone(), join.mode, join.rank);
        let bridge = talk.bridge(now);
        let leg = Leg::new(id, join, bridge.rate(), bridge.frame(), now)?;
        bridge.legs.push(leg);
        self.counters.people += 1;
        out.push(Output::Person {
            id,
            output: PersonOutput::Joined { mode },
        });
        out.push(Output::Event(CallEvent::PersonJoined {
            person: id,
            name,
            mode,
            rank,
        }));
        self.mode_begins(id, mode, BackReason::HandedBack, out);
        Ok(())
    }

    fn refuse(&mut self, person: PersonId, refusal: Refusal, out: &mut Vec<Output>) {
        out.push(Output::Person {
            id: person,
            output: PersonOutput::Refused { reason: refusal },
        });
        out.push(Output::Event(CallEvent::PersonRefused { person, refusal }));
        self.drop_idle_bridge();
    }

    /// Whether a person of `rank` may be in `mode`.
    fn may(&self, id: PersonId, mode: Mode, rank: u8) -> Result<(), Refusal> {
        let Phase::Talking(talk) = &self.phase else {
            return Err(Refusal::NotStarted);
        };
        if mode != Mode::Takeover {
            return Ok(());
        }
        if talk.reply.as_ref().is_some_and(Reply::is_farewell) {
            return Err(Refusal::Ending);
        }
        match talk.holder() {
            Some(holder) if holder.id != id && holder.rank >= rank => {
                Err(Refusal::TakenOver { by: holder.id })
            }
            _ => Ok(()),
        }
    }

    fn person_wants(&mut self, id: PersonId, mode: Mode, out: &mut Vec<Output>) {
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let Some(leg) = talk.bridge.as_mut().and_then(|bridge| bridge.leg(id)) else {
            return;
        };
        let rank = leg.person.rank;
        match self.may(id, mode, rank) {
            Ok(()) => self.set_mode(id, mode, out),
            Err(reason) => self.refuse(id, reason, out),
        }
    }

    /// A person does something else from now on, and is told.
    pub(super) fn set_mode(&mut self, id: PersonId, mode: Mode, out: &mut Vec<Output>) {
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let Some(leg) = talk.bridge.as_mut().and_then(|bridge| bridge.leg(id)) else {
            return;
        };
        let was = leg.person.mode;
        out.push(Output::Person {
            id,
            output: PersonOutput::Mode { mode },
        });
        if was == mode {
            return;
        }
        // What they have said so far was said in the old mode.
        self.end_persons_turn(id, out);
        if let Some(leg) = self.persons_leg(id) {
            leg.person.mode = mode;
        }
        out.push(Output::Event(CallEvent::PersonMode { person: id, mode }));
        self.mode_begins(id, mode, BackReason::HandedBack, out);
    }

    /// A person is in `mode` now.
    fn mode_begins(&mut self, id: PersonId, mode: Mode, back: BackReason, out: &mut Vec<Output>) {
        let (now, config) = (self.now, self.config.clone());
        let make_vad = self.make_vad.clone();
        if mode == Mode::Takeover {
            // Whoever had the call listens on.
            let former = match &self.phase {
                Phase::Talking(talk) => talk.holders().find(|holder| holder.id != id),
                _ => None,
            };
            if let Some(former) = former.map(|former| former.id) {
                self.end_persons_turn(former, out);
                if let Some(leg) = self.persons_leg(former) {
                    leg.person.mode = Mode::Monitor;
                }
                let mode = Mode::Monitor;
                out.push(Output::Person {
                    id: former,
                    output: PersonOutput::Mode { mode },
                });
                let person = former;
                out.push(Output::Event(CallEvent::PersonMode { person, mode }));
            }
        }
        let mut who = String::new();
        if let Some(leg) = self.persons_leg(id) {
            who.clone_from(&leg.person.name);
            leg.await_audio(now);
            if mode.is_transcribed() && leg.listener.is_none() {
                let rate = leg.rate();
                leg.listener = make_vad.and_then(|vad| Listener::new(vad(), rate, &config));
            }
        }
        self.speakers_changed(id, &who, back, out);
    }

    pub(super) fn persons_leg(&mut self, id: PersonId) -> Option<&mut Leg> {
        match &mut self.phase {
            Phase::Talking(talk) => talk.bridge.as_mut()?.leg(id),
            _ => None,
        }
    }

    /// A person is off the call.
    pub(super) fn person_leaves(
        &mut self,
        id: PersonId,
        reason: LeaveReason,
        out: &mut Vec<Output>,
    ) {
        self.end_persons_turn(id, out);
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let Some(bridge) = &mut talk.bridge else {
            return;
        };
        let Some(index) = bridge.legs.iter().position(|leg| leg.person.id == id) else {
            return;
        };
        let leg = bridge.legs.remove(index);
        farewell(&leg, reason, out);
        let back = match reason {
            LeaveReason::Stalled => BackReason::Stalled,
            _ => BackReason::Left,
        };
        self.speakers_changed(id, &leg.person.name, back, out);
        self.drop_idle_bridge();
    }

    /// The call is over: everybody is told.
    pub(super) fn dismiss_people(&mut self, end: EndReason, out: &mut Vec<Output>) {
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let Some(mut bridge) = talk.bridge.take() else {
            return;
        };
        out.extend(bridge.guidance.abandon().map(Output::Cancel));
        let listeners = bridge.legs.iter_mut().flat_map(|leg| &mut leg.listener);
        let probes = listeners.filter_map(Listener::give_up_probe);
        out.extend(probes.map(Output::Cancel));
        for leg in &bridge.legs {
            farewell(leg, LeaveReason::CallEnded { end }, out);
        }
    }

    /// Nobody needs the bridge any more: a call without people costs what it did.
    pub(super) fn drop_idle_bridge(&mut self) {
        if let Phase::Talking(talk) = &mut self.phase
            && talk.bridge.as_ref().is_some_and(|bridge| bridge.is_idle())
        {
            talk.bridge = None;
        }
    }

    /// The bridge's next tick is due.
    pub(super) fn bridge_tick(&mut self, out: &mut Vec<Output>) {
        let now = self.now;
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let held = talk.is_gated();
        if let Some(bridge) = &mut talk.bridge {
            bridge.tick(now, &mut talk.playout, held, out);
            self.counters.media_out = talk.playout.media_sent();
        }
    }

    /// The call is recorded from now on, or not any more.
    pub(super) fn record(&mut self, on: bool, out: &mut Vec<Output>) {
        let now = self.now;
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let is_recording = talk.bridge.as_ref().is_some_and(|bridge| bridge.recording);
        if is_recording == on {
            return;
        }
        talk.bridge(now).recording = on;
        out.push(Output::Event(CallEvent::Recording { on }));
        self.drop_idle_bridge();
    }
}

impl Talk {
    /// The bridge, from now on.
    fn bridge(&mut self, now: CallTime) -> &mut Bridge {
        let rate = self.hearing.rate();
        self.bridge
            .get_or_insert_with(|| Box::new(Bridge::new(rate, now)))
    }

    /// Who has taken the call over: one at most, but for the moment in which another does.
    fn holders(&self) -> impl Iterator<Item = &Person> {
        let speakers = self.bridge.iter().flat_map(|bridge| bridge.speakers());
        speakers
            .map(|leg| &leg.person)
            .filter(|person| person.mode == Mode::Takeover)
    }

    /// Who has taken the call over.
    pub(super) fn holder(&self) -> Option<&Person> {
        self.holders().next()
    }

    /// Somebody whom the caller hears, beside the agent, speaks.
    pub(super) fn people_have_floor(&self) -> bool {
        let mut legs = self.bridge.iter().flat_map(|bridge| &bridge.legs);
        legs.any(Leg::has_floor)
    }

    fn floor(&self, now: CallTime) -> Floor {
        if let Some(turn) = self.turn.current() {
            return Floor::Caller { turn };
        }
        let mut legs = self.bridge.iter().flat_map(|bridge| &bridge.legs);
        if let Some(leg) = legs.find(|leg| leg.has_floor()) {
            return Floor::Person { id: leg.person.id };
        }
        match &self.reply {
            Some(reply) if !reply.is_held() && self.is_audible(now) => {
                Floor::Agent { turn: reply.turn }
            }
            _ => Floor::Nobody,
        }
    }

    pub(super) fn people_timers(
        &self,
        now: CallTime,
        config: &CallConfig,
        earliest: &mut Earliest,
    ) {
        self.handing_timers(now, config, earliest);
        let Some(bridge) = &self.bridge else { return };
        earliest.consider(Timer::Bridge, Some(bridge.next()));
        let oldest = bridge.guidance.oldest_unanswered();
        let patience = config.patience.service;
        earliest.consider(Timer::Stt, oldest.map(|(_, asked)| asked + patience));
        for leg in &bridge.legs {
            let listener = leg.listener.as_ref();
            earliest.consider(Timer::PersonPaused, listener.and_then(Listener::stalls_at));
            if leg.person.mode == Mode::Barge {
                let probed_at = listener.and_then(|listener| listener.probed_at(patience));
                earliest.consider(Timer::PersonProbed, probed_at);
            }
            if leg.person.mode == Mode::Takeover {
                let patience = Duration::from_millis(config.handoff.stall_ms.into());
                earliest.consider(Timer::PersonStalled, Some(leg.stalls_at(patience)));
            }
        }
    }
}

/// Tells a person, and whoever watches, that they are off the call.
fn farewell(leg: &Leg, reason: LeaveReason, out: &mut Vec<Output>) {
    let person = leg.person.id;
    out.push(Output::Person {
        id: person,
        output: PersonOutput::Closed { reason },
    });
    out.push(Output::Event(CallEvent::PersonLeft {
        person,
        reason,
        quality: leg.quality(),
    }));
}
