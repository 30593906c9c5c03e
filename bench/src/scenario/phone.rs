//! Twilio's side of a call with a caller who follows a scenario, without a socket or a clock:
//! messages and time go in, messages come out.

use std::{collections::VecDeque, time::Duration};

use sidetone_cli::phone::{FRAME_LEN, RATE, VoiceChange, VoiceMeter};
use sidetone_codecs::{SampleCount, g711::mulaw};
use sidetone_core::{dialect::Outbound, io::Command, sim::PlayoutBuffer, time::CallTime};

use super::{
    clips::{Clip, Clips},
    file::{Act, Action, Echo, Line, NoiseKind, Scenario, ScenarioError, When},
    sounds,
    voice::AgentVoice,
};

/// How often the phone sends.
const FRAME: Duration = Duration::from_millis(20);
/// How far apart keys are pressed.
const KEY_DISTANCE: Duration = Duration::from_millis(200);
/// The noise is this long, and then begins again, in samples: 20 s.
const NOISE_LEN: usize = 160_000;

/// What the phone does.
#[derive(Clone, Debug, PartialEq)]
pub enum FromPhone {
    /// 20 ms of the caller's side, as PCM that μ-law keeps exactly; since when, in ms.
    Audio(u64, Vec<i16>),
    /// A key was pressed.
    Key(char),
    /// A mark comes back.
    Mark(String),
    /// The caller hangs up.
    HangUp,
    /// The program around the engine wants something.
    Program(Command),
}

/// An act that has begun.
#[derive(Clone, Debug)]
pub(super) struct Begun {
    /// Its place in the scenario.
    pub(super) act: usize,
    /// When there began something to be heard of it, in samples since the call began.
    pub(super) onset: u64,
    /// When there was nothing more to be heard.
    pub(super) end: u64,
    /// The agent was audible when it began.
    pub(super) over_agent: bool,
    /// The words in it.
    pub(super) words: String,
    clip: Option<(Clip, u64, f32)>,
}

/// The caller, the room, and the provider's buffer.
pub struct Phone {
    acts: Vec<(Act, Option<Clip>)>,
    line: Line,
    room: Vec<i16>,
    noise: Vec<f32>,
    noise_level: f32,
    keys: VecDeque<(CallTime, char)>,
    begun: Vec<Begun>,
    frames: u64,
    buffer: PlayoutBuffer,
    meter: VoiceMeter,
    /// All that the caller has heard.
    heard: Vec<i16>,
    /// All that the caller's side has sent.
    sent: Vec<i16>,
    /// When the agent's voice was audible, in samples since the call began.
    agent: Vec<(u64, Option<u64>)>,
    clears: Vec<CallTime>,
    marks: Vec<(CallTime, String)>,
    has_hung_up: bool,
}

impl Phone {
    /// A phone with a caller who follows `scenario`.
    ///
    /// # Errors
    ///
    /// One of the caller's sounds does not exist.
    pub fn new(scenario: &Scenario, clips: &mut Clips) -> Result<Self, ScenarioError> {
        let mut acts = Vec::new();
        for act in &scenario.acts {
            let clip = match &act.action {
                Action::Plays { clip, .. } => Some(clips.get(clip)?),
                _ => None,
            };
            acts.push((act.clone(), clip));
        }
        let line = scenario.line.clone();
        let (mut noise, mut noise_level) = (Vec::new(), 0.0);
        if let Some(wanted) = line.noise {
            let mut talkers = Vec::new();
            for talker in ["paul", "annie", "max"] {
                for words in ["where-is-my-order", "four-two-seven-one", "hello", "no"] {
                    talkers.push(clips.get(&format!("callers/{talker}/{words}"))?);
                }
            }
            let speech: Vec<&[i16]> = talkers.iter().map(|t| &t.audio[t.loud.clone()]).collect();
            noise = sounds::room_noise(wanted.kind, line.seed, &speech, NOISE_LEN);
            let level = clips.get("callers/paul/where-is-my-order")?.rms();
            noise_level = level * 10f32.powf(-wanted.snr_db / 20.0);
        }
        let room = sounds::room_noise(NoiseKind::White, line.seed, &[], NOISE_LEN);
        let room_level = 10f32.powf(line.background_dbfs / 20.0) * 32_768.0;
        Ok(Self {
            acts,
            room: room.iter().map(|s| (s * room_level) as i16).collect(),
            noise,
            noise_level,
            line,
            keys: VecDeque::new(),
            begun: Vec::new(),
            frames: 0,
            buffer: PlayoutBuffer::new(RATE),
            meter: VoiceMeter::default(),
            heard: Vec::new(),
            sent: Vec::new(),
            agent: Vec::new(),
            clears: Vec::new(),
            marks: Vec::new(),
            has_hung_up: false,
        })
    }

