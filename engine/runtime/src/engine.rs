//! The engine: what all calls share.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sidetone_core::{
    call::Call,
    config::{AgentConfig, CallConfig, ConfigError, TurnModel},
    dialect::Dialect,
    handoff::CallState,
    job::{JobFailure, Service},
    suppression::{MakeNoiseSuppressor, NoiseSuppressor},
    vad::{MakeVad, Vad},
};
use sidetone_speech::{Llm, Stt, Tts, TurnDetector, vad::EarshotVad};
use thiserror::Error;
use tokio::{
    sync::{Semaphore, broadcast, mpsc, watch},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument as _, info_span, warn};

use crate::{
    ask::{self, AskError, Question},
    driver::{Driver, Parts},
    event_log::EventLog,
    events::{CallId, EventRecord, EventStream, Outlets, Reporter},
    handle::{AcceptOptions, CONTROLS, CallHandle},
    jobs::{Jobs, Services},
    leg::{Leg, LegLimits},
    people::People,
    transport::Transport,
};

/// How many events a subscription to one call may be behind.
const CALL_EVENTS: usize = 128;
/// How many events a subscription to all calls may be behind.
const ENGINE_EVENTS: usize = 4_096;

/// Answers calls. Clones are handles of the same engine.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    config: Arc<CallConfig>,
    limits: LegLimits,
    services: Services,
    vad: MakeVad,
    noise_suppressor: Option<MakeNoiseSuppressor>,
    events: broadcast::Sender<Arc<EventRecord>>,
    log: Option<EventLog>,
    calls: TaskTracker,
    running: Arc<Running>,
    shutdown: CancellationToken,
}

/// The calls that go on, by id.
#[derive(Default)]
struct Running(Mutex<HashMap<CallId, CallHandle>>);

impl Running {
    fn calls(&self) -> std::sync::MutexGuard<'_, HashMap<CallId, CallHandle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The call of `handle` is found by its id from now on, unless another has that id.
    fn register(self: &Arc<Self>, handle: &CallHandle) -> Option<Registration> {
        let call_id = handle.id().clone();
        match self.calls().entry(call_id.clone()) {
            Entry::Occupied(_) => None,
            Entry::Vacant(vacant) => {
                vacant.insert(handle.later());
                let running = Arc::clone(self);
                Some(Registration { call_id, running })
            }
        }
    }
}

/// A call is found by its id while this is held.
pub(crate) struct Registration {
    call_id: CallId,
    running: Arc<Running>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.running.calls().remove(&self.call_id);
    }
}

impl Engine {
    /// Begins with nothing but defaults.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    /// Answers the call on `transport`, whose leg speaks `dialect`, in a task of its own.
    ///
    /// # Panics
    ///
    /// If called outside a tokio runtime.
    pub fn accept(&self, transport: impl Transport, dialect: impl Dialect + 'static) -> CallHandle {
        self.accept_with(transport, dialect, AcceptOptions::new())
    }

    /// Like [`accept`](Self::accept), with options for this call.
    ///
    /// # Panics
    ///
    /// If called outside a tokio runtime.
    pub fn accept_with(
        &self,
        transport: impl Transport,
        dialect: impl Dialect + 'static,
        options: AcceptOptions,
    ) -> CallHandle {
        let shared = &self.shared;
        let call_id = options.call_id.unwrap_or_else(CallId::random);
        let config = match options.agent {
            Some(agent) => Arc::new(CallConfig {
                agent,
                ..(*shared.config).clone()
            }),
            None => Arc::clone(&shared.config),
        };
        let (to_call, _) = broadcast::channel(CALL_EVENTS);
        let (controller, controls) = mpsc::channel(CONTROLS);
        let (summary, ended) = watch::channel(None);
        let (state, watched) = watch::channel(CallState::default());
        let people = People::new(controller.downgrade());
        let handle = CallHandle::new(call_id.clone(), controller, &to_call, watched, ended);
        let registration = shared.running.register(&handle);
        let span = info_span!("call", id = %call_id);
        let outlets = Outlets {
            to_call,
            to_engine: shared.events.clone(),
            log: shared.log.clone(),
            summary,
            active: Some((registration, shared.calls.token())),
        };
        let mut call = Call::new(config, (shared.vad)())
            .hearing_people(Arc::clone(&shared.vad))
            .continuing(options.conversation);
        if let Some(make) = &shared.noise_suppressor {
            call = call.suppressing_noise(make());
        }
        let driver = Driver::new(Parts {
            call,
            dialect: Box::new(dialect),
            authorize: options.authorize,
            leg: Leg::new(transport, shared.limits),
            jobs: Jobs::new(shared.services.clone()),
            controls,
            people,
            state,
            shutdown: shared.shutdown.clone(),
            reporter: Reporter::new(call_id, outlets),
        });
        tokio::spawn(driver.run().instrument(span));
        handle
    }

