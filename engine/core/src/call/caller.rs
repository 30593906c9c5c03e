//! The caller's side: audio to turns, turns to words, keys to words.

use std::time::Duration;

use super::{
    Call, Delivery, Owed, Partial, Phase, Talk,
    ahead::{Words, add_words},
};
use crate::{
    event::{CallEvent, TurnId},
    interruption::Sound,
    io::Output,
    job::{
        FailureKind, Job, JobEvent, JobFailure, JobId, JobUpdate, LlmEvent, Service, SttEvent,
        SttJob, SttPurpose, TtsEvent,
    },
    keypad::Entry,
    latency::Latency,
    line::Line,
    partials::{Growth, PROBED, STANDS_STILL, StableText},
    time::CallTime,
    transcripts::{Outcome, Speaker},
    turn::{EndedTurn, TurnChange},
};

/// A turn in which no audio arrives for this long has ended: the leg is stuck.
pub(super) const AUDIO_STALLED: Duration = Duration::from_millis(1_500);
/// A caller who speaks again so soon after the end of a turn had not finished it.
const GOES_ON: Duration = Duration::from_millis(1_200);
/// The caller's audio is followed in pieces of this length at most.
const SLICE: Duration = Duration::from_millis(20);

impl Call {
    /// The caller's next audio, at the leg's rate. A leg may put seconds of it into one message:
    /// each turn in there is to get its own part.
    pub(super) fn audio(&mut self, pcm: &[i16], out: &mut Vec<Output>) {
        if let Phase::Talking(talk) = &mut self.phase {
            talk.latest_audio = self.now;
            if let Some(bridge) = &mut talk.bridge {
                bridge.caller(self.now, pcm);
            }
            if let Some(line) = &mut talk.line {
                line.arrives(self.now, pcm.len());
            }
            let slice = talk.hearing.rate().samples_in(SLICE).0;
            let slice = usize::try_from(slice).expect("20 ms fit the memory");
            for pcm in pcm.chunks(slice) {
                self.slice(pcm, out);
            }
        }
    }

    fn slice(&mut self, pcm: &[i16], out: &mut Vec<Output>) {
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let audible = talk.is_audible(self.now);
        let next = TurnId(self.turns + 1);
        // A slice holds a frame or two: a turn may end in one and the next begin in the other.
        let (turn, mut changes) = (&mut talk.turn, [None; 2]);
        let (reply, vad) = (&mut talk.reply, &self.config.vad);
        let line = &mut talk.line;
        if let Some(line) = line {
            line.push(pcm, &talk.playout);
        }
        let mut echo_frames = 0;
        let wanted = talk.endpointing.wanted();
        talk.hearing.push(pcm, |mut frame| {
            if frame.speech >= vad.silence_threshold && line.as_mut().is_some_and(Line::is_echo) {
                frame.speech = 0.0;
                frame.is_quiet = true;
                echo_frames += 1;
            }
            if let Some(reply) = reply
                && let Delivery::Interrupted(sound) = &mut reply.delivery
            {
                sound.frame(frame, vad);
            }
            if let Some(change) = turn.frame(frame, audible, wanted, next) {
                let slot = usize::from(changes[0].is_some());
                changes[slot] = Some(change);
            }
        });
        self.counters.echo_frames += echo_frames;
        let mut ended = None;
        for change in changes.into_iter().flatten() {
            match change {
                TurnChange::Began { since_onset } => self.turn_began(since_onset, out),
                TurnChange::Paused => self.caller_paused(out),
                TurnChange::Resumed { pause } => self.caller_resumed(pause, out),
                TurnChange::Ended(turn) => {
                    self.turn_ended(turn, out);
                    ended = Some(turn.turn);
                }
            }
        }
        self.pass_over_sound(ended, out);
    }

    /// How much later than they were said the caller's sounds are judged.
    fn lag(&self) -> Duration {
        match &self.phase {
            Phase::Talking(talk) => talk.hearing.lag(),
            _ => Duration::ZERO,
        }
    }

    /// No audio comes any more in the middle of a turn.
    pub(super) fn audio_stalled(&mut self, out: &mut Vec<Output>) {
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        if let Some(ended) = talk.turn.end() {
            self.turn_ended(ended, out);
        }
    }

