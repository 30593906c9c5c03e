//! The agent's side: words to a reply, the reply to sentences, sentences to audio.

use std::time::Duration;

use sidetone_codecs::SampleRate;

use super::{Call, Delivery, Ending, Owed, Phase, Reply, Text, Voice, caller::timed_out};
use crate::{
    config::Phrase,
    conversation::{Message, Role},
    event::{CallError, CallEvent, EndReason},
    idle,
    interruption::Sound,
    io::{Command, Output},
    job::{Expect, FailureKind, Job, JobFailure, JobId, LlmJob, Service, TtsJob},
    ledger::{Words, join},
    reply::{Announcement, Piece},
    sentence::has_words,
    time::CallTime,
};

/// The voice waits with the next sentence while this much audio is still to be sent.
const VOICE_AHEAD: Duration = Duration::from_secs(4);
/// A caller who was told to hold so often waits for nothing.
const MAX_FILLERS: u32 = 3;
/// A sentence with more audio than this is no sentence.
const LONGEST_AUDIO: Duration = Duration::from_secs(120);

impl Call {
    /// The caller spoke words: the reply they interrupted stays as far as it was heard.
    pub(super) fn abandon_held_reply(&mut self, out: &mut Vec<Output>) {
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let Some(reply) = talk.reply.as_mut().filter(|reply| reply.is_held()) else {
            return;
        };
        if reply.is_farewell() {
            // The end of the call is decided: it only waits for others to finish.
            return;
        }
        if reply.is_to_be_retracted() {
            let turn = reply.turn;
            reply.heard.clear();
            out.push(Output::Event(CallEvent::AgentRetracted { turn }));
        }
        self.abandon_reply(out);
    }

    pub(super) fn abandon_reply(&mut self, out: &mut Vec<Output>) {
        if let Phase::Talking(talk) = &mut self.phase
            && talk.reply.is_some()
        {
            let heard = talk.playout.clear(self.now, out);
            self.cut_reply(&heard, out);
        }
    }

    /// The reply ends where it was cut, whatever was to follow.
    pub(super) fn cut_reply(&mut self, heard: &str, out: &mut Vec<Output>) {
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        talk.overlaps.clear();
        let Some(reply) = &mut talk.reply else { return };
        out.extend(reply.jobs().map(Output::Cancel));
        join(&mut reply.heard, heard);
        if let Some(announcement) = reply.announcement.take() {
            self.announcements.push_front(announcement);
        }
        self.close_reply(out);
    }

    /// The agent says it as soon as nobody's turn is under way, unless too much waits already.
    pub(super) fn say(&mut self, text: String, interruptible: bool, out: &mut Vec<Output>) {
        let waiting = self.unsaid();
        if !has_words(&text) {
            return;
        }
        if waiting >= Command::MAX_UNSAID {
            let detail = format!(
                "{waiting} things wait to be said; say it again when the agent has said some of them"
            );
            let error = CallError::SayRefused { waiting, detail };
            out.push(Output::Event(CallEvent::Error { error }));
            return;
        }
        self.announcements.push_back(Announcement {
            text,
            interruptible,
            since: self.now,
        });
    }

    /// How much of what the program wants said waits to be said.
    pub(super) fn unsaid(&self) -> u32 {
        let begun = match &self.phase {
            Phase::Talking(talk) => talk.reply.as_ref(),
            _ => None,
        };
        let begun = begun.is_some_and(|reply| reply.announcement.is_some());
        let waiting = self.announcements.len() + usize::from(begun);
        u32::try_from(waiting).unwrap_or(u32::MAX)
    }

    /// The caller has said nothing for too long: asks whether they are there, a few times, and
    /// then hangs up.
    pub(super) fn prompt(&mut self, out: &mut Vec<Output>) {
        let config = self.config.clone();
        let language = &config.agent.language;
        if self.prompts >= config.idle.max_prompts {
            let goodbye = idle::goodbye(&config.idle, language);
            return self.say_goodbye(goodbye, EndReason::CallerSilent, out);
        }
        self.prompts += 1;
        let turn = self.next_turn();
        self.set_reply(Reply::of_text(turn, idle::prompt(&config.idle, language)));
        if let Phase::Talking(talk) = &mut self.phase {
            talk.quiet_since = self.now;
        }
    }

