//! Whoever is quicker than the server: nothing that is pressed is lost, or done twice.

use sidetone_core::person::Mode;

use super::page::{OTTO_HUMS, Page, STATUS, at_the_page, world};

impl Page {
    /// Presses buttons one after the other, with no time between them.
    async fn presses_at_once(&self, buttons: &[&str]) {
        let buttons = serde_json::to_string(buttons).unwrap();
        self.runs(&format!(
            "() => {buttons}.forEach((css) => document.querySelector(css).click())"
        ))
        .await;
    }
}

#[tokio::test]
async fn keys_are_all_sent_and_in_order() {
    let Some(world) = world().await else { return };
    let (_, otto) = at_the_page(&world).await;
    let key = |key| format!("[aria-label='Send the tone of {key}']");
    let keys = ["1", "1", "2", "0", "#"].map(key);
    otto.presses_at_once(&keys.each_ref().map(String::as_str))
        .await;
    otto.says(".transcript", "Keys sent: 1").await;
    otto.says(".transcript", "Keys sent: 120#").await;
    otto.ends_well().await;
    world.server.stop().await;
}

#[tokio::test]
async fn who_presses_two_modes_is_on_the_call_once_and_in_the_second() {
    let Some(world) = world().await else { return };
    let (carol, otto) = at_the_page(&world).await;
    otto.presses_at_once(&["[data-mode=monitor]", "[data-mode=takeover]"])
        .await;
    otto.says(STATUS, "You are speaking in place of the agent.")
        .await;
    carol.ear.hears(OTTO_HUMS).await;
    otto.presses_at_once(&["[data-mode=barge]", "[data-mode=whisper]"])
        .await;
    otto.says(STATUS, "You are coaching.").await;
    otto.sees_no("[data-mode][aria-busy=true]").await;
    carol
        .is(|state| {
            let modes = state.people.iter().map(|person| person.mode);
            modes.eq([Mode::Whisper])
        })
        .await;
    otto.clicks("Leave").await;
    carol.is(|state| state.people.is_empty()).await;
    otto.ends_well().await;
    world.server.stop().await;
}
