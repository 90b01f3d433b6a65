//! Benchmarks of gopark beside its peers.
//!
//! One number says little: it depends on the machine, on its load and on the minute. So every
//! workload here is run by gopark *and* by what a program would use instead, in the same run,
//! sample by sample in turn, and what is judged in the end is a ratio. Promises of the scheduler
//! that have no counterpart elsewhere are judged by themselves.
//!
//! ```text
//!  workloads   what is measured: names, units, interval contents     (this is the list to read)
//!     |
//!   peers      who does it: gopark, OS threads, other coroutines
//!     |
//!  measure     how: calibration, turns, samples        child   the same, in a fresh process
//!     |                                             process   one with limits
//!     |
//!  report      table, ratios against the budgets, JSON, SVG          facts   the machine
//!
//!  compare     everybody in a process of its own, also what is not Rust; its own report
//!     |
//!   solo       one peer at one workload: what such a process does
//! ```

mod child;
mod cli;
mod compare;
mod facts;
mod measure;
mod peers;
mod process;
mod report;
mod solo;
mod workloads;

use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::cli::{Command, RunArgs};
use crate::facts::Facts;
use crate::measure::{Outcome, Progress};
use crate::report::Outputs;
use crate::workloads::Suite;

fn main() -> ExitCode {
    let done = match cli::parse() {
        Command::Run(suite, args) => run_suite(suite, &args),
        Command::Compare(args) => compare::run(&args),
        Command::Child(task) => child::run(&task).map(|()| ExitCode::SUCCESS),
        Command::Solo(job) => solo::run(&job).map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|error| {
        // Nothing is left to try when standard error is closed too.
        let _ = writeln!(io::stderr(), "error: {error}");
        ExitCode::FAILURE
    })
}

/// Runs the chosen workloads of a suite and writes every report that was asked for.
fn run_suite(suite: &Suite, args: &RunArgs) -> Result<ExitCode, Box<dyn Error>> {
    // A path that cannot be written must be known now, not after minutes of measuring.
    let mut outputs = Outputs::open(args.json.as_deref(), args.svg.as_deref())?;
    let plan = args.plan();
    let facts = Facts::gather();
    writeln!(outputs.text(), "{facts}\n")?;

    let chosen = suite.chosen(&args.filter);
    let weights = chosen.iter().map(|workload| workload.weight);
    let progress = Progress::new(weights.sum::<u64>() * plan.samples);
    let mut outcome = Outcome::default();
    for workload in &chosen {
        measure::run(workload, &plan, &progress, &mut outcome);
    }
    progress.finish();

    report::table::write(outputs.text(), &outcome.series)?;
    report::table::write_notes(outputs.text(), &chosen, &plan)?;
    report::ratios::write(outputs.text(), &outcome.series)?;
    for failure in &outcome.failures {
        writeln!(outputs.text(), "FAILED {failure}")?;
    }
    outputs.finish(&outcome.series, &facts)?;
    Ok(if outcome.failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
