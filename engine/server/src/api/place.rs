//! Placing calls.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json as JsonBody,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use sidetone::CallId;
use tracing::{info, warn};
use utoipa::ToSchema;

use super::{
    Api,
    extract::{Json, Validate},
    idempotency::{HEADER as IDEMPOTENCY_KEY, Turn},
    problem::{FieldError, Kind, Problem, ProblemBody},
    views::CallView,
};
use crate::{
    admission::Closed,
    audit::Action,
    auth::principal::{Operator, Principal},
    placing::{Machines, PATIENCE, Placed, RING_SECONDS},
    routes::{STATUS_PATH, VOICE_PATH},
    store::UnixMs,
    twilio::{Callback, Instructions, MachineDetection, NewCall, PhoneNumber, TwilioError},
};

/// The longest instructions, in characters.
const MAX_INSTRUCTIONS: usize = 20_000;
/// The longest greeting, in characters.
const MAX_GREETING: usize = 1_000;
/// How much may be noted: so many names, of so many characters, with so many each.
const MAX_METADATA: usize = 32;
const MAX_METADATA_NAME: usize = 64;
const MAX_METADATA_TEXT: usize = 1_000;

/// A call to place.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlaceCall {
    /// The number to call, with its country code.
    #[schema(value_type = String, pattern = r"^\+[1-9][0-9]{6,14}$", example = "+12025550143")]
    to: PhoneNumber,
    /// The number to call from: one of the account's, or verified with it.
    #[schema(value_type = String, pattern = r"^\+[1-9][0-9]{6,14}$", example = "+12025550199")]
    from: PhoneNumber,
    /// What the language model is told about its task in this call, in place of `agent.instructions`.
    #[schema(
        max_length = 20000,
        example = "Remind them of the appointment on Monday at nine."
    )]
    instructions: Option<String>,
    /// What the agent says first in this call, in place of `agent.greeting`. Empty: the other side
    /// speaks first.
    #[schema(max_length = 1000, example = "Good morning, this is the dentist's.")]
    greeting: Option<String>,
    /// What to note about the call: at most 32 names of 64 characters, with texts of 1000.
    #[serde(default)]
    #[schema(example = json!({"customer": "4711"}))]
    metadata: BTreeMap<String, String>,
    /// What to do when a machine answers.
    #[serde(default)]
    machine_detection: MachineChoice,
}

/// What to do when a machine answers. Finding it out takes some seconds, and costs extra at Twilio.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MachineDetection)]
enum MachineChoice {
    /// It is not found out.
    #[default]
    Off,
    /// Who answered is noted in the call's metadata, as `answered_by`.
    Note,
    /// The call is ended.
    HangUp,
}

impl Validate for PlaceCall {
    fn validate(&self, errors: &mut Vec<FieldError>) {
        for (field, text, max) in [
            ("instructions", &self.instructions, MAX_INSTRUCTIONS),
            ("greeting", &self.greeting, MAX_GREETING),
        ] {
            if text.as_ref().is_some_and(|text| text.chars().count() > max) {
                let detail = format!("must be at most {max} characters");
                errors.push(FieldError::new(field, detail));
            }
        }
        if self.metadata.len() > MAX_METADATA {
            let detail = format!("must have at most {MAX_METADATA} names");
            errors.push(FieldError::new("metadata", detail));
        }
        for (name, text) in &self.metadata {
            if !(1..=MAX_METADATA_NAME).contains(&name.chars().count()) {
                let detail = format!("must have names of 1 to {MAX_METADATA_NAME} characters");
                errors.push(FieldError::new("metadata", detail));
            }
            if text.chars().count() > MAX_METADATA_TEXT {
                let detail = format!("must be at most {MAX_METADATA_TEXT} characters");
                errors.push(FieldError::new(format!("metadata.{name}"), detail));
            }
        }
    }
}

