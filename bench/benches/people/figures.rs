//! Times that were measured, and the table they stand in.

use std::time::Duration;

/// Times of one kind, and how often there was none.
#[derive(Default)]
pub(crate) struct Figures {
    times: Vec<Duration>,
    missing: usize,
}

impl Figures {
    pub(crate) fn add(&mut self, time: Option<Duration>) {
        match time {
            Some(time) => self.times.push(time),
            None => self.missing += 1,
        }
    }

    pub(crate) fn append(&mut self, mut other: Self) {
        self.times.append(&mut other.times);
        self.missing += other.missing;
    }

    /// Median, 99th percentile and maximum.
    fn quantiles(&self) -> [Duration; 3] {
        let mut times = self.times.clone();
        times.sort_unstable();
        let last = times.len().saturating_sub(1);
        [50, 99, 100].map(|percent| {
            let index = (times.len() * percent / 100).min(last);
            times.get(index).copied().unwrap_or_default()
        })
    }
}

/// Figures beside their budgets, as they come.
pub(crate) struct Table;

impl Table {
    pub(crate) fn begin(title: &str) -> Self {
        print(&format!("\n{title}\n"));
        print("| ms | p50 | p99 | max | of | budget |");
        print("|---|---|---|---|---|---|");
        Self
    }

    pub(crate) fn row(&self, what: &str, figures: &Figures, budget: &str) {
        let [median, most, max] = figures.quantiles().map(|time| time.as_secs_f64() * 1_000.0);
        let missing = match figures.missing {
            0 => String::new(),
            missing => format!(", {missing} missing"),
        };
        let count = figures.times.len();
        print(&format!(
            "| {what} | {median:.1} | {most:.1} | {max:.1} | {count}{missing} | {budget} |"
        ));
    }
}

#[expect(clippy::print_stdout, reason = "a bench reports")]
pub(crate) fn print(text: &str) {
    println!("{text}");
}
