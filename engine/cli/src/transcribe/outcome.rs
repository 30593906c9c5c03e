//! How it went, for each recording and for all.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use serde::Serialize;
use sidetone::offline::Damage;

/// How one recording went.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) name: PathBuf,
    pub(super) state: State,
    /// What was decoded of it.
    pub(super) audio: Duration,
    /// Speech in it, all channels together.
    pub(super) speech: Duration,
    /// How many were heard; 0 where channels are no speakers.
    pub(super) speakers: usize,
    pub(super) language: Option<String>,
    pub(super) segments: usize,
    pub(super) took: Duration,
    /// The files written.
    pub(super) outputs: Vec<PathBuf>,
    /// What goes to standard output.
    pub(super) printed: Vec<u8>,
}

/// What became of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Transcribed to its end.
    Done,
    /// Transcribed by an earlier run.
    Before,
    /// Transcribed as far as it can be decoded.
    Damaged(Damage),
    /// Nothing could be made of it.
    Failed(String),
    /// Ended by Ctrl-C: what was transcribed until then is in files of partial names.
    Stopped,
    /// Ended by Ctrl-C before it began.
    NotBegun,
    /// Not begun, because what is wrong with another is wrong with all.
    GivenUp,
}

impl State {
    /// One word, for programs.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Before => "done_before",
            Self::Damaged(_) => "damaged",
            Self::Failed(_) => "failed",
            Self::Stopped => "stopped",
            Self::NotBegun | Self::GivenUp => "not_begun",
        }
    }
}

impl Outcome {
    /// One of which nothing is known but what became of it.
    pub(super) fn bare(name: PathBuf, state: State) -> Self {
        Self {
            name,
            state,
            audio: Duration::ZERO,
            speech: Duration::ZERO,
            speakers: 0,
            language: None,
            segments: 0,
            took: Duration::ZERO,
            outputs: Vec::new(),
            printed: Vec::new(),
        }
    }
}

/// How many recordings went which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Tally {
    pub(super) done: usize,
    pub(super) done_before: usize,
    pub(super) damaged: usize,
    /// What was named and not found among them.
    pub(super) failed: usize,
    /// Ended by Ctrl-C, or not begun because of it.
    pub(super) stopped: usize,
}

impl Tally {
    /// `missing`: how many things were named that are not there.
    pub(super) fn of(outcomes: &[Outcome], missing: usize) -> Self {
        let mut tally = Self {
            failed: missing,
            ..Self::default()
        };
        for outcome in outcomes {
            let count = match outcome.state {
                State::Done => &mut tally.done,
                State::Before => &mut tally.done_before,
                State::Damaged(_) => &mut tally.damaged,
                State::Failed(_) | State::GivenUp => &mut tally.failed,
                State::Stopped | State::NotBegun => &mut tally.stopped,
            };
            *count += 1;
        }
        tally
    }

    /// As the help says.
    pub(super) fn exit_status(self) -> u8 {
        let Self {
            done,
            done_before,
            damaged,
            failed,
            stopped,
        } = self;
        match (done + done_before, damaged, failed, stopped) {
            (_, _, _, 1..) => 130,
            (_, 0, 0, 0) => 0,
            (0, 0, 1.., 0) => 1,
            _ => 3,
        }
    }

    pub(super) fn exit_code(self) -> ExitCode {
        self.exit_status().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_status_tells_partial_failure() {
        let status = |done, done_before, damaged, failed, stopped| {
            let tally = Tally {
                done,
                done_before,
                damaged,
                failed,
                stopped,
            };
            tally.exit_status()
        };
        assert_eq!(status(3, 0, 0, 0, 0), 0);
        assert_eq!(status(0, 2, 0, 0, 0), 0);
        assert_eq!(status(0, 0, 0, 1, 0), 1);
        assert_eq!(status(1, 0, 0, 1, 0), 3);
        assert_eq!(status(0, 1, 0, 1, 0), 3);
        // Something was transcribed of it.
        assert_eq!(status(0, 0, 1, 0, 0), 3);
        assert_eq!(status(5, 0, 1, 1, 1), 130);
    }
}
