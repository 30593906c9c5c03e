//! A scenario at real pace, through the real server and a real socket.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sidetone::Engine;
use sidetone_cli::phone::{
    Actions, CallIdentity, Entry, FromEngine, Target, Telephone, Writer, hold, read,
};
use sidetone_core::{
    conversation::{Message, Role},
    dialect::Outbound,
    event::{CallEvent, EndReason, TurnId},
    job::{Job, JobEvent, LlmEvent, LlmJob, SttEvent, SttJob, TtsEvent, TtsJob},
    time::CallTime,
};
use sidetone_server::{Config, Server};
use sidetone_speech::{JobHandle, Llm, Sink, Stt, Tts, stt::SttCapabilities, vad::EarshotVad};
use tokio::time::{Instant, sleep_until};

use super::{
    clips::Clips,
    file::Scenario,
    phone::{FromPhone, Phone},
    played::Played,
    services::{Later, Services, agent_phrases},
    voice::AgentVoice,
};

/// What the phone and the services of a call share.
struct Stage {
    phone: Phone,
    voice: AgentVoice,
    services: Services,
}

type Shared = Arc<Mutex<Stage>>;

fn lock(stage: &Shared) -> MutexGuard<'_, Stage> {
    stage.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scenario {
    /// Holds the conversation at real pace with a server of its own on the loopback interface.
    /// What the program around the engine does is left out.
    ///
    /// # Errors
    ///
    /// The server does not start, or the call does not come about.
    pub async fn play_live(&self, clips: &mut Clips) -> io::Result<Played> {
        let stage = Arc::new(Mutex::new(Stage {
            phone: Phone::new(self, clips).map_err(io::Error::other)?,
            voice: AgentVoice::new(clips).map_err(io::Error::other)?,
            services: Services::new(self.services.clone(), self.answers.clone()),
        }));
        let mut config = self.config.clone();
        config.phrases = agent_phrases(clips).map_err(io::Error::other)?;
        let speech = Arc::new(Speech(Arc::clone(&stage)));
        let engine = Engine::builder()
            .stt(speech.clone())
            .llm(speech.clone())
            .tts(speech)
            .vad(|| Box::new(EarshotVad::new()))
            .config(config)
            .build()
            .map_err(io::Error::other)?;
        let mut events = engine.events();
        let mut server = Config::default();
        server.server.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        server.server.insecure = true;
        let server = Server::start(&server, engine)
            .await
            .map_err(io::Error::other)?;
        let addr = server.addr();
        let target = Target {
            entry: Entry::Webhook(format!("http://{addr}/twilio/voice")),
            connect: Some(addr.to_string()),
            auth_token: None,
        };
        let identity = CallIdentity::random(None);
        let mut phone = LivePhone {
            stage: Arc::clone(&stage),
            stream_sid: identity.stream_sid.clone(),
            writer: Writer::new(identity.clone()),
            linger: Duration::from_millis(self.linger_ms),
            max: CallTime::from_millis(self.max_ms),
        };
        let mut played = Played::default();
        let (over, _) = hold(&target, &identity, &mut phone, |_, _| {})
            .await
            .map_err(io::Error::other)?;
        // The call ends when the server has seen the phone hang up.
        while let Some(record) = events.recv().await {
            let record = record.map_err(io::Error::other)?;
            let at = CallTime::from_millis(record.at_ms);
            played.event(at, record.event.clone());
            if let CallEvent::CallEnded { reason, .. } = record.event {
                let by_itself = reason != EndReason::CallerHungUp || phone.hangs_up();
                played.ended = by_itself.then_some((record.at_ms, reason));
                break;
            }
        }
        let stage = lock(&stage);
        played.shown = stage.services.shown().to_vec();
        played.conversation = conversation(&played);
        played.finish(self, &stage.phone, &stage.voice, over);
        Ok(played)
    }
}

/// The conversation as the events tell it: what the language model was shown last, and what the
/// caller heard after that.
fn conversation(played: &Played) -> Vec<Message> {
    let mut told: Vec<(TurnId, &str)> = Vec::new();
    for (_, event) in &played.events {
        match event {
            CallEvent::AgentInterrupted { turn, heard, .. }
            | CallEvent::AgentFinished { turn, heard } => {
                told.retain(|(told, _)| told != turn);
                told.push((*turn, heard));
            }
            CallEvent::AgentRetracted { turn } => told.retain(|(told, _)| told != turn),
            _ => {}
        }
    }
    told.retain(|(_, heard)| !heard.is_empty());
    let mut conversation = played.shown.last().cloned().unwrap_or_default();
    let mut agents = conversation.iter().rev();
    let latest = agents.find(|message| message.role == Role::Agent);
    let latest = latest.map(|message| message.text.clone());
    let known = told
        .iter()
        .rposition(|(_, heard)| Some(*heard) == latest.as_deref());
    let news = &told[known.map_or(0, |known| known + 1)..];
    conversation.extend(
        news.iter()
            .map(|(_, heard)| Message::new(Role::Agent, *heard)),
    );
    conversation
}

