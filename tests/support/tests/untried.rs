//! No test: says in the output of `cargo test` which promises nothing was tried of, for tests that pass without what
//! they are about must not look like tests that were run.

use rtc_janitor_test_support::{Dendrite, LiveKit, Postgres, Prometheus};

fn main() {
    if LiveKit::installed().is_none() {
        println!(
            "NOT TRIED: what rests on a real SFU (absence from a call, the veto of those who are there, webhooks), \
             for it is not built; `tests/livekit/build` does that in minutes, and needs Go."
        );
    }
    if Dendrite::installed().is_none() {
        println!(
            "NOT TRIED: whether the bot keeps its promises on a homeserver that is no Synapse, for there is no Dendrite; \
             `tests/dendrite/build` builds one in minutes, and needs Go."
        );
    }
    if Prometheus::installed().is_none() {
        println!(
            "NOT TRIED: whether a real Prometheus reads the metrics, for there is none; `tests/prometheus/get` fetches it \
             in seconds, and needs Debian's apt-get."
        );
    }
    if Postgres::installed().is_none() {
        println!(
            "NOT TRIED: a homeserver on PostgreSQL, for there is none; `tests/postgres/get` installs Debian's, as root."
        );
    }
}
