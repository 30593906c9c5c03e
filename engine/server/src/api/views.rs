//! Calls as the API shows them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sidetone::CallId;
use sidetone_core::{
    handoff::{CallState as Glance, Floor, HandoffState},
    person::{Mode, Person},
};
use utoipa::ToSchema;

use super::timestamp::Timestamp;
use crate::{
    people::invite::{Invite, Progress},
    placing::Placed,
    store::{self, CallRecord},
};

/// A call.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Call)]
pub(crate) struct CallView {
    /// Names the call, also in events and logs.
    #[schema(example = "call-0123456789ab")]
    pub(crate) id: String,
    /// Who called whom.
    pub(crate) direction: Direction,
    /// Whether it goes on.
    pub(crate) state: State,
    /// The number of who called; empty where it is not known.
    #[schema(example = "+12025550143")]
    pub(crate) from: String,
    /// The number that was called; empty where it is not known.
    #[schema(example = "+12025550199")]
    pub(crate) to: String,
    /// Twilio's id of the call.
    #[schema(example = "CA00000000000000000000000000000001")]
    pub(crate) provider_call_id: Option<String>,
    /// When it began, or was placed.
    pub(crate) started_at: Timestamp,
    /// When it ended, or was found to be lost.
    pub(crate) ended_at: Option<Timestamp>,
    /// Why it ended, as the event `call.ended` says; of a call that was never answered, Twilio's
    /// word (`busy`, `no-answer`, `failed` or `canceled`), `machine`, `server_stopped` or `unknown`.
    #[schema(example = "caller_hung_up")]
    pub(crate) end_reason: Option<String>,
    /// How long it was, in ms; none while it is live, or when it was lost.
    pub(crate) duration_ms: Option<u64>,
    /// Caller's turns with words.
    pub(crate) turns: u64,
    /// How often the caller interrupted the agent.
    pub(crate) interruptions: u64,
    /// How often a person took the call over.
    pub(crate) takeovers: u64,
    /// How quickly the agent answered.
    pub(crate) latency: Latency,
    /// What the program that placed or took the call noted about it.
    pub(crate) metadata: Map<String, Value>,
    /// Its audio, where it was recorded.
    pub(crate) recording: Option<Recording>,
    /// How it is right now, while it goes on in this server.
    pub(crate) live: Option<Live>,
}

/// Who called whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Direction)]
pub(crate) enum Direction {
    /// Somebody called the agent.
    Inbound,
    /// The agent called somebody.
    Outbound,
}

/// Whether a call goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = State)]
pub(crate) enum State {
    /// It was placed, and nobody has answered yet.
    Dialing,
    /// It goes on.
    Live,
    /// It ended.
    Ended,
    /// The server that held it is gone, and how it ended is not known.
    Lost,
}

/// How quickly the agent answered: from the end of the caller's speech to the first audio.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
#[schema(as = Latency)]
pub(crate) struct Latency {
    /// How many answers were measured.
    answers: u64,
    /// Half of them were as quick, in ms.
    p50_ms: Option<u64>,
    /// 95 % of them were as quick, in ms.
    p95_ms: Option<u64>,
    /// The slowest, in ms.
    max_ms: Option<u64>,
}

/// The audio of a call.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = Recording)]
pub(crate) struct Recording {
    /// `wav` or `opus`.
    #[schema(example = "wav")]
    format: &'static str,
    /// Whether it is encrypted where it is kept.
    encrypted: bool,
    /// How long the file is.
    bytes: u64,
}

/// A call right now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Live)]
pub(crate) struct Live {
    /// Whether the stream of its audio has started.
    started: bool,
    /// Who holds the floor.
    floor: FloorView,
    /// Who holds the call.
    handoff: HandoffView,
    /// Whether the agent was told to pause.
    paused: bool,
    /// Whether it is being recorded.
    recording: bool,
    /// Who is on it beside caller and agent, in the order they came.
    people: Vec<PersonView>,
    /// Who was called to the phone last, if anybody was.
    phone: Option<PhoneView>,
}

