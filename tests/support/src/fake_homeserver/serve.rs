//! From the socket to an answer and back: counting, latency, faults, and the table of what is served.

use std::{io, pin::Pin, sync::Arc, time::Duration};

use anyhow::{Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, header, server, service};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};

use super::{
    Shared,
    reply::Reply,
    request::{Call, Caller},
    world::BOT,
};
use crate::{
    clock,
    proxy::{ProxiedRequest, apply},
};

type Serving = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Takes connections until dropped.
pub(super) fn serve(shared: Arc<Shared>, listener: TcpListener) -> Serving {
    Box::pin(async move {
        let mut connections = JoinSet::new();
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            _ = stream.set_nodelay(true);
            let shared = Arc::clone(&shared);
            let answering = service::service_fn(move |request| {
                let shared = Arc::clone(&shared);
                // hyper closes the connection on an error, without an answer: just what a cut is.
                async move { handle(&shared, request).await.map_err(io::Error::other) }
            });
            connections.spawn(async move {
                let connection = server::conn::http1::Builder::new();
                _ = connection.serve_connection(TokioIo::new(stream), answering).await;
            });
            while connections.try_join_next().is_some() {}
        }
    })
}

async fn handle(shared: &Shared, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
    let arrived = clock::moment();
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let name = shared.bot_name();
    let inward = |text: &str| text.replace(&*name, BOT);
    let body = inward(&String::from_utf8_lossy(&body));
    let target = inward(&head.uri.path_and_query().map(ToString::to_string).unwrap_or_default());
    let seen = ProxiedRequest {
        method: head.method.to_string(),
        path: apply::unescaped(head.uri.path()),
        query: head.uri.query().unwrap_or_default().to_owned(),
        body: serde_json::from_str(&body).unwrap_or(Value::Null),
    };
    let token = head.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = token.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let (caller, device) = shared.world().who(token);
    let call = Call::new(&seen, &target, caller, device);
    let number = shared.counts().arrive(&call, seen.clone(), arrived);

    let answering = async {
        let latency = shared.latency_of(&seen);
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let answer = match apply::on_the_way_in(&shared.rules, &seen).await {
            Some(made_up) => made_up,
            None => answer(shared, &call).await.renamed(BOT, &name).into_response(),
        };
        apply::on_the_way_out(&shared.rules, &seen, answer).await
    };
    let answer = tokio::select! {
        // First, so that a request that is cut has no effect.
        biased;
        () = shared.rules.until_cut(&seen) => bail!("cut"),
        answer = answering => answer?,
    };
    shared.counts().leave(number, answer.status().as_u16());
    Ok(answer.map(Full::new))
}

/// What the server itself answers.
async fn answer(shared: &Shared, call: &Call) -> Reply {
    match call.parts().first().copied() {
        Some("sync") => wait(shared, call, |world, is_over| world.sync(call, is_over)).await,
        Some("org.matrix.simplified_msc3575") if shared.world().sliding_sync => {
            wait(shared, call, |world, is_over| world.sliding(call, is_over)).await
        }
        _ => {
            let reply = route(shared, call);
            if call.method != "GET" {
                shared.changed.send_modify(|count| *count += 1);
            }
            reply
        }
    }
}

/// A long poll.
async fn wait(
    shared: &Shared,
    call: &Call,
    mut ask: impl FnMut(&mut super::world::World, bool) -> Option<Reply> + Send,
) -> Reply {
    if call.caller != Caller::Device {
        return unknown_token();
    }
    let timeout = call.query("timeout").and_then(|ms| ms.parse().ok()).unwrap_or(0);
    let end = clock::moment() + Duration::from_millis(timeout);
    let mut changed = shared.changed.subscribe();
    loop {
        changed.mark_unchanged();
        let is_over = clock::moment() >= end;
        if let Some(reply) = ask(&mut shared.world(), is_over) {
            shared.counts().serve(call, &reply);
            return reply;
        }
        // Either way it is asked again.
        _ = tokio::time::timeout_at(end, changed.changed()).await;
    }
}

fn route(shared: &Shared, call: &Call) -> Reply {
    let mut world = shared.world();
    let parts = call.parts();
    match parts.as_slice() {
        ["versions"] => {
            let features = json!({"org.matrix.simplified_msc3575": world.sliding_sync});
            return Reply::json(&json!({
                "versions": (1..=15).map(|minor| format!("v1.{minor}")).collect::<Vec<_>>(),
                "unstable_features": features,
            }));
        }
        [".well-known", "matrix", "client"] if !world.well_known.is_null() => {
            return Reply::json(&world.well_known);
        }
        ["login"] => return world.account.login(call),
        _ if call.caller == Caller::Nobody => return unknown_token(),
        ["_synapse", "admin", ..] => return world.server_admin(call),
        _ => {}
    }
    if call.caller == Caller::Appservice
        && let Some(refusal) = world.refuse_masquerade(call)
    {
        return refusal;
    }
    match parts.as_slice() {
        ["account", "whoami"] => {
            Reply::json(&json!({"user_id": call.user(), "device_id": call.device(), "is_guest": false}))
        }
        ["capabilities"] => {
            let versions = json!({"default": "10", "available": {"10": "stable"}});
            Reply::json(&json!({"capabilities": {"m.room_versions": versions}}))
        }
        ["rooms", _, _, ..] => world.rooms(call),
        ["join", name] => world.join_by_name(name),
        ["joined_rooms"] => world.joined_rooms(),
        ["directory", "room", alias] => world.directory(alias),
        ["keys", ..] => world.keys(call),
        ["user", ..] => world.account.user(call),
        ["room_keys", ..] => world.account.backup(call),
        ["pushrules", ..] => Reply::json(&json!({"global": {}})),
        ["devices"] if call.caller == Caller::Appservice => {
            Reply::json(&json!({"devices": world.devices_of(call.user()).unwrap_or_default()}))
        }
        ["devices"] => Reply::json(&json!({"devices": []})),
        ["profile" | "logout" | "sendToDevice", ..] => Reply::json(&json!({})),
        _ => Reply::unrecognized(),
    }
}

fn unknown_token() -> Reply {
    Reply::error(401, "M_UNKNOWN_TOKEN", "Invalid access token passed.")
}
