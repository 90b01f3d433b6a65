//! Those who wait until an operation would not wait, and leave it to be done later.
//!
//! They are nobody's partners: a message is neither taken from them nor given to them. So they
//! stand in a list of their own, which both sides share, and whoever may have made something ready
//! tells them all, once the lock is released: they take the lock and look. One that finds nothing
//! ready comes back into the list.
//!
//! What makes others ready: a message or room (a completed send or receive, a reservation that is
//! given up), a node of a plain wait or of a select, the end of the channel. Each of these ends
//! with [`Chan::tell_watchers`], if there are any.

#![expect(unsafe_code, reason = "puts nodes on the watcher's stack into a list")]

use super::core::Chan;
use super::place::Side;
use super::reserve::Reserved;
use super::select::{Aim, Token, Waiting};
use super::state::State;
use super::waiters::Told;
use crate::wait::parker::Waiter;

/// What differs between the two sides of a channel, for a select.
pub(super) struct Way<T> {
    /// How an operation is reserved.
    pub(super) reserve: fn(&mut State<T>, Option<&Waiter>) -> Reserved,
    /// Whether it would not wait.
    pub(super) is_ready: fn(&State<T>) -> bool,
    /// Where it waits.
    pub(super) side: Side<T>,
}

impl<T> Way<T> {
    pub(super) const SEND: Way<T> = Way {
        reserve: State::reserve_send,
        is_ready: |state| state.is_closed || state.has_room() || state.receivers.has_open(),
        side: |state| &mut state.senders,
    };

    pub(super) const RECEIVE: Way<T> = Way {
        reserve: State::reserve_recv,
        is_ready: |state| state.is_closed || state.has_message() || state.senders.has_open(),
        side: |state| &mut state.receivers,
    };

    /// The list for an operation that is to be completed, or watched.
    pub(super) fn list(&self, aim: Aim) -> Side<T> {
        match aim {
            Aim::Complete => self.side,
            Aim::Watch => |state| &mut state.watchers,
        }
    }
}

impl<T> Chan<T> {
    /// Step 1 of one who watches.
    pub(super) fn peek(&self, way: &Way<T>) -> Result<Token, u64> {
        let state = self.look();
        if (way.is_ready)(&state) {
            Ok(Token::Ready)
        } else {
            Err(state.changes)
        }
    }

    /// Step 2 of one who watches.
    pub(super) fn watch(&self, waiting: Waiting<'_>, way: &Way<T>) -> Result<(), Option<Token>> {
        let Waiting { place, waiter } = waiting;
        let mut state = self.look();
        if (way.is_ready)(&state) {
            // It has not parked yet: there is nothing to put on a queue.
            return Err(waiter.wake().map(|_| Token::Ready));
        }
        // SAFETY: the select does not return or unwind before it has taken the node out; the lock
        // is held.
        unsafe { state.watchers.push(place.node, *waiter) };
        Ok(())
    }

    /// Something may be ready. Not under the lock.
    #[cold]
    #[inline(never)]
    pub(super) fn tell_watchers(&self) {
        loop {
            let mut state = self.look();
            let Some(watcher) = state.watchers.claim() else {
                return;
            };
            let woken = watcher.tell(Told::Look);
            drop(state);
            woken.go();
        }
    }
}
