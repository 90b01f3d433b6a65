//! The end of a runtime's goroutines: all are unwound, then `threads.rs` ends the threads.
//!
//! Each goroutine of the runtime is asked to stop. A parked one wakes up and unwinds from its park
//! with [`Cancelled`](crate::sched::park::Cancelled); a running one does so at its next park or
//! yield. What it spawns after that is asked at its birth (`launch.rs`). All are asked again and
//! again, because goroutines that were not asked yet may spawn too. Spawns by handles from outside
//! are refused: the gate is closed first (`gate.rs`).
//!
//! No stack is freed without being unwound. What does not end is of three kinds:
//!
//! - *It does not come to a call of the runtime*: it computes, or blocks its thread in the system.
//!   When for the time of the grace no goroutine has ended, it is told on standard error, and what
//!   follows is the program's choice ([`OnEnd`]).
//! - *Its destructors wait*, or block, or spawn others. It is waited for [`DESTRUCTORS`] times as
//!   long, from when the goroutines have become fewer for the last time.
//! - *It catches the unwinding each time.* After [`STOPS_MAX`] of them it gives up: it waits for
//!   ever, without a thread, and its stack is never used again. In a program that aborts instead of
//!   unwinding this comes at the first request.
//!
//! A runtime that is left goes on, with its threads and memory, until its goroutines end after all:
//! a thread in the background waits for that. So whoever comes back from the system finds a runtime
//! that unwinds it.
//!
//! # Invariants
//!
//! 1. The runtime's memory stays while a goroutine of it may be woken: a wake goes by its address.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::listing::{self, Listed};
use super::threads::{self, Services};
use crate::fatal::{self, warn};
use crate::sched::interrupt::ABORTS;
use crate::sched::park;
use crate::sched::shared::Shared;
use crate::sys::stderr;
use crate::task::seed_state::Ask;

const PAUSE_MIN: Duration = Duration::from_micros(50);
const PAUSE_MAX: Duration = Duration::from_millis(10);
/// When nothing has ended for a second.
const PAUSE_MAX_LATE: Duration = Duration::from_millis(100);
const LATE: Duration = Duration::from_secs(1);
/// A shorter grace would leave goroutines that only have to be scheduled.
const GRACE_MIN: Duration = Duration::from_millis(10);
/// How many times the grace those are waited for that unwind.
const DESTRUCTORS: u32 = 10;
/// How often a goroutine unwinds for the end of its runtime.
pub(crate) const STOPS_MAX: u32 = if ABORTS { 0 } else { 1000 };
/// Goroutines that are listed on standard error, at most.
const LINES_MAX: usize = 100;

/// What the end of a runtime does about goroutines that have not ended when the time of
/// [`Builder::exit_grace`](crate::runtime::Builder::exit_grace) is over. They have been listed on
/// standard error then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnEnd {
    /// They are left behind, with the threads and the memory of the runtime, as std leaves detached
    /// threads behind: the default. Each of them unwinds when it comes to a call of the runtime
    /// after all; the end of the process does not wait for that, but whoever joins it does.
    Leave,
    /// They are waited for, however long that takes.
    Wait,
    /// The process ends with this exit code, without running further destructors.
    Exit(i32),
}

/// How long [`unwind_all`] waits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    Endless,
    Until(Option<Instant>),
    /// As the runtime's settings say.
    Grace,
}

/// What became of the goroutines.
#[must_use]
#[derive(Debug)]
pub(crate) enum Outcome {
    Ended,
    /// All have ended but these, which never run again.
    GivenUp(Vec<Listed>),
    Left(Vec<Listed>),
}

/// Asks every goroutine to end, and waits until they have, or as long as `patience` says.
pub(crate) fn unwind_all(shared: &Shared, patience: Patience) -> Outcome {
    shared.gate.close();
    let mut pause = PAUSE_MIN;
    let mut progress = Progress::new();
    let mut told = false;
    loop {
        // The gate first: a spawner inside of it may be about to count one more.
        let is_closed = shared.gate.is_empty();
        let spawned = shared.spawned();
        let live = shared.live();
        if is_closed && live == 0 {
            return Outcome::Ended;
        }
        // None was spawned meanwhile that would be taken for one of those that have given up.
        if is_closed && live <= shared.given_up() && shared.spawned() == spawned {
            return Outcome::GivenUp(listed(shared));
        }
        if progress.note(live, spawned) {
            pause = PAUSE_MIN;
        }
        let begin = Instant::now();
        stop_all(shared);
        // Looking at many takes long: it shall not be all that is done.
        let cost = begin.elapsed();
        if is_over(shared, patience, &progress, &mut told) {
            let left = listed(shared);
            if !left.is_empty() {
                return Outcome::Left(left);
            }
        }
        std::thread::park_timeout(pause.max(cost));
        let most = if progress.quiet() < LATE {
            PAUSE_MAX
        } else {
            PAUSE_MAX_LATE
        };
        pause = (pause * 2).min(most);
    }
}

/// How the end gets on.
struct Progress {
    /// The fewest that have been alive, and since when.
    least: u64,
    least_since: Instant,
    ended: u64,
    ended_at: Instant,
    spawned: u64,
}

impl Progress {
    fn new() -> Progress {
        let now = Instant::now();
        Progress {
            least: u64::MAX,
            least_since: now,
            ended: 0,
            ended_at: now,
            spawned: 0,
        }
    }

    /// Whether goroutines were spawned, which have not been asked to end.
    fn note(&mut self, live: u64, spawned: u64) -> bool {
        let now = Instant::now();
        if live < self.least {
            self.least = live;
            self.least_since = now;
        }
        let ended = spawned.saturating_sub(live);
        if ended > self.ended {
            self.ended = ended;
            self.ended_at = now;
        }
        std::mem::replace(&mut self.spawned, spawned) != spawned
    }

