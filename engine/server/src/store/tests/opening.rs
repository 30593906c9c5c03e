//! How a database is opened, and what is said where it cannot be.

use std::error::Error as _;

use sqlx::Executor as _;

use super::{Base, on_both};
use crate::store::{
    Store, StoreError,
    writer::tests::{Pen, started},
};

on_both! {
    what_was_kept_is_there_again,
    the_tables_of_a_newer_version_are_left_alone,
}

async fn what_was_kept_is_there_again(base: &Base) {
    let store = base.open().await;
    let pen = Pen::new(&store).await;
    pen.event("call-1", 1, 0, started("CA1"));
    pen.end().await;
    store.close().await;
    assert!(matches!(store.ping().await, Err(StoreError::Query(_))));
    let store = base.open().await;
    store.ping().await.unwrap();
    assert!(store.call("call-1").await.unwrap().is_some());
}

async fn the_tables_of_a_newer_version_are_left_alone(base: &Base) {
    let store = base.open().await;
    let newer = "INSERT INTO _sqlx_migrations \
                 (version, description, success, checksum, execution_time) \
                 SELECT 999, 'newer', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1";
    store.pool.execute(newer).await.unwrap();
    store.close().await;
    let error = Store::open(&base.url).await.unwrap_err();
    assert!(matches!(error, StoreError::Migrate { .. }), "{error:?}");
    assert!(error.to_string().contains("newer version"), "{error}");
}

#[tokio::test]
async fn an_address_that_is_none_is_told_what_one_looks_like() {
    for url in [
        "calls.db",
        "mysql://a/b",
        "sqlite:",
        "sqlite:a?mode=ro",
        "postgres://a:b:c/d",
    ] {
        let error = Store::open(url).await.unwrap_err();
        assert!(matches!(error, StoreError::Url(_)), "{url}: {error:?}");
        assert!(
            error.to_string().starts_with("must be \"sqlite:\""),
            "{error}"
        );
        assert!(Store::check_url(url).is_err());
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes.txt");
    std::fs::write(
        &file,
        "not a database at all, but long enough to be looked at".repeat(50),
    )
    .unwrap();
    let error = Store::open(&format!("sqlite:{}", file.display()))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("notes.txt"), "{error}");
    assert!(error.source().is_some());

    let folder_as_file = format!("sqlite:{}", folder.path().display());
    let error = Store::open(&folder_as_file).await.unwrap_err();
    assert!(matches!(error, StoreError::Create { .. }), "{error:?}");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_named_without_the_password() {
    let error = Store::open("postgres://sidetone:hush@127.0.0.1:1/calls?sslmode=disable").await;
    let error = error.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot open the database 127.0.0.1:1/calls (PostgreSQL)"
    );
    assert!(!format!("{error:?}").contains("hush"), "{error:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn the_files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deep/er/calls.db");
    let url = format!("sqlite:{}", file.display());
    let store = Store::open(&url).await.unwrap();
    store.ping().await.unwrap();
    for entry in std::fs::read_dir(file.parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
    }
}
