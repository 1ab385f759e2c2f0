//! Words that belong together: names of rooms have blanks in them, and durations do as people write them.

use super::arguments::{as_day, as_lines};

/// The words of a command, with those joined that are one argument. Nobody has to quote a name.
pub(super) fn joined(words: Vec<String>) -> Vec<String> {
    let mut words = words.into_iter();
    let Some(command) = words.next() else { return Vec::new() };
    let rest: Vec<String> = words.collect();
    let arguments = match command.as_str() {
        "calls" | "explain" | "sweep" | "join" | "exclude" | "include" => one(&rest),
        "clear" => with_last(&rest, |last| last.starts_with('@')),
        "leave" => {
            // Behind an id alone, as the question shows it: a room may be called "Team Yes".
            let is_answer = |last: &str| rest[0].starts_with('!') && last.eq_ignore_ascii_case("yes");
            let mut arguments = with_last(&rest, is_answer);
            arguments.iter_mut().skip(1).for_each(|answer| answer.make_ascii_lowercase());
            arguments
        }
        "history" => {
            let is_name = |word: &&String| as_lines(word).is_none() && as_day(word).is_none();
            // A name may hold numbers; those that end the line are no part of it.
            let name = rest.iter().rposition(|word| is_name(&word)).map_or(0, |last| last + 1);
            let mut arguments = one(&rest[..name]);
            arguments.extend_from_slice(&rest[name..]);
            arguments
        }
        "pause" | "stop" | "halt" => {
            let length = rest.strip_prefix(&["for".to_owned()]).unwrap_or(&rest);
            one(length)
        }
        "grace" | "breaker" => {
            let (first, others) = rest.split_at(rest.len().min(1));
            [first.to_vec(), one(others)].concat()
        }
        _ => rest,
    };
    [vec![command], arguments].concat()
}

/// All words as one.
fn one(words: &[String]) -> Vec<String> {
    if words.is_empty() { Vec::new() } else { vec![words.join(" ")] }
}

/// All words as one, but for the last where it stands for itself.
fn with_last(words: &[String], stands_alone: impl Fn(&str) -> bool) -> Vec<String> {
    match words {
        [name @ .., last] if !name.is_empty() && stands_alone(last) => {
            [one(name), vec![last.clone()]].concat()
        }
        _ => one(words),
    }
}