    fn turn_began(&mut self, voiced_for: Duration, out: &mut Vec<Output>) {
        let turn = self.next_turn();
        let since_onset = voiced_for + self.lag();
        self.yield_floor(turn, since_onset, Sound::since(voiced_for), out);
        let onset = self.now.saturating_sub(since_onset);
        let expected = self.expected();
        let next_partial = self.next_partial();
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        talk.hearing.begin_utterance();
        if let Some(speech_end) = talk.speech_end.take()
            && onset.since(speech_end) < GOES_ON
        {
            talk.endpointing.was_wrong(onset.since(speech_end));
            if let Some(reply) = &mut talk.reply {
                reply.caller_went_on();
            }
        }
        talk.endpointing.turn_began(expected);
        talk.stable = StableText::default();
        talk.growth = Growth::since(onset);
        talk.partial = next_partial;
        out.push(Output::Event(CallEvent::TurnStarted { turn }));
    }

    pub(super) fn turn_ended(
        &mut self,
        EndedTurn {
            turn,
            speech,
            silent,
        }: EndedTurn,
        out: &mut Vec<Output>,
    ) {
        let job = self.next_job();
        let now = self.now;
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        talk.stop_partial(out);
        let silent = silent + talk.hearing.lag();
        let audio = talk.hearing.end_utterance(silent);
        let speech_ms = u64::try_from(speech.as_millis()).unwrap_or(u64::MAX);
        out.push(Output::Event(CallEvent::TurnEnded { turn, speech_ms }));
        let speech_end = talk.latest_audio.saturating_sub(silent);
        talk.quiet_since = speech_end;
        talk.fillers = 0;
        if talk.reply.as_ref().is_some_and(|reply| reply.is_farewell()) {
            return talk.stop_ahead(out);
        }
        talk.speech_end = Some(speech_end);
        let enough = speech_end + talk.endpointing.wanted_without_text();
        let latency = |asked_at: Option<CallTime>| {
            // Where the words were waited for, the silence had been long enough before.
            let waited = asked_at.is_none_or(|at| at >= now);
            let decided = if waited { enough.min(now) } else { now };
            Latency::new(turn, speech_end, decided)
        };
        match talk.take_ahead(out) {
            Words::Heard {
                job,
                asked,
                at,
                text,
            } => {
                talk.transcripts.ask(job, turn, asked, latency(Some(at)));
                talk.transcripts.answer(at, job, Outcome::Words(text));
            }
            Words::Asked { job, asked } => {
                talk.transcripts.ask(job, turn, asked, latency(None));
            }
            Words::None => {
                talk.transcripts
                    .ask(job, turn, now, Latency::new(turn, speech_end, now));
                let job = SttJob {
                    id: job,
                    purpose: SttPurpose::Final,
                    audio,
                    rate: talk.hearing.rate(),
                    language: self.config.agent.caller_language(),
                };
                Self::start_job(Job::Stt(job), out);
            }
        }
    }

    /// The partial transcript is due, or the last one never came.
    pub(super) fn ask_partial(&mut self, out: &mut Vec<Output>) {
        let id = self.next_job();
        let now = self.now;
        let is_probe = self.config.partials.interval_ms == 0;
        let next_partial = self.next_partial();
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        talk.stop_partial(out);
        let Some(turn) = talk.turn.current() else {
            return;
        };
        if is_probe && !talk.hearing.may_be_noise() && talk.overlaps.of(turn).is_none() {
            talk.partial = next_partial;
            return;
        }
        talk.partial = Partial::Asked {
            job: id,
            turn,
            asked: now,
        };
        Self::start_job(
            Job::Stt(SttJob {
                id,
                purpose: SttPurpose::Partial,
                audio: talk.hearing.utterance(),
                rate: talk.hearing.rate(),
                language: self.config.agent.caller_language(),
            }),
            out,
        );
    }

    /// The caller pressed a key.
    pub(super) fn key(&mut self, digit: char, out: &mut Vec<Output>) {
        out.push(Output::Event(CallEvent::Dtmf { digit }));
        let next = TurnId(self.turns + 1);
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let (turn, began) = talk.keypad.press(self.now, digit, next);
        if began {
            self.turns = turn.0;
            self.drop_ahead(out);
            self.yield_floor(turn, Duration::ZERO, Sound::of_words(), out);
            out.push(Output::Event(CallEvent::TurnStarted { turn }));
        }
        self.keys_finished(out);
    }

