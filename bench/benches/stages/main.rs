//! What every stage of a call costs: `cargo bench -p sidetone-bench --bench stages`.
//!
//! Criterion times the stages one by one, in one process and on one thread; then a table of the
//! medians and the budgets of the design are printed. A filter works as with any Criterion bench
//! (`cargo bench -p sidetone-bench --bench stages -- codecs`); the tables then hold what ran. No time is asserted:
//! machines differ. That a frame allocates nothing is.

mod audio;
mod budgets;
mod call;
mod codecs;
mod conversation;
mod dialect;
mod stage;
mod stt;
mod turn;
mod vad;

use stage::Stages;

fn main() {
    let mut stages = Stages::from_args();
    dialect::time(&mut stages);
    codecs::time(&mut stages);
    vad::time(&mut stages);
    vad::time_suppression(&mut stages);
    let answered = call::time(&mut stages);
    stt::time(&mut stages);
    turn::time(&mut stages);
    let medians = stages.finish();
    budgets::print(&medians, &answered);
}
