//! The waiters of one direction, in the order in which they came.
//!
//! Nearly always there is one at most: it is kept inline, and waiting allocates nothing. Those
//! behind it are in a queue whose memory is kept from one crowd to the next.
//!
//! # Invariant
//!
//! 1. If `first` is empty, so is `more`.

use std::collections::VecDeque;

#[derive(Debug)]
pub(crate) struct Waiters<W> {
    first: Option<W>,
    more: VecDeque<W>,
}

impl<W> Waiters<W> {
    pub(crate) const fn new() -> Waiters<W> {
        Waiters {
            first: None,
            more: VecDeque::new(),
        }
    }

    /// Adds one, behind all others.
    pub(crate) fn push(&mut self, waiter: W) {
        if self.first.is_none() {
            self.first = Some(waiter);
        } else {
            self.more.push_back(waiter);
        }
        debug_assert!(self.first.is_some(), "invariant 1");
    }

    /// Takes the first that matches out.
    pub(crate) fn remove(&mut self, mut matches: impl FnMut(&W) -> bool) -> Option<W> {
        if matches(self.first.as_ref()?) {
            let next = self.more.pop_front();
            return std::mem::replace(&mut self.first, next);
        }
        let at = self.more.iter().position(matches)?;
        self.more.remove(at)
    }

    /// Takes all out.
    pub(crate) fn take(&mut self) -> Waiters<W> {
        std::mem::replace(self, Waiters::new())
    }

    /// Empties what was taken, in order.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = W> {
        self.first.take().into_iter().chain(self.more.drain(..))
    }

    /// Whether there is memory for a crowd, worth giving back by [`reuse`](Waiters::reuse).
    pub(crate) fn has_room(&self) -> bool {
        self.more.capacity() > 0
    }

    /// Keeps the memory of `drained`, which is empty.
    pub(crate) fn reuse(&mut self, drained: Waiters<W>) {
        debug_assert!(drained.first.is_none() && drained.more.is_empty());
        if self.more.is_empty() && self.more.capacity() < drained.more.capacity() {
            self.more = drained.more;
        }
    }
}

#[cfg(all(test, not(gopark_loom)))]
mod tests {
    use super::*;

    fn filled(count: u32) -> Waiters<u32> {
        let mut waiters = Waiters::new();
        (0..count).for_each(|waiter| waiters.push(waiter));
        waiters
    }

    #[test]
    fn they_leave_in_the_order_in_which_they_came() {
        for count in 0..5 {
            let mut taken = filled(count).take();
            assert!(taken.drain().eq(0..count));
        }
    }

    #[test]
    fn any_of_them_can_be_removed_and_the_order_stays() {
        for gone in 0..4 {
            let mut waiters = filled(4);
            assert_eq!(waiters.remove(|&waiter| waiter == gone), Some(gone));
            assert_eq!(waiters.remove(|&waiter| waiter == gone), None);
            assert!(waiters.drain().eq((0..4).filter(|&waiter| waiter != gone)));
        }
    }

    #[test]
    fn one_waiter_allocates_nothing_and_a_crowd_leaves_its_memory() {
        let mut waiters = filled(1);
        assert!(!waiters.has_room());
        waiters.push(1);
        let mut taken = waiters.take();
        assert!(!waiters.has_room());
        assert_eq!(taken.drain().count(), 2);
        waiters.reuse(taken);
        assert!(waiters.has_room());
    }
}