    /// How long none has ended.
    fn quiet(&self) -> Duration {
        self.ended_at.elapsed()
    }

    /// How long they have not become fewer: they may spawn others.
    fn stagnant(&self) -> Duration {
        self.least_since.elapsed()
    }
}

fn is_over(shared: &Shared, patience: Patience, progress: &Progress, told: &mut bool) -> bool {
    match patience {
        Patience::Endless => false,
        Patience::Until(deadline) => deadline.is_some_and(|end| Instant::now() >= end),
        Patience::Grace => {
            let grace = shared.config.exit_grace.max(GRACE_MIN);
            let may_go_on = progress.stagnant() < grace.saturating_mul(DESTRUCTORS);
            if may_go_on && progress.quiet() < grace {
                return false;
            }
            let unwinding = may_go_on && any_unwinding(shared);
            if !*told {
                let mut left = listed(shared);
                // Where nothing unwinds, that is how goroutines end.
                left.retain(|one| !(ABORTS && one.stopped));
                *told = !left.is_empty();
                tell(shared, &left, grace, unwinding);
            }
            shared.config.on_end != OnEnd::Wait && !unwinding
        }
    }
}

fn any_unwinding(shared: &Shared) -> bool {
    listing::headers(shared).any(|(g, _)| g.told.is_unwinding())
}

fn listed(shared: &Shared) -> Vec<Listed> {
    let mut all: Vec<Listed> = listing::goroutines(shared).collect();
    all.sort_by_key(|listed| listed.id);
    all
}

/// Says on standard error what has not ended.
fn tell(shared: &Shared, left: &[Listed], grace: Duration, unwinding: bool) {
    let mut text = match left.len() {
        // It has ended just now.
        0 => return,
        1 => String::from("1 goroutine has not ended"),
        n => format!("{n} goroutines have not ended"),
    };
    let _ = write!(text, " {grace:?} after the end of the runtime began, ");
    let _ = match shared.config.on_end {
        OnEnd::Wait => write!(text, "which waits"),
        _ if unwinding => write!(text, "which waits for destructors"),
        OnEnd::Leave => write!(text, "which leaves what does not end"),
        OnEnd::Exit(code) => write!(text, "which ends the process with code {code}"),
    };
    text += " (runtime::Builder::on_end):";
    for listed in left.iter().take(LINES_MAX) {
        let _ = write!(text, "\n{listed}");
    }
    if left.len() > LINES_MAX {
        let _ = write!(text, "\n...and {} more", left.len() - LINES_MAX);
    }
    last_words(&text);
}

/// Warns: the program may end as soon as the end of the runtime is over.
fn last_words(text: &str) {
    warn(format_args!("{text}"));
    stderr::flush(threads::FLUSH);
}

fn stop_all(shared: &Shared) {
    for (g, id) in listing::headers(shared) {
        park::ask(g.to_ref().into(), id, Ask::Stop);
    }
    for (seed, id) in listing::unborn(shared) {
        park::ask(seed.into(), id, Ask::Stop);
    }
}

/// Ends a runtime as its settings say.
pub(crate) fn end(shared: &Arc<Shared>, services: Services) {
    let on_end = shared.config.on_end;
    match (unwind_all(shared, Patience::Grace), on_end) {
        (Outcome::Ended, _) => threads::end(shared, services),
        (Outcome::GivenUp(_), _) if ABORTS => give_up(shared, services),
        (Outcome::GivenUp(left), _) => {
            tell_given_up(&left);
            exit_if(on_end);
            give_up(shared, services);
        }
        (Outcome::Left(_), _) => {
            exit_if(on_end);
            end_in_background(Arc::clone(shared), services);
        }
    }
}

fn exit_if(on_end: OnEnd) {
    if let OnEnd::Exit(code) = on_end {
        std::process::exit(code);
    }
}

fn tell_given_up(left: &[Listed]) {
    let mut text = String::from("goroutines that catch every request to end are left behind:");
    for listed in left.iter().take(LINES_MAX) {
        let _ = write!(text, "\n{listed}");
    }
    last_words(&text);
}

/// Ends a runtime as a drop does, but waits until `deadline`: what has not ended by then.
pub(crate) fn end_until(
    shared: &Arc<Shared>,
    services: Services,
    deadline: Option<Instant>,
) -> Result<(), Vec<Listed>> {
    match unwind_all(shared, Patience::Until(deadline)) {
        Outcome::Ended => {
            threads::end(shared, services);
            Ok(())
        }
        Outcome::GivenUp(left) => {
            give_up(shared, services);
            Err(left)
        }
        Outcome::Left(left) => {
            end_in_background(Arc::clone(shared), services);
            Err(left)
        }
    }
}

/// Ends a runtime the goroutines of which never run again: its threads, if none is a goroutine's.
fn give_up(shared: &Arc<Shared>, services: Services) {
    // Invariant 1.
    std::mem::forget(Arc::clone(shared));
    if shared.has_given_up_threads() {
        std::mem::forget(services);
    } else {
        threads::end(shared, services);
    }
}

/// Ends a runtime whose goroutines did not end in time, whenever they do.
fn end_in_background(shared: Arc<Shared>, services: Services) {
    // Invariant 1, if there is no thread for it: the runtime and its threads stay then.
    let kept = Arc::clone(&shared);
    let wait = move || match unwind_all(&shared, Patience::Endless) {
        Outcome::GivenUp(_) => give_up(&shared, services),
        Outcome::Ended | Outcome::Left(_) => threads::end(&shared, services),
    };
    let thread = fatal::spawn(String::from("gopark-end"), None, wait);
    if thread.is_err() {
        std::mem::forget(kept);
    }
}
