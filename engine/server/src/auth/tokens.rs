//! Bearer tokens, as an operator makes, lists and revokes them.

use std::fmt;

use super::secret::RandomSecret;
use crate::store::{NewToken, Role, Store, StoreError, Token};

/// Before the random part of a token, so that it is recognised where it leaks.
const PREFIX: &str = "sdt_";

/// What the first token is called.
const FIRST_NAME: &str = "first admin";

/// A token that was just made: its text is shown this once, and kept nowhere.
pub struct IssuedToken {
    /// What is kept of it.
    pub token: Token,
    secret: RandomSecret,
}

impl IssuedToken {
    /// The text that is sent as `Authorization: Bearer …`.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.secret.expose()
    }
}

/// Without the text.
impl fmt::Debug for IssuedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedToken")
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

/// Makes a token for whoever `name` says.
///
/// # Errors
///
/// Those of the store.
pub async fn create(store: &Store, name: &str, role: Role) -> Result<IssuedToken, StoreError> {
    let secret = RandomSecret::new(PREFIX);
    let token = store
        .add_token(&NewToken {
            id: random_id(),
            name: name.to_owned(),
            role,
            hash: secret.hash().as_bytes().to_vec(),
        })
        .await?;
    Ok(IssuedToken { token, secret })
}

/// An admin's token where the store has none at all; none where it has.
///
/// # Errors
///
/// Those of the store.
pub async fn first(store: &Store) -> Result<Option<IssuedToken>, StoreError> {
    if store.tokens().await?.is_empty() {
        create(store, FIRST_NAME, Role::Admin).await.map(Some)
    } else {
        Ok(None)
    }
}

/// `tok-` and 12 hexadecimal digits.
fn random_id() -> String {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes[2..]).expect("the operating system has random numbers");
    format!("tok-{:012x}", u64::from_be_bytes(bytes))
}
