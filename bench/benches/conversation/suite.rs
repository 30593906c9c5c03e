//! The scenario suite: what it expects, and what it took.

use std::{error::Error, path::Path};

use sidetone_bench::scenario::Scenario;

use crate::{
    figures::{Times, Words},
    models::Detector,
    play::Stage,
};

/// What came of the suite.
#[derive(Default)]
pub(crate) struct Suite {
    pub(crate) scenarios: usize,
    /// The names of those that went otherwise than expected.
    pub(crate) failed: Vec<String>,
    /// Where an answer was expected.
    pub(crate) response: Times,
    /// Where an interruption was expected.
    pub(crate) barge_in: Times,
    /// Where the agent was expected to go on.
    pub(crate) resume: Times,
    pub(crate) agents_words: Words,
}

/// Holds every conversation of `folder`, heard by `detector`.
pub(crate) fn play(
    stage: &Stage,
    folder: &Path,
    detector: Detector,
) -> Result<Suite, Box<dyn Error>> {
    let scenarios = Scenario::load_all(folder)?;
    let mut suite = Suite {
        scenarios: scenarios.len(),
        ..Suite::default()
    };
    for (played, scenario) in stage.play(detector, &scenarios)?.iter().zip(&scenarios) {
        if !scenario.judge(played).is_empty() {
            suite.failed.push(scenario.name.clone());
        }
        for (n, act) in scenario.acts.iter().enumerate() {
            let expected = &act.expect;
            let note = |times: &mut Times, limit: Option<u64>, took: Option<u64>| {
                if let (Some(_), Some(ms)) = (limit, took) {
                    times.push(ms);
                }
            };
            let answered = played.answered_after(n);
            note(&mut suite.response, expected.answered_within_ms, answered);
            let cleared = played.cleared_after(n);
            note(&mut suite.barge_in, expected.cleared_within_ms, cleared);
            let resumed = played.resumed_after(n);
            note(&mut suite.resume, expected.resumed_within_ms, resumed);
        }
        suite.agents_words.note_agent(played);
    }
    Ok(suite)
}