    /// The agent says `text` now, whatever goes on, and hangs up for `reason`.
    pub(super) fn say_goodbye(&mut self, text: &str, reason: EndReason, out: &mut Vec<Output>) {
        if let Phase::Connecting { .. } = self.phase {
            return self.end(reason, out);
        }
        self.abandon_reply(out);
        self.stop_listening(out);
        let turn = self.next_turn();
        let mut reply = Reply::of_text(turn, text);
        reply.say_goodbye(reason);
        self.set_reply(reply);
        if let Phase::Talking(talk) = &mut self.phase {
            talk.quiet_since = self.now;
        }
    }

    /// Goes on with a reply that a sound without words held up, and begins what was waited with for
    /// others to finish. A farewell waits for nobody's words, and a notice no longer than for one turn.
    pub(super) fn release_reply(&mut self) {
        let (now, longest) = (self.now, self.longest_turn());
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let is_agents_turn = talk.is_agents_turn();
        let others_have_floor = talk.others_have_floor();
        let Some(reply) = &mut talk.reply else { return };
        let notice = reply.announcement.as_ref();
        if notice.is_some_and(|notice| notice.is_overdue(now, longest)) {
            reply.lets_speak = false;
        }
        if is_agents_turn || !reply.lets_speak || reply.is_farewell() && !others_have_floor {
            reply.release();
        }
    }

    /// A reply of which nothing was sent yet waits while others speak, and for what they say.
    pub(super) fn let_others_speak(&mut self) {
        let now = self.now;
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let others_have_floor = talk.others_have_floor();
        let Some(reply) = &mut talk.reply else { return };
        if others_have_floor && reply.may_not_begin_over_others() {
            reply.hold(Sound::of_words());
        }
        if reply.delivery == Delivery::Audible {
            // What waits does so for the agent itself, not for others.
            for waiting in &mut self.announcements {
                waiting.since = now;
            }
        }
    }

    /// When the agent waits no longer for others with what they are to hear to its end.
    pub(super) fn notice_due(&self) -> Option<CallTime> {
        let Phase::Talking(talk) = &self.phase else {
            return None;
        };
        let longest = self.longest_turn();
        match &talk.reply {
            _ if talk.handoff.is_taken_over() => None,
            Some(reply) if reply.is_held() => reply.announcement.as_ref()?.overdue_at(longest),
            Some(_) => None,
            None => {
                let waiting = self.announcements.iter();
                waiting
                    .filter_map(|notice| notice.overdue_at(longest))
                    .min()
            }
        }
    }

    /// Others have spoken for as long as a turn may last, and a notice waited.
    pub(super) fn begin_notice(&mut self, out: &mut Vec<Output>) {
        self.release_reply();
        self.begin_reply(out);
    }

    /// How long the agent waits for others with what they are to hear to its end.
    fn longest_turn(&self) -> Duration {
        Duration::from_millis(self.config.endpointing.max_turn_ms.into())
    }

    /// Begins the reply that is owed, else what the program wants said.
    pub(super) fn begin_reply(&mut self, out: &mut Vec<Output>) {
        let (now, longest) = (self.now, self.longest_turn());
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        if talk.reply.is_some() || talk.handoff.is_taken_over() {
            return;
        }
        if !talk.is_agents_turn() {
            let mut waiting = self.announcements.iter();
            let overdue = waiting.position(|notice| notice.is_overdue(now, longest));
            if let Some(notice) = overdue.and_then(|n| self.announcements.remove(n)) {
                self.announce_next(notice);
                self.release_reply();
            }
        } else if let Some(owed) = talk.owed.take() {
            let (job, turn) = (self.next_job(), self.next_turn());
            let messages = self.conversation.as_slice().into();
            let language = self.config.agent.language.clone();
            self.set_reply(match owed {
                Owed::Answer(latency) => Reply::written_by(job, turn, now, latency),
                Owed::Word => Reply::written_unasked(job, turn, now),
            });
            let job = LlmJob {
                id: job,
                messages,
                language,
                eager: false,
            };
            Self::start_job(Job::Llm(job), out);
        } else if let Some(announcement) = self.announcements.pop_front() {
            self.announce_next(announcement);
        }
    }

    /// Says next what the program wants said.
    fn announce_next(&mut self, announcement: Announcement) {
        let (now, turn) = (self.now, self.next_turn());
        let mut reply = Reply::announcing(turn, announcement);
        // Nobody waited for it before.
        reply.waited_since = now;
        self.set_reply(reply);
    }

