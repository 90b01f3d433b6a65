//! Links between documents, and numbered lists in the heads of files.
//!
//! A heading is renamed and a link dies; an invariant is removed and every citation of a later one
//! is wrong. Links to the web are left alone: a test must not fail because a server is down.

use std::collections::HashMap;

use crate::repo::{File, Offence};
use crate::scan::is_word;

/// Every relative link in a Markdown file leads to a file or folder, and its anchor to a heading.
pub(crate) fn links(files: &[File]) -> Vec<Offence> {
    let mut offences = Vec::new();
    for file in files.iter().filter(|file| file.is_markdown()) {
        for (line, text) in prose(&file.text) {
            // Of items rustdoc sees to it, where the document is a part of the documentation.
            let is_item = |target: &String| target.contains("::");
            for target in targets(&text).into_iter().filter(|target| !is_item(target)) {
                if let Err(why) = follow(files, file, &target) {
                    offences.push(file.offence(line, format!("link `{target}`: {why}")));
                }
            }
        }
    }
    offences
}

/// The lines outside code blocks, without code in backticks.
fn prose(text: &str) -> Vec<(usize, String)> {
    let mut fence = None;
    let mut lines = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let mark = ["```", "~~~"]
            .into_iter()
            .find(|mark| line.trim_start().starts_with(mark));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            (Some(_), _) => {}
            (None, None) => {
                let outside: String = line.split('`').step_by(2).collect();
                lines.push((at + 1, outside));
            }
        }
    }
    lines
}

/// The targets of `[text](target)` and `[name]: target`.
fn targets(line: &str) -> Vec<String> {
    let mut found: Vec<&str> = line
        .match_indices("](")
        .filter_map(|(at, mark)| line[at + mark.len()..].split(')').next())
        .collect();
    if line.starts_with('[')
        && let Some((_, target)) = line.split_once("]: ")
    {
        found.push(target);
    }
    let without_title = |target: &str| target.split(' ').next().unwrap_or_default().to_owned();
    found.into_iter().map(without_title).collect()
}

fn follow(files: &[File], from: &File, target: &str) -> Result<(), String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return Ok(());
    }
    let (path, anchor) = match target.split_once('#') {
        Some((path, anchor)) => (path, Some(anchor)),
        None => (target, None),
    };
    let path = match path {
        "" => from.path.clone(),
        _ => join(from.folder(), path).ok_or("leads out of the repository")?,
    };
    let folder = format!("{path}/");
    let file = files.iter().find(|file| file.path == path);
    match (file, anchor) {
        (None, None) if path.is_empty() => Ok(()),
        (None, _) if files.iter().any(|file| file.path.starts_with(&folder)) => match anchor {
            None => Ok(()),
            Some(_) => Err("a folder has no headings".to_owned()),
        },
        (None, _) => Err(format!("there is no `{path}`")),
        (Some(file), Some(anchor)) if file.is_markdown() => {
            match anchors(&file.text).iter().any(|known| known == anchor) {
                true => Ok(()),
                false => Err(format!("`{path}` has no heading `#{anchor}`")),
            }
        }
        (Some(_), _) => Ok(()),
    }
}

/// The path from the root of a path from a folder; `None` if it leads out.
fn join(folder: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The anchors of the headings, as GitHub makes them.
fn anchors(text: &str) -> Vec<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut fenced = false;
    let mut anchors = Vec::new();
    for line in text.lines() {
        fenced ^= line.trim_start().starts_with("```");
        let title = line.trim_start_matches('#');
        let level = line.len() - title.len();
        if fenced || !(1..=6).contains(&level) || !title.starts_with(' ') {
            continue;
        }
        let slug: String = visible(title.trim())
            .to_lowercase()
            .chars()
            .filter(|&c| is_word(c) || c == ' ' || c == '-')
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        let count = seen.entry(slug.clone()).or_default();
        anchors.push(match *count {
            0 => slug,
            count => format!("{slug}-{count}"),
        });
        *count += 1;
    }
    anchors
}

