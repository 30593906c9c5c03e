//! From a button to what the caller hears.

use std::{io, time::Duration};

use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep, timeout_at},
};

use crate::{
    ear::{Change, Says, Voice},
    figures::{Figures, Table},
    leg::{Format, Person},
    phone::Caller,
    server::Server,
};

/// Calls at the same time, and rounds of each.
const CALLS: usize = 10;
const ROUNDS: usize = 8;
/// Longer than anything should take; what takes longer is told as missing.
const PATIENCE: Duration = Duration::from_secs(4);

/// How the person takes the call over, and gives it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Buttons of somebody who is on the call.
    Buttons,
    /// Opening the leg, and losing it.
    Leg,
}

/// What was measured of one way.
#[derive(Default)]
struct Reactions {
    heard: Figures,
    silent: Figures,
    back: Figures,
}

pub(crate) async fn measure(table: &Table) -> io::Result<()> {
    // An agent that is speaking whenever somebody takes over, and one that has finished.
    for (agent, sentence_ms) in [("speaking", 30_000), ("silent", 300)] {
        let server = Server::start(sentence_ms).await?;
        for way in [Way::Buttons, Way::Leg] {
            let measured = all(&server, way, sentence_ms).await;
            let (on, off) = match way {
                Way::Buttons => ("button `takeover`", "button `monitor`"),
                Way::Leg => ("leg opened with `takeover`", "leg lost"),
            };
            let of = |what: &str| format!("agent {agent}: {what}");
            table.row(
                &of(&format!("{on} → the caller hears the person")),
                &measured.heard,
                "p99 ≤ 150",
            );
            if agent == "speaking" {
                table.row(
                    &of(&format!("{on} → the agent's last sample")),
                    &measured.silent,
                    "p99 ≤ 150",
                );
            }
            table.row(
                &of(&format!("{off} → the agent's first sample")),
                &measured.back,
                "max ≤ 1000",
            );
        }
    }
    Ok(())
}

async fn all(server: &Server, way: Way, sentence_ms: u32) -> Reactions {
    let mut calls = Vec::new();
    for _ in 0..CALLS {
        calls.push(Caller::call(server, Says::Nothing).await);
    }
    let mut callers = Vec::new();
    let measured = std::sync::Mutex::new(Reactions::default());
    let rounds = calls.into_iter().enumerate().map(|(n, mut caller)| {
        let measured = &measured;
        async move {
            let format = if n % 2 == 0 {
                Format::Opus
            } else {
                Format::Pcm
            };
            let mut rounds = Rounds {
                server,
                way,
                format,
                caller: &mut caller,
                person: None,
                random: fastrand::Rng::with_seed(n as u64),
                may_speak: sentence_ms > 5_000,
            };
            for _ in 0..ROUNDS {
                let (heard, silent, back) = rounds.one().await;
                let mut measured = measured.lock().expect("no round fails in here");
                measured.heard.add(heard);
                measured.silent.add(silent);
                measured.back.add(back);
            }
            caller
        }
    });
    for caller in futures_util::future::join_all(rounds).await {
        callers.push(caller);
    }
    let mut ends = JoinSet::new();
    for caller in callers {
        ends.spawn(caller.hangs_up());
    }
    ends.join_all().await;
    measured.into_inner().expect("no round failed")
}

/// One call's.
struct Rounds<'a> {
    server: &'a Server,
    way: Way,
    format: Format,
    caller: &'a mut Caller,
    person: Option<Person>,
    random: fastrand::Rng,
    /// The agent is to be speaking when the person takes over.
    may_speak: bool,
}

impl Rounds<'_> {
    /// Takes over, and gives back: until the person is heard, the agent is not any more, and is again.
    async fn one(&mut self) -> (Option<Duration>, Option<Duration>, Option<Duration>) {
        if self.way == Way::Buttons && self.person.is_none() {
            self.person = Some(self.joins("monitor").await);
        }
        // At no particular time of anybody's 20 ms.
        let pause = if self.may_speak { 400 } else { 1_200 };
        self.pause(pause).await;
        drain(&mut self.caller.hears);
        let pressed = Instant::now();
        let person = match self.person.take() {
            Some(person) => {
                person.wants("takeover");
                person
            }
            None => self.joins("takeover").await,
        };
        let until = pressed + PATIENCE;
        let (mut heard, mut silent) = (None, None);
        while heard.is_none() {
            let Some(change) = next(&mut self.caller.hears, until).await else {
                break;
            };
            match (change.voice, change.begins) {
                (Voice::Person, true) => heard = Some(change.at - pressed),
                (Voice::Agent, begins) => silent = (!begins).then(|| change.at - pressed),
                _ => {}
            }
        }
        // What is heard of the agent from now on is one voice too many.
        self.pause(400).await;
        while let Ok(change) = self.caller.hears.try_recv() {
            if change.voice == Voice::Agent {
                silent = (!change.begins).then(|| change.at - pressed);
            }
        }
        let given_back = Instant::now();
        match self.way {
            Way::Buttons => {
                person.wants("monitor");
                self.person = Some(person);
            }
            Way::Leg => person.vanishes(),
        }
        let until = given_back + PATIENCE;
        let mut back = None;
        while let Some(change) = next(&mut self.caller.hears, until).await {
            if change.voice == Voice::Agent && change.begins {
                back = Some(change.at - given_back);
                break;
            }
        }
        (heard, silent, back)
    }

    async fn joins(&self, mode: &str) -> Person {
        let says = Says::Tone(Voice::Person);
        Person::joins(self.server, &self.caller.call, mode, self.format, says).await
    }

    async fn pause(&mut self, ms: u64) {
        let more = self.random.u64(..400_000);
        sleep(Duration::from_millis(ms) + Duration::from_micros(more)).await;
    }
}

async fn next(hears: &mut mpsc::UnboundedReceiver<Change>, until: Instant) -> Option<Change> {
    timeout_at(until, hears.recv()).await.ok().flatten()
}

fn drain(hears: &mut mpsc::UnboundedReceiver<Change>) {
    while hears.try_recv().is_ok() {}
}
