//! The call: wires the sub-machines together.
//!
//! - [`mod@self`] takes inputs, owns the timers and ends the call;
//! - `caller` follows the caller: audio to turns, turns to words, keys to words;
//! - `ahead` has the answer made in pauses that may be the end of the caller's turn;
//! - `agent` follows the agent: words to a reply, the reply to sentences, sentences to audio;
//! - `barge_in` decides what becomes of a sound over the agent;
//! - `people` follows the legs of people on the call;
//! - `said` follows what is said on them;
//! - `handing` moves the call between the agent and people.
//!
//! Both sides meet in `Call::settle`, which runs at the end of every step and does whatever the
//! state now calls for. That makes the order in which results arrive irrelevant.

mod agent;
mod ahead;
mod barge_in;
mod caller;
mod handing;
mod people;
mod said;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use self::ahead::Ahead;
use crate::{
    bridge::Bridge,
    config::CallConfig,
    conversation::{Message, Role},
    dialect::{LegMessage, Start},
    endpointing::Endpointing,
    event::{
        BackReason, CallError, CallEvent, Counters, EndReason, LegFault, TurnId, UnpauseReason,
    },
    handoff::Handoff,
    hearing::Hearing,
    ingress::{Accepted, Ingress},
    interruption::Overlaps,
    io::{Command, Input, Output},
    job::{Expect, Job, JobId},
    keypad::Keypad,
    latency::Latency,
    line::Line,
    partials::{Growth, StableText},
    person::{LeaveReason, PersonId},
    playout::{MarkReturn, Playout},
    reply::{Announcement, Delivery, Ending, Reply, Text, Voice},
    sentence::has_words,
    suppression::NoiseSuppressor,
    time::CallTime,
    timer::{Earliest, Timer},
    transcripts::Transcripts,
    turn::Turn,
    vad::{MakeVad, Vad},
};

/// A leg that sends this many messages in a row that cannot be understood is not a leg.
const MAX_MALFORMED: u32 = 100;

/// A decision waits for the end of the detector's frame, and that for the end of the leg's.
const DECISION_ROUNDING: Duration = Duration::from_millis(40);

/// One phone call.
pub struct Call {
    config: Arc<CallConfig>,
    now: CallTime,
    phase: Phase,
    ingress: Ingress,
    counters: Counters,
    malformed_in_a_row: u32,
    latest_from_leg: CallTime,
    turns: u32,
    jobs: u64,
    /// Who has been on the call, or was refused.
    latest_person: Option<PersonId>,
    conversation: Vec<Message>,
    /// What the program wants said and nobody began to say yet.
    announcements: VecDeque<Announcement>,
    /// How often the caller was asked whether they are there, since they last said something.
    prompts: u32,
    pcm: Vec<i16>,
    /// Makes the detectors of people's legs.
    make_vad: Option<MakeVad>,
    /// For the stream's first audio.
    suppressor: Option<Box<dyn NoiseSuppressor>>,
}

/// How far the call is.
enum Phase {
    /// The socket is open; the stream has not started.
    Connecting {
        /// For the stream's first audio.
        vad: Box<dyn Vad>,
    },
    /// The stream runs.
    Talking(Box<Talk>),
    /// The call is over.
    Ended,
}

/// Both sides of a running stream.
struct Talk {
    hearing: Hearing,
    /// Where echo is looked for.
    line: Option<Line>,
    turn: Turn,
    endpointing: Endpointing,
    /// What was asked for in the caller's present pause.
    ahead: Ahead,
    keypad: Keypad,
    transcripts: Transcripts,
    partial: Partial,
    stable: StableText,
    growth: Growth,
    latest_audio: CallTime,
    playout: Playout,
    reply: Option<Reply>,
    overlaps: Overlaps,
    /// What no reply was begun for.
    owed: Option<Owed>,
    /// What kind of answer the agent's last words asked for.
    expect: Option<Expect>,
    /// When the caller's latest turn ended.
    speech_end: Option<CallTime>,
    /// Since when the caller has heard nothing, not even themselves.
    quiet_since: CallTime,
    /// How often they were told to hold, in this wait.
    fillers: u32,
    /// Services that failed since one last worked to the end.
    failures_in_a_row: u32,
    handoff: Handoff,
    /// People on the call, and whoever records it.
    bridge: Option<Box<Bridge>>,
    /// Until then the tones of keys are played.
    tones_end: CallTime,
}

