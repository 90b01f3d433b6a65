//! Models of park and wake: a goroutine is resumed exactly once per wake, whoever comes first.

#![expect(unsafe_code, reason = "reads cells that the model checker watches")]

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

use crate::task::state::{Check, Commit, State, Trim, Wake};

const ID: u64 = 7;

/// A goroutine without a stack: `registers` stands for what the parker saves.
struct Fake {
    state: State,
    registers: UnsafeCell<u32>,
    /// What wakers wrote before they woke.
    message: AtomicU32,
}

fn fake() -> Arc<Fake> {
    Arc::new(Fake {
        state: State::new(ID),
        registers: UnsafeCell::new(0),
        message: AtomicU32::new(0),
    })
}

/// Saves the registers, then commits: how often the parker itself resumes.
fn save_and(fake: &Fake, commit: impl Fn(&State) -> Commit) -> u32 {
    // SAFETY: the parker owns the registers until its commit; the checker watches.
    fake.registers.with_mut(|cell| unsafe { *cell = 1 });
    match commit(&fake.state) {
        Commit::Parked => 0,
        Commit::ResumeNow => resume(fake),
    }
}

/// Somebody else than a waker resumes, and knows what the waker wrote.
fn resume(fake: &Fake) -> u32 {
    assert_eq!(fake.message.load(Ordering::Relaxed), 1, "nobody's wake");
    1
}

