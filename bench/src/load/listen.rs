//! Callers who say nothing: what a listening call costs beside a bare echo server.

use std::{fmt, io, path::Path, time::Duration};

use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{
    child::{Role, Served},
    leg,
    report::share,
};

/// The calls begin within the first second of this; nothing is measured in it.
const SETTLING: Duration = Duration::from_secs(2);

/// What a call that listens costs.
#[derive(Clone, Copy, Debug)]
pub struct Listened {
    /// How many calls there were at the same time.
    pub calls: usize,
    /// CPU of one call, as a share of a core.
    pub call_cpu: f64,
    /// The same of a connection to a server that sends every message back.
    pub echo_cpu: f64,
    /// Resident memory that a call adds to the server, in bytes.
    pub memory: u64,
}

/// Has `calls` legs send noise for `duration` to the engine, and to an echo server, in turn.
/// `program` is the load generator.
///
/// # Errors
///
/// A server does not start or ends by itself, or a call breaks.
pub async fn compare(program: &Path, calls: usize, duration: Duration) -> io::Result<Listened> {
    let mut shares = Vec::new();
    let mut memory = 0;
    // In turn, twice, so that a machine that slows down slows both.
    for role in [Role::Echo, Role::Engine, Role::Echo, Role::Engine] {
        let server = Served::start(program, role)?;
        let idle = server.usage()?;
        let until = Instant::now() + SETTLING + duration;
        let mut legs = JoinSet::new();
        for n in 0..calls {
            let addr = server.addr;
            legs.spawn(async move {
                sleep(Duration::from_secs(1).mul_f64(n as f64 / calls as f64)).await;
                match role {
                    Role::Engine => leg::call_and_listen(addr, until, n as u64).await,
                    Role::Echo => leg::stream(addr, "", until, n as u64).await,
                }
            });
        }
        sleep(SETTLING).await;
        let (before, began) = (server.usage()?, Instant::now());
        sleep(duration.mul_f64(0.9)).await;
        let after = server.usage()?;
        shares.push(share(before, after, began.elapsed()) / calls as f64);
        if role == Role::Engine {
            memory = after.resident.saturating_sub(idle.resident) / calls as u64;
        }
        for result in legs.join_all().await {
            result?;
        }
    }
    Ok(Listened {
        calls,
        call_cpu: f64::midpoint(shares[1], shares[3]),
        echo_cpu: f64::midpoint(shares[0], shares[2]),
        memory,
    })
}

impl Listened {
    /// The same figures, with their units in their names.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "calls": self.calls,
            "call_cpu_cores": self.call_cpu,
            "echo_cpu_cores": self.echo_cpu,
            "memory_per_call_bytes": self.memory,
        })
    }
}

impl fmt::Display for Listened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} calls that listen", self.calls)?;
        writeln!(
            f,
            "  CPU of a call          {:.3} % of a core; a bare echo server {:.3} %: ratio {:.2}  \
             (budget ≤ 2)",
            self.call_cpu * 100.0,
            self.echo_cpu * 100.0,
            self.call_cpu / self.echo_cpu,
        )?;
        write!(
            f,
            "  memory of a call       {} KiB resident  (budget ≤ 200 KiB)",
            self.memory / 1_024
        )
    }
}
