//! Callers who talk, are answered, and interrupt.

use std::{error::Error as _, io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use sidetone_cli::phone::{
    self, CallIdentity, CallReport, Entry, Line, Script, Target, When, load_audio,
};
use tokio::{task::JoinSet, time::sleep};

/// Between a caller's answer and the next question.
const PAUSE_MS: u32 = 700;
/// How far into an answer of six seconds the caller interrupts.
const INTERRUPT_AFTER_MS: u32 = 1_200;

/// What the callers say: a question, then another over the answer, and so on.
///
/// # Errors
///
/// The recorded callers are not there.
pub fn script(fixtures: &Path, rounds: usize) -> io::Result<Arc<Script>> {
    let load = |file: &str| {
        load_audio(&fixtures.join(file)).map_err(|error| {
            let why = error
                .source()
                .map_or(String::new(), |why| format!(": {why}"));
            io::Error::other(format!(
                "{error}{why}; --fixtures must name the folder `fixtures` of the repository"
            ))
        })
    };
    let question = load("callers/annie/where-is-my-order.wav")?;
    let interruption = load("callers/annie/four-two-seven-one.wav")?;
    let lines = (0..rounds).flat_map(|_| {
        [
            Line::new(
                "question",
                Arc::clone(&question),
                When::AgentSilenceMs(PAUSE_MS),
            ),
            Line::new(
                "interruption",
                Arc::clone(&interruption),
                When::InterruptAfterMs(INTERRUPT_AFTER_MS),
            ),
        ]
    });
    let mut lines: Vec<Line> = lines.collect();
    if let Some(first) = lines.first_mut() {
        // There is no greeting to wait for.
        first.when = When::PauseMs(PAUSE_MS);
    }
    Ok(Arc::new(Script::new(lines)))
}

/// Holds `calls` calls with the server at `addr`, begun one after the other within `ramp`.
pub async fn hold_calls(
    addr: SocketAddr,
    calls: usize,
    ramp: Duration,
    script: &Arc<Script>,
) -> Vec<Result<CallReport, String>> {
    let mut running = JoinSet::new();
    for n in 0..calls {
        let script = Arc::clone(script);
        let target = Target {
            entry: Entry::Webhook(format!("http://{addr}/twilio/voice")),
            connect: Some(addr.to_string()),
            auth_token: None,
        };
        let delay = ramp.mul_f64(n as f64 / calls as f64);
        running.spawn(async move {
            sleep(delay).await;
            let identity = CallIdentity::random(None);
            let called = phone::call(&target, script, identity, false, |_, _| {}).await;
            called.map_err(|error| error.to_string())
        });
    }
    running.join_all().await
}
