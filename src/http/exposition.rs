//! The two text formats in which Prometheus reads metrics. It asks for OpenMetrics; people, promtool and older
//! collectors get the classic one.

/// As OpenMetrics wants it named.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The classic format.
const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The answer for whoever accepts this, from what stands in OpenMetrics: its content type and itself.
pub(super) fn of(open_metrics: &str, accepted: Option<&str>) -> (&'static str, String) {
    if accepted.is_some_and(|accepted| accepted.contains("application/openmetrics-text")) {
        (OPEN_METRICS, open_metrics.to_owned())
    } else {
        (CLASSIC, classic(open_metrics))
    }
}

/// The classic format describes a counter by the whole name of its sample, and has no end mark and no units.
fn classic(open_metrics: &str) -> String {
    let counters: Vec<_> = open_metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    let mut text = String::with_capacity(open_metrics.len() + 256);
    for line in open_metrics.lines().filter(|line| *line != "# EOF" && !line.starts_with("# UNIT ")) {
        let described = ["# HELP ", "# TYPE "].into_iter().find_map(|keyword| {
            let (name, rest) = line.strip_prefix(keyword)?.split_once(' ')?;
            counters.contains(&name).then(|| format!("{keyword}{name}_total {rest}"))
        });
        text.push_str(described.as_deref().unwrap_or(line));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn whoever_asks_for_open_metrics_gets_it_and_all_others_the_classic_format() {
        let open_metrics = Metrics::new().open_metrics();
        let asks = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3";
        assert_eq!(of(&open_metrics, Some(asks)), (OPEN_METRICS, open_metrics.clone()));
        for accepted in [None, Some("*/*"), Some("text/plain")] {
            let (content_type, text) = of(&open_metrics, accepted);
            assert_eq!(content_type, CLASSIC);
            assert!(
                text.contains("# TYPE rtc_janitor_cleared_total counter\nrtc_janitor_cleared_total{"),
                "{text}"
            );
            assert!(text.contains("# TYPE rtc_janitor_memberships gauge\n"), "{text}");
            assert!(!text.contains("# EOF"), "{text}");
        }
    }
}
