//! Spans of time and numbers, with their ranges.

use std::{num::NonZeroU32, time::Duration};

use ::config::ValueKind;
use rtc_janitor_core::time::{TimeOfDay, parse_duration};

use super::{How, Parsed, shown};
use crate::config::{Grace, table::Kind};

pub(in crate::config) const COUNT: How<NonZeroU32> = How::new(Kind::Whole, count);
pub(in crate::config) const DURATION: How<Duration> = How::new(Kind::Text, duration);
pub(in crate::config) const GRACE: How<Grace> = How::new(Kind::Text, grace);
pub(in crate::config) const POWER_LEVEL: How<i64> = How::new(Kind::Whole, power_level);
pub(in crate::config) const SHARE: How<f64> = How::new(Kind::Fraction, share);
pub(in crate::config) const TIME_OF_DAY: How<Option<TimeOfDay>> = How::new(Kind::Text, time_of_day);

/// `90s`, `5m`, `4h15m`.
pub(super) fn duration(value: &ValueKind) -> Parsed<Duration> {
    let ValueKind::String(text) = value else {
        return Err(format!(
            "{} is not a duration in quotes; write a duration such as \"90s\", \"5m\" or \"4h15m\"",
            shown(value)
        ));
    };
    // A space that does not break the line is what some editors put between a number and its unit.
    parse_duration(&text.replace(['\u{a0}', '\u{202f}'], " "))
        .map_err(|why| format!("{} {why}", shown(value)))
}

/// A duration, or `never`.
pub(super) fn grace(value: &ValueKind) -> Parsed<Grace> {
    match value {
        ValueKind::String(text) if text.trim() == "never" => Ok(Grace::Never),
        _ => duration(value).map(Grace::After).map_err(|why| format!("{why}, or \"never\"")),
    }
}

/// A time of day in UTC; `None` for `never`.
pub(super) fn time_of_day(value: &ValueKind) -> Parsed<Option<TimeOfDay>> {
    let ValueKind::String(text) = value else {
        return Err(format!("{} is not a time of day in quotes; write one such as \"08:00\"", shown(value)));
    };
    if text.trim() == "never" {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|why: String| format!("{} {why}, or \"never\"", shown(value)))
}

/// A whole number, at least 1.
pub(super) fn count(value: &ValueKind) -> Parsed<NonZeroU32> {
    let ValueKind::I64(number) = value else {
        return Err(format!("{} is not a whole number; write it without quotes, such as 20", shown(value)));
    };
    u32::try_from(*number)
        .ok()
        .and_then(NonZeroU32::new)
        .ok_or_else(|| format!("{number} is out of range; it goes from 1 to {}", u32::MAX))
}

/// A power level: 0 to 100 in most rooms, but Matrix knows no end.
pub(super) fn power_level(value: &ValueKind) -> Parsed<i64> {
    /// The largest integer of Matrix' canonical JSON.
    const HIGHEST: i64 = (1 << 53) - 1;
    let ValueKind::I64(number) = value else {
        return Err(format!("{} is not a whole number; write it without quotes, such as 50", shown(value)));
    };
    if (0..=HIGHEST).contains(number) {
        Ok(*number)
    } else {
        Err(format!("{number} is out of range; it goes from 0 to {HIGHEST}"))
    }
}

/// A share of a whole, above 0 and at most 1.
pub(super) fn share(value: &ValueKind) -> Parsed<f64> {
    let share = match value {
        ValueKind::Float(number) => *number,
        ValueKind::I64(1) => 1.0,
        ValueKind::I64(_) => f64::NAN,
        _ => return Err(format!("{} is not a number; write it without quotes, such as 0.5", shown(value))),
    };
    if share > 0.0 && share <= 1.0 {
        Ok(share)
    } else {
        Err(format!("{} is out of range; it must be above 0 and at most 1", shown(value)))
    }
}
