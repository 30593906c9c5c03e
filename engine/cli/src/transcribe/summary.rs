//! The table at the end.

use std::{fmt::Write as _, path::Path, time::Duration};

use owo_colors::OwoColorize as _;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::outcome::{Outcome, State, Tally};
use crate::view::printable;

/// With more recordings than this, only those that were not done are in the table.
const ROWS_MAX: usize = 40;
const NAME_COLUMNS: usize = 29;

/// The table and a line about all, within 80 columns.
pub(super) fn summary(outcomes: &[Outcome], tally: Tally, others: usize, took: Duration) -> String {
    let mut text = String::new();
    let wanted = |outcome: &&Outcome| {
        let dull =
            [State::Done, State::Before, State::NotBegun, State::GivenUp].contains(&outcome.state);
        outcomes.len() <= ROWS_MAX || !dull
    };
    let rows: Vec<&Outcome> = outcomes.iter().filter(wanted).collect();
    let longest = rows.iter().map(|row| name(&row.name).width()).max();
    let columns = longest.unwrap_or(0).clamp("recording".len(), NAME_COLUMNS);
    if !rows.is_empty() {
        let heading = format!(
            "  {:columns$} {:>8} {:>7} {:>8} {:>4} {:>6}  state",
            "recording", "audio", "speech", "speakers", "lang", "speed"
        );
        let _ = writeln!(text, "{}", heading.dimmed());
    }
    for row in rows {
        let name = fitted(&name(&row.name), columns);
        let pad = columns - name.width();
        let state = match &row.state {
            State::Done => "done".green().to_string(),
            State::Before => "before".green().to_string(),
            State::Damaged(_) => "damaged".yellow().to_string(),
            State::Failed(_) => "failed".red().to_string(),
            State::Stopped => "stopped".yellow().to_string(),
            State::NotBegun | State::GivenUp => "not begun".yellow().to_string(),
        };
        if row.audio.is_zero() {
            let _ = writeln!(text, "  {name}{:pad$}{:39} {state}", "", "");
            continue;
        }
        let _ = writeln!(
            text,
            "  {name}{:pad$} {:>8} {:>7} {:>8} {:>4} {:>6}  {state}",
            "",
            length(row.audio),
            length(row.speech),
            match row.speakers {
                0 => "-".to_owned(),
                speakers => speakers.to_string(),
            },
            row.language.as_deref().unwrap_or("-"),
            speed(row.audio, row.took),
        );
    }
    let _ = writeln!(text, "{}", totals(outcomes, tally, others, took));
    text
}

fn totals(outcomes: &[Outcome], tally: Tally, others: usize, took: Duration) -> String {
    let counts = [
        (tally.done, "done"),
        (tally.done_before, "done before"),
        (tally.damaged, "damaged"),
        (tally.failed, "failed"),
        (tally.stopped, "stopped"),
    ];
    let counts: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let mut line = counts.join(", ");
    let now = outcomes
        .iter()
        .filter(|outcome| outcome.state != State::Before);
    let audio: Duration = now.map(|outcome| outcome.audio).sum();
    if !audio.is_zero() {
        let (of, within, speed) = (length(audio), length(took), speed(audio, took));
        let _ = write!(line, "; {of} of audio in {within} ({speed} real time)");
    }
    match others {
        0 => {}
        1 => line.push_str("\n1 other file passed over"),
        others => {
            let _ = write!(line, "\n{others} other files passed over");
        }
    }
    line
}

/// `0.9 s`, `12:34`, `1:02:03`.
pub(super) fn length(duration: Duration) -> String {
    if duration < Duration::from_millis(59_950) {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        clock(duration)
    }
}