/// What is answered to whoever places a call, and again to whoever asks again.
#[derive(Clone, Debug)]
pub(crate) enum PlaceAnswer {
    /// It was placed.
    Placed(CallId),
    /// It may have been.
    Unclear(Problem),
}

/// Places a call. It is `dialing` until somebody answers, and its id stays the same.
///
/// Needs the role `operator`. With an `Idempotency-Key` it can safely be sent again: the call is placed
/// once, and the answer is the same, for a day or until the server restarts.
#[utoipa::path(
    post,
    path = "/api/calls",
    tag = "calls",
    operation_id = "placeCall",
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255,
        description = "Names this request: 1 to 255 characters.")),
    request_body = PlaceCall,
    responses(
        (status = 201, description = "It is being placed.", body = CallView,
            headers(("Location" = String, description = "The call."))),
        (status = 409, description = "The idempotency key was used for another request, or the first with it is still being carried out.",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 502, description = "Twilio refused; `detail` has its words.",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "Twilio did not answer in time: the call may have been placed, and `Location` tells.",
            body = ProblemBody, content_type = "application/problem+json",
            headers(("Location" = String, description = "The call that may have been placed."))),
    )
)]
pub(super) async fn place(
    Operator(who): Operator,
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Json(body): Json<PlaceCall>,
) -> Result<Response, Problem> {
    let request = serde_json::to_vec(&body).expect("texts are JSON");
    let turn = match headers.get(IDEMPOTENCY_KEY) {
        Some(key) => {
            let hash = Sha256::digest(&request).into();
            api.idempotency
                .begin(&who.token_id, key.as_bytes(), hash, Instant::now())?
        }
        None => api.idempotency.without(),
    };
    let claim = match turn {
        Turn::Again(answer) => return respond(&api, answer).await,
        Turn::First(claim) => claim,
    };
    let answer = call(&api, &who, body).await?;
    claim.answer(answer.clone());
    respond(&api, answer).await
}

async fn respond(api: &Api, answer: PlaceAnswer) -> Result<Response, Problem> {
    let id = match answer {
        PlaceAnswer::Placed(id) => id,
        PlaceAnswer::Unclear(problem) => return Err(problem),
    };
    let view = super::calls::look(api, id.as_str()).await?;
    let location = [(header::LOCATION, location(&id))];
    Ok((StatusCode::CREATED, location, JsonBody(view)).into_response())
}

fn location(id: &CallId) -> HeaderValue {
    HeaderValue::try_from(format!("/api/calls/{id}")).expect("an id is visible ASCII")
}

