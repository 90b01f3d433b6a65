//! What a channel decides for selects: operations in two steps.
//!
//! See `state.rs` for what is counted between them.
//!
//! A select whose wait has begun may be claimed by others at any moment. It claims itself before it
//! claims a partner: were it the other way round, it could have a partner and lose its own wait to
//! somebody else, with two operations to complete. If the partner is gone after that, the select
//! begins again: a wait that is claimed for nothing harms nobody.

#![expect(unsafe_code, reason = "reaches slots of partners by their type")]

use super::state::{Sent, State, give, value_of};
use super::waiters::{Slot, Told, Waiters};
use crate::wait::parker::{Waiter, Woken};

/// What became of the reservation of an operation of a select.
#[must_use]
pub(super) enum Reserved {
    Ready(Woken),
    Closed,
    /// The select's wait has been claimed by itself, but the partner was gone.
    Missed,
    NotReady,
}

impl<T> State<T> {
    /// Reserves a send for a select. `me` is its wait, if that has begun: then it is claimed first.
    pub(super) fn reserve_send(&mut self, me: Option<&Waiter>) -> Reserved {
        if self.is_closed {
            return claim_self(me, Reserved::Closed);
        }
        let has_partner = has_other(&self.receivers, me);
        if !has_partner && !self.has_room() {
            return Reserved::NotReady;
        }
        let Some(own) = wake_self(me) else {
            return Reserved::Missed;
        };
        own_wake(own);
        let receiver = match me {
            Some(me) => self.receivers.claim_other(me),
            None => self.receivers.claim(),
        };
        if let Some(receiver) = receiver {
            self.owed += 1;
            self.claims += 1;
            return Reserved::Ready(receiver.tell(Told::Reserved));
        }
        if self.has_room() {
            self.owed += 1;
            return Reserved::Ready(Woken::Nothing);
        }
        Reserved::Missed
    }

    /// Reserves a receive for a select, as [`State::reserve_send`].
    pub(super) fn reserve_recv(&mut self, me: Option<&Waiter>) -> Reserved {
        let has_partner = has_other(&self.senders, me);
        if !self.has_message() && !has_partner {
            return if self.is_closed {
                claim_self(me, Reserved::Closed)
            } else {
                Reserved::NotReady
            };
        }
        let Some(own) = wake_self(me) else {
            return Reserved::Missed;
        };
        own_wake(own);
        if self.has_message() {
            self.claims += 1;
            return Reserved::Ready(Woken::Nothing);
        }
        let sender = match me {
            Some(me) => self.senders.claim_other(me),
            None => self.senders.claim(),
        };
        let Some(sender) = sender else {
            return if self.is_closed {
                Reserved::Closed
            } else {
                Reserved::Missed
            };
        };
        self.claims += 1;
        // SAFETY: he waits at this channel.
        match unsafe { sender.slot::<T>() } {
            Some(slot) => {
                self.queue.push(value_of(slot));
                Reserved::Ready(sender.tell(Told::Served))
            }
            None => {
                self.owed += 1;
                Reserved::Ready(sender.tell(Told::Reserved))
            }
        }
    }

    /// Completes a reserved send.
    pub(super) fn complete_send(&mut self, slot: &Slot<T>) -> Sent {
        if self.queue.needs_block() {
            return Sent::NeedsBlock;
        }
        self.owed -= 1;
        if let Some(creditor) = self.creditors.claim() {
            self.claims -= 1;
            // SAFETY: he waits at this channel.
            let place = unsafe { creditor.slot::<T>() }.expect("a creditor has a slot");
            // SAFETY: under the lock.
            unsafe { place.put(value_of(slot)) };
            return Sent::Done(creditor.tell(Told::Served));
        }
        if self.queue.len() < self.claims {
            self.queue.push(value_of(slot));
            return Sent::Done(Woken::Nothing);
        }
        if self.is_closed {
            return Sent::Closed;
        }
        if let Some(receiver) = self.receivers.claim() {
            let woken = give(receiver, slot, &mut self.queue, &mut self.claims);
            return Sent::Done(woken);
        }
        if self.cap > 0 {
            self.queue.push(value_of(slot));
        }
        // Otherwise the receiver unwound: it has received the message, which stays in the slot.
        Sent::Done(Woken::Nothing)
    }

    /// A reserved send that will not be completed.
    pub(super) fn release_send(&mut self) -> Woken {
        self.owed -= 1;
        if self.owed + self.queue.len() >= self.claims {
            return self.admit();
        }
        match self.creditors.claim() {
            Some(creditor) => {
                self.claims -= 1;
                creditor.tell(Told::Released)
            }
            None => Woken::Nothing,
        }
    }
}

fn has_other(waiters: &Waiters, me: Option<&Waiter>) -> bool {
    match me {
        Some(me) => waiters.has_other(me),
        None => !waiters.is_empty(),
    }
}

/// Claims the wait of the select itself, if it has begun: `None` if somebody was faster.
fn wake_self(me: Option<&Waiter>) -> Option<Woken> {
    match me {
        Some(me) => me.wake(),
        None => Some(Woken::Nothing),
    }
}

fn claim_self(me: Option<&Waiter>, then: Reserved) -> Reserved {
    match wake_self(me) {
        Some(own) => {
            own_wake(own);
            then
        }
        None => Reserved::Missed,
    }
}

/// Who wakes himself before he parks is not at rest: there is nothing to put on a queue.
fn own_wake(own: Woken) {
    debug_assert!(!matches!(own, Woken::Goroutine(_)), "it has not parked yet");
}
