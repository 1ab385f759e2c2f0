//! Shell: which commands a block runs, and what is known of each. Bash checks the syntax; here only as much is understood as
//! it takes to find the commands and their words.

use crate::{program, root};

/// Other programs that pages may name, and what for. Their options are theirs.
const OTHERS: [(&str, &str); 27] = [
    ("apt", "Debian's packages"),
    ("bash", "the shell"),
    ("cargo", "builds and tests"),
    ("chmod", "who may read secrets"),
    ("chown", "who may read secrets"),
    ("cp", "copies"),
    ("base64", "reads what Kubernetes keeps"),
    ("curl", "asks a homeserver, where the bot has no command for it"),
    ("docker", "containers"),
    ("dpkg", "Debian's packages"),
    ("echo", "writes"),
    ("git", "gets the sources"),
    ("helm", "Kubernetes"),
    ("install", "puts files in place"),
    ("journalctl", "the log under systemd"),
    ("jq", "reads JSON"),
    ("kubectl", "Kubernetes"),
    ("mas-cli", "makes tokens where Matrix Authentication Service signs in"),
    ("mkdir", "makes folders"),
    ("podman", "containers"),
    ("printf", "writes"),
    ("read", "of the shell: takes a line"),
    ("register_new_matrix_user", "Synapse's way to make an account"),
    ("sleep", "keeps to a server's pace"),
    ("sqlite3", "copies the journal while it is in use"),
    ("systemctl", "services under systemd"),
    ("tee", "writes where only root may"),
];

/// What stands before a command and is none.
const BEFORE: [&str; 11] = ["sudo", "!", "{", "do", "then", "else", "if", "elif", "while", "until", "time"];

/// What stands where a command could and ends or begins something.
const STRUCTURE: [&str; 6] = ["done", "fi", "}", "for", "esac", "case"];

/// What is wrong with one command, as far as anybody can tell.
pub(crate) fn fault_of(words: &[String]) -> Option<String> {
    let (name, arguments) = words.split_first()?;
    let own = name.rsplit('/').next() == Some("rtc-janitor");
    match &**name {
        _ if own => program::refusal_of_arguments(arguments),
        "cargo" => fault_of_cargo(arguments),
        path if path.contains('/') => {
            (!root().join(path).is_file()).then(|| format!("there is no {path} here"))
        }
        other => (!OTHERS.iter().any(|(known, _)| *known == other)).then(|| {
            format!("“{other}” is not among the programs that pages may name (tests/docs/shell.rs)")
        }),
    }
}

/// Tests, benches and examples that are named exist.
fn fault_of_cargo(arguments: &[String]) -> Option<String> {
    arguments.windows(2).find_map(|pair| {
        let folder = match &*pair[0] {
            "--test" => "tests",
            "--bench" => "benches",
            "--example" => "examples",
            _ => return None,
        };
        let file = format!("{folder}/{}.rs", pair[1]);
        (!root().join(&file).is_file()).then(|| format!("there is no {file}"))
    })
}

/// The commands of a script, each as its words: without assignments, redirections, quotes and comments.
pub(crate) fn commands(script: &str) -> Result<Vec<Vec<String>>, String> {
    let mut all = Vec::new();
    Script { rest: without_here_documents(script).chars().collect(), at: 0 }.read(&mut all, None)?;
    Ok(all)
}

/// What stands in a here-document is read by the command before it.
fn without_here_documents(script: &str) -> String {
    let mut kept = String::new();
    let mut end: Option<String> = None;
    for line in script.lines() {
        match &end {
            Some(word) if line.trim() == word => end = None,
            Some(_) => {}
            None => {
                let (before, after) = line.split_once("<<").unwrap_or((line, ""));
                let word = after
                    .trim_start_matches('-')
                    .split_whitespace()
                    .next()
                    .map(|word| word.replace(['\'', '"'], ""));
                end = word.filter(|word| !word.starts_with('<'));
                kept.push_str(if end.is_some() { before } else { line });
                kept.push('\n');
            }
        }
    }
    kept
}

struct Script {
    rest: Vec<char>,
    at: usize,
}

impl Script {
    fn next(&mut self) -> Option<char> {
        let next = self.rest.get(self.at).copied();
        self.at += 1;
        next
    }

