//! The program's hold on a running call.

use std::sync::{Arc, Mutex, PoisonError, atomic::AtomicU64};

use sidetone_core::{
    config::AgentConfig,
    conversation::Message,
    dialect::Start,
    handoff::CallState,
    io::Command,
    person::{Join, Mode, PersonId},
};
use thiserror::Error;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::{
    events::{CallId, CallSummary, EventRecord, EventStream},
    people::{Control, TAPPED},
    person::{PersonError, PersonLeg},
    tap::AudioTap,
};

/// How many commands may wait for a call; then whoever commands waits.
pub(crate) const CONTROLS: usize = 16;

/// A running call. Clones are handles of the same call.
///
/// Dropping the handles does not end the call: a leg that hangs up, [`hang_up`](Self::hang_up)
/// and [`Engine::drain`](crate::Engine::drain) do.
#[derive(Clone, Debug)]
pub struct CallHandle {
    call_id: CallId,
    controls: mpsc::Sender<Control>,
    events: broadcast::WeakSender<Arc<EventRecord>>,
    state: watch::Receiver<CallState>,
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
        controls: mpsc::Sender<Control>,
        events: &broadcast::Sender<Arc<EventRecord>>,
        state: watch::Receiver<CallState>,
        summary: watch::Receiver<Option<CallSummary>>,
    ) -> Self {
        Self {
            call_id,
            controls,
            events: events.downgrade(),
            state,
            first: Arc::new(Mutex::new(Some(EventStream::from(events.subscribe())))),
            summary,
        }
    }

    /// A handle of the same call whose events begin with the next.
    pub(crate) fn later(&self) -> Self {
        Self {
            first: Arc::new(Mutex::new(None)),
            ..self.clone()
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
            Some(events) => EventStream::from(events.subscribe()),
            None => EventStream::from(broadcast::channel(1).1),
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

    /// The call at a glance, and whenever that changes.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<CallState> {
        self.state.clone()
    }

    /// Puts a person on the call. See [`Mode`](sidetone_core::person::Mode) for what they can do.
    ///
    /// # Errors
    ///
    /// [`PersonError::Refused`] with the reason, or [`PersonError::Over`].
    pub async fn join(&self, join: Join) -> Result<PersonLeg, PersonError> {
        let (answer, answered) = oneshot::channel();
        self.control(Control::Join { join, answer }).await?;
        Ok(answered.await.map_err(|_| CallOver)??)
    }

    /// Has a person who is on the call do something else; when this returns, it is so.
    ///
    /// # Errors
    ///
    /// [`PersonError::Refused`] with the reason: then nothing has changed. [`PersonError::Over`] if the
    /// call is over, or nobody with this leg is on it.
    pub async fn set_mode(&self, id: PersonId, mode: Mode) -> Result<(), PersonError> {
        let (answer, answered) = oneshot::channel();
        self.control(Control::Mode { id, mode, answer }).await?;
        Ok(answered.await.map_err(|_| CallOver)??)
    }

    /// Silences the agent, at once, until [`resume_agent`](Self::resume_agent). What it is told to
    /// [`say`](Self::say) it says all the same.
    ///
    /// # Errors
    ///
    /// [`CallOver`].
    pub async fn pause_agent(&self) -> Result<(), CallOver> {
        self.command(Command::PauseAgent).await
    }

    /// Lets the agent take part again.
    ///
    /// # Errors
    ///
    /// [`CallOver`].
    pub async fn resume_agent(&self) -> Result<(), CallOver> {
        self.command(Command::ResumeAgent).await
    }

    /// Gives the agent guidance that the caller does not hear; `from` is who gives it, as the agent
    /// is told.
    ///
    /// # Errors
    ///
    /// [`CallOver`].
    pub async fn guide(
        &self,
        from: impl Into<String>,
        text: impl Into<String>,
    ) -> Result<(), CallOver> {
        self.command(Command::Guide {
            from: from.into(),
            text: text.into(),
        })
        .await
    }

    /// Somebody is to be called to the phone: the agent tells the caller in the words of `say` or
    /// its own, and keeps them company until a person takes over or joins in.
    ///
    /// # Errors
    ///
    /// [`CallOver`].
    pub async fn request_handoff(&self, say: Option<String>) -> Result<(), CallOver> {
        self.command(Command::RequestHandoff { say }).await
    }

    /// Their phone rings. Said again, they have as long again to come.
    ///
    /// # Errors
    ///
    /// [`CallOver`].
    pub async fn handoff_ringing(&self) -> Result<(), CallOver> {
        self.command(Command::HandoffRinging).await
    }

    /// Nobody comes: the agent says so, in the words of `say` or its own, and goes on.
    ///
    /// # Errors
    ///
    /// [`CallOver`].
    pub async fn handoff_failed(&self, say: Option<String>) -> Result<(), CallOver> {
        self.command(Command::HandoffFailed { say }).await
    }

    /// Gives the call back to the agent; who spoke with the caller listens on. `person`: only if it
    /// was they.
    ///
    /// # Errors
    ///
    /// [`CallOver`].
    pub async fn hand_back(&self, person: Option<PersonId>) -> Result<(), CallOver> {
        self.command(Command::HandBack { person }).await
    }

    /// Takes a person off the call, whose leg is told so. If they had taken the call over, the agent has it
    /// again. Nothing happens if nobody with this leg is on the call.
    ///
    /// # Errors
    ///
    /// [`CallOver`].
    pub async fn remove_person(&self, person: PersonId) -> Result<(), CallOver> {
        self.command(Command::RemovePerson { person }).await
    }

    /// Plays the tones of keys to the caller: `0` to `9`, `*`, `#`, `A` to `D`, and `w` for half a
    /// second's pause. Others are left out, as is what goes beyond [`Command::MAX_DIGITS`].
    ///
    /// # Errors
    ///
    /// [`CallOver`].
    pub async fn send_digits(&self, digits: impl Into<String>) -> Result<(), CallOver> {
        let digits = digits.into();
        self.command(Command::SendDigits { digits }).await
    }

    /// Taps the call's audio from now on, for a recording: both sides, 20 ms at a time.
    ///
    /// # Errors
    ///
    /// [`CallOver`].
    pub async fn record(&self) -> Result<AudioTap, CallOver> {
        let (frames, tapped) = mpsc::channel(TAPPED);
        let missed = Arc::new(AtomicU64::new(0));
        let tap = AudioTap::new(tapped, Arc::clone(&missed));
        self.control(Control::Tap { frames, missed }).await?;
        Ok(tap)
    }

    async fn command(&self, command: Command) -> Result<(), CallOver> {
        self.control(Control::Command(command)).await
    }

    async fn control(&self, control: Control) -> Result<(), CallOver> {
        self.controls.send(control).await.map_err(|_| CallOver)
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
    pub(crate) call_id: Option<CallId>,
    pub(crate) agent: Option<AgentConfig>,
    pub(crate) conversation: Vec<Message>,
}

impl AcceptOptions {
    /// Nothing set: every stream may start.
    pub fn new() -> Self {
        Self::default()
    }

    /// The id that the call is to have, which must be [`CallId::random`]'s and no other call's. Default:
    /// a new one.
    pub fn call_id(mut self, call_id: CallId) -> Self {
        self.call_id = Some(call_id);
        self
    }

    /// Who the agent is in this call. Its language must be the engine's, and it detects languages only
    /// if the engine does. Default: as the engine was built.
    pub fn agent(mut self, agent: AgentConfig) -> Self {
        self.agent = Some(agent);
        self
    }

    /// What was said before, where the call goes on from another; after the agent's instructions. Default:
    /// nothing.
    pub fn conversation(mut self, conversation: Vec<Message>) -> Self {
        self.conversation = conversation;
        self
    }

    /// Asks `authorize` before the stream starts, for instance whether the token among its
    /// [`parameters`](Start::parameters) is the one the webhook handed out. On `false` the call
    /// ends as [`Refused`](sidetone_core::event::EndReason::Refused), and the leg hears nothing.
    pub fn authorize(mut self, authorize: impl FnOnce(&Start) -> bool + Send + 'static) -> Self {
        self.authorize = Some(Box::new(authorize));
        self
    }
}
