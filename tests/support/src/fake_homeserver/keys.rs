//! `/keys/…`: the device lists that the janitor asks for, and the encryption keys of its own chat device.

use serde_json::{Map, Value, json};

use super::{
    reply::Reply,
    request::Call,
    world::{BOT, World},
};

impl World {
    pub(super) fn keys(&mut self, call: &Call) -> Reply {
        match call.parts().get(1).copied() {
            Some("query") => Reply::json(&self.query_keys(&call.body["device_keys"])),
            Some("upload") => self.account.upload_keys(call),
            Some("device_signing") => self.account.upload_cross_signing(call),
            Some("signatures") => self.account.upload_signatures(call),
            Some("claim") => Reply::json(&json!({"one_time_keys": {}, "failures": {}})),
            Some("changes") => Reply::json(&json!({"changed": [], "left": []})),
            _ => Reply::unrecognized(),
        }
    }

    fn query_keys(&self, users: &Value) -> Value {
        let mut answer = json!({"failures": {}, "device_keys": {}});
        for user in users.as_object().into_iter().flat_map(Map::keys) {
            if user == BOT {
                answer["device_keys"][user] = Value::Object(self.account.device_keys.clone());
                for (name, key) in &self.account.cross_signing {
                    answer[format!("{name}s")][user] = key.clone();
                }
                continue;
            }
            let listed = self.residents.get(user).into_iter().flat_map(|resident| &resident.devices);
            let devices = listed.filter(|device| device.has_keys);
            let devices = devices.map(|device| (device.id.clone(), device_keys(user, &device.id)));
            answer["device_keys"][user] = Value::Object(devices.collect());
        }
        answer
    }
}

/// Keys of the right shape. Nobody verifies them: nothing is ever encrypted for these devices.
fn device_keys(user: &str, device: &str) -> Value {
    const KEY: &str = "Ue2VdnPHAtfJ1YMuNGjMFuhAGHBxKo8LqfgVuQO0Jxc";
    const SIGNATURE: &str =
        "0HtzmIzUO/aMoLxOkDXZEqFWo3ICoySNdW3V2LBy5CKSSxNqp3OAgKxJHhzgGcvK4LEBCZ9JA8gkFEAHAbDOBQ";
    let (ed25519, curve25519) = (format!("ed25519:{device}"), format!("curve25519:{device}"));
    json!({
        "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
        "device_id": device,
        "user_id": user,
        "keys": {&curve25519: KEY, &ed25519: KEY},
        "signatures": {user: {&ed25519: SIGNATURE}},
        "unsigned": {"device_display_name": "Element X"},
    })
}
