//! The people who are on a call.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, Path, State},
    http::{StatusCode, request::Parts},
};
use serde_json::{Map, json};
use sidetone::CallHandle;
use sidetone_core::person::PersonId;

use super::{
    Api,
    extract::{is_call_id, unknown_call},
    problem::{Kind, Problem, ProblemBody},
};
use crate::{audit::Action, auth::principal::Operator};

/// The ids of a call and of a person's leg, in a path.
#[derive(Clone, Debug)]
pub(super) struct PersonPath {
    call: String,
    person: PersonId,
}

impl<S: Send + Sync> FromRequestParts<S> for PersonPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Some((call, person)) = path.ok().map(|Path(ids)| ids) else {
            return Err(unknown_call());
        };
        if !is_call_id(&call) {
            return Err(unknown_call());
        }
        let person = person.parse().map_err(|_| no_such_person())?;
        Ok(Self {
            call,
            person: PersonId(person),
        })
    }
}

/// Takes somebody off the call, whether they are on it with a browser or with a phone, which is hung up on.
///
/// If they spoke with the caller in place of the agent, the agent has the call again, and says so. Whoever is
/// still being called to the phone is on no leg yet: `DELETE /api/calls/{id}/takeover?phone=true` ends that.
#[utoipa::path(
    delete,
    path = "/api/calls/{id}/people/{person}",
    tag = "control",
    operation_id = "removePerson",
    params(
        ("id" = String, Path, description = "The call's id.", example = "call-0123456789ab"),
        ("person" = u32, Path, description = "Their leg: `live.people[].id`.", example = 1),
    ),
    responses(
        (status = 202, description = "They are being taken off the call."),
        (status = 404, description = "There is no such call, or no such person on it.",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn remove(
    Operator(who): Operator,
    State(api): State<Arc<Api>>,
    PersonPath { call: id, person }: PersonPath,
) -> Result<StatusCode, Problem> {
    let call = api.running(&id).await?;
    if !is_on(&call, person) {
        return Err(no_such_person());
    }
    let detail = Map::from_iter([("person".to_owned(), json!(person))]);
    api.audit
        .note_with(&who.token_id, Action::CallRemove, Some(&id), detail);
    call.remove_person(person).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Whether somebody is on a call with this leg.
pub(super) fn is_on(call: &CallHandle, person: PersonId) -> bool {
    let state = call.state();
    let state = state.borrow();
    state.people.iter().any(|there| there.id == person)
}

/// 404.
pub(super) fn no_such_person() -> Problem {
    Problem::new(
        Kind::NotFound,
        "Nobody with this leg is on the call; `live.people` of `GET /api/calls/{id}` lists who is.",
    )
}
