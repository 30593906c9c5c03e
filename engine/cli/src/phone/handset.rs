//! A caller with a phone and everything of Twilio between the phone and the engine's socket,
//! without the socket: messages and time go in, messages and sights come out.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use sidetone_codecs::{SampleCount, g711::mulaw};
use sidetone_core::{sim::PlayoutBuffer, time::CallTime};

use super::{
    audio::{FRAME_LEN, RATE, VoiceChange, VoiceMeter},
    drive::Telephone,
    message::{self, CallIdentity, FromEngine, MessageError, Writer},
    report::{CallAudio, CallReport, CallerTurn, Ending, duration_of},
    script::{Caller, Cue, Script},
};

/// How often the phone sends: one frame.
const FRAME: Duration = Duration::from_millis(20);

/// More audio than this ahead of the caller's ear is refused, so that an engine gone wild cannot
/// fill the memory. Twilio documents no limit.
const MAX_BUFFERED: Duration = Duration::from_secs(600);

/// What the phone wants done.
#[derive(Debug, Default)]
pub struct Actions {
    /// Messages to send, in order.
    pub send: Vec<String>,
    /// What there is to see, in order.
    pub sights: Vec<(CallTime, Sight)>,
    /// The call is over: close the socket once `send` is out.
    pub hang_up: bool,
}

/// Something to show a person who watches the call. Turns count from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sight {
    /// The caller begins turn `turn`.
    CallerBegan {
        /// Which.
        turn: usize,
    },
    /// The caller has finished turn `turn`.
    CallerFinished {
        /// Which.
        turn: usize,
    },
    /// The agent's voice is heard.
    AgentBegan {
        /// The turn that this answers and how long it took, if it is the answer to one.
        answers: Option<(usize, Duration)>,
    },
    /// The agent's voice is heard no more.
    AgentStopped,
    /// The engine had everything thrown away that was not played.
    Cleared {
        /// How long after the caller began to interrupt, if that is why.
        barge_in: Option<Duration>,
    },
    /// A mark went back to the engine.
    MarkReturned {
        /// Its name.
        name: String,
        /// It was flushed and not played.
        flushed: bool,
    },
    /// Nobody answered turn `turn`.
    Unanswered {
        /// Which.
        turn: usize,
    },
    /// The engine sent what Twilio would refuse.
    Refused {
        /// Why.
        reason: String,
    },
}

/// Somebody who hears what the caller hears, as it is played: mono 16-bit PCM at [`RATE`].
#[derive(Clone)]
pub struct Listener(Arc<Hear>);

type Hear = dyn Fn(&[i16]) + Send + Sync;

impl Listener {
    /// `hear` must not block.
    pub fn new(hear: impl Fn(&[i16]) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hear))
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

/// One call of a simulated phone. Drive it like a core: [`start`](Telephone::start), then
/// [`receive`](Telephone::receive) and [`advance`](Telephone::advance) until it hangs up.
pub struct Handset {
    script: Arc<Script>,
    caller: Caller,
    stream_sid: String,
    writer: Writer,
    /// Frames sent so far; frame n holds the 20 ms from n × 20 ms on.
    frames: u64,
    /// The line being said, and how many of its samples were sent.
    saying: Option<(usize, usize)>,
    far_end: PlayoutBuffer,
    meter: VoiceMeter,
    heard: Vec<i16>,
    heard_len: u64,
    listener: Option<Listener>,
    marks: Vec<(CallTime, String)>,
    voice_since: CallTime,
    report: CallReport,
}

impl Telephone for Handset {
    fn start(&mut self, parameters: &BTreeMap<String, String>, actions: &mut Actions) {
        actions.send.push(self.writer.connected());
        actions.send.push(self.writer.start(parameters));
    }

    fn receive(&mut self, now: CallTime, text: &str, actions: &mut Actions) {
        self.listen(now, actions);
        match message::read(text, &self.stream_sid) {
            Ok(FromEngine::Media(codes)) => {
                let length = SampleCount(codes.len() as u64).duration(RATE);
                if self.far_end.buffered() + length > MAX_BUFFERED {
                    self.refuse(now, "more than ten minutes of audio ahead".into(), actions);
                    return;
                }
                let mut samples = Vec::with_capacity(codes.len());
                mulaw::decode_append(&codes, &mut samples);
                self.far_end.media(now, &samples);
            }
            Ok(FromEngine::Mark(name)) => {
                self.far_end.mark(now, name.into_owned());
                // A mark with nothing before it comes back at once.
                self.listen(now, actions);
            }
            Ok(FromEngine::Clear) => self.clear(now, actions),
            Err(error) => self.refuse(now, error.to_string(), actions),
        }
    }

