//! gopark beside its peers, each in a process of its own: one command, one report.
//!
//! ```text
//!  contests    what is compared, and who takes part
//!  programs    how a peer is started; builds those in other languages
//!  http        a server in a process, and wrk     instructions   a process, and perf
//!     |
//!  rounds      everybody in turn, a process for each sample
//!     |
//!  results     samples by round, spreads, ratios
//!     |
//!  report      JSON, Markdown, HTML
//! ```
//!
//! A peer that crashes, hangs or exceeds a limit is a result like any other. Only if gopark itself
//! is that peer has the command failed.

pub(crate) mod contests;
mod http;
mod instructions;
mod programs;
pub(crate) mod report;
pub(crate) mod results;
mod rounds;

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use clap::builder::PossibleValuesParser;
use time::OffsetDateTime;

use self::contests::{CONTESTS, Contest, INSTRUCTIONS};
use self::results::{Results, is_ours};
use self::rounds::{Programs, Rounds};
use crate::facts::Facts;
use crate::measure::{Progress, Result, SAMPLES_MIN};

/// What `compare` understands.
#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// Every workload once, with small sizes and short intervals.
    #[arg(long, conflicts_with = "samples")]
    quick: bool,

    /// Samples of each peer.
    #[arg(
        long,
        value_name = "N",
        default_value_t = SAMPLES_MIN,
        value_parser = clap::value_parser!(u64).range(SAMPLES_MIN..=1000)
    )]
    samples: u64,

    /// Compare by this workload only; may be repeated.
    #[arg(
        long,
        value_name = "WORKLOAD",
        value_parser = PossibleValuesParser::new(CONTESTS.iter().map(|contest| contest.name))
    )]
    filter: Vec<String>,

    /// Where `report.html`, `report.md` and `samples.json` go.
    #[arg(long, value_name = "FOLDER", default_value = "target/compare")]
    out: PathBuf,
}

/// The name of the subcommand.
pub(crate) const NAME: &str = "compare";

/// Runs everything and writes the reports.
pub(crate) fn run(args: &CompareArgs) -> Result<ExitCode> {
    // A folder that cannot be had must be known now, not after half an hour of measuring.
    fs::create_dir_all(&args.out)
        .map_err(|error| format!("cannot make {}: {error}", args.out.display()))?;
    let facts = Facts::gather();
    let mut chosen = chosen(args);
    let (programs, mut versions) = gather(&chosen);
    if let Err(error) = http::version() {
        chosen.retain(|contest| contest.workload != http::WORKLOAD);
        versions.push((http::WRK, format!("not here: {error}")));
    }
    let counter = instructions::counter();
    let counted = counter.clone();
    let counted = counted.unwrap_or_else(|error| format!("not counted: {error}"));
    versions.push((INSTRUCTIONS, counted));

    let rounds = rounds(args);
    let entries = chosen
        .iter()
        .map(|contest| rounds::entries(contest, &programs).len() * rounds.count);
    let progress = Progress::new(entries.sum::<usize>() as u64);
    let mut results = Results {
        machine: facts.to_string(),
        versions,
        quick: args.quick,
        rounds: rounds.count,
        entries: Vec::new(),
    };
    for contest in chosen {
        let mut found = rounds::run(contest, &programs, rounds, &progress);
        if counter.is_ok() && !args.quick {
            rounds::count(&mut found, &programs, rounds);
        }
        results.entries.append(&mut found);
        // A run that is interrupted leaves what it has found.
        write(args, &results)?;
    }
    progress.finish();
    let markdown = write(args, &results)?;
    let mut out = io::stdout().lock();
    writeln!(out, "{markdown}wrote {}/report.html", args.out.display())?;
    Ok(if has_failed(&results) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Whether gopark itself is among those who failed.
fn has_failed(results: &Results) -> bool {
    let mut entries = results.entries.iter();
    entries.any(|entry| is_ours(entry.peer) && entry.failure.is_some())
}

fn chosen(args: &CompareArgs) -> Vec<&'static Contest> {
    let wanted = |contest: &&Contest| {
        args.filter.is_empty() || args.filter.iter().any(|name| name == contest.name)
    };
    CONTESTS.iter().filter(wanted).collect()
}

fn rounds(args: &CompareArgs) -> Rounds {
    Rounds {
        count: if args.quick { 1 } else { args.samples as usize },
        interval: Duration::from_millis(if args.quick { 5 } else { 50 }),
        quick: args.quick,
    }
}

/// Programs of the peers that are here, and what is known of all.
fn gather(chosen: &[&Contest]) -> (Programs, Vec<(&'static str, String)>) {
    let mut programs = Programs::new();
    let mut versions: Vec<(&'static str, String)> = Vec::new();
    for peer in chosen.iter().flat_map(|contest| contest.peers) {
        if versions.iter().any(|(name, _)| name == peer) {
            continue;
        }
        match programs::find(peer) {
            Ok(program) => {
                versions.push((peer, program.version.clone()));
                programs.insert(peer, program);
            }
            Err(error) => versions.push((peer, format!("not here: {error}"))),
        }
    }
    (programs, versions)
}

/// Writes the three files; gives the Markdown.
fn write(args: &CompareArgs, results: &Results) -> Result<String> {
    let date = OffsetDateTime::now_utc().date().to_string();
    let markdown = report::markdown(results, &date);
    let files = [
        ("samples.json", report::json(results)?),
        ("report.html", report::html(results, &date)?),
        ("report.md", markdown.clone()),
    ];
    for (name, text) in files {
        let path = args.out.join(name);
        fs::write(&path, text)
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(markdown)
}
