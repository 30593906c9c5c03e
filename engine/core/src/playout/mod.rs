//! The agent's audio on its way to the caller's ear.
//!
//! Audio is sent ahead of what was played, bounded by the lead, in chunks that a mark follows.
//! The leg plays in real time; each mark that comes back says how far it got. A mark may be late
//! or lost, and after a `clear` a returned mark means flushed, not heard: positions are counted
//! within an epoch, a clear begins the next one, and marks carry their epoch in their name.
//!
//! The voice's samples pass through the [`intake`] into the [`queue`]; [`marks`] keeps account of
//! what the leg reports. This file decides when to send, and knows what the caller heard.

mod intake;
mod live;
mod marks;
mod queue;
mod voices;

use std::time::Duration;

use sidetone_codecs::{ResampleError, SampleCount, SampleRate};

use self::{intake::Intake, live::Live, marks::Marks, queue::Queue, voices::Voices};
use crate::{
    config::PlayoutConfig,
    dialect::{LegFormat, Outbound},
    io::Output,
    ledger::{Ledger, Stop, Words},
    time::CallTime,
};

pub(crate) use self::marks::MarkReturn;

/// So much of what was heard is kept: playout goes on at the beginning of a word.
const KEPT: Duration = Duration::from_secs(2);

/// Sends audio to the leg and knows how much of it was heard.
#[derive(Debug)]
pub(crate) struct Playout {
    lead: Duration,
    chunk: Duration,
    chunk_len: usize,
    mark_grace: Duration,
    intake: Intake,
    queue: Queue,
    marks: Marks,
    ledger: Ledger,
    supply: Supply,
    /// When the leg will have played all that was sent.
    play_end: CallTime,
    /// The same if every message reached it at once: no leg plays faster.
    play_end_at_best: CallTime,
    media_sent: u64,
    /// People speak to the caller: see [`live`].
    live: Option<Live>,
    /// How many marks were sent in that state, before it ended last.
    live_marks: u32,
    /// What was sent of people's voices.
    voices: Voices,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Supply {
    /// More audio of this utterance is coming.
    Open,
    /// What is queued may be sent to its last sample.
    Flushed,
}

impl Playout {
    pub(crate) fn new(format: LegFormat, config: &PlayoutConfig, mark_grace: Duration) -> Self {
        let chunk = Duration::from_millis(config.chunk_ms.into());
        Self {
            lead: Duration::from_millis(config.lead_ms.into()),
            chunk,
            chunk_len: usize::try_from(format.rate.samples_in(chunk).0)
                .expect("a chunk is at most 200 ms"),
            mark_grace,
            intake: Intake::new(format.rate),
            queue: Queue::new(format),
            marks: Marks::default(),
            ledger: Ledger::default(),
            supply: Supply::Flushed,
            play_end: CallTime::ZERO,
            play_end_at_best: CallTime::ZERO,
            media_sent: 0,
            live: None,
            live_marks: 0,
            voices: Voices::new(format.rate),
        }
    }

    /// The following audio says `words`.
    pub(crate) fn begin(&mut self, words: Words) {
        let position = self.queue.end();
        self.ledger.open(words, position);
        self.supply = Supply::Open;
        if position == 0 {
            self.intake.begin_first();
        } else {
            self.intake.begin_next();
        }
    }

    /// Queues audio of the words that began.
    pub(crate) fn push(&mut self, pcm: &[i16], rate: SampleRate) -> Result<(), ResampleError> {
        let pcm = self.intake.push(pcm, rate)?;
        self.ledger.add(pcm);
        self.queue.push(pcm);
        Ok(())
    }

    /// The words that began have all their audio. Without any they are taken back: `false`.
    pub(crate) fn complete(&mut self) -> bool {
        self.flush();
        if self.ledger.newest_len() == 0 {
            self.ledger.withdraw();
            return false;
        }
        self.ledger.complete();
        true
    }

    /// The words that began get no more audio: what there is of it will be heard.
    pub(crate) fn abort(&mut self) {
        if self.supply == Supply::Flushed {
            return;
        }
        self.flush();
        if self.ledger.newest_len() == 0 {
            self.ledger.withdraw();
        }
    }

    /// Queues `words` with audio that is there already: 8 kHz.
    pub(crate) fn play(&mut self, words: Words, pcm: &[i16]) {
        self.begin(words);
        self.push(pcm, SampleRate::HZ_8000)
            .expect("8 kHz is resampled to every leg's rate");
        self.complete();
    }

    /// Queues audio that bridges a wait, 8 kHz, in front of everything that was not sent.
    pub(crate) fn interject(&mut self, pcm: &[i16]) {
        let pcm = self.intake.aside(pcm);
        self.ledger
            .insert_filler(self.queue.sent(), pcm.len() as u64);
        self.queue.interject(pcm);
    }

    /// The same; until when it will have been played, if nothing stops it.
    pub(crate) fn interject_until(&mut self, now: CallTime, pcm: &[i16]) -> CallTime {
        let lasts = SampleCount::of(pcm).duration(SampleRate::HZ_8000);
        self.interject(pcm);
        self.play_end.max(now) + lasts
    }

