//! A leg that only sends noise: the cheapest caller there is, for measuring a server that
//! listens.

use std::{io, net::SocketAddr, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use sidetone_codecs::g711::mulaw;
use sidetone_core::dialect::{Dialect as _, Outbound, twilio::Twilio};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, MissedTickBehavior, interval_at},
};
use tokio_tungstenite::{connect_async, tungstenite::Message};

/// Calls the server at `addr` as Twilio would, webhook first, and streams noise at about −60 dBFS
/// until `until`.
///
/// # Errors
///
/// The call does not come about, or its socket breaks.
pub async fn call_and_listen(addr: SocketAddr, until: Instant, seed: u64) -> io::Result<()> {
    let token = token(addr).await?;
    stream(addr, &token, until, seed).await
}

/// Streams noise to whatever WebSocket server listens at `addr`.
///
/// # Errors
///
/// The socket cannot be opened, or breaks.
pub async fn stream(addr: SocketAddr, token: &str, until: Instant, seed: u64) -> io::Result<()> {
    let mut random = fastrand::Rng::with_seed(seed);
    let url = format!("ws://{addr}/twilio/media");
    let (socket, _) = connect_async(url).await.map_err(io::Error::other)?;
    let (mut sink, mut stream) = socket.split();
    let start = start(token);
    let mut twilio = Twilio::new();
    twilio.parse(start.as_bytes()).map_err(io::Error::other)?;
    sink.send(Message::text(start))
        .await
        .map_err(io::Error::other)?;
    // What comes back is read, so that the server never waits for this end.
    let reading = tokio::spawn(async move { while let Some(Ok(_)) = stream.next().await {} });
    let mut ticks = interval_at(Instant::now(), Duration::from_millis(20));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut text = Vec::new();
    while ticks.tick().await < until {
        let payload = (0..160)
            .map(|_| mulaw::encode(random.i16(-50..=50)))
            .collect();
        text.clear();
        twilio.write(&Outbound::Media { payload }, &mut text);
        let media = String::from_utf8_lossy(&text).into_owned();
        sink.send(Message::text(media))
            .await
            .map_err(io::Error::other)?;
    }
    reading.abort();
    Ok(())
}

fn start(token: &str) -> String {
    format!(
        r#"{{"event":"start","sequenceNumber":"1","streamSid":"MZ1","start":{{"accountSid":"AC1","callSid":"CA1","streamSid":"MZ1","tracks":["inbound"],"customParameters":{{"token":"{token}"}},"mediaFormat":{{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}}}}}}"#
    )
}

/// Asks the webhook for a stream's single-use token.
async fn token(addr: SocketAddr) -> io::Result<String> {
    let mut socket = TcpStream::connect(addr).await?;
    let request = format!(
        "POST /twilio/voice HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 0\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await?;
    let token = answer
        .split_once("value=\"")
        .and_then(|(_, rest)| rest.split_once('"'));
    token.map(|(token, _)| token.to_owned()).ok_or_else(|| {
        let status = answer.lines().next().unwrap_or_default();
        io::Error::other(format!("the webhook gave no token: {status}"))
    })
}
