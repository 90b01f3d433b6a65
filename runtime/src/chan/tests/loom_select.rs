//! Models of selects: one operation is completed, with one partner.
//!
//! As in `loom_chan.rs`, the code under the checker is the channels' own. A select is
//! `select_from`: what `select!` is made of.

#![expect(
    unsafe_code,
    reason = "a seeded bug leaves its node in a list as the code does"
)]

use std::mem::ManuallyDrop;
use std::sync::Arc;

use loom::thread;

use super::{Aim, Arm, Case, EntryOf, Operation, Place, Side, Token, Waiting, wait};
use crate::chan::choose::{select, select_from};
use crate::chan::core::Chan;
use crate::chan::error::{RecvError, TryRecvError};
use crate::chan::operations::{Receiving, Sending};
use crate::chan::order::Order;
use crate::chan::queue::Queue;
use crate::chan::receiver::{Flavor, Receiver};
use crate::chan::sender::Sender;
use crate::chan::waiters::Told;
use crate::sys::clock::NEVER;
use crate::wait::parker::SOON;

/// Both ends of a channel that stays open: their counts are not what is modelled.
struct Ends {
    s: ManuallyDrop<Sender<u32>>,
    r: ManuallyDrop<Receiver<u32>>,
}

fn ends(cap: usize) -> Arc<Ends> {
    let chan = Arc::new(Chan::new(Queue::ring(cap), Some(cap)));
    Arc::new(Ends {
        s: ManuallyDrop::new(Sender(Arc::clone(&chan))),
        r: ManuallyDrop::new(Receiver(Flavor::Chan(chan))),
    })
}

fn send_on_thread(ends: &Arc<Ends>, value: u32) -> thread::JoinHandle<()> {
    let ends = Arc::clone(ends);
    thread::spawn(move || ends.s.send(value).unwrap())
}

/// Receives from the first of two that is ready: from which, and what.
fn select_two(a: &Ends, b: &Ends) -> (usize, Result<u32, RecvError>) {
    let (ra, rb) = (Receiving::new(&a.r), Receiving::new(&b.r));
    let (at, token) = select_from(&[Arm(&ra), Arm(&rb)], Order::Given, Some(NEVER)).unwrap();
    let received = if at == 0 { ra } else { rb }.complete(token);
    (at, received)
}

/// A receive of a select that claims a partner before itself.
struct PartnerFirst<'a>(&'a Receiver<u32>);

impl PartnerFirst<'_> {
    fn chan(&self) -> &Chan<u32> {
        match &self.0.0 {
            Flavor::Chan(chan) => chan,
            _ => unreachable!(),
        }
    }
}

impl Operation for PartnerFirst<'_> {
    fn entry(&self) -> EntryOf {
        self.0.entry()
    }

    fn attempt(&self) -> Result<Token, u64> {
        self.0.attempt()
    }

    fn peek(&self) -> Result<Token, u64> {
        self.0.peek()
    }

    fn publish(&self, waiting: Waiting<'_>) -> Result<(), Option<Token>> {
        let mut held = self.chan().lock();
        let state = &mut *held;
        let me = waiting.waiter;
        if let Some(partner) = state.senders.claim_other(me) {
            // SAFETY: he waits at this channel.
            let slot = unsafe { partner.slot::<u32>() };
            let woken = match slot {
                Some(slot) => {
                    // SAFETY: under the lock.
                    let value = unsafe { slot.take() }.unwrap();
                    state.queue.push(value);
                    partner.tell(Told::Served)
                }
                None => {
                    state.owed += 1;
                    partner.tell(Told::Reserved)
                }
            };
            state.claims += 1;
            drop(held);
            woken.go();
            // Too late: somebody may have been faster.
            return Err(me.wake().map(|_| Token::Reserved));
        }
        // SAFETY: as in the code.
        unsafe { state.receivers.push(waiting.place.node, *me) };
        Ok(())
    }

    fn retract(&self, place: Place<'_>) {
        self.0.retract(place);
    }

    fn release(&self, token: Token) {
        self.0.release(token);
    }

    fn moment(&self) -> u64 {
        NEVER
    }

    fn random(&self) -> u32 {
        0
    }

    fn place(&self) -> (Side, *const ()) {
        self.0.place()
    }
}

fn select_two_partner_first(a: &Ends, b: &Ends) -> (usize, Result<u32, RecvError>) {
    let (ra, rb) = (PartnerFirst(&a.r), PartnerFirst(&b.r));
    let (at, token) = select_from(&[Arm(&ra), Arm(&rb)], Order::Given, Some(NEVER)).unwrap();
    (at, if at == 0 { ra } else { rb }.0.complete(token))
}

type SelectTwo = fn(&Ends, &Ends) -> (usize, Result<u32, RecvError>);