    /// Subscribes to the events of all calls, from now on.
    #[must_use]
    pub fn events(&self) -> EventStream {
        EventStream::from(self.shared.events.subscribe())
    }

    /// Who the agent is in calls that are not told otherwise.
    #[must_use]
    pub fn agent(&self) -> &AgentConfig {
        &self.shared.config.agent
    }

    /// The call of this id, while it goes on. Its events begin with the next.
    #[must_use]
    pub fn call(&self, id: &CallId) -> Option<CallHandle> {
        self.shared.running.calls().get(id).map(CallHandle::later)
    }

    /// All calls that go on, in no order. Their events begin with the next.
    #[must_use]
    pub fn calls(&self) -> Vec<CallHandle> {
        let calls = self.shared.running.calls();
        calls.values().map(CallHandle::later).collect()
    }

    /// How many calls there are now.
    #[must_use]
    pub fn active_calls(&self) -> usize {
        self.shared.calls.len()
    }

    /// Gets the services ready, so that the first call is as quick as the next.
    ///
    /// # Errors
    ///
    /// Names the services that cannot be used right now, and why. Calls may be accepted all the
    /// same.
    pub async fn warm_up(&self) -> Result<(), WarmUpError> {
        let Services {
            stt,
            llm,
            tts,
            turn_detector,
            ..
        } = &self.shared.services;
        let turn_detector = async {
            match turn_detector {
                Some(turn_detector) => turn_detector.warm_up().await,
                None => Ok(()),
            }
        };
        let (stt, llm, tts, turn) =
            tokio::join!(stt.warm_up(), llm.warm_up(), tts.warm_up(), turn_detector);
        let failures: Vec<_> = [
            (Service::Stt, stt),
            (Service::Llm, llm),
            (Service::Tts, tts),
            (Service::Turn, turn),
        ]
        .into_iter()
        .filter_map(|(service, result)| result.err().map(|failure| (service, failure)))
        .collect();
        if failures.is_empty() {
            Ok(())
        } else {
            Err(WarmUpError { failures })
        }
    }

    /// Asks the language model something beside the calls, and waits for the whole answer.
    ///
    /// # Errors
    ///
    /// [`AskError`] says why there is none.
    pub async fn ask(&self, question: Question) -> Result<String, AskError> {
        ask::ask(&self.shared.services.llm, question).await
    }

    /// Ends the engine's work: waits until every call has ended by itself, hangs up those that
    /// have not within `patience`, and writes the event log out. Calls accepted from then on are
    /// hung up at once.
    pub async fn drain(&self, patience: Duration) {
        let Shared {
            calls,
            shutdown,
            log,
            ..
        } = &*self.shared;
        calls.close();
        // Whether or not they ended by themselves, none goes on.
        let _ = timeout(patience, calls.wait()).await;
        shutdown.cancel();
        calls.wait().await;
        if let Some(log) = log
            && let Err(error) = log.flush().await
        {
            warn!(%error, "events are lost");
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("active_calls", &self.active_calls())
            .finish_non_exhaustive()
    }
}

/// Puts an [`Engine`] together. The first three services are required.
#[derive(Default)]
#[must_use]
pub struct EngineBuilder {
    stt: Option<Arc<dyn Stt>>,
    llm: Option<Arc<dyn Llm>>,
    tts: Option<Arc<dyn Tts>>,
    turn_detector: Option<Arc<dyn TurnDetector>>,
    vad: Option<MakeVad>,
    noise_suppressor: Option<MakeNoiseSuppressor>,
    config: CallConfig,
    limits: LegLimits,
    log: Option<EventLog>,
}

impl EngineBuilder {
    /// Who recognises speech.
    pub fn stt(mut self, stt: Arc<dyn Stt>) -> Self {
        self.stt = Some(stt);
        self
    }