    /// Sends as much as the lead allows; of what is `held`, nothing.
    pub(crate) fn pump(&mut self, now: CallTime, held: bool, out: &mut Vec<Output>) {
        if self.live.is_some() {
            return;
        }
        loop {
            let lead = self.lead(now);
            let chunk = self.chunk_len - self.since_mark();
            let sendable = self.queue.sendable(held);
            let ready = sendable.min(chunk);
            if ready > 0 {
                let full = lead > Duration::ZERO && lead + self.chunk > self.lead;
                // A short chunk only where waiting for the rest could be heard.
                let wait_for_more =
                    ready < chunk && self.supply == Supply::Open && lead > self.chunk;
                if full || wait_for_more {
                    return;
                }
                let payload = self.queue.send(ready);
                out.push(Output::Leg(Outbound::Media { payload }));
                self.media_sent += 1;
                let lasts = self.duration(ready as u64);
                self.play_end = self.play_end.max(now) + lasts;
                // The last of people's voices is played first.
                let begins = self.play_end_at_best.max(self.voices.end()).max(now);
                self.play_end_at_best = begins + lasts;
                self.forget_heard(now);
            }
            self.mark(now, held, out);
            if ready == 0 {
                return;
            }
        }
    }

    /// Sends a mark behind a whole chunk, and behind the last of what may be sent.
    fn mark(&mut self, now: CallTime, held: bool, out: &mut Vec<Output>) {
        let all_sent = self.queue.sendable(held) == 0 && (held || self.supply == Supply::Flushed);
        if self.since_mark() >= self.chunk_len || (self.since_mark() > 0 && all_sent) {
            let name = self.marks.send(self.queue.sent(), now);
            out.push(Output::Leg(Outbound::Mark { name }));
        }
    }

    /// A mark came back.
    pub(crate) fn mark_returned(&mut self, now: CallTime, name: &str) -> MarkReturn {
        if let Some(n) = live::parse_mark(name) {
            return self.live_mark_returned(now, n);
        }
        let Some(position) = self.marks.take(name) else {
            return self.marks.unexpected(name);
        };
        // A mark that comes back before its audio can have been played is not believed: the leg's
        // buffer would grow beyond the lead.
        self.play_end =
            (now + self.duration(self.queue.sent() - position)).max(self.play_end_at_best);
        MarkReturn::Heard
    }

    /// Gives up marks that should have come back long ago; says how many.
    pub(crate) fn give_up_marks(&mut self, now: CallTime) -> u64 {
        let mut lost = 0;
        while self.mark_deadline().is_some_and(|deadline| deadline <= now) {
            self.marks.give_up_oldest();
            lost += 1;
        }
        lost
    }

    /// Stops, and empties the leg's buffer if it may hold anything. What the caller has not heard
    /// is kept, from the word on in which playout stopped; nothing of it counts as sent.
    pub(crate) fn stop(&mut self, now: CallTime, out: &mut Vec<Output>) -> Stop {
        self.clear_leg(now, out);
        let heard = self.heard(now);
        let from = match self.ledger.unheard_from(heard) {
            Some(word) if word < heard => self.queue.quietest_near(word, heard),
            Some(word) => word,
            None => self.queue.end(),
        };
        let from = from.max(self.queue.kept_from());
        let stop = self.ledger.stop(heard, from);
        self.silent_since(now);
        self.marks.next_epoch();
        self.queue.rewind(from);
        stop
    }

    /// Forgets everything, and empties the leg's buffer if it may hold any of it. Returns what was
    /// heard.
    pub(crate) fn clear(&mut self, now: CallTime, out: &mut Vec<Output>) -> String {
        let heard = self.cut(now);
        self.clear_leg(now, out);
        self.silent_since(now);
        self.reset();
        heard
    }

    fn clear_leg(&mut self, now: CallTime, out: &mut Vec<Output>) {
        // What little is ahead while people speak holds their voices too.
        let is_little = self.live.as_mut().is_some_and(|live| !live.clears(now));
        if self.in_leg(now) && !is_little {
            out.push(Output::Leg(Outbound::Clear));
            self.voices.cut(now);
        }
    }

    fn silent_since(&mut self, now: CallTime) {
        self.play_end = self.play_end.min(now);
        self.play_end_at_best = self.play_end;
    }

    /// What the caller has heard; forgets the words, not their audio.
    pub(crate) fn cut(&mut self, now: CallTime) -> String {
        let heard = self.heard(now);
        self.ledger.cut(heard)
    }

    /// All of it was heard, or will be: takes what was said.
    pub(crate) fn finish(&mut self) -> String {
        let said = self.ledger.take_all();
        self.reset();
        said
    }

    /// Something of this epoch was sent.
    pub(crate) fn has_sent(&self) -> bool {
        self.queue.sent() > 0
    }

    /// Something of this epoch that is no filler was sent.
    pub(crate) fn has_sent_words(&self) -> bool {
        self.ledger
            .first_words()
            .is_some_and(|position| self.queue.sent() > position)
    }

    /// There is audio that was not sent yet.
    pub(crate) fn has_queued(&self) -> bool {
        self.queue.unsent() > 0
    }

