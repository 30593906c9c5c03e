//! The tables.

use std::time::Duration;

use crate::{
    comparison::{Program, Row, median},
    live::Live,
    recordings::{Kind, Recording},
    whisper_cpp::Search,
};

/// What is printed.
pub(crate) struct Report;

#[expect(clippy::print_stdout, reason = "a bench reports")]
impl Report {
    /// A paragraph.
    pub(crate) fn say(self, text: &str) {
        println!("{text}");
    }

    /// That a run is over, for whoever waits.
    #[expect(clippy::print_stderr, reason = "no part of the report")]
    pub(crate) fn ran(self, program: Program, kind: Kind, wall: Duration) {
        eprintln!("  … {kind:?}: {} took {}", name(program), readable(wall));
    }

    /// The rows of a recording, and their ratios beside what is to be reached.
    pub(crate) fn comparison(self, recording: &Recording, rows: &[Row]) {
        let (what, goal) = match recording.kind {
            Kind::Dense => ("dense speech", "to reach: 1.00"),
            Kind::Call => ("a call in two channels", "to reach: 2.00"),
            Kind::Long => ("long pauses", "no goal"),
        };
        println!(
            "\n{what}: {} each channel, of which {:.0} % is speech",
            readable(recording.duration),
            recording.share * 100.0
        );
        println!(
            "  {:<28} {:>9} {:>12} {:>9} {:>13} {:>7} {:>7} {:>8}",
            "", "wall", "of real time", "CPU", "memory beside", "WER", "words", "encoder"
        );
        println!(
            "  {:<28} {:>9} {:>12} {:>9} {:>13} {:>7} {:>7} {:>8}",
            "", "", "", "", "the model", "", "", "runs"
        );
        for row in rows {
            let speed = recording.duration.as_secs_f64() / row.wall().as_secs_f64();
            println!(
                "  {:<28} {:>9} {:>12} {:>9} {:>13} {:>7} {:>7} {:>8}",
                name(row.program),
                readable(row.wall()),
                format!("{speed:.0} ×"),
                readable(row.cpu()),
                format!("{:.0} MB", row.memory() as f64 / 1e6),
                row.errors
                    .map_or("-".to_owned(), |e| format!("{:.1} %", e.rate() * 100.0)),
                row.words,
                row.encodes.map_or("-".to_owned(), |n| n.to_string()),
            );
        }
        let [own, others @ ..] = rows else { return };
        for other in others {
            println!(
                "  Sidetone is {:.2} × as fast as {} by the clock and {:.2} × by CPU ({goal})",
                own.faster_than(other, |run| run.wall),
                name(other.program),
                own.faster_than(other, |run| run.cpu),
            );
        }
        if recording.kind == Kind::Long {
            println!("  Sidetone's memory beside the model, to reach for 4 h: below 200 MB");
        }
    }

    /// The live path on the turns of the dense speech.
    pub(crate) fn live(self, live: &Live, understands: bool) {
        let at = |times: &[Duration], quantile: f64| {
            let mut times = times.to_vec();
            times.sort_unstable();
            let last = times.len().saturating_sub(1);
            readable(
                times
                    .get((last as f64 * quantile) as usize)
                    .copied()
                    .unwrap_or_default(),
            )
        };
        println!(
            "\nlive path: {} turns of the dense speech, {} of audio in the median, one thread",
            live.cut.len(),
            readable(median(live.audio.iter().copied())),
        );
        println!(
            "  {:<28} {:>9} {:>9} {:>7}",
            "a turn's decode", "p50", "p90", "WER"
        );
        let errors = if understands {
            format!("{:.1} %", live.errors.rate() * 100.0)
        } else {
            "-".to_owned()
        };
        for (name, times, errors) in [
            ("encoder cut to the audio", &live.cut, &*errors),
            ("whole encoder", &live.whole, ""),
        ] {
            println!(
                "  {name:<28} {:>9} {:>9} {errors:>7}",
                at(times, 0.5),
                at(times, 0.9)
            );
        }
        let both = live.cut.iter().zip(&live.whole);
        let mut ratios: Vec<f64> = both
            .map(|(cut, whole)| whole.as_secs_f64() / cut.as_secs_f64())
            .collect();
        ratios.sort_by(f64::total_cmp);
        if let Some(ratio) = ratios.get(ratios.len() / 2) {
            println!("  Cut, a turn is decoded {ratio:.1} × as fast");
        }
    }
}

fn name(program: Program) -> &'static str {
    match program {
        Program::Sidetone => "Sidetone",
        Program::WhisperCpp(Search::Greedy) => "whisper.cpp, greedy",
        Program::WhisperCpp(Search::Aligned) => "whisper.cpp, greedy, --dtw",
        Program::WhisperCpp(Search::Default) => "whisper.cpp, its defaults",
    }
}

/// Three digits or so and a unit.
fn readable(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        ..0.1 => format!("{:.1} ms", seconds * 1e3),
        ..1.0 => format!("{:.0} ms", seconds * 1e3),
        ..10.0 => format!("{seconds:.2} s"),
        ..120.0 => format!("{seconds:.1} s"),
        ..7_200.0 => format!("{:.1} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3_600.0),
    }
}
