//! What the demo prints, for a terminal of 80 columns.

use std::cell::Cell;

use rtc_janitor::world::clock::{Clock as _, SystemClock};
use rtc_janitor_core::time::Timestamp;

/// How wide lines get; only an id may be longer.
const WIDTH: usize = 80;

/// What stands left of the text: as wide as the time.
const INDENT: &str = "         ";

/// The terminal.
pub(crate) struct Screen {
    started: Timestamp,
    /// Whether the last line that was printed is empty.
    has_gap: Cell<bool>,
}

impl Screen {
    /// The demo begins.
    pub(crate) fn new() -> Self {
        Self { started: SystemClock.now(), has_gap: Cell::new(false) }
    }

    /// A chapter begins.
    pub(crate) fn heading(&self, text: &str) {
        self.gap();
        self.line(&format!("== {text}"));
        self.gap();
    }

    /// What happens now.
    pub(crate) fn say(&self, text: &str) {
        let stamp = format!("{:>5.1} s  ", SystemClock.now().since(self.started).as_secs_f32());
        self.wrap(&stamp, INDENT, text);
    }

    /// A message in the admin room.
    pub(crate) fn message(&self, sender: &str, body: &str) {
        self.gap();
        self.say(&format!("{sender}, in the admin room:"));
        for line in body.lines() {
            // What follows of an item of a list stands below its text.
            let rest = if line.starts_with("- ") { "│   " } else { "│ " };
            self.wrap(&format!("{INDENT}│ "), &format!("{INDENT}{rest}"), line);
        }
        self.gap();
    }

    /// A table, its heading first.
    pub(crate) fn table<const N: usize>(&self, rows: &[[String; N]]) {
        self.gap();
        let (heading, rest) = rows.split_at(1);
        let rule = heading[0].clone().map(|cell| "-".repeat(cell.chars().count()));
        self.rows(&[heading, &[rule], rest].concat());
        self.gap();
    }

    /// Rows with their columns in line.
    pub(crate) fn rows<const N: usize>(&self, rows: &[[String; N]]) {
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<_> = (0..N).map(width).collect();
        for row in rows {
            let cells: Vec<_> =
                row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            self.line(format!("{INDENT}{}", cells.join("  ")).trim_end());
        }
    }

    fn wrap(&self, first: &str, rest: &str, text: &str) {
        let mut line = first.to_owned();
        let mut is_begun = false;
        for word in text.split_whitespace() {
            if is_begun && line.chars().count() + 1 + word.chars().count() > WIDTH {
                self.line(&line);
                rest.clone_into(&mut line);
            } else if is_begun {
                line.push(' ');
            }
            line.push_str(word);
            is_begun = true;
        }
        self.line(&line);
    }

    fn line(&self, line: &str) {
        println!("{line}");
        self.has_gap.set(line.is_empty());
    }

    /// An empty line, unless there is one.
    pub(crate) fn gap(&self) {
        if !self.has_gap.get() {
            self.line("");
        }
    }
}
