//! The agent's audio on its way to the caller's ear.
//!
//! Audio is sent ahead of what was played, bounded by the lead, in chunks that a mark follows.
//! The leg plays in real time; each mark that comes back says how far it got. A mark may be late
//! or lost, and after a `clear` a returned mark means flushed, not heard: positions are counted
//! within an epoch, a clear begins the next one, and marks carry their epoch in their name.

use std::{collections::VecDeque, time::Duration};

use sidetone_codecs::{ResampleError, Resampler, SampleCount, SampleRate, g711};

use crate::{
    config::PlayoutConfig,
    dialect::{Encoding, LegFormat, Outbound},
    io::Output,
    ledger::{Ledger, Stop, Words},
    time::CallTime,
};

/// Below this level a sample in front of the first word is silence: about −50 dBFS.
const SILENT: u16 = 100;
/// So much of what was heard is kept: playout goes on at the beginning of a word.
const KEPT: Duration = Duration::from_secs(2);
/// Playout goes on where it is most quiet, so near the beginning of a word.
const SNAP: Duration = Duration::from_millis(80);
const SNAP_STEP: Duration = Duration::from_millis(10);
/// How much silence in front of the first word is left out, and how much of it stays.
const MAX_TRIM: Duration = Duration::from_millis(400);
const KEEP: Duration = Duration::from_millis(10);

/// Sends audio to the leg and knows how much of it was heard.
#[derive(Debug)]
pub(crate) struct Playout {
    format: LegFormat,
    lead: Duration,
    chunk: Duration,
    chunk_len: usize,
    mark_grace: Duration,
    /// In the leg's format: what was not sent yet, and in front of it what was but may not have
    /// been heard. An interruption may turn out to be none, and then that is sent again.
    queue: VecDeque<u8>,
    /// The position of the first sample in the queue.
    kept_from: u64,
    /// Filler that was interjected reaches this far: it is sent though the rest is held.
    filler_end: u64,
    supply: Supply,
    opening: Opening,
    resampler: Option<(SampleRate, Resampler)>,
    pcm: Vec<i16>,
    encoded: Vec<u8>,
    ledger: Ledger,
    epoch: u32,
    /// Samples of this epoch that were queued, sent and followed by a mark.
    queued: u64,
    sent: u64,
    marked: u64,
    /// When the leg will have played all that was sent.
    play_end: CallTime,
    /// The same if every message reached it at once: no leg plays faster.
    play_end_at_best: CallTime,
    marks: VecDeque<PendingMark>,
    media_sent: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Supply {
    /// More audio of this utterance is coming.
    Open,
    /// What is queued may be sent to its last sample.
    Flushed,
}

/// Voices begin with some silence. In front of the first word it only makes the caller wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opening {
    /// Nothing was queued but silence, of which so many samples were left out.
    Silent { trimmed: usize },
    /// Everything is kept.
    Sounding,
}

#[derive(Debug)]
struct PendingMark {
    name: String,
    position: u64,
    sent_at: CallTime,
}

/// Whether a returned mark was one of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MarkReturn {
    /// The caller heard everything before it.
    Heard,
    /// It is from before a clear, or came after it was given up.
    Stale,
    /// It was never sent.
    Foreign,
}

impl Playout {
    pub(crate) fn new(format: LegFormat, config: &PlayoutConfig, mark_grace: Duration) -> Self {
        let chunk = Duration::from_millis(config.chunk_ms.into());
        Self {
            format,
            lead: Duration::from_millis(config.lead_ms.into()),
            chunk,
            chunk_len: usize::try_from(format.rate.samples_in(chunk).0)
                .expect("a chunk is at most 200 ms"),
            mark_grace,
            queue: VecDeque::new(),
            kept_from: 0,
            filler_end: 0,
            supply: Supply::Flushed,
            opening: Opening::Sounding,
            resampler: None,
            pcm: Vec::new(),
            encoded: Vec::new(),
            ledger: Ledger::default(),
            epoch: 0,
            queued: 0,
            sent: 0,
            marked: 0,
            play_end: CallTime::ZERO,
            play_end_at_best: CallTime::ZERO,
            marks: VecDeque::new(),
            media_sent: 0,
        }
    }

