//! Holds a call over a real socket: the only part of the phone that waits and asks the time.

use std::{sync::Arc, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use sidetone_core::time::CallTime;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::{
    dial::{DialError, Socket, Target},
    handset::{Actions, Handset, Sight},
    message::CallIdentity,
    report::{CallReport, Ending, Sender, StreamMessage},
    script::Script,
};

/// A server that takes nothing for this long has lost the call.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait for the server's half of the goodbye.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Calls `target`, plays `script` and says what was measured. `watch` is told what happens while
/// it happens; it must not block. `keep`: the report holds the sound of the call and its messages.
/// Any number of calls may run in one process.
///
/// # Errors
///
/// The call did not come about. Whatever happens after that is in the report.
pub async fn call(
    target: &Target,
    script: Arc<Script>,
    identity: CallIdentity,
    keep: bool,
    mut watch: impl FnMut(CallTime, &Sight),
) -> Result<CallReport, DialError> {
    let (mut socket, parameters) = target.dial(&identity).await?;
    let began = Instant::now();
    let now = || CallTime::ZERO + began.elapsed();
    let mut handset = Handset::new(script, identity, keep);
    let mut messages = Vec::new();
    let mut actions = Actions::default();
    handset.start(&parameters, &mut actions);
    let ending = loop {
        for (at, sight) in actions.sights.drain(..) {
            watch(at, &sight);
        }
        if keep {
            let sent = actions.send.iter().cloned();
            messages.extend(sent.map(|text| message(now(), Sender::Twilio, text)));
        }
        if !send(&mut socket, &mut actions.send).await {
            break Ending::Lost;
        }
        if actions.hang_up {
            break Ending::Caller;
        }
        let deadline = began + handset.deadline().since(CallTime::ZERO);
        tokio::select! {
            // The caller speaks on however much the server has to say.
            biased;
            () = sleep_until(deadline) => handset.advance(now(), &mut actions),
            received = socket.next() => match received {
                Some(Ok(Message::Text(text))) => {
                    handset.receive(now(), &text, &mut actions);
                    if keep {
                        messages.push(message(now(), Sender::Engine, text.to_string()));
                    }
                }
                Some(Ok(Message::Binary(_))) => handset.receive_binary(now(), &mut actions),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Close(_))) => break Ending::Agent,
                Some(Err(_)) | None => break Ending::Lost,
            },
        }
    };
    let mut report = handset.end(now(), ending);
    report.messages = messages;
    if ending != Ending::Lost {
        hang_up(socket).await;
    }
    Ok(report)
}

fn message(at: CallTime, from: Sender, text: String) -> StreamMessage {
    StreamMessage { at, from, text }
}

/// Sends everything; false if the server does not take it.
async fn send(socket: &mut Socket, messages: &mut Vec<String>) -> bool {
    if messages.is_empty() {
        return true;
    }
    let sending = async {
        for message in messages.drain(..) {
            socket.feed(Message::text(message)).await?;
        }
        socket.flush().await
    };
    matches!(timeout(SEND_TIMEOUT, sending).await, Ok(Ok(())))
}

/// Closes the socket and waits, not for long, until the server has too.
async fn hang_up(mut socket: Socket) {
    let goodbye = async {
        // An error means that the socket is closed already, which is what is wanted.
        let _ = socket.close(None).await;
        while let Some(Ok(_)) = socket.next().await {}
    };
    let _ = timeout(CLOSE_TIMEOUT, goodbye).await;
}
