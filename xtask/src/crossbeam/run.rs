//! Running the programs of the suite.
//!
//! Most tests sleep most of the time, so many run at once. Some do not stand company:
//!
//! - `golang.rs` counts what the whole process allocates;
//! - some compare with the clock, within 50 ms: a machine that does something else for so long
//!   fails them. They run alone, and have failed only if they fail each time.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::PACKAGE;

/// What takes longer than this hangs.
const DEADLINE: Duration = Duration::from_secs(180);

/// A file that needs its process, one test at a time.
const COUNTING: &str = "golang";

/// Files, and tests of others, that compare with the clock.
const BY_THE_CLOCK: [&str; 6] = [
    "after",
    "never",
    "tick",
    "ready::default_only",
    "select::default_only",
    "select_macro::default_only",
];
const TRIES_BY_THE_CLOCK: usize = 3;

/// Tests of a process at once.
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

/// Tests of a program that run together.
struct Batch<'a> {
    program: &'a Program,
    /// One test, or all but those that are skipped.
    only: Option<&'a str>,
    skipped: Vec<&'a str>,
    tests: usize,
    /// 0: beside others.
    tries_alone: usize,
}

/// Runs them all.
pub(super) fn run_all(programs: &[Program]) -> Result<(), String> {
    for runs in programs.chunk_by(|a, b| a.file == b.file) {
        let batches: Vec<_> = runs.iter().flat_map(Program::batches).collect();
        let (alone, beside): (Vec<_>, Vec<_>) =
            batches.iter().partition(|batch| batch.tries_alone > 0);
        let started: Result<Vec<_>, _> = beside.iter().map(|batch| batch.start()).collect();
        let running = started?.into_iter().zip(beside);
        // All are waited for, also behind one that fails.
        let ends: Vec<_> = running.map(|(child, batch)| batch.end(child)).collect();
        ends.into_iter().collect::<Result<(), _>>()?;
        alone.into_iter().try_for_each(Batch::run_alone)?;
    }
    let total: usize = programs.iter().map(|program| program.tests).sum();
    println!("    {total} tests of crossbeam-channel passed");
    Ok(())
}

impl Program {
    fn batches(&self) -> Vec<Batch<'_>> {
        let file = self.file.as_str();
        let by_the_clock = BY_THE_CLOCK.iter().filter_map(|name| name.split_once("::"));
        let apart: Vec<_> = by_the_clock
            .filter_map(|(of, test)| (of == file).then_some(test))
            .collect();
        let tries_alone = match file {
            COUNTING => 1,
            _ if BY_THE_CLOCK.contains(&file) => TRIES_BY_THE_CLOCK,
            _ => 0,
        };
        let skipped = self.skipped.iter().map(String::as_str);
        let rest = Batch {
            program: self,
            only: None,
            skipped: skipped.chain(apart.iter().copied()).collect(),
            tests: self.tests - apart.len(),
            tries_alone,
        };
        let apart = apart.into_iter().map(|test| Batch {
            program: self,
            only: Some(test),
            skipped: Vec::new(),
            tests: 1,
            tries_alone: TRIES_BY_THE_CLOCK,
        });
        std::iter::once(rest).chain(apart).collect()
    }
}

impl Batch<'_> {
    fn name(&self) -> String {
        let Program { file, run, .. } = self.program;
        let test = self.only.map(|test| format!("::{test}"));
        format!("{file}{} ({run})", test.unwrap_or_default())
    }

    fn log(&self) -> PathBuf {
        let Program { file, run, .. } = self.program;
        PathBuf::from(PACKAGE).join(format!("{file}-{run}.log"))
    }

    fn run_alone(&self) -> Result<(), String> {
        for _ in 1..self.tries_alone {
            match self.start().and_then(|child| self.end(child)) {
                Ok(()) => return Ok(()),
                Err(text) => println!("    again: {text}"),
            }
        }
        self.start().and_then(|child| self.end(child))
    }

    fn start(&self) -> Result<(Child, Instant), String> {
        let log = File::create(self.log()).map_err(|error| error.to_string())?;
        let errors = log.try_clone().map_err(|error| error.to_string())?;
        let at_once = if self.tries_alone > 0 { "1" } else { AT_ONCE };
        let mut command = Command::new(&self.program.path);
        command.args(["--exact", "--test-threads", at_once]);
        command.args(self.only);
        command.args(self.skipped.iter().flat_map(|test| ["--skip", test]));
        command.stdout(log).stderr(errors).stdin(Stdio::null());
        match command.spawn() {
            Ok(child) => Ok((child, Instant::now())),
            Err(error) => Err(format!("{command:?}: {error}")),
        }
    }

    /// Waits, and judges.
    fn end(&self, (mut child, start): (Child, Instant)) -> Result<(), String> {
        let (name, tests) = (self.name(), self.tests);
        let status = loop {
            match child.try_wait().map_err(|error| error.to_string())? {
                Some(status) => break Some(status),
                None if start.elapsed() > DEADLINE => {
                    // It has ended by itself meanwhile, or ends now.
                    let _ = child.kill().and_then(|()| child.wait());
                    break None;
                }
                None => std::thread::park_timeout(Duration::from_millis(20)),
            }
        };
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let passed = format!("test result: ok. {tests} passed; 0 failed");
        let text = match status {
            Some(status) if status.success() && log.contains(&passed) => {
                let seconds = start.elapsed().as_secs_f64();
                println!("    {name:40} {tests:4} passed in {seconds:.1} s");
                return Ok(());
            }
            Some(status) => format!("{name} ended with {status}, {tests} tests should have passed"),
            None => format!("{name} takes longer than {} s", DEADLINE.as_secs()),
        };
        println!("{log}");
        Err(text)
    }
}
