//! Models of the join packet: no waiter sleeps for ever, no result is lost, no packet freed twice,
//! and no wake comes late.

#![expect(unsafe_code, reason = "reads cells that the model checker watches")]

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

use super::{Detach, Finish, PacketState, Wait, Withdraw};

struct Fake {
    state: PacketState,
    result: UnsafeCell<u32>,
    /// The number of a waiter; 0 for none.
    waiter: UnsafeCell<u32>,
    /// The waiter that was woken last.
    woken: AtomicU32,
    freed: AtomicU32,
}

/// The steps that a seeded bug replaces.
#[derive(Clone, Copy)]
struct Variant {
    finish: fn(&PacketState) -> Finish,
    withdraw: fn(&PacketState) -> Withdraw,
    wakes_late: bool,
}

const REAL: Variant = Variant {
    finish: PacketState::finish,
    withdraw: PacketState::withdraw,
    wakes_late: false,
};

fn fake() -> Arc<Fake> {
    Arc::new(Fake {
        state: PacketState::new(),
        result: UnsafeCell::new(0),
        waiter: UnsafeCell::new(0),
        woken: AtomicU32::new(0),
        freed: AtomicU32::new(0),
    })
}

fn goroutine(fake: &Fake, variant: Variant) {
    // SAFETY: the goroutine owns the result until it finishes; the checker watches.
    fake.result.with_mut(|cell| unsafe { *cell = 42 });
    match (variant.finish)(&fake.state) {
        Finish::Leave => {}
        Finish::TakeWaiter => {
            let waiter = fake
                .waiter
                // SAFETY: `Taking` gives the slot to the goroutine; the checker watches.
                .with_mut(|cell| unsafe { std::mem::take(&mut *cell) });
            assert_ne!(waiter, 0, "took a waiter that is not there");
            if variant.wakes_late {
                fake.state.publish();
            }
            // Release: pairs with the Acquire of the sleeper.
            fake.woken.store(waiter, Ordering::Release);
            if !variant.wakes_late {
                fake.state.publish();
            }
        }
        // AcqRel: counted once.
        Finish::Free => assert_eq!(fake.freed.fetch_add(1, Ordering::AcqRel), 0),
    }
}

fn start(variant: Variant) -> (Arc<Fake>, thread::JoinHandle<()>) {
    let handle = fake();
    let other = Arc::clone(&handle);
    (handle, thread::spawn(move || goroutine(&other, variant)))
}

impl Fake {
    fn wait(&self, waiter: u32) -> Wait {
        // SAFETY: the slot is the handle's until `wait`; the checker watches.
        self.waiter.with_mut(|cell| unsafe { *cell = waiter });
        self.state.wait()
    }

    fn withdraw(&self, variant: Variant) -> Withdraw {
        let withdrawn = (variant.withdraw)(&self.state);
        if withdrawn == Withdraw::Pending {
            // SAFETY: the slot is the handle's again; the checker watches.
            self.waiter.with_mut(|cell| unsafe { *cell = 0 });
        }
        withdrawn
    }

    fn look_at_result(&self) {
        assert!(self.state.is_done());
        // SAFETY: done, so the result is the handle's; the checker watches.
        self.result.with(|cell| assert_eq!(unsafe { *cell }, 42));
    }
}

fn join_against_finish(variant: Variant) {
    loom::model(move || {
        let (handle, thread) = start(variant);
        let slept = handle.wait(1) == Wait::Sleep;
        thread.join().unwrap();
        if slept {
            // Acquire: pairs with the Release of the waker.
            assert_eq!(handle.woken.load(Ordering::Acquire), 1, "sleeps for ever");
        }
        handle.look_at_result();
    });
}

#[test]
fn loom_join_against_finish() {
    join_against_finish(REAL);
}

#[test]
#[should_panic]
fn loom_seeded_bug_finish_on_a_stale_look_is_found() {
    join_against_finish(Variant {
        finish: PacketState::finish_seeded,
        ..REAL
    });
}

/// A waiter is torn away while the goroutine finishes: one side frees, and the waiter is not woken
/// any more once the handle is gone.
fn withdrawal_against_finish(variant: Variant) {
    loom::model(move || {
        let (handle, thread) = start(variant);
        let _ = handle.wait(1);
        let _ = handle.withdraw(variant);
        loop {
            match handle.state.detach() {
                Detach::Leave => break,
                Detach::Free => {
                    handle.look_at_result();
                    // AcqRel: counted once.
                    assert_eq!(handle.freed.fetch_add(1, Ordering::AcqRel), 0);
                    break;
                }
                Detach::Again => thread::yield_now(),
            }
        }
        let woken = handle.woken.load(Ordering::Relaxed);
        thread.join().unwrap();
        assert_eq!(handle.woken.load(Ordering::Relaxed), woken, "a late wake");
        // Acquire: both sides are over.
        assert_eq!(handle.freed.load(Ordering::Acquire), 1);
    });
}

#[test]
fn loom_withdrawal_against_finish() {
    withdrawal_against_finish(REAL);
}

#[test]
#[should_panic]
fn loom_seeded_bug_wake_after_the_result_is_found() {
    withdrawal_against_finish(Variant {
        wakes_late: true,
        ..REAL
    });
}

/// A task is polled with another waker while the goroutine finishes: if it goes on waiting, the new
/// waker is woken.
fn second_waiter_against_finish(variant: Variant) {
    loom::model(move || {
        let (handle, thread) = start(variant);
        let mut waits = handle.wait(1) == Wait::Sleep;
        if waits && handle.withdraw(variant) == Withdraw::Pending {
            waits = handle.wait(2) == Wait::Sleep;
            thread.join().unwrap();
            if waits {
                assert_eq!(handle.woken.load(Ordering::Relaxed), 2, "an old waker");
            }
        } else {
            thread.join().unwrap();
        }
        handle.look_at_result();
    });
}

#[test]
fn loom_second_waiter_against_finish() {
    second_waiter_against_finish(REAL);
}

#[test]
#[should_panic]
fn loom_seeded_bug_withdrawal_on_a_stale_look_is_found() {
    second_waiter_against_finish(Variant {
        withdraw: PacketState::withdraw_seeded,
        ..REAL
    });
}
