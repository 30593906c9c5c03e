//! A browser with a person's leg.

use std::{net::SocketAddr, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use sidetone_codecs::{OpusDecoder, OpusEncoder, OpusSettings, SampleRate};
use tokio::{
    net::TcpStream,
    sync::mpsc,
    task::JoinHandle,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        self, Message,
        client::IntoClientRequest as _,
        http::{HeaderName, HeaderValue},
    },
};

use crate::{
    tones::{Ear, Tone},
    world::PATIENCE,
};

/// The rate of a browser's audio.
pub(crate) const RATE: u32 = 48_000;

/// A socket that speaks by hand.
pub(crate) struct Socket(pub(crate) WebSocketStream<TcpStream>);

/// An answer that is no WebSocket.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) problem: Value,
}

impl Socket {
    /// Opens a leg's socket with these headers.
    pub(crate) async fn open(
        addr: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, Refused> {
        let mut request = format!("ws://{addr}{path}").into_client_request().unwrap();
        for (name, value) in headers {
            let name = HeaderName::try_from(*name).unwrap();
            let value = HeaderValue::from_str(value).unwrap();
            request.headers_mut().insert(name, value);
        }
        let stream = TcpStream::connect(addr).await.unwrap();
        match client_async(request, stream).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(tungstenite::Error::Http(answer)) => {
                let body = answer.body().as_deref().unwrap_or_default();
                assert_eq!(answer.headers()["content-type"], "application/problem+json");
                Err(Refused {
                    status: answer.status().as_u16(),
                    problem: serde_json::from_slice(body).unwrap(),
                })
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Opens it as a program does.
    pub(crate) async fn with_token(addr: SocketAddr, path: &str, token: &str) -> Self {
        let bearer = format!("Bearer {token}");
        Self::open(addr, path, &[("authorization", &bearer)])
            .await
            .unwrap()
    }

    pub(crate) async fn say(&mut self, message: Value) {
        self.0
            .send(Message::text(message.to_string()))
            .await
            .unwrap();
    }

    /// The next text message that is told; null once the socket is closed.
    pub(crate) async fn told(&mut self) -> Value {
        let waiting = async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Value::Null,
                    Some(Ok(_)) => {}
                }
            }
        };
        timeout(PATIENCE, waiting).await.expect("something is told")
    }
}

pub(crate) fn join(mode: &str, audio: &str) -> Value {
    json!({"type": "join", "mode": mode, "audio": audio, "rate": RATE})
}

/// A browser on a call, whose person hums.
pub(crate) struct Browser {
    pub(crate) ear: Ear,
    said: mpsc::Sender<Message>,
    told: mpsc::UnboundedReceiver<Value>,
    line: JoinHandle<()>,
}

impl Browser {
    /// Comes on a call, and hums.
    pub(crate) async fn join(mut socket: Socket, mode: &str, audio: &str, hz: f64) -> Self {
        socket.say(join(mode, audio)).await;
        let joined = socket.told().await;
        assert_eq!(joined["type"], "joined", "{joined}");
        assert_eq!(joined["mode"], mode);
        assert_eq!(joined["audio"], audio);
        assert_eq!(joined["rate"], RATE);
        let ear = Ear::new(RATE);
        let (said, saying) = mpsc::channel(16);
        let (telling, told) = mpsc::unbounded_channel();
        let line = Line {
            socket,
            coder: (audio == "opus").then(|| {
                let encoder = OpusEncoder::new(SampleRate::HZ_48000, OpusSettings::default());
                let decoder = OpusDecoder::new(SampleRate::HZ_48000);
                (encoder.unwrap(), decoder.unwrap())
            }),
            tone: Tone::new(hz, RATE),
            ear: ear.clone(),
        };
        Self {
            ear,
            said,
            told,
            line: tokio::spawn(line.run(saying, telling)),
        }
    }

    pub(crate) async fn say(&self, message: Value) {
        self.raw(Message::text(message.to_string())).await;
    }

    /// Sends any message, while the socket is open.
    pub(crate) async fn raw(&self, message: Message) {
        let _ = self.said.send(message).await;
    }

    /// The next text message that is told; null once the socket is closed.
    pub(crate) async fn told(&mut self) -> Value {
        let told = timeout(PATIENCE, self.told.recv()).await;
        told.expect("something is told").unwrap_or_default()
    }

    /// The machine is switched off: no farewell.
    pub(crate) fn vanishes(self) {
        self.line.abort();
    }
}

struct Line {
    socket: Socket,
    coder: Option<(OpusEncoder, OpusDecoder)>,
    tone: Tone,
    ear: Ear,
}

impl Line {
    async fn run(
        mut self,
        mut saying: mpsc::Receiver<Message>,
        telling: mpsc::UnboundedSender<Value>,
    ) {
        let mut tick = interval(Duration::from_millis(20));
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        loop {
            let message = tokio::select! {
                _ = tick.tick() => self.hum(),
                Some(message) = saying.recv() => message,
                message = self.socket.0.next() => {
                    match message {
                        Some(Ok(Message::Text(text))) => {
                            let told = serde_json::from_str(&text).unwrap();
                            let _ = telling.send(told);
                        }
                        Some(Ok(Message::Binary(audio))) => self.hear(&audio),
                        Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                        Some(Ok(_)) => {}
                    }
                    continue;
                }
            };
            if self.socket.0.send(message).await.is_err() {
                // What it was told before is still to be read.
                while let Some(Ok(message)) = self.socket.0.next().await {
                    if let Message::Text(text) = message {
                        let _ = telling.send(serde_json::from_str(&text).unwrap());
                    }
                }
                return;
            }
        }
    }

    fn hum(&mut self) -> Message {
        let frame = self.tone.frame();
        let mut bytes = Vec::new();
        match &mut self.coder {
            Some((encoder, _)) => {
                encoder.encode_append(&frame, &mut bytes).unwrap();
            }
            None => bytes.extend(frame.iter().flat_map(|sample| sample.to_le_bytes())),
        }
        Message::Binary(bytes.into())
    }

    fn hear(&mut self, audio: &[u8]) {
        let mut pcm = Vec::new();
        match &mut self.coder {
            Some((_, decoder)) => {
                decoder.decode_append(Some(audio), &mut pcm).unwrap();
            }
            None => pcm.extend(
                audio
                    .chunks_exact(2)
                    .map(|sample| i16::from_le_bytes([sample[0], sample[1]])),
            ),
        }
        assert_eq!(pcm.len(), 960, "20 ms a message");
        self.ear.hear(&pcm);
    }
}
