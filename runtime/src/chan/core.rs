//! A channel: its lock, and how operations wait.
//!
//! An operation takes the lock and, most often, finds what it needs. Otherwise it parks with a
//! node in a list of the channel, without releasing the lock in between: see `place.rs`.
//!
//! Modelled in `tests/loom_chan.rs`, with seeded bugs: `without_a_second_look`,
//! `telling_before_giving`, `closing_after_telling`, `asking_before_leaving`, `unwinding_at_once`.

use super::blocks::Block;
use super::error::{RecvTimeoutError, SendTimeoutError};
use super::order::Seed;
use super::place::{Place, Side};
use super::queue::Queue;
use super::state::{Fetched, Received, Sent, State};
use super::waiters::{Entry, Slot, Told};
use crate::shim::{AtomicUsize, Ordering};
use crate::sys::clock::NEVER;
use crate::task::reason::Wait;
use crate::wait::list::Node;
use crate::wait::lock::{Guard, Lock};
use crate::wait::parker::{self, Woken};

/// What reports say of one who waits at a channel.
pub(super) const WHY: Wait = Wait::Channel;

pub(super) struct Chan<T> {
    state: Lock<State<T>>,
    /// `None` without a bound.
    cap: Option<usize>,
    senders: AtomicUsize,
    receivers: AtomicUsize,
    /// Of the random order of selects.
    pub(super) seed: Seed,
}

impl<T> Chan<T> {
    /// With one sender and one receiver.
    pub(super) fn new(queue: Queue<T>, cap: Option<usize>) -> Chan<T> {
        Chan {
            state: Lock::new(State::new(queue, cap.unwrap_or(usize::MAX))),
            cap,
            senders: AtomicUsize::new(1),
            receivers: AtomicUsize::new(1),
            seed: Seed::new(),
        }
    }

