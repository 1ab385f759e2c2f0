//! Words that belong together: names of rooms have blanks in them, and durations do as people write them.

use super::arguments::{GraceKey, as_day, as_lines};

/// The words of a command, with those joined that are one argument. Nobody has to quote a name.
pub(super) fn joined(words: Vec<String>) -> Vec<String> {
    let mut words = words.into_iter();
    let Some(command) = words.next() else { return Vec::new() };
    let rest: Vec<String> = words.collect();
    if matches!(command.as_str(), "stop" | "halt") && is_the_survey(&rest) {
        // As people say it. Without an object, it is all that is to stop.
        return vec!["survey".to_owned(), "stop".to_owned()];
    }
    let arguments = match command.as_str() {
        "calls" | "explain" | "survey" | "sweep" | "join" | "exclude" | "include" => one(&rest),
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
            let says_for = rest.first().is_some_and(|word| word.eq_ignore_ascii_case("for"));
            one(&rest[usize::from(says_for)..])
        }
        "grace" | "breaker" => {
            // "device gone" is one reason.
            let is_reason = |words: &[String]| words.join("_").parse::<GraceKey>().is_ok();
            let of_reason = (1..=rest.len().min(3)).rev().find(|count| is_reason(&rest[..*count]));
            let (first, others) = rest.split_at(of_reason.unwrap_or(1).min(rest.len()));
            let first = if first.is_empty() { Vec::new() } else { vec![first.join("_")] };
            [first, one(others)].concat()
        }
        _ => rest,
    };
    [vec![command], arguments].concat()
}

fn is_the_survey(words: &[String]) -> bool {
    let survey = match words {
        [the, survey] if the.eq_ignore_ascii_case("the") => survey,
        [survey] => survey,
        _ => return false,
    };
    survey.trim_end_matches(['!', '.']).eq_ignore_ascii_case("survey")
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
