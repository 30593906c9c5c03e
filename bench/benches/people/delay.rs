//! From one mouth to the other's ear: packets, sockets, jitter buffers, the bridge and Twilio's buffer.

use std::{io, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

use crate::{
    ear::{Change, Says, Voice},
    figures::{Figures, Table},
    leg::{Format, Person},
    phone::Caller,
    server::Server,
};

/// Calls of each format at the same time.
const CALLS: usize = 4;
const SPEAKS_FOR: Duration = Duration::from_secs(20);
/// Until the buffers have settled.
const SETTLING: Duration = Duration::from_secs(2);
/// What is heard later is another burst.
const LONGEST: Duration = Duration::from_millis(250);

/// Calls that were taken over, and in which both speak in bursts.
pub(crate) struct Bridged(Vec<(Caller, Person)>);

/// What was measured of them.
#[derive(Default)]
pub(crate) struct Delays {
    pub(crate) to_caller: Figures,
    pub(crate) to_person: Figures,
    pub(crate) underruns: u64,
}

pub(crate) async fn measure(table: &Table) -> io::Result<()> {
    let server = Server::start(300).await?;
    for (name, format) in [("PCM", Format::Pcm), ("Opus", Format::Opus)] {
        let bridged = Bridged::begin(&server, format, CALLS).await;
        sleep(SPEAKS_FOR).await;
        let delays = bridged.end().await;
        let budget = "p99 ≤ 20 a packet + 60";
        table.row(
            &format!("{name}: person's mouth → caller's ear"),
            &delays.to_caller,
            budget,
        );
        table.row(
            &format!("{name}: caller's mouth → person's socket"),
            &delays.to_person,
            budget,
        );
    }
    Ok(())
}

impl Bridged {
    /// Begins `calls` calls.
    pub(crate) async fn begin(server: &Server, format: Format, calls: usize) -> Self {
        let mut bridged = Vec::new();
        for _ in 0..calls {
            let caller = Caller::call(server, Says::Bursts(Voice::Caller)).await;
            // In step with nothing.
            sleep(Duration::from_micros(fastrand::u64(..40_000))).await;
            let says = Says::Bursts(Voice::Person);
            let person = Person::joins(server, &caller.call, "takeover", format, says).await;
            bridged.push((caller, person));
        }
        sleep(SETTLING).await;
        for (caller, person) in &mut bridged {
            while caller.hears.try_recv().is_ok() {}
            while person.hears.try_recv().is_ok() {}
            while caller.spoke.try_recv().is_ok() {}
            while person.spoke.try_recv().is_ok() {}
        }
        Self(bridged)
    }

    /// Ends them.
    pub(crate) async fn end(self) -> Delays {
        let mut delays = Delays::default();
        for (mut caller, mut person) in self.0 {
            let to_caller = from(&mut person.spoke, &mut caller.hears, Voice::Person);
            let to_person = from(&mut caller.spoke, &mut person.hears, Voice::Caller);
            delays.to_caller.append(to_caller);
            delays.to_person.append(to_person);
            delays.underruns += caller.underruns();
            person.vanishes();
            caller.hangs_up().await;
        }
        delays
    }
}

/// From each burst that was spoken to its beginning at the other's ear.
fn from(
    spoke: &mut mpsc::UnboundedReceiver<Instant>,
    hears: &mut mpsc::UnboundedReceiver<Change>,
    voice: Voice,
) -> Figures {
    let mut heard = Vec::new();
    while let Ok(change) = hears.try_recv() {
        if change.voice == voice && change.begins {
            heard.push(change.at);
        }
    }
    let last = heard.last().copied();
    let mut figures = Figures::default();
    while let Ok(spoken) = spoke.try_recv() {
        // The last bursts may be on their way.
        if last.is_none_or(|last| spoken > last) {
            break;
        }
        let next = heard.iter().find(|heard| **heard >= spoken);
        let delay = next.map(|heard| *heard - spoken);
        figures.add(delay.filter(|delay| *delay < LONGEST));
    }
    figures
}
