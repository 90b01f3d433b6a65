//! The goroutines of a runtime, for reports.
//!
//! Read from their headers while they run: the id is looked at before and after, so a line speaks
//! of one goroutine, though its parts may be of slightly different moments.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::panic::Location;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::sched::header::{G, GRef};
use crate::sched::interrupt::ABORTS;
use crate::sched::machine::Machine;
use crate::sched::seed::Seed;
use crate::sched::shared::Shared;
use crate::sys::thread;
use crate::task::name::Name;

/// A line of a report.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) id: u64,
    pub(crate) name: Option<Name>,
    /// What it does, and since when, if it waits.
    pub(crate) state: (&'static str, Option<Duration>),
    /// More about that.
    pub(crate) note: &'static str,
    /// It never runs again.
    pub(crate) stopped: bool,
    pub(crate) spawned_at: Option<&'static Location<'static>>,
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "goroutine {}", self.id)?;
        if let Some(name) = &self.name {
            write!(f, " \"{name}\"")?;
        }
        write!(f, " [{}", self.state.0)?;
        if let Some(since) = self.state.1 {
            write!(f, ", {:.1} s", since.as_secs_f64())?;
        }
        write!(f, "{}]", self.note)?;
        match self.spawned_at {
            Some(at) => write!(f, ": spawned at {at}"),
            None => Ok(()),
        }
    }
}

/// The headers of the runtime's goroutines, with their ids.
pub(crate) fn headers(shared: &Shared) -> impl Iterator<Item = (&'static G, u64)> {
    gopark_stack::headers().filter_map(move |header| {
        let g: &'static G = GRef::new(header).get();
        let id = g.state.id();
        // The id first: a runtime's address means something only together with it.
        (id != 0 && std::ptr::eq(g.shared_ptr(), shared)).then_some((g, id))
    })
}

/// The seeds of goroutines of the runtime that have had no turn yet, with their ids.
pub(crate) fn unborn(shared: &Shared) -> impl Iterator<Item = (&'static Seed, u64)> {
    shared.seeds.iter().filter_map(|seed| {
        let id = seed.state.id();
        seed.state.is_unborn(id).then_some((seed, id))
    })
}

/// All goroutines of the runtime.
pub(crate) fn goroutines(shared: &Shared) -> impl Iterator<Item = Listed> {
    let now = shared.monitor.uptime().as_millis() as u32;
    // First: who gets a header meanwhile is found there.
    let unborn: Vec<Listed> = unborn(shared)
        .filter_map(|(seed, id)| of_seed(shared, seed, id))
        .collect();
    let listed: HashSet<u64> = unborn.iter().map(|listed| listed.id).collect();
    let threads = on_threads(shared);
    let others = headers(shared)
        .filter(move |(_, id)| !listed.contains(id))
        .filter_map(move |(g, id)| of_header(shared, (g, id), now, &threads));
    unborn.into_iter().chain(others)
}

/// What the goroutines do that threads are at, by the addresses of their headers.
fn on_threads(shared: &Shared) -> HashMap<usize, &'static str> {
    let at = |m: &Machine| {
        let g = m.current.load(Ordering::Relaxed);
        let tid = m.tid.load(Ordering::Relaxed);
        if g.is_null() || tid == 0 {
            return None;
        }
        let state = if m.is_blocking.load(Ordering::Relaxed) {
            "in a blocking call"
        } else if m.grant.sleeps() {
            "runnable"
        } else if thread::is_running(tid) == Some(false) {
            "blocks its thread"
        } else {
            "running"
        };
        Some((g.addr(), state))
    };
    shared.machines.iter().filter_map(at).collect()
}

fn of_header(
    shared: &Shared,
    (g, id): (&G, u64),
    now: u32,
    threads: &HashMap<usize, &'static str>,
) -> Option<Listed> {
    let stopped = g.told.has_given_up();
    let state = if g.state.is_parked() {
        let since = now.wrapping_sub(g.told.since_ms());
        let since = Duration::from_millis(since.into());
        let why = if stopped {
            "stopped"
        } else {
            g.told.wait_text()
        };
        (why, Some(since))
    } else {
        let here = std::ptr::from_ref(g).addr();
        (threads.get(&here).copied().unwrap_or("runnable"), None)
    };
    let note = if stopped && !ABORTS {
        ", catches every request to end"
    } else if g.told.is_unwinding() {
        ", in a destructor"
    } else {
        ""
    };
    let listed = Listed {
        id,
        name: shared.name_of(id),
        state,
        note,
        stopped,
        spawned_at: g.told.spawned_at(),
    };
    (g.state.id() == id).then_some(listed)
}

fn of_seed(shared: &Shared, seed: &Seed, id: u64) -> Option<Listed> {
    let listed = Listed {
        id,
        name: shared.name_of(id),
        state: ("runnable", None),
        note: "",
        stopped: false,
        spawned_at: seed.spawned_at.get(),
    };
    seed.state.is_unborn(id).then_some(listed)
}
