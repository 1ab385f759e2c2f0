//! What an SFU is started with: the options a test may choose, and the file LiveKit reads.

use std::time::Duration;

use serde_json::{Value, json};

use super::LiveKit;

/// How an SFU is set up. The default is LiveKit's own, on loopback.
#[derive(Debug, Clone, Default)]
pub struct LiveKitOptions {
    /// Who is told what happens, such as [`crate::WebhookSink::url`]. None is told, if this is empty.
    pub webhooks: Vec<String>,
    /// How long a room stays to which nobody came, in whole seconds; LiveKit's default is 300 s.
    pub empty_timeout: Option<Duration>,
    /// How long a room stays after the last one has left, in whole seconds; LiveKit's default is 20 s.
    pub departure_timeout: Option<Duration>,
    /// Whether joining does not make a room that there is not.
    pub only_created_rooms: bool,
}

impl LiveKitOptions {
    /// The file, as JSON, which is YAML.
    pub(super) fn config(&self, port: u16, media_port: u16) -> Value {
        let mut room = json!({"auto_create": !self.only_created_rooms});
        for (key, timeout) in
            [("empty_timeout", self.empty_timeout), ("departure_timeout", self.departure_timeout)]
        {
            if let Some(timeout) = timeout {
                // 0 means LiveKit's default.
                room[key] = timeout.as_secs().max(1).into();
            }
        }
        let mut config = json!({
            "port": port,
            "bind_addresses": ["127.0.0.1"],
            "rtc": {
                // Otherwise ICE over TCP listens on all interfaces, whatever `bind_addresses` says.
                "tcp_port": 0,
                // One port for all instead of a range.
                "udp_port": media_port,
                // It would ask a STUN server.
                "use_external_ip": false,
                "node_ip": "127.0.0.1",
                "enable_loopback_candidate": true,
                // Otherwise it binds the other interfaces and leaves this one out.
                "interfaces": {"includes": ["lo"]},
            },
            "keys": {LiveKit::KEY: LiveKit::SECRET},
            // `info` has a line for every call of the API.
            "logging": {"level": "warn"},
            "room": room,
        });
        if !self.webhooks.is_empty() {
            config["webhook"] = json!({"api_key": LiveKit::KEY, "urls": self.webhooks});
        }
        config
    }
}
