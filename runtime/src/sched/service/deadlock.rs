//! "All goroutines are asleep": found when nobody is left who could wake one.
//!
//! A goroutine may be woken by any thread of the process, so sleeping Ms alone prove nothing. The
//! proof is a count: the process has no other threads than the Ms, which all sleep without work,
//! sysmon, this one (the chores' thread), and threads that wait for a goroutine and do nothing
//! else. Then nothing in the process can run any more.
//!
//! 1. sysmon, before its long sleep, asks for the check.
//! 2. Census: all Ms sleep, all Ps are idle, no queue has anything, nobody waits for time or for
//!    the network, some goroutine is alive.
//! 3. A pause; count the threads; census again. If an M was woken since (`wakes`), or anything
//!    differs, there is no deadlock.
//!
//! A thread that waits for a goroutine is taken out of the count by whoever wakes it, before it
//! does: a thread that is about to run is never counted as waiting.
//!
//! The check takes place when everybody falls asleep. Not found: a deadlock that is complete only
//! later, when a thread of the program ends; deadlocks among some of the goroutines while others
//! run or wait for outside events; goroutines that block their thread (in `blocking`, in std's
//! locks); processes with threads of their own that merely sleep.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::listing::{self, Listed};
use crate::fatal;
use crate::sched::find::anything_anywhere;
use crate::sched::lists::Census;
use crate::sched::shared::Shared;
use crate::sys::clock::NEVER;
use crate::sys::thread;

/// Threads of the process that wait for a goroutine and do nothing else.
pub(crate) static WAITING_THREADS: AtomicUsize = AtomicUsize::new(0);

/// sysmon and the chores' thread.
const OWN_THREADS: usize = 2;
const PAUSE: Duration = Duration::from_millis(5);
/// Goroutines that are listed, at most.
const LINES_MAX: usize = 1000;
/// As Go exits.
const EXIT_CODE: i32 = 2;

/// Reports a deadlock and ends the process, if there is one.
pub(crate) fn check(shared: &Shared) {
    let waited = WAITING_THREADS.load(Ordering::Relaxed);
    let Some(before) = asleep(shared) else {
        return;
    };
    std::thread::park_timeout(PAUSE);
    let threads = thread::count();
    let waiting = WAITING_THREADS.load(Ordering::Relaxed);
    match asleep(shared) {
        Some(after)
            if after.wakes == before.wakes
                && waiting == waited
                && threads == Some(after.threads + OWN_THREADS + waiting) =>
        {
            found(&report(shared));
        }
        _ => {}
    }
}

/// Prints the report of a deadlock and ends the process.
pub(crate) fn found(report: &str) -> ! {
    fatal::print(format_args!("{report}"));
    std::process::exit(EXIT_CODE);
}

/// Whether the process has no other threads than `ms` Ms, the runtime's own, and those that wait
/// for a goroutine and do nothing else.
pub(crate) fn has_no_other_threads(ms: usize) -> bool {
    let waiting = WAITING_THREADS.load(Ordering::Relaxed);
    thread::count() == Some(ms + OWN_THREADS + waiting)
}

fn asleep(shared: &Shared) -> Option<Census> {
    let census = shared.idle.census();
    let dead = census.all_asleep()
        && !anything_anywhere(shared)
        && shared.net.waiting() == 0
        && shared.next_timer() == NEVER
        // Acquire: pairs with the Release of the end.
        && !shared.ending.load(Ordering::Acquire)
        && shared.live() > 0;
    dead.then_some(census)
}

fn report(shared: &Shared) -> String {
    let mut text = String::from("fatal error: all goroutines are asleep - deadlock!\n\n");
    list(shared, &mut text);
    text
}

/// Adds a line for each goroutine.
pub(crate) fn list(shared: &Shared, text: &mut String) {
    let mut all: Vec<Listed> = listing::goroutines(shared).collect();
    all.sort_by_key(|listed| listed.id);
    for listed in all.iter().take(LINES_MAX) {
        let _ = writeln!(text, "{listed}");
    }
    if all.len() > LINES_MAX {
        let _ = writeln!(text, "...and {} more", all.len() - LINES_MAX);
    }
}
