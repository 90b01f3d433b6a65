//! Idle Ps, sleeping Ms, and whom to wake.
//!
//! New work must never wait while a P is idle and an M could run it, but for the little while that
//! `haste.rs` grants; and no thread may be woken in vain, because that costs tens of microseconds.
//! Two parties meet:
//!
//! *Submitter*, after it has put work on a queue: S1 fence; S2 if no P is idle or somebody is
//! searching, done; S3 become the one who wakes (searching 0 to 1); S4 take an idle P and a
//! sleeping M, and give the P to the M, which wakes up searching. Without a sleeping M: leave the
//! P, stop searching, ask for a thread; an M that starts looks for a P and for work by itself.
//!
//! *Searcher* without success: I1 put P and M on the idle lists; I2 stop searching; I3 fence; I4
//! look through all queues once more; I5 work: take the announcement back; none: sleep.
//!
//! *M that has lost its P*: the same without a P: announce, fence, look, retract.
//!
//! *M that goes into a long blocking call*, and passes its P on with the work that waits for it: I1
//! put the P on the idle list; then S1 to S4, but the P stays on the list (`call`). The M that is
//! called wakes up searching, takes an idle P and looks through all queues; if there is no P it
//! announces itself: I1 to I5. Until it comes an M that returns from a call may take the P, without
//! waking a thread: it is awake, and one that wakes up takes 30 µs.
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
//! The number of Ps goes down by lowering `limit`: a P at or above it that is laid down is retired
//! instead of listed; its M moves its queue to the global one before, and looks after (I4).
//!
//! # Invariants
//!
//! 1. `idle_ps` is the length of the list of Ps; both change under the lock, as `limit` does.
//! 2. An M is on the list of Ms or has (or is about to be given) a P, or sleeps for its goroutine
//!    or claim, or runs without a P.
//! 3. `searching` counts Ms that have yet to pass I2 or report found work.
//! 4. The lists never grow beyond what was reserved: they are changed where nothing may be
//!    allocated.
//!
//! Loom models fences, not accesses, as sequentially consistent, and so does this file.
//! Modelled, each with a seeded bug, in `tests/loom_idle.rs`: `submit_against_sleep` with one and
//! two Ms, `submit_against_found`, `submit_against_start`, `call_against_sleep`,
//! `submit_against_a_p_that_comes_and_goes`; and in `tests/loom_limit.rs`:
//! `lower_limit_against_submit`, `lower_limit_against_hand_off`, `raise_limit_against_submit`,
//! `hand_off_against_submit`, `retire_against_submit`, `deadlock_against_a_late_ready`.

use super::lists::{Census, Lists, Start};
use crate::shim::{AtomicU32, Mutex, Ordering, fence};

/// Whom to wake, with which P. The M starts as a searcher.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// Give the P to this sleeping M.
    Resume { m: usize, p: usize },
    /// Call this sleeping M, which looks for a P by itself.
    Call { m: usize },
    /// Start a thread; it will look for a P.
    Start,
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

/// Whether an M is there for a P.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spare {
    /// One sleeps.
    Ready,
    /// None; ask for a thread.
    Ask,
    /// None; one is being started, or there may be no more.
    None,
}

/// See the top of this file.
#[derive(Debug)]
pub(crate) struct Idle {
    lists: Mutex<Lists>,
    idle_ps: AtomicU32,
    searching: AtomicU32,
}

impl Idle {
    /// All of `procs` Ps are idle, and there is no M; there will be `procs_max` and `threads_max`.
    pub(crate) fn new(procs: usize, procs_max: usize, threads_max: usize) -> Idle {
        Idle {
            lists: Mutex::new(Lists::new(procs, procs_max, threads_max)),
            idle_ps: AtomicU32::new(procs as u32),
            searching: AtomicU32::new(0),
        }
    }

    fn set_idle_ps(&self, lists: &Lists) {
        self.idle_ps.store(lists.ps.len() as u32, Ordering::Relaxed);
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
        let mut lists = self.lists.lock().unwrap();
        let wake = match (lists.ps.last().copied(), lists.ms.last().copied()) {
            (Some(p), Some(m)) => {
                lists.ps.pop();
                lists.ms.pop();
                lists.wakes += 1;
                self.set_idle_ps(&lists);
                return Some(Wake::Resume { m, p });
            }
            (Some(_), None) => lists.want_thread().then_some(Wake::Start),
            // The P went to somebody who looks at the queues himself.
            (None, _) => None,
        };
        // Under the lock: who lays down a P after this, and sleeps, leaves it to no waker that only
        // pretends to search. AcqRel: see invariant 3.
        self.searching.fetch_sub(1, Ordering::AcqRel);
        wake
    }