/// Goal: of two senders that both find the select, one is received from; the other waits on.
fn against_two_senders(cap: usize, select_two: SelectTwo) {
    loom::model(move || {
        let (a, b) = (ends(cap), ends(cap));
        let senders = [send_on_thread(&a, 1), send_on_thread(&b, 2)];
        let (at, first) = select_two(&a, &b);
        let second = if at == 0 { b.r.recv() } else { a.r.recv() };
        let both = if at == 0 {
            (first, second)
        } else {
            (second, first)
        };
        assert_eq!(both, (Ok(1), Ok(2)));
        senders
            .into_iter()
            .for_each(|sender| sender.join().unwrap());
        assert_eq!(a.r.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(b.r.try_recv(), Err(TryRecvError::Empty));
    });
}

#[test]
fn loom_select_against_two_senders() {
    against_two_senders(0, select_two);
    against_two_senders(1, select_two);
}

#[test]
#[should_panic]
fn loom_seeded_bug_partner_before_self_is_found() {
    against_two_senders(0, select_two_partner_first);
}

/// Sends to `out`, or receives from `into`.
fn exchange(out: &Ends, into: &Ends, value: u32) -> Option<u32> {
    let receiving = Receiving::new(&into.r);
    let sender: &Sender<u32> = &out.s;
    let arms = [Arm(sender), Arm(&receiving)];
    let (at, token) = select_from(&arms, Order::Given, Some(NEVER)).unwrap();
    if at == 1 {
        return Some(receiving.complete(token).unwrap());
    }
    Sending::new(sender, token).complete(value).unwrap();
    None
}

/// The same with the seeded bug.
fn exchange_partner_first(out: &Ends, into: &Ends, value: u32) -> Option<u32> {
    let receiving = PartnerFirst(&into.r);
    let sender: &Sender<u32> = &out.s;
    let arms = [Arm(sender), Arm(&receiving)];
    let (at, token) = select_from(&arms, Order::Given, Some(NEVER)).unwrap();
    if at == 1 {
        return Some(receiving.0.complete(token).unwrap());
    }
    Sending::new(sender, token).complete(value).unwrap();
    None
}

type Exchange = fn(&Ends, &Ends, u32) -> Option<u32>;

/// Goal: two selects that could meet at either of two channels meet at one.
fn against_a_select(exchange: Exchange) {
    loom::model(move || {
        let (x, y) = (ends(0), ends(0));
        let other = {
            let (x, y) = (Arc::clone(&x), Arc::clone(&y));
            thread::spawn(move || exchange(&y, &x, 2))
        };
        let mine = exchange(&x, &y, 1);
        match (mine, other.join().unwrap()) {
            (None, Some(1)) | (Some(2), None) => {}
            both => panic!("{both:?}"),
        }
    });
}

#[test]
fn loom_select_against_select() {
    against_a_select(exchange);
}

#[test]
#[should_panic]
fn loom_seeded_bug_two_selects_partner_first_is_found() {
    against_a_select(exchange_partner_first);
}

/// Goal: a select whose deadline comes as a sender finds it completes, or leaves no trace.
#[test]
fn loom_select_deadline_against_sender() {
    loom::model(|| {
        let (a, b) = (ends(0), ends(1));
        let sender = send_on_thread(&a, 1);
        let (ra, rb) = (Receiving::new(&a.r), Receiving::new(&b.r));
        let operations: [&dyn Operation; 2] = [&rb, &ra];
        let selected = wait(
            &operations.map(Case::new),
            Aim::Complete,
            Order::Given,
            SOON,
        );
        let received = match selected {
            Some((at, token)) => {
                assert_eq!(at, 1);
                ra.complete(token)
            }
            None => a.r.recv(),
        };
        assert_eq!(received, Ok(1));
        sender.join().unwrap();
    });
}

/// Goal: a select sees a close, whenever it comes.
#[test]
fn loom_select_against_close() {
    loom::model(|| {
        let (a, b) = (ends(0), ends(0));
        let closer = {
            let a = Arc::clone(&a);
            thread::spawn(move || a.s.close())
        };
        assert_eq!(select_two(&a, &b), (0, Err(RecvError)));
        assert!(closer.join().unwrap());
    });
}

fn send_untold(ends: &Ends, value: u32) {
    let Flavor::Chan(chan) = &ends.r.0 else {
        unreachable!()
    };
    chan.lock().queue.push(value);
}

fn send_told(ends: &Ends, value: u32) {
    ends.s.send(value).unwrap();
}

/// Goal: one who watches is told of what comes.
fn watching(send: fn(&Ends, u32)) {
    loom::model(move || {
        let (a, b) = (ends(1), ends(1));
        let sender = {
            let a = Arc::clone(&a);
            thread::spawn(move || send(&a, 1))
        };
        let operations: [&dyn Operation; 2] = [&*b.r, &*a.r];
        let cases = operations.map(Case::new);
        let wait = |until| wait(&cases, Aim::Watch, Order::Given, until);
        let watched = (&cases[..], Aim::Watch);
        let selected = select(&watched, Order::Given, Some(NEVER), wait);
        assert_eq!(selected, Some((1, Token::Ready)));
        assert_eq!(a.r.try_recv(), Ok(1));
        sender.join().unwrap();
    });
}

#[test]
fn loom_watcher_against_sender() {
    watching(send_told);
}

#[test]
#[should_panic]
fn loom_seeded_bug_a_send_that_does_not_tell_watchers_is_found() {
    watching(send_untold);
}
