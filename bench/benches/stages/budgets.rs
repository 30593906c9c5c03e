//! The budgets of the design beside what was measured.

use std::time::Duration;

use crate::{
    audio::FRAME,
    call::{LISTENING, allocations},
    stage::{Medians, readable},
};

/// How many frames are watched for allocations: 200 s of a call.
const FRAMES: u32 = 10_000;

/// Prints what of the budgets can be seen in the stages that ran, and where the rest can be seen.
///
/// # Panics
///
/// If a frame allocates.
#[expect(clippy::print_stdout, reason = "a bench reports")]
pub(crate) fn print(medians: &Medians, answers: &[Duration]) {
    let (group, name) = LISTENING;
    let listening = medians.of(group, name);
    let answered = medians.of("call", "answer").is_some();
    if listening.is_none() && !answered {
        return;
    }
    let row = |what, budget, here: &str| println!("{what:<40} {budget:<17} {here}");
    println!();
    row("budget of the design", "allowed", "here");
    if let Some(frame) = listening {
        let allocations = allocations(FRAMES);
        let here = format!(
            "{allocations} in {FRAMES} frames, after warm-up; as many with noise suppression"
        );
        row("heap allocations of a listening frame", "0", &here);
        assert_eq!(allocations, 0, "a frame allocates nothing");
        let share = frame.as_secs_f64() / FRAME.as_secs_f64();
        let here = format!(
            "{} a frame, {:.3} % of a core: {:.0} calls a core, without the sockets",
            readable(frame),
            share * 100.0,
            1.0 / share
        );
        row("CPU of a call that listens", "2 × echo server", &here);
    }
    if answered {
        let mut sorted = answers.to_vec();
        sorted.sort_unstable();
        let at = |quantile: f64| sorted[((sorted.len() - 1) as f64 * quantile) as usize];
        let here = format!(
            "p50 {}, p99 {} of {}: the engine's part, services at once",
            readable(at(0.5)),
            readable(at(0.99)),
            sorted.len()
        );
        row(
            "end of turn decided → first audio out",
            "p99 ≤ 10 ms",
            &here,
        );
    }
    println!(
        "\nOver real sockets (CPU beside an echo server's, memory of a call, response and barge-in \
         at the ear, underruns):\n  cargo run --release -p sidetone-bench --bin load"
    );
}
