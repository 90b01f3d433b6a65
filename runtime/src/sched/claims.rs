//! The queues of Ms that want a P for their own thread.
//!
//! A goroutine that was suspended, or whose thread lost its P where it may not change threads, can
//! only go on where it is. So not the goroutine but its M is queued, and the holder of a P that
//! takes the entry gives the P to that M.
//!
//! | kind       | the M                                                          | served                    |
//! |------------|----------------------------------------------------------------|---------------------------|
//! | `Returned` | ran without a P (its thread was blocked, or it was detached), and makes a runtime call | before what waits in queues, [`IN_A_ROW`] in a row |
//! | `Over`     | is suspended, or gives way, because its slice is over          | in turns with the queues (`global.rs`) |
//!
//! # Why those that return go first
//!
//! Each of them keeps a thread, and often a permit or a lock. A goroutine that blocks its thread
//! costs one hand-over of its P and, when it returns, one claim. If hand-overs serve claims first,
//! the number of Ms that are blocked or claim stays near the number of goroutines that block at the
//! same time. In turns with other goroutines of all three queues, each of which blocks another
//! thread, claims pile up without end: 1000 goroutines behind 8 permits take 1000 threads.
//!
//! Goroutines that block again without leaving their threads would keep a P from the queues, so
//! [`Ahead`] counts how often in a row the claims of one P went first, and the queues are next.
//!
//! # Invariants
//!
//! 1. An M is in each queue at most once; its entry may outlive its claim, and its next claim may
//!    use the old entry.
//! 2. The queues never grow beyond what was reserved: sysmon fills them, which may not allocate.

use std::collections::VecDeque;

use crate::shim::{AtomicU32, Mutex, Ordering};

/// Claims of Ms that return which go before the queues of a P, one after the other. More would let
/// the queues grow without end where each such M readies a goroutine.
pub(crate) const IN_A_ROW: u32 = 1;

/// Why an M has no P.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It ran without one, and makes a runtime call.
    Returned,
    /// Its slice is over.
    Over,
}

/// The claims of one kind.
#[derive(Debug)]
struct Queue {
    ms: VecDeque<usize>,
    is_queued: Vec<bool>,
}

impl Queue {
    fn new(threads_max: usize) -> Queue {
        Queue {
            ms: VecDeque::with_capacity(threads_max),
            is_queued: vec![false; threads_max],
        }
    }

    fn push(&mut self, m: usize) {
        if !std::mem::replace(&mut self.is_queued[m], true) {
            self.ms.push_back(m);
        }
    }

    fn pop(&mut self) -> Option<usize> {
        let m = self.ms.pop_front()?;
        self.is_queued[m] = false;
        Some(m)
    }
}

/// The queues of all claims of a runtime.
#[derive(Debug)]
pub(crate) struct Claims {
    /// By [`Claim`].
    queues: Mutex<[Queue; 2]>,
    lens: [AtomicU32; 2],
}

impl Claims {
    pub(crate) fn new(threads_max: usize) -> Claims {
        Claims {
            queues: Mutex::new([Queue::new(threads_max), Queue::new(threads_max)]),
            lens: [AtomicU32::new(0), AtomicU32::new(0)],
        }
    }

    /// Queues M `m`.
    pub(crate) fn push(&self, m: usize, why: Claim) {
        let mut queues = self.queues.lock().unwrap();
        let queue = &mut queues[why as usize];
        queue.push(m);
        self.lens[why as usize].store(queue.ms.len() as u32, Ordering::Relaxed);
    }

    /// The oldest claim of a kind; it may be stale.
    pub(crate) fn pop(&self, why: Claim) -> Option<usize> {
        if self.len_of(why) == 0 {
            return None;
        }
        let mut queues = self.queues.lock().unwrap();
        let queue = &mut queues[why as usize];
        let m = queue.pop()?;
        self.lens[why as usize].store(queue.ms.len() as u32, Ordering::Relaxed);
        Some(m)
    }

    /// How many claims of a kind wait.
    #[inline]
    pub(crate) fn len_of(&self, why: Claim) -> usize {
        self.lens[why as usize].load(Ordering::Relaxed) as usize
    }

    /// How many claims wait.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len_of(Claim::Returned) + self.len_of(Claim::Over)
    }
}

/// How often in a row claims went before the queues of a P. For the owner of the P.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    row: u32,
    /// Slices begun on the P when a claim was served last, or was refused.
    ticks: u64,
}

impl Ahead {
    /// Whether no slice has begun since but that of the M which got the P.
    fn goes_on(&self, ticks: u64) -> bool {
        ticks <= self.ticks + 1
    }

    /// Whether a claim may go before the queues; `ticks` slices have begun on the P.
    pub(crate) fn may_pass(&self, ticks: u64) -> bool {
        self.row < IN_A_ROW || !self.goes_on(ticks)
    }

    /// A claim is about to be served.
    pub(crate) fn pass(&mut self, ticks: u64) {
        self.row = if self.goes_on(ticks) { self.row + 1 } else { 1 };
        self.ticks = ticks;
    }

    /// The P goes to an M that takes something from the queues, whatever claims wait.
    pub(crate) fn refuse(&mut self, ticks: u64) {
        self.ticks = ticks;
    }

    /// A goroutine of a queue is about to run.
    pub(crate) fn end(&mut self) {
        self.row = 0;
    }
}

#[cfg(all(test, not(gopark_loom)))]
mod tests {
    use super::*;

    #[test]
    fn claims_of_a_kind_are_served_in_order_and_once() {
        let claims = Claims::new(4);
        for m in [2, 0, 2, 3] {
            claims.push(m, Claim::Returned);
        }
        claims.push(2, Claim::Over);
        assert_eq!((claims.len_of(Claim::Returned), claims.len()), (3, 4));
        let mut served = Vec::new();
        while let Some(m) = claims.pop(Claim::Returned) {
            served.push(m);
        }
        assert_eq!(served, [2, 0, 3]);
        assert_eq!(claims.pop(Claim::Over), Some(2));
        assert_eq!((claims.pop(Claim::Over), claims.len()), (None, 0));
    }

    #[test]
    fn claims_go_first_a_few_times_in_a_row_and_again_after_another_slice() {
        let mut ahead = Ahead::default();
        let mut ticks = 100;
        for _ in 0..3 {
            for _ in 0..IN_A_ROW {
                assert!(ahead.may_pass(ticks));
                ahead.pass(ticks);
                // The slice of the claim.
                ticks += 1;
            }
            assert!(!ahead.may_pass(ticks));
            ahead.refuse(ticks);
            // The M that takes up the P, before it has found anything.
            ticks += 1;
            assert!(!ahead.may_pass(ticks));
            // A goroutine of the local queue.
            ticks += 1;
        }
        (0..IN_A_ROW).for_each(|_| ahead.pass(ticks));
        assert!(!ahead.may_pass(ticks));
        ahead.end();
        assert!(ahead.may_pass(ticks));
    }
}
