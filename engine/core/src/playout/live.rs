//! Playout while people speak to the caller: their voices cannot be sent ahead of time, so nothing
//! is. Each tick of the bridge sends what is heard next, the agent's audio and the voices together.
//!
//! The leg plays in real time, by its own clock. So that it neither runs dry nor falls behind:
//!
//! - a first tick after a pause goes out behind one of silence, which is all that waits in the leg
//!   from then on;
//! - while there is nothing to hear, nothing is sent, and what waits in the leg is played;
//! - a mark follows every second. Marks that come back later and later say that the leg falls
//!   behind, by a clock that is slower than the call's; then as much is left out.

use std::{collections::VecDeque, time::Duration};

use super::{MarkReturn, Playout};
use crate::{
    bridge::{TICK, mix_two},
    dialect::Outbound,
    io::Output,
    time::CallTime,
};

/// More than this is not sent ahead; a leg that has more is cleared when somebody speaks.
const MOST_AHEAD: Duration = Duration::from_millis(40);
/// Below this level a voice is silent: about −50 dBFS.
const SILENT: u16 = 100;
/// After so many ticks of silence nothing is sent.
const SILENT_TICKS: u32 = 25;
/// A mark follows so many ticks.
const MARK_EVERY: u32 = 50;
/// The earliest of so many marks says how far the leg is behind.
const MARKS: usize = 8;
/// The leg may be this much further behind than it ever was.
const BEHIND: Duration = Duration::from_millis(30);

/// The state of playout while people speak.
#[derive(Debug)]
pub(super) struct Live {
    /// When the leg will have played all that was sent, if every message reached it at once.
    end: CallTime,
    lead: Lead,
    /// Ticks without a sound.
    silent: u32,
    /// The agent's part of a tick, and the whole.
    agent: Vec<i16>,
    mixed: Vec<i16>,
    behind: Behind,
}

/// How much the leg has to play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lead {
    /// What the agent was sent ahead before people spoke.
    Ahead,
    /// As little as may be.
    Level,
}

/// How far the leg is behind.
#[derive(Debug, Default)]
struct Behind {
    /// Ticks since the newest mark, and that mark's number.
    ticks: u32,
    newest: u32,
    /// When marks were sent that may still come back.
    sent: VecDeque<(u32, CallTime)>,
    /// How long the newest marks took, the shortest way of all of them, and how many there were.
    shortest: Option<Duration>,
    count: usize,
    /// The same when the leg was least behind.
    best: Option<Duration>,
    /// So much was left out since the marks were last looked at.
    left_out: Duration,
    /// So much is to be left out.
    excess: Duration,
}

impl Live {
    /// `end`: when the leg will have played all that was sent; `marks`: how many of its marks were.
    fn new(end: CallTime, marks: u32) -> Self {
        Self {
            end,
            lead: Lead::Ahead,
            silent: SILENT_TICKS,
            agent: Vec::new(),
            mixed: Vec::new(),
            behind: Behind {
                newest: marks,
                ..Behind::default()
            },
        }
    }

    /// The leg is to be cleared: whether there is enough in it.
    pub(super) fn clears(&mut self, now: CallTime) -> bool {
        let clears = self.end.since(now) > MOST_AHEAD;
        if clears {
            self.end = now;
            self.behind.forget_sent();
        }
        clears
    }
}

impl Playout {
    /// People speak to the caller from now on, or not any more.
    pub(crate) fn set_live(&mut self, live: bool) {
        match (live, self.live.take()) {
            (true, None) => {
                let end = self.play_end_at_best.max(self.voices.end());
                self.live = Some(Live::new(end, self.live_marks));
            }
            (false, Some(live)) => {
                self.live_marks = live.behind.newest;
                // The last of their voices is played before what the agent says next.
                self.play_end = self.play_end.max(live.end);
            }
            (_, unchanged) => self.live = unchanged,
        }
    }

    /// People speak: sends the next tick, of `voices` and of the agent unless it is `held`.
    pub(crate) fn send_live(
        &mut self,
        now: CallTime,
        held: bool,
        voices: &[i16],
        out: &mut Vec<Output>,
    ) {
        let Some(mut live) = self.live.take() else {
            return;
        };
        self.send_tick(now, held, voices, &mut live, out);
        self.live = Some(live);
    }

