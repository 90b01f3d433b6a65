//! What a channel is, under its lock; decisions only.
//!
//! A plain operation is one step: it finds a message, room or a partner, or it waits with a slot
//! from which the value is taken, or to which it is given. An operation of a select has two,
//! because a value to send is not known before its arm is selected, and the type of a message to
//! receive not before it is fetched: it is *reserved*, under the lock, and *completed* later. What
//! is between the two is counted:
//!
//! | count    | of                                        | each of them                        |
//! |----------|-------------------------------------------|-------------------------------------|
//! | `claims` | receives that are reserved                | gets one message from the queue     |
//! | `owed`   | sends that are reserved                   | puts one message there: it has room |
//! | `creditors` | those of `claims` that have come and found no message yet | waits for one that is owed |
//!
//! A channel without a buffer has no room, but it has a queue for messages that are under way to
//! reserved receives: a sender that meets a waiting select leaves its message there and goes on.
//! When a select that sends meets a receiver, the receiver becomes a claim on what is owed.
//!
//! # Invariants
//!
//! 1. A receiver waits only while all messages are claimed, and no sender waits; a sender only
//!    while there is no room, and no receiver waits. (Nodes of one select that does both do not
//!    count for each other; those of ended waits count for nobody.)
//! 2. `creditors <= claims`, and `claims <= queue.len() + owed`, but for claims whose debtor has
//!    given up: they begin again.
//! 3. Without a buffer `queue.len() <= claims`: no message waits for nobody.

#![expect(unsafe_code, reason = "reaches slots of partners by their type")]

use crate::wait::parker::Woken;

use super::queue::Queue;
use super::waiters::{Partner, Slot, Told, Waiters};

/// What became of a send.
#[must_use]
pub(super) enum Sent {
    Done(Woken),
    /// There is no room.
    Full,
    Closed,
    /// The queue needs a block first.
    NeedsBlock,
}

/// What became of a receive.
#[must_use]
pub(super) enum Received<T> {
    Value(T, Woken),
    /// There is no message.
    Empty,
    Closed,
    /// A message is reserved: it must be fetched.
    Reserved(Woken),
}

/// What a claim finds.
#[must_use]
pub(super) enum Fetched<T> {
    Value(T, Woken),
    /// It is still owed.
    Owed,
    /// It will not come.
    Released,
}

pub(super) struct State<T> {
    pub(super) queue: Queue<T>,
    pub(super) cap: usize,
    pub(super) claims: usize,
    pub(super) owed: usize,
    pub(super) senders: Waiters,
    pub(super) receivers: Waiters,
    pub(super) creditors: Waiters,
    /// Those who wait until one could send or receive, and do neither: see `watch.rs`.
    pub(super) watchers: Waiters,
    pub(super) is_closed: bool,
    /// How often an operation may have made another ready.
    pub(super) changes: u64,
}

impl<T> State<T> {
    pub(super) fn new(queue: Queue<T>, cap: usize) -> State<T> {
        State {
            queue,
            cap,
            claims: 0,
            owed: 0,
            senders: Waiters::new(),
            receivers: Waiters::new(),
            creditors: Waiters::new(),
            watchers: Waiters::new(),
            is_closed: false,
            changes: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        if self.cap == 0 { 0 } else { self.queue.len() }
    }

    /// Whether it was open until now.
    pub(super) fn close(&mut self) -> bool {
        !std::mem::replace(&mut self.is_closed, true)
    }

    /// The last receiver is gone: the messages that nobody will receive.
    pub(super) fn leave_receivers(&mut self) -> Queue<T> {
        self.is_closed = true;
        self.queue.take_all()
    }

    #[inline]
    pub(super) fn has_message(&self) -> bool {
        self.queue.len() > self.claims
    }

    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.queue.len() + self.owed < self.cap
    }

    /// Whether a send finds room and nobody who waits for it.
    #[inline(always)]
    pub(super) fn can_push(&self) -> bool {
        let is_awaited = !self.receivers.is_empty() || !self.watchers.is_empty();
        !self.is_closed && !is_awaited && self.has_room() && !self.queue.needs_block()
    }

    /// Whether a receive finds a message and nobody who waits for its room.
    #[inline(always)]
    pub(super) fn can_pop(&self) -> bool {
        self.has_message() && self.senders.is_empty() && self.watchers.is_empty()
    }

    /// Whether a send would not wait. (It may have to after all: some who wait are void.)
    pub(super) fn can_send(&self) -> bool {
        self.is_closed || self.has_room() || !self.receivers.is_empty()
    }

