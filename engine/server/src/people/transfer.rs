//! Giving a call away: to a number, a conference or a queue of Twilio's.
//!
//! Cold, the live call is redirected at once. Warm, the person is called first, hears what the call is about
//! and accepts by a key; only then do the two meet, in a conference of their own. Either way the engine's part
//! of the call is over when the caller is gone from it. Where nobody takes the call, Twilio asks what to do
//! with it, and it comes back to the agent, which knows what was said.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde_json::{Map, json};
use sidetone::CallId;
use sidetone_core::{
    config::AgentConfig,
    conversation::{Message, Role},
};
use tracing::{info, warn};

use super::{invite::Invite, words::words};
use crate::{
    admission::{Admission, Closed},
    api::Api,
    auth::secret::RandomSecret,
    placing::{Machines, Placed},
    routes::{ACCEPT_PATH, TRANSFER_PATH},
    store::{Line, Speaker, UnixMs},
    twilio::{CallSid, CallStatus, DialResult, Form, GatherResult, PhoneNumber},
    twiml::{Conference, Dial, Enqueue, Gather, Say, Twiml, locale},
};

/// A transfer of which nothing more was heard for so long is over: a queue may take its time.
const KEPT_FOR: Duration = Duration::from_secs(24 * 3_600);

/// At most so many transfers are remembered.
const MOST: usize = 10_000;

/// How long who is called may take to press the key, in seconds.
const KEY_SECONDS: u16 = 15;

/// So much of what was said is remembered for an agent that gets the call back, in lines.
const REMEMBERED_LINES: usize = 200;

/// Where a call shall go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// Somebody's phone.
    Number(PhoneNumber),
    /// A conference, by its name.
    Conference(String),
    /// A queue, by its name.
    Queue(String),
}

/// A call that is being given away.
#[derive(Clone)]
pub(crate) struct Transfer {
    /// The engine's call.
    pub(crate) call_id: CallId,
    /// Twilio's.
    pub(crate) sid: CallSid,
    /// Who called, and whom.
    pub(crate) from: String,
    pub(crate) to: String,
    /// The account's number in the call.
    pub(crate) ours: PhoneNumber,
    /// Who the agent was.
    pub(crate) agent: AgentConfig,
    /// What was said.
    pub(crate) lines: Vec<Line>,
    /// How long it may ring.
    pub(crate) ring_timeout: Duration,
    /// Who has been called first, where it is warm.
    pub(crate) invite: Option<Arc<Invite>>,
}

/// Without what was said, and by whom.
impl fmt::Debug for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transfer")
            .field("call_id", &self.call_id)
            .finish_non_exhaustive()
    }
}

/// The transfers of one server that are under way, by the secret in the URLs that Twilio asks.
#[derive(Debug, Default)]
pub(crate) struct Transfers(Mutex<HashMap<String, (Transfer, Instant)>>);

impl Transfers {
    /// Remembers a transfer: its name in URLs. None where there are too many.
    pub(crate) fn begin(&self, mut transfer: Transfer, now: Instant) -> Option<String> {
        let old = transfer.lines.len().saturating_sub(REMEMBERED_LINES);
        transfer.lines.drain(..old);
        let mut transfers = self.transfers();
        transfers.retain(|_, (_, begun)| now.saturating_duration_since(*begun) < KEPT_FOR);
        if transfers.len() >= MOST {
            return None;
        }
        let name = RandomSecret::new("").expose().to_owned();
        transfers.insert(name.clone(), (transfer, now));
        Some(name)
    }

    /// A transfer that is under way.
    pub(crate) fn get(&self, name: &str) -> Option<Transfer> {
        self.transfers()
            .get(name)
            .map(|(transfer, _)| transfer.clone())
    }

    /// A transfer that is over.
    pub(crate) fn take(&self, name: &str) -> Option<Transfer> {
        self.transfers().remove(name).map(|(transfer, _)| transfer)
    }

    /// A panic while the lock was held cannot leave the map half changed.
    fn transfers(&self) -> MutexGuard<'_, HashMap<String, (Transfer, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transfer {
    /// What the caller's call is to do, for a cold transfer.
    pub(crate) fn away(&self, name: &str, public_url: &str, to: &Destination) -> Twiml {
        let action = url(public_url, TRANSFER_PATH, name);
        match to {
            Destination::Number(number) => Twiml::new().dial(
                &Dial::number(number.clone())
                    .caller_id(self.ours.clone())
                    .ring_seconds(self.ring_seconds())
                    .action(action),
            ),
            Destination::Conference(conference) => {
                Twiml::new().dial(&Dial::conference(Conference::new(conference)).action(action))
            }
            Destination::Queue(queue) => Twiml::new().enqueue(&Enqueue::new(queue).action(action)),
        }
    }