    /// For an operation.
    #[inline(always)]
    pub(super) fn lock(&self) -> Guard<'_, State<T>> {
        let mut state = self.state.lock();
        state.changes = state.changes.wrapping_add(1);
        state
    }

    /// For a look: nobody is made ready, or `changes` is counted.
    #[inline(always)]
    pub(super) fn look(&self) -> Guard<'_, State<T>> {
        self.state.lock()
    }

    pub(super) fn capacity(&self) -> Option<usize> {
        self.cap
    }

    pub(super) fn len(&self) -> usize {
        self.look().len()
    }

    /// Sends, or waits until `until`; `None` does not wait.
    #[inline]
    pub(super) fn send(&self, value: T, until: Option<u64>) -> Result<(), SendTimeoutError<T>> {
        let mut state = self.lock();
        if state.can_push() {
            state.queue.push(value);
            return Ok(());
        }
        self.send_slow(state, value, until)
    }

    #[inline(never)]
    fn send_slow<'a>(
        &'a self,
        mut state: Guard<'a, State<T>>,
        value: T,
        until: Option<u64>,
    ) -> Result<(), SendTimeoutError<T>> {
        let slot = Slot::new(Some(value));
        loop {
            match state.send(&slot) {
                Sent::Done(woken) => {
                    self.release(state, woken);
                    return Ok(());
                }
                Sent::Full => {
                    let Some(until) = until else {
                        return Err(SendTimeoutError::Timeout(left_in(state, slot)));
                    };
                    match self.send_wait(state, &slot, until) {
                        Some(Told::Served) => return Ok(()),
                        Some(Told::Nothing) => {
                            return Err(SendTimeoutError::Timeout(value_in(slot)));
                        }
                        // Closed; or not waited: what there was to see is seen again.
                        _ => {}
                    }
                }
                Sent::Closed => return Err(SendTimeoutError::Disconnected(left_in(state, slot))),
                Sent::NeedsBlock => {
                    drop(state);
                    self.bring_block();
                }
            }
            state = self.lock();
        }
    }

    #[inline(always)]
    fn send_wait(&self, state: Guard<'_, State<T>>, slot: &Slot<T>, until: u64) -> Option<Told> {
        let node = Node::new(Entry::with_slot(slot));
        let mut place = Place {
            chan: self,
            node: &node,
            side: |state| &mut state.senders,
            release: |_, _| {},
            is_left: false,
        };
        let held = state.across_park();
        // Looking would be sending: it is left to the caller.
        place.park(held, until, |state| !state.can_send())
    }

    /// Receives, or waits until `until`; `None` does not wait.
    #[inline]
    pub(super) fn recv(&self, until: Option<u64>) -> Result<T, RecvTimeoutError> {
        let mut state = self.lock();
        if state.can_pop()
            && let Some(value) = state.queue.pop()
        {
            free(state);
            return Ok(value);
        }
        self.recv_slow(state, until)
    }

    #[inline(never)]
    fn recv_slow<'a>(
        &'a self,
        mut state: Guard<'a, State<T>>,
        until: Option<u64>,
    ) -> Result<T, RecvTimeoutError> {
        loop {
            match state.recv() {
                Received::Value(value, woken) => {
                    self.release(state, woken);
                    return Ok(value);
                }
                Received::Empty => {
                    let Some(until) = until else {
                        return Err(RecvTimeoutError::Timeout);
                    };
                    let slot = Slot::new(None);
                    match self.recv_wait(state, &slot, until) {
                        Some(Told::Served) => return Ok(value_in(slot)),
                        Some(Told::Nothing) => return Err(RecvTimeoutError::Timeout),
                        Some(Told::Reserved) => {
                            if let Some(value) = self.fetch() {
                                return Ok(value);
                            }
                        }
                        // Closed; or not waited: what there was to see is seen again.
                        _ => {}
                    }
                }
                Received::Closed => return Err(RecvTimeoutError::Disconnected),
                Received::Reserved(woken) => {
                    drop(state);
                    woken.go();
                    if let Some(value) = self.fetch() {
                        return Ok(value);
                    }
                }
            }
            state = self.lock();
        }
    }

    #[inline(always)]
    fn recv_wait(&self, state: Guard<'_, State<T>>, slot: &Slot<T>, until: u64) -> Option<Told> {
        let node = Node::new(Entry::with_slot(slot));
        let mut place = Place {
            chan: self,
            node: &node,
            side: |state| &mut state.receivers,
            release: |chan, told| {
                if told == Told::Reserved {
                    chan.release_recv();
                }
            },
            is_left: false,
        };
        let held = state.across_park();
        place.park(held, until, |state| !state.can_recv())
    }

    /// Fetches the message that is reserved for the caller; `None` if it will not come.
    pub(super) fn fetch(&self) -> Option<T> {
        loop {
            let mut state = self.lock();
            match state.fetch() {
                Fetched::Value(value, woken) => {
                    self.release(state, woken);
                    return Some(value);
                }
                Fetched::Released => {
                    return None;
                }
                Fetched::Owed => {}
            }
            let slot = Slot::new(None);
            let node = Node::new(Entry::with_slot(&slot));
            let mut place = Place {
                chan: self,
                node: &node,
                side: |state| &mut state.creditors,
                release: |chan, told| {
                    if told == Told::Nothing {
                        chan.release_recv();
                    }
                },
                is_left: false,
            };
            // It has been told that the message comes: a request to unwind waits for that, because
            // the sender's operation is complete with it.
            let told = parker::undisturbed(|| {
                let held = state.across_park();
                place.park(held, NEVER, |state| state.is_owed())
            });
            match told {
                Some(Told::Served) => {
                    return Some(value_in(slot));
                }
                Some(Told::Released) => {
                    return None;
                }
                _ => {}
            }
        }
    }

    /// Gives up a message that is reserved for the caller.
    pub(super) fn release_recv(&self) {
        let mut state = self.lock();
        let (unwanted, woken) = state.release_recv();
        self.release(state, woken);
        drop(unwanted);
    }

    /// Completes the send of a select.
    pub(super) fn complete_send(&self, value: T) -> Result<(), T> {
        let slot = Slot::new(Some(value));
        loop {
            let mut state = self.lock();
            match state.complete_send(&slot) {
                Sent::Done(woken) => {
                    self.release(state, woken);
                    return Ok(());
                }
                Sent::Closed | Sent::Full => return Err(left_in(state, slot)),
                Sent::NeedsBlock => {
                    drop(state);
                    self.bring_block();
                }
            }
        }
    }

    #[cold]
    fn bring_block(&self) {
        let block = Block::new();
        let mut state = self.lock();
        let surplus = state.queue.offer(block);
        drop(state);
        drop(surplus);
    }

    /// No more messages: true if this is new.
    pub(super) fn close(&self) -> bool {
        let is_new = self.lock().close();
        if is_new {
            self.tell_closed(|state| &mut state.senders);
            self.tell_closed(|state| &mut state.receivers);
            self.tell_watchers();
        }
        is_new
    }

    /// Tells all who wait; no more come, the channel is closed.
    fn tell_closed(&self, side: Side<T>) {
        loop {
            let mut state = self.lock();
            let Some(partner) = side(&mut state).claim() else {
                return;
            };
            let woken = partner.tell(Told::Closed);
            drop(state);
            woken.go();
        }
    }

    /// After an operation: unlocks, frees what the queue no longer needs, wakes.
    #[inline]
    pub(super) fn release(&self, mut state: Guard<'_, State<T>>, woken: Woken) {
        let old = state.queue.take_old();
        let is_watched = !state.watchers.is_empty();
        drop(state);
        woken.go();
        drop(old);
        if is_watched {
            self.tell_watchers();
        }
    }

    pub(super) fn add_sender(&self) {
        add(&self.senders);
    }

    pub(super) fn add_receiver(&self) {
        add(&self.receivers);
    }

    pub(super) fn remove_sender(&self) {
        // AcqRel: what the other senders did comes before the end that is seen.
        if self.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.close();
        }
    }

    pub(super) fn remove_receiver(&self) {
        // AcqRel: as in `remove_sender`.
        if self.receivers.fetch_sub(1, Ordering::AcqRel) == 1 {
            let unwanted = self.lock().leave_receivers();
            self.tell_closed(|state| &mut state.senders);
            self.tell_watchers();
            drop(unwanted);
        }
    }
}

fn add(count: &AtomicUsize) {
    let before = count.fetch_add(1, Ordering::Relaxed);
    assert!(
        before <= isize::MAX as usize,
        "too many handles of a channel"
    );
}

/// After a receive that nobody waits for: unlocks, and frees what the queue no longer needs.
#[inline(always)]
pub(super) fn free<T>(mut state: Guard<'_, State<T>>) {
    let old = state.queue.take_old();
    drop(state);
    drop(old);
}

/// The value of a send that failed, after the lock.
fn left_in<T>(state: Guard<'_, State<T>>, slot: Slot<T>) -> T {
    drop(state);
    value_in(slot)
}

#[inline]
fn value_in<T>(slot: Slot<T>) -> T {
    slot.into_inner().expect("the value is there")
}

#[cfg(all(test, gopark_loom))]
#[path = "tests/loom_chan.rs"]
mod loom_chan;
