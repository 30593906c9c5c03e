//! Figures of many conversations.

use sidetone_bench::scenario::Played;
use sidetone_core::conversation::Role;

/// Times, in ms.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times(Vec<u64>);

impl Times {
    pub(crate) fn push(&mut self, ms: u64) {
        self.0.push(ms);
    }

    pub(crate) fn extend(&mut self, other: &Self) {
        self.0.extend(&other.0);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The time within which this share of them lie; 0 if there are none.
    pub(crate) fn quantile(&self, share: f64) -> u64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let place = (sorted.len() as f64 * share).ceil() as usize;
        sorted.get(place.saturating_sub(1)).copied().unwrap_or(0)
    }

    pub(crate) fn mean(&self) -> f64 {
        self.0.iter().sum::<u64>() as f64 / self.0.len().max(1) as f64
    }
}

/// Some of many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) some: usize,
    pub(crate) of: usize,
}

impl Share {
    pub(crate) fn note(&mut self, is_one: bool) {
        self.some += usize::from(is_one);
        self.of += 1;
    }

    pub(crate) fn percent(self) -> f64 {
        100.0 * self.some as f64 / self.of.max(1) as f64
    }
}

/// Words that were lost and words that came twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Words {
    pub(crate) said: usize,
    pub(crate) lost: usize,
    pub(crate) repeated: usize,
}

impl Words {
    /// Of the caller's: what was said, beside what the language model was told.
    pub(crate) fn note_caller(&mut self, played: &Played, is_speech: impl Fn(usize) -> bool) {
        let acts = played.acts.iter().enumerate();
        let acts = acts.filter(|(n, _)| is_speech(*n));
        let said: Vec<&str> = acts.flat_map(|(_, act)| act.words.split(' ')).collect();
        let told = played.conversation.iter();
        let told = told.filter(|message| message.role == Role::Caller);
        let told: Vec<&str> = told.flat_map(|m| m.text.split_whitespace()).collect();
        let common = in_common(&said, &told);
        self.said += said.len();
        self.lost += said.len() - common;
        self.repeated += told.len() - common;
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.said += other.said;
        self.lost += other.lost;
        self.repeated += other.repeated;
    }

    /// Of the agent's: what the caller's ear heard twice, and what was skipped.
    pub(crate) fn note_agent(&mut self, played: &Played) {
        let (repeated, lost) = played.repeated_and_lost();
        self.said += played.agent_words.len();
        self.lost += lost.len();
        self.repeated += repeated.len();
    }
}

/// How many words stand in both, in the same order.
fn in_common(a: &[&str], b: &[&str]) -> usize {
    let mut row = vec![0; b.len() + 1];
    for x in a {
        let mut diagonal = 0;
        for (n, y) in b.iter().enumerate() {
            let above = row[n + 1];
            row[n + 1] = if x == y {
                diagonal + 1
            } else {
                above.max(row[n])
            };
            diagonal = above;
        }
    }
    row[b.len()]
}
