//! The code map of `ARCHITECTURE.md` against the files that exist.
//!
//! The map names files in backticks or in a code block, by their whole path, below the folder that
//! was named last, or below the `src/` of a crate:
//!
//! ```text
//! `stack/src/`              a folder: ends in `/`, and begins with a member of the workspace
//! `map.rs`                  then is stack/src/map.rs
//! `fault/{mod,handler}.rs`  then are stack/src/fault/mod.rs and stack/src/fault/handler.rs
//! ```

use std::collections::HashSet;

use crate::repo::{File, Offence};

const DOCUMENT: &str = "ARCHITECTURE.md";
/// Folders whose every file is named.
const MAPPED: [&str; 4] = ["stack/src/", "runtime/src/", "poller/src/", "tracing/src/"];
const MEMBERS: [&str; 7] = [
    "stack/", "poller/", "runtime/", "tracing/", "tests/", "benches/", "xtask/",
];

/// Every file that the document names exists, and every file of the crates is named.
pub(crate) fn architecture(files: &[File]) -> Vec<Offence> {
    let Some(document) = files.iter().find(|file| file.path == DOCUMENT) else {
        return vec![File::missing(DOCUMENT)];
    };
    let exists = |path: &str| files.iter().any(|file| file.path == path);
    let mut offences = Vec::new();
    let mut named = HashSet::new();
    let mut folder = String::new();
    for (line, token) in tokens(&document.text) {
        if token.ends_with('/') {
            if MEMBERS.iter().any(|member| token.starts_with(member)) {
                folder = token;
            }
            continue;
        }
        for name in expanded(&token) {
            let candidates = ["", folder.as_str()].into_iter().chain(MAPPED);
            let mut paths = candidates.map(|folder| format!("{folder}{name}"));
            match paths.find(|path| exists(path)) {
                Some(path) => {
                    named.insert(path);
                }
                None => offences.push(document.offence(line, format!("there is no `{name}`"))),
            }
        }
    }
    let mapped = |path: &str| MAPPED.iter().any(|folder| path.starts_with(folder));
    let unnamed = files
        .iter()
        .filter(|file| file.is_rust() && mapped(&file.path) && !named.contains(&file.path));
    offences.extend(unnamed.map(|file| file.offence(1, format!("{DOCUMENT} does not name it"))));
    offences
}

impl File {
    fn missing(path: &str) -> Offence {
        Offence {
            path: path.to_owned(),
            line: 1,
            message: "the file is missing".to_owned(),
        }
    }
}

/// Folders and Rust files in backticks and code blocks, with their lines.
fn tokens(text: &str) -> Vec<(usize, String)> {
    let mut tokens = Vec::new();
    let mut fenced = false;
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        let code: Vec<&str> = match fenced {
            true => vec![line],
            false => line.split('`').skip(1).step_by(2).collect(),
        };
        // A comma inside braces belongs to the name.
        let words = code.iter().flat_map(|code| code.split_whitespace());
        let words = words.map(|word| word.trim_end_matches([',', ';', ':']));
        tokens.extend(
            words
                .filter(|word| word.ends_with(".rs") || word.ends_with('/'))
                .map(|word| (at + 1, word.to_owned())),
        );
    }
    tokens
}

/// `a{b,c}d` as `abd` and `acd`; a name without braces as itself.
fn expanded(name: &str) -> Vec<String> {
    let split = name
        .split_once('{')
        .and_then(|(before, rest)| Some((before, rest.split_once('}')?)));
    match split {
        Some((before, (choices, after))) => choices
            .split(',')
            .map(|choice| format!("{before}{}{after}", choice.trim()))
            .collect(),
        None => vec![name.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offences(document: &str) -> Vec<String> {
        let files = [
            File::sample(DOCUMENT, document),
            File::sample("stack/src/map.rs", ""),
            File::sample("stack/src/fault/mod.rs", ""),
            File::sample("stack/src/fault/handler.rs", ""),
            File::sample("tests/it/main.rs", ""),
        ];
        architecture(&files)
            .iter()
            .map(Offence::to_string)
            .collect()
    }

    #[test]
    fn a_file_that_is_named_in_vain_and_one_that_is_not_named_are_found() {
        let found = offences("`stack/src/map.rs`, `stack/src/fault/{mod,gone}.rs`\n");
        assert_eq!(
            found,
            [
                "ARCHITECTURE.md:1: there is no `stack/src/fault/gone.rs`",
                "stack/src/fault/handler.rs:1: ARCHITECTURE.md does not name it",
            ]
        );
    }

    #[test]
    fn names_below_a_folder_count() {
        let table = "| `stack/src/` | memory |\n| `map.rs`, `fault/{mod,handler}.rs` | x |\n";
        assert_eq!(offences(table), [""; 0]);
        let block =
            "```text\nstack/src/\n  map.rs  maps\n  fault/mod.rs\n  fault/handler.rs\n```\n";
        assert_eq!(offences(block), [""; 0]);
        let short = "`map.rs`, then `fault/{mod,handler}.rs`\n";
        assert_eq!(offences(short), [""; 0]);
    }

    #[test]
    fn a_missing_document_is_found() {
        let found = architecture(&[File::sample("stack/src/map.rs", "")]);
        assert_eq!(found.len(), 1);
    }
}
