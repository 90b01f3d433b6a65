//! "All goroutines are asleep": found when nobody is left who could wake one.
//!
//! A goroutine may be woken by any thread of the process, so sleeping Ms alone prove nothing. The
//! proof is that nothing in the process can run any more:
//!
//! 1. sysmon, before its long sleep, asks for the check.
//! 2. Census: all Ms sleep, all Ps are idle, no queue has anything, nobody waits for time or for
//!    the network, some goroutine is alive.
//! 3. The process has no other threads than the Ms, sysmon, this one (the chores' thread), the one
//!    that writes lines to standard error, and threads that wait for a goroutine, without a
//!    deadline, and do nothing else. So threads of the program, of other runtimes and of the kernel
//!    (io_uring) rule a deadlock out.
//! 4. The program catches no signal that could come from outside: the handler of one might bring
//!    it on, or end it.
//! 5. All those threads sleep, a pause passes, and none of them has used the CPU since. If an M was
//!    woken meanwhile (`wakes`), or anything differs, there is no deadlock.
//!
//! A thread that waits for a goroutine is taken out of the count by whoever wakes it, before it
//! does: a thread that is about to run is never counted as waiting. One with a deadline is not
//! counted at all: it comes back. One that is counted and has not begun to wait, because the kernel
//! runs another thread in its place, does not sleep.
//!
//! The check takes place when everybody falls asleep. Not found: a deadlock that is complete only
//! later, when a thread of the program ends; deadlocks among some of the goroutines while others
//! run or wait for outside events; goroutines that block their thread (in `blocking`, in std's
//! locks); processes with threads of their own that merely sleep, or with two runtimes.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::listing::{self, Listed};
use crate::fatal;
use crate::sched::find::anything_anywhere;
use crate::sched::lists::Census;
use crate::sched::panics::EXIT_CODE;
use crate::sched::shared::Shared;
use crate::sys::clock::NEVER;
use crate::sys::{stderr, thread};

/// What is done about a deadlock: all goroutines wait, and no thread of the process can wake one.
///
/// It is found when all goroutines fall asleep and the process has no threads but those of one
/// runtime and those that wait for its goroutines without a deadline. A wait for time, however
/// long, for the network or in a blocking call is no deadlock, and none is found in a program that
/// catches signals, as a handler might wake it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Deadlock {
    /// Prints all goroutines with what they wait for to standard error and ends the process with
    /// status 2, as Go does. The default: nothing in the process would ever run again.
    #[default]
    Abort,
    /// Prints the same, and leaves the process as it is.
    Report,
    /// Nothing: for a program that waits for a signal to end it.
    Off,
}

/// Threads of the process that wait for a goroutine, without a deadline, and do nothing else; and
/// the lender of panic counts. Ms that wait so are not counted here.
pub(crate) static WAITING_THREADS: AtomicUsize = AtomicUsize::new(0);

/// sysmon and the chores' thread.
const OWN_THREADS: usize = 2;
const PAUSE: Duration = Duration::from_millis(5);
/// How often it is looked whether all threads sleep at last.
const LOOKS_MAX: u32 = 400;
/// Goroutines that are listed, at most.
const LINES_MAX: usize = 1000;

/// Reports a deadlock, if there is one.
pub(crate) fn check(shared: &Shared) {
    if shared.config.deadlock != Deadlock::Off && is_deadlock(shared) {
        found(shared, &report(shared));
    }
}

/// Reports a deadlock and does what the runtime's settings say.
pub(super) fn found(shared: &Shared, report: &str) {
    match shared.config.deadlock {
        Deadlock::Off => {}
        Deadlock::Report => fatal::print(format_args!("gopark: {report}")),
        Deadlock::Abort => {
            stderr::print_now(&format!("fatal error: {report}"));
            std::process::exit(EXIT_CODE);
        }
    }
}

fn is_deadlock(shared: &Shared) -> bool {
    let mut before = look(shared);
    // Ms, and sysmon, that have said that they sleep may still be on their way to it.
    for _ in 0..LOOKS_MAX {
        if before == Sight::Other || catches_signals() || shared.chores.is_asked() {
            return false;
        }
        std::thread::park_timeout(PAUSE);
        let after = look(shared);
        if after == before && matches!(after, Sight::Asleep { .. }) {
            return true;
        }
        before = after;
    }
    false
}

/// What a look at the process finds.
#[derive(Debug, PartialEq, Eq)]
enum Sight {
    /// No deadlock: a goroutine can be woken, by time, by the network or by another thread.
    Other,
    /// Some thread still runs.
    Awake,
    /// All threads sleep but this one. They have used that much of the CPU.
    Asleep {
        wakes: u64,
        clocks: Vec<(i32, Duration)>,
    },
}

fn look(shared: &Shared) -> Sight {
    let waiting = WAITING_THREADS.load(Ordering::Relaxed);
    let (Some(census), Some(threads)) = (asleep(shared), thread::all()) else {
        return Sight::Other;
    };
    if threads.len() != census.threads + OWN_THREADS + stderr::threads() + waiting {
        return Sight::Other;
    }
    let me = thread::id();
    let clock = |tid| {
        let sleeps = thread::sleeps(tid)?;
        Some((tid, thread::cpu_time(tid)?)).filter(|_| sleeps)
    };
    let others = threads.into_iter().filter(|tid| *tid != me);
    match others.map(clock).collect() {
        Some(clocks) => Sight::Asleep {
            wakes: census.wakes,
            clocks,
        },
        None => Sight::Awake,
    }
}

/// Whether a handler of the program may run, at any time, for a signal that comes from outside.
///
/// Faults of an instruction do not count, nor do the signals of a CPU clock, which stands still;
/// and SIGURG is ours. C libraries use the first three of the real-time signals for themselves.
pub(super) fn catches_signals() -> bool {
    const OTHERS: [i32; 14] = [
        libc::SIGILL,
        libc::SIGTRAP,
        libc::SIGABRT,
        libc::SIGBUS,
        libc::SIGFPE,
        libc::SIGSEGV,
        libc::SIGSYS,
        libc::SIGXCPU,
        libc::SIGPROF,
        libc::SIGVTALRM,
        libc::SIGURG,
        32,
        33,
        34,
    ];
    let others = OTHERS
        .iter()
        .fold(0, |set, signal| set | 1_u64 << (signal - 1));
    thread::caught_signals().is_none_or(|caught| caught & !others != 0)
}

/// Whether the process has no other threads than `ms` Ms, the runtime's own, and those that wait
/// for a goroutine and do nothing else.
pub(crate) fn has_no_other_threads(ms: usize) -> bool {
    let waiting = WAITING_THREADS.load(Ordering::Relaxed);
    let expected = ms + OWN_THREADS + stderr::threads() + waiting;
    thread::all().is_some_and(|threads| threads.len() == expected)
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
    let mut text = String::from("all goroutines are asleep - deadlock!\n\n");
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
