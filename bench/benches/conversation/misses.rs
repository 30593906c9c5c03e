//! What the defaults make of each part of the corpus, to see why a figure is what it is.

use std::{collections::BTreeMap, error::Error};

use sidetone_bench::scenario::{Line, Played, Scenario, ServiceBehaviours};
use sidetone_core::config::CallConfig;

use crate::{
    corpus::{After, Corpus},
    endpointing::{Outcome, SHORT_PAUSE_MS},
    figures::{Share, Times, Words},
    models::Detector,
    play::Stage,
    table::Table,
};

/// Holds the corpus with `config` on a quiet line, and tells where callers were cut off, how long they
/// waited, and whose words were lost.
pub(crate) fn tell(
    stage: &Stage,
    corpus: &Corpus,
    config: &CallConfig,
) -> Result<String, Box<dyn Error>> {
    let conversations = corpus.conversations();
    let services = ServiceBehaviours::default();
    let scenarios: Vec<Scenario> = conversations
        .iter()
        .map(|conversation| conversation.with(config, &Line::default(), &services))
        .collect();
    let mut cut_off: BTreeMap<String, Share> = BTreeMap::new();
    let mut response: BTreeMap<String, Times> = BTreeMap::new();
    let mut lost = String::new();
    let mut outcome = Outcome::default();
    for (played, conversation) in stage
        .play(Detector::Default, &scenarios)?
        .iter()
        .zip(conversations)
    {
        for (n, after) in conversation.after.iter().enumerate() {
            let Some(act) = played.acts.get(n) else {
                continue;
            };
            let part = format!("{}: {}", act.what, act.words);
            match (after, played.answered_after(n)) {
                (After::Pause(ms), _) if *ms <= SHORT_PAUSE_MS => {
                    cut_off.entry(part).or_default().note(played.is_cut_off(n));
                }
                (After::Pause(_), _) => {}
                (After::End, Some(ms)) => response.entry(part).or_default().push(ms),
                (After::End, None) => lost += &format!("Never answered: {part}\n"),
            }
        }
        lost += &lost_words(played);
        outcome.note(played, &conversation.after);
    }
    let mut cut_offs = Table::new(&["cut off after", "of pauses ≤ 700 ms"]);
    let mut cut_off: Vec<_> = cut_off.into_iter().collect();
    cut_off.sort_by_key(|(_, share)| std::cmp::Reverse(share.some));
    for (part, share) in cut_off {
        cut_offs.row(vec![part, format!("{} of {}", share.some, share.of)]);
    }
    let mut waits = Table::new(&["answer to", "least", "p50", "most, ms"]);
    let mut response: Vec<_> = response.into_iter().collect();
    response.sort_by_key(|(_, times)| std::cmp::Reverse(times.quantile(0.5)));
    for (part, times) in response {
        let ms = |share| times.quantile(share).to_string();
        waits.row(vec![part, ms(0.0), ms(0.5), ms(1.0)]);
    }
    let short = outcome.short();
    let summary = format!(
        "{} of {} cut off, {:.1} %; p50 {}, p90 {}, p99 {} ms",
        short.some,
        short.of,
        short.percent(),
        outcome.response.quantile(0.5),
        outcome.response.quantile(0.9),
        outcome.response.quantile(0.99),
    );
    Ok(format!("{summary}\n\n{cut_offs}\n{waits}\n{lost}"))
}

/// What was said and what was understood, where they differ.
fn lost_words(played: &Played) -> String {
    let mut words = Words::default();
    words.note_caller(played, |_| true);
    if words.lost + words.repeated == 0 {
        return String::new();
    }
    let Words { lost, repeated, .. } = words;
    format!("{lost} lost, {repeated} repeated:\n{}\n", played.timeline())
}