    fn receive_binary(&mut self, now: CallTime, actions: &mut Actions) {
        self.refuse(now, MessageError::Binary.to_string(), actions);
    }

    fn advance(&mut self, now: CallTime, actions: &mut Actions) {
        self.listen(now, actions);
        while self.next_frame_at() <= now && !actions.hang_up {
            self.send_frame(actions);
        }
    }

    fn deadline(&self) -> CallTime {
        let frame = self.next_frame_at();
        self.far_end
            .next_mark_at()
            .map_or(frame, |mark| mark.min(frame))
    }
}

impl Handset {
    /// A phone about to call. `keep_audio`: the report holds the sound of the call.
    #[must_use]
    pub fn new(script: Arc<Script>, identity: CallIdentity, keep_audio: bool) -> Self {
        let report = CallReport {
            call_sid: identity.call_sid.clone(),
            audio: keep_audio.then(CallAudio::default),
            ..CallReport::default()
        };
        Self {
            caller: Caller::new(Arc::clone(&script)),
            script,
            stream_sid: identity.stream_sid.clone(),
            writer: Writer::new(identity),
            frames: 0,
            saying: None,
            far_end: PlayoutBuffer::new(RATE),
            meter: VoiceMeter::default(),
            heard: Vec::new(),
            heard_len: 0,
            listener: None,
            marks: Vec::new(),
            voice_since: CallTime::ZERO,
            report,
        }
    }

    /// Lets somebody hear what the caller hears from now on.
    pub fn let_listen(&mut self, listener: Listener) {
        self.listener = Some(listener);
    }

    /// The caller presses a key.
    pub fn press(&mut self, digit: char, actions: &mut Actions) {
        actions.send.push(self.writer.dtmf(digit));
    }

    /// The call ends from outside: somebody hung up, or it was sent elsewhere.
    pub fn hang_up(&mut self, actions: &mut Actions) {
        actions.send.push(self.writer.stop());
        actions.hang_up = true;
    }

    /// The call ended at `now`; says what was measured.
    #[must_use]
    pub fn end(mut self, now: CallTime, ending: Ending) -> CallReport {
        self.listen(now, &mut Actions::default());
        if self.meter.hears_voice() {
            let until = CallTime::ZERO + duration_of(self.heard_len);
            self.report.agent_speech.push((self.voice_since, until));
        }
        let report = &mut self.report;
        report.unsaid = self.script.lines.len() - report.turns.len();
        report.ending = Some(ending);
        report.duration = now.since(CallTime::ZERO);
        report.underruns = self.far_end.underruns();
        report.unplayed = self.far_end.buffered();
        self.report
    }

    /// A frame is sent when its last sample was spoken.
    fn next_frame_at(&self) -> CallTime {
        frame_start(self.frames + 1)
    }

    fn send_frame(&mut self, actions: &mut Actions) {
        let start = frame_start(self.frames);
        let end = self.next_frame_at();
        let first = self.frames * FRAME_LEN as u64;
        let mut frame = [0; FRAME_LEN];
        for (offset, sample) in frame.iter_mut().enumerate() {
            *sample = self.next_sample(first + offset as u64);
        }
        let message = self.writer.media(start.as_millis(), &frame);
        actions.send.push(message);
        if let Some(audio) = &mut self.report.audio {
            audio.caller.extend_from_slice(&frame);
        }
        self.frames += 1;
        self.follow_script(end, actions);
    }

    /// The next sample of the line being said, or of the room.
    fn next_sample(&mut self, position: u64) -> i16 {
        if let Some((line, said)) = &mut self.saying
            && let Some(&sample) = self.script.lines[*line].audio.get(*said)
        {
            *said += 1;
            return sample;
        }
        self.script.background.sample(position)
    }

    /// What the caller does at `now`, the end of a frame.
    fn follow_script(&mut self, now: CallTime, actions: &mut Actions) {
        if let Some((line, said)) = self.saying
            && said >= self.script.lines[line].speech.end
            && let Some(turn) = self.report.turns.len().checked_sub(1)
            && self.caller.line_ended(self.report.turns[turn].speech_ended)
        {
            actions.sights.push((now, Sight::CallerFinished { turn }));
        }
        match self.caller.poll(now) {
            None => {}
            Some(Cue::Speak(line)) => {
                self.note_unanswered(now, actions);
                let turn = self.report.turns.len();
                self.saying = Some((line, 0));
                self.report.turns.push(CallerTurn::new(
                    &self.script.lines[line],
                    now,
                    self.meter.hears_voice(),
                ));
                actions.sights.push((now, Sight::CallerBegan { turn }));
            }
            Some(Cue::HangUp) => {
                self.note_unanswered(now, actions);
                self.hang_up(actions);
            }
        }
    }

