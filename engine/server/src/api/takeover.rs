//! Giving a call to a person, and back.

use std::sync::Arc;

use axum::{
    Json as JsonBody,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use sidetone::{CallHandle, CallId, PersonError};
use sidetone_core::person::{Join, Mode, PersonId, Refusal};
use tokio::sync::oneshot;
use utoipa::{IntoParams, ToSchema};

use super::{
    Api, call_ended, calls,
    extract::{CallPath, Fields, FromQuery, Json, Query, Validate},
    people::{is_on, no_such_person},
    place::provider_problem,
    problem::{FieldError, Kind, Problem, ProblemBody},
    views::ModeView,
};
use crate::{
    audit::Action,
    auth::principal::{Operator, Principal},
    people::{
        guest::{Guest, why_not},
        invite::{self, Callee, Order, Purpose},
        summary::{self, Summary},
    },
    store::Direction,
    twilio::{CallSid, CallStatus, PhoneNumber, TwilioClient},
};

/// Who takes a call over: somebody who is on it, or somebody who is called to the phone.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(example = json!({"phone": "+12025550143"}))]
pub(super) struct TakeOver {
    /// The leg of a person who is on the call: `live.people[].id`. This or `phone`.
    #[schema(example = 1)]
    person: Option<u32>,
    /// The number of somebody to call, with its country code. This or `person`.
    #[schema(value_type = Option<String>, pattern = r"^\+[1-9][0-9]{6,14}$", example = "+12025550143")]
    phone: Option<PhoneNumber>,
    /// What who is called does first; `takeover` unless it is set.
    mode: Option<ModeView>,
    /// What who is called is called on the call; the token's name unless it is set.
    #[schema(min_length = 1, max_length = 100, pattern = r"\S", example = "Ann")]
    name: Option<String>,
    /// The number that who is called sees; the account's number in this call unless it is set.
    #[schema(value_type = Option<String>, pattern = r"^\+[1-9][0-9]{6,14}$", example = "+12025550199")]
    from: Option<PhoneNumber>,
    /// Whether who is called first hears what the call is about, in a few words of the language model's, or what
    /// was said last.
    #[schema(default = false)]
    brief: bool,
    /// What to do when a machine answers their phone.
    machine_detection: MachineCheck,
}

/// What to do when a machine answers somebody's phone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PhoneMachineDetection)]
pub(super) enum MachineCheck {
    /// It is not found out: a machine is as good as a person.
    #[default]
    Off,
    /// It gets nothing, and nobody comes. Finding it out takes some seconds in which a person hears nothing, and
    /// costs extra at Twilio.
    HangUp,
}

impl Validate for TakeOver {
    fn validate(&self, errors: &mut Vec<FieldError>) {
        if self.person.is_some() == self.phone.is_some() {
            errors.push(FieldError::new(
                "person",
                "or `phone` must be there, and not both",
            ));
        }
        if self.phone.is_none() {
            for (field, is_there) in [
                ("mode", self.mode.is_some()),
                ("name", self.name.is_some()),
                ("from", self.from.is_some()),
                ("brief", self.brief),
                (
                    "machine_detection",
                    self.machine_detection != MachineCheck::Off,
                ),
            ] {
                if is_there {
                    errors.push(FieldError::new(field, "is for `phone` only"));
                }
            }
        }
        if let Some(name) = &self.name
            && (name.trim().is_empty() || name.len() > Join::MAX_NAME)
        {
            let detail = format!("must be 1 to {} bytes", Join::MAX_NAME);
            errors.push(FieldError::new("name", detail));
        }
    }
}

/// Who has taken a call over.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TakenOver {
    /// Their leg.
    person: u32,
    /// What they do now.
    mode: ModeView,
}

/// Who is called to the phone; `live.phone` of `GET /api/calls/{id}` says how far they are.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PhoneCalled {
    /// What they will do first.
    mode: ModeView,
    /// Twilio's id of the second call.
    #[schema(example = "CA00000000000000000000000000000002")]
    provider_call_id: String,
}

