//! Holds a call over a real socket: the only part of the phone that waits and asks the time.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

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

/// What holds the phone: told the time and what arrives, it says what to send. [`Handset`] is one.
pub trait Telephone {
    /// The stream begins, at [`CallTime::ZERO`], with the parameters of the TwiML.
    fn start(&mut self, parameters: &BTreeMap<String, String>, actions: &mut Actions);

    /// Takes a message of the engine.
    fn receive(&mut self, now: CallTime, text: &str, actions: &mut Actions);

    /// Takes a binary message of the engine: there are none in this protocol.
    fn receive_binary(&mut self, now: CallTime, actions: &mut Actions);

    /// Does what is due at `now`.
    fn advance(&mut self, now: CallTime, actions: &mut Actions);

    /// When [`advance`](Self::advance) is next needed.
    fn deadline(&self) -> CallTime;
}

/// What whoever watches a call is shown while it happens.
#[derive(Clone, Copy, Debug)]
pub enum Watched<'a> {
    /// Something that a person would notice.
    Sight(&'a Sight),
    /// A message that was sent or received.
    Message(Sender, &'a str),
}

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
    let mut handset = Handset::new(script, identity.clone(), keep);
    let mut messages = Vec::new();
    let (at, ending) = hold(
        target,
        &identity,
        &mut handset,
        |at, watched| match watched {
            Watched::Sight(sight) => watch(at, sight),
            Watched::Message(from, text) if keep => messages.push(StreamMessage {
                at,
                from,
                text: text.to_owned(),
            }),
            Watched::Message(..) => {}
        },
    )
    .await?;
    let mut report = handset.end(at, ending);
    report.messages = messages;
    Ok(report)
}

/// Calls `target` as `identity`, holds the call with `phone` until it is over, and says when and
/// how that was. `watch` must not block.
///
/// # Errors
///
/// The call did not come about.
pub async fn hold(
    target: &Target,
    identity: &CallIdentity,
    phone: &mut impl Telephone,
    mut watch: impl FnMut(CallTime, Watched<'_>),
) -> Result<(CallTime, Ending), DialError> {
    let (mut socket, parameters) = target.dial(identity).await?;
    let began = Instant::now();
    let now = || CallTime::ZERO + began.elapsed();
    let mut actions = Actions::default();
    phone.start(&parameters, &mut actions);
    let ending = loop {
        for (at, sight) in actions.sights.drain(..) {
            watch(at, Watched::Sight(&sight));
        }
        for text in &actions.send {
            watch(now(), Watched::Message(Sender::Twilio, text));
        }
        if !send(&mut socket, &mut actions.send).await {
            break Ending::Lost;
        }
        if actions.hang_up {
            break Ending::Caller;
        }
        let deadline = began + phone.deadline().since(CallTime::ZERO);
        tokio::select! {
            // The caller speaks on however much the server has to say.
            biased;
            () = sleep_until(deadline) => phone.advance(now(), &mut actions),
            received = socket.next() => match received {
                Some(Ok(Message::Text(text))) => {
                    phone.receive(now(), &text, &mut actions);
                    watch(now(), Watched::Message(Sender::Engine, &text));
                }
                Some(Ok(Message::Binary(_))) => phone.receive_binary(now(), &mut actions),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Close(_))) => break Ending::Agent,
                Some(Err(_)) | None => break Ending::Lost,
            },
        }
    };
    let at = now();
    if ending != Ending::Lost {
        hang_up(socket).await;
    }
    Ok((at, ending))
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
