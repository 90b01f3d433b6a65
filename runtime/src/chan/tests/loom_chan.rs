//! Models of channels: each message is received once, and nobody waits for nothing.
//!
//! The code under the checker is that of `core.rs`, `place.rs` and `state.rs`; parks are those of
//! `wait/tests/loom_parker.rs`. Where nobody may come, the checker reports a deadlock.

#![expect(
    unsafe_code,
    reason = "seeded bugs reach slots and lists as the code does"
)]

use std::sync::Arc;

use loom::thread;

use super::{Chan, Place, WHY};
use crate::chan::error::{RecvTimeoutError, SendTimeoutError};
use crate::chan::queue::Queue;
use crate::chan::state::Received;
use crate::chan::waiters::{Entry, Slot, Told};
use crate::sys::clock::NEVER;
use crate::wait::list::Node;
use crate::wait::lock::Guard;
use crate::wait::parker::{self, Ended, Lists, SOON};

type Ints = Chan<u32>;
type Recv = fn(&Ints) -> u32;
type Send = fn(&Ints, u32);

fn chan(cap: usize) -> Arc<Ints> {
    Arc::new(Chan::new(Queue::ring(cap), Some(cap)))
}

fn unbounded() -> Arc<Ints> {
    Arc::new(Chan::new(Queue::blocks(), None))
}

fn on_thread<T: 'static>(chan: &Arc<Ints>, f: impl FnOnce(&Ints) -> T + 'static) -> Handle<T> {
    let chan = Arc::clone(chan);
    thread::spawn(move || f(&chan))
}

type Handle<T> = thread::JoinHandle<T>;

fn send(chan: &Ints, value: u32) {
    chan.send(value, Some(NEVER)).unwrap();
}

fn recv(chan: &Ints) -> u32 {
    chan.recv(Some(NEVER)).unwrap()
}

/// A receive that releases the lock between its look and its park, and looks again with `look`.
fn recv_in_two_steps(chan: &Ints, look: fn(&super::State<u32>) -> bool) -> u32 {
    loop {
        if let Ok(value) = chan.recv(None) {
            return value;
        }
        let slot = Slot::new(None);
        let node = Node::new(Entry::with_slot(&slot));
        let mut place = Place {
            chan,
            node: &node,
            side: |state| &mut state.receivers,
            release: |_, _| {},
            is_left: false,
        };
        if place.park(None, NEVER, look) == Some(Told::Served) {
            return slot.into_inner().unwrap();
        }
    }
}

fn recv_looking_again(chan: &Ints) -> u32 {
    recv_in_two_steps(chan, |state| !state.can_recv())
}

fn recv_without_a_second_look(chan: &Ints) -> u32 {
    recv_in_two_steps(chan, |_| true)
}

/// A send that wakes a receiver before it fills his slot.
fn send_telling_first(chan: &Ints, value: u32) {
    let mut state = chan.lock();
    let Some(receiver) = state.receivers.claim() else {
        drop(state);
        return send(chan, value);
    };
    // SAFETY: none, that is the bug; the receiver panics when it finds nothing.
    let slot = unsafe { receiver.slot::<u32>() }.unwrap();
    let woken = receiver.tell(Told::Served);
    // SAFETY: as above.
    unsafe { slot.put(value) };
    drop(state);
    woken.go();
}

fn one_message(cap: usize, send: Send, recv: Recv) {
    loom::model(move || {
        let chan = chan(cap);
        let receiver = on_thread(&chan, recv);
        send(&chan, 5);
        assert_eq!(receiver.join().unwrap(), 5);
        assert_eq!(chan.recv(None), Err(RecvTimeoutError::Timeout));
    });
}

#[test]
fn loom_rendezvous_hands_a_message_over() {
    one_message(0, send, recv);
    one_message(0, send, recv_looking_again);
}

#[test]
fn loom_bounded_keeps_a_message() {
    one_message(1, send, recv);
    one_message(1, send, recv_looking_again);
}

#[test]
#[should_panic]
fn loom_seeded_bug_rendezvous_without_a_second_look_is_found() {
    one_message(0, send, recv_without_a_second_look);
}

