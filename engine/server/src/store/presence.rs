//! Which servers are there: how a call is told from one whose server is gone.
//!
//! A server holds a lock for as long as it lives: on a file beside SQLite's, or in PostgreSQL. The
//! operating system, or the database, lets go of it when the process ends, however it ends.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{AnyConnection, Connection as _, Row as _, any::AnyConnectOptions};
use tokio::{task::JoinHandle, time::sleep};
use tracing::warn;

use super::{Store, StoreError, database::Place};

/// How often the connection that holds the lock is looked after.
const LOOK_AFTER: Duration = Duration::from_secs(10);

/// This server's lock.
#[derive(Debug)]
pub(super) struct Presence {
    /// Names the server in the rows of its calls.
    pub(super) server: String,
    _hold: Hold,
}

#[derive(Debug)]
enum Hold {
    /// Nobody else can see this database.
    Alone,
    File {
        _file: File,
        path: PathBuf,
    },
    Connection(JoinHandle<()>),
}

impl Presence {
    pub(super) async fn begin(store: &Store) -> Result<Self, StoreError> {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).expect("the operating system has random bytes");
        let key = i64::from_be_bytes(bytes);
        let server = format!("{key:016x}");
        let hold = match &*store.place {
            Place::Memory => Hold::Alone,
            Place::File(database) => {
                let path = lock_file(database, &server);
                let locked = OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .open(&path)
                    .and_then(|file| file.lock().map(|()| file));
                let file = locked.map_err(|source| StoreError::Create {
                    path: path.clone(),
                    source,
                })?;
                Hold::File { _file: file, path }
            }
            Place::Postgres { .. } => {
                let options = store.place.options()?;
                let mut connection = AnyConnection::connect_with(&options).await?;
                lock(&mut connection, key).await?;
                Hold::Connection(tokio::spawn(hold(options, connection, key)))
            }
        };
        Ok(Self {
            server,
            _hold: hold,
        })
    }

    /// Marks the calls of servers that are gone as lost; says how many there were.
    pub(super) async fn mark_lost(&self, store: &Store) -> Result<u64, StoreError> {
        let rows = sqlx::query("SELECT DISTINCT server FROM calls WHERE state = 'live'")
            .fetch_all(&store.pool)
            .await?;
        let mut lost = 0;
        for row in rows {
            let server: String = row.try_get(0)?;
            if server == self.server || !is_gone(store, &server).await? {
                continue;
            }
            // As long as something was heard of it.
            let update = sqlx::query(
                "UPDATE calls SET state = 'lost', ended_at = started_at + COALESCE( \
                     (SELECT MAX(at_ms) FROM events WHERE events.call_id = calls.id), 0) \
                 WHERE state = 'live' AND server = $1",
            )
            .bind(&server);
            lost += store.change(update).await?;
            if let Place::File(database) = &*store.place {
                // Not there any more, or not ours to remove: it is only in the way.
                let _ = fs::remove_file(lock_file(database, &server));
            }
        }
        Ok(lost)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        match self {
            Self::Alone => {}
            // What stays is removed by the next server that starts.
            Self::File { path, .. } => drop(fs::remove_file(path)),
            Self::Connection(task) => task.abort(),
        }
    }
}

async fn is_gone(store: &Store, server: &str) -> Result<bool, StoreError> {
    match &*store.place {
        Place::Memory => Ok(true),
        Place::File(database) => {
            let path = lock_file(database, server);
            let file = match OpenOptions::new().write(true).open(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
                file => file.map_err(|source| StoreError::Create {
                    path: path.clone(),
                    source,
                })?,
            };
            match file.try_lock() {
                Ok(()) => Ok(true),
                Err(TryLockError::WouldBlock) => Ok(false),
                Err(TryLockError::Error(source)) => Err(StoreError::Create { path, source }),
            }
        }
        Place::Postgres { .. } => {
            let Ok(key) = u64::from_str_radix(server, 16) else {
                return Ok(true);
            };
            let key = key.cast_signed();
            let mut connection = store.pool.acquire().await?;
            let row = sqlx::query("SELECT pg_try_advisory_lock($1)")
                .bind(key)
                .fetch_one(&mut *connection)
                .await?;
            let gone: bool = row.try_get(0)?;
            if gone {
                sqlx::query("SELECT pg_advisory_unlock($1)")
                    .bind(key)
                    .fetch_one(&mut *connection)
                    .await?;
            }
            Ok(gone)
        }
    }
}

fn lock_file(database: &Path, server: &str) -> PathBuf {
    let mut name = database.file_name().unwrap_or_default().to_owned();
    name.push(format!("-server-{server}"));
    database.with_file_name(name)
}

async fn lock(connection: &mut AnyConnection, key: i64) -> Result<(), sqlx::Error> {
    // At worst the session before has not been noticed to be gone.
    sqlx::query("SELECT pg_try_advisory_lock($1)")
        .bind(key)
        .fetch_one(connection)
        .await?;
    Ok(())
}

/// Keeps the connection alive, and connects again where it was lost.
async fn hold(options: AnyConnectOptions, mut connection: AnyConnection, key: i64) {
    loop {
        sleep(LOOK_AFTER).await;
        if connection.ping().await.is_ok() {
            continue;
        }
        match AnyConnection::connect_with(&options).await {
            Ok(again) => {
                connection = again;
                if lock(&mut connection, key).await.is_err() {
                    warn!("the database does not answer: another server may take calls for lost");
                }
            }
            Err(_) => {
                warn!("the database does not answer: another server may take calls for lost");
            }
        }
    }
}
