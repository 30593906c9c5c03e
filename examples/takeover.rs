//! A person takes a call over from the agent, speaks with the caller, and hands it back.
//!
//! Everything is on this machine, without keys and without a network: a simulated phone calls, and Paul, a
//! supervisor whose microphone is two recordings, sits in this very program. He listens first, and nobody
//! hears him; takes the call over in the middle of the agent's sentence; reads a number out, which the
//! caller confirms; and hands back to the agent, which knows what was said. The program ends with an error if
//! anybody heard something else than they should have:
//!
//! ```sh
//! cargo run --example takeover
//! ```
//!
//! The agent's voice is `espeak-ng`, which must be installed.
#![allow(clippy::print_stdout, reason = "what an example shows, it prints")]

use std::{collections::BTreeMap, error::Error, path::Path, sync::Arc, time::Duration};

use sidetone::{
    Engine, EventRecord, EventStream, PersonLeg,
    core::{
        conversation::Role,
        dialect::twilio::Twilio,
        event::CallEvent,
        job::{LlmEvent, LlmJob},
        person::{Join, Mode, PersonOutput},
    },
    speech::{
        JobHandle, Llm, Sink,
        stt::whisper::{Whisper, WhisperConfig},
        tts::{CommandTts, CommandTtsConfig},
    },
    transport,
};
use sidetone_cli::phone;
use sidetone_codecs::SampleRate;
use tokio::{
    net::TcpListener,
    sync::mpsc,
    time::{MissedTickBehavior, interval, sleep},
};

type Audio = Arc<[i16]>;

/// Keeps the caller waiting, and knows what was said while a colleague had the call.
struct Clerk;

impl Llm for Clerk {
    fn start(&self, job: LlmJob, sink: Sink<LlmEvent>) -> JobHandle {
        JobHandle::spawn(async move {
            let (text, hang_up) = answer(&job);
            // A call that is over listens to nothing; there is nobody left to tell.
            if sink.send(LlmEvent::Delta { text }).await.is_ok() {
                let _ = sink.send(LlmEvent::Done { hang_up }).await;
            }
        })
    }
}

