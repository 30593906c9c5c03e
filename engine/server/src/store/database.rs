//! The database behind the store: where it is, how it is opened, and what differs between the two.

use std::{
    fmt,
    fs::{self, OpenOptions},
    io,
    ops::{Deref, DerefMut},
    path::{Path, PathBuf},
    str::FromStr as _,
    sync::Arc,
    time::Duration,
};

use etcetera::BaseStrategy as _;
use sqlx::{
    Any, AnyConnection, AnyPool, ConnectOptions as _, Connection as _, Executor as _,
    SqlSafeStr as _, Transaction,
    any::{AnyArguments, AnyConnectOptions, AnyPoolOptions, install_default_drivers},
    migrate::{Migration, MigrationType, Migrator},
    query::Query,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::StoreError;

/// How long a query waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// SQLite takes one writer at a time; readers do not wait.
const SQLITE_CONNECTIONS: u32 = 4;
const POSTGRES_CONNECTIONS: u32 = 8;
/// Locked tables shall not keep readers out.
const POSTGRES_WRITERS: usize = 4;

/// For each connection to SQLite. With the write-ahead log, what is committed survives the end of the
/// process at once, and a power failure once the log was synchronised; deleted rows are overwritten.
const SQLITE_SETUP: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; \
     PRAGMA busy_timeout = 2000; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON;";
/// For each connection to PostgreSQL: nothing here takes longer unless something is wrong.
const POSTGRES_SETUP: &str = "SET statement_timeout = '30s'; SET lock_timeout = '5s';";

/// The versions of the tables, oldest first, for SQLite and for PostgreSQL. One that has been
/// released is never changed.
const MIGRATIONS: [(&str, &str, &str); 2] = [
    (
        "calls",
        include_str!("migrations/sqlite/0001_calls.sql"),
        include_str!("migrations/postgres/0001_calls.sql"),
    ),
    (
        "access",
        include_str!("migrations/sqlite/0002_access.sql"),
        include_str!("migrations/postgres/0002_access.sql"),
    ),
];

/// Calls, their events and words, tokens, and the audit log. Clones share one pool of connections.
#[derive(Clone)]
pub struct Store {
    pub(super) pool: AnyPool,
    pub(super) place: Arc<Place>,
    /// A permit for each connection that may wait to write, so that those who read find one.
    writers: Arc<Semaphore>,
}

/// A transaction that writes. Dropped without [`commit`](Self::commit), it changes nothing.
pub(super) struct Write {
    transaction: Transaction<'static, Any>,
    _permit: OwnedSemaphorePermit,
}

impl Write {
    pub(super) async fn commit(self) -> Result<(), sqlx::Error> {
        self.transaction.commit().await
    }
}

impl Deref for Write {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.transaction
    }
}

impl DerefMut for Write {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.transaction
    }
}

/// A statement and its values.
pub(super) type AnyQuery<'q> = Query<'q, Any, AnyArguments>;

/// Where a database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In this process, and gone with the store.
    Memory,
    /// A file of SQLite.
    File(PathBuf),
    /// A PostgreSQL server.
    Postgres {
        /// With password and all.
        url: String,
    },
}

