//! Plays the authorisation service of a call: lk-jwt-service, which clients ask for a token of the SFU.
//!
//! Played, because the real one cannot be had by its module's name. It believes whatever token it is shown.

use std::{
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Result;
use bytes::Bytes;
use hyper::{Method, Request, Response, StatusCode, header};
use serde_json::{Map, Value, json};

use super::{LiveKit, api::Api, recipe::Recipe, token};
use crate::{
    DelayedLeave, FaultProxy, Rule,
    loopback::{self, Loopback},
};

/// What `/sfu/get` may hold; the real one refuses anything else.
const SFU_GET: [&str; 5] = ["room", "openid_token", "device_id", "delay_id", "delay_timeout"];

/// What `/delegate_delayed_leave` may hold.
const DELEGATE: [&str; 6] = ["room_id", "slot_id", "openid_token", "member", "delay_id", "delay_timeout"];

/// An authorisation service on loopback. Dropping it closes its port.
///
/// It is a [`FaultProxy`] with the service behind: its `url`, `requests`, `count`, `answer`, `hold` and the other faults
/// are the proxy's. The default is a recent service that is one with its SFU, without delegation of delayed leaves.
#[derive(Debug)]
pub struct AuthorisationService {
    proxy: FaultProxy,
    settings: Arc<Mutex<Settings>>,
    /// Behind the proxy, and gone after it.
    _server: Loopback,
}

#[derive(Debug, Clone)]
struct Settings {
    recipe: Recipe,
    secret: String,
    /// Who asks, where a token does not say so.
    user: Option<String>,
    takes_delayed_leaves: bool,
    creates_rooms: bool,
    /// Where clients are sent to.
    sfu: String,
}

impl Deref for AuthorisationService {
    type Target = FaultProxy;

    fn deref(&self) -> &FaultProxy {
        &self.proxy
    }
}

impl AuthorisationService {
    /// Starts one in front of an SFU, such as `livekit.url()`.
    pub fn start(sfu: &str) -> Result<Self> {
        let settings = Arc::new(Mutex::new(Settings {
            recipe: Recipe::Base64Json,
            secret: LiveKit::SECRET.to_owned(),
            user: None,
            takes_delayed_leaves: false,
            creates_rooms: true,
            sfu: sfu.replacen("http", "ws", 1),
        }));
        let api = Api::new(sfu.to_owned())?;
        let serving = Arc::clone(&settings);
        let server = Loopback::start("authorisation-service", move |request| {
            let (settings, api) = (lock(&serving).clone(), api.clone());
            async move { answer(&settings, &api, &request).await }
        })?;
        Ok(Self { proxy: FaultProxy::start(server.url())?, settings, _server: server })
    }

    /// Names SFU rooms like this from now on.
    pub fn use_recipe(&self, recipe: Recipe) {
        lock(&self.settings).recipe = recipe;
    }

    /// Signs with another secret from now on, as the service of another SFU does. It cannot create rooms then.
    pub fn sign_with(&self, secret: &str) {
        secret.clone_into(&mut lock(&self.settings).secret);
    }

    /// Sends clients to another address of the SFU from now on.
    pub fn send_to(&self, url: &str) {
        url.clone_into(&mut lock(&self.settings).sfu);
    }

    /// Takes whoever asks for this user from now on: it does not ask the homeserver whose the token is that it is shown.
    /// Before, they are `@caller` at the token's server.
    pub fn believe_in(&self, user_id: &str) {
        lock(&self.settings).user = Some(user_id.to_owned());
    }

    /// Whether it has `/delegate_delayed_leave`, which came after v0.5.0. It sends no leave; see [`FaultProxy::requests`].
    pub fn take_delayed_leaves(&self, takes: bool) {
        lock(&self.settings).takes_delayed_leaves = takes;
    }

    /// Hands a delayed leave to it, as Element Call does with every one.
    ///
    /// # Errors
    /// When it does not take any.
    pub async fn delegate(&self, room: &str, leave: &DelayedLeave) -> Result<()> {
        let body = json!({
            "room_id": room, "slot_id": "m.call#ROOM", "delay_id": leave.delay_id, "delay_timeout": 3_600_000,
        });
        let http = reqwest::Client::builder().no_proxy().build()?;
        let url = format!("{}/delegate_delayed_leave", self.url());
        http.post(url).json(&body).send().await?.error_for_status()?;
        Ok(())
    }

    /// Whether those who ask have full access: their SFU room is created before the answer, and an SFU that is down
    /// makes it a 500. Otherwise they get a token and nothing happens at the SFU.
    pub fn create_rooms(&self, creates: bool) {
        lock(&self.settings).creates_rooms = creates;
    }

    /// Answers everything with this status, in Matrix's words, while the rule is kept.
    pub fn refuse(&self, status: u16) -> Rule {
        let (errcode, error) = match status {
            401 => ("M_UNAUTHORIZED", "The request could not be authorised."),
            403 => ("M_FORBIDDEN", "You do not have access."),
            404 => ("M_UNRECOGNIZED", "404 page not found"),
            _ => ("M_UNKNOWN", "An unknown error occurred."),
        };
        self.proxy.answer(status, json!({"errcode": errcode, "error": error}), |_| true)
    }

    /// Answers nothing while the rule is kept.
    pub fn hang(&self) -> Rule {
        self.proxy.hold(|_| true)
    }
}

fn lock(settings: &Mutex<Settings>) -> MutexGuard<'_, Settings> {
    settings.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the service itself answers.
async fn answer(settings: &Settings, api: &Api, request: &Request<Bytes>) -> Response<Bytes> {
    let answered = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/healthz") => return loopback::status(StatusCode::OK),
        (&Method::POST, "/sfu/get") => let_in(settings, api, request.body()).await,
        (&Method::POST, "/delegate_delayed_leave") if settings.takes_delayed_leaves => {
            read(request.body(), &DELEGATE).map(|_| json!({}))
        }
        (_, "/healthz" | "/sfu/get") => return loopback::status(StatusCode::METHOD_NOT_ALLOWED),
        (_, "/delegate_delayed_leave") if settings.takes_delayed_leaves => {
            return loopback::status(StatusCode::METHOD_NOT_ALLOWED);
        }
        _ => return loopback::status(StatusCode::NOT_FOUND),
    };
    let (status, body) = match answered {
        Ok(body) => (StatusCode::OK, body),
        Err((status, errcode, error)) => (status, json!({"errcode": errcode, "error": error})),
    };
    let mut answer = loopback::status(status).map(|_| Bytes::from(body.to_string()));
    let json = header::HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, json);
    answer
}

