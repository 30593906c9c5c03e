//! Calling somebody to the phone, so that they come on a call.
//!
//! The engine places a second call, whose stream brings a join token and becomes a person's leg of the
//! first. Until it does, the agent keeps the caller company; if it never does, for whatever reason, the
//! agent is told, and who asked can see why.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{self, Duration},
};

use sidetone::{CallHandle, CallId};
use sidetone_core::{
    handoff::{CallState, HandoffState},
    person::{Mode, PersonId},
};
use tokio::{
    sync::{broadcast, oneshot, watch},
    time::{Instant, sleep, timeout},
};
use tracing::{info, warn};

use super::{
    guest::Guest,
    join::Grant,
    offer::{self, Offer, What},
    summary::Summary,
    transfer::Transfer,
};
use crate::{
    api::Api,
    routes::STATUS_PATH,
    twilio::{
        CallSid, CallStatus, Callback, Instructions, MachineDetection, NewCall, PhoneNumber,
        Report, TwilioClient, TwilioError,
    },
};

/// A token outlives the ringing by so much: the stream opens after somebody answers.
const CONNECT_GRACE: Duration = Duration::from_secs(15);

/// Who has answered may take so long to hear what it is about, and to decide, beside the ringing.
const DECISION: Duration = Duration::from_secs(60);

/// How long a call may take to note that somebody is to be called.
const NOTE_TIMEOUT: Duration = Duration::from_secs(2);

/// Why somebody does not come who answered.
const HUNG_UP: &str = "hung-up";

/// Why somebody does not come whom nobody waits for any more.
const OVER: &str = "the call is over";

/// Somebody who was called to the phone, for one call.
#[derive(Debug)]
pub(crate) struct Invite {
    /// Who they are, and what for.
    pub(crate) callee: Callee,
    progress: watch::Sender<Progress>,
}

/// Who is called to the phone, and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Callee {
    /// Their number.
    pub(crate) number: PhoneNumber,
    /// What they are called on the call; none of who is to take it away.
    pub(crate) name: Option<String>,
    /// What they are to do first.
    pub(crate) mode: Mode,
}

/// How far somebody is on their way onto a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// They are being called.
    Dialing,
    /// Their phone rings.
    Ringing,
    /// They are on the call.
    Joined {
        /// Their leg.
        person: PersonId,
    },
    /// They were on the call and left.
    Left,
    /// They take the call, which is on its way to them.
    Accepted,
    /// They do not come.
    Failed {
        /// Why: Twilio's word, [`HUNG_UP`], or a sentence.
        why: String,
    },
}

impl Progress {
    /// Whether they may still come.
    pub(crate) fn is_pending(&self) -> bool {
        matches!(self, Self::Dialing | Self::Ringing)
    }
}

impl Invite {
    pub(crate) fn new(callee: Callee) -> Self {
        Self {
            callee,
            progress: watch::Sender::new(Progress::Dialing),
        }
    }

    /// How far they are.
    pub(crate) fn progress(&self) -> Progress {
        self.progress.borrow().clone()
    }

    /// They came, left, or will not come. What is settled stays.
    pub(crate) fn settle(&self, progress: Progress) {
        self.progress.send_if_modified(|now| {
            let follows = now.is_pending()
                || matches!(
                    (&*now, &progress),
                    (Progress::Joined { .. }, Progress::Left)
                        | (Progress::Accepted, Progress::Failed { .. })
                );
            if follows {
                *now = progress;
            }
            follows
        });
    }

    /// They will not come, unless they have.
    pub(crate) fn call_off(&self, why: &str) {
        let why = why.to_owned();
        self.settle_if_pending(Progress::Failed { why });
    }

    /// They take the call; false: it is too late.
    pub(crate) fn accept(&self) -> bool {
        self.settle_if_pending(Progress::Accepted)
    }

    fn settle_if_pending(&self, progress: Progress) -> bool {
        self.progress.send_if_modified(|now| {
            let is_pending = now.is_pending();
            if is_pending {
                *now = progress;
            }
            is_pending
        })
    }

    /// Their phone rings.
    fn rings(&self) -> bool {
        self.progress.send_if_modified(|now| {
            let is_news = *now == Progress::Dialing;
            if is_news {
                *now = Progress::Ringing;
            }
            is_news
        })
    }
}

/// Who was called to the phone last, for each call that goes on.
#[derive(Debug, Default)]
pub(crate) struct Invites(Mutex<HashMap<CallId, Arc<Invite>>>);

