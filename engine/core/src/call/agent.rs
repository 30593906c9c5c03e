//! The agent's side: words to a reply, the reply to sentences, sentences to audio.

use std::time::Duration;

use sidetone_codecs::SampleRate;

use super::{Call, Delivery, Ending, Phase, Reply, Text, Voice, caller::timed_out};
use crate::{
    conversation::{Message, Role},
    event::{CallError, CallEvent, EndReason},
    io::Output,
    job::{FailureKind, Job, JobFailure, JobId, LlmJob, Service, TtsJob},
    ledger::{Words, join},
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
        if let Voice::Asked { job, .. } | Voice::Speaking { job, .. } = reply.voice {
            out.push(Output::Cancel(job));
        }
        reply.rewind(cut);
        if words_sent {
            self.counters.interruptions += 1;
            out.push(Output::Event(CallEvent::AgentInterrupted {
                turn: reply.turn,
                heard: reply.heard.clone(),
                onset_to_clear_ms: u64::try_from(since_onset.as_millis()).unwrap_or(u64::MAX),
            }));
        }
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

    fn abandon_reply(&mut self, out: &mut Vec<Output>) {
        let now = self.now;
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let Some(mut reply) = talk.reply.take() else {
            return;
        };
        out.extend(reply.jobs().map(Output::Cancel));
        let cut = talk.playout.clear(now, out);
        join(&mut reply.heard, &cut.heard);
        self.agent_said(reply.heard);
    }

    fn agent_said(&mut self, text: String) {
        if !text.is_empty() {
            self.conversation.push(Message {
                role: Role::Agent,
                text,
            });
        }
    }

    /// The agent says `text` next.
    pub(super) fn say(&mut self, text: &str) {
        if text.trim().is_empty() {
            return;
        }
        let turn = self.next_turn();
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let caller_has_floor = talk.caller_has_floor();
        match &mut talk.reply {
            Some(reply) => reply.append(text),
            None => {
                let mut reply = Reply::of_text(turn, text);
                if caller_has_floor {
                    reply.hold();
                }
                talk.reply = Some(reply);
            }
        }
    }

    /// The agent says `text` now, whatever goes on, and hangs up.
    pub(super) fn say_goodbye(&mut self, text: &str, out: &mut Vec<Output>) {
        self.abandon_reply(out);
        let turn = self.next_turn();
        let Phase::Talking(talk) = &mut self.phase else {
            return self.end(EndReason::Commanded, out);
        };
        let mut reply = Reply::of_text(turn, text);
        reply.ending = Ending::HangUp(EndReason::Commanded);
        talk.reply = Some(reply);
    }

    /// Begins the reply that is owed, or goes on with one that a sound without words held up.
    pub(super) fn begin_or_release_reply(&mut self, out: &mut Vec<Output>) {
        let now = self.now;
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        if talk.caller_has_floor() || !talk.transcripts.is_empty() {
            return;
        }
        match &mut talk.reply {
            Some(reply) => match reply.delivery {
                Delivery::HeldUnheard => reply.delivery = Delivery::Waiting,
                Delivery::Interrupted => {
                    reply.delivery = Delivery::Audible;
                    out.push(Output::Event(CallEvent::AgentResumed { turn: reply.turn }));
                }
                Delivery::Waiting | Delivery::Audible => {}
            },
            None => {
                let Some(latency) = talk.owed.take() else {
                    return;
                };
                let (job, turn) = (self.next_job(), self.next_turn());
                let Phase::Talking(talk) = &mut self.phase else {
                    return;
                };
                talk.reply = Some(Reply::written_by(job, turn, now, latency));
                let request = LlmJob {
                    id: job,
                    messages: self.conversation.as_slice().into(),
                    language: self.config.agent.language.clone(),
                };
                Self::start_job(Job::Llm(request), out);
            }
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
        if self.reply_written_by(job).is_some() {
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
        let job = JobId(self.jobs + 1);
        let now = self.now;
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        if talk.is_gated() {
            return;
        }
        if talk.playout.backlog() < VOICE_AHEAD
            && let Some(reply) = &mut talk.reply
            && let Some(text) = reply.next_sentence()
        {
            self.jobs = job.0;
            reply.voice = Voice::Asked {
                job,
                progressed: now,
            };
            talk.playout.begin(text.clone(), Words::Said);
            let turn = reply.turn;
            out.push(Output::Event(CallEvent::AgentSentence {
                turn,
                text: text.clone(),
            }));
            let language = self.config.agent.language.clone();
            Self::start_job(
                Job::Tts(TtsJob {
                    id: job,
                    text,
                    language,
                }),
                out,
            );
        }
        talk.playout.pump(now, out);
        self.announce(out);
    }

    /// The first audio of a reply went out.
    fn announce(&mut self, out: &mut Vec<Output>) {
        let now = self.now;
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let Some(reply) = &mut talk.reply else { return };
        if reply.delivery != Delivery::Waiting || !talk.playout.has_sent_words() {
            return;
        }
        reply.delivery = Delivery::Audible;
        out.push(Output::Event(CallEvent::AgentSpeaking { turn: reply.turn }));
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
            Ok(()) if talk.playout.backlog() > LONGEST_AUDIO => {
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
        if let Voice::Asked { .. } = reply.voice {
            let detail = "speech synthesis returned no audio for a sentence";
            let failure = JobFailure::new(FailureKind::Malformed, detail);
            return self.service_failed(Service::Tts, failure, out);
        }
        reply.voice = Voice::Idle;
        talk.playout.complete();
    }

    pub(super) fn tts_failed(&mut self, id: JobId, failure: JobFailure, out: &mut Vec<Output>) {
        let Phase::Talking(talk) = &self.phase else {
            return;
        };
        if talk
            .reply
            .as_ref()
            .is_some_and(|reply| reply.is_voiced_by(id))
        {
            self.service_failed(Service::Tts, failure, out);
        }
    }

    pub(super) fn tts_timed_out(&mut self, out: &mut Vec<Output>) {
        let failure = timed_out("speech synthesis", self.config.patience.service);
        self.service_failed(Service::Tts, failure, out);
    }

    /// The caller has waited too long without hearing anything.
    pub(super) fn hold(&mut self, out: &mut Vec<Output>) {
        let now = self.now;
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        talk.quiet_since = now;
        if let Some(Reply {
            voice: Voice::Speaking { .. },
            ..
        }) = &talk.reply
        {
            // A voice that stops in the middle of a sentence is not waited for.
            return self.tts_timed_out(out);
        }
        let phrase = &self.config.phrases.hold;
        // The sentence that was asked for keeps its place behind the filler.
        talk.playout.interject(&phrase.text, &phrase.audio);
        talk.playout.pump(now, out);
    }

    /// The language model or the voice failed in the reply that is under way.
    fn service_failed(&mut self, service: Service, failure: JobFailure, out: &mut Vec<Output>) {
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
        let turn = self.next_turn();
        let config = self.config.clone();
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let ending = talk
            .reply
            .as_ref()
            .map_or(Ending::Listen, |reply| reply.ending);
        let give_up = talk.failures_in_a_row >= config.patience.max_failures;
        let phrase = match (ending, give_up) {
            (Ending::HangUp(_), _) | (_, true) => &config.phrases.farewell,
            (Ending::Listen, false) => &config.phrases.apology,
        };
        let caller_has_floor = talk.caller_has_floor();
        let reply = talk.reply.get_or_insert_with(|| Reply::of_text(turn, ""));
        if give_up || matches!(ending, Ending::HangUp(_)) {
            talk.owed = None;
            reply.say_goodbye(EndReason::ServicesFailed);
        } else if caller_has_floor {
            // It is said only if the caller's sound turns out to be no words.
            reply.hold();
        }
        let turn = reply.turn;
        talk.playout.play(&phrase.text, &phrase.audio, Words::Said);
        let text = phrase.text.clone();
        out.push(Output::Event(CallEvent::AgentSentence { turn, text }));
    }

    /// Once the caller has heard the whole reply, the floor is the caller's, or the call is over.
    pub(super) fn finish_reply(&mut self, out: &mut Vec<Output>) {
        let now = self.now;
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let heard_all = talk.reply.as_ref().is_some_and(Reply::is_spoken);
        if !heard_all || !talk.playout.is_drained(now) {
            return;
        }
        let Some(mut reply) = talk.reply.take() else {
            return;
        };
        talk.quiet_since = now;
        join(&mut reply.heard, &talk.playout.finish());
        let event = CallEvent::AgentFinished {
            turn: reply.turn,
            heard: reply.heard.clone(),
        };
        out.push(Output::Event(event));
        self.agent_said(reply.heard);
        match reply.ending {
            Ending::HangUp(reason) => self.end(reason, out),
            // Words that came in meanwhile are answered now.
            Ending::Listen => self.begin_or_release_reply(out),
        }
    }
}