    /// S1 to S4 for work that waits for a P which was just released: the M that is woken takes a P
    /// by itself, if there still is one.
    pub(crate) fn call(&self) -> Option<Wake> {
        // SeqCst: S1, pairs with I3.
        fence(Ordering::SeqCst);
        // AcqRel: the winner is the one searcher from now on.
        let first = self.searching.load(Ordering::Relaxed) == 0
            && self
                .searching
                .compare_exchange(0, 1, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok();
        if !first {
            return None;
        }
        let mut lists = self.lists.lock().unwrap();
        let wake = match lists.ps.last() {
            Some(_) => match lists.ms.pop() {
                Some(m) => {
                    lists.wakes += 1;
                    return Some(Wake::Call { m });
                }
                None => lists.want_thread().then_some(Wake::Start),
            },
            // The P went to an M that looks at the queues itself.
            None => None,
        };
        // Under the lock, as in `submit`. AcqRel: see invariant 3.
        self.searching.fetch_sub(1, Ordering::AcqRel);
        wake
    }

    /// M `m`, which waits and was called, is awake: the idle P with which it searches; if there is
    /// none it is on the idle list, and looks at the queues. I1 to I3.
    pub(crate) fn come(&self, m: usize, polls: bool) -> Option<usize> {
        let mut lists = self.lists.lock().unwrap();
        lists.wakes += 1;
        if let Some(p) = lists.ps.pop() {
            self.set_idle_ps(&lists);
            return Some(p);
        }
        lists.put_to_sleep(m, polls);
        drop(lists);
        // AcqRel: see invariant 3.
        self.searching.fetch_sub(1, Ordering::AcqRel);
        // SeqCst: I3, pairs with S1.
        fence(Ordering::SeqCst);
        None
    }

    /// A P that its owner lays down, and has emptied if it is above the limit. The caller looks at
    /// all queues then and submits.
    pub(crate) fn release(&self, p: usize) {
        let mut lists = self.lists.lock().unwrap();
        lists.lay_down(p);
        self.set_idle_ps(&lists);
        drop(lists);
        // SeqCst: I3, pairs with S1.
        fence(Ordering::SeqCst);
    }

    /// `release` of a P that may have work in its queue: false if it is above the limit. It stays
    /// with the caller then, who empties it and releases it.
    pub(crate) fn release_unless_excess(&self, p: usize) -> bool {
        let mut lists = self.lists.lock().unwrap();
        if p >= lists.limit {
            return false;
        }
        lists.lay_down(p);
        self.set_idle_ps(&lists);
        drop(lists);
        // SeqCst: I3, pairs with S1.
        fence(Ordering::SeqCst);
        true
    }

    /// Whether P number `p` is of nobody but of whoever changes the limit.
    pub(crate) fn is_retired(&self, p: usize) -> bool {
        self.lists.lock().unwrap().retired[p]
    }

    /// A sleeping M for a P that the caller owns. It starts as a searcher.
    pub(crate) fn resume_with(&self, p: usize) -> Option<Wake> {
        let mut lists = self.lists.lock().unwrap();
        let m = lists.ms.pop()?;
        lists.wakes += 1;
        // AcqRel: see invariant 3.
        self.searching.fetch_add(1, Ordering::AcqRel);
        Some(Wake::Resume { m, p })
    }

    /// An idle P for an M that has none and runs a goroutine already.
    pub(crate) fn take_p(&self) -> Option<usize> {
        if self.idle_ps.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut lists = self.lists.lock().unwrap();
        let p = lists.ps.pop()?;
        lists.wakes += 1;
        self.set_idle_ps(&lists);
        Some(p)
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

    /// A searcher found work. There may be more: the caller looks, and submits again.
    pub(crate) fn found(&self) {
        // AcqRel: see invariant 3.
        self.searching.fetch_sub(1, Ordering::AcqRel);
        // SeqCst: I3, pairs with S1: a submitter that still saw the searcher is seen by the look.
        fence(Ordering::SeqCst);
    }

    /// I1 to I3: M `m` gives up its P, if it has one, as in [`Idle::release`]. The caller looks at
    /// all queues now. One that polls is the last to be woken.
    pub(crate) fn announce(&self, m: usize, p: Option<usize>, searching: bool, polls: bool) {
        let mut lists = self.lists.lock().unwrap();
        if let Some(p) = p {
            lists.lay_down(p);
        }
        lists.put_to_sleep(m, polls);
        self.set_idle_ps(&lists);
        drop(lists);
        if searching {
            // AcqRel: see invariant 3.
            self.searching.fetch_sub(1, Ordering::AcqRel);
        }
        // SeqCst: I3, pairs with S1.
        fence(Ordering::SeqCst);
    }

    /// I5: M `m` saw work after it had announced itself idle.
    pub(crate) fn retract(&self, m: usize) -> Retract {
        let mut lists = self.lists.lock().unwrap();
        let Some(at) = lists.ms.iter().rposition(|other| *other == m) else {
            return Retract::Sleep;
        };
        let Some(p) = lists.ps.pop() else {
            return Retract::Sleep;
        };
        lists.ms.remove(at);
        lists.wakes += 1;
        self.set_idle_ps(&lists);
        // AcqRel: see invariant 3.
        self.searching.fetch_add(1, Ordering::AcqRel);
        Retract::Search { p }
    }

    /// M `m` has slept for long: true if it may end, because more than `keep` sleep.
    pub(crate) fn retire(&self, m: usize, keep: usize) -> bool {
        let mut lists = self.lists.lock().unwrap();
        if lists.ms.len() <= keep {
            return false;
        }
        let Some(at) = lists.ms.iter().position(|other| *other == m) else {
            return false;
        };
        lists.ms.remove(at);
        true
    }

    /// The number of a thread to start, if one was asked for.
    pub(crate) fn next_thread(&self) -> Option<usize> {
        self.lists.lock().unwrap().next_thread()
    }

    /// Whether an M sleeps that could run a P.
    pub(crate) fn has_spare(&self) -> bool {
        !self.lists.lock().unwrap().ms.is_empty()
    }

    /// The same; if not, a thread is wanted.
    pub(crate) fn spare(&self) -> Spare {
        let mut lists = self.lists.lock().unwrap();
        if !lists.ms.is_empty() {
            return Spare::Ready;
        }
        if lists.want_thread() {
            Spare::Ask
        } else {
            Spare::None
        }
    }

    /// M `m` has started: the idle P with which it searches, if there is one; else it is on the
    /// idle list, and looks at the queues as any M that went idle.
    pub(crate) fn join(&self, m: usize) -> Option<usize> {
        let mut lists = self.lists.lock().unwrap();
        lists.start = Start::No;
        lists.wakes += 1;
        let p = lists.ps.pop();
        match p {
            Some(_) => {
                self.set_idle_ps(&lists);
                // AcqRel: see invariant 3.
                self.searching.fetch_add(1, Ordering::AcqRel);
            }
            None => lists.ms.push(m),
        }
        drop(lists);
        // SeqCst: I3, pairs with S1.
        fence(Ordering::SeqCst);
        p
    }

    /// The thread of M `m`, which is on no list, is over: true if another must be asked for.
    pub(crate) fn left(&self, m: usize) -> bool {
        let mut lists = self.lists.lock().unwrap();
        lists.threads -= 1;
        lists.free.push(m);
        std::mem::take(&mut lists.refused) && lists.want_thread()
    }

    /// The thread of M `m` could not be started: it is still wanted.
    pub(crate) fn failed(&self, m: usize) {
        let mut lists = self.lists.lock().unwrap();
        lists.threads -= 1;
        lists.free.push(m);
        lists.start = Start::Wanted;
    }

    /// An M goes to sleep for its parked goroutine, or was given a P for it.
    pub(crate) fn bound(&self, asleep: bool) {
        let mut lists = self.lists.lock().unwrap();
        if asleep {
            lists.bound += 1;
        } else {
            lists.bound -= 1;
            lists.wakes += 1;
        }
    }

    /// Sets the number of Ps. Idle ones above it are retired, as others will be when they are laid
    /// down; retired ones below it, which the caller has made, become idle.
    pub(crate) fn set_limit(&self, limit: usize) {
        let mut lists = self.lists.lock().unwrap();
        lists.limit = limit;
        lists.retire_excess();
        self.set_idle_ps(&lists);
        drop(lists);
        // SeqCst: I3, pairs with S1.
        fence(Ordering::SeqCst);
    }

    /// Ps above the limit that are not retired yet.
    pub(crate) fn excess(&self) -> usize {
        let lists = self.lists.lock().unwrap();
        lists.retired[lists.limit..].iter().filter(|r| !**r).count()
    }

    /// All sleeping Ms, which the caller ends.
    pub(crate) fn drain(&self) -> Vec<usize> {
        let mut lists = self.lists.lock().unwrap();
        let ms = lists.ms.clone();
        lists.ms.clear();
        ms
    }

    /// Ps that no M holds.
    #[inline]
    pub(crate) fn idle_ps(&self) -> usize {
        self.idle_ps.load(Ordering::Relaxed) as usize
    }

    /// Ms that search.
    pub(crate) fn searching(&self) -> usize {
        self.searching.load(Ordering::Relaxed) as usize
    }

    pub(crate) fn census(&self) -> Census {
        let lists = self.lists.lock().unwrap();
        Census {
            threads: lists.threads,
            idle_ms: lists.ms.len(),
            bound: lists.bound,
            idle_ps: lists.ps.len(),
            limit: lists.limit,
            searching: self.searching(),
            wakes: lists.wakes,
        }
    }

    /// Whether more threads are wanted than there may be.
    pub(crate) fn is_refused(&self) -> bool {
        self.lists.lock().unwrap().refused
    }
}

#[cfg(all(test, gopark_loom))]
#[path = "tests/loom_idle.rs"]
mod loom_idle;
#[cfg(all(test, gopark_loom))]
#[path = "tests/loom_limit.rs"]
mod loom_limit;
#[cfg(all(test, gopark_loom))]
#[path = "tests/searching.rs"]
pub(crate) mod searching;