/// What the agent is to say something to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Owed {
    /// Words of the caller, and when they were said.
    Answer(Latency),
    /// That the call is the agent's again.
    Word,
}

/// The partial transcript of the turn that is going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Partial {
    /// Nobody speaks.
    Off,
    /// The next one will be asked for.
    Due { at: CallTime },
    /// One was asked for.
    Asked {
        job: JobId,
        turn: TurnId,
        asked: CallTime,
    },
}

impl Call {
    /// A call whose leg has just connected, at [`CallTime::ZERO`]. `config` must have been
    /// [validated](CallConfig::validate).
    #[must_use]
    pub fn new(config: Arc<CallConfig>, vad: Box<dyn Vad>) -> Self {
        let instructions = &config.agent.instructions;
        let conversation = if instructions.is_empty() {
            Vec::new()
        } else {
            vec![Message::new(Role::System, instructions.clone())]
        };
        Self {
            config,
            now: CallTime::ZERO,
            phase: Phase::Connecting { vad },
            ingress: Ingress::new(),
            counters: Counters::default(),
            malformed_in_a_row: 0,
            latest_from_leg: CallTime::ZERO,
            turns: 0,
            jobs: 0,
            latest_person: None,
            conversation,
            announcements: VecDeque::new(),
            prompts: 0,
            pcm: Vec::new(),
            make_vad: None,
            suppressor: None,
        }
    }

    /// The same call, which decides when the caller speaks on audio without its noise.
    #[must_use]
    pub fn suppressing_noise(self, suppressor: Box<dyn NoiseSuppressor>) -> Self {
        Self {
            suppressor: Some(suppressor),
            ..self
        }
    }

    /// The same call, with detectors for the legs of people: without, what they say is not
    /// transcribed.
    #[must_use]
    pub fn hearing_people(self, make_vad: MakeVad) -> Self {
        Self {
            make_vad: Some(make_vad),
            ..self
        }
    }

    /// The same call, as one that goes on from another: the agent knows what was said there.
    #[must_use]
    pub fn continuing(mut self, conversation: Vec<Message>) -> Self {
        self.conversation.extend(conversation);
        self
    }

    /// Takes one input at `now`, appends everything that follows from it to `out`, and returns
    /// when to call again with [`Input::Deadline`] if nothing else happens before.
    ///
    /// A `now` before that of the last step counts as that one. After [`Output::HangUp`] inputs
    /// are ignored and `None` is returned.
    pub fn step(
        &mut self,
        now: CallTime,
        input: Input<'_>,
        out: &mut Vec<Output>,
    ) -> Option<CallTime> {
        self.now = self.now.max(now);
        if let Phase::Ended = self.phase {
            return None;
        }
        match input {
            Input::Leg(message) => self.leg(message, out),
            Input::LegMalformed(error) => self.malformed(error.to_string(), out),
            Input::LegClosed => self.end(EndReason::LegLost, out),
            Input::Job(update) => self.job(update, out),
            Input::Deadline => {}
            Input::Command(command) => self.command(command, out),
            Input::Person { id, input } => self.person(id, input, out),
            Input::End(reason) => self.end(reason, out),
        }
        // What is settled may be late for a timer already, once; the bound is for the reader.
        for _ in 0..4 {
            self.expire(out);
            self.settle(out);
            if self.next_wake().is_none_or(|(at, _)| at > self.now) {
                break;
            }
        }
        self.next_wake().map(|(at, _)| at)
    }

    /// When and why the call wants to be woken.
    #[must_use]
    pub fn next_wake(&self) -> Option<(CallTime, Timer)> {
        let patience = &self.config.patience;
        let mut earliest = Earliest::default();
        match &self.phase {
            Phase::Ended => {}
            Phase::Connecting { .. } => {
                earliest.consider(Timer::Start, Some(CallTime::ZERO + patience.start));
            }
            Phase::Talking(talk) => {
                earliest.consider(Timer::Idle, Some(self.latest_from_leg + patience.idle));
                talk.timers(self.now, &self.config, &mut earliest);
                earliest.consider(Timer::Notice, self.notice_due());
                let idle = &self.config.idle;
                if idle.prompt_after_ms > 0
                    && self.announcements.is_empty()
                    && talk.is_idle()
                    && talk.handoff.is_agents()
                    && !talk.handoff.is_paused()
                {
                    let silent = talk.quiet_since.max(talk.playout.play_end());
                    let prompt = silent + Duration::from_millis(idle.prompt_after_ms.into());
                    earliest.consider(Timer::Prompt, Some(prompt));
                }
            }
        }
        earliest.get()
    }

