//! Giving calls away.

use std::{sync::Arc, time::Instant};

use axum::{Json as JsonBody, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use sidetone::CallHandle;
use sidetone_core::person::Mode;
use utoipa::ToSchema;

use super::{
    Api, calls,
    extract::{CallPath, Json, Validate},
    place::provider_problem,
    problem::{FieldError, Kind, Problem, ProblemBody},
    takeover::{MachineCheck, call_phone, called_already},
};
use crate::{
    audit::Action,
    auth::principal::{Operator, Principal},
    people::{
        guest::Guest,
        invite::{Callee, Order, Purpose},
        summary,
        transfer::{Destination, Transfer},
    },
    twilio::{CallSid, PhoneNumber, TwilioClient},
};

/// The longest names of a conference and a queue, in characters.
const MAX_CONFERENCE: usize = 100;
const MAX_QUEUE: usize = 64;
/// The longest summary, in characters.
const MAX_SUMMARY: usize = 1_000;

/// Where a call shall go, and how.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Transfer)]
pub(super) struct TransferBody {
    /// Where to.
    to: To,
    /// Whether somebody accepts the call first.
    #[serde(default)]
    mode: Manner,
    /// What a warm transfer's person is told the call is about, 1 to 1000 characters. Unless it is set, the
    /// language model sums the call up; where it cannot in time, what was said last is told.
    #[schema(
        min_length = 1,
        max_length = 1000,
        pattern = r"\S",
        example = "A refund of twelve dollars."
    )]
    summary: Option<String>,
    /// The number that who is called sees; the account's number in this call unless it is set.
    #[schema(value_type = Option<String>, pattern = r"^\+[1-9][0-9]{6,14}$", example = "+12025550199")]
    from: Option<PhoneNumber>,
    /// What to do when a machine answers a warm transfer's phone. It would not press the key in any case, and so
    /// does not even hear what the call is about.
    #[serde(default)]
    machine_detection: MachineCheck,
}

/// Where a call shall go: one of these.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = TransferTo, example = json!({"number": "+12025550143"}))]
struct To {
    /// Somebody's number, with its country code.
    #[schema(value_type = Option<String>, pattern = r"^\+[1-9][0-9]{6,14}$", example = "+12025550143")]
    number: Option<PhoneNumber>,
    /// A conference of Twilio's, by its name.
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = r"^[A-Za-z0-9][A-Za-z0-9 _.-]{0,99}$"
    )]
    conference: Option<String>,
    /// A queue of Twilio's, by its name.
    #[schema(
        min_length = 1,
        max_length = 64,
        pattern = r"^[A-Za-z0-9][A-Za-z0-9 _.-]{0,63}$"
    )]
    queue: Option<String>,
}

/// Whether somebody accepts a call before it goes to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = TransferMode)]
enum Manner {
    /// It goes at once.
    #[default]
    Cold,
    /// Who is called hears what it is about, and presses 1 to take it. Only to a number.
    Warm,
}

impl Validate for TransferBody {
    fn validate(&self, errors: &mut Vec<FieldError>) {
        let To {
            number,
            conference,
            queue,
        } = &self.to;
        let given = usize::from(number.is_some())
            + usize::from(conference.is_some())
            + usize::from(queue.is_some());
        if given != 1 {
            errors.push(FieldError::new(
                "to",
                "must have one of `number`, `conference` and `queue`",
            ));
        }
        for (field, name, longest) in [
            ("to.conference", conference, MAX_CONFERENCE),
            ("to.queue", queue, MAX_QUEUE),
        ] {
            if name.as_ref().is_some_and(|name| !is_name(name, longest)) {
                let detail = format!(
                    "must be 1 to {longest} of A to Z, a to z, 0 to 9, blank, _, . and -, the first one a letter \
                     or digit"
                );
                errors.push(FieldError::new(field, detail));
            }
        }
        if self.mode == Manner::Warm && number.is_none() {
            errors.push(FieldError::new(
                "mode",
                "can be warm only to a number: nobody in a conference or queue could accept the call",
            ));
        }
        if self.mode == Manner::Cold && self.machine_detection != MachineCheck::Off {
            errors.push(FieldError::new(
                "machine_detection",
                "is for a warm transfer only",
            ));
        }
        if let Some(summary) = &self.summary {
            if summary.trim().is_empty() || summary.chars().count() > MAX_SUMMARY {
                let detail = format!("must be 1 to {MAX_SUMMARY} characters");
                errors.push(FieldError::new("summary", detail));
            } else if self.mode == Manner::Cold {
                errors.push(FieldError::new("summary", "is for a warm transfer only"));
            }
        }
    }
}

