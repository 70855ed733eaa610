//! The database. SQL stands in this folder and nowhere else.
//!
//! `SQLite` in WAL mode: many readers and one writer. Every write goes through one connection, so that a transaction never meets
//! another one half-way and `begin` is the lock under which limits are counted.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, Sqlite, Transaction};

pub mod audit;
pub mod clusters;
pub mod environments;
pub mod grants;
pub mod idempotency;
pub mod keys;
pub mod kubeconfigs;
pub mod links;
pub mod people;
pub mod quotas;
pub mod runs;
pub mod sessions;

/// What queries return.
pub type Result<T> = std::result::Result<T, sqlx::Error>;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!();

/// The open database; cheap to clone.
#[derive(Clone)]
pub struct Store {
    readers: SqlitePool,
    writer: SqlitePool,
}

impl Store {
    /// Opens the file, makes it if it is missing (readable by its owner alone), and brings it up to date.
    pub async fn open(path: &Path) -> anyhow::Result<Self> {
        if let Some(folder) = path.parent() {
            create_private_folder(folder)
                .with_context(|| format!("could not make {}", folder.display()))?;
        }
        create_private_file(path).with_context(|| format!("could not make {}", path.display()))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            // A list is handed over in one piece, and not in many whose takers are woken for each.
            .row_buffer_size(1_000)
            .busy_timeout(Duration::from_secs(10));
        let opening = || format!("could not open the database {}", path.display());
        let writer =
            SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await;
        let writer = writer.with_context(opening)?;
        MIGRATIONS
            .run(&writer)
            .await
            .with_context(|| format!("could not bring {} up to date", path.display()))?;
        let readers =
            SqlitePoolOptions::new().max_connections(4).connect_with(options.read_only(true)).await;
        Ok(Self { readers: readers.with_context(opening)?, writer })
    }

    /// For queries that change nothing.
    pub(crate) fn read(&self) -> &SqlitePool {
        &self.readers
    }

    /// For single statements that change something.
    pub(crate) fn write(&self) -> &SqlitePool {
        &self.writer
    }

    /// For several that belong together: nobody else writes until it ends.
    pub async fn begin(&self) -> Result<Transaction<'static, Sqlite>> {
        self.writer.begin_with("BEGIN IMMEDIATE").await
    }

    /// Whether it answers, for `/readyz`.
    pub async fn ping(&self) -> Result<()> {
        sqlx::query("SELECT 1").execute(&self.readers).await.map(drop)
    }

    /// Waits for what is being written, and closes.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Whether a statement failed because such a row exists already.
pub fn is_taken(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

fn create_private_folder(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn create_private_file(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(drop)
}

/// A copy of a database as it is at this instant, while others use it.
pub async fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let target = to.to_str().context("the path of a backup is UTF-8")?;
    let options = SqliteConnectOptions::new().filename(from).busy_timeout(Duration::from_secs(30));
    let mut connection =
        options.connect().await.with_context(|| format!("could not open {}", from.display()))?;
    sqlx::query("VACUUM INTO ?")
        .bind(target)
        .execute(&mut connection)
        .await
        .context("could not copy the database")?;
    Ok(connection.close().await?)
}

/// Whether a database is sound; says what it holds.
pub async fn check(path: &Path) -> anyhow::Result<String> {
    let options = SqliteConnectOptions::new().filename(path).read_only(true).immutable(true);
    let mut connection =
        options.connect().await.with_context(|| format!("could not open {}", path.display()))?;
    let verdict: String =
        sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut connection).await?;
    anyhow::ensure!(verdict == "ok", "the database is damaged: {verdict}");
    let orphans = sqlx::query("PRAGMA foreign_key_check").fetch_all(&mut connection).await?;
    anyhow::ensure!(
        orphans.is_empty(),
        "the database is damaged: {} rows refer to nothing",
        orphans.len()
    );
    let (people, clusters, audit): (i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM people), (SELECT count(*) FROM clusters WHERE removed_at IS NULL),
                (SELECT count(*) FROM audit)",
    )
    .fetch_one(&mut connection)
    .await?;
    connection.close().await?;
    Ok(format!("{people} people, {clusters} clusters, {audit} rows of audit"))
}