    /// What the caller's call is to do once somebody has accepted it.
    pub(crate) fn to_meet(&self, name: &str, public_url: &str) -> Twiml {
        let action = url(public_url, TRANSFER_PATH, name);
        Twiml::new().dial(&Dial::conference(meeting(name)).action(action))
    }

    /// What who is called first hears: what it is about, and how to take it.
    pub(super) fn offer(&self, name: &str, public_url: &str, about: &str) -> Twiml {
        let language = &self.agent.language;
        let words = words(language);
        let say = |text: String| Say::new(text).language(locale(language));
        let gather = Gather::one_key(url(public_url, ACCEPT_PATH, name))
            .wait_seconds(KEY_SECONDS)
            .say(say(format!("{} {about}", words.offer)))
            .say(say(words.press.into()));
        Twiml::new().gather(&gather).hangup()
    }

    /// How long it may ring, as Twilio takes it.
    pub(crate) fn ring_seconds(&self) -> u16 {
        let seconds = u16::try_from(self.ring_timeout.as_secs()).unwrap_or(u16::MAX);
        seconds.clamp(5, 600)
    }
}

/// The conference in which caller and person meet, with nobody else.
fn meeting(name: &str) -> Conference {
    Conference::new(format!("sidetone-{name}"))
        .beep(false)
        .end_on_exit(true)
}

fn url(public_url: &str, path: &str, name: &str) -> String {
    format!("{public_url}{path}?transfer={name}")
}

/// Who was called first has pressed a key, or another: what their call is to do.
pub(crate) fn pressed(api: &Api, name: &str, form: &Form) -> Twiml {
    let accepted = GatherResult::read(form).is_ok_and(|result| result.digits == "1");
    let transfer = api.transfers.get(name).filter(|_| accepted);
    match transfer.and_then(|transfer| transfer.invite) {
        Some(invite) if invite.accept() => Twiml::new().dial(&Dial::conference(meeting(name))),
        // They do not want it, or it is too late.
        _ => Twiml::new().hangup(),
    }
}

/// The caller's part of a transfer is over: what becomes of the call.
pub(crate) enum After {
    /// It is over.
    HangUp,
    /// It is the agent's again: the engine's new call, and what opens its stream.
    Back {
        /// The call that it was.
        former: CallId,
        call_id: CallId,
        token: String,
    },
    /// It would be, but there is no room.
    Busy,
}

/// Twilio asks what to do with a call that went away.
pub(crate) fn came_back(api: &Api, admission: &Admission, name: &str, form: &Form) -> After {
    let Some(transfer) = api.transfers.take(name) else {
        return After::HangUp;
    };
    let why = why_it_failed(form);
    info!(call = %transfer.call_id, why = why.as_deref().unwrap_or("taken"), "a transfer is over");
    let Some(why) = why else {
        return After::HangUp;
    };
    let token = match admission.issue(Instant::now()) {
        Ok(token) => token,
        Err(closed @ (Closed::Busy | Closed::Draining)) => {
            warn!(
                ?closed,
                "a call that nobody took cannot come back to the agent"
            );
            return After::Busy;
        }
    };
    let call_id = CallId::random();
    let mut agent = transfer.agent;
    agent.greeting = words(&agent.language).back.into();
    let detail = Map::from_iter([
        ("continues".to_owned(), json!(transfer.call_id.as_str())),
        ("transfer".to_owned(), json!(why)),
    ]);
    api.placing.add(
        call_id.clone(),
        Placed {
            to: transfer.to,
            from: transfer.from,
            agent,
            conversation: remembered(&transfer.lines, &why),
            machines: Machines::Ignore,
            metadata: detail,
            token: token.clone(),
            sid: Some(transfer.sid),
            placed_at: UnixMs::now(),
            placed: Instant::now(),
        },
    );
    After::Back {
        former: transfer.call_id,
        call_id,
        token,
    }
}

