//! The engine: what all calls share.

use std::{fmt, sync::Arc, time::Duration};

use sidetone_core::{
    call::Call,
    config::{CallConfig, ConfigError, TurnModel},
    dialect::Dialect,
    job::{JobFailure, Service},
    vad::Vad,
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
    driver::{Driver, Parts},
    event_log::EventLog,
    events::{CallId, EventRecord, EventStream, Outlets, Reporter},
    handle::{AcceptOptions, COMMANDS, CallHandle},
    jobs::{Jobs, Services},
    leg::{Leg, LegLimits},
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

type MakeVad = Box<dyn Fn() -> Box<dyn Vad> + Send + Sync>;

struct Shared {
    config: Arc<CallConfig>,
    limits: LegLimits,
    services: Services,
    vad: MakeVad,
    events: broadcast::Sender<Arc<EventRecord>>,
    log: Option<EventLog>,
    calls: TaskTracker,
    shutdown: CancellationToken,
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
        let call_id = CallId::random();
        let (to_call, _) = broadcast::channel(CALL_EVENTS);
        let (commander, commands) = mpsc::channel(COMMANDS);
        let (summary, ended) = watch::channel(None);
        let handle = CallHandle::new(call_id.clone(), commander, &to_call, ended);
        let span = info_span!("call", id = %call_id);
        let outlets = Outlets {
            to_call,
            to_engine: shared.events.clone(),
            log: shared.log.clone(),
            summary,
            active: Some(shared.calls.token()),
        };
        let driver = Driver::new(Parts {
            call: Call::new(Arc::clone(&shared.config), (shared.vad)()),
            dialect: Box::new(dialect),
            authorize: options.authorize,
            leg: Leg::new(transport, shared.limits),
            jobs: Jobs::new(shared.services.clone()),
            commands,
            shutdown: shared.shutdown.clone(),
            reporter: Reporter::new(call_id, outlets),
        });
        tokio::spawn(driver.run().instrument(span));
        handle
    }

    /// Subscribes to the events of all calls, from now on.
    #[must_use]
    pub fn events(&self) -> EventStream {
        EventStream::new(self.shared.events.subscribe())
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
        self.vad = Some(Box::new(make));
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
                .unwrap_or_else(|| Box::new(|| Box::new(EarshotVad::new()))),
            events: broadcast::channel(ENGINE_EVENTS).0,
            log: self.log,
            calls: TaskTracker::new(),
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
