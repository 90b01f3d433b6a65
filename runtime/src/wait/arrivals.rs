//! Numbers that arrive from anywhere, in order, for one who waits for them.

use std::collections::VecDeque;

use super::lock::Lock;
use super::parker::{self, Ended, Lists, Waiter};
use crate::sched::header::Wait;
use crate::sys::clock::NEVER;

/// See the top of this file.
#[derive(Debug)]
pub(crate) struct Arrivals(Lock<Synced>);

#[derive(Debug)]
struct Synced {
    queue: VecDeque<usize>,
    /// Only while it waits: it takes the lock before it leaves.
    waiter: Option<Waiter>,
}

impl Arrivals {
    pub(crate) fn new() -> Arrivals {
        Arrivals(Lock::new(Synced {
            queue: VecDeque::new(),
            waiter: None,
        }))
    }

    pub(crate) fn push(&self, number: usize) {
        let mut synced = self.0.lock();
        synced.queue.push_back(number);
        let woken = synced.waiter.take().and_then(|waiter| waiter.wake());
        drop(synced);
        if let Some(woken) = woken {
            woken.go();
        }
    }

    pub(crate) fn pop(&self) -> Option<usize> {
        self.0.lock().queue.pop_front()
    }

    /// The next number. One waits at a time; of a goroutine it unwinds as every park does.
    pub(crate) fn wait(&self) -> usize {
        struct Leaves<'a>(&'a Arrivals);
        impl Drop for Leaves<'_> {
            fn drop(&mut self) {
                self.0.0.lock().waiter = None;
            }
        }
        let mut ended = Ended::NotBegun;
        loop {
            if let Some(number) = self.pop() {
                return number;
            }
            if ended == Ended::Interrupted {
                parker::heed();
            }
            let leaves = Leaves(self);
            ended = parker::park(Lists::One, Wait::Join, NEVER, |waiter| {
                let mut synced = self.0.lock();
                let waits = synced.queue.is_empty();
                synced.waiter = waits.then_some(waiter);
                waits
            });
            drop(leaves);
        }
    }
}