#[test]
#[should_panic]
fn loom_seeded_bug_bounded_without_a_second_look_is_found() {
    one_message(1, send, recv_without_a_second_look);
}

#[test]
#[should_panic]
fn loom_seeded_bug_telling_before_giving_is_found() {
    one_message(0, send_telling_first, recv);
}

/// Goal: with both sides waiting in turn, messages come in order.
fn in_order(make: fn() -> Arc<Ints>) {
    loom::model(move || {
        let chan = make();
        let receiver = on_thread(&chan, |chan| [recv(chan), recv(chan), recv(chan)]);
        (0..3).for_each(|n| send(&chan, n));
        assert_eq!(receiver.join().unwrap(), [0, 1, 2]);
    });
}

#[test]
fn loom_messages_come_in_order() {
    in_order(|| chan(0));
    in_order(|| chan(1));
    in_order(unbounded);
}

/// Goal: of several on one side each is served.
fn several(cap: usize) {
    loom::model(move || {
        let chan = chan(cap);
        let senders = [1, 2].map(|n| on_thread(&chan, move |chan| send(chan, n)));
        let mut got = [recv(&chan), recv(&chan)];
        got.sort_unstable();
        assert_eq!(got, [1, 2]);
        senders
            .into_iter()
            .for_each(|sender| sender.join().unwrap());
    });
    loom::model(move || {
        let chan = chan(cap);
        let receivers = [0, 1].map(|_| on_thread(&chan, recv));
        (1..3).for_each(|n| send(&chan, n));
        let mut got = receivers.map(|receiver| receiver.join().unwrap());
        got.sort_unstable();
        assert_eq!(got, [1, 2]);
    });
}

#[test]
fn loom_several_are_served() {
    several(0);
    several(1);
}

fn close(chan: &Ints) {
    chan.close();
}

/// A close that tells those who wait before it says so to those who come.
fn close_telling_first(chan: &Ints) {
    chan.tell_closed(|state| &mut state.senders);
    chan.tell_closed(|state| &mut state.receivers);
    chan.lock().close();
}

