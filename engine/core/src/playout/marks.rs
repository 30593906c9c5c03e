//! The marks behind the agent's audio: what was sent, and what came back.
//!
//! A mark's name is `st-EPOCH-POSITION`. A clear begins the next epoch, so a mark that comes back
//! later can be told from those that say what the caller heard.

use std::collections::VecDeque;

use crate::time::CallTime;

/// The marks of this epoch that may still come back, oldest first.
#[derive(Debug, Default)]
pub(super) struct Marks {
    epoch: u32,
    pending: VecDeque<PendingMark>,
    /// The position of the newest mark.
    newest: u64,
}

/// A mark that was sent and has not come back.
#[derive(Debug)]
pub(super) struct PendingMark {
    name: String,
    /// How many samples of the epoch are in front of it.
    pub(super) position: u64,
    pub(super) sent_at: CallTime,
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

impl Marks {
    /// A mark is sent behind `position`: its name.
    pub(super) fn send(&mut self, position: u64, now: CallTime) -> String {
        let name = format!("st-{}-{position}", self.epoch);
        self.pending.push_back(PendingMark {
            name: name.clone(),
            position,
            sent_at: now,
        });
        self.newest = position;
        name
    }

    /// The position of the newest mark of this epoch; without one, 0.
    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// The next mark that should come back.
    pub(super) fn oldest(&self) -> Option<&PendingMark> {
        self.pending.front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// The mark `name` came back: its position. Those before it are not waited for any more.
    pub(super) fn take(&mut self, name: &str) -> Option<u64> {
        let index = self.pending.iter().position(|mark| mark.name == name)?;
        self.pending
            .drain(..=index)
            .next_back()
            .map(|mark| mark.position)
    }

    /// The oldest mark is not waited for any more.
    pub(super) fn give_up_oldest(&mut self) {
        self.pending.pop_front();
    }

    /// What a mark is that is not waited for.
    pub(super) fn unexpected(&self, name: &str) -> MarkReturn {
        match parse_mark(name) {
            Some((epoch, _)) if epoch <= self.epoch => MarkReturn::Stale,
            _ => MarkReturn::Foreign,
        }
    }

    /// The leg was cleared, and what is behind `position` will be sent again: no mark that was sent
    /// says anything any more.
    pub(super) fn restart(&mut self, position: u64) {
        self.next_epoch();
        self.newest = position;
    }

    /// The leg was cleared: no mark says anything any more, and positions begin anew.
    pub(super) fn next_epoch(&mut self) {
        self.epoch += 1;
        self.pending.clear();
        self.newest = 0;
    }
}

fn parse_mark(name: &str) -> Option<(u32, u64)> {
    let (epoch, position) = name.strip_prefix("st-")?.split_once('-')?;
    Some((epoch.parse().ok()?, position.parse().ok()?))
}
