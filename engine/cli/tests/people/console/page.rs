//! A page of the console, and who sits before it.

use std::path::PathBuf;

use serde_json::{Value, json};
use sidetone_server::{Config, auth::tokens::IssuedToken};
use sidetone_speech::testing::FakeLlm;

use super::browsers::{self, Browsers};
use crate::{
    tones::{HEARD, SILENT},
    world::{CAROL, Caller, Services, World, humming},
};

/// The agent's tone; see `FakeTts`.
pub(super) const AGENT: f64 = 440.0;
/// The callers' tones.
pub(super) const CAROL_HUMS: f64 = 570.0;
pub(super) const DAVE_HUMS: f64 = 930.0;
/// The tones of those who sit before a page.
pub(super) const OTTO_HUMS: f64 = 760.0;
pub(super) const ADA_HUMS: f64 = 1_190.0;

/// So often the agent says the same, which takes four minutes.
const AGAIN: usize = 120;

/// A server whose agent has much to say; none where there is no browser.
pub(super) async fn world() -> Option<World> {
    world_with(talkative(), |_| {}).await
}

/// An agent that has much to say.
pub(super) fn talkative() -> Services {
    Services {
        llm: FakeLlm::answering(|_| "I am here to help you with that. ".repeat(AGAIN)),
        ..Services::default()
    }
}

/// A server with these services, changed.
pub(super) async fn world_with(
    services: Services,
    change: impl FnOnce(&mut Config),
) -> Option<World> {
    browsers::browsers()?;
    let world = World::with_services(services, |config| {
        config.agent.greeting = "Thank you for calling us today. ".repeat(AGAIN);
        // Who hums says nothing.
        config.idle.prompt_after_ms = 0;
        // Nor does a browser on a busy machine lose the call for it.
        config.handoff.stall_ms = 60_000;
        change(config);
    });
    Some(world.await)
}

/// Who sits before a page.
pub(super) struct Seat {
    /// What the fake microphone hears: a tone `hz`, and what is `said` in a file; null: there is none.
    pub(super) microphone: Value,
    /// The browser lets the page use it.
    pub(super) allowed: bool,
    pub(super) width: u32,
    pub(super) scheme: &'static str,
}

impl Seat {
    /// Somebody who hums.
    pub(super) fn humming(hz: f64) -> Self {
        Self {
            microphone: json!({"hz": hz}),
            allowed: true,
            width: 1_280,
            scheme: "light",
        }
    }
}

/// A page of the console. What cannot be done in it fails the test, and says what it was.
pub(super) struct Page {
    browsers: &'static Browsers,
    number: u64,
    origin: String,
}

impl Page {
    /// Opens the console.
    pub(super) async fn open(world: &World, seat: &Seat) -> Self {
        let browsers = browsers::browsers().expect("`world` asked for them");
        let page = Self {
            browsers,
            number: browsers.number(),
            origin: format!("http://{}", world.addr),
        };
        page.order(
            "open",
            json!({
                "url": page.url(""), "microphone": seat.microphone, "allowed": seat.allowed,
                "width": seat.width, "scheme": seat.scheme,
            }),
        )
        .await;
        page
    }

    /// Opens the console and signs in.
    pub(super) async fn signed_in(world: &World, seat: &Seat, token: &IssuedToken) -> Self {
        let page = Self::open(world, seat).await;
        page.signs_in(token.expose()).await;
        page.sees_heading("Live calls").await;
        page
    }

    pub(super) async fn signs_in(&self, token: &str) {
        self.fills("Token", token).await;
        self.clicks("Sign in").await;
    }

    /// Goes to the page of a call, which is live.
    pub(super) async fn goes_to(&self, caller: &Caller) {
        self.order(
            "goto",
            json!({"url": self.url(&format!("#/call/{}", caller.call.id()))}),
        )
        .await;
        self.says(STATUS, "You are not on this call.").await;
    }

    /// Goes to another page of the console: `live`, `history`, `figures`.
    pub(super) async fn goes_to_page(&self, name: &str) {
        self.order("goto", json!({"url": self.url(&format!("#/{name}"))}))
            .await;
    }

    fn url(&self, place: &str) -> String {
        format!("{}/console/{place}", self.origin)
    }

    /// Presses a button.
    pub(super) async fn clicks(&self, button: &str) {
        self.order("click", json!({"find": {"role": "button", "name": button}}))
            .await;
    }

    /// Ticks a box, or takes the tick away.
    pub(super) async fn ticks(&self, css: &str) {
        self.order("click", json!({"find": {"css": css}})).await;
    }

    pub(super) async fn clicks_link(&self, link: &str) {
        self.order("click", json!({"find": {"role": "link", "name": link}}))
            .await;
    }

    pub(super) async fn fills(&self, label: &str, text: &str) {
        self.order("fill", json!({"find": {"label": label}, "text": text}))
            .await;
    }

    /// Chooses by an option's value.
    pub(super) async fn chooses(&self, label: &str, option: &str) {
        self.order(
            "choose",
            json!({"find": {"label": label}, "option": option}),
        )
        .await;
    }

    /// Presses keys, one after the other.
    pub(super) async fn presses(&self, keys: &[&str]) {
        self.order("press", json!({"keys": keys})).await;
    }

    /// Types into what has the focus.
    pub(super) async fn types(&self, text: &str) {
        self.order("type", json!({"text": text})).await;
    }

    /// Presses Tab until something has the focus whose name begins so.
    pub(super) async fn tabs_to(&self, name: &str) {
        let mut passed = Vec::new();
        while !passed
            .last()
            .is_some_and(|last: &String| last.starts_with(name))
        {
            assert!(passed.len() < 60, "Tab does not lead to {name}: {passed:?}");
            self.presses(&["Tab"]).await;
            passed.push(self.focused().await);
        }
    }