    /// What was said so far, as the language model is told it.
    #[must_use]
    pub fn conversation(&self) -> &[Message] {
        &self.conversation
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    fn leg(&mut self, message: LegMessage<'_>, out: &mut Vec<Output>) {
        self.latest_from_leg = self.now;
        self.malformed_in_a_row = 0;
        let mut pcm = std::mem::take(&mut self.pcm);
        let mut fault = None;
        let accepted = self
            .ingress
            .accept(message, &mut pcm, &mut self.counters, &mut fault);
        if let Some((fault, detail)) = fault {
            out.push(Output::Event(CallEvent::Error {
                error: CallError::Leg { fault, detail },
            }));
        }
        match accepted {
            Accepted::Nothing => {}
            Accepted::Started(start) => self.start(start, out),
            Accepted::Audio => self.audio(&pcm, out),
            Accepted::Dtmf { digit } => self.key(digit, out),
            Accepted::Mark { name } => self.mark(&name, out),
            Accepted::Stopped => self.end(EndReason::CallerHungUp, out),
        }
        self.pcm = pcm;
    }

    fn start(&mut self, start: Start, out: &mut Vec<Output>) {
        let Phase::Connecting { vad } = std::mem::replace(&mut self.phase, Phase::Ended) else {
            unreachable!("the ingress accepts one start");
        };
        let ms = |ms: u32| Duration::from_millis(ms.into());
        let config = &self.config;
        // What the detector took to decide lies before the decision, too.
        let deciding = config.vad.min_speech_ms.max(config.vad.barge_in_ms);
        let pre_roll = ms(config.vad.pre_roll_ms + deciding) + DECISION_ROUNDING;
        let max_turn = ms(config.endpointing.max_turn_ms);
        // Where the caller's language is not known, punctuation has to do.
        let words_of = match config.agent.detect_language {
            false => config.agent.language.as_str(),
            true => "",
        };
        let hearing = Hearing::new(
            vad,
            self.suppressor.take(),
            start.format.rate,
            pre_roll,
            max_turn,
        )
        .expect("dialects accept only rates that every detector can be given");
        let line = config
            .barge_in
            .ignore_echo
            .then(|| Line::new(start.format.rate));
        self.phase = Phase::Talking(Box::new(Talk {
            hearing,
            line: line.flatten(),
            turn: Turn::new(config),
            endpointing: Endpointing::new(&config.endpointing, words_of),
            ahead: Ahead::default(),
            keypad: Keypad::default(),
            transcripts: Transcripts::default(),
            partial: Partial::Off,
            stable: StableText::default(),
            growth: Growth::default(),
            latest_audio: self.now,
            playout: Playout::new(start.format, &config.playout, config.patience.mark_grace),
            reply: None,
            overlaps: Overlaps::default(),
            owed: None,
            expect: None,
            speech_end: None,
            quiet_since: self.now,
            fillers: 0,
            failures_in_a_row: 0,
            handoff: Handoff::default(),
            bridge: None,
            tones_end: CallTime::ZERO,
        }));
        out.push(Output::Event(CallEvent::CallStarted {
            stream_id: start.stream_id,
            provider_call_id: start.call_id,
        }));
        let config = self.config.clone();
        if has_words(&config.agent.greeting) {
            let turn = self.next_turn();
            let mut reply = Reply::of_text(turn, &config.agent.greeting);
            reply.interruptible = config.agent.greeting_interruptible;
            self.set_reply(reply);
        }
    }

    fn mark(&mut self, name: &str, out: &mut Vec<Output>) {
        let now = self.now;
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        if talk.playout.mark_returned(now, name) == MarkReturn::Foreign {
            let detail = "the leg returned a mark that was never sent";
            self.leg_fault(LegFault::ForeignMark, 1, detail, out);
        }
    }

    fn marks_lost(&mut self, out: &mut Vec<Output>) {
        if let Phase::Talking(talk) = &mut self.phase {
            let lost = talk.playout.give_up_marks(self.now);
            let detail = "a mark did not come back in time: what was heard is told by the clock";
            self.leg_fault(LegFault::LostMark, lost, detail, out);
        }
    }

    /// Counts a fault of the leg, and reports the first of its kind.
    fn leg_fault(&mut self, fault: LegFault, times: u64, detail: &str, out: &mut Vec<Output>) {
        let count = self.counters.leg_faults.entry(fault).or_default();
        if *count == 0 {
            let detail = detail.to_owned();
            let error = CallError::Leg { fault, detail };
            out.push(Output::Event(CallEvent::Error { error }));
        }
        *count += times;
    }

    fn malformed(&mut self, detail: String, out: &mut Vec<Output>) {
        self.latest_from_leg = self.now;
        self.malformed_in_a_row += 1;
        self.leg_fault(LegFault::Malformed, 1, &detail, out);
        if self.malformed_in_a_row >= MAX_MALFORMED {
            self.end(EndReason::LegAbusive, out);
        }
    }

    fn command(&mut self, command: Command, out: &mut Vec<Output>) {
        match command {
            Command::Say {
                text,
                interruptible,
            } => self.say(text, interruptible, out),
            Command::HangUp { farewell: None } => self.end(EndReason::Commanded, out),
            Command::HangUp {
                farewell: Some(text),
            } => match self.is_taken_over() {
                // Whoever has the call says goodbye themselves.
                true => self.end(EndReason::Commanded, out),
                false => self.say_goodbye(&text, EndReason::Commanded, out),
            },
            Command::PauseAgent => self.pause_agent(out),
            Command::ResumeAgent => self.resume_agent(UnpauseReason::Commanded, out),
            Command::Guide { from, text } => self.guide(from, None, text, out),
            Command::RequestHandoff { say } => self.request_handoff(say, out),
            Command::HandoffRinging => self.handoff_ringing(out),
            Command::HandoffFailed { say } => self.handoff_failed(BackReason::Failed, say, out),
            Command::HandBack { person } => self.hand_back(person, out),
            Command::RemovePerson { person } => {
                self.person_leaves(person, LeaveReason::Removed, out);
            }
            Command::SendDigits { digits } => self.send_digits(&digits, out),
            Command::Record { on } => self.record(on, out),
        }
    }

    /// Acts on the timers that are due.
    fn expire(&mut self, out: &mut Vec<Output>) {
        // Every timer that fires moves or removes itself; the bound is for the reader.
        for _ in 0..32 {
            let Some((at, timer)) = self.next_wake() else {
                return;
            };
            if at > self.now {
                return;
            }
            match timer {
                Timer::Start => self.end(EndReason::NoStart, out),
                Timer::Idle => self.end(EndReason::LegSilent, out),
                Timer::AudioStalled => self.audio_stalled(out),
                Timer::Partial => self.ask_partial(out),
                Timer::Keypad => self.keys_finished(out),
                Timer::Hold => self.hold(out),
                Timer::Stt => self.stt_timed_out(out),
                Timer::Llm => self.llm_timed_out(out),
                Timer::Tts => self.tts_timed_out(out),
                Timer::Playout => self.speak(out),
                Timer::Mark => self.marks_lost(out),
                Timer::Prompt => self.prompt(out),
                Timer::Notice => self.begin_notice(out),
                Timer::Bridge => self.bridge_tick(out),
                Timer::PersonPaused => self.people_paused(out),
                Timer::PersonProbed => self.probe_people(out),
                Timer::PersonStalled => self.person_stalled(out),
                Timer::Back => self.back_due(out),
                Timer::Ring => self.handoff_failed(BackReason::NoAnswer, None, out),
                Timer::Company => self.keep_company(out),
                Timer::Paused => self.resume_agent(UnpauseReason::TooLong, out),
            }
        }
    }

    /// Does what the state calls for, whatever led to it.
    fn settle(&mut self, out: &mut Vec<Output>) {
        // What was said during a turn of the agent that cannot be interrupted comes after it.
        self.finish_reply(out);
        self.keys_finished(out);
        self.take_guidance(out);
        self.take_words(out);
        self.release_reply();
        self.finish_reply(out);
        self.begin_reply(out);
        self.let_others_speak();
        self.speak(out);
    }

    /// The call is over: stops everything, and says why.
    fn end(&mut self, reason: EndReason, out: &mut Vec<Output>) {
        if let Phase::Talking(talk) = &mut self.phase {
            let heard = talk.playout.cut(self.now);
            self.cut_reply(&heard, out);
        }
        self.dismiss_people(reason, out);
        match std::mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Ended => return,
            Phase::Connecting { .. } => {}
            Phase::Talking(mut talk) => {
                talk.stop_partial(out);
                talk.stop_ahead(out);
                out.extend(talk.transcripts.abandon().map(Output::Cancel));
            }
        }
        let counters = self.counters.clone();
        out.push(Output::Event(CallEvent::CallEnded { reason, counters }));
        out.push(Output::HangUp(reason));
    }

