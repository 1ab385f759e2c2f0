//! People, their devices, and what becomes of them.

use std::time::Duration;

use anyhow::Result;
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use hmac::{Hmac, Mac};
use reqwest::Method;
use serde_json::{Value, json};
use sha1::Sha1;

use crate::{
    config::REGISTRATION_SECRET,
    homeserver::Homeserver,
    http::text,
    names::{random_key, unique},
    wait::wait_until,
};

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Such as `@alice-5c81d0e7:hs.test`.
    pub user_id: String,
    /// What it logs in with.
    pub password: String,
}

impl User {
    /// The user id without `@` and server.
    pub fn localpart(&self) -> &str {
        let id = self.user_id.trim_start_matches('@');
        id.split_once(':').map_or(id, |(localpart, _)| localpart)
    }
}

/// A logged-in device. It has no encryption keys until [`Homeserver::upload_keys`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Whose it is.
    pub user_id: String,
    /// Its id.
    pub device_id: String,
    /// What it signs its requests with.
    pub access_token: String,
}

impl Homeserver {
    /// A new user without any device, called `stem` with a unique ending.
    pub async fn register(&self, stem: &str) -> Result<User> {
        self.register_exactly(&unique(stem), false).await
    }

    /// A new administrator of the server, called `stem` with a unique ending.
    pub async fn register_admin(&self, stem: &str) -> Result<User> {
        self.register_exactly(&unique(stem), true).await
    }

    /// A new user with exactly this localpart, which must be free.
    pub async fn register_exactly(&self, localpart: &str, admin: bool) -> Result<User> {
        let register = ["_synapse", "admin", "v1", "register"];
        let nonce = text(&self.request(Method::GET, &register).send().await?, "nonce")?;
        let password = unique("secret");
        let role = if admin { "admin" } else { "notadmin" };
        let mut mac = Hmac::<Sha1>::new_from_slice(REGISTRATION_SECRET.as_bytes())?;
        mac.update([nonce.as_str(), localpart, &password, role].join("\0").as_bytes());
        let mac = mac.finalize().into_bytes();
        let body = json!({
            "nonce": nonce,
            "username": localpart,
            "password": password,
            "admin": admin,
            "inhibit_login": true,
            "mac": format!("{mac:x}"),
        });
        let answer = self.request(Method::POST, &register).body(body).send().await?;
        Ok(User { user_id: text(&answer, "user_id")?, password })
    }

    /// A new device of the user; the server chooses its id.
    pub async fn login(&self, user: &User) -> Result<Device> {
        self.log_in(user, json!({})).await
    }

    /// A new device of the user under this id, or the same device again with a new token.
    pub async fn login_as(&self, user: &User, device_id: &str) -> Result<Device> {
        self.log_in(user, json!({"device_id": device_id})).await
    }

    /// A new user with one device that has keys, as after signing in with Element.
    pub async fn sign_in_new(&self, stem: &str) -> Result<Device> {
        let user = self.register(stem).await?;
        let device = self.login(&user).await?;
        self.upload_keys(&device).await?;
        Ok(device)
    }

    async fn log_in(&self, user: &User, mut body: Value) -> Result<Device> {
        body["type"] = json!("m.login.password");
        body["identifier"] = json!({"type": "m.id.user", "user": user.user_id});
        body["password"] = json!(user.password);
        let login = self.client_request(Method::POST, &["login"]).body(body);
        let answer = login.send().await?;
        Ok(Device {
            user_id: text(&answer, "user_id")?,
            device_id: text(&answer, "device_id")?,
            access_token: text(&answer, "access_token")?,
        })
    }

    /// Gives the device identity keys, so that `/keys/query` lists it.
    ///
    /// They have the right shape and no more: Synapse does not check the signature, but a client with encryption would.
    pub async fn upload_keys(&self, device: &Device) -> Result<()> {
        let Device { user_id, device_id, .. } = device;
        let key = || STANDARD_NO_PAD.encode(random_key());
        let body = json!({"device_keys": {
            "user_id": user_id,
            "device_id": device_id,
            "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
            "keys": {format!("curve25519:{device_id}"): key(), format!("ed25519:{device_id}"): key()},
            "signatures": {user_id: {format!("ed25519:{device_id}"): key() + &key()}},
        }});
        self.client_request(Method::POST, &["keys", "upload"])
            .token(&device.access_token)
            .body(body)
            .send()
            .await?;
        Ok(())
    }

    /// Signs the device out; the server forgets it and its keys.
    pub async fn logout(&self, device: &Device) -> Result<()> {
        self.client_request(Method::POST, &["logout"])
            .token(&device.access_token)
            .body(json!({}))
            .send()
            .await?;
        Ok(())
    }

    /// Sets what others see instead of the user id, and waits until all the user's rooms show it.
    ///
    /// Synapse tells the rooms in the background, and by a join: somebody who leaves meanwhile is back in.
    pub async fn set_display_name(&self, device: &Device, name: &str) -> Result<()> {
        let user_id = &device.user_id;
        let path = ["profile", user_id, "displayname"];
        let set = self.as_device(device, Method::PUT, &path);
        set.body(json!({"displayname": name})).send().await?;
        for room in self.joined_rooms(device).await? {
            let what = format!("{room} to show the new name of {user_id}");
            wait_until(&what, Duration::from_secs(30), async || {
                let member = self.state_event(&room, "m.room.member", user_id).await?;
                anyhow::Ok(member.is_some_and(|it| it["content"]["displayname"] == name))
            })
            .await?;
        }
        Ok(())
    }

    /// The ids of the rooms the device's user is in.
    pub async fn joined_rooms(&self, device: &Device) -> Result<Vec<String>> {
        let ask = self.as_device(device, Method::GET, &["joined_rooms"]);
        let mut answer = ask.send().await?;
        Ok(serde_json::from_value(answer["joined_rooms"].take())?)
    }
}

/// The administrator that reads the server on behalf of the tests.
pub(crate) async fn register_server_admin(homeserver: &Homeserver) -> Result<String> {
    let admin = homeserver.register_exactly("server-admin", true).await?;
    Ok(homeserver.login(&admin).await?.access_token)
}
