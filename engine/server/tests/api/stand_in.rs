//! Twilio's REST API, as far as placing a call goes.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::post};
use tokio::net::TcpListener;

/// The fields of a form, in their order.
type Form = Vec<(String, String)>;

/// What it does when it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Places,
    Refuses,
    Stalls,
}

#[derive(Clone, Debug)]
pub(crate) struct StandIn {
    pub(crate) addr: SocketAddr,
    mood: Arc<Mutex<Mood>>,
    asked: Arc<Mutex<Vec<Form>>>,
}

impl StandIn {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let stand_in = Self {
            addr: listener.local_addr().unwrap(),
            mood: Arc::new(Mutex::new(Mood::Places)),
            asked: Arc::default(),
        };
        let router = Router::new()
            .route("/2010-04-01/Accounts/{account}/Calls.json", post(calls))
            .with_state(stand_in.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        stand_in
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub(crate) fn be(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// How many calls were asked for.
    pub(crate) fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// A field of the last call that was asked for.
    pub(crate) fn last(&self, field: &str) -> Option<String> {
        let asked = self.asked.lock().unwrap();
        let last = asked.last()?;
        let found = last.iter().find(|(name, _)| name == field)?;
        Some(found.1.clone())
    }
}

async fn calls(State(stand_in): State<StandIn>, body: String) -> axum::response::Response {
    let form: Vec<_> = form_urlencoded::parse(body.as_bytes())
        .into_owned()
        .collect();
    let count = {
        let mut asked = stand_in.asked.lock().unwrap();
        asked.push(form);
        asked.len()
    };
    let mood = *stand_in.mood.lock().unwrap();
    match mood {
        Mood::Places => (
            StatusCode::CREATED,
            axum::Json(serde_json::json!({
                "sid": format!("CA{count:032x}"),
                "status": "queued",
            })),
        )
            .into_response(),
        Mood::Refuses => (
            StatusCode::BAD_REQUEST,
            axum::Json(serde_json::json!({
                "code": 21210,
                "message": "'From' phone number not verified: +12025550199.",
                "status": 400,
            })),
        )
            .into_response(),
        Mood::Stalls => {
            tokio::time::sleep(Duration::from_secs(3_600)).await;
            StatusCode::CREATED.into_response()
        }
    }
}
