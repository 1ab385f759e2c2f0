//! One page of Markdown: its blocks, its code in sentences, its headings, its links. No more of Markdown than the pages use.

use std::{collections::BTreeMap, fs};

use crate::root;

/// Words that another word has taken the place of: nothing has a second name.
const REPLACED: [(&str, &str); 6] = [
    ("hang up", "clear, or leave the call"),
    ("hangs up", "clears, or leaves the call"),
    ("hung up", "cleared"),
    ("safety catch", "breaker"),
    ("left alone by wish", "excluded"),
    ("mode `report`", "report mode"),
];

/// The longest line, in characters; tables cannot be broken.
const WIDTH: usize = 120;

/// A page.
pub(crate) struct Page {
    /// From the root of the repository.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// A fenced block.
pub(crate) struct Block {
    /// The number of its first line.
    pub(crate) line: usize,
    /// What stands after the fence.
    pub(crate) language: String,
    /// Without the indentation of the fence.
    pub(crate) text: String,
}

impl Page {
    pub(crate) fn read(path: &str) -> Self {
        let text = fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        Self { path: path.to_owned(), text }
    }

    /// A fault, with where it is.
    pub(crate) fn fault(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }

    /// The fenced blocks; an `Err` is the line of one that does not end.
    pub(crate) fn blocks(&self) -> Result<Vec<Block>, usize> {
        let mut blocks = Vec::new();
        let mut open: Option<(usize, Block)> = None;
        for (index, line) in self.text.lines().enumerate() {
            let bare = line.trim_start();
            match &mut open {
                None => {
                    if let Some(language) = bare.strip_prefix("```") {
                        let block =
                            Block { line: index + 2, language: language.trim().into(), text: String::new() };
                        open = Some((line.len() - bare.len(), block));
                    }
                }
                Some(_) if bare.trim_end() == "```" => blocks.extend(open.take().map(|(_, block)| block)),
                Some((indent, block)) => {
                    let own = line.len() - bare.len();
                    block.text.push_str(&line[own.min(*indent)..]);
                    block.text.push('\n');
                }
            }
        }
        open.map_or(Ok(blocks), |(_, block)| Err(block.line - 1))
    }

    /// The lines outside of blocks and of HTML comments, with their numbers.
    pub(crate) fn prose(&self) -> impl Iterator<Item = (usize, &str)> {
        let (mut in_block, mut in_comment) = (false, false);
        self.text.lines().enumerate().filter_map(move |(index, line)| {
            if !in_comment && line.trim_start().starts_with("```") {
                in_block = !in_block;
                return None;
            }
            if !in_block && line.starts_with("<!--") {
                in_comment = true;
            }
            let is_prose = !in_block && !in_comment;
            if in_comment && line.ends_with("-->") {
                in_comment = false;
            }
            is_prose.then_some((index + 1, line))
        })
    }

    /// What stands between backticks in sentences and tables.
    pub(crate) fn inline_code(&self) -> Vec<(usize, &str)> {
        let mut spans = Vec::new();
        for (number, line) in self.prose() {
            spans.extend(line.split('`').skip(1).step_by(2).map(|code| (number, code)));
        }
        spans
    }

    /// The anchors of its headings, as code hosts make them.
    fn anchors(&self) -> Vec<String> {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let headings = self.prose().filter_map(|(_, line)| {
            let text = line.trim_start_matches('#');
            (text.len() < line.len() && text.starts_with(' ')).then_some(text.trim())
        });
        headings
            .map(|heading| {
                let kept = heading
                    .to_lowercase()
                    .chars()
                    .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
                    .collect::<String>();
                let slug = kept.replace(' ', "-");
                let count = seen.entry(slug.clone()).and_modify(|count| *count += 1).or_insert(0);
                if *count == 0 { slug } else { format!("{slug}-{count}") }
            })
            .collect()
    }

    /// The targets of its links.
    fn links(&self) -> Vec<(usize, String)> {
        let mut links = Vec::new();
        for (number, line) in self.prose() {
            // Code in a link's label is part of the link; code that looks like a link is not met here.
            for rest in line.split("](").skip(1) {
                let target = rest.split(')').next().unwrap_or_default();
                links.push((number, target.to_owned()));
            }
        }
        links
    }

    /// A path as this page's links write it, from the root of the repository.
    fn resolve(&self, target: &str) -> String {
        let mut parts: Vec<_> = self.path.split('/').collect();
        parts.pop();
        for part in target.split('/') {
            match part {
                "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        parts.join("/")
    }
}

/// Links to files and headings that are not there.
pub(crate) fn check_links(page: &Page) -> Vec<String> {
    let fault = |(line, target): (usize, String)| {
        if target.starts_with("https://") {
            return None;
        }
        let (path, anchor) =
            target.split_once('#').map_or((&*target, None), |(path, anchor)| (path, Some(anchor)));
        let path = if path.is_empty() { page.path.clone() } else { page.resolve(path) };
        let anchors = if path == page.path {
            page.anchors()
        } else if root().join(&path).exists() {
            if anchor.is_some() { Page::read(&path).anchors() } else { Vec::new() }
        } else {
            return Some(page.fault(line, &format!("the link to {target} leads to no file")));
        };
        let is_missing = anchor.is_some_and(|anchor| !anchors.iter().any(|known| known == anchor));
        is_missing.then(|| page.fault(line, &format!("the link to {target} leads to no heading")))
    };
    page.links().into_iter().filter_map(fault).collect()
}

/// Lines that are too long, code that no search for it finds, and words that are not used any more.
pub(crate) fn check_lines(page: &Page) -> Vec<String> {
    let is_cut = |line: &str| line.matches('`').count() % 2 == 1;
    let cut = page.prose().filter(|(_, line)| is_cut(line));
    let mut faults: Vec<_> =
        cut.map(|(number, _)| page.fault(number, "code goes over the end of the line")).collect();
    for (index, line) in page.text.lines().enumerate() {
        let is_table = line.trim_start().starts_with('|');
        if !is_table && line.chars().count() > WIDTH {
            faults.push(page.fault(index + 1, &format!("longer than {WIDTH} characters")));
        }
        for (word, instead) in REPLACED {
            if line.to_lowercase().contains(word) {
                faults.push(page.fault(index + 1, &format!("“{word}” is called: {instead}")));
            }
        }
    }
    faults
}