impl Invites {
    /// Somebody is to be called for a call; none where somebody is being called already. `is_live` says
    /// which calls go on: of others nothing is kept.
    pub(crate) fn begin(
        &self,
        call: &CallId,
        callee: Callee,
        is_live: impl Fn(&CallId) -> bool,
    ) -> Option<Arc<Invite>> {
        let mut invites = self.invites();
        if invites
            .get(call)
            .is_some_and(|invite| invite.progress.borrow().is_pending())
        {
            return None;
        }
        invites.retain(|call, _| is_live(call));
        let invite = Arc::new(Invite::new(callee));
        invites.insert(call.clone(), Arc::clone(&invite));
        Some(invite)
    }

    /// Who was called to the phone last.
    pub(crate) fn latest(&self, call: &CallId) -> Option<Arc<Invite>> {
        self.invites().get(call).cloned()
    }

    /// A panic while the lock was held cannot leave the map half changed.
    fn invites(&self) -> MutexGuard<'_, HashMap<CallId, Arc<Invite>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whom to call, and for what.
#[derive(Debug)]
pub(crate) struct Order {
    /// The call to come on.
    pub(crate) call: CallHandle,
    /// Who comes.
    pub(crate) guest: Guest,
    /// The number that they see.
    pub(crate) from: PhoneNumber,
    /// How they are called.
    pub(crate) invite: Arc<Invite>,
    /// A machine that answers is hung up on.
    pub(crate) no_machines: bool,
    /// What for.
    pub(crate) purpose: Purpose,
}

/// What somebody is called for.
#[derive(Debug)]
pub(crate) enum Purpose {
    /// To come on the call.
    Leg {
        /// What they hear first, if anything.
        about: Option<Summary>,
    },
    /// To take the call, once they have heard what it is about.
    Transfer {
        /// The transfer's name.
        name: String,
        /// The transfer.
        transfer: Box<Transfer>,
        /// What they are told.
        about: Summary,
    },
}

impl Order {
    /// Whether it takes its time from the answer to the call: it is found out who answered, or they hear
    /// something first.
    fn takes_time(&self) -> bool {
        self.no_machines || !matches!(self.purpose, Purpose::Leg { about: None })
    }
}

/// Why nobody is waited for any more.
enum End {
    /// They are on the call, or take it.
    Came,
    /// They do not come.
    Failed {
        why: String,
        /// The second call still has to be ended.
        is_up: bool,
    },
    /// The call is over.
    CallOver,
}

/// Calls somebody to the phone, and sees to it that they come or the agent knows that they do not.
/// `placed` is told whether Twilio took the order.
pub(crate) async fn run(
    api: Arc<Api>,
    twilio: TwilioClient,
    order: Order,
    placed: oneshot::Sender<Result<CallSid, TwilioError>>,
) {
    // From before there is anything to report.
    let reports = api.reports.subscribe();
    let call = &order.call;
    let caller_waits = order.invite.callee.mode.is_heard_by_caller()
        && call.request_handoff(None).await.is_ok()
        && is_requested(call.state()).await;
    let end = match Offered::make(&api, &order) {
        None => End::Failed {
            why: "too many people are being called to the phone on this server".into(),
            is_up: false,
        },
        Some(offered) => {
            let end = place(
                &api,
                &twilio,
                &order,
                &offered.name,
                placed,
                caller_waits,
                reports,
            );
            let end = end.await;
            // Whoever answers from now on comes too late.
            offered.take_back(&api, &end);
            end
        }
    };
    match end {
        End::Came => {}
        End::CallOver => order.invite.call_off(OVER),
        End::Failed { why, .. } => {
            order.invite.settle(Progress::Failed { why });
            if caller_waits {
                // A call that is over by now needs no word.
                let _ = order.call.handoff_failed(None).await;
            }
        }
    }
}

/// Places the second call, and waits for what becomes of it.
async fn place(
    api: &Api,
    twilio: &TwilioClient,
    order: &Order,
    offer: &str,
    placed: oneshot::Sender<Result<CallSid, TwilioError>>,
    caller_waits: bool,
    reports: broadcast::Receiver<Report>,
) -> End {
    let second = match twilio.place_call(&new_call(api, order, offer)).await {
        Ok(call) => call.sid,
        Err(error) => {
            warn!(%error, "nobody can be called to the phone, as far as is known");
            let why = error.to_string();
            let _ = placed.send(Err(error));
            // It may have happened all the same, and they were quick.
            return match order.invite.progress() {
                Progress::Joined { .. } | Progress::Left => End::Came,
                _ => End::Failed { why, is_up: false },
            };
        }
    };
    info!(provider_call_id = %second, "somebody is called to the phone");
    // Who asked may be gone.
    let _ = placed.send(Ok(second.clone()));
    let mut end = wait(api, order, &second, caller_waits, reports).await;
    if let (End::Came, Purpose::Transfer { name, transfer, .. }) = (&end, &order.purpose) {
        let meet = transfer.to_meet(name, &api.public_url);
        if let Err(error) = twilio.redirect_call(&transfer.sid, &meet.into()).await
            && !may_have_left(&error, order.call.state().borrow().ended)
        {
            warn!(%error, "a call cannot be put through to who has accepted it");
            let why = match error.is_call_over() {
                true => OVER.to_owned(),
                false => error.to_string(),
            };
            end = End::Failed { why, is_up: true };
        }
    }
    let is_up = matches!(end, End::CallOver | End::Failed { is_up: true, .. });
    if is_up && let Err(error) = twilio.end_call(&second).await {
        warn!(%error, "a phone that nobody waits for may still ring");
    }
    end
}

/// Whether a call that Twilio was asked to put through may be where it should be, though the answer was
/// `error`: it has left the engine, and not because the caller hung up. Who has accepted it would wait for
/// nobody otherwise.
fn may_have_left(error: &TwilioError, has_ended: bool) -> bool {
    has_ended && error.may_have_happened()
}

/// What there is for somebody who answers.
struct Offered {
    /// The offer's name in URLs.
    name: String,
    offer: Arc<Offer>,
}

impl Offered {
    /// None where there are too many.
    fn make(api: &Api, order: &Order) -> Option<Self> {
        let what = match &order.purpose {
            Purpose::Leg { about } => {
                let grant = Grant {
                    call_id: order.call.id().clone(),
                    guest: order.guest.clone(),
                    mode: order.invite.callee.mode,
                    invite: Arc::clone(&order.invite),
                };
                let listening = if order.takes_time() {
                    DECISION
                } else {
                    Duration::ZERO
                };
                let lifetime = api.ring_timeout + CONNECT_GRACE + listening;
                let token = api
                    .join_tokens
                    .issue(grant, time::Instant::now(), lifetime)?;
                What::Leg {
                    token,
                    language: api.agent_of(order.call.id()).language,
                    about: about.clone(),
                }
            }
            Purpose::Transfer {
                name,
                transfer,
                about,
            } => What::Transfer {
                name: name.clone(),
                transfer: transfer.clone(),
                about: about.clone(),
            },
        };
        let offer = Arc::new(Offer {
            invite: Arc::clone(&order.invite),
            no_machines: order.no_machines,
            what,
        });
        let name = api.offers.add(Arc::clone(&offer));
        if name.is_none() {
            withdraw(api, &offer.what);
        }
        name.map(|name| Self { name, offer })
    }