    pub(super) fn set_reply(&mut self, mut reply: Reply) {
        reply.interruptible &= self.config.barge_in.enabled;
        if let Phase::Talking(talk) = &mut self.phase {
            talk.reply = Some(reply);
        }
    }

    /// The language model wrote more.
    pub(super) fn llm_delta(&mut self, job: JobId, text: &str, out: &mut Vec<Output>) {
        let now = self.now;
        let Some(reply) = self.reply_written_by(job) else {
            return;
        };
        if let Some(latency) = &mut reply.latency {
            latency.token(now);
        }
        reply.text = Text::Writing {
            job,
            progressed: now,
        };
        if !reply.write(text) {
            reply.finish_text();
            out.push(Output::Cancel(job));
        }
        if reply.has_sentence()
            && let Some(latency) = &mut reply.latency
        {
            latency.sentence(now);
        }
    }

    /// The language model says what kind of answer it asks for.
    pub(super) fn llm_expects(&mut self, job: JobId, expect: Expect) {
        if let Some(reply) = self.reply_written_by(job) {
            reply.expect = Some(expect);
        }
    }

    /// The language model wants the caller to hear the answer to its end.
    pub(super) fn llm_insists(&mut self, job: JobId) {
        if let Some(reply) = self.reply_written_by(job) {
            reply.interruptible = false;
        }
    }

    /// The language model has said all.
    pub(super) fn llm_done(&mut self, job: JobId, hang_up: bool, out: &mut Vec<Output>) {
        let now = self.now;
        let Some(reply) = self.reply_written_by(job) else {
            return;
        };
        reply.finish_text();
        if let Some(latency) = &mut reply.latency {
            latency.token(now);
            latency.sentence(now);
        }
        if hang_up {
            reply.ending = Ending::HangUp(EndReason::AgentHungUp);
        } else if reply.says_nothing() {
            let detail = "the language model answered without a word to say";
            let failure = JobFailure::new(FailureKind::Malformed, detail);
            self.service_failed(Service::Llm, failure, out);
        }
    }

    pub(super) fn llm_failed(&mut self, job: JobId, failure: JobFailure, out: &mut Vec<Output>) {
        if let Some(reply) = self.reply_written_by(job) {
            reply.text = Text::Written;
            self.service_failed(Service::Llm, failure, out);
        }
    }

    pub(super) fn llm_timed_out(&mut self, out: &mut Vec<Output>) {
        let failure = timed_out("the language model", self.config.patience.service);
        self.service_failed(Service::Llm, failure, out);
    }

    fn reply_written_by(&mut self, id: JobId) -> Option<&mut Reply> {
        let Phase::Talking(talk) = &mut self.phase else {
            return None;
        };
        let reply = talk.reply.as_mut()?;
        matches!(reply.text, Text::Writing { job, .. } if job == id).then_some(reply)
    }

    /// Gives the voice its next sentence, and the leg as much audio as it may have.
    pub(super) fn speak(&mut self, out: &mut Vec<Output>) {
        let now = self.now;
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let is_ahead = talk.reply.as_ref().is_some_and(Reply::is_ahead);
        if let Some(reply) = &mut talk.reply {
            while talk.playout.backlog() < VOICE_AHEAD
                && let Some(piece) = reply.next_piece()
            {
                let (turn, text) = (reply.turn, piece.text().to_owned());
                let words = Words::Said(text.clone());
                if is_ahead {
                    reply.prepared.push(text);
                } else {
                    out.push(Output::Event(CallEvent::AgentSentence { turn, text }));
                }
                if let Piece::Phrase(Phrase { audio, .. }) = &piece {
                    talk.playout.play(words, audio);
                    continue;
                }
                self.jobs += 1;
                let id = JobId(self.jobs);
                let progressed = now;
                reply.voice = Voice::Asked {
                    job: id,
                    progressed,
                };
                let job = TtsJob {
                    id,
                    text: piece.text().to_owned(),
                    language: self.config.agent.language.clone(),
                    eager: is_ahead,
                };
                Self::start_job(Job::Tts(job), out);
                talk.playout.begin(words);
            }
        }
        self.send(out);
        self.announce(out);
    }

    /// Gives the leg as much audio as it may have.
    fn send(&mut self, out: &mut Vec<Output>) {
        if let Phase::Talking(talk) = &mut self.phase {
            let held = talk.is_gated();
            talk.playout.pump(self.now, held, out);
            self.counters.media_out = talk.playout.media_sent();
        }
    }

