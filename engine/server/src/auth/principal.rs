//! Who sent a request, as handlers get to know it.

use axum::{extract::FromRequestParts, http::request::Parts};

use super::{secret::SecretHash, unauthorized};
use crate::{
    api::problem::{Kind, Problem},
    store::{Role, Session, Token, UnixMs},
};

/// Who sent a request.
#[derive(Clone, Debug)]
pub(crate) struct Principal {
    /// The token, by its id: what the audit log says.
    pub(crate) token_id: String,
    /// Whose token it is.
    pub(crate) name: String,
    /// What they may do.
    pub(crate) role: Role,
    /// How they showed who they are.
    pub(crate) means: Means,
}

/// How somebody showed who they are.
#[derive(Clone, Debug)]
pub(crate) enum Means {
    /// With the token itself.
    Bearer,
    /// With a session.
    Session {
        /// Names the session.
        hash: SecretHash,
        /// What requests that change something must bring.
        csrf: String,
        /// When it ends.
        expires_at: UnixMs,
    },
}

impl Principal {
    pub(super) fn bearer(token: &Token) -> Self {
        Self {
            token_id: token.id.clone(),
            name: token.name.clone(),
            role: token.role,
            means: Means::Bearer,
        }
    }

    pub(super) fn session(session: &Session, hash: SecretHash) -> Self {
        Self {
            means: Means::Session {
                hash,
                csrf: session.csrf.clone(),
                expires_at: session.expires_at,
            },
            ..Self::bearer(&session.token)
        }
    }

    /// 403 unless they may do what a `role` may.
    pub(crate) fn require(&self, role: Role) -> Result<(), Problem> {
        if self.role >= role {
            return Ok(());
        }
        Err(Problem::new(
            Kind::Forbidden,
            format!(
                "This needs the role {}, and this token is a {}'s.",
                role.as_str(),
                self.role.as_str()
            ),
        ))
    }
}

fn principal(parts: &Parts, role: Role) -> Result<Principal, Problem> {
    // Without the layer that puts it there, nobody is known.
    let principal = parts
        .extensions
        .get::<Principal>()
        .ok_or_else(unauthorized)?;
    principal.require(role)?;
    Ok(principal.clone())
}

macro_rules! extractor {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub(crate) struct $name(pub(crate) Principal);

        impl<S: Sync> FromRequestParts<S> for $name {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
                principal(parts, Role::$name).map(Self)
            }
        }
    };
}

extractor!(
    /// Somebody who may see calls, read and hear them.
    Viewer
);
extractor!(
    /// Somebody who may act in calls.
    Operator
);
extractor!(
    /// Somebody who may delete calls and read the audit log.
    Admin
);
