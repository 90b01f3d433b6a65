//! The suite: where its files are, what becomes of them, and which tests are skipped.

use std::fs;
use std::path::PathBuf;

use super::RUNS;
use crate::cargo::{metadata, text};

/// What the tests use besides the channels.
const NEEDS: [&str; 2] = ["crossbeam-utils", "rand"];

/// Lines that are replaced.
const USES: [(&str, &str); 3] = [
    (
        "use std::thread;",
        "use crossbeam_channel::goroutines as thread;",
    ),
    (
        "use std::thread::JoinHandle;",
        "use crossbeam_channel::goroutines::JoinHandle;",
    ),
    (
        "use crossbeam_utils::thread::scope;",
        "use crossbeam_channel::goroutines::scope;",
    ),
];

/// The path that is replaced: in a macro, which no `use` reaches.
const PATH: (&str, &str) = (
    "::std::thread::spawn(",
    "::crossbeam_channel::goroutines::spawn(",
);

/// The tests that crossbeam-channel ships.
pub(super) struct Suite {
    pub(super) files: Vec<File>,
    pub(super) edition: String,
    /// Dependencies, as lines of a manifest, in the versions that it asks for.
    pub(super) needs: String,
    skips: Vec<Skip>,
}

pub(super) struct File {
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// A test that does not apply.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Skip {
    /// `both`, or one of [`RUNS`].
    run: String,
    file: String,
    test: String,
}

impl Suite {
    /// Of the crossbeam-channel that the workspace is locked to.
    pub(super) fn find() -> Result<Suite, String> {
        let metadata = metadata(&[])?;
        let mut packages = metadata["packages"].as_array().into_iter().flatten();
        let package = packages
            .find(|package| package["name"] == "crossbeam-channel")
            .ok_or("crossbeam-channel is no dependency")?;
        let root = PathBuf::from(text(&metadata["workspace_root"]));
        let mut files = Vec::new();
        for target in package["targets"].as_array().into_iter().flatten() {
            if target["kind"][0] == "test" {
                let path = PathBuf::from(text(&target["src_path"]));
                files.push(File {
                    name: text(&target["name"]),
                    text: read(&path)?,
                    path,
                });
            }
        }
        let list = read(&root.join("tests/crossbeam/skip.txt"))?;
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        let needed = dependencies
            .filter(|needed| NEEDS.contains(&needed["name"].as_str().unwrap_or_default()));
        Ok(Suite {
            files,
            edition: text(&package["edition"]),
            needs: needed
                .map(|needed| format!("{} = {}\n", text(&needed["name"]), needed["req"]))
                .collect(),
            skips: skips(&list)?,
        })
    }

    /// How many tests a file has.
    pub(super) fn tests(&self, file: &str) -> usize {
        let file = self.files.iter().find(|known| known.name == file);
        file.map_or(0, |file| {
            let lines = file.text.lines();
            lines.filter(|line| line.trim() == "#[test]").count()
        })
    }

    /// The tests of a file that are skipped in this run.
    pub(super) fn skipped(&self, file: &str, run: &str) -> Vec<String> {
        let here = |skip: &&Skip| skip.file == file && (skip.run == run || skip.run == "both");
        let skips = self.skips.iter().filter(here);
        skips.map(|skip| skip.test.clone()).collect()
    }
}

fn read(path: &std::path::Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Reads lines of `RUN FILE::TEST`.
fn skips(list: &str) -> Result<Vec<Skip>, String> {
    let lines = list
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let parse = |line: &str| {
        let (run, test) = line.split_once(' ')?;
        let (file, test) = test.split_once("::")?;
        let known = run == "both" || RUNS.contains(&run);
        known.then(|| Skip {
            run: run.to_owned(),
            file: file.to_owned(),
            test: test.to_owned(),
        })
    };
    lines
        .map(|line| parse(line).ok_or(format!("not understood: {line}")))
        .collect()
}

/// The same tests, with goroutines in place of the threads that they spawn.
pub(super) fn on_goroutines(text: &str) -> String {
    let replaced = |line: &str| {
        let code = line.trim();
        match USES.iter().find(|(theirs, _)| *theirs == code) {
            Some((theirs, ours)) => line.replace(theirs, ours),
            None => line.replace(PATH.0, PATH.1),
        }
    };
    text.lines().map(|line| replaced(line) + "\n").collect()
}

/// A line that still spawns threads, or may: a suite of another version than this was made for.
pub(super) fn leftover(text: &str) -> Option<&str> {
    text.lines().find(|line| {
        let code = line.split("//").next().unwrap_or_default();
        let code = code.replace("std::thread::panicking()", "");
        code.contains("std::thread") || code.contains("crossbeam_utils")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str = include_str!("../../../tests/README.md");

    #[test]
    fn what_spawns_is_replaced_and_nothing_else() {
        let theirs = "use std::thread;\n    use std::thread::JoinHandle;\n// x\nlet x = thread;\n\
                      ::std::thread::spawn(f)\nstd::thread::panicking()\n";
        let ours = on_goroutines(theirs);
        assert_eq!(
            ours,
            "use crossbeam_channel::goroutines as thread;\n    use \
             crossbeam_channel::goroutines::JoinHandle;\n// x\nlet x = thread;\n\
             ::crossbeam_channel::goroutines::spawn(f)\nstd::thread::panicking()\n"
        );
        assert_eq!(leftover(&ours), None);
    }

    #[test]
    fn another_use_of_threads_is_found() {
        let text = "// std::thread\nuse std::{thread, io};\nstd::thread::sleep(x);\n";
        assert_eq!(leftover(text), Some("std::thread::sleep(x);"));
    }

    #[test]
    fn the_list_is_read_line_by_line() {
        let read = skips("# a\n\nboth array::m::t\n").unwrap();
        assert_eq!(
            (read[0].file.as_str(), read[0].test.as_str()),
            ("array", "m::t")
        );
        assert!(skips("sometimes array::t\n").is_err());
        assert!(skips("both t\n").is_err());
    }

    #[test]
    fn the_readme_explains_what_is_skipped() {
        let rows = README.lines().filter_map(|line| {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            let (file, test) = cells.get(1)?.trim_matches('`').split_once("::")?;
            let reason = cells.get(3)?;
            assert!(reason.len() > 20, "{line}: no reason");
            Some(Skip {
                run: cells.get(2)?.trim_matches('`').to_owned(),
                file: file.to_owned(),
                test: test.to_owned(),
            })
        });
        let mut explained: Vec<_> = rows.collect();
        let mut skipped = Suite::find().unwrap().skips;
        explained.sort();
        skipped.sort();
        assert_eq!(explained, skipped);
    }

    #[test]
    fn what_is_skipped_exists() {
        let suite = Suite::find().unwrap();
        assert!(suite.files.len() > 10, "the tests are not all there");
        for skip in &suite.skips {
            let file = suite.files.iter().find(|file| file.name == skip.file);
            let name = skip.test.rsplit("::").next().unwrap();
            assert!(
                file.is_some_and(|file| file.text.contains(&format!("fn {name}()"))),
                "there is no {skip:?}"
            );
        }
    }
}
