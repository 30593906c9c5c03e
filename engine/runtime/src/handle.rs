//! The program's hold on a running call.

use std::sync::{Arc, Mutex, PoisonError};

use sidetone_core::{dialect::Start, io::Command};
use thiserror::Error;
use tokio::sync::{broadcast, mpsc, watch};

use crate::events::{CallId, CallSummary, EventRecord, EventStream};

/// How many commands may wait for a call; then whoever commands waits.
pub(crate) const COMMANDS: usize = 16;

/// A running call. Clones are handles of the same call.
///
/// Dropping the handles does not end the call: a leg that hangs up, [`hang_up`](Self::hang_up)
/// and [`Engine::drain`](crate::Engine::drain) do.
#[derive(Clone, Debug)]
pub struct CallHandle {
    call_id: CallId,
    commands: mpsc::Sender<Command>,
    events: broadcast::WeakSender<Arc<EventRecord>>,
    /// Has seen everything since the call began.
    first: Arc<Mutex<Option<EventStream>>>,
    summary: watch::Receiver<Option<CallSummary>>,
}

/// The call is over and takes no more commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the call is over")]
pub struct CallOver;

impl CallHandle {
    pub(crate) fn new(
        call_id: CallId,
        commands: mpsc::Sender<Command>,
        events: &broadcast::Sender<Arc<EventRecord>>,
        summary: watch::Receiver<Option<CallSummary>>,
    ) -> Self {
        Self {
            call_id,
            commands,
            events: events.downgrade(),
            first: Arc::new(Mutex::new(Some(EventStream::new(events.subscribe())))),
            summary,
        }
    }

    /// The call's id in events and logs.
    #[must_use]
    pub fn id(&self) -> &CallId {
        &self.call_id
    }

    /// Subscribes to this call's events. The first subscription begins with the call's first
    /// event, every other with the next.
    #[must_use]
    pub fn events(&self) -> EventStream {
        let first = self
            .first
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        first.unwrap_or_else(|| match self.events.upgrade() {
            Some(events) => EventStream::new(events.subscribe()),
            None => EventStream::new(broadcast::channel(1).1),
        })
    }

    /// Has the agent say `text` as soon as the caller does not hold the floor.
    ///
    /// # Errors
    ///
    /// [`CallOver`].
    pub async fn say(&self, text: impl Into<String>) -> Result<(), CallOver> {
        self.command(Command::Say {
            text: text.into(),
            interruptible: true,
        })
        .await
    }

    /// Has the agent say `text` as soon as the caller does not hold the floor, and to its end: what
    /// the caller says meanwhile is answered afterwards.
    ///
    /// # Errors
    ///
    /// [`CallOver`].
    pub async fn say_uninterrupted(&self, text: impl Into<String>) -> Result<(), CallOver> {
        self.command(Command::Say {
            text: text.into(),
            interruptible: false,
        })
        .await
    }

    /// Ends the call: with a farewell once the caller has heard it, without one at once.
    ///
    /// # Errors
    ///
    /// [`CallOver`].
    pub async fn hang_up(&self, farewell: Option<String>) -> Result<(), CallOver> {
        self.command(Command::HangUp { farewell }).await
    }

    async fn command(&self, command: Command) -> Result<(), CallOver> {
        self.commands.send(command).await.map_err(|_| CallOver)
    }

    /// Waits for the end of the call, its socket included.
    pub async fn ended(&self) -> CallSummary {
        let mut summary = self.summary.clone();
        let ended = summary.wait_for(Option::is_some).await;
        ended
            .ok()
            .and_then(|summary| summary.clone())
            .expect("a call leaves its summary however it ends")
    }
}

/// Who may start a stream.
pub(crate) type Authorize = Box<dyn FnOnce(&Start) -> bool + Send>;

/// What may be set about one call.
#[derive(Default)]
#[must_use]
pub struct AcceptOptions {
    pub(crate) authorize: Option<Authorize>,
}

impl AcceptOptions {
    /// Nothing set: every stream may start.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks `authorize` before the stream starts, for instance whether the token among its
    /// [`parameters`](Start::parameters) is the one the webhook handed out. On `false` the call
    /// ends as [`Refused`](sidetone_core::event::EndReason::Refused), and the leg hears nothing.
    pub fn authorize(mut self, authorize: impl FnOnce(&Start) -> bool + Send + 'static) -> Self {
        self.authorize = Some(Box::new(authorize));
        self
    }
}
