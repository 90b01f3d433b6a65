//! The Ms and Ps of a runtime: tables that only grow, so that anybody may look at any time.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::machine::Machine;
use super::processor::Processor;

/// Ps that a runtime can have.
pub(crate) const PROCS_MAX: usize = 1024;
const CHUNK: usize = 64;

/// The Ms, made 64 at a time.
pub(crate) struct Machines(Box<[OnceLock<Box<[Machine]>>]>);

impl Machines {
    pub(crate) fn new(threads_max: usize) -> Machines {
        let chunks = threads_max.div_ceil(CHUNK);
        Machines((0..chunks).map(|_| OnceLock::new()).collect())
    }

    /// M number `m`, made if need be.
    pub(crate) fn make(&self, m: usize) -> &Machine {
        let first = m / CHUNK * CHUNK;
        let chunk = || (first..first + CHUNK).map(Machine::new).collect();
        &self.0[m / CHUNK].get_or_init(chunk)[m % CHUNK]
    }

    /// M number `m`, which was made.
    #[inline]
    pub(crate) fn get(&self, m: usize) -> &Machine {
        &self.0[m / CHUNK].get().expect("an M that was made")[m % CHUNK]
    }

    /// All that were made.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Machine> {
        self.0.iter().map_while(OnceLock::get).flatten()
    }
}

/// The Ps.
pub(crate) struct Procs {
    table: Box<[OnceLock<Box<Processor>>]>,
    made: AtomicUsize,
    limit: AtomicUsize,
    /// Those from here on are retired, and empty.
    reach: AtomicUsize,
    window: usize,
    seed: u64,
}

impl Procs {
    /// `limit` Ps.
    pub(crate) fn new(limit: usize, window: usize, seed: u64) -> io::Result<Procs> {
        let procs = Procs {
            table: (0..PROCS_MAX).map(|_| OnceLock::new()).collect(),
            made: AtomicUsize::new(0),
            limit: AtomicUsize::new(0),
            reach: AtomicUsize::new(0),
            window,
            seed,
        };
        procs.grow(limit)?;
        procs.set_limit(limit);
        Ok(procs)
    }

    /// Makes Ps up to number `limit`. For one caller at a time.
    pub(crate) fn grow(&self, limit: usize) -> io::Result<()> {
        for index in self.made.load(Ordering::Relaxed)..limit {
            let p = Processor::new(index, limit == 1, self.window, self.seed)?;
            let _ = self.table[index].set(Box::new(p));
            // Release: pairs with `made`.
            self.made.store(index + 1, Ordering::Release);
        }
        Ok(())
    }

    /// How many may run goroutines.
    #[inline]
    pub(crate) fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// Changes the limit; Ps above it are still reached.
    pub(crate) fn set_limit(&self, limit: usize) {
        self.reach.fetch_max(limit, Ordering::Relaxed);
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// All Ps above the limit are retired and empty.
    pub(crate) fn forget_retired(&self) {
        self.reach.store(self.limit(), Ordering::Relaxed);
    }

    /// Thieves look at those below.
    #[inline]
    pub(crate) fn reach(&self) -> usize {
        self.reach.load(Ordering::Relaxed)
    }

    fn made(&self) -> usize {
        // Acquire: pairs with `grow`.
        self.made.load(Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn get(&self, p: usize) -> &Processor {
        self.table[p].get().expect("a P that was made")
    }

    /// All that were ever made, those above the limit too.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Processor> {
        let made = self.table[..self.made()].iter();
        made.filter_map(OnceLock::get).map(Box::as_ref)
    }
}