/// The phone at the end of a socket.
struct LivePhone {
    stage: Shared,
    stream_sid: String,
    writer: Writer,
    linger: Duration,
    max: CallTime,
}

impl LivePhone {
    /// The caller hung up because the scenario says so.
    fn hangs_up(&self) -> bool {
        lock(&self.stage).phone.has_hung_up()
    }

    fn send(&mut self, messages: Vec<FromPhone>, actions: &mut Actions) {
        for message in messages {
            match message {
                FromPhone::Audio(timestamp_ms, samples) => {
                    actions.send.push(self.writer.media(timestamp_ms, &samples));
                }
                FromPhone::Mark(name) => actions.send.push(self.writer.mark(&name)),
                FromPhone::Key(digit) => actions.send.push(self.writer.dtmf(digit)),
                FromPhone::HangUp => {
                    actions.send.push(self.writer.stop());
                    actions.hang_up = true;
                }
                // There is no program around this engine.
                FromPhone::Program(_) => {}
            }
        }
    }
}

impl Telephone for LivePhone {
    fn start(&mut self, parameters: &BTreeMap<String, String>, actions: &mut Actions) {
        actions.send.push(self.writer.connected());
        actions.send.push(self.writer.start(parameters));
    }

    fn receive(&mut self, now: CallTime, text: &str, actions: &mut Actions) {
        let message = match read(text, &self.stream_sid) {
            Ok(FromEngine::Media(payload)) => Outbound::Media { payload },
            Ok(FromEngine::Mark(name)) => Outbound::Mark { name: name.into() },
            Ok(FromEngine::Clear) => Outbound::Clear,
            // Twilio would not act on it either: what should have come of it is missed.
            Err(_) => return,
        };
        let mut out = Vec::new();
        {
            let stage = &mut *lock(&self.stage);
            stage
                .phone
                .receive(now, message, &mut stage.voice, &mut out);
        }
        self.send(out, actions);
    }

    fn receive_binary(&mut self, _now: CallTime, _actions: &mut Actions) {}

    fn advance(&mut self, now: CallTime, actions: &mut Actions) {
        let mut out = Vec::new();
        let is_over = {
            let stage = &mut *lock(&self.stage);
            stage.phone.advance(now, &mut stage.voice, &mut out);
            stage.phone.is_over(self.linger) || now >= self.max
        };
        self.send(out, actions);
        if is_over && !actions.hang_up {
            actions.send.push(self.writer.stop());
            actions.hang_up = true;
        }
    }

    fn deadline(&self) -> CallTime {
        lock(&self.stage).phone.deadline()
    }
}

/// The services of one call.
struct Speech(Shared);

impl Speech {
    /// What comes of `job`, and when.
    fn later<E>(&self, job: Job, pick: impl Fn(JobEvent) -> Option<E>) -> Vec<(Instant, E)> {
        let stage = &mut *lock(&self.0);
        let now = Instant::now();
        let events = stage.services.start(&job, &stage.phone, &mut stage.voice);
        let events = events.into_iter().filter_map(|(after_ms, event): Later| {
            Some((now + Duration::from_millis(after_ms), pick(event)?))
        });
        events.collect()
    }
}

fn report<E: Into<JobEvent> + Send + 'static>(
    events: Vec<(Instant, E)>,
    sink: Sink<E>,
) -> JobHandle {
    JobHandle::spawn(async move {
        for (at, event) in events {
            sleep_until(at).await;
            if sink.send(event).await.is_err() {
                return;
            }
        }
        // A service that says no more has not closed its connection.
        std::future::pending::<()>().await;
    })
}

impl Stt for Speech {
    fn capabilities(&self) -> SttCapabilities {
        SttCapabilities::default()
    }

    fn start(&self, job: SttJob, sink: Sink<SttEvent>) -> JobHandle {
        let events = self.later(Job::Stt(job), |event| match event {
            JobEvent::Stt(event) => Some(event),
            _ => None,
        });
        report(events, sink)
    }
}

impl Llm for Speech {
    fn start(&self, job: LlmJob, sink: Sink<LlmEvent>) -> JobHandle {
        let events = self.later(Job::Llm(job), |event| match event {
            JobEvent::Llm(event) => Some(event),
            _ => None,
        });
        report(events, sink)
    }
}

impl Tts for Speech {
    fn start(&self, job: TtsJob, sink: Sink<TtsEvent>) -> JobHandle {
        let events = self.later(Job::Tts(job), |event| match event {
            JobEvent::Tts(event) => Some(event),
            _ => None,
        });
        report(events, sink)
    }
}