/// Places a call, unless it is certain that it was not.
async fn call(api: &Api, who: &Principal, body: PlaceCall) -> Result<PlaceAnswer, Problem> {
    let twilio = api
        .twilio
        .as_ref()
        .map_err(|why| Problem::new(Kind::Unavailable, why.clone()))?;
    if api.public_url.is_empty() {
        return Err(Problem::new(
            Kind::Unavailable,
            "Calls cannot be placed: set `server.public_url` to the address under which Twilio reaches \
             this server.",
        ));
    }
    let now = Instant::now();
    let token = api.admission.issue_for(PATIENCE, now).map_err(|closed| {
        let (why, wait) = match closed {
            Closed::Busy => ("All lines are busy: `server.max_calls`.", 10),
            Closed::Draining => ("The server is going down.", 30),
        };
        Problem::new(Kind::Unavailable, why).retry_after(Duration::from_secs(wait))
    })?;

    let id = CallId::random();
    let url = |path: &str| format!("{}{path}?call={id}", api.public_url);
    let status = Callback::new(url(STATUS_PATH));
    let instructions = Instructions::Url(url(VOICE_PATH));
    let mut order = NewCall::new(body.to.clone(), body.from.clone(), instructions)
        .ring_seconds(RING_SECONDS)
        .status(status);
    let machines = match body.machine_detection {
        MachineChoice::Off => Machines::Ignore,
        MachineChoice::Note => Machines::Note,
        MachineChoice::HangUp => Machines::HangUp,
    };
    if machines != Machines::Ignore {
        order = order.machine_detection(MachineDetection::first());
    }
    let mut agent = api.engine.agent().clone();
    agent.instructions = body.instructions.unwrap_or(agent.instructions);
    agent.greeting = body.greeting.unwrap_or(agent.greeting);
    let metadata = body.metadata.into_iter();
    // Twilio may ask what to do with the call before it says that it placed it.
    api.placing.add(
        id.clone(),
        Placed {
            to: body.to.into(),
            from: body.from.into(),
            agent,
            conversation: Vec::new(),
            machines,
            metadata: metadata.map(|(k, v)| (k, Value::String(v))).collect(),
            token: token.clone(),
            sid: None,
            placed_at: UnixMs::now(),
            placed: now,
        },
    );
    api.audit
        .note(&who.token_id, Action::CallPlace, Some(id.as_str()));
    match twilio.place_call(&order).await {
        Ok(placed) => {
            info!(call = %id, provider_call_id = %placed.sid, "placed a call");
            api.placing.is_called(&id, placed.sid);
            Ok(PlaceAnswer::Placed(id))
        }
        Err(error) => {
            warn!(call = %id, %error, "a call cannot be placed");
            let problem = provider_problem(&error);
            if error.may_have_happened() {
                return Ok(PlaceAnswer::Unclear(
                    problem.header(header::LOCATION, location(&id)),
                ));
            }
            api.placing.take(&id);
            api.admission.revoke(&token);
            Err(problem)
        }
    }
}

/// What is said when Twilio does not do what it should.
pub(super) fn provider_problem(error: &TwilioError) -> Problem {
    let mut detail = format!("{error}.");
    if let Some(first) = detail.get(..1) {
        detail.replace_range(..1, &first.to_uppercase());
    }
    let advice = match error {
        TwilioError::NotConfigured { .. } | TwilioError::Invalid { .. } => "",
        TwilioError::Refused { refusal, .. } => match refusal.status {
            401 | 403 => " Check `twilio.account_sid` and `twilio.auth_token`, or the API key.",
            429 => " Twilio limits how fast calls are placed: try again later.",
            500.. => " Twilio fails: see https://status.twilio.com.",
            _ => " See https://www.twilio.com/docs/api/errors for the code.",
        },
        TwilioError::Unreachable { .. } | TwilioError::Client(_) => {
            " Check the server's network, `twilio.base_url`, `twilio.region` and `twilio.edge`."
        }
        _ => " It may have happened all the same: look before you ask again.",
    };
    detail.push_str(advice);
    let kind = match error {
        TwilioError::Invalid { .. } => Kind::BadRequest,
        TwilioError::TimedOut { .. } => Kind::TimedOut,
        TwilioError::Refused { refusal, .. } if refusal.status == 429 => Kind::Unavailable,
        TwilioError::Refused { .. }
        | TwilioError::Interrupted { .. }
        | TwilioError::Malformed { .. } => Kind::Refused,
        _ => Kind::Unavailable,
    };
    let problem = Problem::new(kind, detail);
    match error.retry_after() {
        Some(wait) => problem.retry_after(wait),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twilio;

    #[test]
    fn what_twilio_does_decides_the_status() {
        let action = twilio::Action::PlaceCall;
        let error = TwilioError::TimedOut {
            action,
            after: Duration::from_secs(10),
        };
        assert_eq!(provider_problem(&error).kind(), Kind::TimedOut);
        let error = TwilioError::NotConfigured {
            key: "twilio.account_sid",
            expected: "must be set",
        };
        assert_eq!(provider_problem(&error).kind(), Kind::Unavailable);
        let error = TwilioError::Malformed {
            action,
            problem: "no sid".into(),
        };
        assert_eq!(provider_problem(&error).kind(), Kind::Refused);
    }
}