    /// The following audio says `words`.
    pub(crate) fn begin(&mut self, words: Words) {
        self.ledger.open(words, self.queued);
        self.supply = Supply::Open;
        self.opening = if self.queued == 0 {
            Opening::Silent { trimmed: 0 }
        } else {
            Opening::Sounding
        };
    }

    /// Queues audio of the words that began.
    pub(crate) fn push(&mut self, pcm: &[i16], rate: SampleRate) -> Result<(), ResampleError> {
        if self
            .resampler
            .as_ref()
            .is_none_or(|(from, _)| *from != rate)
        {
            self.resampler = Some((rate, Resampler::new(rate, self.format.rate)?));
        }
        let (_, resampler) = self.resampler.as_mut().expect("it was just made");
        self.pcm.clear();
        resampler.process(pcm, &mut self.pcm);
        self.enqueue();
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
        let from = SampleRate::HZ_8000;
        self.pcm.clear();
        if from == self.format.rate {
            self.pcm.extend_from_slice(pcm);
        } else {
            // Of its own: the voice may be in the middle of a sentence.
            let mut resampler = Resampler::new(from, self.format.rate)
                .expect("8 kHz is resampled to every leg's rate");
            resampler.process(pcm, &mut self.pcm);
            resampler.finish(&mut self.pcm);
        }
        self.encode();
        let behind = self.queue.split_off(self.sent_len());
        self.queue.extend(&self.encoded);
        self.queue.extend(behind);
        let samples = self.encoded.len() as u64;
        self.ledger.insert_filler(self.sent, samples);
        self.filler_end = self.filler_end.max(self.sent) + samples;
        self.queued += samples;
    }

    /// Sends as much as the lead allows; of what is `held`, nothing.
    pub(crate) fn pump(&mut self, now: CallTime, held: bool, out: &mut Vec<Output>) {
        loop {
            let lead = self.lead(now);
            let chunk = self.chunk_len - self.since_mark();
            let sendable = self.sendable(held);
            let ready = sendable.min(chunk);
            if ready > 0 {
                let full = lead > Duration::ZERO && lead + self.chunk > self.lead;
                // A short chunk only where waiting for the rest could be heard.
                let wait_for_more =
                    ready < chunk && self.supply == Supply::Open && lead > self.chunk;
                if full || wait_for_more {
                    return;
                }
                let sent = self.sent_len();
                let payload: Vec<u8> = self.queue.range(sent..sent + ready).copied().collect();
                out.push(Output::Leg(Outbound::Media { payload }));
                self.media_sent += 1;
                self.sent += ready as u64;
                let lasts = self.duration(ready as u64);
                self.play_end = self.play_end.max(now) + lasts;
                self.play_end_at_best = self.play_end_at_best.max(now) + lasts;
                self.forget_heard(now);
            }
            let all_sent = self.sendable(held) == 0 && (held || self.supply == Supply::Flushed);
            if self.since_mark() == self.chunk_len || (self.since_mark() > 0 && all_sent) {
                let name = format!("st-{}-{}", self.epoch, self.sent);
                out.push(Output::Leg(Outbound::Mark { name: name.clone() }));
                self.marks.push_back(PendingMark {
                    name,
                    position: self.sent,
                    sent_at: now,
                });
                self.marked = self.sent;
            }
            if ready == 0 {
                return;
            }
        }
    }

    /// A mark came back.
    pub(crate) fn mark_returned(&mut self, now: CallTime, name: &str) -> MarkReturn {
        let Some(index) = self.marks.iter().position(|mark| mark.name == name) else {
            return match parse_mark(name) {
                Some((epoch, _)) if epoch <= self.epoch => MarkReturn::Stale,
                _ => MarkReturn::Foreign,
            };
        };
        let position = self.marks[index].position;
        self.marks.drain(..=index);
        // A mark that comes back before its audio can have been played is not believed: the leg's
        // buffer would grow beyond the lead.
        self.play_end = (now + self.duration(self.sent - position)).max(self.play_end_at_best);
        MarkReturn::Heard
    }

