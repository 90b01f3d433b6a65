//! The command line.
//!
//! A benchmark that runs for minutes must refuse a mistake in its first millisecond, so whatever
//! can be checked is checked while the arguments are parsed.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{ArgMatches, Args, Error, FromArgMatches as _, Subcommand as _};

use crate::child::Task;
use crate::compare::{self, CompareArgs};
use crate::measure::{Plan, SAMPLES_MIN};
use crate::solo::Job;
use crate::workloads::{SUITES, Suite};

/// What to do.
#[derive(Debug)]
pub(crate) enum Command {
    /// To run a suite.
    Run(&'static Suite, RunArgs),
    /// To compare everybody with everybody.
    Compare(CompareArgs),
    /// One measurement that needs a process of its own; prints one JSON object.
    Child(Task),
    /// One peer at one workload, likewise.
    Solo(Job),
}

const CHILD: &str = "child";
const SOLO: &str = "solo";

/// What every suite understands.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Short intervals and smaller counts: under a minute, and still every workload.
    #[arg(long)]
    quick: bool,

    /// One sample of each peer, as short as it can be: whether everything runs, nothing more.
    #[arg(long, conflicts_with_all = ["quick", "samples"])]
    once: bool,

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
pub(crate) fn parse() -> Command {
    chosen(&line().get_matches()).unwrap_or_else(|error| error.exit())
}

/// The command line: a subcommand for each suite, whose filter knows the names of that suite.
fn line() -> clap::Command {
    let suites = SUITES.iter().map(|suite| {
        let subcommand = clap::Command::new(suite.name).about(suite.about);
        RunArgs::augment_args(subcommand)
            .mut_arg("filter", |filter| filter.value_parser(names(suite)))
    });
    let compare = clap::Command::new(compare::NAME)
        .about("Go, tokio, may, smol, Boost.Fiber and threads at the same workloads: one report");
    let child = clap::Command::new(CHILD).hide(true);
    let solo = clap::Command::new(SOLO).hide(true);
    clap::Command::new("gopark-benches")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Benchmarks of gopark beside its peers")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(suites)
        .subcommand(CompareArgs::augment_args(compare))
        .subcommand(Task::augment_subcommands(child).subcommand_required(true))
        .subcommand(Job::augment_args(solo))
}

fn chosen(matches: &ArgMatches) -> Result<Command, Error> {
    let (name, matches) = matches.subcommand().expect("one is required");
    match SUITES.iter().find(|suite| suite.name == name) {
        Some(suite) => Ok(Command::Run(suite, RunArgs::from_arg_matches(matches)?)),
        None if name == compare::NAME => {
            Ok(Command::Compare(CompareArgs::from_arg_matches(matches)?))
        }
        None if name == SOLO => Ok(Command::Solo(Job::from_arg_matches(matches)?)),
        None => Ok(Command::Child(Task::from_arg_matches(matches)?)),
    }
}

fn names(suite: &Suite) -> PossibleValuesParser {
    PossibleValuesParser::new(suite.names())
}

impl RunArgs {
    pub(crate) fn plan(&self) -> Plan {
        let (samples, interval_ms) = match (self.once, self.quick) {
            (true, _) => (1, 1),
            (false, true) => (SAMPLES_MIN, 5),
            (false, false) => (15, 50),
        };
        Plan {
            samples: self.samples.unwrap_or(samples),
            interval: Duration::from_millis(interval_ms),
            quick: self.quick || self.once,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Command, Error> {
        let words = ["gopark-benches"].iter().chain(args);
        chosen(&line().try_get_matches_from(words)?)
    }

    fn switch(args: &[&str]) -> Result<RunArgs, Error> {
        parsed(&[&["switch"], args].concat()).map(|command| match command {
            Command::Run(suite, args) if suite.name == "switch" => args,
            other => unreachable!("asked for `switch`, not {other:?}"),
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
    fn once_is_one_sample_and_no_result() {
        let plan = switch(&["--once"]).unwrap().plan();
        assert_eq!((plan.samples, plan.quick), (1, true));
        assert!(switch(&["--once", "--samples", "10"]).is_err());
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
            let parsed = parsed(&[suite.name, "--quick"]);
            assert!(
                matches!(parsed, Ok(Command::Run(found, _)) if found.name == suite.name),
                "{}",
                suite.name
            );
        }
    }

    #[test]
    fn a_child_is_no_suite() {
        let task = parsed(&["child", "sysmon-idle", "7"]);
        assert!(matches!(
            task,
            Ok(Command::Child(Task::SysmonIdle { ms: 7 }))
        ));
        assert!(parsed(&["child"]).is_err());
    }
}
