//! A person's browser: the leg's WebSocket, in Opus or PCM.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use sidetone_codecs::{OpusDecoder, OpusEncoder, OpusSettings, SampleRate};
use tokio::{
    net::TcpStream,
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest as _, http::HeaderValue},
};

use crate::{
    ear::{Change, Ear, Mouth, Says},
    server::Server,
};

const RATE: u32 = 48_000;
const FRAME: Duration = Duration::from_millis(20);

/// How a leg's audio is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Opus,
    Pcm,
}

/// A person with a browser on a call.
pub(crate) struct Person {
    /// What is heard.
    pub(crate) hears: mpsc::UnboundedReceiver<Change>,
    /// When bursts were spoken.
    pub(crate) spoke: mpsc::UnboundedReceiver<Instant>,
    asks: mpsc::UnboundedSender<Value>,
    line: JoinHandle<()>,
}

impl Person {
    /// Opens the leg of `call`, and speaks once it is on the call, as the console does.
    pub(crate) async fn joins(
        server: &Server,
        call: &str,
        mode: &str,
        format: Format,
        says: Says,
    ) -> Self {
        let url = format!("ws://{}/api/calls/{call}/leg", server.addr);
        let mut request = url.into_client_request().expect("it is a URL");
        let bearer = HeaderValue::try_from(format!("Bearer {}", server.tokens[0]));
        let bearer = bearer.expect("a token is text");
        request.headers_mut().insert("authorization", bearer);
        let stream = TcpStream::connect(server.addr).await;
        let stream = stream.expect("the server listens");
        stream.set_nodelay(true).expect("it is a socket");
        let (mut socket, _) = client_async(request, stream).await.expect("a leg");
        let audio = match format {
            Format::Opus => "opus",
            Format::Pcm => "pcm",
        };
        let join = json!({"type": "join", "mode": mode, "audio": audio, "rate": RATE});
        let joined = socket.send(Message::text(join.to_string())).await;
        joined.expect("the socket is open");
        let (ear, hears) = Ear::new(RATE);
        let (speaks, spoke) = mpsc::unbounded_channel();
        let (asks, asked) = mpsc::unbounded_channel();
        let line = Line {
            socket,
            coder: (format == Format::Opus).then(|| {
                let rate = SampleRate::HZ_48000;
                let encoder = OpusEncoder::new(rate, OpusSettings::default());
                let decoder = OpusDecoder::new(rate);
                (encoder.expect("48 kHz"), decoder.expect("48 kHz"))
            }),
            mouth: Mouth::new(says, RATE),
            speaks,
            ear,
        };
        Self {
            hears,
            spoke,
            asks,
            line: tokio::spawn(line.run(asked)),
        }
    }

    /// Presses a button.
    pub(crate) fn wants(&self, mode: &str) {
        let asked = self.asks.send(json!({"type": "mode", "mode": mode}));
        asked.expect("the leg is on the call");
    }

    /// The browser is gone, without a word.
    pub(crate) fn vanishes(self) {
        self.line.abort();
    }
}

struct Line {
    socket: WebSocketStream<TcpStream>,
    coder: Option<(OpusEncoder, OpusDecoder)>,
    mouth: Mouth,
    speaks: mpsc::UnboundedSender<Instant>,
    ear: Ear,
}

impl Line {
    async fn run(mut self, mut asked: mpsc::UnboundedReceiver<Value>) {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) if text.contains("joined") => break,
                Some(Ok(Message::Text(text))) => panic!("the leg may not join: {text}"),
                Some(Ok(_)) => {}
                _ => panic!("the leg is closed"),
            }
        }
        let mut tick = interval(FRAME);
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        loop {
            let message = tokio::select! {
                biased;
                Some(asked) = asked.recv() => Message::text(asked.to_string()),
                at = tick.tick() => self.speak(at),
                message = self.socket.next() => match message {
                    Some(Ok(Message::Binary(audio))) => {
                        self.hear(&audio);
                        continue;
                    }
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                    Some(Ok(_)) => continue,
                },
            };
            if self.socket.send(message).await.is_err() {
                return;
            }
        }
    }

    /// The frame whose last sample was spoken `at`.
    fn speak(&mut self, at: Instant) -> Message {
        let (pcm, begins) = self.mouth.next();
        if let Some(begins) = begins {
            // Nobody may want to know.
            let _ = self.speaks.send(at - FRAME + begins);
        }
        let mut bytes = Vec::new();
        match &mut self.coder {
            Some((encoder, _)) => {
                let encoded = encoder.encode_append(&pcm, &mut bytes);
                encoded.expect("a frame is 20 ms");
            }
            None => bytes.extend(pcm.iter().flat_map(|sample| sample.to_le_bytes())),
        }
        Message::Binary(bytes.into())
    }

    /// What comes is heard from now on: the page's own buffer is not counted.
    fn hear(&mut self, audio: &[u8]) {
        let mut pcm = Vec::new();
        match &mut self.coder {
            Some((_, decoder)) => {
                let decoded = decoder.decode_append(Some(audio), &mut pcm);
                decoded.expect("the server sends Opus");
            }
            None => {
                let samples = audio.as_chunks::<2>().0.iter();
                pcm.extend(samples.map(|sample| i16::from_le_bytes(*sample)));
            }
        }
        self.ear.hear(Instant::now(), &pcm);
    }
}
