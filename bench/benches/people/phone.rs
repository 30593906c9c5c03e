//! A simulated phone, with Twilio's buffer between the socket and the ear.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use sidetone_cli::phone::{
    Actions, CallIdentity, Entry, FromEngine, RATE, Target, Telephone, Writer, hold, read,
};
use sidetone_codecs::g711::mulaw;
use sidetone_core::{sim::PlayoutBuffer, time::CallTime};
use tokio::{sync::mpsc, task::JoinHandle, time::Instant};

use crate::{
    ear::{Change, Ear, Mouth, Says},
    server::Server,
};

const FRAME: Duration = Duration::from_millis(20);

/// Somebody on the phone.
pub(crate) struct Caller {
    /// The call's id in the engine.
    pub(crate) call: String,
    /// What is heard.
    pub(crate) hears: mpsc::UnboundedReceiver<Change>,
    /// When bursts were spoken.
    pub(crate) spoke: mpsc::UnboundedReceiver<Instant>,
    underruns: Arc<AtomicU64>,
    hang_up: Arc<AtomicBool>,
    line: JoinHandle<()>,
}

impl Caller {
    /// Calls, and waits until the call has begun.
    pub(crate) async fn call(server: &Server, says: Says) -> Self {
        let identity = CallIdentity::random(None);
        let target = Target {
            entry: Entry::Webhook(format!("http://{}/twilio/voice", server.addr)),
            connect: Some(server.addr.to_string()),
            auth_token: None,
        };
        let (ear, hears) = Ear::new(RATE.hz());
        let (speaks, spoke) = mpsc::unbounded_channel();
        let (underruns, hang_up) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let mut phone = Phone {
            writer: Writer::new(identity.clone()),
            stream_sid: identity.stream_sid.clone(),
            began: Instant::now(),
            frames: 0,
            mouth: Mouth::new(says, RATE.hz()),
            speaks,
            far_end: PlayoutBuffer::new(RATE),
            heard: 0,
            ear,
            underruns: Arc::clone(&underruns),
            hang_up: Arc::clone(&hang_up),
        };
        let call_sid = identity.call_sid.clone();
        let line = tokio::spawn(async move {
            let held = hold(&target, &identity, &mut phone, |_, _| {}).await;
            held.expect("the server takes calls");
        });
        Self {
            call: server.call_id(&call_sid).await,
            hears,
            spoke,
            underruns,
            hang_up,
            line,
        }
    }

    /// How often the ear ran dry within a stretch of speech.
    pub(crate) fn underruns(&self) -> u64 {
        self.underruns.load(Ordering::Relaxed)
    }

    pub(crate) async fn hangs_up(self) {
        self.hang_up.store(true, Ordering::Relaxed);
        self.line.await.expect("the phone does not fail");
    }
}

struct Phone {
    writer: Writer,
    stream_sid: String,
    began: Instant,
    /// Sent so far.
    frames: u32,
    mouth: Mouth,
    speaks: mpsc::UnboundedSender<Instant>,
    far_end: PlayoutBuffer,
    /// Samples heard so far.
    heard: u64,
    ear: Ear,
    underruns: Arc<AtomicU64>,
    hang_up: Arc<AtomicBool>,
}

impl Telephone for Phone {
    fn start(&mut self, parameters: &BTreeMap<String, String>, actions: &mut Actions) {
        self.began = Instant::now();
        actions.send.push(self.writer.connected());
        actions.send.push(self.writer.start(parameters));
    }

    fn receive(&mut self, now: CallTime, text: &str, actions: &mut Actions) {
        self.listen(now, actions);
        match read(text, &self.stream_sid) {
            Ok(FromEngine::Media(codes)) => {
                let pcm: Vec<i16> = codes.iter().map(|code| mulaw::decode(*code)).collect();
                self.far_end.media(now, &pcm);
            }
            Ok(FromEngine::Mark(name)) => self.far_end.mark(now, name.into_owned()),
            Ok(FromEngine::Clear) => self.far_end.clear(now),
            Err(error) => panic!("the engine sends what Twilio refuses: {error}"),
        }
        self.listen(now, actions);
    }

    fn receive_binary(&mut self, _: CallTime, _: &mut Actions) {
        panic!("the engine sends what Twilio refuses: a binary message");
    }

    fn advance(&mut self, now: CallTime, actions: &mut Actions) {
        self.listen(now, actions);
        while self.next_frame_at() <= now {
            let (pcm, begins) = self.mouth.next();
            let spoken = self.began + FRAME * self.frames;
            if let Some(begins) = begins {
                // Nobody may want to know.
                let _ = self.speaks.send(spoken + begins);
            }
            let timestamp = u64::from(self.frames) * 20;
            actions.send.push(self.writer.media(timestamp, &pcm));
            self.frames += 1;
        }
        if self.hang_up.load(Ordering::Relaxed) {
            actions.send.push(self.writer.stop());
            actions.hang_up = true;
        }
    }

    fn deadline(&self) -> CallTime {
        let frame = self.next_frame_at();
        let mark = self.far_end.next_mark_at();
        mark.map_or(frame, |mark| mark.min(frame))
    }
}

impl Phone {
    /// A frame is sent when its last sample was spoken.
    fn next_frame_at(&self) -> CallTime {
        CallTime::ZERO + FRAME * (self.frames + 1)
    }

    fn listen(&mut self, now: CallTime, actions: &mut Actions) {
        let (mut heard, mut marks) = (Vec::new(), Vec::new());
        self.far_end.advance(now, &mut heard, &mut marks);
        let from = Duration::from_micros(self.heard * 1_000_000 / u64::from(RATE.hz()));
        self.heard += heard.len() as u64;
        self.ear.hear(self.began + from, &heard);
        let marks = marks.iter().map(|(_, name)| self.writer.mark(name));
        actions.send.extend(marks);
        self.underruns
            .store(self.far_end.underruns(), Ordering::Relaxed);
    }
}
