//! `sidetone dial`: a real server, and the carrier on this machine between it and the phone.

#![allow(clippy::unwrap_used)]

mod application;

use application::{ANN, BOB, OURS, engine, soon};
use clap::Parser;
use sidetone_cli::{
    carrier::{Account, Carrier, Phone},
    dial::{self, DialArgs, NotTaken},
};
use sidetone_server::twilio::CallStatus;
use sidetone_server::{Config, Server};

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    dial: DialArgs,
}

fn dial_args(config: &str, to: &str) -> DialArgs {
    let args = ["dial", "--config", config, "--from", OURS, "--to", to];
    Cli::try_parse_from(args).unwrap().dial
}

#[tokio::test]
async fn a_number_is_called_and_talks_to_the_server() {
    let carrier = Carrier::start(Account::random()).await.unwrap();
    carrier.phone(ANN, Phone::answers());
    carrier.phone(BOB, Phone::busy());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sidetone.toml");
    let account = carrier.account();
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\npublic_url = \"https://voice.example.com\"\n\
         [twilio]\naccount_sid = \"{}\"\nauth_token = \"{}\"\nbase_url = \"{}\"\n",
        account.sid,
        account.auth_token.expose(),
        carrier.base_url()
    );
    std::fs::write(&file, text).unwrap();
    let config = Config::load(Some(&file)).unwrap();
    let server = Server::start(&config, engine()).await.unwrap();
    carrier.route("voice.example.com", server.addr());

    let path = file.to_str().unwrap();
    let hang_up = async {
        let sid = carrier
            .until(|calls| {
                let mut calls = calls.iter();
                calls
                    .find(|call| call.is_streaming())
                    .map(|call| call.sid.clone())
            })
            .await;
        assert!(carrier.hang_up(&sid));
    };
    let (dialled, ()) =
        soon(async { tokio::join!(dial::run(dial_args(path, ANN)), hang_up) }).await;
    dialled.unwrap();

    let error = soon(dial::run(dial_args(path, BOB))).await.unwrap_err();
    assert_eq!(
        *error.downcast::<NotTaken>().unwrap(),
        NotTaken(CallStatus::Busy)
    );
    server.stop().await;
}

#[test]
fn a_number_without_its_country_is_refused() {
    let args = ["dial", "--from", OURS, "--to", "2025550143"];
    let error = Cli::try_parse_from(args).unwrap_err().to_string();
    assert!(error.contains("country code"), "{error}");
}
