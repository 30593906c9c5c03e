//! Acting in a live call.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use serde::Deserialize;
use sidetone::CallHandle;
use sidetone_core::io::Command;
use utoipa::ToSchema;

use super::{
    Api,
    extract::{CallPath, Json, OptionalJson, Validate},
    problem::{FieldError, Kind, Problem, ProblemBody},
};
use crate::{
    audit::Action,
    auth::principal::{Operator, Principal},
};

/// The longest text that the agent is given to say, or to heed, in characters.
const MAX_TEXT: usize = 2_000;

/// Adds what is wrong with a text that must be there.
fn check_text(field: &str, text: &str, errors: &mut Vec<FieldError>) {
    let chars = text.chars().count();
    if text.trim().is_empty() || chars > MAX_TEXT {
        let detail = format!("must be 1 to {MAX_TEXT} characters");
        errors.push(FieldError::new(field, detail));
    }
}

impl Api {
    /// The call to act in, once it is noted who does what.
    pub(super) async fn act(
        &self,
        who: &Principal,
        action: Action,
        id: &str,
    ) -> Result<CallHandle, Problem> {
        let call = self.running(id).await?;
        self.audit.note(&who.token_id, action, Some(id));
        Ok(call)
    }
}

/// Silences the agent at once. What it is told to say it says all the same; the caller is kept company
/// (`handoff.company_ms`), and after `handoff.pause_limit_ms` with nobody to speak to the agent
/// takes part again.
#[utoipa::path(
    post,
    path = "/api/calls/{id}/pause-ai",
    tag = "control",
    operation_id = "pauseAgent",
    params(("id" = String, Path, description = "The call's id.", example = "call-0123456789ab")),
    responses((status = 202, description = "The agent is being silenced."))
)]
pub(super) async fn pause(
    Operator(who): Operator,
    State(api): State<Arc<Api>>,
    CallPath(id): CallPath,
) -> Result<StatusCode, Problem> {
    let call = api.act(&who, Action::AgentPause, &id).await?;
    call.pause_agent().await?;
    Ok(StatusCode::ACCEPTED)
}

/// Lets the agent take part again.
#[utoipa::path(
    delete,
    path = "/api/calls/{id}/pause-ai",
    tag = "control",
    operation_id = "resumeAgent",
    params(("id" = String, Path, description = "The call's id.", example = "call-0123456789ab")),
    responses((status = 202, description = "The agent will take part again."))
)]
pub(super) async fn resume(
    Operator(who): Operator,
    State(api): State<Arc<Api>>,
    CallPath(id): CallPath,
) -> Result<StatusCode, Problem> {
    let call = api.act(&who, Action::AgentResume, &id).await?;
    call.resume_agent().await?;
    Ok(StatusCode::ACCEPTED)
}

/// What the agent shall say.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Say {
    /// The words, 1 to 2000 characters.
    #[schema(
        min_length = 1,
        max_length = 2000,
        pattern = r"\S",
        example = "Your table is booked."
    )]
    text: String,
    /// Whether the caller can interrupt it.
    #[serde(default = "yes")]
    #[schema(default = true)]
    interruptible: bool,
}

fn yes() -> bool {
    true
}

impl Validate for Say {
    fn validate(&self, errors: &mut Vec<FieldError>) {
        check_text("text", &self.text, errors);
    }
}

/// Has the agent say something as soon as the caller does not hold the floor.
#[utoipa::path(
    post,
    path = "/api/calls/{id}/say",
    tag = "control",
    operation_id = "say",
    params(("id" = String, Path, description = "The call's id.", example = "call-0123456789ab")),
    request_body = Say,
    responses(
        (status = 202, description = "The agent will say it."),
        (status = 409, description = "The call is over, or too much waits to be said.", body = ProblemBody,
            content_type = "application/problem+json")
    )
)]
pub(super) async fn say(
    Operator(who): Operator,
    State(api): State<Arc<Api>>,
    CallPath(id): CallPath,
    Json(body): Json<Say>,
) -> Result<StatusCode, Problem> {
    let call = api.act(&who, Action::AgentSay, &id).await?;
    let unsaid = call.state().borrow().unsaid;
    if unsaid >= Command::MAX_UNSAID {
        return Err(too_much_unsaid(unsaid));
    }
    if body.interruptible {
        call.say(body.text).await?;
    } else {
        call.say_uninterrupted(body.text).await?;
    }
    Ok(StatusCode::ACCEPTED)
}