    /// Takes what the engine sent.
    pub fn receive(
        &mut self,
        now: CallTime,
        message: Outbound,
        ear: &mut AgentVoice,
        out: &mut Vec<FromPhone>,
    ) {
        self.listen(now, ear, out);
        match message {
            Outbound::Media { payload } => {
                let mut samples = Vec::with_capacity(payload.len());
                mulaw::decode_append(&payload, &mut samples);
                self.buffer.media(now, &samples);
            }
            Outbound::Mark { name } => self.buffer.mark(now, name),
            Outbound::Clear => {
                self.buffer.clear(now);
                self.clears.push(now);
                let cut = self.meter.cut();
                self.note_voice(cut);
            }
            other => unreachable!("a phone of Twilio's is not sent {other:?}"),
        }
        self.listen(now, ear, out);
    }

    /// Does what is due at `now`.
    pub fn advance(&mut self, now: CallTime, ear: &mut AgentVoice, out: &mut Vec<FromPhone>) {
        self.listen(now, ear, out);
        while self.next_frame_at() <= now && !self.has_hung_up {
            self.send_frame(out);
            self.act(out);
        }
    }

    /// When [`advance`](Self::advance) is needed next.
    #[must_use]
    pub fn deadline(&self) -> CallTime {
        let frame = self.next_frame_at();
        self.buffer
            .next_mark_at()
            .map_or(frame, |mark| mark.min(frame))
    }

    /// Everything was done, and the agent has been silent for `linger` since.
    #[must_use]
    pub fn is_over(&self, linger: Duration) -> bool {
        let done = self.begun.len() == self.acts.len() && self.keys.is_empty();
        let last = self.begun.iter().map(|begun| begun.end).max().unwrap_or(0);
        let quiet_since = match self.agent.last() {
            Some((_, None)) => return false,
            Some((_, Some(end))) => last.max(*end),
            None => last,
        };
        done && self.sent.len() as u64 >= quiet_since + RATE.samples_in(linger).0
    }

    pub(super) fn has_hung_up(&self) -> bool {
        self.has_hung_up
    }

    pub(super) fn begun(&self) -> &[Begun] {
        &self.begun
    }

    /// What the caller's side has sent so far, as the engine hears it.
    #[must_use]
    pub fn sent(&self) -> &[i16] {
        &self.sent
    }

    /// What the caller has heard so far.
    #[must_use]
    pub fn heard(&self) -> &[i16] {
        &self.heard
    }

    /// The way from the caller's loudspeaker back into the microphone.
    #[must_use]
    pub fn echo(&self) -> Option<Echo> {
        self.line.echo
    }

    pub(super) fn agent_voice(&self) -> &[(u64, Option<u64>)] {
        &self.agent
    }

    pub(super) fn clears(&self) -> &[CallTime] {
        &self.clears
    }

    /// How often the engine was late.
    #[must_use]
    pub fn underruns(&self) -> u64 {
        self.buffer.underruns()
    }

    fn next_frame_at(&self) -> CallTime {
        CallTime::ZERO + FRAME * u32::try_from(self.frames + 1).expect("a call is not so long")
    }

    fn send_frame(&mut self, out: &mut Vec<FromPhone>) {
        let first = self.frames * FRAME_LEN as u64;
        let mut frame = Vec::with_capacity(FRAME_LEN);
        for at in first..first + FRAME_LEN as u64 {
            let sample = self.sample(at).clamp(-32_000.0, 32_000.0) as i16;
            frame.push(mulaw::decode(mulaw::encode(sample)));
        }
        self.sent.extend_from_slice(&frame);
        self.frames += 1;
        out.push(FromPhone::Audio(first / 8, frame));
        let now = CallTime::ZERO + FRAME * u32::try_from(self.frames).expect("see above");
        while let Some((_, key)) = self.keys.pop_front_if(|(at, _)| *at <= now) {
            out.push(FromPhone::Key(key));
        }
    }