    /// The first audio of a reply, or of its rest, went out.
    fn announce(&mut self, out: &mut Vec<Output>) {
        let now = self.now;
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let Some(reply) = &mut talk.reply else { return };
        if !talk.playout.has_sent_words() {
            return;
        }
        let turn = reply.turn;
        out.push(Output::Event(match reply.delivery {
            Delivery::Waiting => CallEvent::AgentSpeaking { turn },
            Delivery::Resuming => CallEvent::AgentResumed { turn },
            Delivery::Ahead { .. }
            | Delivery::Audible
            | Delivery::HeldUnheard
            | Delivery::Interrupted(_) => return,
        }));
        talk.fillers = 0;
        talk.handoff.is_settled();
        reply.delivery = Delivery::Audible;
        reply.announcement = None;
        if let Some(latency) = reply.latency.take() {
            // Every service did its part.
            talk.failures_in_a_row = 0;
            out.push(Output::Event(CallEvent::TurnMetrics(latency.metrics(now))));
        }
    }

    /// The voice's next audio.
    pub(super) fn tts_audio(
        &mut self,
        id: JobId,
        samples: &[i16],
        rate: SampleRate,
        out: &mut Vec<Output>,
    ) {
        let now = self.now;
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let Some(reply) = talk.reply.as_mut().filter(|reply| reply.is_voiced_by(id)) else {
            return;
        };
        if samples.is_empty() {
            return;
        }
        reply.voice = Voice::Speaking {
            job: id,
            progressed: now,
        };
        if let Some(latency) = &mut reply.latency {
            latency.byte(now);
        }
        let pushed = talk.playout.push(samples, rate);
        let problem = match pushed {
            Err(error) => error.to_string(),
            Ok(()) if talk.playout.newest_duration() > LONGEST_AUDIO => {
                format!("a sentence has more than {LONGEST_AUDIO:?} of audio")
            }
            Ok(()) => return,
        };
        let failure = JobFailure::new(FailureKind::Malformed, problem);
        self.service_failed(Service::Tts, failure, out);
    }

    /// The voice has finished a sentence.
    pub(super) fn tts_done(&mut self, id: JobId, out: &mut Vec<Output>) {
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let Some(reply) = talk.reply.as_mut().filter(|reply| reply.is_voiced_by(id)) else {
            return;
        };
        reply.voice = Voice::Idle;
        if !talk.playout.complete() {
            let detail = "speech synthesis returned no audio for a sentence";
            let failure = JobFailure::new(FailureKind::Malformed, detail);
            self.service_failed(Service::Tts, failure, out);
        }
    }

    pub(super) fn tts_failed(&mut self, id: JobId, failure: JobFailure, out: &mut Vec<Output>) {
        if let Phase::Talking(talk) = &mut self.phase
            && let Some(reply) = &mut talk.reply
            && reply.is_voiced_by(id)
        {
            reply.voice = Voice::Idle;
            self.service_failed(Service::Tts, failure, out);
        }
    }

    pub(super) fn tts_timed_out(&mut self, out: &mut Vec<Output>) {
        self.tts_stalled(self.config.patience.service, out);
    }

    fn tts_stalled(&mut self, patience: Duration, out: &mut Vec<Output>) {
        let failure = timed_out("speech synthesis", patience);
        self.service_failed(Service::Tts, failure, out);
    }

    /// The caller has waited too long without hearing anything.
    pub(super) fn hold(&mut self, out: &mut Vec<Output>) {
        let now = self.now;
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        talk.quiet_since = now;
        if talk.fillers >= MAX_FILLERS {
            return self.give_up_waiting(out);
        }
        talk.fillers += 1;
        if let Some(reply) = &talk.reply
            && let Voice::Speaking { .. } = reply.voice
            && !talk.playout.has_queued()
        {
            // A voice that stops in the middle of a sentence is not waited for.
            let patience = Duration::from_millis(self.config.idle.hold_after_ms.into());
            return self.tts_stalled(patience, out);
        }
        // It goes before what is prepared and may not be sent, or was asked for.
        talk.playout.interject(&self.config.phrases.hold.audio);
        self.send(out);
    }