    fn take_back(&self, api: &Api, end: &End) {
        api.offers.remove(&self.name);
        match (&self.offer.what, end) {
            // A transfer that was accepted goes on in Twilio's hands.
            (What::Transfer { .. }, End::Came) => {}
            (what, _) => withdraw(api, what),
        }
    }
}

/// Whoever shows up with what they were called for comes too late.
fn withdraw(api: &Api, what: &What) {
    match what {
        What::Leg { token, .. } => api.join_tokens.revoke(token),
        What::Transfer { name, .. } => drop(api.transfers.take(name)),
    }
}

fn new_call(api: &Api, order: &Order, offer: &str) -> NewCall {
    let seconds = u16::try_from(api.ring_timeout.as_secs()).unwrap_or(u16::MAX);
    let instructions = Instructions::Url(offer::url(&api.public_url, offer));
    let call = NewCall::new(
        order.invite.callee.number.clone(),
        order.from.clone(),
        instructions,
    )
    .ring_seconds(seconds.clamp(5, 600))
    .status(Callback::new(format!("{}{STATUS_PATH}", api.public_url)));
    if order.no_machines {
        call.machine_detection(MachineDetection::first())
    } else {
        call
    }
}

/// Whether the call waits for somebody now. Where somebody speaks with the caller already, it does not.
async fn is_requested(mut state: watch::Receiver<CallState>) -> bool {
    let noted = |state: &CallState| state.ended || state.handoff != HandoffState::Agent;
    let state = timeout(NOTE_TIMEOUT, state.wait_for(noted)).await;
    matches!(state, Ok(Ok(state)) if is_waiting(&state))
}

fn is_waiting(state: &CallState) -> bool {
    matches!(
        state.handoff,
        HandoffState::Requested | HandoffState::Ringing
    )
}

/// Waits until it is known whether they come.
async fn settled(progress: &mut watch::Receiver<Progress>) -> Option<Progress> {
    let settled = progress.wait_for(|now| !now.is_pending()).await;
    settled.ok().map(|settled| settled.clone())
}

/// Waits until they are on the call, or will not come.
async fn wait(
    api: &Api,
    order: &Order,
    sid: &CallSid,
    caller_waits: bool,
    mut reports: broadcast::Receiver<Report>,
) -> End {
    let invite = &order.invite;
    let mut progress = invite.progress.subscribe();
    let mut state = order.call.state();
    // Who is told what a call is about may think about it.
    let too_late = sleep(api.ring_timeout + CONNECT_GRACE + DECISION);
    tokio::pin!(too_late);
    let mut given_up = false;
    let failed = |why: &str, is_up| End::Failed {
        why: why.to_owned(),
        is_up,
    };
    loop {
        tokio::select! {
            biased;
            settled = settled(&mut progress) => {
                return match settled {
                    Some(Progress::Joined { .. } | Progress::Left | Progress::Accepted) => End::Came,
                    Some(Progress::Failed { why }) => failed(&why, true),
                    // The sender lives in the invite.
                    _ => failed("nobody is waited for", true),
                };
            }
            report = reports.recv() => match report {
                Ok(Report::Call(report)) if report.call_sid == *sid => {
                    if report.status == CallStatus::Ringing && invite.rings() && caller_waits {
                        // A call that is over says so below.
                        let _ = order.call.handoff_ringing().await;
                    }
                    if order.takes_time() && report.status == CallStatus::InProgress && caller_waits {
                        // The caller waits for them a while longer.
                        let _ = order.call.handoff_ringing().await;
                    }
                    if report.status.is_over() {
                        let why = match report.status {
                            CallStatus::Completed => HUNG_UP,
                            status => status.as_str(),
                        };
                        return failed(why, false);
                    }
                }
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => {
                    return failed("the server is going down", true);
                }
            },
            changed = state.changed() => {
                let (is_over, waits) = {
                    let state = state.borrow();
                    (state.ended || changed.is_err(), is_waiting(&state))
                };
                if is_over {
                    return End::CallOver;
                }
                // The call waits no longer: it took too long, or somebody else came. Perhaps it was they, and
                // their leg says so in a moment.
                if caller_waits && !waits && !given_up {
                    given_up = true;
                    too_late.as_mut().reset(Instant::now() + NOTE_TIMEOUT);
                }
            }
            () = &mut too_late => return failed(CallStatus::NoAnswer.as_str(), true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twilio::{Action, Refusal};

    fn callee(mode: Mode) -> Callee {
        Callee {
            number: "+12025550143".parse().unwrap(),
            name: None,
            mode,
        }
    }

    fn failed(why: &str) -> Progress {
        Progress::Failed { why: why.into() }
    }

    #[test]
    fn what_is_settled_stays() {
        let invite = Invite::new(callee(Mode::Takeover));
        assert!(invite.rings());
        assert!(!invite.rings());
        let joined = Progress::Joined {
            person: PersonId(1),
        };
        invite.settle(joined.clone());
        invite.settle(failed("busy"));
        assert_eq!(invite.progress(), joined);
        invite.settle(Progress::Left);
        assert_eq!(invite.progress(), Progress::Left);
        invite.settle(joined);
        assert_eq!(invite.progress(), Progress::Left);
        assert!(!invite.rings());
    }

    #[test]
    fn who_has_accepted_waits_for_no_caller_who_has_hung_up() {
        let refused = |status, code| TwilioError::Refused {
            action: Action::RedirectCall,
            refusal: Refusal {
                status,
                code,
                message: None,
                retry_after: None,
            },
        };
        let late = TwilioError::TimedOut {
            action: Action::RedirectCall,
            after: NOTE_TIMEOUT,
        };
        assert!(may_have_left(&late, true), "the call went where it should");
        assert!(!may_have_left(&late, false), "the agent still has it");
        let over = refused(400, Some(21_220));
        assert!(over.is_call_over() && !may_have_left(&over, true));
        assert!(may_have_left(&refused(502, None), true));
    }

    #[test]
    fn one_is_called_at_a_time() {
        let (invites, call) = (Invites::default(), CallId::random());
        let first = invites.begin(&call, callee(Mode::Barge), |_| true).unwrap();
        assert!(
            invites
                .begin(&call, callee(Mode::Barge), |_| true)
                .is_none()
        );
        assert!(
            invites
                .begin(&CallId::random(), callee(Mode::Barge), |_| true)
                .is_some()
        );
        first.settle(failed("busy"));
        assert_eq!(invites.latest(&call).unwrap().progress(), failed("busy"));
        assert!(
            invites
                .begin(&call, callee(Mode::Takeover), |_| true)
                .is_some()
        );
        assert_eq!(invites.latest(&call).unwrap().callee.mode, Mode::Takeover);
    }

    #[test]
    fn of_calls_that_are_over_nothing_is_kept() {
        let invites = Invites::default();
        let over = CallId::random();
        invites.begin(&over, callee(Mode::Barge), |_| true).unwrap();
        let live = CallId::random();
        invites
            .begin(&live, callee(Mode::Barge), |_| false)
            .unwrap();
        assert!(invites.latest(&over).is_none());
        assert!(invites.latest(&live).is_some());
    }
}