    fn send_tick(
        &mut self,
        now: CallTime,
        held: bool,
        voices: &[i16],
        live: &mut Live,
        out: &mut Vec<Output>,
    ) {
        let is_voiced = voices.iter().any(|sample| sample.unsigned_abs() > SILENT);
        if live.end.since(now) > MOST_AHEAD {
            if live.lead == Lead::Level || !is_voiced {
                // A wake-up came late, and another tick was sent just now; or nobody speaks yet.
                return;
            }
            // The agent goes on where it was heard.
            self.take_back(now, out);
            live.end = now;
            live.behind.forget_sent();
        }
        live.lead = Lead::Level;
        let from_agent = self.queue.sendable(held).min(voices.len());
        let is_silent = !is_voiced && from_agent == 0;
        live.silent = if is_silent { live.silent + 1 } else { 0 };
        if live.silent > SILENT_TICKS {
            return;
        }
        if is_silent && live.behind.excess >= TICK {
            // Nobody hears that it is missing, and the leg still has something to play.
            live.behind.leave_out(TICK);
            live.end = live.end + TICK;
            return;
        }
        live.agent.clear();
        self.queue.take(from_agent, &mut live.agent);
        live.agent.resize(voices.len(), 0);
        mix_two(&live.agent, voices, &mut live.mixed);
        if live.behind.excess > Duration::ZERO && from_agent == 0 {
            self.squeeze(live);
        }
        if live.end <= now {
            live.end = now + TICK;
            let payload = self.queue.encoded(&vec![0; voices.len()]);
            out.push(Output::Leg(Outbound::Media { payload }));
            self.media_sent += 1;
        }
        let payload = self.queue.encoded(&live.mixed);
        if is_voiced {
            // Without the agent, the mix is the voices, less what was left out of them.
            let heard = if from_agent == 0 {
                &live.mixed[..]
            } else {
                voices
            };
            self.voices.push(live.end, heard);
        }
        // What was left out the leg has too much of.
        live.end = live.end + TICK;
        out.push(Output::Leg(Outbound::Media { payload }));
        self.media_sent += 1;
        if from_agent > 0 {
            let behind = self.duration((voices.len() - from_agent) as u64);
            let lasts = self.duration(from_agent as u64);
            self.play_end_at_best = live.end.saturating_sub(behind);
            self.play_end = (self.play_end.max(now) + lasts).max(self.play_end_at_best);
            self.forget_heard(now);
        }
        self.mark(now, held, out);
        if let Some(name) = live.behind.tick(now) {
            out.push(Output::Leg(Outbound::Mark { name }));
        }
    }

    /// Leaves the end of a tick out, fading over into what follows by dropping it where it is most
    /// like its beginning: half of it at most.
    fn squeeze(&mut self, live: &mut Live) {
        let half = live.mixed.len() / 2;
        let lasts = self.duration(half as u64);
        let (first, second) = live.mixed.split_at_mut(half);
        for (n, (old, new)) in first.iter_mut().zip(second).enumerate() {
            let (n, half) = (n as i64, half as i64);
            let faded = (i64::from(*old) * (half - n) + i64::from(*new) * n) / half.max(1);
            *old = i16::try_from(faded).unwrap_or(*old);
        }
        live.mixed.truncate(half);
        live.behind.leave_out(lasts);
    }

    /// What the leg has not played yet is to be sent again.
    fn take_back(&mut self, now: CallTime, out: &mut Vec<Output>) {
        let heard = self.heard(now);
        out.push(Output::Leg(Outbound::Clear));
        self.voices.cut(now);
        self.silent_since(now);
        self.queue.unsend(heard);
        self.marks.restart(self.queue.sent());
    }

    /// The `n`-th mark of those that say how far the leg is behind came back.
    pub(super) fn live_mark_returned(&mut self, now: CallTime, n: u32) -> MarkReturn {
        let live = self.live.as_mut();
        if live.is_some_and(|live| live.behind.returned(now, n)) {
            MarkReturn::Heard
        } else {
            MarkReturn::Stale
        }
    }
}

impl Behind {
    /// Another tick was sent: the name of the mark that follows it, if one does.
    fn tick(&mut self, now: CallTime) -> Option<String> {
        self.ticks += 1;
        if self.ticks < MARK_EVERY {
            return None;
        }
        self.ticks = 0;
        self.newest += 1;
        if self.sent.len() >= MARKS {
            self.sent.pop_front();
        }
        self.sent.push_back((self.newest, now));
        Some(format!("st-live-{}", self.newest))
    }

    /// The leg was cleared: its marks come back at once, and say nothing about how far it is behind.
    fn forget_sent(&mut self) {
        self.sent.clear();
    }

    /// A mark came back; `false` if it was not waited for.
    fn returned(&mut self, now: CallTime, n: u32) -> bool {
        let Some(index) = self.sent.iter().position(|(sent, _)| *sent == n) else {
            return false;
        };
        let Some((_, sent)) = self.sent.drain(..=index).next_back() else {
            return false;
        };
        let took = now.since(sent);
        self.shortest = Some(self.shortest.map_or(took, |shortest| shortest.min(took)));
        self.count += 1;
        if self.count < MARKS {
            return true;
        }
        self.count = 0;
        if let Some(shortest) = self.shortest.take() {
            self.weigh(shortest);
        }
        true
    }

    /// The newest marks took `shortest` at least.
    fn weigh(&mut self, shortest: Duration) {
        let best = *self.best.get_or_insert(shortest);
        let behind = shortest.saturating_sub(best);
        let left_out = std::mem::take(&mut self.left_out);
        if left_out > Duration::ZERO && behind > BEHIND {
            // Leaving out did not help: the way to the leg has become longer.
            self.best = Some(shortest);
        } else if behind > BEHIND {
            self.excess = behind;
        } else {
            self.best = Some(best.min(shortest));
        }
    }

    fn leave_out(&mut self, length: Duration) {
        self.excess = self.excess.saturating_sub(length);
        self.left_out += length;
    }
}

/// The number of a mark that says how far the leg is behind.
pub(super) fn parse_mark(name: &str) -> Option<u32> {
    name.strip_prefix("st-live-")?.parse().ok()
}
