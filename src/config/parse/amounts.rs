//! Spans of time and numbers, with their ranges.

use std::{num::NonZeroU32, time::Duration};

use ::config::ValueKind;
use rtc_janitor_core::time::{TimeOfDay, parse_duration};

use super::{Parsed, shown};
use crate::config::Grace;

/// `90s`, `5m`, `4h15m`.
pub(in crate::config) fn duration(value: &ValueKind) -> Parsed<Duration> {
    let ValueKind::String(text) = value else {
        return Err(format!(
            "{} is not a duration in quotes; write a duration such as \"90s\", \"5m\" or \"4h15m\"",
            shown(value)
        ));
    };
    parse_duration(text).map_err(|why| format!("{} {why}", shown(value)))
}

/// A duration, or `never`.
pub(in crate::config) fn grace(value: &ValueKind) -> Parsed<Grace> {
    match value {
        ValueKind::String(text) if text.trim() == "never" => Ok(Grace::Never),
        _ => duration(value).map(Grace::After).map_err(|why| format!("{why}, or \"never\"")),
    }
}

/// A time of day in UTC; `None` for `never`.
pub(in crate::config) fn time_of_day(value: &ValueKind) -> Parsed<Option<TimeOfDay>> {
    let ValueKind::String(text) = value else {
        return Err(format!("{} is not a time of day in quotes; write one such as \"08:00\"", shown(value)));
    };
    if text.trim() == "never" {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|why: String| format!("{} {why}, or \"never\"", shown(value)))
}

/// A whole number, at least 1.
pub(in crate::config) fn count(value: &ValueKind) -> Parsed<NonZeroU32> {
    let ValueKind::I64(number) = value else {
        return Err(format!("{} is not a whole number; write it without quotes, such as 20", shown(value)));
    };
    u32::try_from(*number)
        .ok()
        .and_then(NonZeroU32::new)
        .ok_or_else(|| format!("{number} is out of range; it goes from 1 to {}", u32::MAX))
}

/// A power level: 0 to 100 in most rooms, but Matrix knows no end.
pub(in crate::config) fn power_level(value: &ValueKind) -> Parsed<i64> {
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
pub(in crate::config) fn share(value: &ValueKind) -> Parsed<f64> {
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