/// A waker: how often it enqueues. An owner may read the saved registers.
fn wake_and(fake: &Fake, wake: impl Fn(&State) -> Wake) -> u32 {
    fake.message.store(1, Ordering::Relaxed);
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

type Waker = fn(&State) -> Wake;

fn ready(state: &State) -> Wake {
    state.ready(ID)
}

fn unpark(state: &State) -> Wake {
    state.unpark(ID)
}

fn stop(state: &State) -> Wake {
    state.stop(ID)
}

/// Wakes nobody.
fn late(state: &State) -> Wake {
    state.ready(ID + 1)
}

/// The runtime ends while `waker` ends the park that begins just now: one of the three resumes.
fn stop_against_a_wake(begin: fn(&State), commit: fn(&State) -> Commit, waker: Waker) {
    loom::model(move || {
        let parker = fake();
        begin(&parker.state);
        let (one, two) = (Arc::clone(&parker), Arc::clone(&parker));
        let one = thread::spawn(move || wake_and(&one, waker));
        let two = thread::spawn(move || wake_and(&two, stop));
        let resumed = save_and(&parker, commit);
        let resumed = resumed + one.join().unwrap() + two.join().unwrap();
        assert_eq!(resumed, 1, "{:?}", parker.state);
        assert_eq!(parker.state.check(), Check::Stop);
    });
}

#[test]
fn loom_stop_against_ready() {
    stop_against_a_wake(State::begin_park, State::commit_park, ready);
}

#[test]
fn loom_stop_against_commit() {
    stop_against_a_wake(State::begin_park, State::commit_park, late);
}

#[test]
fn loom_stop_against_unpark() {
    stop_against_a_wake(|_| (), State::park_by_token, unpark);
}

#[test]
#[should_panic]
fn loom_seeded_bug_commit_without_cas_against_stop_is_found() {
    stop_against_a_wake(State::begin_park, State::commit_park_seeded, ready);
}

/// The trimmer: how often it enqueues. It uses the saved registers.
fn trim_and(fake: &Fake, end_trim: fn(&State) -> Trim) -> u32 {
    if !fake.state.begin_trim(ID) {
        return 0;
    }
    fake.registers
        // SAFETY: the trimmer owns the registers until the end; the checker watches.
        .with_mut(|cell| assert_eq!(unsafe { std::mem::replace(&mut *cell, 1) }, 1));
    match end_trim(&fake.state) {
        Trim::Parked => 0,
        Trim::Enqueue => resume(fake),
    }
}

/// A parked goroutine is trimmed while it is woken, by one or two at a time.
fn trim_against_wakes(park: fn(&Fake), end_trim: fn(&State) -> Trim, wakers: [Waker; 2]) {
    loom::model(move || {
        let parker = fake();
        park(&parker);
        let [first, second] = wakers;
        let (one, two) = (Arc::clone(&parker), Arc::clone(&parker));
        let one = thread::spawn(move || wake_and(&one, first));
        let two = thread::spawn(move || wake_and(&two, second));
        let resumed = trim_and(&parker, end_trim);
        let resumed = resumed + one.join().unwrap() + two.join().unwrap();
        assert_eq!(resumed, 1, "{:?}", parker.state);
        assert!(!parker.state.is_parked());
    });
}

fn park_with_commit(fake: &Fake) {
    fake.state.begin_park();
    assert_eq!(save_and(fake, State::commit_park), 0);
}

fn park_by_token(fake: &Fake) {
    assert_eq!(save_and(fake, State::park_by_token), 0);
}

#[test]
fn loom_trim_against_ready() {
    trim_against_wakes(park_with_commit, State::end_trim, [ready, late]);
}

#[test]
fn loom_trim_against_ready_and_stop() {
    trim_against_wakes(park_with_commit, State::end_trim, [ready, stop]);
}

#[test]
fn loom_trim_against_unpark_and_stop() {
    trim_against_wakes(park_by_token, State::end_trim, [unpark, stop]);
}

#[test]
fn loom_trim_against_stop() {
    trim_against_wakes(park_with_commit, State::end_trim, [stop, late]);
    trim_against_wakes(park_by_token, State::end_trim, [stop, late]);
}

#[test]
fn loom_trim_against_two_unparks() {
    trim_against_wakes(park_by_token, State::end_trim, [unpark, unpark]);
}

#[test]
#[should_panic]
fn loom_seeded_bug_trim_that_forgets_ready_is_found() {
    trim_against_wakes(park_with_commit, State::end_trim_seeded, [ready, late]);
}

#[test]
#[should_panic]
fn loom_seeded_bug_trim_that_forgets_unpark_is_found() {
    trim_against_wakes(park_by_token, State::end_trim_seeded, [unpark, late]);
}

/// A trimmer comes to a goroutine that is just parking, and so does a waker.
#[test]
fn loom_trim_against_commit() {
    loom::model(|| {
        let parker = fake();
        parker.state.begin_park();
        let (one, two) = (Arc::clone(&parker), Arc::clone(&parker));
        let one = thread::spawn(move || wake_and(&one, ready));
        let two = thread::spawn(move || trim_and(&two, State::end_trim));
        let resumed = save_and(&parker, State::commit_park);
        let resumed = resumed + one.join().unwrap() + two.join().unwrap();
        assert_eq!(resumed, 1, "{:?}", parker.state);
    });
}

/// A goroutine that unwinds is trimmed while its runtime ends: only `ready` may end its park.
#[test]
fn loom_trim_against_stop_of_a_deaf_park() {
    loom::model(|| {
        let parker = fake();
        parker.state.set_deaf(true);
        park_with_commit(&parker);
        let stopper = Arc::clone(&parker);
        let thread = thread::spawn(move || wake_and(&stopper, stop));
        let resumed = trim_and(&parker, State::end_trim) + thread.join().unwrap();
        assert_eq!(resumed, 0, "woken before its time: {:?}", parker.state);
        assert_eq!(parker.state.ready(ID), Wake::Enqueue);
    });
}

fn watching_against_an_unpark(watch: fn(&State)) {
    loom::model(move || {
        let owner = fake();
        let waker = Arc::clone(&owner);
        let thread = thread::spawn(move || waker.state.unpark(ID));
        watch(&owner.state);
        assert_eq!(thread.join().unwrap(), Wake::Done);
        assert!(owner.state.take_token(), "the token is lost");
        assert_eq!(owner.state.check(), Check::Watched);
        owner.state.set_watched(false);
        assert_eq!(owner.state.check(), Check::Go);
    });
}

#[test]
fn loom_watching_against_an_unpark() {
    watching_against_an_unpark(|state| state.set_watched(true));
}

#[test]
#[should_panic]
fn loom_seeded_bug_watching_without_a_locked_instruction_is_found() {
    watching_against_an_unpark(State::set_watched_seeded);
}

#[test]
fn loom_a_request_hides_that_a_goroutine_is_watched() {
    loom::model(|| {
        let owner = fake();
        owner.state.set_watched(true);
        let _ = owner.state.stop(ID);
        assert_eq!(owner.state.check(), Check::Stop);
        owner.state.set_deaf(true);
        assert_eq!(owner.state.check(), Check::Watched);
        owner.state.begin_park();
        assert_eq!(owner.state.check(), Check::Parking);
    });
}