/// Somebody who was called to the phone.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Phone)]
pub(crate) struct PhoneView {
    /// Their number.
    #[schema(example = "+12025550143")]
    number: String,
    /// What they are called on the call; none of who is to take it away.
    #[schema(example = "Ann")]
    name: Option<String>,
    /// Whether they are to take the call away, by a warm transfer.
    transfer: bool,
    /// What they are to do first.
    mode: ModeView,
    /// How far they are.
    state: PhoneStep,
    /// Their leg, once they are on the call.
    person: Option<u32>,
    /// Why they do not come: `busy`, `no-answer`, `failed`, `canceled`, `hung-up` (they answered, and did not
    /// take the call), `machine` (one answered), or a sentence.
    #[schema(example = "no-answer")]
    why: Option<String>,
}

/// How far somebody who was called to the phone is.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PhoneState)]
pub(crate) enum PhoneStep {
    /// They are being called.
    Dialing,
    /// Their phone rings.
    Ringing,
    /// They are on the call.
    Joined,
    /// They were on the call and left.
    Left,
    /// They take the call, which is on its way to them.
    Accepted,
    /// They do not come.
    Failed,
}

/// Who holds the floor.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Floor)]
pub(crate) struct FloorView {
    /// Who.
    speaker: Speaker,
    /// The turn, of caller and agent.
    turn: Option<u32>,
    /// Which person.
    person: Option<u32>,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Speaker {
    /// Nobody.
    Nobody,
    /// The caller.
    Caller,
    /// The agent.
    Agent,
    /// A person who joined.
    Person,
}

/// Who holds the call.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Handoff)]
pub(crate) struct HandoffView {
    /// How far the call is on its way between the agent and people.
    state: HandoffStep,
    /// Who speaks with the caller.
    person: Option<u32>,
    /// How.
    mode: Option<ModeView>,
}

/// How far a call is on its way between the agent and people.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = HandoffState)]
pub(crate) enum HandoffStep {
    /// It is the agent's.
    Agent,
    /// Somebody is to be called to the phone.
    Requested,
    /// Their phone rings.
    Ringing,
    /// Somebody speaks with the caller.
    Bridged,
}

/// Somebody on a call.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Person)]
pub(crate) struct PersonView {
    /// Their leg.
    id: u32,
    /// What they are called.
    name: String,
    /// What they do.
    mode: ModeView,
    /// Who goes before whom: a takeover is taken over by a higher rank only.
    rank: u8,
}

/// What a person on a call does.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Mode)]
pub(crate) enum ModeView {
    /// Listens.
    Monitor,
    /// Coaches the agent.
    Whisper,
    /// Joins in.
    Barge,
    /// Speaks with the caller in place of the agent.
    Takeover,
}

impl CallView {
    /// A call that the store knows, and how it is now where the engine has it.
    pub(crate) fn new(call: CallRecord, live: Option<Live>) -> Self {
        Self {
            id: call.id.to_string(),
            direction: match call.direction {
                store::Direction::Inbound => Direction::Inbound,
                store::Direction::Outbound => Direction::Outbound,
            },
            state: match call.state {
                store::CallState::Live => State::Live,
                store::CallState::Ended => State::Ended,
                store::CallState::Lost => State::Lost,
            },
            from: call.from,
            to: call.to,
            provider_call_id: call.provider_call_id,
            started_at: call.started_at.into(),
            ended_at: call.ended_at.map(Timestamp::from),
            end_reason: call.end_reason,
            duration_ms: call.duration_ms,
            turns: call.turns,
            interruptions: call.interruptions,
            takeovers: call.takeovers,
            latency: Latency {
                answers: call.latency.answers,
                p50_ms: call.latency.p50_ms,
                p95_ms: call.latency.p95_ms,
                max_ms: call.latency.max_ms,
            },
            metadata: call.metadata,
            recording: call.recording.map(|recording| Recording {
                format: recording.format.as_str(),
                encrypted: recording.encrypted,
                bytes: recording.bytes,
            }),
            live,
        }
    }
}

impl CallView {
    /// A call that nobody has answered yet.
    pub(crate) fn dialing(id: &CallId, placed: &Placed) -> Self {
        Self {
            id: id.to_string(),
            direction: Direction::Outbound,
            state: State::Dialing,
            from: placed.from.clone(),
            to: placed.to.clone(),
            provider_call_id: placed.sid.as_ref().map(ToString::to_string),
            started_at: placed.placed_at.into(),
            ended_at: None,
            end_reason: None,
            duration_ms: None,
            turns: 0,
            interruptions: 0,
            takeovers: 0,
            latency: Latency::default(),
            metadata: placed.metadata.clone(),
            recording: None,
            live: None,
        }
    }
}

impl Live {
    /// A call right now, and who was called to the phone for it; none once it is over.
    pub(crate) fn new(glance: &Glance, invite: Option<&Invite>) -> Option<Self> {
        (!glance.ended).then(|| Self {
            started: glance.started,
            floor: glance.floor.into(),
            handoff: glance.handoff.into(),
            paused: glance.paused,
            recording: glance.recording,
            people: glance.people.iter().map(PersonView::from).collect(),
            phone: invite.map(PhoneView::from),
        })
    }
}

impl From<&Invite> for PhoneView {
    fn from(invite: &Invite) -> Self {
        let (state, person, why) = match invite.progress() {
            Progress::Dialing => (PhoneStep::Dialing, None, None),
            Progress::Ringing => (PhoneStep::Ringing, None, None),
            Progress::Joined { person } => (PhoneStep::Joined, Some(person.0), None),
            Progress::Left => (PhoneStep::Left, None, None),
            Progress::Accepted => (PhoneStep::Accepted, None, None),
            Progress::Failed { why } => (PhoneStep::Failed, None, Some(why)),
        };
        let callee = &invite.callee;
        Self {
            number: callee.number.as_str().to_owned(),
            name: callee.name.clone(),
            transfer: callee.name.is_none(),
            mode: callee.mode.into(),
            state,
            person,
            why,
        }
    }
}

impl From<Floor> for FloorView {
    fn from(floor: Floor) -> Self {
        let (speaker, turn, person) = match floor {
            Floor::Nobody => (Speaker::Nobody, None, None),
            Floor::Caller { turn } => (Speaker::Caller, Some(turn.0), None),
            Floor::Agent { turn } => (Speaker::Agent, Some(turn.0), None),
            Floor::Person { id } => (Speaker::Person, None, Some(id.0)),
        };
        Self {
            speaker,
            turn,
            person,
        }
    }
}

impl From<HandoffState> for HandoffView {
    fn from(handoff: HandoffState) -> Self {
        let at = |state| Self {
            state,
            person: None,
            mode: None,
        };
        match handoff {
            HandoffState::Agent => at(HandoffStep::Agent),
            HandoffState::Requested => at(HandoffStep::Requested),
            HandoffState::Ringing => at(HandoffStep::Ringing),
            HandoffState::Bridged { by, mode } => Self {
                state: HandoffStep::Bridged,
                person: Some(by.0),
                mode: Some(mode.into()),
            },
        }
    }
}

impl From<&Person> for PersonView {
    fn from(person: &Person) -> Self {
        Self {
            id: person.id.0,
            name: person.name.clone(),
            mode: person.mode.into(),
            rank: person.rank,
        }
    }
}

impl From<Mode> for ModeView {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Monitor => Self::Monitor,
            Mode::Whisper => Self::Whisper,
            Mode::Barge => Self::Barge,
            Mode::Takeover => Self::Takeover,
        }
    }
}

impl From<ModeView> for Mode {
    fn from(mode: ModeView) -> Self {
        match mode {
            ModeView::Monitor => Self::Monitor,
            ModeView::Whisper => Self::Whisper,
            ModeView::Barge => Self::Barge,
            ModeView::Takeover => Self::Takeover,
        }
    }
}