/// What the agent says, and whether it hangs up then. A language model reads the same messages.
fn answer(job: &LlmJob) -> (String, bool) {
    let said_by = |role| job.messages.iter().rfind(|message| message.role == role);
    match (said_by(Role::Person), said_by(Role::Caller)) {
        (Some(colleague), Some(caller)) => {
            let name = colleague.name.as_deref().unwrap_or("My colleague");
            let (asked, answered) = (&colleague.text, &caller.text);
            let text = format!(
                "I am with you again. {name} asked: {asked}. You said: {answered}. So be it. Goodbye."
            );
            (text, true)
        }
        _ => {
            let text = "Let me see. I am looking for your order in every warehouse that we have, and \
                        that may well take me a little while.";
            (text.into(), false)
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let hears = Whisper::load(WhisperConfig::new(sidetone_models::resolve("demo")?))?;
    let speaks = CommandTts::new(CommandTtsConfig::espeak(None))?;
    let engine = Engine::builder()
        .stt(Arc::new(hears))
        .llm(Arc::new(Clerk))
        .tts(Arc::new(speaks))
        .build()?;
    engine.warm_up().await?;
    let question = load("annie/where-is-my-order.wav")?;
    let yes = load("annie/yes.wav")?;
    let hold_on = load("paul/hold-on.wav")?;
    let number = load("paul/four-two-seven-one.wav")?;

    // Somebody calls, and the engine answers.
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("ws://{}/", listener.local_addr()?);
    let caller = tokio::spawn(talk(url, question, Arc::clone(&yes)));
    let (stream, _) = listener.accept().await?;
    let socket = tokio_tungstenite::accept_async(stream).await?;
    let call = engine.accept(transport::tungstenite(socket), Twilio::default());
    let mut events = Events {
        events: call.events(),
        agent_spoke_ms: Vec::new(),
        paul_said: String::new(),
    };

    // The agent begins to answer. Paul listens to it; what he says nobody hears.
    events.until(is_speaking).await?;
    let leg = call
        .join(Join {
            name: "Paul".into(),
            mode: Mode::Monitor,
            rank: 1,
            rate: SampleRate::HZ_8000,
        })
        .await?;
    let paul = leg.id();
    let (says, lines) = mpsc::unbounded_channel();
    let headset = tokio::spawn(wear_headset(leg, lines));
    says.send(Arc::clone(&hold_on))?;
    sleep(Duration::from_secs(2)).await;

    // He takes over in the middle of the agent's sentence, which stops in that moment.
    call.set_mode(paul, Mode::Takeover).await?;
    let taken_over = events.until(is_handoff).await?;
    says.send(Arc::clone(&number))?;
    events.until(is_callers).await?;

    // He hands back, and leaves. The agent knows what was said.
    call.set_mode(paul, Mode::Monitor).await?;
    let handed_back = events.until(is_handoff).await?;
    let last_words = events.until(is_finished).await?;
    let paul_heard = {
        drop(says);
        headset.await?
    };
    events.until(is_over).await?;
    let caller_heard = caller.await??;

    let CallEvent::AgentFinished { heard, .. } = &last_words.event else {
        return Err("the agent did not go on".into());
    };
    let knows = !events.paul_said.is_empty() && heard.contains(&events.paul_said);
    ensure(knows, "the agent knows what Paul said")?;
    let alone = taken_over.at_ms..=handed_back.at_ms;
    let spoke = |at: &u64| alone.contains(at);
    ensure(
        !events.agent_spoke_ms.iter().any(spoke),
        "the agent is silent while Paul has the call",
    )?;
    println!();
    for (who, ear, what, recording, is_to_hear) in [
        (
            "the caller",
            &caller_heard,
            "Paul while he listened",
            &hold_on,
            false,
        ),
        ("the caller", &caller_heard, "Paul's number", &number, true),
        ("Paul", &paul_heard, "the caller's answer", &yes, true),
        ("Paul", &paul_heard, "himself", &number, false),
    ] {
        let has_heard = is_in(recording, ear);
        let verb = if has_heard { "heard" } else { "did not hear" };
        println!("{who} {verb} {what}");
        ensure(has_heard == is_to_hear, "everybody hears what they should")?;
    }
    Ok(())
}

fn ensure(holds: bool, what: &str) -> Result<(), String> {
    if holds {
        Ok(())
    } else {
        Err(format!("it is not so that {what}"))
    }
}

fn is_speaking(event: &CallEvent) -> bool {
    matches!(event, CallEvent::AgentSpeaking { .. })
}

fn is_finished(event: &CallEvent) -> bool {
    matches!(event, CallEvent::AgentFinished { .. })
}

fn is_handoff(event: &CallEvent) -> bool {
    matches!(event, CallEvent::Handoff { .. })
}

fn is_callers(event: &CallEvent) -> bool {
    matches!(event, CallEvent::TranscriptFinal { .. })
}

fn is_over(event: &CallEvent) -> bool {
    matches!(event, CallEvent::CallEnded { .. })
}

/// What happens on the call, printed as it happens.
struct Events {
    events: EventStream,
    /// When the agent's turns were first heard.
    agent_spoke_ms: Vec<u64>,
    paul_said: String,
}

impl Events {
    /// The next event that is wanted.
    async fn until(
        &mut self,
        is_wanted: fn(&CallEvent) -> bool,
    ) -> Result<Arc<EventRecord>, Box<dyn Error>> {
        loop {
            let record = self
                .events
                .recv()
                .await
                .ok_or("the call ended too soon")??;
            let at = Duration::from_millis(record.at_ms).as_secs_f64();
            match &record.event {
                CallEvent::TranscriptFinal { text, .. } => println!("{at:>6.2} s  caller  {text}"),
                CallEvent::AgentFinished { heard, .. } => println!("{at:>6.2} s  agent   {heard}"),
                CallEvent::PersonSaid { name, text, .. } => {
                    println!("{at:>6.2} s  {name}    {text}");
                    self.paul_said.clone_from(text);
                }
                CallEvent::PersonJoined { name, mode, .. } => {
                    println!("{at:>6.2} s  {name} joins: {mode}");
                }
                CallEvent::PersonMode { mode, .. } => {
                    println!("{at:>6.2} s  Paul changes over: {mode}");
                }
                CallEvent::PersonLeft { .. } => println!("{at:>6.2} s  Paul leaves"),
                CallEvent::AgentSpeaking { .. } => self.agent_spoke_ms.push(record.at_ms),
                _ => {}
            }
            if is_wanted(&record.event) {
                return Ok(record);
            }
        }
    }
}

/// Paul, until there is nothing more for him to say: speaks what comes through `lines`, 20 ms at a time and
/// silence between, and gives back what he heard. Then his leg is dropped, which takes him off the call.
async fn wear_headset(leg: PersonLeg, mut lines: mpsc::UnboundedReceiver<Audio>) -> Vec<i16> {
    /// 20 ms.
    const FRAME: usize = 160;
    let (mut speaks, mut listens) = leg.split();
    let (mut saying, mut heard) = (Vec::new(), Vec::new());
    let mut tick = interval(Duration::from_millis(20));
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    loop {
        tokio::select! {
            _ = tick.tick() => {
                let now = saying.len().min(FRAME);
                let mut frame: Vec<i16> = saying.drain(..now).collect();
                frame.resize(FRAME, 0);
                speaks.send_audio(&frame);
            }
            line = lines.recv() => match line {
                Some(line) => saying.extend_from_slice(&line),
                None => return heard,
            },
            output = listens.recv() => match output {
                Some(PersonOutput::Audio { pcm }) => heard.extend(pcm),
                Some(_) => {}
                None => return heard,
            },
        }
    }
}

/// The caller: asks, says yes to whoever speaks then, and listens to the end. What they heard.
async fn talk(url: String, question: Audio, yes: Audio) -> Result<Vec<i16>, String> {
    let then = phone::When::AgentSilenceMs(1_000);
    let script = phone::Script::new(vec![
        phone::Line::new("where is my order", question, phone::When::PauseMs(1_000)),
        phone::Line::new("yes", yes, then),
    ]);
    let target = phone::Target {
        entry: phone::Entry::Stream(url, BTreeMap::new()),
        connect: None,
        auth_token: None,
    };
    let identity = phone::CallIdentity::random(None);
    let report = phone::call(&target, Arc::new(script), identity, true, |_, _| {}).await;
    let report = report.map_err(|error| error.to_string())?;
    report
        .audio
        .map(|audio| audio.agent)
        .ok_or_else(|| "the phone kept no audio".into())
}

fn load(file: &str) -> Result<Audio, phone::ScenarioError> {
    let callers = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/callers"));
    phone::load_audio(&callers.join(file))
}

/// Whether a recording is to be heard in `audio`: its loudest tenth of a second, at any volume (normalised
/// cross-correlation).
fn is_in(recording: &[i16], audio: &[i16]) -> bool {
    const LEN: usize = 800;
    const ALIKE: f64 = 0.9;
    let energy = |pcm: &[i16]| -> f64 { pcm.iter().map(|s| f64::from(*s).powi(2)).sum() };
    let Some(sought) = recording
        .chunks_exact(LEN)
        .max_by(|a, b| energy(a).total_cmp(&energy(b)))
    else {
        return false;
    };
    let loudness = energy(sought);
    audio.windows(LEN).any(|window| {
        let heard = energy(window);
        // Most of a call is silence.
        if heard < loudness / 100.0 {
            return false;
        }
        let pairs = window.iter().zip(sought);
        let product: f64 = pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        product / (heard * loudness).sqrt() > ALIKE
    })
}
