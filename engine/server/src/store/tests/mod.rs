//! One suite over both databases. PostgreSQL is where `SIDETONE_TEST_POSTGRES_URL` says: an account
//! there that may create databases, such as `postgres://postgres@127.0.0.1/postgres`.

mod access;
mod calls;
mod keeping;
mod opening;

use std::{
    env,
    sync::atomic::{AtomicU32, Ordering},
};

use sqlx::{Connection as _, Executor as _, PgConnection};

use super::Store;

const POSTGRES: &str = "SIDETONE_TEST_POSTGRES_URL";

/// Runs the tests that are named over each database.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                let base = crate::store::tests::Base::sqlite();
                super::$name(&base).await;
            })*
        }
        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                if let Some(base) = crate::store::tests::Base::postgres().await {
                    super::$name(&base).await;
                    base.remove().await;
                }
            })*
        }
    };
}
use on_both;

/// An empty database.
pub(super) struct Base {
    pub(super) folder: tempfile::TempDir,
    pub(super) url: String,
    /// Where the PostgreSQL server is, and what the database is called there.
    server: Option<(String, String)>,
}

impl Base {
    pub(super) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("calls.db").display());
        Self {
            folder,
            url,
            server: None,
        }
    }

    pub(super) async fn postgres() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let Some(server) = env::var(POSTGRES).ok().filter(|url| !url.is_empty()) else {
            eprintln!("skipped: {POSTGRES} does not say where a PostgreSQL server is");
            return None;
        };
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sidetone_test_{}_{number}", std::process::id());
        let mut connection = PgConnection::connect(&server).await.unwrap();
        let create = format!("CREATE DATABASE {name}");
        connection
            .execute(sqlx::AssertSqlSafe(create))
            .await
            .unwrap();
        let (address, _) = server.rsplit_once('/').unwrap();
        Some(Self {
            folder: tempfile::tempdir().unwrap(),
            url: format!("{address}/{name}"),
            server: Some((server, name)),
        })
    }

    pub(super) async fn open(&self) -> Store {
        Store::open(&self.url).await.unwrap()
    }

    pub(super) fn is_postgres(&self) -> bool {
        self.server.is_some()
    }

    pub(super) async fn remove(self) {
        if let Some((server, name)) = self.server {
            let mut connection = PgConnection::connect(&server).await.unwrap();
            let drop = format!("DROP DATABASE {name} WITH (FORCE)");
            connection.execute(sqlx::AssertSqlSafe(drop)).await.unwrap();
        }
    }
}