    fn peek(&self) -> Option<char> {
        self.rest.get(self.at).copied()
    }

    /// Reads to the end, or to `until`.
    fn read(&mut self, all: &mut Vec<Vec<String>>, until: Option<char>) -> Result<(), String> {
        let mut words = Vec::new();
        let mut word: Option<String> = None;
        loop {
            let next = self.next();
            match next {
                Some('#') if word.is_none() => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.at += 1;
                    }
                }
                Some(' ' | '\t') => words.extend(word.take()),
                Some('\\') => match self.next() {
                    Some('\n') => {}
                    escaped => word.get_or_insert_default().extend(escaped),
                },
                Some('\'') => {
                    let word = word.get_or_insert_default();
                    loop {
                        match self.next() {
                            None => return Err("a quote that does not end".to_owned()),
                            Some('\'') => break,
                            Some(c) => word.push(c),
                        }
                    }
                }
                Some('"') => {
                    let quoted = self.quoted(all)?;
                    word.get_or_insert_default().push_str(&quoted);
                }
                Some('$') if self.peek() == Some('(') => {
                    self.at += 1;
                    self.read(all, Some(')'))?;
                    word.get_or_insert_default().push_str("$(...)");
                }
                Some('>' | '<') => {
                    // Where the output goes; a number before it is that of the stream.
                    let number = word.take().filter(|word| !word.chars().all(|c| c.is_ascii_digit()));
                    words.extend(number);
                    while self.peek().is_some_and(|c| "<>& ".contains(c)) {
                        self.at += 1;
                    }
                    words.push(REDIRECTED.to_owned());
                }
                _ if next.is_none() || next == until || next.is_some_and(|c| "\n;|&()".contains(c)) => {
                    words.extend(word.take());
                    all.extend(command_of(std::mem::take(&mut words)));
                    if next.is_none() && until.is_some() {
                        return Err("a bracket that does not end".to_owned());
                    }
                    if next == until {
                        return Ok(());
                    }
                }
                Some(c) => word.get_or_insert_default().push(c),
                None => return Ok(()),
            }
        }
    }

    /// What stands in double quotes.
    fn quoted(&mut self, all: &mut Vec<Vec<String>>) -> Result<String, String> {
        let mut text = String::new();
        loop {
            match self.next() {
                None => return Err("a quote that does not end".to_owned()),
                Some('"') => return Ok(text),
                Some('\\') => text.extend(self.next()),
                Some('$') if self.peek() == Some('(') => {
                    self.at += 1;
                    self.read(all, Some(')'))?;
                    text.push_str("$(...)");
                }
                Some(c) => text.push(c),
            }
        }
    }
}

/// Stands before the word that is a file and no argument.
const REDIRECTED: &str = "\0";

/// What is run of all the words between two operators.
fn command_of(words: Vec<String>) -> Option<Vec<String>> {
    let mut kept: Vec<String> = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let is_before = kept.is_empty() && (BEFORE.contains(&&*word) || is_assignment(&word));
        if word == REDIRECTED {
            words.next();
        } else if !is_before {
            kept.push(word);
        }
    }
    kept.first().is_some_and(|first| !STRUCTURE.contains(&&**first)).then_some(kept)
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

#[test]
fn commands_are_found_wherever_they_stand() {
    for (script, expected) in [
        ("a b # c", vec!["a b"]),
        ("a 'b c' \"d $E\" f\\ g", vec!["a b c d $E f g"]),
        ("a |\n    b && c; d", vec!["a", "b", "c", "d"]),
        ("a \\\n    b", vec!["a b"]),
        ("KEY=$(a --b) C=d e", vec!["a --b", "e"]),
        ("a \"$(b c)\" < d > e 2>f", vec!["b c", "a $(...)"]),
        ("while read -r X; do\n    a $X\ndone < b", vec!["read -r X", "a $X"]),
        ("sudo tee a <<'EOF'\nb c\nEOF\nd", vec!["tee a", "d"]),
        ("if ! a; then b; fi", vec!["a", "b"]),
    ] {
        let found: Vec<_> = commands(script).unwrap().iter().map(|words| words.join(" ")).collect();
        assert_eq!(found, expected, "{script}");
    }
}