    /// Whether the leg may still be playing.
    pub(crate) fn in_leg(&self, now: CallTime) -> bool {
        !self.marks.is_empty() || self.play_end > now
    }

    /// Everything queued was sent, and played or given up.
    pub(crate) fn is_drained(&self, now: CallTime) -> bool {
        !self.has_queued()
            && self.supply == Supply::Flushed
            && self.marks.is_empty()
            && self.play_end <= now
    }

    /// When the leg will have played everything sent so far, as far as is known.
    pub(crate) fn play_end(&self) -> CallTime {
        self.play_end
    }

    /// How much audio the words that began last have.
    pub(crate) fn newest_duration(&self) -> Duration {
        self.duration(self.ledger.newest_len())
    }

    /// How much audio waits to be sent.
    pub(crate) fn backlog(&self) -> Duration {
        self.duration(self.queue.unsent() as u64)
    }

    /// Appends `len` samples of what the leg plays of the agent from `from` on, which is not later
    /// than now, if every message reaches it at once.
    pub(crate) fn played(&self, from: CallTime, len: usize, pcm: &mut Vec<i16>) {
        let samples = |duration| {
            let samples = self.queue.rate().samples_in(duration).0;
            i64::try_from(samples).expect("a call's length")
        };
        let sent = i64::try_from(self.queue.sent()).expect("a call's length");
        let behind = samples(self.play_end_at_best.since(from));
        let start = sent - behind + samples(from.since(self.play_end_at_best));
        let end = pcm.len() + len;
        for position in (start..).take(len) {
            if position >= sent {
                break;
            }
            let position = u64::try_from(position).ok();
            let sample = position.and_then(|position| self.queue.sample(position));
            pcm.push(sample.unwrap_or(0));
        }
        pcm.resize(end, 0);
    }

    /// The same of the agent and of people who speak to the caller, together.
    pub(crate) fn played_by_all(&self, from: CallTime, len: usize, pcm: &mut Vec<i16>) {
        let first = pcm.len();
        self.played(from, len, pcm);
        self.voices.mix_into(from, &mut pcm[first..]);
    }

    /// Audio messages sent since the call began.
    pub(crate) fn media_sent(&self) -> u64 {
        self.media_sent
    }

    /// When there will be room for the next chunk of what is not `held`.
    pub(crate) fn send_deadline(&self, held: bool) -> Option<CallTime> {
        if self.live.is_some() {
            return None;
        }
        let sendable = self.queue.sendable(held);
        let ahead = self.lead.saturating_sub(self.chunk);
        let chunk = self.chunk_len - self.since_mark();
        let wait_for_more = sendable < chunk && self.supply == Supply::Open;
        // The chunk that is waited for may be late: send what there is while it still connects.
        let ahead = if wait_for_more {
            ahead.min(self.chunk)
        } else {
            ahead
        };
        (sendable > 0).then(|| self.play_end.saturating_sub(ahead))
    }

    /// When the oldest mark is given up.
    pub(crate) fn mark_deadline(&self) -> Option<CallTime> {
        let mark = self.marks.oldest()?;
        let played = self
            .play_end
            .saturating_sub(self.duration(self.queue.sent() - mark.position));
        Some(played.max(mark.sent_at) + self.mark_grace)
    }

    /// When what was sent will have been played although no mark is pending.
    pub(crate) fn drain_deadline(&self, now: CallTime) -> Option<CallTime> {
        (self.marks.is_empty() && self.play_end > now).then_some(self.play_end)
    }

    /// Lets go of what is played and will not be played again.
    fn forget_heard(&mut self, now: CallTime) {
        let kept = self.queue.rate().samples_in(KEPT).0;
        let from = self.heard(now).saturating_sub(kept);
        self.queue.forget_before(from);
    }

    /// The words that began have all their audio.
    fn flush(&mut self) {
        let rest = self.intake.flush();
        self.ledger.add(rest);
        self.queue.push(rest);
        self.supply = Supply::Flushed;
    }

    /// Nothing is queued, and nothing is coming: positions begin anew.
    fn reset(&mut self) {
        self.intake.reset();
        self.queue.clear();
        self.marks.next_epoch();
        self.supply = Supply::Flushed;
    }

    /// How many samples were sent since the last mark; less than a chunk between pumps.
    fn since_mark(&self) -> usize {
        let samples = self.queue.sent() - self.marks.newest();
        usize::try_from(samples).expect("at most a chunk")
    }

    /// How much was sent and is not played yet.
    fn lead(&self, now: CallTime) -> Duration {
        self.play_end.since(now)
    }

    /// How much of this epoch the caller has heard: what the clock says, but never past a mark
    /// that has not come back.
    fn heard(&self, now: CallTime) -> u64 {
        let ahead = self.queue.rate().samples_in(self.lead(now)).0;
        let by_clock = self.queue.sent().saturating_sub(ahead);
        self.marks
            .oldest()
            .map_or(by_clock, |mark| by_clock.min(mark.position))
    }

    fn duration(&self, samples: u64) -> Duration {
        SampleCount(samples).duration(self.queue.rate())
    }
}

#[cfg(test)]
mod tests;