/// Twilio's word for why nobody has the call; none where somebody had it, or the caller is gone.
fn why_it_failed(form: &Form) -> Option<String> {
    if let Ok(dialled) = DialResult::read(form) {
        let has_failed = dialled.status.is_over() && !dialled.was_connected();
        let why = match dialled.status {
            CallStatus::Completed => "not-accepted",
            status => status.as_str(),
        };
        return (has_failed && !dialled.call_status.is_over()).then(|| why.to_owned());
    }
    if CallStatus::read(form.get("CallStatus").unwrap_or_default()).is_over() {
        return None;
    }
    match form.get("QueueResult") {
        Some(failed @ ("error" | "system-error" | "queue-full")) => Some(failed.to_owned()),
        _ => None,
    }
}

/// What was said, for an agent that gets the call back.
fn remembered(lines: &[Line], why: &str) -> Vec<Message> {
    let mut conversation: Vec<Message> = lines
        .iter()
        .map(|line| match (line.speaker, &line.name) {
            (Speaker::Agent, _) => Message::new(Role::Agent, line.text.clone()),
            (Speaker::Person, Some(name)) => {
                Message::named(Role::Person, name.clone(), line.text.clone())
            }
            (Speaker::Person, None) => Message::new(Role::Person, line.text.clone()),
            _ => Message::new(Role::Caller, line.text.clone()),
        })
        .collect();
    conversation.push(Message::new(
        Role::Note,
        format!(
            "The caller was being put through to somebody, who did not take the call ({why}): it is yours \
             again."
        ),
    ));
    conversation
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(fields: &[(&str, &str)]) -> Form {
        let call = ("CallSid", "CA00000000000000000000000000000002");
        let fields = std::iter::once(&call).chain(fields);
        let fields: Vec<_> = fields
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        fields.into()
    }

    #[test]
    fn a_transfer_has_failed_only_where_nobody_took_it_and_the_caller_is_there() {
        for (fields, why) in [
            (
                &[
                    ("CallStatus", "in-progress"),
                    ("DialCallStatus", "no-answer"),
                ][..],
                Some("no-answer"),
            ),
            (
                &[("CallStatus", "in-progress"), ("DialCallStatus", "busy")],
                Some("busy"),
            ),
            (
                &[
                    ("CallStatus", "in-progress"),
                    ("DialCallStatus", "completed"),
                ],
                None,
            ),
            (
                &[
                    ("CallStatus", "in-progress"),
                    ("DialCallStatus", "answered"),
                ],
                None,
            ),
            (
                &[
                    ("CallStatus", "in-progress"),
                    ("DialCallStatus", "completed"),
                    ("DialBridged", "false"),
                ],
                Some("not-accepted"),
            ),
            (
                &[("CallStatus", "completed"), ("DialCallStatus", "no-answer")],
                None,
            ),
            (
                &[("CallStatus", "completed"), ("QueueResult", "queue-full")],
                None,
            ),
            (
                &[("CallStatus", "in-progress"), ("QueueResult", "queue-full")],
                Some("queue-full"),
            ),
            (
                &[("CallStatus", "in-progress"), ("QueueResult", "bridged")],
                None,
            ),
            (&[], None),
        ] {
            assert_eq!(why_it_failed(&form(fields)).as_deref(), why, "{fields:?}");
        }
    }

    #[test]
    fn of_a_long_call_the_end_is_remembered() {
        let lines = (0..1_000).map(|n| Line::example(Speaker::Caller, &n.to_string()));
        let transfer = Transfer {
            call_id: CallId::random(),
            sid: "CA00000000000000000000000000000002".parse().unwrap(),
            from: String::new(),
            to: String::new(),
            ours: "+12025550199".parse().unwrap(),
            agent: AgentConfig::default(),
            lines: lines.collect(),
            ring_timeout: Duration::from_secs(30),
            invite: None,
        };
        let transfers = Transfers::default();
        let name = transfers.begin(transfer, Instant::now()).unwrap();
        let lines = transfers.take(&name).unwrap().lines;
        assert_eq!(lines.len(), REMEMBERED_LINES);
        assert_eq!(lines.last().unwrap().text, "999");
        assert!(transfers.take(&name).is_none());
    }

    #[test]
    fn an_agent_that_gets_the_call_back_knows_what_was_said() {
        let lines = [
            Line::example(Speaker::Caller, "Hello"),
            Line::example(Speaker::Agent, "Hi"),
        ];
        let remembered = remembered(&lines, "busy");
        let roles: Vec<_> = remembered.iter().map(|message| message.role).collect();
        assert_eq!(roles, [Role::Caller, Role::Agent, Role::Note]);
        assert!(remembered[2].text.contains("busy"));
    }
}