impl Store {
    /// Opens the database at `url`, makes its tables or brings them up to date. Empty: the file
    /// [`default_file`](Self::default_file), which is created if there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError`] says what the address should be, or names the database and what is wrong.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        Self::open_at(Place::from_url(url)?).await
    }

    /// A store that is gone when its last clone is: for tests, and programs that keep nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError::Open`], for lack of memory.
    pub async fn in_memory() -> Result<Self, StoreError> {
        Self::open_at(Place::Memory).await
    }

    /// Where the calls are kept unless the configuration says otherwise: `sidetone/calls.db` in the
    /// platform's data directory.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoDataDir`] where there is no home directory.
    pub fn default_file() -> Result<PathBuf, StoreError> {
        Ok(data_dir()?.join("calls.db"))
    }

    /// Checks the address of a database without opening it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Url`].
    pub fn check_url(url: &str) -> Result<(), StoreError> {
        match Place::from_url(url) {
            // Whether there is a home directory is seen when the file is needed.
            Ok(_) | Err(StoreError::NoDataDir { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The database, as an operator knows it: a file, or a host and a name; never a password.
    #[must_use]
    pub fn place(&self) -> String {
        self.place.to_string()
    }

    /// Closes all connections, when the queries that run are done.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Whether the database answers.
    ///
    /// # Errors
    ///
    /// [`StoreError::Query`].
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }

    async fn open_at(place: Place) -> Result<Self, StoreError> {
        install_default_drivers();
        place.prepare()?;
        let setup = match place {
            Place::Postgres { .. } => POSTGRES_SETUP,
            _ => SQLITE_SETUP,
        };
        let pool = AnyPoolOptions::new()
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .after_connect(move |connection, _| {
                Box::pin(async move { connection.execute(setup).await.map(drop) })
            })
            // Where the disk is full, SQLite itself rolls a transaction back, sqlx's own attempt fails,
            // and the connection would never begin another: there will be a new one in its place.
            .before_acquire(|connection, _| {
                let usable = !connection.is_in_transaction();
                Box::pin(async move { Ok(usable) })
            });
        let pool = match place {
            // Each connection would have tables of its own, and lose them.
            Place::Memory => pool
                .max_connections(1)
                .min_connections(1)
                .idle_timeout(None)
                .max_lifetime(None),
            Place::File(_) => pool.max_connections(SQLITE_CONNECTIONS),
            Place::Postgres { .. } => pool.max_connections(POSTGRES_CONNECTIONS),
        };
        let options = place.options()?;
        let pool = pool
            .connect_with(options)
            .await
            .map_err(|source| StoreError::Open {
                place: place.to_string(),
                source,
            })?;
        let writers = match place {
            Place::Postgres { .. } => POSTGRES_WRITERS,
            // Whoever else wrote would hold a connection and wait.
            _ => 1,
        };
        let store = Self {
            pool,
            place: Arc::new(place),
            writers: Arc::new(Semaphore::new(writers)),
        };
        let migrated = store.migrator().run(&store.pool).await;
        migrated.map_err(|source| StoreError::Migrate {
            place: store.place(),
            source,
        })?;
        Ok(store)
    }

    fn migrator(&self) -> Migrator {
        let migrations = (1..).zip(MIGRATIONS);
        let migrations = migrations.map(|(version, (name, sqlite, postgres))| {
            let sql = if self.is_postgres() { postgres } else { sqlite };
            Migration::new(
                version,
                name.into(),
                MigrationType::Simple,
                sql.into_sql_str(),
                false,
            )
        });
        Migrator::with_migrations(migrations.collect())
    }

    pub(super) fn is_postgres(&self) -> bool {
        matches!(*self.place, Place::Postgres { .. })
    }

    /// The one of two queries that this database understands.
    pub(super) fn either(&self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        if self.is_postgres() { postgres } else { sqlite }
    }

    /// Begins to write: in SQLite the write lock is taken now, where it can be waited for, and not
    /// halfway, where it cannot.
    pub(super) async fn write(&self) -> Result<Write, StoreError> {
        let permit = Arc::clone(&self.writers).acquire_owned();
        let permit = permit.await.expect("the semaphore is never closed");
        let begin = self.either("BEGIN IMMEDIATE", "BEGIN");
        Ok(Write {
            transaction: self.pool.begin_with(begin).await?,
            _permit: permit,
        })
    }

    /// Carries out one statement that writes; says how many rows it changed.
    pub(super) async fn change(&self, statement: AnyQuery<'_>) -> Result<u64, StoreError> {
        let mut write = self.write().await?;
        let done = statement.execute(&mut *write).await?;
        write.commit().await?;
        Ok(done.rows_affected())
    }
}

/// The folder for everything that the server keeps.
///
/// # Errors
///
/// [`StoreError::NoDataDir`] where there is no home directory.
pub(crate) fn data_dir() -> Result<PathBuf, StoreError> {
    let platform = etcetera::base_strategy::choose_native_strategy()
        .map_err(|source| StoreError::NoDataDir { source })?;
    Ok(platform.data_dir().join("sidetone"))
}

impl Place {
    fn from_url(url: &str) -> Result<Self, StoreError> {
        if url.is_empty() {
            return Ok(Self::File(Store::default_file()?));
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            AnyConnectOptions::from_str(url).map_err(|error| StoreError::Url(Some(error)))?;
            return Ok(Self::Postgres { url: url.into() });
        }
        let file = url.strip_prefix("sqlite:").ok_or(StoreError::Url(None))?;
        let file = file.strip_prefix("//").unwrap_or(file);
        if file.is_empty() || file.contains(['?', '#', '%', '\0']) || file.ends_with('/') {
            return Err(StoreError::Url(None));
        }
        Ok(match file {
            ":memory:" => Self::Memory,
            file => Self::File(file.into()),
        })
    }

    /// As sqlx understands it.
    fn url(&self) -> String {
        match self {
            Self::Memory => "sqlite::memory:".into(),
            Self::File(path) => {
                let mut url = String::from("sqlite:");
                // What would end the path, or be taken for an escape.
                for char in path.to_string_lossy().chars() {
                    match char {
                        '%' => url.push_str("%25"),
                        '?' => url.push_str("%3F"),
                        '#' => url.push_str("%23"),
                        char => url.push(char),
                    }
                }
                url + "?mode=rwc"
            }
            Self::Postgres { url } => url.clone(),
        }
    }

    /// How to connect. What was asked is not logged: slow queries would be.
    pub(super) fn options(&self) -> Result<AnyConnectOptions, StoreError> {
        let options = AnyConnectOptions::from_str(&self.url())
            .map_err(|error| StoreError::Url(Some(error)))?;
        Ok(options.disable_statement_logging())
    }

    /// Makes the file, for its owner alone: SQLite's files beside it are as readable as it is.
    fn prepare(&self) -> Result<(), StoreError> {
        let Self::File(path) = self else {
            return Ok(());
        };
        if let Some(folder) = path.parent() {
            create_private_dir(folder).map_err(|source| StoreError::Create {
                path: folder.to_owned(),
                source,
            })?;
        }
        create_private_file(path).map_err(|source| StoreError::Create {
            path: path.clone(),
            source,
        })
    }
}

/// Without passwords.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("in memory"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Postgres { url } => {
                let (_, rest) = url.split_once("://").unwrap_or(("", url));
                let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
                let rest = rest.split_once('?').map_or(rest, |(rest, _)| rest);
                write!(f, "{rest} (PostgreSQL)")
            }
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.place()).finish()
    }
}

/// Makes a folder, and those around it, unless they are there; new ones are for their owner alone.
pub(crate) fn create_private_dir(path: &Path) -> io::Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn create_private_file(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}