    /// Something goes on and on without anything that could be said.
    fn give_up_waiting(&mut self, out: &mut Vec<Output>) {
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        talk.fillers = 0;
        match &talk.reply {
            None => self.stt_timed_out(out),
            Some(reply) if matches!(reply.text, Text::Writing { .. }) => self.llm_timed_out(out),
            Some(_) => self.tts_timed_out(out),
        }
    }

    /// The language model or the voice failed in the reply that is under way.
    fn service_failed(&mut self, service: Service, failure: JobFailure, out: &mut Vec<Output>) {
        // What was only tried ahead is tried again once the turn has ended.
        if self.drop_ahead(out) {
            return;
        }
        self.report_failure(service, failure, out);
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        if let Some(reply) = &mut talk.reply {
            out.extend(reply.jobs().map(Output::Cancel));
            reply.drop_rest();
            talk.playout.abort();
        }
        self.apologise(out);
    }

    pub(super) fn report_failure(
        &mut self,
        service: Service,
        failure: JobFailure,
        out: &mut Vec<Output>,
    ) {
        self.tell_failure(service, failure, out);
        if let Phase::Talking(talk) = &mut self.phase
            && !talk.handoff.rests()
        {
            talk.failures_in_a_row += 1;
        }
    }

    /// A service failed, and nobody waits for it.
    pub(super) fn tell_failure(
        &mut self,
        service: Service,
        failure: JobFailure,
        out: &mut Vec<Output>,
    ) {
        self.counters.service_failures += 1;
        let JobFailure {
            kind: failure,
            detail,
        } = failure;
        let error = CallError::Service {
            service,
            failure,
            detail,
        };
        out.push(Output::Event(CallEvent::Error { error }));
    }

    /// Something failed: tells the caller, in a voice that needs no service; after too many
    /// failures in a row says goodbye.
    pub(super) fn apologise(&mut self, out: &mut Vec<Output>) {
        let config = self.config.clone();
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        if talk.handoff.rests() {
            return;
        }
        if talk.reply.is_none() {
            let turn = self.next_turn();
            self.set_reply(Reply::of_text(turn, ""));
        }
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let is_agents_turn = talk.is_agents_turn();
        let Some(reply) = &mut talk.reply else { return };
        let give_up = talk.failures_in_a_row >= config.patience.max_failures;
        if give_up || reply.ending != Ending::Listen {
            reply.append(&config.phrases.farewell);
            reply.say_goodbye(EndReason::ServicesFailed);
            self.stop_listening(out);
        } else {
            reply.append(&config.phrases.apology);
            if !is_agents_turn && reply.delivery != Delivery::Audible {
                // It is said only if the caller's sound turns out to be no words.
                reply.hold(Sound::of_words());
            }
        }
    }

    /// The end of the call is decided: nothing more is answered.
    fn stop_listening(&mut self, out: &mut Vec<Output>) {
        self.announcements.clear();
        if let Phase::Talking(talk) = &mut self.phase {
            talk.owed = None;
            out.extend(talk.transcripts.abandon().map(Output::Cancel));
        }
    }

    /// Once the caller has heard the whole reply, the floor is the caller's, or the call is over.
    pub(super) fn finish_reply(&mut self, out: &mut Vec<Output>) {
        let now = self.now;
        if let Phase::Talking(talk) = &mut self.phase
            && let Some(reply) = &mut talk.reply
            && reply.is_spoken()
            && !reply.is_held()
            && talk.playout.is_drained(now)
        {
            join(&mut reply.heard, &talk.playout.finish());
            self.finish(out);
        }
    }

    pub(super) fn finish(&mut self, out: &mut Vec<Output>) {
        if let Some(Ending::HangUp(reason)) = self.close_reply(out) {
            self.end(reason, out);
        }
    }

    /// The reply is over: what was heard of it becomes part of the conversation.
    fn close_reply(&mut self, out: &mut Vec<Output>) -> Option<Ending> {
        let Phase::Talking(talk) = &mut self.phase else {
            return None;
        };
        let reply = talk.reply.take()?;
        // Otherwise none of it was heard, or the interruption told what was.
        if let Delivery::Audible | Delivery::Resuming = reply.delivery {
            out.push(Output::Event(CallEvent::AgentFinished {
                turn: reply.turn,
                heard: reply.heard.clone(),
            }));
        }
        if !reply.heard.is_empty() {
            talk.expect = reply.expect;
            self.conversation
                .push(Message::new(Role::Agent, reply.heard));
        }
        Some(reply.ending)
    }
}