    fn note_unanswered(&self, now: CallTime, actions: &mut Actions) {
        let last = self.report.turns.iter().rposition(CallerTurn::wants_answer);
        if let Some(turn) = last
            && self.report.turns[turn].answered_at.is_none()
        {
            actions.sights.push((now, Sight::Unanswered { turn }));
        }
    }

    /// Hears what was played until `now`, and returns the marks in it.
    fn listen(&mut self, now: CallTime, actions: &mut Actions) {
        self.heard.clear();
        self.far_end.advance(now, &mut self.heard, &mut self.marks);
        self.return_marks(false, actions);
        if let Some(Listener(hear)) = &self.listener {
            hear(&self.heard);
        }
        if let Some(audio) = &mut self.report.audio {
            audio.agent.extend_from_slice(&self.heard);
        }
        self.heard_len += self.heard.len() as u64;
        let mut changes = Vec::new();
        self.meter.push(&self.heard, |change| changes.push(change));
        for change in changes {
            self.hear(now, change, actions);
        }
    }

    fn hear(&mut self, now: CallTime, change: VoiceChange, actions: &mut Actions) {
        match change {
            VoiceChange::Began(sample) => {
                let at = CallTime::ZERO + duration_of(sample);
                self.voice_since = at;
                self.caller.agent_started(at);
                let answers = self.note_answer(at);
                actions.sights.push((now, Sight::AgentBegan { answers }));
            }
            VoiceChange::Stopped(sample) => {
                let at = CallTime::ZERO + duration_of(sample);
                self.report.agent_speech.push((self.voice_since, at));
                self.caller.agent_stopped(at);
                // What stops before the question has ended was no answer to it.
                if let Some(turn) = self.report.turns.last_mut()
                    && at < turn.speech_ended
                {
                    turn.answered_at = None;
                }
                actions.sights.push((now, Sight::AgentStopped));
            }
        }
    }

    /// The agent began to speak: which turn does it answer?
    fn note_answer(&mut self, at: CallTime) -> Option<(usize, Duration)> {
        let turns = &mut self.report.turns;
        let asked = turns.iter().rposition(CallerTurn::wants_answer);
        let turn = match asked {
            Some(turn) if turns[turn].answered_at.is_none() => turn,
            // Speech that wanted no answer, and gets one.
            _ => turns.len().checked_sub(1)?,
        };
        let answered = &mut turns[turn];
        if answered.answered_at.is_some() || (!answered.wants_answer() && answered.over_agent) {
            return None;
        }
        answered.answered_at = Some(at);
        Some((turn, at.since(answered.speech_ended)))
    }

    fn clear(&mut self, now: CallTime, actions: &mut Actions) {
        self.far_end.clear(now);
        self.far_end.advance(now, &mut self.heard, &mut self.marks);
        let barge_in = match self.report.turns.last_mut() {
            Some(turn) if turn.over_agent && turn.cleared_at.is_none() => {
                turn.cleared_at = Some(now);
                turn.barge_in()
            }
            _ => None,
        };
        actions.sights.push((now, Sight::Cleared { barge_in }));
        self.return_marks(true, actions);
        if let Some(change) = self.meter.cut() {
            self.hear(now, change, actions);
        }
    }

    fn return_marks(&mut self, flushed: bool, actions: &mut Actions) {
        for (at, name) in self.marks.drain(..) {
            actions.send.push(self.writer.mark(&name));
            actions
                .sights
                .push((at, Sight::MarkReturned { name, flushed }));
        }
    }

    fn refuse(&mut self, now: CallTime, reason: String, actions: &mut Actions) {
        self.report.refused_messages += 1;
        if self.report.first_refusal.is_none() {
            self.report.first_refusal = Some(reason.clone());
        }
        actions.sights.push((now, Sight::Refused { reason }));
    }
}

fn frame_start(frame: u64) -> CallTime {
    CallTime::ZERO + FRAME * u32::try_from(frame).expect("a call has fewer than 2^32 frames")
}
