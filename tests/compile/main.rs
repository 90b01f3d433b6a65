//! What the compiler says: programs that are built by cargo, or are refused.
//!
//! Each program is a crate of its own under the target folder. Its dependencies are those that this
//! binary was built with, so a case costs what its own few lines cost.

#![expect(unsafe_code, reason = "asks for the CPU time of a child")]

mod attributes;
mod cost;
mod seals;

use std::fs;
use std::io::Read;
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

/// A crate that is built.
pub(crate) struct Program {
    name: &'static str,
    /// The line of its manifest that names gopark.
    dependency: &'static str,
    opt_level: u8,
    source: String,
}

/// What became of it.
pub(crate) struct Built {
    /// The program, if it was built.
    pub(crate) binary: Result<PathBuf, ()>,
    /// What the compiler said.
    pub(crate) said: String,
    /// CPU time of cargo and the compiler.
    pub(crate) time: Duration,
}

impl Program {
    /// A program whose name no other test uses.
    pub(crate) fn new(name: &'static str, source: impl Into<String>) -> Program {
        Program {
            name,
            dependency: "gopark",
            opt_level: 0,
            source: source.into(),
        }
    }

    /// Knows gopark by another name.
    pub(crate) fn with_gopark_as(mut self, name: &'static str) -> Program {
        self.dependency = name;
        self
    }

    /// Is optimised, and its dependencies are not.
    pub(crate) fn optimised(mut self) -> Program {
        self.opt_level = 3;
        self
    }

    /// Builds it.
    pub(crate) fn build(&self) -> Built {
        let binary = std::env::current_exe().unwrap();
        // `TARGET/PROFILE/deps/NAME`.
        let target = binary.ancestors().nth(3).unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let folder = target.join("compile-tests").join(self.name);
        fs::create_dir_all(folder.join("src")).unwrap();
        fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
        let manifest = format!(
            "[package]\nname = \"{}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n\
             [dependencies]\n{} = {{ package = \"gopark\", path = {:?} }}\n\
             [profile.dev]\nopt-level = {}\n[profile.dev.package.\"*\"]\nopt-level = 0\n",
            self.name,
            self.dependency,
            root.join("runtime"),
            self.opt_level,
        );
        fs::write(folder.join("Cargo.toml"), manifest).unwrap();
        // Written anew: cargo goes by its time.
        fs::write(folder.join("src/main.rs"), &self.source).unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .args([
                "build",
                "--offline",
                "--quiet",
                "--color",
                "never",
                "--target-dir",
            ])
            .arg(target)
            // Each build compiles all of the program.
            .env("CARGO_INCREMENTAL", "0")
            .current_dir(&folder);
        let (status, said, time) = run(&mut cargo);
        let built = target.join("debug").join(self.name);
        Built {
            binary: status.success().then_some(built).ok_or(()),
            said,
            time,
        }
    }

    /// What the compiler says of a program that it refuses.
    #[track_caller]
    pub(crate) fn refusal(&self) -> String {
        let built = self.build();
        assert!(built.binary.is_err(), "{} was built", self.name);
        // One error, and not a second one that follows from it.
        let errors = built.said.matches("error").count();
        assert!(errors > 0, "{}", built.said);
        built.said
    }

    /// What it prints, and how it ends.
    #[track_caller]
    pub(crate) fn output(&self) -> (ExitStatus, String, String) {
        let built = self.build();
        assert_eq!(built.said, "", "{} is built without a warning", self.name);
        let output = Command::new(built.binary.unwrap()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status, text(output.stdout), text(output.stderr))
    }
}

/// Runs a command to its end: how it ended, what it wrote to standard error, its CPU time.
#[expect(clippy::zombie_processes, reason = "`wait4` waits for it")]
fn run(command: &mut Command) -> (ExitStatus, String, Duration) {
    use std::os::unix::process::ExitStatusExt;

    // What a test is told about its package would make build scripts run anew that ask for it.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    let id = child.id() as libc::pid_t;
    // SAFETY: a child of ours, for which nobody has waited; both places are valid for a write.
    let waited = unsafe { libc::wait4(id, &raw mut status, 0, usage.as_mut_ptr()) };
    assert_eq!(waited, id);
    // SAFETY: zeroes are valid, and the kernel has filled them in.
    let usage = unsafe { usage.assume_init() };
    let of = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
    };
    let time = of(usage.ru_utime) + of(usage.ru_stime);
    (ExitStatus::from_raw(status), said, time)
}
