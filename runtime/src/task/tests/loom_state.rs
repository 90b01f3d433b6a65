//! Models of park and wake: a goroutine is resumed exactly once per wake, whoever comes first.

#![expect(unsafe_code, reason = "reads cells that the model checker watches")]

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use crate::task::state::{Commit, State, Wake};

const ID: u64 = 7;

/// A goroutine without a stack: `registers` stands for what the parker saves.
struct Fake {
    state: State,
    registers: UnsafeCell<u32>,
}

fn fake() -> Arc<Fake> {
    Arc::new(Fake {
        state: State::new(ID),
        registers: UnsafeCell::new(0),
    })
}

/// Saves the registers, then commits: how often the parker itself resumes.
fn save_and(fake: &Fake, commit: impl Fn(&State) -> Commit) -> u32 {
    // SAFETY: the parker owns the registers until its commit; the checker watches.
    fake.registers.with_mut(|cell| unsafe { *cell = 1 });
    match commit(&fake.state) {
        Commit::Parked => 0,
        Commit::ResumeNow => 1,
    }
}

/// A waker: how often it enqueues. An owner may read the saved registers.
fn wake_and(fake: &Fake, wake: impl Fn(&State) -> Wake) -> u32 {
    match wake(&fake.state) {
        Wake::Enqueue => {
            fake.registers
                // SAFETY: `Enqueue` makes the waker the owner; the checker watches.
                .with(|cell| assert_eq!(unsafe { *cell }, 1, "not saved yet"));
            1
        }
        Wake::Done | Wake::Gone => 0,
    }
}

fn ready_during_commit(commit: fn(&State) -> Commit) {
    loom::model(move || {
        let parker = fake();
        parker.state.begin_park();
        let waker = Arc::clone(&parker);
        let thread = thread::spawn(move || wake_and(&waker, |state| state.ready(ID)));
        let resumed = save_and(&parker, commit) + thread.join().unwrap();
        assert_eq!(resumed, 1, "{:?}", parker.state);
    });
}

#[test]
fn loom_ready_during_commit() {
    ready_during_commit(State::commit_park);
}

#[test]
#[should_panic]
fn loom_seeded_bug_commit_without_cas_is_found() {
    ready_during_commit(State::commit_park_seeded);
}

fn unpark_during_park_by_token(park: fn(&State) -> Commit) {
    loom::model(move || {
        let parker = fake();
        let waker = Arc::clone(&parker);
        let thread = thread::spawn(move || wake_and(&waker, |state| state.unpark(ID)));
        let resumed = save_and(&parker, park) + thread.join().unwrap();
        assert_eq!(resumed, 1, "{:?}", parker.state);
    });
}

#[test]
fn loom_unpark_during_park_by_token() {
    unpark_during_park_by_token(State::park_by_token);
}

#[test]
#[should_panic]
fn loom_seeded_bug_token_looked_for_first_is_found() {
    unpark_during_park_by_token(State::park_by_token_seeded);
}

fn two_wakers_one_winner(ready: fn(&State, u64) -> Wake) {
    loom::model(move || {
        let parker = fake();
        parker.state.begin_park();
        assert_eq!(save_and(&parker, State::commit_park), 0);
        let (one, two) = (Arc::clone(&parker), Arc::clone(&parker));
        let one = thread::spawn(move || wake_and(&one, |state| ready(state, ID)));
        let two = thread::spawn(move || wake_and(&two, |state| state.stop(ID)));
        assert_eq!(one.join().unwrap() + two.join().unwrap(), 1);
    });
}

#[test]
fn loom_two_wakers_one_winner() {
    two_wakers_one_winner(State::ready);
}

#[test]
#[should_panic]
fn loom_seeded_bug_ready_without_cas_is_found() {
    two_wakers_one_winner(State::ready_seeded);
}

/// A handle to a goroutine that is ending never queues it. (What a later look finds is not asked:
/// the checker does not order a plain store after an exchange that it overwrites.)
#[test]
fn loom_late_unpark_of_a_dead_goroutine() {
    loom::model(|| {
        let dead = fake();
        let late = Arc::clone(&dead);
        let thread = thread::spawn(move || late.state.unpark(ID));
        dead.state.end();
        assert_ne!(thread.join().unwrap(), Wake::Enqueue);
    });
}

/// A goroutine that unwinds parks while its runtime ends: only `ready` may end that park.
fn stop_against_a_deaf_park(deaf_first: bool) {
    loom::model(move || {
        let parker = fake();
        let stopper = Arc::clone(&parker);
        let thread = thread::spawn(move || wake_and(&stopper, |state| state.stop(ID)));
        if deaf_first {
            parker.state.set_deaf(true);
        }
        parker.state.begin_park();
        if !deaf_first {
            parker.state.set_deaf(true);
        }
        let resumed = save_and(&parker, State::commit_park) + thread.join().unwrap();
        assert_eq!(resumed, 0, "woken before its time: {:?}", parker.state);
        assert_eq!(parker.state.ready(ID), Wake::Enqueue);
    });
}

#[test]
fn loom_stop_against_a_deaf_park() {
    stop_against_a_deaf_park(true);
}

#[test]
#[should_panic]
fn loom_seeded_bug_deaf_after_the_park_began_is_found() {
    stop_against_a_deaf_park(false);
}