    /// Takes the keys as the caller's words, if the caller has finished.
    pub(super) fn keys_finished(&mut self, out: &mut Vec<Output>) {
        let now = self.now;
        if self.hears_the_agent_out() {
            return;
        }
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let Some(Entry { turn, keys, latest }) = talk.keypad.finished(now) else {
            return;
        };
        talk.quiet_since = latest;
        talk.fillers = 0;
        out.push(Output::Event(CallEvent::TurnEnded { turn, speech_ms: 0 }));
        out.push(Output::Event(CallEvent::TranscriptFinal {
            turn,
            text: keys.clone(),
        }));
        if let Phase::Talking(talk) = &mut self.phase {
            talk.overlaps.take(turn);
        }
        self.heard(&keys, Latency::new(turn, latest, now), out);
    }

    /// News of a job.
    pub(super) fn job(&mut self, update: JobUpdate, out: &mut Vec<Output>) {
        match update.event {
            JobEvent::Stt(event) => {
                let outcome = match event {
                    SttEvent::Transcript(transcript) => Ok(transcript.text.trim().to_owned()),
                    SttEvent::Failed(failure) => Err(failure),
                };
                self.transcript(update.id, outcome, out);
            }
            JobEvent::Llm(event) => match event {
                LlmEvent::Delta { text } => self.llm_delta(update.id, &text, out),
                LlmEvent::Expects { expect } => self.llm_expects(update.id, expect),
                LlmEvent::Uninterruptible => self.llm_insists(update.id),
                LlmEvent::Done { hang_up } => self.llm_done(update.id, hang_up, out),
                LlmEvent::Failed(failure) => self.llm_failed(update.id, failure, out),
            },
            JobEvent::Tts(event) => match event {
                TtsEvent::Audio { samples, rate } => {
                    self.tts_audio(update.id, &samples, rate, out);
                }
                TtsEvent::Done => self.tts_done(update.id, out),
                TtsEvent::Failed(failure) => self.tts_failed(update.id, failure, out),
            },
            JobEvent::Turn(event) => self.model_judged(update.id, &event, out),
        }
    }

    fn transcript(
        &mut self,
        job: JobId,
        outcome: Result<String, JobFailure>,
        out: &mut Vec<Output>,
    ) {
        // What fails ahead of its time costs nothing: the final will tell.
        if self.partial(job, outcome.as_deref().ok(), out)
            || self.words_ahead(job, outcome.as_deref().ok(), out)
            || self.probed(job, outcome.as_deref().ok(), out)
        {
            return;
        }
        let now = self.now;
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let (words, failure) = match outcome {
            Ok(text) => (Outcome::Words(text), None),
            Err(failure) => (Outcome::Lost, Some(failure)),
        };
        let is_callers = talk.transcripts.is_callers(job);
        let guidance = talk.bridge.as_mut().map(|bridge| &mut bridge.guidance);
        let guides = guidance.is_some_and(|guidance| guidance.answer(now, job, words.clone()));
        let is_awaited = guides || talk.transcripts.answer(now, job, words);
        if let Some(failure) = failure.filter(|_| is_awaited) {
            match is_callers {
                true => self.report_failure(Service::Stt, failure, out),
                false => self.tell_failure(Service::Stt, failure, out),
            }
        }
    }

    /// A partial transcript came, or failed; `false` if `job` is none.
    fn partial(&mut self, job: JobId, text: Option<&str>, out: &mut Vec<Output>) -> bool {
        let next_partial = self.next_partial();
        let is_told = self.config.partials.interval_ms > 0;
        let Phase::Talking(talk) = &mut self.phase else {
            return false;
        };
        let (turn, asked) = match talk.partial {
            Partial::Asked {
                job: id,
                turn,
                asked,
            } if id == job => (turn, asked),
            _ => return false,
        };
        talk.partial = next_partial;
        if let Some(text) = text {
            if is_told && let Some(grown) = talk.stable.push(text) {
                out.push(Output::Event(CallEvent::TranscriptPartial {
                    turn,
                    text: grown.stable,
                    unstable: grown.unstable,
                }));
            }
            self.partial_in_pause(asked, text, out);
            self.words_stand_still(job, asked, text, out);
        }
        true
    }