    /// What the microphone picks up.
    fn sample(&self, at: u64) -> f32 {
        let mut sample = f32::from(self.room[(at % NOISE_LEN as u64) as usize]);
        if !self.noise.is_empty() {
            sample += self.noise[(at % NOISE_LEN as u64) as usize] * self.noise_level;
        }
        for begun in self.begun.iter().rev().take(3) {
            if let Some((clip, start, gain)) = &begun.clip
                && let Some(place) = at.checked_sub(*start)
                && let Some(said) = clip.audio.get(place as usize)
            {
                sample += f32::from(*said) * gain;
            }
        }
        if let Some(echo) = self.line.echo
            && let Some(heard) = at.checked_sub(echo.delay_ms * 8)
            && let Some(agent) = self.heard.get(heard as usize)
        {
            sample += f32::from(*agent) * 10f32.powf(-echo.loss_db / 20.0);
        }
        sample
    }

    /// Begins the next act if it is time.
    fn act(&mut self, out: &mut Vec<FromPhone>) {
        while let Some(start) = self.next_act() {
            let n = self.begun.len();
            let (act, clip) = self.acts[n].clone();
            let now = CallTime::ZERO + SampleCount(start).duration(RATE);
            let mut begun = Begun {
                act: n,
                onset: start,
                end: start,
                over_agent: matches!(self.agent.last(), Some((_, None))),
                words: String::new(),
                clip: None,
            };
            match act.action {
                Action::Plays { words, gain_db, .. } => {
                    let clip = clip.expect("it was looked up");
                    begun.onset = start + clip.loud.start as u64;
                    begun.end = start + clip.loud.end as u64;
                    begun.words = words.unwrap_or_else(|| clip.words.clone());
                    begun.clip = Some((clip, start, 10f32.powf(gain_db / 20.0)));
                }
                Action::Presses(keys) => {
                    let mut at = now;
                    for key in keys.chars() {
                        self.keys.push_back((at, key));
                        at = at + KEY_DISTANCE;
                        begun.end = start + RATE.samples_in(at.since(now)).0;
                    }
                }
                Action::HangsUp => {
                    self.has_hung_up = true;
                    out.push(FromPhone::HangUp);
                }
                Action::ProgramSays {
                    text,
                    interruptible,
                } => out.push(FromPhone::Program(Command::Say {
                    text,
                    interruptible,
                })),
                Action::ProgramHangsUp(text) => {
                    let farewell = Some(text);
                    out.push(FromPhone::Program(Command::HangUp { farewell }));
                }
            }
            self.begun.push(begun);
        }
    }

    /// When the next act begins, if it does now, in samples since the call began.
    fn next_act(&self) -> Option<u64> {
        let samples = |ms: u64| ms * 8;
        let (act, clip) = self.acts.get(self.begun.len())?;
        let now = self.sent.len() as u64;
        // The room before the sound is over by then.
        let heard = now + clip.as_ref().map_or(0, |clip| clip.loud.start as u64);
        let before = self.begun.last();
        let (before_onset, before_end) = before.map_or((0, 0), |begun| (begun.onset, begun.end));
        let is_due = match act.when {
            When::AtMs(ms) => heard >= samples(ms),
            When::PauseMs(ms) => heard >= before_end + samples(ms),
            When::AgentSilenceMs(ms) => match self.agent.last() {
                Some((_, Some(end))) => *end > before_end && heard >= *end + samples(ms),
                _ => false,
            },
            When::InterruptAfterMs(ms) => match self.agent.last() {
                Some((start, None)) => *start >= before_onset && heard >= *start + samples(ms),
                _ => false,
            },
            When::AgentEndsInMs(ms) => match self.agent.last() {
                Some((start, None)) => {
                    let left = self.buffer.buffered();
                    *start >= before_onset
                        && left <= Duration::from_millis(ms)
                        && left > Duration::ZERO
                }
                _ => false,
            },
        };
        is_due.then_some(now)
    }

    /// Hears what was played until `now`, and returns the marks in it.
    fn listen(&mut self, now: CallTime, ear: &mut AgentVoice, out: &mut Vec<FromPhone>) {
        let from = self.heard.len();
        self.buffer.advance(now, &mut self.heard, &mut self.marks);
        for (_, name) in self.marks.drain(..) {
            if !self.line.loses_marks {
                out.push(FromPhone::Mark(name));
            }
        }
        ear.hear(&self.heard[from..]);
        let mut changes = Vec::new();
        self.meter
            .push(&self.heard[from..], |change| changes.push(change));
        for change in changes {
            self.note_voice(Some(change));
        }
    }

    fn note_voice(&mut self, change: Option<VoiceChange>) {
        match change {
            Some(VoiceChange::Began(at)) => self.agent.push((at, None)),
            Some(VoiceChange::Stopped(at)) => {
                if let Some((_, end)) = self.agent.last_mut() {
                    *end = Some(at);
                }
            }
            None => {}
        }
    }
}