/// Has a person speak with the caller in place of the agent, which is silent.
///
/// With `person` somebody who is on the call already, at once. With `phone` somebody is called: the agent
/// tells the caller and keeps them company until that person answers and is on the call; if they do not, the
/// agent goes on and says so. `mode` has who is called do something else than take over.
#[utoipa::path(
    post,
    path = "/api/calls/{id}/takeover",
    tag = "control",
    operation_id = "takeOver",
    params(("id" = String, Path, description = "The call's id.", example = "call-0123456789ab")),
    request_body = TakeOver,
    responses(
        (status = 200, description = "They have it.", body = TakenOver),
        (status = 202, description = "Their phone is being called.", body = PhoneCalled),
        (status = 404, description = "There is no such call, or no such person on it.",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "The call is over, somebody whose rank is not lower has it, or somebody is being called to the phone already.",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 502, description = "Twilio refused; `detail` has its words.",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "Twilio did not answer in time. Who answers a call that was placed all the same is hung up on.",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn take_over(
    Operator(who): Operator,
    State(api): State<Arc<Api>>,
    CallPath(id): CallPath,
    Json(body): Json<TakeOver>,
) -> Result<Response, Problem> {
    let call = api.running(&id).await?;
    match body.phone.clone() {
        Some(phone) => by_phone(&api, who, call, phone, body).await,
        None => by_person(&api, &who, &call, PersonId(body.person.unwrap_or_default())).await,
    }
}

async fn by_person(
    api: &Api,
    who: &Principal,
    call: &CallHandle,
    person: PersonId,
) -> Result<Response, Problem> {
    if !is_on(call, person) {
        return Err(no_such_person());
    }
    api.audit.note(
        &who.token_id,
        Action::CallTakeOver,
        Some(call.id().as_str()),
    );
    match call.set_mode(person, Mode::Takeover).await {
        Ok(()) => Ok(JsonBody(TakenOver {
            person: person.0,
            mode: Mode::Takeover.into(),
        })
        .into_response()),
        Err(PersonError::Refused(refusal)) => Err(refused(call, refusal)),
        // They left in the moment in which they were asked for, or the call ended.
        Err(PersonError::Over(_)) if api.engine.call(call.id()).is_some() => Err(no_such_person()),
        Err(PersonError::Over(_)) => Err(call_ended()),
    }
}

async fn by_phone(
    api: &Arc<Api>,
    who: Principal,
    call: CallHandle,
    to: PhoneNumber,
    body: TakeOver,
) -> Result<Response, Problem> {
    let twilio = api.phones_can_be_called()?.clone();
    let from = api.number_shown(&call, body.from).await?;
    let mode = body.mode.map_or(Mode::Takeover, Mode::from);
    let is_live = |id: &_| api.engine.call(id).is_some();
    let about = match body.brief {
        true => Some(api.sum_up(call.id()).await?),
        false => None,
    };
    let guest = Guest::new(who.clone()).called(body.name.as_deref());
    let callee = Callee {
        number: to,
        name: Some(guest.name.clone()),
        mode,
    };
    let invite = api
        .invites
        .begin(call.id(), callee, is_live)
        .ok_or_else(called_already)?;
    let detail = Map::from_iter([("mode".to_owned(), json!(mode))]);
    let call_id = Some(call.id().as_str());
    api.audit
        .note_with(&who.token_id, Action::CallInvite, call_id, detail);
    let order = Order {
        guest,
        call,
        from,
        invite,
        no_machines: body.machine_detection == MachineCheck::HangUp,
        purpose: Purpose::Leg { about },
    };
    let sid = call_phone(api, twilio, order).await?;
    let called = PhoneCalled {
        mode: mode.into(),
        provider_call_id: sid.to_string(),
    };
    Ok((StatusCode::ACCEPTED, JsonBody(called)).into_response())
}

/// Calls somebody to the phone; what becomes of it is seen to behind this request's back.
pub(super) async fn call_phone(
    api: &Arc<Api>,
    twilio: TwilioClient,
    order: Order,
) -> Result<CallSid, Problem> {
    let (placed, answered) = oneshot::channel();
    // Whatever becomes of this request, the call is not left waiting.
    tokio::spawn(invite::run(Arc::clone(api), twilio, order, placed));
    match answered.await {
        Ok(Ok(sid)) => Ok(sid),
        Ok(Err(error)) => Err(provider_problem(&error)),
        Err(_) => Err(Problem::new(
            Kind::Unavailable,
            "Too many people are being called to the phone on this server.",
        )),
    }
}

/// Somebody is called at a time.
pub(super) fn called_already() -> Problem {
    Problem::new(
        Kind::Conflict,
        "Somebody is being called to the phone already; `DELETE /api/calls/{id}/takeover?phone=true` ends that.",
    )
}

impl Api {
    /// What calls phones, where that is configured.
    pub(super) fn phones_can_be_called(&self) -> Result<&TwilioClient, Problem> {
        let twilio = self
            .twilio
            .as_ref()
            .map_err(|why| Problem::new(Kind::Unavailable, why.clone()))?;
        if self.public_url.is_empty() {
            return Err(Problem::new(
                Kind::Unavailable,
                "No phone can be called: set `server.public_url` to the address under which Twilio \
                 reaches this server.",
            ));
        }
        Ok(twilio)
    }

    /// Begins to sum up what was said in a call.
    async fn sum_up(&self, id: &CallId) -> Result<Summary, Problem> {
        self.catch_up().await;
        let lines = self.store.transcript(id.as_str(), 0).await?;
        let language = self.agent_of(id).language;
        Ok(summary::begin(&self.engine, lines, &language))
    }

    /// The number that somebody who is called sees: the one that was asked for, or the account's in this
    /// call.
    pub(super) async fn number_shown(
        &self,
        call: &CallHandle,
        wanted: Option<PhoneNumber>,
    ) -> Result<PhoneNumber, Problem> {
        if let Some(wanted) = wanted {
            return Ok(wanted);
        }
        let record = calls::find(self, call.id().as_str()).await?;
        let ours = match record.direction {
            Direction::Inbound => record.to,
            Direction::Outbound => record.from,
        };
        ours.parse().map_err(|_| {
            Problem::field(
                "from",
                "is required: the call came to no phone number that could be shown",
            )
        })
    }
}

fn refused(call: &CallHandle, refusal: Refusal) -> Problem {
    let why = why_not(call, refusal);
    Problem::new(Kind::Conflict, format!("The call refuses: {why}."))
}

/// What shall end.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct HandBackQuery {
    /// With `true` only who is being called to the phone is not called any more: who speaks with the caller
    /// goes on.
    phone: Option<bool>,
}

impl FromQuery for HandBackQuery {
    fn read(fields: &mut Fields) -> Self {
        Self {
            phone: fields.parsed("phone", "must be true or false", |text| text.parse().ok()),
        }
    }
}

/// Gives the call back to the agent, which knows what was said; who spoke with the caller listens on. Who is
/// being called to the phone is not called any more.
#[utoipa::path(
    delete,
    path = "/api/calls/{id}/takeover",
    tag = "control",
    operation_id = "handBack",
    params(("id" = String, Path, description = "The call's id.", example = "call-0123456789ab"), HandBackQuery),
    responses((status = 202, description = "The agent is getting the call back, or nobody is called to the phone any more."))
)]
pub(super) async fn hand_back(
    Operator(who): Operator,
    State(api): State<Arc<Api>>,
    CallPath(id): CallPath,
    Query(query): Query<HandBackQuery>,
) -> Result<StatusCode, Problem> {
    let call = api.act(&who, Action::CallHandBack, &id).await?;
    let invite = api.invites.latest(call.id());
    if query.phone == Some(true) {
        if let Some(invite) = invite {
            invite.call_off(CallStatus::Canceled.as_str());
        }
        return Ok(StatusCode::ACCEPTED);
    }
    if let Some(invite) = invite {
        invite.call_off("the call was given back to the agent");
    }
    call.hand_back(None).await?;
    Ok(StatusCode::ACCEPTED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(body: serde_json::Value) -> Vec<String> {
        let body: TakeOver = serde_json::from_value(body).unwrap();
        let mut errors = Vec::new();
        body.validate(&mut errors);
        errors.into_iter().map(|error| error.field).collect()
    }

    #[test]
    fn it_is_a_person_or_a_phone() {
        assert_eq!(wrong(json!({"person": 1})), [""; 0]);
        assert_eq!(
            wrong(json!({"phone": "+12025550143", "mode": "barge"})),
            [""; 0]
        );
        assert_eq!(wrong(json!({})), ["person"]);
        assert_eq!(
            wrong(json!({"person": 1, "phone": "+12025550143"})),
            ["person"]
        );
        assert_eq!(wrong(json!({"person": 1, "mode": "barge"})), ["mode"]);
        let extras = json!({"person": 1, "brief": true, "machine_detection": "hang_up"});
        assert_eq!(wrong(extras), ["brief", "machine_detection"]);
        assert_eq!(
            wrong(json!({"phone": "+12025550143", "name": " "})),
            ["name"]
        );
    }
}