    /// Ends a turn whose words have not grown for long, if any other sound in it may be noise: what is
    /// still to be heard is taken for that from now on.
    pub(super) fn words_stand_still(
        &mut self,
        job: JobId,
        asked: CallTime,
        text: &str,
        out: &mut Vec<Output>,
    ) {
        let now = self.now;
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let still = talk.growth.push(asked, text);
        let enough = talk.endpointing.wanted_after(text).max(STANDS_STILL);
        if still < enough || !(text.is_empty() || talk.hearing.may_be_noise()) {
            return;
        }
        if let Some(ended) = talk.turn.end() {
            talk.hearing.learn_noise();
            talk.ahead.words = Words::Heard {
                job,
                asked,
                at: now,
                text: text.to_owned(),
            };
            let all = ended.speech + ended.silent;
            let silent = still + now.since(asked);
            let speech = all.saturating_sub(silent);
            let ended = EndedTurn {
                speech,
                silent,
                ..ended
            };
            self.turn_ended(ended, out);
        }
    }

    /// When the next partial transcript is due.
    pub(super) fn next_partial(&self) -> Partial {
        let interval = match self.config.partials.interval_ms {
            0 => PROBED,
            interval => ms(interval),
        };
        Partial::Due {
            at: self.now + interval,
        }
    }

    /// Speech recognition has not answered in time.
    pub(super) fn stt_timed_out(&mut self, out: &mut Vec<Output>) {
        let now = self.now;
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let failure = timed_out("speech recognition", self.config.patience.service);
        let guidance = talk.bridge.as_mut().map(|bridge| &mut bridge.guidance);
        let asked_in_time = now.saturating_sub(self.config.patience.service);
        if let Some(guidance) = guidance
            && let Some((job, asked)) = guidance.oldest_unanswered()
            && asked <= asked_in_time
        {
            guidance.answer(now, job, Outcome::Lost);
            out.push(Output::Cancel(job));
            return self.tell_failure(Service::Stt, failure, out);
        }
        let Some((job, _)) = talk.transcripts.oldest_unanswered() else {
            return;
        };
        let is_callers = talk.transcripts.is_callers(job);
        talk.transcripts.answer(now, job, Outcome::Lost);
        out.push(Output::Cancel(job));
        match is_callers {
            true => self.report_failure(Service::Stt, failure, out),
            false => self.tell_failure(Service::Stt, failure, out),
        }
    }

    /// Moves the transcripts whose turn it is into the conversation.
    pub(super) fn take_words(&mut self, out: &mut Vec<Output>) {
        while !self.hears_the_agent_out() {
            let Phase::Talking(talk) = &mut self.phase else {
                return;
            };
            let Some((speaker, turn, outcome, latency)) = talk.transcripts.next_ready() else {
                return;
            };
            if let Speaker::Person { id, name } = speaker {
                if let Outcome::Words(text) = outcome {
                    self.person_said(id, name, turn, text, latency, out);
                }
                continue;
            }
            match outcome {
                Outcome::Words(text) => {
                    let event = CallEvent::TranscriptFinal {
                        turn,
                        text: text.clone(),
                    };
                    out.push(Output::Event(event));
                    talk.endpointing.turn_ended(&text);
                    if text.is_empty() {
                        // Who speaks after it does not go on with it.
                        talk.speech_end = None;
                    }
                    if self.are_for_the_agent(turn, &text, out) {
                        self.heard(&text, latency, out);
                    }
                }
                Outcome::Lost => {
                    let overlap = talk.overlaps.take(turn);
                    if overlap.is_some_and(|overlap| overlap.was_short) {
                        // The agent went on long ago.
                        continue;
                    }
                    self.abandon_held_reply(out);
                    self.apologise(out);
                }
            }
        }
    }

    /// The caller's words become part of the conversation, and a reply is owed, unless it was
    /// made ahead.
    fn heard(&mut self, words: &str, latency: Latency, out: &mut Vec<Output>) {
        let is_answered = self.confirm_ahead(latency, out);
        if !is_answered {
            self.abandon_held_reply(out);
        }
        self.prompts = 0;
        self.counters.turns += 1;
        add_words(&mut self.conversation, words);
        if let Phase::Talking(talk) = &mut self.phase
            && !is_answered
            && !talk.handoff.rests()
        {
            talk.owed = Some(Owed::Answer(latency));
        }
    }
}

impl Talk {
    pub(super) fn stop_partial(&mut self, out: &mut Vec<Output>) {
        if let Partial::Asked { job, .. } = std::mem::replace(&mut self.partial, Partial::Off) {
            out.push(Output::Cancel(job));
        }
    }
}

pub(super) fn timed_out(what: &str, patience: Duration) -> JobFailure {
    let detail = format!("{what} did not go on within {patience:?}");
    JobFailure::new(FailureKind::TimedOut, detail)
}

fn ms(ms: u32) -> Duration {
    Duration::from_millis(ms.into())
}