    /// Gives up marks that should have come back long ago; says how many.
    pub(crate) fn give_up_marks(&mut self, now: CallTime) -> u64 {
        let mut lost = 0;
        while self.mark_deadline().is_some_and(|deadline| deadline <= now) {
            self.marks.pop_front();
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
            Some(word) if word < heard => self.quietest_near(word, heard),
            Some(word) => word,
            None => self.queued,
        };
        let from = from.max(self.kept_from);
        let stop = self.ledger.stop(heard, from);
        let dropped = usize::try_from(from - self.kept_from).expect("it is in the queue");
        self.queue.drain(..dropped);
        self.silent_since(now);
        let (queued, supply) = (self.queued - from, self.supply);
        self.next_epoch();
        (self.queued, self.supply) = (queued, supply);
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
        if self.in_leg(now) {
            out.push(Output::Leg(Outbound::Clear));
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
        self.sent > 0
    }

    /// Something of this epoch that is no filler was sent.
    pub(crate) fn has_sent_words(&self) -> bool {
        self.ledger
            .first_words()
            .is_some_and(|position| self.sent > position)
    }

    /// There is audio that was not sent yet.
    pub(crate) fn has_queued(&self) -> bool {
        self.unsent() > 0
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
        self.duration(self.queued - self.sent)
    }

    /// Appends `len` samples of what the leg plays from `from` on, which is not later than now, if
    /// every message reaches it at once.
    pub(crate) fn played(&self, from: CallTime, len: usize, pcm: &mut Vec<i16>) {
        let samples = |duration| {
            let samples = self.format.rate.samples_in(duration).0;
            i64::try_from(samples).expect("a call's length")
        };
        let sent = i64::try_from(self.sent).expect("a call's length");
        let behind = samples(self.play_end_at_best.since(from));
        let start = sent - behind + samples(from.since(self.play_end_at_best));
        let kept_from = i64::try_from(self.kept_from).expect("a call's length");
        let end = pcm.len() + len;
        for position in (start..).take(len) {
            if position >= sent {
                break;
            }
            let code = usize::try_from(position - kept_from).ok();
            let code = code.and_then(|index| self.queue.get(index));
            pcm.push(code.map_or(0, |code| self.decode(*code)));
        }
        pcm.resize(end, 0);
    }

    /// Audio messages sent since the call began.
    pub(crate) fn media_sent(&self) -> u64 {
        self.media_sent
    }

    /// When there will be room for the next chunk of what is not `held`.
    pub(crate) fn send_deadline(&self, held: bool) -> Option<CallTime> {
        let sendable = self.sendable(held);
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
        let mark = self.marks.front()?;
        let played = self
            .play_end
            .saturating_sub(self.duration(self.sent - mark.position));
        Some(played.max(mark.sent_at) + self.mark_grace)
    }

    /// When what was sent will have been played although no mark is pending.
    pub(crate) fn drain_deadline(&self, now: CallTime) -> Option<CallTime> {
        (self.marks.is_empty() && self.play_end > now).then_some(self.play_end)
    }

    fn enqueue(&mut self) {
        self.trim();
        self.ledger.add(&self.pcm);
        self.encode();
        self.queue.extend(&self.encoded);
        self.queued += self.pcm.len() as u64;
    }

    fn encode(&mut self) {
        self.encoded.clear();
        match self.format.encoding {
            Encoding::Mulaw => g711::mulaw::encode_append(&self.pcm, &mut self.encoded),
            Encoding::Alaw => g711::alaw::encode_append(&self.pcm, &mut self.encoded),
        }
    }

    /// Lets go of what is played and will not be played again.
    fn forget_heard(&mut self, now: CallTime) {
        let kept = self.format.rate.samples_in(KEPT).0;
        let from = self.heard(now).saturating_sub(kept);
        if let Ok(heard @ 1..) = usize::try_from(from.saturating_sub(self.kept_from)) {
            self.queue.drain(..heard);
            self.kept_from = from;
        }
    }

    /// Where it is most quiet around `position`, not after `last`.
    fn quietest_near(&self, position: u64, last: u64) -> u64 {
        let len = |duration| self.format.rate.samples_in(duration).0;
        let (snap, step) = (len(SNAP), len(SNAP_STEP));
        let first = position.saturating_sub(snap).max(self.kept_from);
        let last = (position + snap)
            .min(last)
            .min(self.queued.saturating_sub(step));
        let loudness = |from: &u64| {
            let start = usize::try_from(from - self.kept_from).expect("it is in the queue");
            let end = start + usize::try_from(step).expect("10 ms");
            let samples = self.queue.range(start..end).map(|code| self.decode(*code));
            samples.map(|sample| i64::from(sample).pow(2)).sum::<i64>()
        };
        let steps = usize::try_from(step.max(1)).expect("10 ms");
        let places = (first..=last).step_by(steps);
        places.min_by_key(loudness).unwrap_or(position)
    }

    fn decode(&self, code: u8) -> i16 {
        match self.format.encoding {
            Encoding::Mulaw => g711::mulaw::decode(code),
            Encoding::Alaw => g711::alaw::decode(code),
        }
    }

    /// Takes the silence in front of the first word out of what is about to be queued.
    fn trim(&mut self) {
        let Opening::Silent { trimmed } = self.opening else {
            return;
        };
        let len = |duration| {
            let samples = self.format.rate.samples_in(duration).0;
            usize::try_from(samples).expect("less than a second")
        };
        let loud = self
            .pcm
            .iter()
            .position(|sample| sample.unsigned_abs() > SILENT);
        let silent = loud.map_or(self.pcm.len(), |first| first.saturating_sub(len(KEEP)));
        let cut = silent.min(len(MAX_TRIM) - trimmed);
        self.opening = if loud.is_some() || cut < silent {
            Opening::Sounding
        } else {
            Opening::Silent {
                trimmed: trimmed + cut,
            }
        };
        self.pcm.drain(..cut);
    }

    /// Gives out what the resampler holds back.
    fn flush(&mut self) {
        if let Some((_, resampler)) = &mut self.resampler {
            self.pcm.clear();
            resampler.finish(&mut self.pcm);
            resampler.reset();
            self.enqueue();
        }
        self.supply = Supply::Flushed;
    }

    /// Nothing is queued, and nothing is coming.
    fn reset(&mut self) {
        self.queue.clear();
        self.next_epoch();
        if let Some((_, resampler)) = &mut self.resampler {
            resampler.reset();
        }
    }

    /// The leg plays nothing more of what was sent; positions begin anew.
    fn next_epoch(&mut self) {
        self.epoch += 1;
        self.supply = Supply::Flushed;
        self.marks.clear();
        (self.queued, self.sent, self.marked) = (0, 0, 0);
        (self.kept_from, self.filler_end) = (0, 0);
    }

    /// How many samples wait to be sent.
    fn unsent(&self) -> usize {
        usize::try_from(self.queued - self.sent).expect("they fit the memory")
    }

    /// How many samples of the queue were sent.
    fn sent_len(&self) -> usize {
        usize::try_from(self.sent - self.kept_from).expect("they fit the memory")
    }

    /// How many samples may be sent, if all but filler is `held`.
    fn sendable(&self, held: bool) -> usize {
        if held {
            usize::try_from(self.filler_end.saturating_sub(self.sent)).expect("a phrase")
        } else {
            self.unsent()
        }
    }

    /// How many samples were sent since the last mark; less than a chunk between pumps.
    fn since_mark(&self) -> usize {
        usize::try_from(self.sent - self.marked).expect("at most a chunk")
    }

    /// How much was sent and is not played yet.
    fn lead(&self, now: CallTime) -> Duration {
        self.play_end.since(now)
    }

    /// How much of this epoch the caller has heard: what the clock says, but never past a mark
    /// that has not come back.
    fn heard(&self, now: CallTime) -> u64 {
        let ahead = self.format.rate.samples_in(self.lead(now)).0;
        let by_clock = self.sent.saturating_sub(ahead);
        self.marks
            .front()
            .map_or(by_clock, |mark| by_clock.min(mark.position))
    }

    fn duration(&self, samples: u64) -> Duration {
        SampleCount(samples).duration(self.format.rate)
    }
}

fn parse_mark(name: &str) -> Option<(u32, u64)> {
    let (epoch, position) = name.strip_prefix("st-")?.split_once('-')?;
    Some((epoch.parse().ok()?, position.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: SampleRate = SampleRate::HZ_8000;
    const GRACE: Duration = Duration::from_secs(1);

    fn playout() -> Playout {
        Playout::new(LegFormat::MULAW_8000, &PlayoutConfig::default(), GRACE)
    }

    fn said(text: &str) -> Words {
        Words::Said(text.to_owned())
    }

    fn at(ms: u64) -> CallTime {
        CallTime::from_millis(ms)
    }

    fn audio(ms: usize) -> Vec<i16> {
        vec![1_000; ms * 8]
    }

    /// Sends what may be sent; the lengths of the audio messages in ms, and the marks' names.
    fn pump(playout: &mut Playout, now_ms: u64) -> (Vec<usize>, Vec<String>) {
        let mut out = Vec::new();
        playout.pump(at(now_ms), false, &mut out);
        let (mut media, mut marks) = (Vec::new(), Vec::new());
        for output in out {
            match output {
                Output::Leg(Outbound::Media { payload }) => media.push(payload.len() / 8),
                Output::Leg(Outbound::Mark { name }) => marks.push(name),
                other => panic!("{other:?} is neither audio nor a mark"),
            }
        }
        (media, marks)
    }

    #[test]
    fn sends_up_to_the_lead_and_goes_on_when_there_is_room() {
        let mut playout = playout();
        playout.play(said("long"), &audio(5_000));
        let (media, marks) = pump(&mut playout, 0);
        assert_eq!((media, marks.len()), (vec![200; 10], 10));
        assert_eq!(playout.send_deadline(false), Some(at(200)));
        assert_eq!(pump(&mut playout, 199).0, [0; 0]);
        assert_eq!(pump(&mut playout, 200).0, [200]);
    }

    #[test]
    fn the_first_audio_does_not_wait_for_a_whole_chunk() {
        let mut playout = playout();
        playout.begin(said("first"));
        playout.push(&audio(20), RATE).unwrap();
        assert_eq!(pump(&mut playout, 0), (vec![20], vec![]));
        playout.push(&audio(500), RATE).unwrap();
        let (media, marks) = pump(&mut playout, 5);
        assert_eq!(media, [180, 200], "up to the mark, and a chunk");
        assert_eq!(marks.len(), 2);
    }

    #[test]
    fn a_rest_waits_for_more_while_it_cannot_be_missed() {
        let mut playout = playout();
        playout.begin(said("first"));
        playout.push(&audio(1_000), RATE).unwrap();
        pump(&mut playout, 0);
        playout.push(&audio(50), RATE).unwrap();
        assert_eq!(
            pump(&mut playout, 100).0,
            [0; 0],
            "900 ms are still to be played"
        );
        assert_eq!(playout.send_deadline(false), Some(at(800)));
        assert_eq!(pump(&mut playout, 800).0, [50]);
    }

    #[test]
    fn a_mark_says_how_far_the_leg_got() {
        let mut playout = playout();
        playout.play(said("two words"), &audio(1_800));
        let (_, marks) = pump(&mut playout, 0);
        // The leg began to play 300 ms late: its first mark comes at 500 ms.
        assert_eq!(playout.mark_returned(at(500), &marks[0]), MarkReturn::Heard);
        assert_eq!(playout.play_end(), at(2_100));
        assert_eq!(playout.clear(at(550), &mut Vec::new()), "");
    }

    #[test]
    fn what_the_clock_says_never_passes_a_mark_that_is_still_out() {
        let mut playout = playout();
        playout.play(said("one two three four five six"), &audio(2_700));
        pump(&mut playout, 0);
        let heard = playout.clear(at(1_500), &mut Vec::new());
        assert_eq!(heard, "", "not even the mark at 200 ms came back");
    }

    #[test]
    fn a_lost_mark_is_given_up_and_the_clock_counts() {
        let mut playout = playout();
        playout.play(said("one two three four five six"), &audio(2_700));
        pump(&mut playout, 0);
        assert_eq!(playout.mark_deadline(), Some(at(1_200)));
        for ms in [1_200, 1_400, 1_500] {
            playout.give_up_marks(at(ms));
        }
        let heard = playout.clear(at(1_500), &mut Vec::new());
        assert_eq!(heard, "one", "as far as the first mark that may still come");
    }

    #[test]
    fn after_a_clear_marks_are_stale_and_positions_begin_anew() {
        let mut playout = playout();
        playout.play(said("one two three"), &audio(1_300));
        let (_, marks) = pump(&mut playout, 0);
        let mut out = Vec::new();
        playout.clear(at(100), &mut out);
        assert_eq!(out, [Output::Leg(Outbound::Clear)]);
        for mark in &marks {
            assert_eq!(playout.mark_returned(at(150), mark), MarkReturn::Stale);
        }
        assert_eq!(
            playout.mark_returned(at(150), "st-7-160"),
            MarkReturn::Foreign
        );
        assert_eq!(playout.mark_returned(at(150), "hello"), MarkReturn::Foreign);
        assert!(playout.is_drained(at(150)));
        playout.play(said("again"), &audio(200));
        let (media, again) = pump(&mut playout, 200);
        assert_eq!(media, [200]);
        assert!(!marks.contains(&again[0]));
    }

    #[test]
    fn nothing_is_cleared_where_nothing_can_be_heard() {
        let mut playout = playout();
        playout.play(said("prepared"), &audio(400));
        let mut out = Vec::new();
        playout.clear(at(10), &mut out);
        assert_eq!(out, []);
    }

    #[test]
    fn the_first_word_does_not_wait_for_the_silence_in_front_of_it() {
        let silence = |ms: usize| vec![5; ms * 8];
        let mut playout = playout();
        playout.begin(said("first"));
        playout.push(&silence(100), RATE).unwrap();
        assert_eq!(pump(&mut playout, 0).0, [0; 0], "nothing to hear yet");
        playout
            .push(&[silence(50), audio(200)].concat(), RATE)
            .unwrap();
        playout.push(&silence(300), RATE).unwrap();
        playout.complete();
        playout.play(said("second"), &[silence(100), audio(200)].concat());
        let sent: usize = pump(&mut playout, 0).0.iter().sum();
        assert_eq!(
            sent,
            10 + 200 + 300 + 100 + 200,
            "other silence is the voice's own"
        );
    }

    #[test]
    fn a_voice_that_is_silent_for_long_is_believed() {
        let mut playout = playout();
        playout.play(said("…"), &vec![0; 8_000]);
        let sent: usize = pump(&mut playout, 0).0.iter().sum();
        assert_eq!(sent, 600, "a second less what is left out at most");
    }

    #[test]
    fn filler_goes_in_front_of_a_sentence_that_has_no_audio_yet() {
        let mut playout = playout();
        playout.begin(said("the answer"));
        playout.interject(&audio(200));
        playout.push(&audio(400), RATE).unwrap();
        playout.complete();
        assert_eq!(pump(&mut playout, 0).0, [200, 200, 200]);
        assert_eq!(playout.finish(), "the answer");
    }

    /// Steps that the ear can tell apart: 100 ms each.
    fn staircase(steps: i16) -> Vec<i16> {
        let level = |n: usize| g711::mulaw::decode(0x80 + u8::try_from(n / 800).unwrap());
        (0..steps as usize * 800).map(level).collect()
    }

    /// What is sent when nothing is held, as the steps it consists of.
    fn steps(playout: &mut Playout, now_ms: u64) -> Vec<u8> {
        let mut out = Vec::new();
        playout.pump(at(now_ms), false, &mut out);
        let mut steps: Vec<u8> = out
            .into_iter()
            .flat_map(|output| match output {
                Output::Leg(Outbound::Media { payload }) => payload,
                _ => Vec::new(),
            })
            .collect();
        steps.dedup();
        steps
    }

    #[test]
    fn what_was_stopped_goes_on_where_the_word_began() {
        // Ten characters of 100 ms each; the third word begins at 600 ms.
        let mut playout = playout();
        playout.play(said("ab cd efgh"), &staircase(10));
        let (_, marks) = pump(&mut playout, 0);
        for (n, mark) in marks.iter().enumerate() {
            let played = at((n as u64 + 1) * 200);
            if played <= at(800) {
                playout.mark_returned(played, mark);
            }
        }
        let mut out = Vec::new();
        let stop = playout.stop(at(850), &mut out);
        assert_eq!(out, [Output::Leg(Outbound::Clear)]);
        assert_eq!((stop.heard.as_str(), stop.rest.as_str()), ("ab cd", "efgh"));
        assert!(!playout.has_sent(), "all of it is to be sent again");
        let mut held = Vec::new();
        playout.pump(at(1_000), true, &mut held);
        assert_eq!(held, [], "not while it is held");
        // Quieter steps have higher codes: playout goes on up to 80 ms after the guess.
        assert_eq!(steps(&mut playout, 1_200), [0x86, 0x87, 0x88, 0x89]);
        assert_eq!(playout.finish(), "efgh");
    }

    #[test]
    fn a_voice_that_still_speaks_goes_on_behind_what_was_kept() {
        let mut playout = playout();
        playout.begin(said("one two three four"));
        let audio = staircase(12);
        playout.push(&audio[..4_800], RATE).unwrap();
        pump(&mut playout, 0);
        playout.stop(at(10), &mut Vec::new());
        playout.push(&audio[4_800..], RATE).unwrap();
        playout.complete();
        let all: Vec<u8> = (0x80..0x8C).collect();
        assert_eq!(steps(&mut playout, 500), all);
        assert_eq!(playout.finish(), "one two three four");
    }

    #[test]
    fn filler_is_sent_before_what_is_held() {
        let mut playout = playout();
        playout.play(said("one two"), &staircase(8));
        pump(&mut playout, 0);
        playout.stop(at(10), &mut Vec::new());
        playout.interject(&[900; 1_600]);
        let mut out = Vec::new();
        playout.pump(at(100), true, &mut out);
        let sent: usize = out
            .iter()
            .map(|output| match output {
                Output::Leg(Outbound::Media { payload }) => payload.len(),
                _ => 0,
            })
            .sum();
        assert_eq!(sent, 1_600, "the filler");
        assert_eq!(playout.send_deadline(true), None);
        let all: Vec<u8> = (0x80..0x88).collect();
        assert_eq!(steps(&mut playout, 400), all);
    }

    #[test]
    fn what_the_leg_plays_is_known() {
        let mut playout = playout();
        playout.play(said("one two"), &staircase(8));
        pump(&mut playout, 1_000);
        let played = |playout: &Playout, from_ms: u64| {
            let mut pcm = Vec::new();
            playout.played(at(from_ms), 800, &mut pcm);
            assert_eq!(pcm.len(), 800);
            pcm.into_iter()
                .map(g711::mulaw::encode)
                .collect::<Vec<u8>>()
        };
        assert_eq!(played(&playout, 800), [0xFF; 800], "nothing yet");
        assert_eq!(played(&playout, 1_300), [0x83; 800]);
        let half = [[0x87; 400], [0xFF; 400]].concat();
        assert_eq!(played(&playout, 1_750), half, "and then nothing more");
        playout.stop(at(1_400), &mut Vec::new());
        assert_eq!(played(&playout, 1_400), [0xFF; 800]);
    }

    #[test]
    fn a_long_speech_is_not_kept_for_ever() {
        let mut playout = playout();
        playout.play(said("a long speech"), &audio(60_000));
        for ms in (0..50_000).step_by(100) {
            pump(&mut playout, ms);
            playout.give_up_marks(at(ms));
        }
        let kept_ms = (playout.queue.len() as u64 + playout.kept_from) / 8;
        assert_eq!(kept_ms, 60_000);
        assert!(playout.kept_from > 40_000 * 8, "{}", playout.kept_from);
    }
}
