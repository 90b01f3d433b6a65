//! The place in a list of one who waits.
//!
//! What ends a wait:
//!
//! | end                                  | node              | what its owner does               |
//! |--------------------------------------|-------------------|-----------------------------------|
//! | served, or told that it is closed    | out of the list   | uses its slot                     |
//! | reserved: a select sends             | out of the list   | fetches the message               |
//! | the deadline                         | perhaps in it     | takes it out                      |
//! | a request to unwind (time limit, cancel, end of the runtime) | perhaps in it | takes it out; if it was told something meanwhile, the operation is over as if it had been woken, otherwise it unwinds |
//!
//! A goroutine that waits without a deadline was told everything before it was woken: it does not
//! take the lock again.

#![expect(unsafe_code, reason = "puts nodes on the caller's stack into lists")]

use super::core::{Chan, WHY};
use super::state::State;
use super::waiters::{Entry, Told, Waiters};
use crate::wait::list::Node;
use crate::wait::lock::Guard;
use crate::wait::parker::{self, Ended, Lists};

/// One of the lists of a channel.
pub(super) type Side<T> = fn(&mut State<T>) -> &mut Waiters;

/// The node of a wait, in a list or about to be; dropped, it is out.
pub(super) struct Place<'a, T> {
    pub(super) chan: &'a Chan<T>,
    pub(super) node: &'a Node<Entry>,
    pub(super) side: Side<T>,
    /// What else there is to do when the owner unwinds, and was told this.
    pub(super) release: fn(&Chan<T>, Told),
    pub(super) is_left: bool,
}

impl<T> Place<'_, T> {
    /// Parks with the node in the list. `held` is the lock, if it may be kept until then; otherwise
    /// `look` sees whether there is still a reason to.
    #[inline(always)]
    pub(super) fn park(
        &mut self,
        mut held: Option<Guard<'_, State<T>>>,
        until: u64,
        look: fn(&State<T>) -> bool,
    ) -> Option<Told> {
        let (chan, node, side) = (self.chan, self.node, self.side);
        node.entry.reset();
        let mut publish = |waiter| {
            let mut state = match held.take() {
                Some(state) => state,
                None => {
                    let state = chan.lock();
                    if !look(&state) {
                        return false;
                    }
                    state
                }
            };
            // SAFETY: the node is on the stack of the caller, who is in this function until it is
            // out of the list; the lock is held.
            unsafe { side(&mut state).push(node, waiter) };
            if !state.watchers.is_empty() {
                drop(state);
                chan.tell_watchers();
            }
            true
        };
        // By reference: what is moved into a park is copied several times.
        let ended = parker::park(Lists::One, WHY, until, &mut publish);
        if ended == Ended::NotBegun {
            self.is_left = true;
            return None;
        }
        self.leave(ended)
    }

    #[inline(always)]
    fn leave(&mut self, ended: Ended) -> Option<Told> {
        let entry = &self.node.entry;
        if ended != Ended::Woken || !entry.is_plain() || entry.told() == Told::Nothing {
            self.remove();
        }
        self.is_left = true;
        match self.node.entry.told() {
            Told::Nothing if ended == Ended::TimedOut => Some(Told::Nothing),
            Told::Nothing => {
                // Woken for nothing, or asked to unwind before anything was handed over.
                if ended == Ended::Interrupted {
                    parker::heed();
                }
                None
            }
            told => Some(told),
        }
    }

    #[inline(never)]
    fn remove(&self) {
        let mut state = self.chan.lock();
        // SAFETY: it is in this list, or in none.
        unsafe { (self.side)(&mut state).remove(self.node) };
    }
}

impl<T> Drop for Place<'_, T> {
    fn drop(&mut self) {
        if self.is_left {
            return;
        }
        self.remove();
        (self.release)(self.chan, self.node.entry.told());
    }
}