    fn next_turn(&mut self) -> TurnId {
        self.turns += 1;
        TurnId(self.turns)
    }

    fn next_job(&mut self) -> JobId {
        self.jobs += 1;
        JobId(self.jobs)
    }

    fn start_job(job: Job, out: &mut Vec<Output>) {
        out.push(Output::Start(job));
    }
}

impl Talk {
    fn timers(&self, now: CallTime, config: &CallConfig, earliest: &mut Earliest) {
        let patience = &config.patience;
        let service = |since: CallTime| since + patience.service;
        let speaking = self.turn.current().is_some();
        let stalled = speaking.then(|| self.latest_audio + caller::AUDIO_STALLED);
        earliest.consider(Timer::AudioStalled, stalled);
        earliest.consider(
            Timer::Partial,
            match self.partial {
                Partial::Off => None,
                Partial::Due { at } => Some(at),
                // A partial that never comes blocks only the next one.
                Partial::Asked { asked, .. } => Some(service(asked)),
            },
        );
        if !self.reply.as_ref().is_some_and(Reply::is_uninterruptible) {
            earliest.consider(Timer::Keypad, self.keypad.deadline());
        }
        // An agent that rests owes nothing, but what the program has it say.
        if self.waits(now) && (!self.handoff.rests() || self.reply.is_some()) {
            let distance = Duration::from_millis(config.idle.hold_after_ms.into());
            let distance = distance * self.fillers.max(1);
            let reply = self.reply.as_ref();
            let begun = reply.map_or(CallTime::ZERO, |reply| reply.waited_since);
            let since = self.quiet_since.max(self.playout.play_end()).max(begun);
            earliest.consider(Timer::Hold, Some(since + distance));
        }
        let oldest = self.transcripts.oldest_unanswered();
        earliest.consider(Timer::Stt, oldest.map(|(_, asked)| service(asked)));
        if let Some(reply) = &self.reply {
            earliest.consider(
                Timer::Llm,
                match reply.text {
                    Text::Writing { progressed, .. } => Some(service(progressed)),
                    Text::Written => None,
                },
            );
            earliest.consider(
                Timer::Tts,
                match reply.voice {
                    Voice::Asked { progressed, .. } | Voice::Speaking { progressed, .. } => {
                        Some(service(progressed))
                    }
                    Voice::Idle => None,
                },
            );
        }
        let send = self.playout.send_deadline(self.is_gated());
        earliest.consider(Timer::Playout, send);
        earliest.consider(Timer::Playout, self.playout.drain_deadline(now));
        earliest.consider(Timer::Mark, self.playout.mark_deadline());
        self.people_timers(now, config, earliest);
    }

