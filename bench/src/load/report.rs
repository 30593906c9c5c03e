//! The figures of a run, beside the budgets.

use std::{fmt, time::Duration};

use hdrhistogram::Histogram;
use serde_json::{Value, json};
use sidetone_cli::phone::{CallReport, Ending};

use super::child::Usage;

/// What a number of calls noticed, and what they cost.
pub struct Talked {
    /// How many calls there were.
    pub calls: usize,
    /// How many did not come about or broke.
    pub failed: usize,
    /// Lines nobody answered.
    pub unanswered: usize,
    /// How often an ear ran dry within a stretch of speech.
    pub underruns: u64,
    /// From the caller's last sound to the agent's first, at the ear, in µs.
    pub response: Histogram<u64>,
    /// From the caller's first sound to `clear` at the phone, in µs.
    pub barge_in: Histogram<u64>,
    /// From the engine's decision that a turn ended to its first audio out, in µs, to the ms.
    pub answer: Histogram<u64>,
    /// CPU time of the server for each second of the run, all calls together, in cores.
    pub server_cpu: f64,
    /// The same for the phones: they share the machine.
    pub phone_cpu: f64,
    /// Resident memory that a call adds to the server, in bytes.
    pub memory: u64,
}

impl Talked {
    /// Sums up.
    #[must_use]
    pub fn new(
        reports: &[Result<CallReport, String>],
        elapsed: Duration,
        answers: &[Duration],
        server: (Usage, Usage, u64),
        phones: (Usage, Usage),
    ) -> Self {
        let calls = reports.len();
        let mut talked = Self {
            calls,
            failed: 0,
            unanswered: 0,
            underruns: 0,
            response: histogram(),
            barge_in: histogram(),
            answer: histogram(),
            server_cpu: share(server.0, server.1, elapsed),
            phone_cpu: share(phones.0, phones.1, elapsed),
            memory: server.2.saturating_sub(server.0.resident) / calls.max(1) as u64,
        };
        for answer in answers {
            talked.answer.saturating_record(micros(*answer));
        }
        for report in reports {
            let Ok(report) = report else {
                talked.failed += 1;
                continue;
            };
            if report.ending == Some(Ending::Lost) {
                talked.failed += 1;
            }
            talked.underruns += report.underruns;
            talked.unanswered += report.unsaid;
            for turn in &report.turns {
                match turn.response() {
                    Some(response) => talked.response.saturating_record(micros(response)),
                    None => talked.unanswered += 1,
                }
                if let Some(barge_in) = turn.barge_in() {
                    talked.barge_in.saturating_record(micros(barge_in));
                }
            }
        }
        talked
    }
}

impl Talked {
    /// Every call came about and every line was answered.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.failed == 0 && self.unanswered == 0
    }

    /// The same figures, with their units in their names.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let latency = |histogram: &Histogram<u64>| {
            json!({
                "count": histogram.len(),
                "p50_ms": ms(histogram.value_at_quantile(0.5)),
                "p90_ms": ms(histogram.value_at_quantile(0.9)),
                "p99_ms": ms(histogram.value_at_quantile(0.99)),
                "max_ms": ms(histogram.max()),
            })
        };
        json!({
            "calls": self.calls,
            "failed_calls": self.failed,
            "unanswered_lines": self.unanswered,
            "underruns": self.underruns,
            "response": latency(&self.response),
            "barge_in": latency(&self.barge_in),
            "answer": latency(&self.answer),
            "server_cpu_cores": self.server_cpu,
            "phones_cpu_cores": self.phone_cpu,
            "memory_per_call_bytes": self.memory,
        })
    }
}

fn ms(micros: u64) -> f64 {
    micros as f64 / 1_000.0
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("the bounds are in order")
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// CPU time used between two readings, as a share of one core.
#[must_use]
pub fn share(before: Usage, after: Usage, elapsed: Duration) -> f64 {
    (after.cpu - before.cpu).as_secs_f64() / elapsed.as_secs_f64()
}

impl fmt::Display for Talked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |histogram: &Histogram<u64>, quantile| ms(histogram.value_at_quantile(quantile));
        writeln!(
            f,
            "{} calls that talk ({} failed, {} lines unanswered)",
            self.calls, self.failed, self.unanswered
        )?;
        for (name, histogram, budget) in [
            (
                "response at the ear",
                &self.response,
                "p50 ≤ 350 ms, p99 ≤ 500 ms",
            ),
            ("barge-in", &self.barge_in, "p50 ≤ 150 ms, p99 ≤ 250 ms"),
            ("the engine's answer", &self.answer, "p99 ≤ 10 ms"),
        ] {
            writeln!(
                f,
                "  {name:<22} p50 {:>6.1}  p90 {:>6.1}  p99 {:>6.1}  max {:>6.1} ms  of {:>5}  (budget {budget})",
                at(histogram, 0.5),
                at(histogram, 0.9),
                at(histogram, 0.99),
                ms(histogram.max()),
                histogram.len(),
            )?;
        }
        writeln!(
            f,
            "  {:<22} {}  (budget 0)",
            "underruns at the ear", self.underruns
        )?;
        writeln!(
            f,
            "  {:<22} {:.1} % of a core together, {:.3} % a call; the phones {:.1} %",
            "CPU of the server",
            self.server_cpu * 100.0,
            self.server_cpu * 100.0 / self.calls as f64,
            self.phone_cpu * 100.0,
        )?;
        write!(
            f,
            "  {:<22} {} KiB resident  (budget ≤ 200 KiB)",
            "memory of a call",
            self.memory / 1_024
        )
    }
}
