//! What people on a call cost in processor time.

use std::{io, time::Duration};

use sidetone_bench::load::report::share;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    ear::{Says, Voice},
    figures::print,
    leg::{Format, Person},
    phone::Caller,
    server::Server,
};

const CALLS: usize = 30;
const SETTLING: Duration = Duration::from_secs(2);
const MEASURED_FOR: Duration = Duration::from_secs(8);

pub(crate) async fn measure() -> io::Result<()> {
    print("\nprocessor time of the server for each second of a call, everybody speaking:\n");
    print("| call | % of a core | times a call without people | budget |");
    print("|---|---|---|---|");
    let mut alone = None;
    for (name, leg) in [
        ("without people", None),
        ("a monitor, PCM", Some(("monitor", Format::Pcm))),
        ("a monitor, Opus", Some(("monitor", Format::Opus))),
        ("taken over, PCM", Some(("takeover", Format::Pcm))),
        ("taken over, Opus", Some(("takeover", Format::Opus))),
    ] {
        let each = of(leg).await?;
        let times = each / *alone.get_or_insert(each);
        let percent = each * 100.0;
        print(&format!("| {name} | {percent:.2} | {times:.1} | none |"));
    }
    Ok(())
}

/// The processor time of a call with this leg, as a share of a core.
async fn of(leg: Option<(&str, Format)>) -> io::Result<f64> {
    let server = Server::start(300).await?;
    let mut calls = Vec::new();
    for _ in 0..CALLS {
        let caller = Caller::call(&server, Says::Tone(Voice::Caller)).await;
        let person = match leg {
            None => None,
            Some((mode, format)) => {
                let says = Says::Tone(Voice::Person);
                Some(Person::joins(&server, &caller.call, mode, format, says).await)
            }
        };
        calls.push((caller, person));
    }
    sleep(SETTLING).await;
    let (before, began) = (server.usage()?, Instant::now());
    sleep(MEASURED_FOR).await;
    let used = share(before, server.usage()?, began.elapsed());
    let mut ends = JoinSet::new();
    for (caller, person) in calls {
        if let Some(person) = person {
            person.vanishes();
        }
        ends.spawn(caller.hangs_up());
    }
    ends.join_all().await;
    Ok(used / CALLS as f64)
}
