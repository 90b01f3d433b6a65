//! The command line.
//!
//! A benchmark that runs for minutes must refuse a mistake in its first millisecond, so whatever
//! can be checked is checked while the arguments are parsed.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::child::Task;
use crate::measure::{Plan, SAMPLES_MIN};
use crate::workloads::{SUITES, Suite};

/// Benchmarks of gopark beside its peers.
#[derive(Debug, Parser)]
#[command(name = "gopark-benches", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// One suite of workloads each.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Switching, spawning, handing over, deep stacks and the memory of parked goroutines.
    Switch(RunArgs),
    /// What the scheduler promises: latency beside hogs and blocked threads, and what that costs.
    Sched(RunArgs),
    /// Servers that send back what they receive: round trips, latencies, fixed rates.
    Echo(RunArgs),
    /// How late timers are, and sockets beside goroutines that keep all Ps busy.
    Sleep(RunArgs),
    /// The memory of many idle connections, each with a reader that waits.
    Connections(RunArgs),
    /// One measurement that needs a process of its own; prints one JSON object.
    #[command(subcommand, hide = true)]
    Child(Task),
}

/// What every suite understands.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Short intervals and smaller counts: under a minute, and still every workload.
    #[arg(long)]
    quick: bool,

    /// Samples of each peer, at least 10 [default: 15, with --quick 10].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(SAMPLES_MIN..))]
    samples: Option<u64>,

    /// Run this workload only (with what is measured together with it); may be repeated.
    #[arg(long, value_name = "WORKLOAD")]
    pub(crate) filter: Vec<String>,

    /// Write the results as JSON; `-` is standard output, which then carries nothing else.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// Write the results as bars on a logarithmic axis.
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
}

/// Parses the arguments of this process, or ends it with a message.
pub(crate) fn parse() -> Cli {
    let parsed = Cli::from_arg_matches(&command().get_matches());
    parsed.unwrap_or_else(|error| error.exit())
}

/// The command line, in which a suite's filter knows the names of that suite.
fn command() -> clap::Command {
    SUITES.iter().fold(Cli::command(), |command, suite| {
        command.mut_subcommand(suite.name, |subcommand| {
            subcommand.mut_arg("filter", |filter| filter.value_parser(names(suite)))
        })
    })
}

fn names(suite: &Suite) -> PossibleValuesParser {
    PossibleValuesParser::new(suite.names())
}

impl RunArgs {
    pub(crate) fn plan(&self) -> Plan {
        let (samples, interval_ms) = if self.quick {
            (SAMPLES_MIN, 5)
        } else {
            (15, 50)
        };
        Plan {
            samples: self.samples.unwrap_or(samples),
            interval: Duration::from_millis(interval_ms),
            quick: self.quick,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Cli, clap::Error> {
        let line = ["gopark-benches"].iter().chain(args);
        Cli::from_arg_matches(&command().try_get_matches_from(line)?)
    }

    fn switch(args: &[&str]) -> Result<RunArgs, clap::Error> {
        parsed(&[&["switch"], args].concat()).map(|cli| match cli.command {
            Command::Switch(args) => args,
            _ => unreachable!("asked for `switch`"),
        })
    }

    #[test]
    fn fewer_than_ten_samples_are_refused() {
        let refused = switch(&["--samples", "9"]).unwrap_err().to_string();
        assert!(refused.contains("10.."), "{refused}");
        assert_eq!(switch(&["--samples", "10"]).unwrap().plan().samples, 10);
    }

    #[test]
    fn quick_still_takes_ten_samples() {
        let plan = switch(&["--quick"]).unwrap().plan();
        assert_eq!(plan.samples, SAMPLES_MIN);
        assert!(plan.interval < switch(&[]).unwrap().plan().interval);
    }

    #[test]
    fn an_unknown_workload_is_answered_with_the_known_ones() {
        let refused = switch(&["--filter", "switching"]).unwrap_err().to_string();
        assert!(
            refused.contains("switch-raw") && refused.contains("vmas"),
            "{refused}"
        );
    }

    #[test]
    fn a_filter_knows_the_workloads_of_its_suite_only() {
        for (suite, other) in [("switch", "resize"), ("sched", "switch-raw")] {
            assert!(parsed(&[suite, "--filter", "yield"]).is_ok());
            assert!(parsed(&[suite, "--filter", other]).is_err());
        }
    }

    #[test]
    fn every_suite_is_a_subcommand() {
        for suite in SUITES {
            assert!(parsed(&[suite.name, "--quick"]).is_ok(), "{}", suite.name);
        }
    }
}
