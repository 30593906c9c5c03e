//! What somebody who is called to the phone hears when they answer, and what their call does then.
//!
//! Twilio asks once it knows who answered. Until then there is time to sum up what the call is about, and
//! a machine is told nothing.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{invite::Invite, summary::Summary, transfer::Transfer, words::words};
use crate::{
    auth::secret::RandomSecret,
    routes::{ANSWERED_PATH, LEG_PATH, STATUS_PATH},
    twilio::{AnsweredBy, Form},
    twiml::{Say, Stream, TOKEN_PARAMETER, Twiml, locale},
};

/// How many people may be on their way to the phone, on one server.
const MOST: usize = 4_096;

/// Why somebody does not come whose machine answered.
pub(crate) const MACHINE: &str = "machine";

/// What somebody is called for.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) invite: Arc<Invite>,
    /// A machine is hung up on.
    pub(crate) no_machines: bool,
    pub(crate) what: What,
}

/// What whoever answers is to do.
pub(crate) enum What {
    /// To come on the call, with this token.
    Leg {
        token: RandomSecret,
        language: String,
        /// What they hear first, if anything.
        about: Option<Summary>,
    },
    /// To take the call, if they want it, once they have heard what it is about.
    Transfer {
        name: String,
        transfer: Box<Transfer>,
        about: Summary,
    },
}

/// Without tokens, and what was said.
impl std::fmt::Debug for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Leg { .. } => "Leg(***)",
            Self::Transfer { .. } => "Transfer(***)",
        })
    }
}

/// The people who are being called, by the secret in the URL that Twilio asks.
#[derive(Debug, Default)]
pub(crate) struct Offers(Mutex<HashMap<String, Arc<Offer>>>);

impl Offers {
    /// Remembers an offer: its name in URLs. None where there are too many.
    pub(crate) fn add(&self, offer: Arc<Offer>) -> Option<String> {
        let mut offers = self.offers();
        if offers.len() >= MOST {
            return None;
        }
        let name = RandomSecret::new("").expose().to_owned();
        offers.insert(name.clone(), offer);
        Some(name)
    }

    /// Nobody is waited for any more.
    pub(crate) fn remove(&self, name: &str) {
        self.offers().remove(name);
    }

    fn get(&self, name: &str) -> Option<Arc<Offer>> {
        self.offers().get(name).cloned()
    }

    /// A panic while the lock was held cannot leave the map half changed.
    fn offers(&self) -> MutexGuard<'_, HashMap<String, Arc<Offer>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody answered, or a machine: what their call is to do.
    pub(crate) async fn answered(&self, name: &str, public_url: &str, form: &Form) -> Twiml {
        let hang_up = Twiml::new().hangup();
        let Some(offer) = self.get(name) else {
            // Nobody waits for them any more.
            return hang_up;
        };
        let machine = form.get("AnsweredBy").map(AnsweredBy::read);
        if offer.no_machines && machine.is_some_and(AnsweredBy::is_machine) {
            offer.invite.call_off(MACHINE);
        }
        if !offer.invite.progress().is_pending() {
            return hang_up;
        }
        match &offer.what {
            What::Leg {
                token,
                language,
                about,
            } => {
                let twiml = match about {
                    Some(about) => {
                        let said = format!("{} {}", words(language).offer, about.clone().await);
                        Twiml::new().say(&Say::new(said).language(locale(language)))
                    }
                    None => Twiml::new(),
                };
                twiml.connect(&stream(public_url, token))
            }
            What::Transfer {
                name,
                transfer,
                about,
            } => transfer.offer(name, public_url, &about.clone().await),
        }
    }
}

/// The URL that Twilio asks when somebody answers.
pub(crate) fn url(public_url: &str, name: &str) -> String {
    format!("{public_url}{ANSWERED_PATH}?offer={name}")
}

/// The stream that becomes a person's leg.
fn stream(public_url: &str, token: &RandomSecret) -> Stream {
    let stream_url = format!("{}{LEG_PATH}", public_url.replacen("http", "ws", 1));
    Stream::new(stream_url)
        .status_callback(format!("{public_url}{STATUS_PATH}"))
        .parameter(TOKEN_PARAMETER, token.expose())
        .expect("a token has 47 characters")
}

#[cfg(test)]
mod tests {
    use sidetone_core::person::Mode;

    use super::{
        super::{
            invite::{Callee, Progress},
            summary::given,
        },
        *,
    };

    const PUBLIC: &str = "https://voice.example.com";

    fn form(answered_by: &str) -> Form {
        vec![("AnsweredBy".to_owned(), answered_by.to_owned())].into()
    }

    fn offer(no_machines: bool, about: Option<&str>) -> Arc<Offer> {
        Arc::new(Offer {
            invite: Arc::new(Invite::new(Callee {
                number: "+12025550143".parse().unwrap(),
                name: None,
                mode: Mode::Takeover,
            })),
            no_machines,
            what: What::Leg {
                token: RandomSecret::new("sdj_"),
                language: "es".into(),
                about: about.map(|about| given(about.into())),
            },
        })
    }

    #[tokio::test]
    async fn who_answers_hears_what_it_is_about_and_comes_on_the_call() {
        let offers = Offers::default();
        let name = offers.add(offer(true, Some("Un reembolso."))).unwrap();
        let twiml = offers
            .answered(&name, PUBLIC, &form("human"))
            .await
            .to_string();
        let (say, connect) = twiml.split_once("<Connect>").unwrap();
        assert!(
            say.contains("Tiene una llamada para usted. Un reembolso.</Say>"),
            "{twiml}"
        );
        assert!(
            connect.contains("wss://voice.example.com/twilio/leg"),
            "{twiml}"
        );
        assert!(connect.contains("sdj_"), "{twiml}");
        offers.remove(&name);
        let twiml = offers.answered(&name, PUBLIC, &form("human")).await;
        assert_eq!(twiml, Twiml::new().hangup());
    }

    #[tokio::test]
    async fn a_machine_gets_nothing_where_that_was_asked_for() {
        for who in ["machine_start", "machine_end_beep", "fax"] {
            let offers = Offers::default();
            let offer = offer(true, Some("A secret."));
            let invite = Arc::clone(&offer.invite);
            let name = offers.add(offer).unwrap();
            let twiml = offers.answered(&name, PUBLIC, &form(who)).await;
            assert_eq!(twiml, Twiml::new().hangup(), "{who}");
            let why = MACHINE.to_owned();
            assert_eq!(invite.progress(), Progress::Failed { why });
        }
        let offers = Offers::default();
        let name = offers.add(offer(true, None)).unwrap();
        let twiml = offers.answered(&name, PUBLIC, &form("unknown")).await;
        assert!(twiml.to_string().contains("<Response><Connect>"), "{twiml}");
        let name = offers.add(offer(false, None)).unwrap();
        let twiml = offers.answered(&name, PUBLIC, &form("machine_start")).await;
        assert!(twiml.to_string().contains("<Connect>"), "{twiml}");
    }

    #[tokio::test]
    async fn who_answers_too_late_gets_nothing() {
        let offers = Offers::default();
        let offer = offer(false, None);
        let invite = Arc::clone(&offer.invite);
        let name = offers.add(offer).unwrap();
        invite.call_off("no-answer");
        let twiml = offers.answered(&name, PUBLIC, &form("human")).await;
        assert_eq!(twiml, Twiml::new().hangup());
    }
}