/// `0:09`, `12:34`, `1:02:03`.
pub(super) fn clock(duration: Duration) -> String {
    let seconds = (duration.as_millis() + 500) / 1_000;
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// How many times faster than it was spoken: `4.2×`, `48×`.
pub(super) fn speed(audio: Duration, took: Duration) -> String {
    let times = audio.as_secs_f64() / took.as_secs_f64().max(1e-3);
    if times < 9.95 {
        format!("{times:.1}×")
    } else {
        format!("{times:.0}×")
    }
}

/// A name as it can be shown.
pub(super) fn name(path: &Path) -> String {
    printable(&path.to_string_lossy())
}

/// The end of a name, which tells more than its beginning.
pub(super) fn fitted(name: &str, columns: usize) -> String {
    if name.width() <= columns {
        return name.to_owned();
    }
    let mut width = 1;
    let mut from = name.len();
    for (at, c) in name.char_indices().rev() {
        width += c.width().unwrap_or(0);
        if width > columns {
            break;
        }
        from = at;
    }
    format!("…{}", &name[from..])
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use sidetone::offline::Damage;

    use super::*;

    fn done(name: &str, seconds: u64) -> Outcome {
        Outcome {
            audio: Duration::from_secs(seconds),
            speech: Duration::from_secs(seconds / 2),
            speakers: 2,
            language: Some("en".to_owned()),
            took: Duration::from_secs(seconds) / 48,
            ..Outcome::bare(PathBuf::from(name), State::Done)
        }
    }

    fn plain(outcomes: &[Outcome], missing: usize, others: usize) -> String {
        let tally = Tally::of(outcomes, missing);
        let text = summary(outcomes, tally, others, Duration::from_secs(60));
        anstream::adapter::strip_str(&text).to_string()
    }

    #[test]
    fn a_table_of_all_that_fits_80_columns() {
        let damage = Damage {
            at_ms: 900,
            message: "it is cut off".to_owned(),
        };
        let outcomes = [
            done("calls/2026-11-21-the-long-name-of-a-call", 14_400),
            Outcome {
                state: State::Damaged(damage),
                speakers: 0,
                language: None,
                ..done("b.mp3", 9)
            },
            Outcome::bare("c.wav".into(), State::Failed("it is empty".to_owned())),
        ];
        let text = plain(&outcomes, 1, 12);
        assert_eq!(
            text,
            "  recording                        audio  speech speakers lang  speed  state\n\
             \x20 …1-21-the-long-name-of-a-call  4:00:00 2:00:00        2   en    48×  done\n\
             \x20 b.mp3                            9.0 s   4.0 s        -    -    48×  damaged\n\
             \x20 c.wav                                                                failed\n\
             1 done, 1 damaged, 2 failed; 4:00:09 of audio in 1:00 (240× real time)\n\
             12 other files passed over\n"
        );
    }

    #[test]
    fn of_very_many_only_those_with_a_fault_are_listed() {
        let mut outcomes: Vec<Outcome> = (0..100).map(|n| done(&format!("{n}.wav"), 60)).collect();
        outcomes[50].state = State::Failed("no".to_owned());
        let text = plain(&outcomes, 0, 0);
        assert_eq!(text.lines().count(), 3);
        assert!(
            text.contains("50.wav") && text.contains("99 done, 1 failed;"),
            "{text}"
        );
    }

    #[test]
    fn times_and_speeds_read_well() {
        assert_eq!(clock(Duration::from_millis(9_499)), "0:09");
        assert_eq!(clock(Duration::from_secs(754)), "12:34");
        assert_eq!(length(Duration::from_millis(9_449)), "9.4 s");
        assert_eq!(length(Duration::from_millis(59_950)), "1:00");
        assert_eq!(clock(Duration::from_secs(3_723)), "1:02:03");
        assert_eq!(
            speed(Duration::from_secs(42), Duration::from_secs(10)),
            "4.2×"
        );
        assert_eq!(
            speed(Duration::from_secs(480), Duration::from_secs(10)),
            "48×"
        );
        assert_eq!(speed(Duration::from_secs(1), Duration::ZERO), "1000×");
    }

    #[test]
    fn names_are_cut_at_their_beginning() {
        assert_eq!(fitted("short.wav", 9), "short.wav");
        assert_eq!(fitted("calls/long.wav", 9), "…long.wav");
        assert_eq!(fitted("请问我的订单.wav", 9), "…订单.wav");
    }
}
