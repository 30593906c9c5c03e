//! A person's leg on a phone: a media stream of Twilio's that becomes part of another call.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::extract::ws::{Message, WebSocket};
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use sidetone::{PersonError, PersonLeg};
use sidetone_codecs::{SampleRate, g711::mulaw};
use sidetone_core::{
    dialect::{Dialect as _, Inbound, Outbound, Start, Track, twilio::Twilio},
    person::{Join, PersonOutput},
};
use tokio::time::timeout;
use tracing::{info, warn};

use super::{
    backlog::Backlog,
    guest::revoked,
    invite::{Invite, Progress},
    join::Grant,
};
use crate::{api::Api, metrics::Refusal, state::ServerState, twiml::TOKEN_PARAMETER};

/// The stream starts this soon after its socket opened.
const START_TIMEOUT: Duration = Duration::from_secs(5);

/// A stream of which nothing comes for so long is gone: it sends audio all the time.
const IDLE: Duration = Duration::from_secs(10);

/// A stream that takes nothing for so long is gone.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// Brings the person behind a stream onto the call that its token is for, and takes them off it in the
/// end. A stream without a good token is closed, which ends its call.
pub(crate) async fn serve(state: ServerState, socket: WebSocket) {
    let Some(api) = state.0.api.clone() else {
        return;
    };
    let (mut to, mut from) = socket.split();
    let mut dialect = Twilio::new();
    let start = match timeout(START_TIMEOUT, started(&mut from, &mut dialect)).await {
        Ok(Some(start)) => start,
        _ => return,
    };
    let Some(grant) = admit(&state, &api, &start) else {
        state.0.metrics.refused(Refusal::Token);
        warn!("a phone's stream has no good token: it is closed");
        return;
    };
    let invite = Arc::clone(&grant.invite);
    let Some(leg) = come_on(&api, &grant).await else {
        return;
    };
    tokio::select! {
        () = carry(leg, dialect, &mut from, &mut to, &invite) => {}
        () = revoked(&api, &grant.guest) => info!("a person's token was revoked"),
    }
    invite.settle(Progress::Left);
    // Nobody is there to miss it.
    let _ = timeout(SEND_TIMEOUT, to.close()).await;
}

/// What the token stands for, if the stream may start at all.
fn admit(state: &ServerState, api: &Api, start: &Start) -> Option<Grant> {
    let account = start.account_id.as_deref().unwrap_or_default();
    if !state.0.account_sid.is_empty() && account != state.0.account_sid {
        return None;
    }
    let token = start.parameters.get(TOKEN_PARAMETER)?;
    api.join_tokens.redeem(token, Instant::now())
}

async fn come_on(api: &Api, grant: &Grant) -> Option<PersonLeg> {
    let failed = |why: String| {
        info!(why, "a person who was called does not come on the call");
        grant.invite.settle(Progress::Failed { why });
    };
    let Some(call) = api.engine.call(&grant.call_id) else {
        failed("the call is over".into());
        return None;
    };
    let join = Join {
        name: grant.guest.name.clone(),
        mode: grant.mode,
        rank: grant.guest.rank,
        rate: SampleRate::HZ_8000,
    };
    match call.join(join).await {
        Ok(leg) => {
            let person = leg.id();
            grant.invite.settle(Progress::Joined { person });
            grant.guest.came(api, &grant.call_id, person, grant.mode);
            Some(leg)
        }
        Err(PersonError::Refused(refusal)) => {
            failed(refusal.to_string());
            None
        }
        Err(PersonError::Over(over)) => {
            failed(over.to_string());
            None
        }
    }
}

/// The stream's start; none where it never starts.
async fn started<S, E>(from: &mut S, dialect: &mut Twilio) -> Option<Start>
where
    S: Stream<Item = Result<Message, E>> + Unpin,
{
    loop {
        if let Message::Text(text) = from.next().await?.ok()? {
            match dialect.parse(text.as_bytes()).ok()?.body {
                Inbound::Start(start) => return Some(start),
                Inbound::Stop => return None,
                _ => {}
            }
        }
    }
}

/// Carries audio both ways, until either side ends.
async fn carry<R, E, T>(
    mut leg: PersonLeg,
    mut dialect: Twilio,
    from: &mut R,
    to: &mut T,
    invite: &Invite,
) where
    R: Stream<Item = Result<Message, E>> + Unpin,
    T: Sink<Message> + Unpin,
{
    let mut pcm = Vec::new();
    let mut backlog = Backlog::default();
    let why = 'leg: loop {
        tokio::select! {
            message = timeout(IDLE, from.next()) => match message {
                // One that makes no sense says nothing about the next.
                Ok(Some(Ok(Message::Text(text)))) => match dialect.parse(text.as_bytes()).map(|m| m.body) {
                    Ok(Inbound::Media(media)) if media.track == Track::Inbound => {
                        pcm.clear();
                        pcm.extend(media.payload.iter().map(|code| mulaw::decode(*code)));
                        leg.send_audio(&pcm);
                    }
                    Ok(Inbound::Mark { name }) if backlog.returned(&name, Instant::now()) => {
                        if let Err(why) = send(to, &mut dialect, &Outbound::Clear).await {
                            break why;
                        }
                    }
                    Ok(Inbound::Stop) => break "they hung up",
                    _ => {}
                },
                Ok(Some(Ok(Message::Close(_))) | None) => break "they hung up",
                Ok(Some(Ok(_))) => {}
                Ok(Some(Err(_))) => break "the connection broke",
                Err(_) => break "nothing comes any more",
            },
            output = leg.recv() => match output {
                Some(PersonOutput::Audio { pcm }) => {
                    let mut payload = Vec::with_capacity(pcm.len());
                    mulaw::encode_append(&pcm, &mut payload);
                    let mark = backlog.sends(Instant::now());
                    let mark = mark.map(|name| Outbound::Mark { name });
                    for message in std::iter::once(Outbound::Media { payload }).chain(mark) {
                        if let Err(why) = send(to, &mut dialect, &message).await {
                            break 'leg why;
                        }
                    }
                }
                Some(PersonOutput::Closed { .. }) | None => break "the call has let them go",
                Some(_) => {}
            },
        }
    };
    info!(why, mode = %invite.callee.mode, "a person's phone leaves the call");
}

/// Sends a message, or says why nothing more can be sent.
async fn send<T>(to: &mut T, dialect: &mut Twilio, message: &Outbound) -> Result<(), &'static str>
where
    T: Sink<Message> + Unpin,
{
    let mut text = Vec::new();
    dialect.write(message, &mut text);
    let text = String::from_utf8(text).map_err(|_| "what it is to hear cannot be written")?;
    match timeout(SEND_TIMEOUT, to.send(Message::text(text))).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err("the connection broke"),
        Err(_) => Err("it takes no audio any more"),
    }
}
