//! `sidetone token`, as it is run.

#![allow(clippy::unwrap_used)]

use std::{fs, path::Path, process::Command};

fn sidetone(config: &Path, args: &[&str]) -> (bool, String, String) {
    let run = Command::new(env!("CARGO_BIN_EXE_sidetone"))
        .arg("token")
        .args(args)
        .arg("--config")
        .arg(config)
        .env_remove("TWILIO_AUTH_TOKEN")
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (run.status.success(), text(run.stdout), text(run.stderr))
}

#[test]
fn a_token_is_made_listed_and_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("sidetone.toml");
    let url = format!("sqlite:{}", folder.path().join("calls.db").display());
    // What a server needs besides, such as Twilio's secret, need not be there.
    fs::write(&config, format!("[store]\nurl = \"{url}\"\n")).unwrap();

    let create = ["create", "--name", "Shift lead", "--role", "operator"];
    let (done, token, told) = sidetone(&config, &create);
    assert!(done, "{told}");
    assert!(
        token.starts_with("sdt_") && token.trim().len() == 47,
        "{token}"
    );
    let id = told.split(':').next().unwrap();

    let (_, list, _) = sidetone(&config, &["list"]);
    assert_eq!(list.lines().count(), 1);
    for part in [id, "operator", "never used", "Shift lead"] {
        assert!(list.contains(part), "{part} is missing in {list}");
    }
    assert!(!list.contains(token.trim()), "{list}");

    assert!(sidetone(&config, &["revoke", id]).0);
    let (_, list, _) = sidetone(&config, &["list"]);
    assert!(list.contains("revoked just now"), "{list}");
    let (done, _, told) = sidetone(&config, &["revoke", id]);
    assert!(!done && told.contains("sidetone token list"), "{told}");
}

#[test]
fn without_a_store_there_are_no_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("sidetone.toml");
    fs::write(&config, "[store]\nurl = \"none\"\n").unwrap();
    let (done, _, told) = sidetone(&config, &["list"]);
    assert!(!done && told.contains("without a store"), "{told}");
}
