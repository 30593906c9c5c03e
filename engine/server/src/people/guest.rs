//! Who comes on a call, and what they may do there.

use std::time::Duration;

use serde_json::{Map, json};
use sidetone::{CallHandle, CallId};
use sidetone_core::person::{Join, Mode, Person, PersonId, Refusal};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::{api::Api, audit::Action, auth::principal::Principal, store::Role};

/// How often it is looked whether a token is still good.
const RECHECK: Duration = Duration::from_secs(2);

/// Somebody who comes on a call.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    /// Whose token lets them in.
    pub(crate) who: Principal,
    /// What they are called on the call.
    pub(crate) name: String,
    /// Who goes before whom.
    pub(crate) rank: u8,
}

impl Guest {
    /// They are called as their token is; of two who want a call the one with the higher role has it.
    pub(crate) fn new(who: Principal) -> Self {
        Self {
            name: name_of(&who.name),
            rank: match who.role {
                Role::Viewer => 0,
                Role::Operator => 1,
                Role::Admin => 2,
            },
            who,
        }
    }

    /// The same under another name.
    pub(crate) fn called(self, name: Option<&str>) -> Self {
        let name = name.map_or_else(|| self.name.clone(), name_of);
        Self { name, ..self }
    }

    /// Whether they may be in `mode`.
    ///
    /// # Errors
    ///
    /// Why not.
    pub(crate) fn may(&self, mode: Mode) -> Result<(), &'static str> {
        if mode == Mode::Monitor || self.who.role >= Role::Operator {
            Ok(())
        } else {
            Err("this needs the role operator; a viewer may monitor")
        }
    }

    /// Notes that they came on a call.
    pub(crate) fn came(&self, api: &Api, call: &CallId, person: PersonId, mode: Mode) {
        self.note(api, call, person, mode, "joined");
    }

    /// Notes that they do something else.
    pub(crate) fn changed(&self, api: &Api, call: &CallId, person: PersonId, mode: Mode) {
        self.note(api, call, person, mode, "changed");
    }

    fn note(&self, api: &Api, call: &CallId, person: PersonId, mode: Mode, how: &str) {
        let detail = Map::from_iter([
            ("person".to_owned(), json!(person)),
            ("mode".to_owned(), json!(mode)),
            ("how".to_owned(), json!(how)),
        ]);
        let action = match mode {
            Mode::Monitor => Action::CallListen,
            Mode::Whisper => Action::CallCoach,
            Mode::Barge => Action::CallBarge,
            Mode::Takeover => Action::CallTakeOver,
        };
        api.audit
            .note_with(&self.who.token_id, action, Some(call.as_str()), detail);
    }
}

/// Why a call refuses somebody, with the name of who has it.
pub(crate) fn why_not(call: &CallHandle, refusal: Refusal) -> String {
    let state = call.state();
    let state = state.borrow();
    let holder = match refusal {
        Refusal::TakenOver { by } => state.people.iter().find(|person| person.id == by),
        _ => None,
    };
    match holder {
        Some(Person { name, .. }) => {
            format!("{name} has taken the call over, and their rank is not lower")
        }
        None => refusal.to_string(),
    }
}

/// Returns when whoever came on the call would not be let in any more: their session is over, or
/// their token was revoked.
pub(crate) async fn signed_out(api: &Api, guest: &Guest) {
    let mut rechecks = rechecks();
    loop {
        rechecks.tick().await;
        if !api.auth.is_still_good(&guest.who).await {
            return;
        }
    }
}

/// Returns when the token is revoked that a guest came with. Who was called to the phone stays when
/// whoever called them signs out.
pub(crate) async fn revoked(api: &Api, guest: &Guest) {
    let mut rechecks = rechecks();
    loop {
        rechecks.tick().await;
        if !api.auth.has_good_token(&guest.who).await {
            return;
        }
    }
}

fn rechecks() -> Interval {
    let mut rechecks = interval(RECHECK);
    rechecks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    rechecks
}

#[cfg(test)]
impl Guest {
    /// Somebody for a test.
    pub(crate) fn example(name: &str, role: Role) -> Self {
        use crate::auth::principal::Means;

        Self::new(Principal {
            token_id: "tok-1".into(),
            name: name.into(),
            role,
            means: Means::Bearer,
        })
    }
}

/// As long as a name on a call may be, and never empty.
fn name_of(token: &str) -> String {
    let mut name = token.trim();
    if name.len() > Join::MAX_NAME {
        let end = name.floor_char_boundary(Join::MAX_NAME);
        name = name[..end].trim_end();
    }
    if name.is_empty() { "A colleague" } else { name }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_viewer_may_listen_and_no_more() {
        let viewer = Guest::example("Ada", Role::Viewer);
        viewer.may(Mode::Monitor).unwrap();
        for mode in [Mode::Whisper, Mode::Barge, Mode::Takeover] {
            viewer.may(mode).unwrap_err();
            Guest::example("Bob", Role::Operator).may(mode).unwrap();
        }
        assert!(
            Guest::example("Eve", Role::Admin).rank > Guest::example("Bob", Role::Operator).rank
        );
    }

    #[test]
    fn every_token_has_a_name_that_a_call_takes() {
        let long = "é".repeat(Join::MAX_NAME);
        for (token, name) in [
            (" Ada ", "Ada"),
            ("", "A colleague"),
            (" \n", "A colleague"),
            (long.as_str(), &long[..Join::MAX_NAME]),
        ] {
            assert_eq!(Guest::example(token, Role::Operator).name, name);
        }
    }
}
