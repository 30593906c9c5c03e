//! A server on a free port, an HTTP client that shows everything, and a phone.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

use std::{net::SocketAddr, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use sidetone::Engine;
use sidetone_codecs::g711::mulaw;
use sidetone_server::{Config, RunningServer, Server, signature::sign};
use sidetone_speech::{
    Secret,
    testing::{FakeLlm, FakeStt, FakeTts},
    vad::EarshotVad,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{self, Message, client::IntoClientRequest as _, http},
};

pub(crate) const AUTH_TOKEN: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const PUBLIC_URL: &str = "https://voice.example.com";
pub(crate) const STREAM: &str = "MZ00000000000000000000000000000001";
pub(crate) const CALL: &str = "CA00000000000000000000000000000001";
pub(crate) const ACCOUNT: &str = "AC00000000000000000000000000000001";

/// Takes calls from anybody on a free port.
pub(crate) fn insecure() -> Config {
    let mut config = Config::default();
    config.server.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config.server.insecure = true;
    config
}

/// Checks signatures, behind a proxy that the tests play.
pub(crate) fn secure() -> Config {
    let mut config = insecure();
    config.server.insecure = false;
    config.server.public_url = PUBLIC_URL.into();
    config.twilio.auth_token = Some(Secret::new(AUTH_TOKEN));
    config
}

/// An engine whose services do as they are told.
pub(crate) fn engine(stt: FakeStt, llm: FakeLlm, tts: FakeTts) -> Engine {
    Engine::builder()
        .stt(Arc::new(stt))
        .llm(Arc::new(llm))
        .tts(Arc::new(tts))
        .vad(|| Box::new(EarshotVad::new()))
        .build()
        .unwrap()
}

/// An engine for tests in which nobody talks.
pub(crate) fn quiet_engine() -> Engine {
    engine(FakeStt::new(), FakeLlm::new(), FakeTts::new())
}

pub(crate) async fn start(config: &Config) -> RunningServer {
    Server::start(config, quiet_engine()).await.unwrap()
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In lower case.
    pub(crate) head: String,
    /// As it came.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// A header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(given, _)| given == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The single-use token in the TwiML.
    pub(crate) fn token(&self) -> &str {
        let (_, rest) = self.body.split_once("name=\"token\" value=\"").unwrap();
        rest.split_once('"').unwrap().0
    }
}

/// Sends bytes and reads the answer to its end.
pub(crate) async fn exchange(addr: SocketAddr, request: &str) -> Answer {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Answer {
        status: head[9..12].parse().unwrap(),
        head: head.to_ascii_lowercase(),
        headers: head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect(),
        body: body.to_owned(),
    }
}

pub(crate) async fn get(addr: SocketAddr, path: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n");
    exchange(addr, &request).await
}

/// Posts a form, signed with `auth_token`.
pub(crate) async fn post(
    addr: SocketAddr,
    path: &str,
    form: &[(&str, &str)],
    auth_token: Option<&str>,
) -> Answer {
    let pairs: Vec<_> = form
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(&pairs)
        .finish();
    let signature = auth_token.map_or_else(String::new, |auth_token| {
        let signature = sign(auth_token, &format!("{PUBLIC_URL}{path}"), &pairs);
        format!("X-Twilio-Signature: {signature}\r\n")
    });
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n{signature}\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    exchange(addr, &request).await
}

/// What Twilio posts when a call comes in.
pub(crate) const INCOMING: [(&str, &str); 4] = [
    ("CallSid", "CA00000000000000000000000000000001"),
    ("AccountSid", ACCOUNT),
    ("From", "+14155550123"),
    ("To", "+14155550199"),
];

/// A phone on the media stream's WebSocket.
pub(crate) struct Phone {
    socket: WebSocketStream<TcpStream>,
    sequence: u64,
    chunk: u64,
}

impl Phone {
    /// Opens the socket, signed with `auth_token`.
    ///
    /// # Errors
    ///
    /// The answer that is no WebSocket.
    pub(crate) async fn connect(
        addr: SocketAddr,
        auth_token: Option<&str>,
    ) -> Result<Self, http::Response<Option<Vec<u8>>>> {
        Self::connect_to(addr, "/twilio/media", auth_token).await
    }

    /// Opens the socket at `path`, signed with `auth_token`.
    ///
    /// # Errors
    ///
    /// The answer that is no WebSocket.
    pub(crate) async fn connect_to(
        addr: SocketAddr,
        path: &str,
        auth_token: Option<&str>,
    ) -> Result<Self, http::Response<Option<Vec<u8>>>> {
        let mut request = format!("ws://{addr}{path}").into_client_request().unwrap();
        if let Some(auth_token) = auth_token {
            let url = format!("{}{path}", PUBLIC_URL.replacen("https", "wss", 1));
            let signature = sign(auth_token, &url, &[]);
            let headers = request.headers_mut();
            headers.insert("x-twilio-signature", signature.parse().unwrap());
        }
        let stream = TcpStream::connect(addr).await.unwrap();
        match client_async(request, stream).await {
            Ok((socket, _)) => Ok(Self {
                socket,
                sequence: 0,
                chunk: 0,
            }),
            Err(tungstenite::Error::Http(answer)) => Err(*answer),
            Err(error) => panic!("{error}"),
        }
    }

    /// Calls as Twilio does: the webhook, the socket, the start of the stream.
    pub(crate) async fn call(addr: SocketAddr, auth_token: Option<&str>) -> Self {
        let answer = post(addr, "/twilio/voice", &INCOMING, auth_token).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let mut phone = Self::connect(addr, auth_token).await.unwrap();
        phone.start(Some(answer.token())).await;
        phone
    }

    /// Starts the stream, with the webhook's token.
    pub(crate) async fn start(&mut self, token: Option<&str>) {
        self.start_as(token, CALL).await;
    }

    /// Starts the stream of the call that Twilio calls `call_sid`.
    pub(crate) async fn start_as(&mut self, token: Option<&str>, call_sid: &str) {
        let mut parameters = json!({});
        if let Some(token) = token {
            parameters["token"] = token.into();
        }
        self.text(r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#)
            .await;
        self.send(json!({
            "event": "start",
            "streamSid": STREAM,
            "start": {
                "accountSid": ACCOUNT,
                "callSid": call_sid,
                "streamSid": STREAM,
                "tracks": ["inbound"],
                "customParameters": parameters,
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            },
        }))
        .await;
    }

    /// Sends an event of the stream with its sequence number.
    pub(crate) async fn send(&mut self, mut event: Value) {
        self.sequence += 1;
        event["sequenceNumber"] = self.sequence.to_string().into();
        self.text(&event.to_string()).await;
    }

    /// Sends a text message as it is.
    pub(crate) async fn text(&mut self, text: &str) {
        self.message(Message::text(text)).await;
    }

    /// Sends a message as it is.
    pub(crate) async fn message(&mut self, message: Message) {
        self.socket.send(message).await.unwrap();
    }

    /// Sends 20 ms of audio.
    pub(crate) async fn media(&mut self, payload: &str) {
        let (chunk, timestamp) = (self.chunk + 1, self.chunk * 20);
        self.chunk = chunk;
        self.send(json!({
            "event": "media",
            "streamSid": STREAM,
            "media": {
                "track": "inbound",
                "chunk": chunk.to_string(),
                "timestamp": timestamp.to_string(),
                "payload": payload,
            },
        }))
        .await;
    }

    /// Sends a tone.
    pub(crate) async fn speak(&mut self, ms: u32) {
        for frame in 0..ms / 20 {
            let samples: Vec<i16> = (0..160)
                .map(|n| {
                    let t = f64::from(frame * 160 + n) / 8_000.0;
                    #[expect(clippy::cast_possible_truncation, reason = "within 16 bits")]
                    {
                        ((t * 440.0 * std::f64::consts::TAU).sin() * 12_000.0) as i16
                    }
                })
                .collect();
            self.samples(&samples).await;
        }
    }

    /// Sends silence.
    pub(crate) async fn pause(&mut self, ms: u32) {
        for _ in 0..ms / 20 {
            self.samples(&[0; 160]).await;
        }
    }

    /// Sends samples.
    pub(crate) async fn samples(&mut self, samples: &[i16]) {
        let mut codes = Vec::new();
        mulaw::encode_append(samples, &mut codes);
        self.media(&STANDARD.encode(codes)).await;
    }

    /// Says that everything up to the mark `name` was played.
    pub(crate) async fn mark(&mut self, name: &str) {
        let event = json!({"event": "mark", "streamSid": STREAM, "mark": {"name": name}});
        self.send(event).await;
    }

    /// Hangs up as Twilio says it.
    pub(crate) async fn hang_up(&mut self) {
        self.send(json!({"event": "stop", "streamSid": STREAM, "stop": {
            "accountSid": ACCOUNT, "callSid": "CA00000000000000000000000000000001",
        }}))
        .await;
    }

    /// The next event from the engine; `None` once it has closed the socket.
    pub(crate) async fn event(&mut self) -> Option<Value> {
        loop {
            match self.socket.next().await? {
                Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Reads until the engine closes the socket.
    pub(crate) async fn closed(mut self) {
        while self.event().await.is_some() {}
    }
}

/// What a `media` event says.
pub(crate) fn samples_of(event: &Value) -> Vec<i16> {
    let codes = STANDARD
        .decode(event["media"]["payload"].as_str().unwrap())
        .unwrap();
    codes.into_iter().map(mulaw::decode).collect()
}
