//! `sidetone dial`: has Twilio call a number, and connect it to a running server.

use std::{error::Error, path::PathBuf, time::Duration};

use clap::Args;
use sidetone_server::{
    Config, STATUS_PATH, VOICE_PATH,
    twilio::{
        CallSid, CallStatus, Callback, Digits, Instructions, NewCall, PhoneNumber, TwilioClient,
    },
};
use thiserror::Error;
use tokio::time::sleep;

use crate::signals::Signals;

/// How often Twilio is asked how the call fares.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What `sidetone dial` is told.
#[derive(Args, Debug)]
pub struct DialArgs {
    /// The number to call, with its country code: +12025550143.
    #[arg(long, value_name = "NUMBER")]
    to: PhoneNumber,
    /// The account's number that the call comes from.
    #[arg(long, value_name = "NUMBER")]
    from: PhoneNumber,
    /// The configuration of the server that is to hold the call: its public URL and its account.
    #[arg(long, short, value_name = "FILE", env = "SIDETONE_CONFIG")]
    config: Option<PathBuf>,
    /// How long it may ring, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    ring: u16,
    /// Keys to press when it is answered: 0 to 9, A to D, * and #, with w and W for pauses.
    #[arg(long, value_name = "KEYS")]
    send_digits: Option<Digits>,
    /// Do not wait for the end of the call.
    #[arg(long)]
    no_wait: bool,
}

/// The call was placed and nobody took it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("nobody took the call: it ended as {0}")]
pub struct NotTaken(pub CallStatus);

/// Places the call and shows how it fares until it is over. A signal ends it.
///
/// # Errors
///
/// The configuration lacks what is needed, Twilio did not place the call, or [`NotTaken`].
pub async fn run(args: DialArgs) -> Result<(), Box<dyn Error>> {
    let config = Config::load(args.config.as_deref())?;
    let server = config.server.public_url.trim_end_matches('/');
    if server.is_empty() {
        return Err(
            "`server.public_url` is not set: Twilio asks the server there what to do".into(),
        );
    }
    let twilio = TwilioClient::new(&config.twilio)?;
    let instructions = Instructions::Url(format!("{server}{VOICE_PATH}"));
    let mut call = NewCall::new(args.to, args.from, instructions)
        .ring_seconds(args.ring)
        .status(Callback::new(format!("{server}{STATUS_PATH}")));
    if let Some(digits) = args.send_digits {
        call = call.send_digits(digits);
    }
    let placed = twilio.place_call(&call).await?;
    anstream::println!("{} {}", placed.sid, placed.status);
    if args.no_wait {
        return Ok(());
    }
    let mut signals = Signals::listen()?;
    let status = tokio::select! {
        status = follow(&twilio, &placed.sid, placed.status) => status?,
        _ = signals.next() => {
            twilio.end_call(&placed.sid).await?;
            anstream::println!("{} ended", placed.sid);
            return Ok(());
        }
    };
    match status {
        CallStatus::Completed => Ok(()),
        status => Err(NotTaken(status).into()),
    }
}

/// Shows each change until the call is over.
async fn follow(
    twilio: &TwilioClient,
    sid: &CallSid,
    mut shown: CallStatus,
) -> Result<CallStatus, Box<dyn Error>> {
    loop {
        sleep(LOOK_EVERY).await;
        let call = twilio.call(sid).await?;
        if call.status != shown {
            shown = call.status;
            match call.duration_s {
                Some(seconds) => anstream::println!("{sid} {shown} after {seconds} s"),
                None => anstream::println!("{sid} {shown}"),
            }
        }
        if shown.is_over() {
            return Ok(shown);
        }
    }
}