    /// The label of what has the focus.
    pub(super) async fn focused(&self) -> String {
        let label = self.order("focused", json!({})).await;
        label.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until a text is shown.
    pub(super) async fn sees(&self, text: &str) {
        self.until(json!({"text": text}), "visible", true).await;
    }

    /// Waits until there is no such element to be seen.
    pub(super) async fn sees_no(&self, css: &str) {
        self.until(json!({"css": css}), "visible", false).await;
    }

    /// Waits until an element says so.
    pub(super) async fn says(&self, css: &str, text: &str) {
        self.until(json!({"css": css}), "says", text).await;
    }

    pub(super) async fn sees_heading(&self, name: &str) {
        self.until(json!({"role": "heading", "name": name}), "visible", true)
            .await;
    }

    /// Waits until a button can be pressed, or cannot.
    pub(super) async fn can_click(&self, button: &str, can: bool) {
        self.until(json!({"role": "button", "name": button}), "enabled", can)
            .await;
    }

    /// Waits until a button is down, or is not.
    pub(super) async fn is_pressed(&self, button: &str, down: bool) {
        self.until(json!({"role": "button", "name": button}), "pressed", down)
            .await;
    }

    /// Waits until a level meter shows something.
    pub(super) async fn moves(&self, meter: &str) {
        self.until(json!({"role": "meter", "name": meter}), "moves", true)
            .await;
    }

    async fn until(&self, find: Value, so: &str, value: impl Into<Value>) {
        self.order("until", json!({"find": find, so: value.into()}))
            .await;
    }

    /// How many elements there are.
    pub(super) async fn count(&self, css: &str) -> u64 {
        let count = self.order("count", json!({"css": css})).await;
        count.as_u64().unwrap()
    }

    /// Waits until a tone comes from the loudspeaker.
    pub(super) async fn hears(&self, hz: f64) {
        self.order("until_level", json!({"hz": hz, "above": HEARD}))
            .await;
    }

    /// Waits until it does not any more.
    pub(super) async fn hears_no(&self, hz: f64) {
        self.order("until_level", json!({"hz": hz, "below": SILENT}))
            .await;
    }

    /// Whether a tone is not heard at this moment.
    pub(super) async fn is_deaf_to(&self, hz: f64) -> bool {
        let level = self.order("level", json!({"hz": hz})).await;
        level.as_f64().unwrap() < SILENT
    }

    /// Runs a script in the page.
    pub(super) async fn runs(&self, script: &str) -> Value {
        self.order("run", json!({"script": script})).await
    }

    /// What axe finds serious in the page.
    pub(super) async fn axe_finds(&self) -> Vec<String> {
        serde_json::from_value(self.order("axe_finds", json!({})).await).unwrap()
    }

    /// Fails if a part of the page is outside of the window, from left to right.
    pub(super) async fn fits(&self, name: &str) {
        let fits = self.order("fits", json!({})).await;
        assert_eq!(fits, json!({"surplus": 0, "cut": []}), "{name}");
    }

    /// Takes a picture of the page, for people to look at.
    pub(super) async fn picture(&self, name: &str) {
        let file: PathBuf = browsers::folder().join(format!("pages/{name}.png"));
        self.order("picture", json!({"file": file})).await;
    }

    /// The browser's cookie is gone, as when the session has run out.
    pub(super) async fn forgets_the_session(&self) {
        self.order("forget", json!({})).await;
    }

    /// The page is closed from one moment to the next.
    pub(super) async fn closes(mut self) {
        self.close().await;
    }

    /// The page's process ends from one moment to the next.
    pub(super) async fn crashes(&self) {
        self.order("crash", json!({})).await;
    }

    /// Nothing went wrong in the page that nobody saw.
    pub(super) async fn ends_well(mut self) {
        let troubles = self.close().await;
        assert_eq!(troubles, json!([]), "errors in the page");
    }

    async fn close(&mut self) -> Value {
        let troubles = self.order("close", json!({})).await;
        self.number = 0;
        troubles
    }

    async fn order(&self, what: &str, mut with: Value) -> Value {
        let told = format!("{what} {with}");
        with["page"] = self.number.into();
        match self.browsers.order(what, with).await {
            Ok(done) => done,
            Err(problem) => panic!("{told}: {problem}"),
        }
    }
}

impl Drop for Page {
    /// A test that fails leaves no page behind that goes on humming.
    fn drop(&mut self) {
        if self.number > 0 {
            self.browsers.tell("close", json!({"page": self.number}));
        }
    }
}

/// Carol's call, and Otto at its page.
pub(super) async fn at_the_page(world: &World) -> (Caller, Page) {
    let carol = world.call_from(CAROL, humming(CAROL_HUMS)).await;
    let otto = Page::signed_in(world, &Seat::humming(OTTO_HUMS), &world.operator).await;
    otto.goes_to(&carol).await;
    (carol, otto)
}

/// Carol's call, taken over by Otto in a page.
pub(super) async fn taken_over(world: &World) -> (Caller, Page) {
    let (carol, otto) = at_the_page(world).await;
    otto.clicks("Take over").await;
    carol.ear.hears(OTTO_HUMS).await;
    carol.ear.hears_no(AGENT).await;
    (carol, otto)
}

/// What the page says of this browser's being on the call, and why it may not.
pub(super) const STATUS: &str = "fieldset:has([data-mode]) [role=status]";
pub(super) const REFUSED: &str = "fieldset:has([data-mode]) [role=alert]";
