//! Models of the join packet: no waiter sleeps for ever, no result is lost, no packet freed twice.

#![expect(unsafe_code, reason = "reads cells that the model checker watches")]

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

use super::{Detach, Finish, PacketState, Wait};

struct Fake {
    state: PacketState,
    result: UnsafeCell<u32>,
    waiter: UnsafeCell<bool>,
    woken: AtomicU32,
    freed: AtomicU32,
}

fn fake() -> Arc<Fake> {
    Arc::new(Fake {
        state: PacketState::new(),
        result: UnsafeCell::new(0),
        waiter: UnsafeCell::new(false),
        woken: AtomicU32::new(0),
        freed: AtomicU32::new(0),
    })
}

fn goroutine(fake: &Fake, finish: fn(&PacketState) -> Finish) {
    // SAFETY: the goroutine owns the result until it finishes; the checker watches.
    fake.result.with_mut(|cell| unsafe { *cell = 42 });
    match finish(&fake.state) {
        Finish::Leave => {}
        Finish::TakeWaiter => {
            let waiter = fake
                .waiter
                // SAFETY: `Taking` gives the slot to the goroutine; the checker watches.
                .with_mut(|cell| unsafe { std::mem::take(&mut *cell) });
            fake.state.publish();
            assert!(waiter, "took a waiter that is not there");
            // Release: pairs with the Acquire of the sleeper.
            fake.woken.store(1, Ordering::Release);
        }
        // AcqRel: counted once.
        Finish::Free => assert_eq!(fake.freed.fetch_add(1, Ordering::AcqRel), 0),
    }
}

fn join_against_finish(finish: fn(&PacketState) -> Finish) {
    loom::model(move || {
        let handle = fake();
        let other = Arc::clone(&handle);
        let thread = thread::spawn(move || goroutine(&other, finish));
        // SAFETY: the slot is the handle's until `wait`; the checker watches.
        handle.waiter.with_mut(|cell| unsafe { *cell = true });
        let slept = handle.state.wait() == Wait::Sleep;
        thread.join().unwrap();
        if slept {
            // Acquire: pairs with the Release of the waker.
            assert_eq!(handle.woken.load(Ordering::Acquire), 1, "sleeps for ever");
        }
        assert!(handle.state.is_done());
        // SAFETY: done, so the result is the handle's; the checker watches.
        handle.result.with(|cell| assert_eq!(unsafe { *cell }, 42));
    });
}

#[test]
fn loom_join_against_finish() {
    join_against_finish(PacketState::finish);
}

#[test]
#[should_panic]
fn loom_seeded_bug_finish_on_a_stale_look_is_found() {
    join_against_finish(PacketState::finish_seeded);
}

/// A waiter is torn away while the goroutine finishes: exactly one side frees.
#[test]
fn loom_detach_of_a_waiter_against_finish() {
    loom::model(|| {
        let handle = fake();
        let other = Arc::clone(&handle);
        let thread = thread::spawn(move || goroutine(&other, PacketState::finish));
        // SAFETY: the slot is the handle's until `wait`; the checker watches.
        handle.waiter.with_mut(|cell| unsafe { *cell = true });
        let _ = handle.state.wait();
        loop {
            match handle.state.detach() {
                Detach::Leave => break,
                Detach::Free => {
                    // SAFETY: done, so the result is the handle's; the checker watches.
                    handle.result.with(|cell| assert_eq!(unsafe { *cell }, 42));
                    // AcqRel: counted once.
                    assert_eq!(handle.freed.fetch_add(1, Ordering::AcqRel), 0);
                    break;
                }
                Detach::Again => thread::yield_now(),
            }
        }
        thread.join().unwrap();
        // Acquire: both sides are over.
        assert_eq!(handle.freed.load(Ordering::Acquire), 1);
    });
}
