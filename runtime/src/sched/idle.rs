//! Idle Ps, sleeping Ms, and whom to wake.
//!
//! New work must never wait while a P is idle and every M that could run it sleeps; and no thread
//! may be woken in vain, because that costs tens of microseconds. Two parties meet:
//!
//! *Submitter*, after it has put work on a queue: S1 fence; S2 if no P is idle or somebody is
//! searching, done; S3 become the one who wakes (searching 0 to 1); S4 take an idle P and a
//! sleeping M, and give the P to the M, which wakes up searching.
//!
//! *Searcher* without success: I1 put P and M on the idle lists; I2 stop searching; I3 fence; I4
//! look through all queues once more; I5 work: take the announcement back; none: sleep.
//!
//! # Proof sketch
//!
//! Let a submitter push w while an M goes idle. If the submitter's S2 comes after I1 and I2 in the
//! order of the fences, it sees an idle P and no searcher, and goes on to S3. Otherwise its fence
//! comes before that of I3, so its push is visible to I4, which finds w. If S2 sees a searcher,
//! that searcher has yet to pass I2, hence I3 and I4, and finds w or somebody took it. If S3 loses,
//! another submitter has just become the waker, and its M searches. An M that found work and was
//! searching submits again for what is left.
//!
//! # Invariants
//!
//! 1. `idle_ps` is the length of the list of Ps; it changes under the lock.
//! 2. An M is on the list of Ms or has (or is about to be given) a P, or is bound elsewhere.
//! 3. `searching` counts Ms that have yet to pass I2 or report found work.
//!
//! Loom models fences, not accesses, as sequentially consistent, and so does this file.
//! Modelled in `tests/loom_idle.rs`, with I4 before I2 as the seeded bug.

use crate::shim::{AtomicU32, Mutex, Ordering, fence};

/// Whom to wake, with which P. The M starts as a searcher.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// Give the P to this sleeping M.
    Resume { m: usize, p: usize },
    /// Start a thread for the P.
    Start { p: usize },
}

/// What becomes of an M that announced itself idle and then saw work.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retract {
    /// It has a P and searches.
    Search { p: usize },
    /// Sleep: somebody else has taken the P, and whoever wants this M will wake it.
    Sleep,
}

/// See the top of this file.
#[derive(Debug)]
pub(crate) struct Idle {
    lists: Mutex<Lists>,
    idle_ps: AtomicU32,
    searching: AtomicU32,
}

#[derive(Debug)]
struct Lists {
    ps: Vec<usize>,
    ms: Vec<usize>,
}

impl Idle {
    /// All of `procs` Ps are idle, and there is no M.
    pub(crate) fn new(procs: usize) -> Idle {
        Idle {
            lists: Mutex::new(Lists {
                ps: (0..procs).rev().collect(),
                ms: Vec::new(),
            }),
            idle_ps: AtomicU32::new(procs as u32),
            searching: AtomicU32::new(0),
        }
    }

    /// S1 to S4: work has been submitted.
    #[inline]
    pub(crate) fn submit(&self) -> Option<Wake> {
        // SeqCst: S1, pairs with I3.
        fence(Ordering::SeqCst);
        if self.idle_ps.load(Ordering::Relaxed) == 0 || self.searching.load(Ordering::Relaxed) != 0
        {
            return None;
        }
        self.submit_slow()
    }

    #[cold]
    fn submit_slow(&self) -> Option<Wake> {
        // AcqRel: the winner is the one searcher from now on.
        self.searching
            .compare_exchange(0, 1, Ordering::AcqRel, Ordering::Relaxed)
            .ok()?;
        let wake = self.pair();
        if wake.is_none() {
            // AcqRel as above. The P went to somebody who looks at the queues himself.
            self.searching.fetch_sub(1, Ordering::AcqRel);
        }
        wake
    }

    /// An idle P and an M to run it.
    fn pair(&self) -> Option<Wake> {
        let mut lists = self.lists.lock().unwrap();
        let p = lists.ps.pop()?;
        self.idle_ps.store(lists.ps.len() as u32, Ordering::Relaxed);
        Some(match lists.ms.pop() {
            Some(m) => Wake::Resume { m, p },
            None => Wake::Start { p },
        })
    }

    /// Finds a sleeping M for a P that its M gives away; it starts as a searcher.
    pub(crate) fn hand_off(&self, p: usize) -> Wake {
        // AcqRel: see invariant 3.
        self.searching.fetch_add(1, Ordering::AcqRel);
        match self.lists.lock().unwrap().ms.pop() {
            Some(m) => Wake::Resume { m, p },
            None => Wake::Start { p },
        }
    }

    /// No thread could be started for a P.
    pub(crate) fn give_up(&self, p: usize) {
        let mut lists = self.lists.lock().unwrap();
        lists.ps.push(p);
        self.idle_ps.store(lists.ps.len() as u32, Ordering::Relaxed);
        // AcqRel: see invariant 3.
        self.searching.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether an M that found nothing close by should search: searchers are at most half of the
    /// busy Ps, and one in any case.
    pub(crate) fn start_search(&self, procs: usize) -> bool {
        let busy = procs as u32 - self.idle_ps.load(Ordering::Relaxed).min(procs as u32);
        let searching = self.searching.load(Ordering::Relaxed);
        if searching != 0 && 2 * searching >= busy {
            return false;
        }
        // AcqRel: see invariant 3.
        self.searching.fetch_add(1, Ordering::AcqRel);
        true
    }

    /// A searcher found work. There may be more: the caller submits again.
    pub(crate) fn found(&self) {
        // AcqRel: see invariant 3.
        self.searching.fetch_sub(1, Ordering::AcqRel);
    }

    /// I1 to I3: M `m` gives up `p`. The caller looks at all queues now.
    pub(crate) fn announce(&self, m: usize, p: usize, searching: bool) {
        let mut lists = self.lists.lock().unwrap();
        lists.ps.push(p);
        lists.ms.push(m);
        self.idle_ps.store(lists.ps.len() as u32, Ordering::Relaxed);
        drop(lists);
        if searching {
            // AcqRel: see invariant 3.
            self.searching.fetch_sub(1, Ordering::AcqRel);
        }
        // SeqCst: I3, pairs with S1.
        fence(Ordering::SeqCst);
    }

    /// M `m`, which has no P, goes to sleep.
    pub(crate) fn announce_without_p(&self, m: usize) {
        self.lists.lock().unwrap().ms.push(m);
    }

    /// I5: M `m` saw work after it had announced itself idle.
    pub(crate) fn retract(&self, m: usize) -> Retract {
        let mut lists = self.lists.lock().unwrap();
        let Some(at) = lists.ms.iter().position(|other| *other == m) else {
            return Retract::Sleep;
        };
        let Some(p) = lists.ps.pop() else {
            return Retract::Sleep;
        };
        lists.ms.swap_remove(at);
        self.idle_ps.store(lists.ps.len() as u32, Ordering::Relaxed);
        // AcqRel: see invariant 3.
        self.searching.fetch_add(1, Ordering::AcqRel);
        Retract::Search { p }
    }

    /// All sleeping Ms, which the caller ends.
    pub(crate) fn drain(&self) -> Vec<usize> {
        std::mem::take(&mut self.lists.lock().unwrap().ms)
    }

    /// Ps that no M holds.
    pub(crate) fn idle_ps(&self) -> usize {
        self.idle_ps.load(Ordering::Relaxed) as usize
    }
}

#[cfg(all(test, gopark_loom))]
#[path = "tests/loom_idle.rs"]
mod loom_idle;
