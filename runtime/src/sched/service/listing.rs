//! The goroutines of a runtime, for reports.
//!
//! Read from their headers while they run: the id is looked at before and after, so a line speaks
//! of one goroutine, though its parts may be of slightly different moments.

use std::collections::HashSet;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

use crate::sched::header::{G, GRef};
use crate::sched::seed::Seed;
use crate::sched::shared::Shared;
use crate::task::name::Name;

/// A line of a report.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) id: u64,
    pub(crate) name: Option<Name>,
    /// `None`: it does not wait.
    pub(crate) waits: Option<(&'static str, Duration)>,
    pub(crate) spawned_at: Option<&'static Location<'static>>,
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "goroutine {}", self.id)?;
        if let Some(name) = &self.name {
            write!(f, " \"{name}\"")?;
        }
        match self.waits {
            Some((why, since)) => write!(f, " [{why}, {:.1} s]", since.as_secs_f64())?,
            None => f.write_str(" [running or runnable]")?,
        }
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
    let others = headers(shared)
        .filter(move |(_, id)| !listed.contains(id))
        .filter_map(move |(g, id)| of_header(shared, g, id, now));
    unborn.into_iter().chain(others)
}

fn of_header(shared: &Shared, g: &G, id: u64, now: u32) -> Option<Listed> {
    let since = now.wrapping_sub(g.told.since_ms());
    let waits = g.state.is_parked().then(|| {
        let since = Duration::from_millis(since.into());
        (g.told.wait_text(), since)
    });
    let listed = Listed {
        id,
        name: shared.name_of(id),
        waits,
        spawned_at: g.told.spawned_at(),
    };
    (g.state.id() == id).then_some(listed)
}

fn of_seed(shared: &Shared, seed: &Seed, id: u64) -> Option<Listed> {
    let listed = Listed {
        id,
        name: shared.name_of(id),
        waits: None,
        spawned_at: seed.spawned_at.get(),
    };
    seed.state.is_unborn(id).then_some(listed)
}
