//! What happens when a number is called.

use std::{sync::Arc, time::Duration};

use crate::phone::{Listener, Script};

/// The telephone at a number: whether it is answered, and what whoever answers does.
#[derive(Clone, Debug)]
pub struct Phone {
    pub(super) pickup: Pickup,
    pub(super) after: Duration,
    pub(super) answered_by: Answerer,
    pub(super) scripts: Vec<Arc<Script>>,
    pub(super) keys: Vec<char>,
    pub(super) talks_for: Option<Duration>,
    pub(super) keep_audio: bool,
    pub(super) listener: Option<Listener>,
}

/// What becomes of the ringing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pickup {
    Answers,
    Busy,
    Never,
    Fails,
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answerer {
    Human,
    Machine,
}

impl Phone {
    /// Answered at once by a person who says nothing until they hang up: see
    /// [`script`](Self::script) and [`Carrier::hang_up`](super::Carrier::hang_up).
    #[must_use]
    pub fn answers() -> Self {
        Self {
            pickup: Pickup::Answers,
            after: Duration::ZERO,
            answered_by: Answerer::Human,
            scripts: Vec::new(),
            keys: Vec::new(),
            talks_for: None,
            keep_audio: false,
            listener: None,
        }
    }

    /// Engaged.
    #[must_use]
    pub fn busy() -> Self {
        Self {
            pickup: Pickup::Busy,
            ..Self::answers()
        }
    }

    /// Rings until whoever calls gives up; with [`after`](Self::after), until the network does.
    #[must_use]
    pub fn never_answers() -> Self {
        Self {
            pickup: Pickup::Never,
            after: Duration::MAX,
            ..Self::answers()
        }
    }

    /// Cannot be reached.
    #[must_use]
    pub fn fails() -> Self {
        Self {
            pickup: Pickup::Fails,
            ..Self::answers()
        }
    }

    /// Answered by a machine, as machine detection finds out; its greeting is the
    /// [`script`](Self::script).
    #[must_use]
    pub fn voicemail() -> Self {
        Self {
            answered_by: Answerer::Machine,
            ..Self::answers()
        }
    }

    /// How long it rings before that happens. Default: not at all.
    #[must_use]
    pub fn after(mut self, ringing: Duration) -> Self {
        self.after = ringing;
        self
    }

    /// What is said into a media stream. Called again, it is for the next stream of the same call,
    /// as after a transfer that came to nothing; the last script is for all streams that follow.
    /// When it ends, the person hangs up.
    #[must_use]
    pub fn script(mut self, script: Arc<Script>) -> Self {
        self.scripts.push(script);
        self
    }

    /// The keys pressed at each `<Gather>`, one after the other. Without one, a `<Gather>` waits
    /// for [`Carrier::press`](super::Carrier::press) or its time-out.
    #[must_use]
    pub fn keys(mut self, keys: impl IntoIterator<Item = char>) -> Self {
        self.keys = keys.into_iter().collect();
        self
    }

    /// Hangs up so long after a `<Dial>` has connected it. Default: never by itself.
    #[must_use]
    pub fn talks_for(mut self, time: Duration) -> Self {
        self.talks_for = Some(time);
        self
    }

    /// Keeps the sound of both ends of its streams, and their messages, in the reports.
    #[must_use]
    pub fn keep_audio(mut self) -> Self {
        self.keep_audio = true;
        self
    }

    /// Lets `listener` hear what is heard on its streams, while it is.
    #[must_use]
    pub fn listened_to(mut self, listener: Listener) -> Self {
        self.listener = Some(listener);
        self
    }

    /// The script of the `n`th stream, from 0.
    pub(super) fn script_of(&self, n: usize) -> Arc<Script> {
        match self.scripts.get(n).or(self.scripts.last()) {
            Some(script) => Arc::clone(script),
            None => Arc::new(silence()),
        }
    }
}

/// Says nothing, and stays.
fn silence() -> Script {
    const DAY: Duration = Duration::from_secs(24 * 3_600);
    Script {
        linger: DAY,
        max_call: DAY,
        ..Script::new(Vec::new())
    }
}