fn is_name(name: &str, longest: usize) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b" _.-".contains(&byte);
    (1..=longest).contains(&name.len())
        && name.bytes().all(is_plain)
        && name.as_bytes()[0].is_ascii_alphanumeric()
}

/// A transfer that is under way.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Transferring {
    /// Whether somebody accepts the call first.
    mode: Manner,
    /// Twilio's id of the call to that person.
    #[schema(example = "CA00000000000000000000000000000002")]
    provider_call_id: Option<String>,
}

/// Gives the call to a number, a conference or a queue; it ends here when the caller is there.
///
/// Cold, at once. If nobody takes it, the caller comes back to the agent, which says so: as a call of its own,
/// whose metadata name this one (`continues`) and Twilio's word for why (`transfer`). Warm, the person is called
/// first, while the agent keeps the caller company; they hear what the call is about, press 1, and the two are
/// connected. If they do not answer or do not want it, the agent goes on with the caller and says so, and
/// `live.phone` of `GET /api/calls/{id}` has the reason.
#[utoipa::path(
    post,
    path = "/api/calls/{id}/transfer",
    tag = "control",
    operation_id = "transferCall",
    params(("id" = String, Path, description = "The call's id.", example = "call-0123456789ab")),
    request_body = TransferBody,
    responses(
        (status = 202, description = "It is under way.", body = Transferring),
        (status = 409, description = "The call is over, is no call of Twilio's, or somebody is being called to the phone already.",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 502, description = "Twilio refused; `detail` has its words.",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "Twilio did not answer in time: a cold transfer may have happened all the same.",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn transfer(
    Operator(who): Operator,
    State(api): State<Arc<Api>>,
    CallPath(id): CallPath,
    Json(body): Json<TransferBody>,
) -> Result<(StatusCode, JsonBody<Transferring>), Problem> {
    let call = api.running(&id).await?;
    let twilio = api.phones_can_be_called()?.clone();
    let transfer = about(&api, &call, body.from).await?;
    let detail = Map::from_iter([("mode".to_owned(), json!(body.mode))]);
    let note = || {
        api.audit.note_with(
            &who.token_id,
            Action::CallTransfer,
            Some(&id),
            detail.clone(),
        );
    };
    let provider_call_id = match (body.to, body.mode) {
        (
            To {
                number: Some(number),
                ..
            },
            Manner::Warm,
        ) => {
            note();
            let sid = warm(
                &api,
                twilio,
                who.clone(),
                call,
                transfer,
                number,
                Introduction {
                    summary: body.summary,
                    machine_detection: body.machine_detection,
                },
            )
            .await?;
            Some(sid.to_string())
        }
        (to, _) => {
            note();
            cold(&api, twilio, transfer, to.into()).await?;
            None
        }
    };
    let transferring = Transferring {
        mode: body.mode,
        provider_call_id,
    };
    Ok((StatusCode::ACCEPTED, JsonBody(transferring)))
}

impl From<To> for Destination {
    fn from(to: To) -> Self {
        match to {
            To {
                number: Some(number),
                ..
            } => Self::Number(number),
            To {
                conference: Some(name),
                ..
            } => Self::Conference(name),
            To { queue, .. } => Self::Queue(queue.unwrap_or_default()),
        }
    }
}

/// What a transfer has to know about its call.
async fn about(
    api: &Api,
    call: &CallHandle,
    from: Option<PhoneNumber>,
) -> Result<Transfer, Problem> {
    let ours = api.number_shown(call, from).await?;
    // What was just said belongs to it.
    api.catch_up().await;
    let id = call.id().as_str();
    let record = calls::find(api, id).await?;
    let sid = record.provider_call_id.as_deref().unwrap_or_default();
    let sid = sid.parse().map_err(|_| {
        Problem::new(
            Kind::Conflict,
            "The call is no call of Twilio's: there is nobody to give it away.",
        )
    })?;
    Ok(Transfer {
        call_id: call.id().clone(),
        sid,
        from: record.from,
        to: record.to,
        ours,
        agent: api.agent_of(call.id()),
        lines: api.store.transcript(id, 0).await?,
        ring_timeout: api.ring_timeout,
        invite: None,
    })
}

async fn cold(
    api: &Arc<Api>,
    twilio: TwilioClient,
    transfer: Transfer,
    to: Destination,
) -> Result<(), Problem> {
    let sid = transfer.sid.clone();
    let begun = api.transfers.begin(transfer.clone(), Instant::now());
    let name = begun.ok_or_else(too_many)?;
    let away = transfer.away(&name, &api.public_url, &to);
    let api = Arc::clone(api);
    // What was begun is seen to even if whoever asked goes.
    let redirecting = tokio::spawn(async move {
        let redirected = twilio.redirect_call(&sid, &away.into()).await;
        redirected.map(drop).map_err(|error| {
            if !error.may_have_happened() {
                api.transfers.take(&name);
            }
            provider_problem(&error)
        })
    });
    match redirecting.await {
        Ok(redirected) => redirected,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

/// How somebody gets to know of a call.
struct Introduction {
    summary: Option<String>,
    machine_detection: MachineCheck,
}

async fn warm(
    api: &Arc<Api>,
    twilio: TwilioClient,
    who: Principal,
    call: CallHandle,
    mut transfer: Transfer,
    to: PhoneNumber,
    Introduction {
        summary,
        machine_detection,
    }: Introduction,
) -> Result<CallSid, Problem> {
    let is_live = |id: &_| api.engine.call(id).is_some();
    let callee = Callee {
        number: to,
        name: None,
        mode: Mode::Takeover,
    };
    let invite = api.invites.begin(call.id(), callee, is_live);
    let invite = invite.ok_or_else(called_already)?;
    transfer.invite = Some(Arc::clone(&invite));
    let Some(name) = api.transfers.begin(transfer.clone(), Instant::now()) else {
        invite.call_off("too many transfers are under way on this server");
        return Err(too_many());
    };
    let about = match summary {
        Some(summary) => summary::given(summary),
        None => summary::begin(
            &api.engine,
            transfer.lines.clone(),
            &transfer.agent.language,
        ),
    };
    let order = Order {
        guest: Guest::new(who),
        call,
        from: transfer.ours.clone(),
        invite,
        no_machines: machine_detection == MachineCheck::HangUp,
        purpose: Purpose::Transfer {
            name,
            transfer: Box::new(transfer),
            about,
        },
    };
    call_phone(api, twilio, order).await
}

fn too_many() -> Problem {
    Problem::new(
        Kind::Unavailable,
        "Too many transfers are under way on this server.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(body: serde_json::Value) -> Vec<String> {
        let body: TransferBody = serde_json::from_value(body).unwrap();
        let mut errors = Vec::new();
        body.validate(&mut errors);
        errors.into_iter().map(|error| error.field).collect()
    }

    #[test]
    fn a_call_goes_to_one_place_in_a_way_that_it_can() {
        let number = json!({"number": "+12025550143"});
        assert_eq!(wrong(json!({"to": number})), [""; 0]);
        assert_eq!(
            wrong(json!({"to": number, "mode": "warm", "summary": "A refund"})),
            [""; 0]
        );
        assert_eq!(wrong(json!({"to": {"queue": "support"}})), [""; 0]);
        assert_eq!(wrong(json!({"to": {}})), ["to"]);
        assert_eq!(
            wrong(json!({"to": {"queue": "a", "conference": "b"}})),
            ["to"]
        );
        assert_eq!(wrong(json!({"to": {"queue": "<Dial>"}})), ["to.queue"]);
        let long = "a".repeat(65);
        assert_eq!(wrong(json!({"to": {"queue": long}})), ["to.queue"]);
        assert_eq!(wrong(json!({"to": {"conference": long}})), [""; 0]);
        assert_eq!(
            wrong(json!({"to": {"conference": "a"}, "mode": "warm"})),
            ["mode"]
        );
        assert_eq!(
            wrong(json!({"to": number, "summary": "A refund"})),
            ["summary"]
        );
        assert_eq!(
            wrong(json!({"to": number, "machine_detection": "hang_up"})),
            ["machine_detection"]
        );
        assert_eq!(
            wrong(json!({"to": number, "mode": "warm", "summary": " "})),
            ["summary"]
        );
    }
}
