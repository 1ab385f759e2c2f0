//! Instants as Matrix counts them.

use std::{fmt, time::Duration};

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// An instant: milliseconds since the Unix epoch, as in `origin_server_ts`.
///
/// Other servers write these numbers, so arithmetic saturates and never panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The latest instant that can be named.
    pub const MAX: Self = Self(i64::MAX);

    /// From milliseconds since the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This instant moved by signed milliseconds.
    #[must_use]
    pub const fn offset_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// How long after `earlier` this is; zero when it is not later.
    pub fn since(self, earlier: Self) -> Duration {
        let millis = self.0.saturating_sub(earlier.0);
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }

    /// The first instant of a day, by UTC.
    pub fn start_of_day(day: NaiveDate) -> Self {
        Self(day.and_time(NaiveTime::MIN).and_utc().timestamp_millis())
    }

    /// As a calendar time, `None` outside the years that chrono knows.
    pub fn to_utc(self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_millis(self.0)
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        self.offset_millis(millis(span))
    }
}

impl std::ops::Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(time: DateTime<Utc>) -> Self {
        Self(time.timestamp_millis())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_utc() {
            Some(time) => f.write_str(&time.to_rfc3339_opts(SecondsFormat::Secs, true)),
            None => write!(f, "{} ms", self.0),
        }
    }
}

/// A time of day, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeOfDay(Duration);

impl TimeOfDay {
    const DAY: Duration = Duration::from_hours(24);

    /// The first instant after `at` at which it is this time.
    pub fn next_after(self, at: Timestamp) -> Timestamp {
        let day = millis(Self::DAY);
        let midnight = Timestamp(at.0 - at.0.rem_euclid(day));
        let today = midnight + self.0;
        if today > at { today } else { today + Self::DAY }
    }
}

impl std::str::FromStr for TimeOfDay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let time = chrono::NaiveTime::parse_from_str(text.trim(), "%H:%M");
        let time = time.map_err(|_| "is not a time of day; write one such as \"08:00\" (UTC)".to_owned())?;
        let seconds = chrono::Timelike::num_seconds_from_midnight(&time);
        Ok(Self(Duration::from_secs(seconds.into())))
    }
}

/// Ten years: longer spans only hide a slip, and calendar arithmetic stays safe.
const LONGEST: Duration = Duration::from_hours(24 * 3653);

/// A span as people write it: `90s`, `5m`, `4h15m`; at least 1 s.
///
/// # Errors
///
/// What is wrong, as the second half of a sentence that begins with the text.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    const EXAMPLES: &str = "write a duration such as \"90s\", \"5m\" or \"4h15m\"";
    let text = text.trim();
    let wrong = || format!("is not a duration; {EXAMPLES}");
    // humantime knows more units; its "M" is a month, which nobody means who writes 5M.
    if !text.chars().all(|c| c.is_ascii_digit() || "smhdw ".contains(c)) {
        return Err(wrong());
    }
    let too_long = || "is longer than ten years".to_owned();
    let duration = humantime::parse_duration(text).map_err(|error| match error {
        humantime::DurationError::NumberOverflow => too_long(),
        _ if !text.is_empty() && text.chars().all(|c| c.is_ascii_digit()) => {
            format!("has no unit; {EXAMPLES}")
        }
        _ => wrong(),
    })?;
    if duration < Duration::from_secs(1) {
        return Err("is too short; the least is \"1s\"".to_owned());
    }
    if duration > LONGEST {
        return Err(too_long());
    }
    Ok(duration)
}

/// Reads a duration as people write it, and as the janitor shows it: `5 min`, `2 hours`, `1.5h`, `1 h 30 min`.
///
/// # Errors
///
/// What is wrong, as the second half of a sentence that begins with the text.
pub fn spoken_duration(text: &str) -> Result<Duration, String> {
    const EXAMPLES: &str = "write a duration such as \"90s\", \"5 min\" or \"4h15m\"";
    let mut total = 0.0_f64;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(format!("is not a duration; {EXAMPLES}"));
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let after = after.trim_start();
        let letters = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let number: f64 = number.parse().map_err(|_| format!("is not a duration; {EXAMPLES}"))?;
        // Whoever writes 5M does not mean months, and perhaps not minutes either.
        let unit = if unit == "M" { "" } else { &unit.to_lowercase() };
        let seconds = match unit {
            "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
            "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
            "h" | "hr" | "hrs" | "hour" | "hours" => 3600.0,
            "d" | "day" | "days" => 86_400.0,
            "w" | "week" | "weeks" => 604_800.0,
            "" if after.is_empty() => return Err(format!("has no unit that I know; {EXAMPLES}")),
            _ => return Err(format!("is not a duration; {EXAMPLES}")),
        };
        total += number * seconds;
        rest = after.trim_start();
    }
    let duration = Duration::try_from_secs_f64(total).unwrap_or(Duration::MAX);
    if duration < Duration::from_secs(1) {
        return Err("is too short; the least is \"1s\"".to_owned());
    }
    if duration > LONGEST {
        return Err("is longer than ten years".to_owned());
    }
    Ok(duration)
}

/// A span in milliseconds, saturating.
fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_comes_once_a_day() {
        let eight: TimeOfDay = "08:00".parse().expect("a time");
        let at = |text: &str| -> Timestamp { text.parse::<DateTime<Utc>>().expect("an instant").into() };
        for (now, next) in [
            ("2026-11-23T07:59:59Z", "2026-11-23T08:00:00Z"),
            ("2026-11-23T08:00:00Z", "2026-11-24T08:00:00Z"),
            ("2026-11-23T23:00:00Z", "2026-11-24T08:00:00Z"),
        ] {
            assert_eq!(eight.next_after(at(now)), at(next), "{now}");
        }
        assert!("25:00".parse::<TimeOfDay>().is_err());
        assert!("8".parse::<TimeOfDay>().is_err());
    }
}
