//! What people and benches look for in the log.

use std::{
    io,
    sync::{Arc, Mutex},
};

use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use super::fakes::Story;

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no test panics while it holds this").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Written {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn each_sweep_is_told_under_the_name_of_the_loop_at_debug_level() {
    let written = Written::default();
    let filter = EnvFilter::new("info,rtc_janitor::janitor::run=debug");
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(written.clone());
    let _log = tracing::subscriber::set_default(log.finish());
    let mut story = Story::new();
    story.ghost("@alice:hs", "DEAD").await;
    story.minutes(2).await;
    let log = String::from_utf8(written.0.lock().expect("written").clone()).expect("text");
    assert!(log.lines().any(|line| line.contains("sweep{scope=All}") && line.contains("swept ")), "{log}");
}
