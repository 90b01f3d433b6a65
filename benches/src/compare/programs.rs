//! The programs of the peers: this one for those in Rust, others that are built when they can be.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use crate::measure::Result;
use crate::process::OWN;

/// How a peer is started.
#[derive(Clone, Debug)]
pub(super) struct Program {
    path: PathBuf,
    /// Before the workload.
    lead: Vec<&'static str>,
    pub(super) version: String,
}

impl Program {
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.args(&self.lead);
        command
    }
}

/// What the lock file of this workspace says.
const LOCK: &str = include_str!("../../../Cargo.lock");

/// Crates whose versions are told, by peer.
const CRATES: [(&str, &[&str]); 9] = [
    ("gopark", &["gopark"]),
    ("gopark-dense", &["gopark"]),
    ("gopark-raw", &["gopark-stack"]),
    ("threads", &["crossbeam-channel"]),
    ("tokio", &["tokio", "async-channel"]),
    ("smol", &["async-executor", "async-io", "async-channel"]),
    ("may", &["may"]),
    ("corosensei", &["corosensei"]),
    ("generator", &["generator"]),
];

/// The program of `peer`, or why there is none.
pub(super) fn find(peer: &'static str) -> Result<Program> {
    if let Some((_, crates)) = CRATES.iter().find(|(name, _)| *name == peer) {
        return Ok(Program {
            path: OWN.into(),
            lead: vec!["solo", peer],
            version: locked(crates),
        });
    }
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join(peer);
    let built = env::current_exe()?
        .parent()
        .ok_or("this program lies nowhere")?
        .join("peers")
        .join(peer);
    fs::create_dir_all(built.parent().expect("joined above"))?;
    if is_older(&built, &sources)? {
        let mut command = match peer {
            "go" => go_build(&sources, &built),
            "fiber" => fiber_build(&sources, &built)?,
            other => unreachable!("`{other}` takes part in nothing"),
        };
        told(&mut command)?;
    }
    Ok(Program {
        version: told(Command::new(&built).arg("version"))?,
        path: built,
        lead: Vec::new(),
    })
}

fn locked(crates: &[&str]) -> String {
    let versions = crates.iter().map(|name| {
        let entry = format!("name = \"{name}\"\nversion = \"");
        let found = LOCK.split_once(&entry).and_then(|(_, rest)| {
            let (version, _) = rest.split_once('"')?;
            Some(version)
        });
        format!("{name} {}", found.unwrap_or("of unknown version"))
    });
    versions.collect::<Vec<_>>().join(", ")
}

/// Whether one of the sources is newer than what was built of them.
fn is_older(built: &Path, sources: &Path) -> io::Result<bool> {
    let Ok(built) = fs::metadata(built).and_then(|found| found.modified()) else {
        return Ok(true);
    };
    let mut newest = SystemTime::UNIX_EPOCH;
    for entry in fs::read_dir(sources)? {
        newest = newest.max(entry?.metadata()?.modified()?);
    }
    Ok(built < newest)
}

fn go_build(sources: &Path, built: &Path) -> Command {
    let mut command = Command::new("go");
    command
        .current_dir(sources)
        .args(["build", "-o"])
        .arg(built)
        .arg(".");
    command
}

fn fiber_build(sources: &Path, built: &Path) -> io::Result<Command> {
    let mut command = Command::new("g++");
    command.args(["-O2", "-std=c++17", "-o"]).arg(built);
    for entry in fs::read_dir(sources)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "cpp") {
            command.arg(path);
        }
    }
    command.args(["-lboost_fiber", "-lboost_context", "-pthread"]);
    Ok(command)
}

/// The first line that `command` prints; if it fails, of what it complains about.
fn told(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    let first = |text: &[u8]| {
        let text = String::from_utf8_lossy(text);
        text.lines().next().unwrap_or_default().trim().to_owned()
    };
    if output.status.success() {
        Ok(first(&output.stdout))
    } else {
        Err(format!("{program}: {}", first(&output.stderr)).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::contests::CONTESTS;

    #[test]
    fn every_crate_that_takes_part_has_its_version() {
        for (_, crates) in CRATES {
            let versions = locked(crates);
            assert!(!versions.contains("unknown"), "{versions}");
        }
        assert!(locked(&["no-such-crate"]).contains("unknown"));
    }

    #[test]
    fn everybody_who_takes_part_has_a_program() {
        for contest in &CONTESTS {
            for peer in contest.peers {
                let is_here = CRATES.iter().any(|(name, _)| name == peer);
                assert!(is_here || ["go", "fiber"].contains(peer), "{peer}");
            }
        }
    }

    #[test]
    fn a_compiler_that_is_not_there_is_named() {
        let error = told(&mut Command::new("no-such-compiler")).unwrap_err();
        assert!(error.to_string().contains("no-such-compiler"), "{error}");
        let complaint = told(Command::new("sh").args(["-c", "echo no header >&2; exit 1"]));
        assert!(complaint.unwrap_err().to_string().contains("no header"));
    }
}
