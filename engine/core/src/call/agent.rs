//! The agent's side: words to a reply, the reply to sentences, sentences to audio.

use std::time::Duration;

use sidetone_codecs::SampleRate;

use super::{Call, Delivery, Ending, Phase, Reply, Text, Voice, caller::timed_out};
use crate::{
    config::Phrase,
    conversation::{Message, Role},
    event::{CallError, CallEvent, EndReason},
    io::Output,
    job::{Expect, FailureKind, Job, JobFailure, JobId, LlmJob, Service, TtsJob},
    ledger::{Cut, Piece, Words, join},
    sentence::has_words,
};

/// The voice waits with the next sentence while this much audio is still to be sent.
const VOICE_AHEAD: Duration = Duration::from_secs(4);
/// A sentence with more audio than this is no sentence.
const LONGEST_AUDIO: Duration = Duration::from_secs(120);

impl Call {
    /// The caller takes the floor: what the agent says stops, in this very step.
    pub(super) fn yield_floor(&mut self, since_onset: Duration, out: &mut Vec<Output>) {
        let now = self.now;
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        if talk.reply.as_ref().is_some_and(Reply::is_farewell) {
            return;
        }
        let words_sent = talk.playout.has_sent_words();
        let cut = if talk.playout.has_sent() {
            Some(talk.playout.clear(now, out))
        } else {
            None
        };
        let Some(reply) = &mut talk.reply else { return };
        // What is prepared and was not sent yet waits for what the caller says.
        let Some(cut) = cut else { return reply.hold() };
        out.extend(reply.voice_job().map(Output::Cancel));
        let delivery = reply.delivery;
        reply.rewind(cut);
        if !words_sent {
            return;
        }
        if reply.is_spoken() {
            // The last word was out: the caller answers, and interrupts nothing.
            reply.delivery = delivery;
            return self.finish(out);
        }
        self.counters.interruptions += 1;
        out.push(Output::Event(CallEvent::AgentInterrupted {
            turn: reply.turn,
            heard: reply.heard.clone(),
            onset_to_clear_ms: u64::try_from(since_onset.as_millis()).unwrap_or(u64::MAX),
        }));
    }

    /// The caller spoke words: the reply they interrupted stays as far as it was heard.
    pub(super) fn abandon_held_reply(&mut self, out: &mut Vec<Output>) {
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        if !talk.reply.as_ref().is_some_and(Reply::is_held) {
            return;
        }
        self.abandon_reply(out);
    }

    pub(super) fn abandon_reply(&mut self, out: &mut Vec<Output>) {
        if let Phase::Talking(talk) = &mut self.phase
            && talk.reply.is_some()
        {
            let cut = talk.playout.clear(self.now, out);
            self.cut_reply(&cut, out);
        }
    }

    /// The reply ends where it was cut, whatever was to follow.
    pub(super) fn cut_reply(&mut self, cut: &Cut, out: &mut Vec<Output>) {
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let Some(reply) = &mut talk.reply else { return };
        out.extend(reply.jobs().map(Output::Cancel));
        join(&mut reply.heard, &cut.heard);
        if let Some(text) = reply.announcement.take() {
            self.announcements.push_front(text);
        }
        self.close_reply(out);
    }

    /// The agent says `text` as soon as nobody's turn is under way.
    pub(super) fn say(&mut self, text: String) {
        if has_words(&text) {
            self.announcements.push_back(text);
        }
    }

    /// The agent says `text` now, whatever goes on, and hangs up.
    pub(super) fn say_goodbye(&mut self, text: &str, out: &mut Vec<Output>) {
        if let Phase::Connecting { .. } = self.phase {
            return self.end(EndReason::Commanded, out);
        }
        self.abandon_reply(out);
        self.stop_listening(out);
        let turn = self.next_turn();
        let mut reply = Reply::of_text(turn, text);
        reply.say_goodbye(EndReason::Commanded);
        self.set_reply(reply);
        if let Phase::Talking(talk) = &mut self.phase {
            talk.quiet_since = self.now;
        }
    }