    /// The caller speaks or presses keys.
    fn caller_has_floor(&self) -> bool {
        self.turn.current().is_some() || self.keypad.is_pressing()
    }

    /// The caller speaks, or somebody whom the caller hears beside the agent.
    fn others_have_floor(&self) -> bool {
        self.caller_has_floor() || self.people_have_floor()
    }

    /// Whom the caller hears has said everything, and so has the caller, and it was understood.
    fn is_agents_turn(&self) -> bool {
        !self.others_have_floor() && self.transcripts.is_empty()
    }

    /// What is queued may not be sent: others have the floor.
    fn is_gated(&self) -> bool {
        self.reply.as_ref().is_some_and(|reply| {
            reply.is_held() || reply.may_not_begin_over_others() && self.others_have_floor()
        })
    }

    /// The caller hears the agent, or is about to in this step.
    fn is_audible(&self, now: CallTime) -> bool {
        self.playout.in_leg(now) || (self.playout.has_queued() && !self.is_gated())
    }

    /// It is nobody's turn: the agent has finished, and the caller says nothing.
    fn is_idle(&self) -> bool {
        self.reply.is_none() && self.owed.is_none() && self.is_agents_turn()
    }

    /// The caller has said something, or the agent has begun to, and nothing is to be heard.
    fn waits(&self, now: CallTime) -> bool {
        let answer_due =
            self.reply.is_some() || self.owed.is_some() || !self.transcripts.is_empty();
        answer_due && !self.others_have_floor() && !self.is_audible(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_can_move_between_threads() {
        fn assert_send<T: Send>() {}
        assert_send::<Call>();
    }
}
