//! The machine that the figures were taken on, and whether it can hold so many calls.

use std::{fmt, io, thread};

use procfs::{
    CpuInfo, Current as _,
    process::{LimitValue, Process},
};
use serde_json::{Value, json};

/// Files a process needs open beside its calls' sockets.
const OTHER_FILES: u64 = 64;

/// What the phones and the server share.
#[derive(Clone, Debug)]
pub struct Machine {
    /// How many threads can run at the same time.
    pub cores: usize,
    /// The processor's name, where the system knows it.
    pub cpu: String,
}

impl Machine {
    /// The machine that this runs on.
    #[must_use]
    pub fn this() -> Self {
        let cpu = CpuInfo::current().ok();
        let name = cpu.as_ref().and_then(|cpu| cpu.model_name(0));
        Self {
            cores: thread::available_parallelism().map_or(1, usize::from),
            cpu: name.unwrap_or("unknown").to_owned(),
        }
    }

    /// The same, for programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({"cores": self.cores, "cpu": self.cpu})
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cores, cpu } = self;
        write!(
            f,
            "{cores} cores, {cpu}; the phones and the server share them"
        )
    }
}

/// Checks that this process, and with it the server, may open a socket for each of `calls`.
///
/// # Errors
///
/// The limit is lower. The message says how to raise it.
pub fn check_open_files(calls: usize) -> io::Result<()> {
    let limits = Process::myself().and_then(|process| process.limits());
    let limit = limits.map_err(io::Error::other)?.max_open_files.soft_limit;
    let wanted = calls as u64 + OTHER_FILES;
    match limit {
        LimitValue::Value(limit) if limit < wanted => Err(io::Error::other(format!(
            "{calls} calls need {wanted} open files and {limit} are allowed: raise the limit with \
             `ulimit -n {wanted}`, or ask for fewer calls"
        ))),
        LimitValue::Value(_) | LimitValue::Unlimited => Ok(()),
    }
}