/// What the agent was told to say waits, since somebody else speaks or has taken the call over.
fn too_much_unsaid(unsaid: u32) -> Problem {
    Problem::new(
        Kind::Conflict,
        format!(
            "{unsaid} things wait to be said already: say it again when the agent has said some of \
             them. While a person has taken the call over, all of them wait until it is handed back."
        ),
    )
}

/// Guidance for the agent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Whisper {
    /// The guidance, 1 to 2000 characters.
    #[schema(
        min_length = 1,
        max_length = 2000,
        pattern = r"\S",
        example = "Offer the ten percent."
    )]
    text: String,
}

impl Validate for Whisper {
    fn validate(&self, errors: &mut Vec<FieldError>) {
        check_text("text", &self.text, errors);
    }
}

/// Gives the agent guidance that the caller does not hear.
#[utoipa::path(
    post,
    path = "/api/calls/{id}/whisper",
    tag = "control",
    operation_id = "whisper",
    params(("id" = String, Path, description = "The call's id.", example = "call-0123456789ab")),
    request_body = Whisper,
    responses((status = 202, description = "The agent heeds it from its next answer on."))
)]
pub(super) async fn whisper(
    Operator(who): Operator,
    State(api): State<Arc<Api>>,
    CallPath(id): CallPath,
    Json(body): Json<Whisper>,
) -> Result<StatusCode, Problem> {
    let call = api.act(&who, Action::AgentWhisper, &id).await?;
    call.guide(who.name, body.text).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Keys to press.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Dtmf {
    /// `0` to `9`, `*`, `#`, `A` to `D`, and `w` for half a second's pause; 1 to 64.
    #[schema(pattern = "^[0-9*#A-Dw]{1,64}$", example = "1w42#")]
    digits: String,
}

impl Validate for Dtmf {
    fn validate(&self, errors: &mut Vec<FieldError>) {
        let is_key = |key: u8| key.is_ascii_digit() || b"*#ABCDw".contains(&key);
        if !(1..=Command::MAX_DIGITS).contains(&self.digits.len())
            || !self.digits.bytes().all(is_key)
        {
            errors.push(FieldError::new(
                "digits",
                "must be 1 to 64 of 0 to 9, *, #, A to D, and w for a pause",
            ));
        }
    }
}

/// Plays the tones of keys to the other side, for a menu say: as sound in the stream, 100 ms each with 100 ms
/// between. Whether anything there takes them for keys is not known; `docs/api.md` says more.
#[utoipa::path(
    post,
    path = "/api/calls/{id}/dtmf",
    tag = "control",
    operation_id = "sendDigits",
    params(("id" = String, Path, description = "The call's id.", example = "call-0123456789ab")),
    request_body = Dtmf,
    responses((status = 202, description = "The tones are being played."))
)]
pub(super) async fn dtmf(
    Operator(who): Operator,
    State(api): State<Arc<Api>>,
    CallPath(id): CallPath,
    Json(body): Json<Dtmf>,
) -> Result<StatusCode, Problem> {
    let call = api.act(&who, Action::CallDtmf, &id).await?;
    call.send_digits(body.digits).await?;
    Ok(StatusCode::ACCEPTED)
}

/// How a call shall end.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct HangUp {
    /// What the agent says first, 1 to 2000 characters; without it the call ends at once.
    #[schema(
        min_length = 1,
        max_length = 2000,
        pattern = r"\S",
        example = "Goodbye!"
    )]
    farewell: Option<String>,
}

impl Validate for HangUp {
    fn validate(&self, errors: &mut Vec<FieldError>) {
        if let Some(farewell) = &self.farewell {
            check_text("farewell", farewell, errors);
        }
    }
}

/// Ends the call: with a farewell once the caller has heard it, without one at once.
#[utoipa::path(
    post,
    path = "/api/calls/{id}/hangup",
    tag = "control",
    operation_id = "hangUp",
    params(("id" = String, Path, description = "The call's id.", example = "call-0123456789ab")),
    request_body(content = Option<HangUp>),
    responses((status = 202, description = "The call is ending."))
)]
pub(super) async fn hang_up(
    Operator(who): Operator,
    State(api): State<Arc<Api>>,
    CallPath(id): CallPath,
    OptionalJson(body): OptionalJson<HangUp>,
) -> Result<StatusCode, Problem> {
    let call = api.act(&who, Action::CallHangUp, &id).await?;
    call.hang_up(body.farewell).await?;
    Ok(StatusCode::ACCEPTED)
}
