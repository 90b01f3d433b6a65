//! The files of the repository, and what is said about them.
//!
//! The tree is walked, not asked of git: a file must be tidy before it is added, and an unpacked
//! source package has no git. What the root's `.gitignore` names is left out.

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

/// A text file: path from the root with `/`, and content.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    pub(crate) fn is_markdown(&self) -> bool {
        self.path.ends_with(".md")
    }

    /// The file lies in a folder of tests.
    pub(crate) fn is_test(&self) -> bool {
        self.path.split('/').any(|part| part == "tests")
    }

    /// Its last component.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// The path of its folder, ending in `/`; empty for the root.
    pub(crate) fn folder(&self) -> &str {
        &self.path[..self.path.len() - self.name().len()]
    }

    pub(crate) fn offence(&self, line: usize, message: impl Into<String>) -> Offence {
        Offence {
            path: self.path.clone(),
            line,
            message: message.into(),
        }
    }

    /// A file for a test of a check.
    #[cfg(test)]
    pub(crate) fn sample(path: &str, text: &str) -> File {
        File {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }
}

/// A rule broken at a line, counted from 1.
#[derive(Debug)]
pub(crate) struct Offence {
    pub(crate) path: String,
    pub(crate) line: usize,
    pub(crate) message: String,
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// Every text file, sorted by path; read once.
pub(crate) fn repository() -> &'static [File] {
    static FILES: OnceLock<Vec<File>> = OnceLock::new();
    FILES.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("the package lies in the workspace");
        let ignored = fs::read_to_string(root.join(".gitignore")).unwrap_or_default();
        let mut skip = skipped(&ignored);
        skip.push(".git".to_owned());
        let mut files = Vec::new();
        collect(root, "", &skip, &mut files);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        assert!(files.len() > 20, "this is not the repository: {files:?}");
        files
    })
}

/// The names that a `.gitignore` without patterns leaves out.
fn skipped(ignored: &str) -> Vec<String> {
    let lines = ignored.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.trim_matches('/').to_owned())
        .collect()
}

fn collect(folder: &Path, prefix: &str, skip: &[String], files: &mut Vec<File>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|why| panic!("{folder:?}: {why}"));
    for entry in entries {
        let entry = entry.unwrap_or_else(|why| panic!("{folder:?}: {why}"));
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        if skip
            .iter()
            .any(|skipped| *skipped == name || *skipped == path)
        {
            continue;
        }
        let kind = entry.file_type().expect("the entry was just read");
        if kind.is_dir() {
            collect(&entry.path(), &format!("{path}/"), skip, files);
        } else if kind.is_file() {
            // A file that vanishes or is no text has no style.
            let bytes = fs::read(entry.path()).unwrap_or_default();
            if let Ok(text) = String::from_utf8(bytes)
                && !text.contains('\0')
            {
                files.push(File { path, text });
            }
        }
    }
}

#[test]
fn names_of_gitignore_are_left_out() {
    assert_eq!(skipped("/target\n\n# x\nout/\n"), ["target", "out"]);
}

#[test]
fn a_path_is_folder_and_name() {
    let file = File::sample("stack/src/map.rs", "");
    assert_eq!((file.folder(), file.name()), ("stack/src/", "map.rs"));
    assert_eq!(File::sample("README.md", "").folder(), "");
}

#[test]
fn this_file_is_found() {
    assert!(
        repository()
            .iter()
            .any(|file| file.path == "tests/tidy/repo.rs")
    );
}
