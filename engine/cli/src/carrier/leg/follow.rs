//! Following TwiML: one document after the other, verb by verb.

use std::time::Duration;

use tokio::time::sleep;

use super::{
    super::{
        document::{Document, Gather, Verb},
        exchange::{Command, Instructions},
        record::Step,
        reports::{about, field},
    },
    Flow, Followed, Leg,
};

/// A call that asks for more documents than this goes round in circles.
const MAX_DOCUMENTS: usize = 100;

impl Leg {
    pub(super) async fn follow(&mut self, instructions: Instructions) -> Followed {
        match self.fetch(instructions).await {
            Ok(document) => self.follow_document(document).await,
            Err(problem) => self.give_up(problem),
        }
    }

    pub(super) async fn follow_document(&mut self, mut document: Document) -> Followed {
        for _ in 0..MAX_DOCUMENTS {
            let instructions = match self.play(document).await {
                Flow::Next => return Followed::ToTheEnd,
                Flow::End => return Followed::HungUp,
                Flow::Go(instructions) => instructions,
            };
            document = match self.fetch(instructions).await {
                Ok(document) => document,
                Err(problem) => return self.give_up(problem),
            };
        }
        self.give_up(format!("more than {MAX_DOCUMENTS} documents"))
    }

    pub(super) async fn fetch(&mut self, instructions: Instructions) -> Result<Document, String> {
        let text = match instructions {
            Instructions::Twiml(text) => text,
            Instructions::Url(url) => {
                let form = about(&self.exchange.account.sid, &self.look());
                self.ask(&url, &form).await?
            }
        };
        Document::read(&text).map_err(|error| error.to_string())
    }

    /// Posts a form and takes the answer for a document.
    async fn ask(&mut self, url: &str, form: &[(String, String)]) -> Result<String, String> {
        let url = match (&self.base, reqwest::Url::parse(url)) {
            (_, Ok(_)) => url.to_owned(),
            (Some(base), Err(_)) => base
                .join(url)
                .map_err(|error| format!("{url}: {error}"))?
                .into(),
            (None, Err(error)) => return Err(format!("{url}: {error}")),
        };
        self.base = reqwest::Url::parse(&url).ok();
        self.step(Step::Asked { url: url.clone() });
        let answer = self
            .exchange
            .post(&url, form)
            .await
            .map_err(|error| crate::in_full(&error))?;
        if (200..300).contains(&answer.status) {
            Ok(answer.body)
        } else {
            Err(format!("{url} answered {}", answer.status))
        }
    }

    pub(super) fn give_up(&mut self, problem: String) -> Followed {
        self.step(Step::ApplicationError(problem));
        Followed::HungUp
    }

    async fn play(&mut self, document: Document) -> Flow {
        for verb in document.verbs {
            let flow = match self.verb(verb).await {
                Flow::Next => self.interruption(),
                flow => flow,
            };
            if !matches!(flow, Flow::Next) {
                return flow;
            }
        }
        Flow::Next
    }

    /// What the call was told meanwhile.
    fn interruption(&mut self) -> Flow {
        while let Ok(command) = self.commands.try_recv() {
            match self.obey(command) {
                Flow::Next => {}
                flow => return flow,
            }
        }
        Flow::Next
    }

    pub(super) fn obey(&mut self, command: Command) -> Flow {
        match command {
            Command::Redirect(instructions) => {
                self.step(Step::Redirected);
                Flow::Go(instructions)
            }
            Command::Complete | Command::HangUp => Flow::End,
            Command::Press(_) => Flow::Next,
        }
    }

    async fn verb(&mut self, verb: Verb) -> Flow {
        match verb {
            // Spoken in no time.
            Verb::Say(text) => self.step(Step::Said(text)),
            Verb::Play(what) => self.step(Step::Played(what)),
            Verb::Pause(time) => return self.wait(Some(time)).await,
            Verb::Stream {
                stream,
                status_callback,
            } => return self.stream(stream, status_callback).await,
            Verb::Dial(dial) => return self.dial(dial).await,
            Verb::Enqueue(name) => {
                self.step(Step::Enqueued(name));
                return self.wait(None).await;
            }
            Verb::Gather(gather) => return self.gather(gather).await,
            Verb::Redirect(url) => return Flow::Go(Instructions::Url(url)),
            Verb::Hangup => return Flow::End,
            Verb::Other(name) => self.step(Step::PassedOver(name)),
        }
        Flow::Next
    }

    /// Until the time is over, if it ever is, or the call is told something else.
    pub(super) async fn wait(&mut self, time: Option<Duration>) -> Flow {
        let over = async {
            match time {
                Some(time) => sleep(time).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(over);
        loop {
            let command = tokio::select! {
                () = &mut over => return Flow::Next,
                command = self.commands.recv() => command,
            };
            let flow = command.map_or(Flow::End, |command| self.obey(command));
            if !matches!(flow, Flow::Next) {
                return flow;
            }
        }
    }

    async fn gather(&mut self, gather: Gather) -> Flow {
        for prompt in gather.prompts {
            self.step(Step::Said(prompt));
        }
        let mut digits = String::new();
        while digits.len() < gather.digits {
            if let Some(key) = self.keys.pop_front() {
                digits.push(key);
                continue;
            }
            let command = tokio::select! {
                () = sleep(gather.wait) => break,
                command = self.commands.recv() => command,
            };
            match command {
                Some(Command::Press(key)) => digits.push(key),
                Some(command) => return self.obey(command),
                None => return Flow::End,
            }
        }
        self.step(Step::Gathered(digits.clone()));
        if digits.is_empty() {
            return Flow::Next;
        }
        let Some(action) = gather.action else {
            return Flow::Next;
        };
        let mut form = about(&self.exchange.account.sid, &self.look());
        form.push(field("Digits", &digits));
        self.go_on_with(&action, &form).await
    }

    /// Posts the result of a verb, and goes on with the document that answers it.
    pub(super) async fn go_on_with(&mut self, action: &str, form: &[(String, String)]) -> Flow {
        match self.ask(action, form).await {
            Ok(text) => Flow::Go(Instructions::Twiml(text)),
            Err(problem) => {
                self.step(Step::ApplicationError(problem));
                Flow::End
            }
        }
    }
}