/// A heading as it is shown: of a link only the text.
fn visible(title: &str) -> String {
    let mut shown = String::new();
    let mut rest = title;
    while let Some((before, after)) = rest.split_once("](") {
        shown += before;
        rest = after.split_once(')').map_or("", |parts| parts.1);
    }
    shown + rest
}

/// The items of a numbered list in a `//!` comment count 1, 2, 3.
pub(crate) fn numbered_lists(file: &File) -> Vec<Offence> {
    let mut offences = Vec::new();
    let mut last = 0;
    // A line of a paragraph that begins with a number is an item only if the number is 1.
    let mut paragraph = false;
    let mut fenced = false;
    for (at, line) in file.text.lines().enumerate() {
        let Some(text) = line.strip_prefix("//!") else {
            (last, paragraph) = (0, false);
            continue;
        };
        let text = text.strip_prefix(' ').unwrap_or(text);
        fenced ^= text.trim_start().starts_with("```");
        match item(text) {
            _ if fenced => {}
            Some(number) if number == 1 || !paragraph => {
                if number != last + 1 && number != 1 {
                    let message = format!("item {number} comes after item {last}");
                    offences.push(file.offence(at + 1, message));
                }
                (last, paragraph) = (number, false);
            }
            _ if text.trim().is_empty() => paragraph = false,
            _ if text.starts_with('#') => (last, paragraph) = (0, false),
            // An indented line goes on with the item above.
            _ => paragraph = !text.starts_with("  "),
        }
    }
    offences
}

/// The number of a line like `3. text`.
fn item(text: &str) -> Option<usize> {
    let (number, _) = text.split_once(". ")?;
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_links_are_found() {
        let files = [
            File::sample(
                "README.md",
                "# A b\n[x](docs/c.md#d)\n[y](no.md) [z](#a-b)\n[w](#no)\n",
            ),
            File::sample(
                "docs/c.md",
                "## D\n[up](../README.md#no-such) [out](../../x)\n[z]: e\n",
            ),
        ];
        let found: Vec<String> = links(&files).iter().map(Offence::to_string).collect();
        let places: Vec<&str> = found
            .iter()
            .map(|offence| offence.split(": ").next().unwrap_or_default())
            .collect();
        let expected = [
            "README.md:3",
            "README.md:4",
            "docs/c.md:2",
            "docs/c.md:2",
            "docs/c.md:3",
        ];
        assert_eq!(places, expected, "{found:#?}");
    }

    #[test]
    fn links_to_the_web_to_folders_and_in_code_pass() {
        let text = "[a](https://x.y/z#q) [b](docs/) [e](crate::f) `[c](no)`\n```\n[d](no)\n```\n";
        let files = [
            File::sample("README.md", text),
            File::sample("docs/x.rs", ""),
        ];
        assert!(links(&files).is_empty());
    }

    #[test]
    fn anchors_are_made_as_github_makes_them() {
        let text = "# `a_b`, and C!\n## x\n## x\n```\n# no\n```\n## [Link](https://x)\n";
        assert_eq!(anchors(text), ["a_b-and-c", "x", "x-1", "link"]);
    }

    #[test]
    fn a_gap_in_a_list_is_found() {
        let check = |text: &str| {
            let offences = numbered_lists(&File::sample("a.rs", text));
            let lines: Vec<usize> = offences.iter().map(|offence| offence.line).collect();
            lines
        };
        assert_eq!(check("//! 1. a\n//! 3. b\n"), [2]);
        assert_eq!(check("//! 1. a\n//!    goes on\n//!\n//! 3. b\n"), [4]);
        assert_eq!(check("//! # Invariants\n//!\n//! 2. b\n"), [3]);
        assert_eq!(check("//! 1. a\n//! 2. b\n//!\n//! Then:\n//! 1. c\n"), []);
        assert_eq!(check("//! text that needs\n//! 4. in a paragraph\n"), []);
        assert_eq!(check("//! ```text\n//! 7. x\n//! ```\n"), []);
    }
}