    /// Goes on with a reply that a sound without words held up.
    pub(super) fn release_reply(&mut self) {
        if let Phase::Talking(talk) = &mut self.phase
            && talk.is_agents_turn()
            && let Some(reply) = &mut talk.reply
        {
            reply.release();
        }
    }

    /// Begins the reply that is owed, else what the program wants said.
    pub(super) fn begin_reply(&mut self, out: &mut Vec<Output>) {
        let now = self.now;
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        if talk.reply.is_some() || !talk.is_agents_turn() {
            return;
        }
        if let Some(latency) = talk.owed.take() {
            let (job, turn) = (self.next_job(), self.next_turn());
            let messages = self.conversation.as_slice().into();
            let language = self.config.agent.language.clone();
            self.set_reply(Reply::written_by(job, turn, now, latency));
            let job = LlmJob {
                id: job,
                messages,
                language,
                eager: false,
            };
            Self::start_job(Job::Llm(job), out);
        } else if let Some(text) = self.announcements.pop_front() {
            // Nobody waited for it before.
            talk.quiet_since = now;
            let turn = self.next_turn();
            self.set_reply(Reply::announcing(turn, text));
        }
    }

    pub(super) fn set_reply(&mut self, reply: Reply) {
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
        if talk.is_gated() && !is_ahead {
            return;
        }
        if let Some(reply) = &mut talk.reply {
            while talk.playout.backlog() < VOICE_AHEAD
                && let Some(piece) = reply.next_piece()
            {
                let (turn, text) = (reply.turn, piece.text().to_owned());
                if is_ahead {
                    reply.prepared.push(text);
                } else {
                    out.push(Output::Event(CallEvent::AgentSentence { turn, text }));
                }
                if let Piece::Phrase(Phrase { audio, .. }) = &piece {
                    let audio = audio.clone();
                    talk.playout.play(Words::Said(piece), &audio);
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
                talk.playout.begin(Words::Said(piece));
            }
        }
        if is_ahead {
            return;
        }
        self.send(out);
        self.announce(out);
    }

    /// Gives the leg as much audio as it may have.
    fn send(&mut self, out: &mut Vec<Output>) {
        if let Phase::Talking(talk) = &mut self.phase {
            talk.playout.pump(self.now, out);
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
            | Delivery::Interrupted => return,
        }));
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
        if let Some(reply) = &mut talk.reply {
            if reply.is_held() && talk.playout.has_queued() {
                // The filler goes before what is prepared and may not be sent: that is made anew.
                out.extend(reply.voice_job().map(Output::Cancel));
                reply.rewind(talk.playout.clear(now, out));
            } else if let Voice::Speaking { .. } = reply.voice {
                // A voice that stops in the middle of a sentence is not waited for.
                return self.tts_stalled(self.config.patience.hold, out);
            }
        }
        // The sentence that was asked for keeps its place behind the filler.
        talk.playout.interject(&self.config.phrases.hold.audio);
        self.send(out);
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
        if let Phase::Talking(talk) = &mut self.phase {
            talk.failures_in_a_row += 1;
        }
    }

    /// Something failed: tells the caller, in a voice that needs no service; after too many
    /// failures in a row says goodbye.
    pub(super) fn apologise(&mut self, out: &mut Vec<Output>) {
        let config = self.config.clone();
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
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
            if !is_agents_turn {
                // It is said only if the caller's sound turns out to be no words.
                reply.hold();
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
            talk.quiet_since = now;
            join(&mut reply.heard, &talk.playout.finish());
            self.finish(out);
        }
    }

    fn finish(&mut self, out: &mut Vec<Output>) {
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
            self.conversation.push(Message {
                role: Role::Agent,
                text: reply.heard,
            });
        }
        Some(reply.ending)
    }
}