/// A status, and an error in Matrix's words.
type Refused = (StatusCode, &'static str, &'static str);

/// A token for the SFU room of a Matrix room.
async fn let_in(settings: &Settings, api: &Api, body: &[u8]) -> Result<Value, Refused> {
    let asked = read(body, &SFU_GET)?;
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let room = text(asked.get("room"));
    if room.is_empty() {
        return Err((StatusCode::BAD_REQUEST, "M_BAD_JSON", "Missing room parameter"));
    }
    let openid = asked.get("openid_token");
    let server = text(openid.and_then(|it| it.get("matrix_server_name")));
    let user = settings.user.clone().unwrap_or_else(|| format!("@caller:{server}"));
    // Without a device id the identity ends in a colon, as with the real one.
    let identity = format!("{user}:{}", text(asked.get("device_id")));

    let room = settings.recipe.sfu_room(&room);
    if settings.creates_rooms && settings.secret == LiveKit::SECRET {
        let new = json!({"name": room, "empty_timeout": 300, "departure_timeout": 20});
        api.call("CreateRoom", &json!({"roomCreate": true}), &new)
            .await
            .map_err(|_| (StatusCode::INTERNAL_SERVER_ERROR, "M_UNKNOWN", "Unable to create room on SFU"))?;
    }
    Ok(json!({"url": settings.sfu, "jwt": token::join(&identity, &room, &settings.secret)}))
}

/// The fields of a body that has no others than these.
fn read(body: &[u8], known: &[&str]) -> Result<Map<String, Value>, Refused> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) if fields.keys().all(|it| known.contains(&it.as_str())) => Ok(fields),
        _ => Err((StatusCode::BAD_REQUEST, "M_NOT_JSON", "Error reading request")),
    }
}