    /// Who answers.
    pub fn llm(mut self, llm: Arc<dyn Llm>) -> Self {
        self.llm = Some(llm);
        self
    }

    /// Who speaks the answers.
    pub fn tts(mut self, tts: Arc<dyn Tts>) -> Self {
        self.tts = Some(tts);
        self
    }

    /// Who judges whether a turn is complete. Required with `endpointing.model`. Default: nobody.
    pub fn turn_detector(mut self, turn_detector: Arc<dyn TurnDetector>) -> Self {
        self.turn_detector = Some(turn_detector);
        self
    }

    /// Makes the voice activity detector of each call. Default: [`EarshotVad`].
    pub fn vad(mut self, make: impl Fn() -> Box<dyn Vad> + Send + Sync + 'static) -> Self {
        self.vad = Some(Arc::new(make));
        self
    }

    /// Makes what takes the noise out of the caller's audio before the detector hears it. Default:
    /// nothing does.
    pub fn noise_suppressor(
        mut self,
        make: impl Fn() -> Box<dyn NoiseSuppressor> + Send + Sync + 'static,
    ) -> Self {
        self.noise_suppressor = Some(Arc::new(make));
        self
    }

    /// How calls are held. Default: [`CallConfig::default`].
    pub fn config(mut self, config: CallConfig) -> Self {
        self.config = config;
        self
    }

    /// What a leg may cost. Default: [`LegLimits::default`].
    pub fn limits(mut self, limits: LegLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Also writes every call's events to this log.
    pub fn event_log(mut self, log: EventLog) -> Self {
        self.log = Some(log);
        self
    }

    /// The engine.
    ///
    /// # Errors
    ///
    /// Names the part that is missing or the setting that cannot be used.
    pub fn build(self) -> Result<Engine, BuildError> {
        self.config.validate()?;
        let max_eager = usize::try_from(self.config.eager.max_jobs).unwrap_or(usize::MAX);
        let services = Services {
            stt: self.stt.ok_or(BuildError::Missing { part: "stt" })?,
            llm: self.llm.ok_or(BuildError::Missing { part: "llm" })?,
            tts: self.tts.ok_or(BuildError::Missing { part: "tts" })?,
            turn_detector: self.turn_detector,
            eager: Arc::new(Semaphore::new(max_eager)),
        };
        let can = services.stt.capabilities();
        for (key, wanted, can) in [
            (
                "stt.partial_interval_ms",
                self.config.partials.interval_ms > 0,
                can.partials,
            ),
            (
                "agent.detect_language",
                self.config.agent.detect_language,
                can.detects_language,
            ),
        ] {
            if wanted && !can {
                return Err(BuildError::Unsupported { key });
            }
        }
        if self.config.endpointing.model != TurnModel::None && services.turn_detector.is_none() {
            return Err(BuildError::Missing {
                part: "turn_detector",
            });
        }
        let shared = Shared {
            config: Arc::new(self.config),
            limits: self.limits,
            services,
            vad: self
                .vad
                .unwrap_or_else(|| Arc::new(|| Box::new(EarshotVad::new()))),
            noise_suppressor: self.noise_suppressor,
            events: broadcast::channel(ENGINE_EVENTS).0,
            log: self.log,
            calls: TaskTracker::new(),
            running: Arc::default(),
            shutdown: CancellationToken::new(),
        };
        Ok(Engine {
            shared: Arc::new(shared),
        })
    }
}

impl fmt::Debug for EngineBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineBuilder")
            .field("config", &self.config)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Why there is no engine.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A service was not given.
    #[error("an engine needs `{part}`: call EngineBuilder::{part} before build")]
    Missing {
        /// The name of the builder's method.
        part: &'static str,
    },
    /// A setting cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A setting asks for what the recogniser cannot do.
    #[error("`{key}` is set, but this speech recogniser (or its model) cannot do that")]
    Unsupported {
        /// The setting, `section.key`.
        key: &'static str,
    },
}

/// Some services cannot be used right now.
#[derive(Debug, Error)]
pub struct WarmUpError {
    /// Each of them, with the reason.
    pub failures: Vec<(Service, JobFailure)>,
}

impl fmt::Display for WarmUpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not ready:")?;
        for (index, (service, failure)) in self.failures.iter().enumerate() {
            let separator = if index == 0 { "" } else { ";" };
            write!(f, "{separator} {service}: {}", failure.detail)?;
        }
        Ok(())
    }
}
