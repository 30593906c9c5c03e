//! Tokens and sessions. Neither is kept itself: only a hash of it, which the caller makes.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use sqlx::{Row as _, any::AnyRow};

use super::{
    Store, StoreError, UnixMs,
    calls::{parse, storable},
};

/// What the bearer of a token may do. Each may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Read and listen.
    Viewer,
    /// Act in calls.
    Operator,
    /// Delete calls, and give tokens.
    Admin,
}

impl Role {
    /// Its name, as it is written in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// A token, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Token {
    /// Names it without giving it away.
    pub id: String,
    /// Whose it is, or for what.
    pub name: String,
    /// What its bearer may do.
    pub role: Role,
    /// When it was made.
    pub created_at: UnixMs,
    /// When it was last used.
    pub last_used_at: Option<UnixMs>,
    /// When it was revoked: then it is good for nothing.
    pub revoked_at: Option<UnixMs>,
}

/// A token to be kept.
#[derive(Clone, PartialEq, Eq)]
pub struct NewToken {
    /// See [`Token::id`].
    pub id: String,
    /// See [`Token::name`].
    pub name: String,
    /// See [`Token::role`].
    pub role: Role,
    /// A cryptographic hash of the token, by which it is found.
    pub hash: Vec<u8>,
}

/// Without the hash.
impl fmt::Debug for NewToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewToken")
            .field("id", &self.id)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

/// A session of the console, and the token behind it.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// The token that it was opened with.
    pub token: Token,
    /// What a request that changes something must bring.
    pub csrf: String,
    /// When it ends.
    pub expires_at: UnixMs,
}

/// Without the secret.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("token", &self.token)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Keeps a new token.
    ///
    /// # Errors
    ///
    /// [`StoreError::Query`], also where id or hash are taken.
    pub async fn add_token(&self, token: &NewToken) -> Result<Token, StoreError> {
        let created_at = UnixMs::now();
        let insert = sqlx::query(
            "INSERT INTO tokens (id, name, role, hash, created_at) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(&token.id)
        .bind(storable(&token.name))
        .bind(token.role.as_str())
        .bind(token.hash.clone())
        .bind(created_at.0);
        self.change(insert).await?;
        Ok(Token {
            id: token.id.clone(),
            name: storable(&token.name),
            role: token.role,
            created_at,
            last_used_at: None,
            revoked_at: None,
        })
    }

    /// The token with this hash, revoked or not.
    ///
    /// # Errors
    ///
    /// [`StoreError::Query`].
    pub async fn token_by_hash(&self, hash: &[u8]) -> Result<Option<Token>, StoreError> {
        let row = sqlx::query("SELECT * FROM tokens WHERE hash = $1")
            .bind(hash.to_vec())
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(token_from).transpose()
    }

    /// The token of this id, revoked or not.
    ///
    /// # Errors
    ///
    /// [`StoreError::Query`].
    pub async fn token(&self, id: &str) -> Result<Option<Token>, StoreError> {
        let row = sqlx::query("SELECT * FROM tokens WHERE id = $1")
            .bind(id.to_owned())
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(token_from).transpose()
    }

    /// All tokens, the oldest first, revoked ones among them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Query`].
    pub async fn tokens(&self) -> Result<Vec<Token>, StoreError> {
        let rows = sqlx::query("SELECT * FROM tokens ORDER BY created_at, id")
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(token_from).collect()
    }

    /// Notes that a token was used.
    ///
    /// # Errors
    ///
    /// [`StoreError::Query`].
    pub async fn token_used(&self, id: &str, at: UnixMs) -> Result<(), StoreError> {
        let update = sqlx::query(
            "UPDATE tokens SET last_used_at = $2 \
             WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)",
        )
        .bind(id)
        .bind(at.0);
        self.change(update).await.map(drop)
    }

    /// Revokes a token and ends its sessions. False where there is no such token, or it was revoked
    /// before.
    ///
    /// # Errors
    ///
    /// [`StoreError::Query`].
    pub async fn revoke_token(&self, id: &str) -> Result<bool, StoreError> {
        let id = storable(id);
        let mut write = self.write().await?;
        let done =
            sqlx::query("UPDATE tokens SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL")
                .bind(&id)
                .bind(UnixMs::now().0)
                .execute(&mut *write)
                .await?;
        sqlx::query("DELETE FROM sessions WHERE token_id = $1")
            .bind(&id)
            .execute(&mut *write)
            .await?;
        write.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    /// Opens a session; `id_hash` is a cryptographic hash of what the browser holds. Forgets those that
    /// are over.
    ///
    /// # Errors
    ///
    /// [`StoreError::Query`], also where there is no such token.
    pub async fn add_session(
        &self,
        id_hash: &[u8],
        token_id: &str,
        csrf: &str,
        expires_at: UnixMs,
    ) -> Result<(), StoreError> {
        let now = UnixMs::now();
        let mut write = self.write().await?;
        sqlx::query("DELETE FROM sessions WHERE expires_at <= $1")
            .bind(now.0)
            .execute(&mut *write)
            .await?;
        sqlx::query(
            "INSERT INTO sessions (id_hash, token_id, csrf, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(id_hash.to_vec())
        .bind(token_id)
        .bind(csrf)
        .bind(now.0)
        .bind(expires_at.0)
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(())
    }

    /// The session with this hash, unless it is over at `now` or its token was revoked.
    ///
    /// # Errors
    ///
    /// [`StoreError::Query`].
    pub async fn session(
        &self,
        id_hash: &[u8],
        now: UnixMs,
    ) -> Result<Option<Session>, StoreError> {
        let row = sqlx::query(
            "SELECT tokens.*, sessions.csrf, sessions.expires_at FROM sessions \
             JOIN tokens ON tokens.id = sessions.token_id \
             WHERE id_hash = $1 AND expires_at > $2 AND revoked_at IS NULL",
        )
        .bind(id_hash.to_vec())
        .bind(now.0)
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        Ok(Some(Session {
            token: token_from(&row)?,
            csrf: row.try_get("csrf")?,
            expires_at: UnixMs(row.try_get("expires_at")?),
        }))
    }

    /// Puts the end of a session off to `until`, but not beyond `longest` after its beginning.
    ///
    /// # Errors
    ///
    /// [`StoreError::Query`].
    pub async fn extend_session(
        &self,
        id_hash: &[u8],
        until: UnixMs,
        longest: Duration,
    ) -> Result<(), StoreError> {
        let update = sqlx::query(
            "UPDATE sessions SET expires_at = CASE WHEN created_at + $3 < $2 \
             THEN created_at + $3 ELSE $2 END WHERE id_hash = $1",
        )
        .bind(id_hash.to_vec())
        .bind(until.0)
        .bind(i64::try_from(longest.as_millis()).unwrap_or(i64::MAX));
        self.change(update).await.map(drop)
    }

    /// Ends a session. False where there is no such session.
    ///
    /// # Errors
    ///
    /// [`StoreError::Query`].
    pub async fn end_session(&self, id_hash: &[u8]) -> Result<bool, StoreError> {
        let delete = sqlx::query("DELETE FROM sessions WHERE id_hash = $1").bind(id_hash.to_vec());
        Ok(self.change(delete).await? > 0)
    }
}

fn token_from(row: &AnyRow) -> Result<Token, StoreError> {
    let time = |column: &str| row.try_get::<Option<i64>, _>(column);
    Ok(Token {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        role: parse("a role", row.try_get("role")?)?,
        created_at: UnixMs(row.try_get("created_at")?),
        last_used_at: time("last_used_at")?.map(UnixMs),
        revoked_at: time("revoked_at")?.map(UnixMs),
    })
}