/// Goal: an operation that meets a close completes with a partner, or fails; it does not wait.
fn closing(cap: usize, close: fn(&Ints)) {
    loom::model(move || {
        let chan = chan(cap);
        let receiver = on_thread(&chan, |chan| chan.recv(Some(NEVER)));
        close(&chan);
        assert_eq!(
            receiver.join().unwrap(),
            Err(RecvTimeoutError::Disconnected)
        );
    });
    loom::model(move || {
        let chan = chan(cap);
        let sent = on_thread(&chan, |chan| chan.send(5, Some(NEVER)));
        let received = on_thread(&chan, |chan| chan.recv(Some(NEVER)));
        close(&chan);
        match (sent.join().unwrap(), received.join().unwrap()) {
            (Ok(()), Ok(5)) => {}
            (Err(SendTimeoutError::Disconnected(5)), Err(RecvTimeoutError::Disconnected)) => {}
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn loom_close_against_both() {
    closing(0, close);
    closing(1, close);
}

#[test]
#[should_panic]
fn loom_seeded_bug_closing_after_telling_is_found() {
    closing(0, close_telling_first);
}

/// A receive that asks what it was told before it takes its node out under the lock.
fn recv_asking_too_early(chan: &Ints) -> Option<u32> {
    let slot = Slot::new(None);
    let node = Node::new(Entry::with_slot(&slot));
    let _ = parker::park(Lists::One, WHY, SOON, |waiter| {
        let mut state = chan.lock();
        // SAFETY: it is taken out below.
        unsafe { state.receivers.push(&node, waiter) };
        true
    });
    let told = node.entry.told();
    let mut state = chan.lock();
    // SAFETY: in this list, or in none.
    unsafe { state.receivers.remove(&node) };
    drop(state);
    slot.into_inner().filter(|_| told == Told::Served)
}

fn recv_soon(chan: &Ints) -> Option<u32> {
    chan.recv(Some(SOON)).ok()
}

/// Goal: a wait that expires and is served at once was served, or the message is for another.
fn expiring(recv_soon: fn(&Ints) -> Option<u32>) {
    loom::model(move || {
        let chan = chan(0);
        let sender = on_thread(&chan, |chan| send(chan, 5));
        let got = recv_soon(&chan).unwrap_or_else(|| recv(&chan));
        assert_eq!(got, 5);
        sender.join().unwrap();
    });
}

#[test]
fn loom_deadline_against_hand_over() {
    expiring(recv_soon);
}

#[test]
#[should_panic]
fn loom_seeded_bug_asking_before_leaving_is_found() {
    expiring(recv_asking_too_early);
}

/// Goal: both sides expire; they agree whether the message was handed over.
#[test]
fn loom_deadlines_of_both_sides() {
    for cap in [0, 1] {
        loom::model(move || {
            let chan = chan(cap);
            if cap == 1 {
                send(&chan, 4);
            }
            let sent = on_thread(&chan, |chan| chan.send(5, Some(SOON)));
            let received = recv_soon(&chan);
            let left: Vec<_> = [sent.join().unwrap().err().map(|error| error.into_inner())]
                .into_iter()
                .chain([received])
                .chain([chan.recv(None).ok()])
                .flatten()
                .filter(|value| *value == 5)
                .collect();
            assert_eq!(
                left,
                [5],
                "it is with the sender, the receiver, or in the channel"
            );
        });
    }
}

/// A receive that unwinds when it is asked to, as a goroutine does.
fn recv_or_unwind(chan: &Ints, wait: Wait) -> Option<u32> {
    loop {
        let state = {
            let mut state = chan.lock();
            if let Received::Value(value, woken) = state.recv() {
                chan.release(state, woken);
                return Some(value);
            }
            state
        };
        let slot = Slot::new(None);
        let told = wait(chan, state, &slot);
        if told == Some(Told::Served) {
            return slot.into_inner();
        }
        // Unwound, or its time is over.
        if parker::has_unwound() || told == Some(Told::Nothing) {
            return None;
        }
    }
}

type Wait = for<'a> fn(&'a Ints, Guard<'a, super::State<u32>>, &Slot<u32>) -> Option<Told>;

fn wait(chan: &Ints, state: Guard<'_, super::State<u32>>, slot: &Slot<u32>) -> Option<Told> {
    chan.recv_wait(state, slot, NEVER)
}

/// A wait with a deadline: it is claimed by its ticket.
fn wait_with_a_ticket(
    chan: &Ints,
    state: Guard<'_, super::State<u32>>,
    slot: &Slot<u32>,
) -> Option<Told> {
    chan.recv_wait(state, slot, SOON)
}

/// A wait that follows the request without a look at what it was told.
fn wait_that_unwinds_at_once(
    chan: &Ints,
    state: Guard<'_, super::State<u32>>,
    slot: &Slot<u32>,
) -> Option<Told> {
    let node = Node::new(Entry::with_slot(slot));
    let mut held = Some(state);
    let ended = parker::park(Lists::One, WHY, NEVER, |waiter| {
        let mut state = held.take().unwrap();
        // SAFETY: it is taken out below.
        unsafe { state.receivers.push(&node, waiter) };
        true
    });
    if ended == Ended::Interrupted {
        parker::heed();
    }
    let mut state = chan.lock();
    // SAFETY: in this list, or in none.
    unsafe { state.receivers.remove(&node) };
    (!parker::has_unwound()).then(|| node.entry.told())
}

/// Goal: a message whose send has returned is received, by the receive that was cancelled while it
/// waited, or by the next.
fn cancel_against_hand_over(wait: Wait) {
    loom::model(move || {
        let chan = chan(0);
        let sender = on_thread(&chan, |chan| send(chan, 5));
        let me = parker::current();
        let canceller = thread::spawn(move || parker::cancel(me));
        let got = recv_or_unwind(&chan, wait).unwrap_or_else(|| recv(&chan));
        assert_eq!(got, 5);
        sender.join().unwrap();
        canceller.join().unwrap();
    });
}

#[test]
fn loom_cancel_against_hand_over() {
    cancel_against_hand_over(wait);
    cancel_against_hand_over(wait_with_a_ticket);
}

#[test]
#[should_panic]
fn loom_seeded_bug_unwinding_at_once_is_found() {
    cancel_against_hand_over(wait_that_unwinds_at_once);
}
