//! What a judgement costs the turn detector, on one thread.

use std::{sync::Arc, time::Duration};

use sidetone_codecs::SampleRate;
use sidetone_core::job::{JobEvent, JobId, JobUpdate, TurnEvent, TurnJob};
use sidetone_speech::{
    Sink, TurnDetector,
    turn_detector::{SmartTurn, SmartTurnConfig},
};
use tokio::{runtime::Runtime, sync::mpsc};

use crate::{
    audio::buzz,
    stage::{Pace, Stage, Stages},
};

#[expect(clippy::print_stdout, reason = "a bench reports")]
pub(crate) fn time(stages: &mut Stages) {
    let loaded = SmartTurnConfig::fetched().and_then(|mut config| {
        config.threads = 1;
        SmartTurn::load(config)
    });
    let detector = match loaded {
        Ok(detector) => detector,
        Err(missing) => {
            println!("turn/smart-turn: skipped, {missing}");
            return;
        }
    };
    let stage = Stage {
        group: "turn",
        name: "smart-turn",
        iteration: "a judgement on 3 s",
        audio: None,
        pace: Pace::Slow,
    };
    stages.time(stage, || Judge::new(detector), Judge::judge);
}

struct Judge {
    detector: SmartTurn,
    runtime: Runtime,
    turn: TurnJob,
    updates: mpsc::Receiver<JobUpdate>,
    to_updates: mpsc::Sender<JobUpdate>,
}

impl Judge {
    fn new(detector: SmartTurn) -> Self {
        let runtime = Runtime::new().expect("a runtime starts");
        runtime.block_on(detector.warm_up()).expect("it runs warm");
        let (to_updates, updates) = mpsc::channel(1);
        // The cost does not depend on what is heard, nor on its length.
        let rate = SampleRate::HZ_8000;
        let audio = buzz(rate, Duration::from_secs(3));
        let turn = TurnJob {
            id: JobId(1),
            audio: Arc::from(audio),
            rate,
        };
        Self {
            detector,
            runtime,
            turn,
            updates,
            to_updates,
        }
    }

    /// From the job's start to its probability.
    fn judge(&mut self) {
        let answer = self.runtime.block_on(async {
            let sink = Sink::new(self.turn.id, self.to_updates.clone());
            let _handle = self.detector.start(self.turn.clone(), sink);
            self.updates.recv().await
        });
        let event = answer.expect("a job is always answered").event;
        assert!(
            matches!(event, JobEvent::Turn(TurnEvent::Complete { .. })),
            "no judgement: {event:?}"
        );
    }
}
