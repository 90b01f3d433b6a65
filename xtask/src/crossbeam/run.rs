//! Running the programs of the suite.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::PACKAGE;

/// What takes longer than this hangs.
const DEADLINE: Duration = Duration::from_secs(180);

/// Files whose tests compare with the clock, within 50 ms, or count what the whole process
/// allocates: one test at a time, and nothing beside it.
const ALONE: [&str; 4] = ["after", "golang", "never", "tick"];

/// Tests of the other files sleep most of the time.
const AT_ONCE: &str = "8";

/// A file of the suite, built for one of the runs.
pub(super) struct Program {
    pub(super) file: String,
    pub(super) run: String,
    pub(super) path: PathBuf,
    /// How many tests must pass.
    pub(super) tests: usize,
    pub(super) skipped: Vec<String>,
}

/// Runs them all, both runs of a file at once if its tests allow that.
pub(super) fn run_all(programs: &[Program]) -> Result<(), String> {
    for pair in programs.chunk_by(|a, b| a.file == b.file) {
        let at_once = if ALONE.contains(&pair[0].file.as_str()) {
            1
        } else {
            pair.len()
        };
        for programs in pair.chunks(at_once) {
            let running: Vec<_> = programs.iter().map(start).collect::<Result<_, _>>()?;
            let ends = running.into_iter().zip(programs);
            let ends: Vec<_> = ends.map(|(child, program)| end(child, program)).collect();
            ends.into_iter().collect::<Result<(), _>>()?;
        }
    }
    let total: usize = programs.iter().map(|program| program.tests).sum();
    println!("    {total} tests of crossbeam-channel passed");
    Ok(())
}

impl Program {
    fn log(&self) -> PathBuf {
        PathBuf::from(PACKAGE).join(format!("{}-{}.log", self.file, self.run))
    }
}

fn start(program: &Program) -> Result<(Child, Instant), String> {
    let alone = ALONE.contains(&program.file.as_str());
    let log = File::create(program.log()).map_err(|error| error.to_string())?;
    let mut command = Command::new(&program.path);
    command.args([
        "--exact",
        "--test-threads",
        if alone { "1" } else { AT_ONCE },
    ]);
    for test in &program.skipped {
        command.args(["--skip", test]);
    }
    let errors = log.try_clone().map_err(|error| error.to_string())?;
    let child = command
        .stdout(log)
        .stderr(errors)
        .stdin(Stdio::null())
        .spawn();
    child
        .map(|child| (child, Instant::now()))
        .map_err(|error| format!("{command:?}: {error}"))
}

/// Waits, and judges.
fn end((mut child, start): (Child, Instant), program: &Program) -> Result<(), String> {
    let name = format!("{} of the run `{}`", program.file, program.run);
    let status = loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => break Ok(status),
            None if start.elapsed() > DEADLINE => {
                // It has ended by itself meanwhile, or ends now.
                let _ = child.kill().and_then(|()| child.wait());
                break Err(format!("{name} takes longer than {} s", DEADLINE.as_secs()));
            }
            None => std::thread::park_timeout(Duration::from_millis(20)),
        }
    };
    let log = fs::read_to_string(program.log()).unwrap_or_default();
    let passed = format!("test result: ok. {} passed; 0 failed", program.tests);
    match status {
        Ok(status) if status.success() && log.contains(&passed) => {
            let seconds = start.elapsed().as_secs_f64();
            let (file, run, tests) = (&program.file, &program.run, program.tests);
            println!("    {file:14} {run:10} {tests:4} passed in {seconds:.1} s");
            Ok(())
        }
        Ok(status) => {
            println!("{log}");
            let tests = program.tests;
            Err(format!(
                "{name} ended with {status}, {tests} tests should have passed"
            ))
        }
        Err(late) => {
            println!("{log}");
            Err(late)
        }
    }
}