    /// Whether a receive would not wait, as [`State::can_send`].
    pub(super) fn can_recv(&self) -> bool {
        self.is_closed || self.has_message() || !self.senders.is_empty()
    }

    /// Whether a claim that has not waited yet has to.
    pub(super) fn is_owed(&self) -> bool {
        self.queue.len() == 0 && self.owed > self.creditors.len()
    }

    /// Sends what is in `slot`.
    #[inline(always)]
    pub(super) fn send(&mut self, slot: &Slot<T>) -> Sent {
        if self.is_closed {
            return Sent::Closed;
        }
        if self.queue.needs_block() {
            return Sent::NeedsBlock;
        }
        if !self.receivers.is_empty()
            && let Some(receiver) = self.receivers.claim()
        {
            let woken = give(receiver, slot, &mut self.queue, &mut self.claims);
            return Sent::Done(woken);
        }
        if !self.has_room() {
            return Sent::Full;
        }
        self.queue.push(value_of(slot));
        Sent::Done(Woken::Nothing)
    }

    /// Receives.
    #[inline(always)]
    pub(super) fn recv(&mut self) -> Received<T> {
        if self.has_message() {
            let value = self.queue.pop().expect("it is not empty");
            return Received::Value(value, self.admit());
        }
        if !self.senders.is_empty()
            && let Some(sender) = self.senders.claim()
        {
            // SAFETY: he waits at this channel.
            return match unsafe { sender.slot::<T>() } {
                Some(slot) => Received::Value(value_of(slot), sender.tell(Told::Served)),
                None => {
                    self.owed += 1;
                    self.claims += 1;
                    Received::Reserved(sender.tell(Told::Reserved))
                }
            };
        }
        if self.is_closed {
            Received::Closed
        } else {
            Received::Empty
        }
    }

    /// Lets the oldest sender in that waits, if there is room now.
    #[inline]
    pub(super) fn admit(&mut self) -> Woken {
        if self.senders.is_empty() || !self.has_room() {
            return Woken::Nothing;
        }
        let Some(sender) = self.senders.claim() else {
            return Woken::Nothing;
        };
        // SAFETY: he waits at this channel.
        match unsafe { sender.slot::<T>() } {
            Some(slot) => {
                self.queue.push(value_of(slot));
                sender.tell(Told::Served)
            }
            None => {
                self.owed += 1;
                sender.tell(Told::Reserved)
            }
        }
    }

    /// Completes a reserved receive, or tells why it must wait.
    pub(super) fn fetch(&mut self) -> Fetched<T> {
        if let Some(value) = self.queue.pop() {
            self.claims -= 1;
            return Fetched::Value(value, self.admit());
        }
        if self.owed > self.creditors.len() {
            return Fetched::Owed;
        }
        self.claims -= 1;
        Fetched::Released
    }

    /// A reserved receive that will not be completed: a message that is for nobody then.
    pub(super) fn release_recv(&mut self) -> (Option<T>, Woken) {
        self.claims -= 1;
        if !self.has_message() {
            return (None, Woken::Nothing);
        }
        if let Some(receiver) = self.receivers.claim() {
            // SAFETY: he waits at this channel.
            let Some(place) = (unsafe { receiver.slot::<T>() }) else {
                self.claims += 1;
                return (None, receiver.tell(Told::Reserved));
            };
            let value = self.queue.pop().expect("there is a message");
            // SAFETY: under the lock.
            unsafe { place.put(value) };
            return (None, receiver.tell(Told::Served));
        }
        let unwanted = if self.cap == 0 {
            self.queue.pop()
        } else {
            None
        };
        (unwanted, Woken::Nothing)
    }
}

/// The value in the slot of a sender.
#[inline]
pub(super) fn value_of<T>(slot: &Slot<T>) -> T {
    // SAFETY: under the lock, where all of this file runs.
    unsafe { slot.take() }.expect("a sender has a value")
}

/// Gives what is in `slot` to a receiver that waited: directly, or by way of the queue to a select.
#[inline(always)]
pub(super) fn give<T>(
    receiver: Partner<'_>,
    slot: &Slot<T>,
    queue: &mut Queue<T>,
    claims: &mut usize,
) -> Woken {
    let value = value_of(slot);
    // SAFETY: he waits at this channel.
    match unsafe { receiver.slot::<T>() } {
        Some(place) => {
            // SAFETY: under the lock.
            unsafe { place.put(value) };
            receiver.tell(Told::Served)
        }
        None => {
            queue.push(value);
            *claims += 1;
            receiver.tell(Told::Reserved)
        }
    }
}
