//! The scenario suite, in simulated time.

use std::{fmt::Write as _, path::Path};

use sidetone_bench::scenario::{Clips, Scenario};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures");

#[test]
fn every_scenario_ends_as_expected() {
    let scenarios = Scenario::load_all(&Path::new(FIXTURES).join("scenarios")).unwrap();
    let mut clips = Clips::new(FIXTURES);
    // One scenario, or those with a common beginning.
    let wanted = std::env::var("SCENARIO").unwrap_or_default();
    let mut report = String::new();
    let mut failed = 0;
    for scenario in scenarios.iter().filter(|s| s.name.starts_with(&wanted)) {
        let played = scenario.play(&mut clips).unwrap();
        let wrong = scenario.judge(&played);
        if wrong.is_empty() {
            continue;
        }
        failed += 1;
        let _ = writeln!(report, "\n{}: {}", scenario.name, scenario.about);
        for line in wrong {
            let _ = writeln!(report, "  WRONG: {line}");
        }
        let _ = writeln!(report, "{}", played.timeline());
    }
    assert_eq!(
        failed,
        0,
        "{failed} of {} scenarios{report}",
        scenarios.len()
    );
}
