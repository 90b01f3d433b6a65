//! Models of raw parks and of requests to unwind: the waker, the request and the owner agree who
//! ended a park, and a waiter that was left ends no later one.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

use super::{Closed, Commit, State, Wake};
use crate::task::wait_word::{Between, WaitWord};

const ID: u64 = 7;

/// A goroutine without a stack.
struct Fake {
    state: State,
    wait: WaitWord,
    /// How often somebody became its owner by waking it.
    resumed: AtomicU32,
}

type Ready = fn(&Fake, Between) -> Wake;

fn fake() -> Arc<Fake> {
    Arc::new(Fake {
        state: State::new(ID),
        wait: WaitWord::new(),
        resumed: AtomicU32::new(0),
    })
}

impl Fake {
    /// A wake; gives what it was.
    fn note(&self, wake: Wake) -> Wake {
        if wake == Wake::Enqueue {
            // Release: as the queue that the goroutine goes through; pairs with `rest`.
            self.resumed.fetch_add(1, Ordering::Release);
        }
        wake
    }

    /// Waits, after a commit, until somebody resumes the goroutine.
    fn rest(&self, commit: Commit) {
        if commit == Commit::Parked {
            while self.resumed.load(Ordering::Acquire) == 0 {
                thread::yield_now();
            }
            self.resumed.store(0, Ordering::Relaxed);
        }
    }

    /// The owner's end of a raw park: whether its waiter ended it.
    fn close(&self) -> bool {
        if !self.state.was_ended() {
            return true;
        }
        self.wait.void();
        self.state.close_ended() == Closed::Woken
    }
}

fn ready_once(g: &Fake, between: Between) -> Wake {
    g.state.ready_once(ID, || g.wait.is_still(between))
}

/// A waiter that belongs to its goroutine, not to one of its parks.
fn ready_any(g: &Fake, _: Between) -> Wake {
    g.state.ready(ID)
}

/// Goal: the owner takes the park for served if, and only if, the waker was told so; and the next
/// park is ended by nobody.
fn request_against_a_raw_wake(ready: Ready, commit: fn(&State) -> Commit) {
    loom::model(move || {
        let g = fake();
        let between = g.wait.between();
        g.state.begin_park();
        let (one, two) = (Arc::clone(&g), Arc::clone(&g));
        let wakes = thread::spawn(move || one.note(ready(&one, between)) != Wake::Gone);
        let asks = thread::spawn(move || two.note(two.state.cancel(ID)));
        g.rest(commit(&g.state));
        let served = g.close();
        let followed = !served && g.state.take_cancel();
        assert_eq!(followed, !served, "not served, and nobody asked");
        // The next park.
        g.state.set_deaf(true);
        g.state.begin_park();
        let parked = g.state.commit_park();
        let woke = wakes.join().unwrap();
        let _ = asks.join().unwrap();
        assert_eq!(woke, served);
        assert_eq!(parked, Commit::Parked, "a stale wake");
        assert_eq!(g.resumed.load(Ordering::Relaxed), 0, "a stale wake");
    });
}

#[test]
fn loom_request_against_a_raw_wake() {
    request_against_a_raw_wake(ready_once, State::commit_park);
}

#[test]
#[should_panic]
fn loom_seeded_bug_waiter_of_any_park_is_found() {
    request_against_a_raw_wake(ready_any, State::commit_park);
}

#[test]
#[should_panic]
fn loom_seeded_bug_commit_that_does_not_tell_is_found() {
    request_against_a_raw_wake(ready_once, State::commit_park_untold);
}

/// Goal: a park that a request has ended for nothing goes on for the same waiter, which ends it
/// once.
fn raw_park_goes_on(resume: fn(&State) -> Closed) {
    loom::model(move || {
        let g = fake();
        let between = g.wait.between();
        g.state.begin_park();
        let (one, two) = (Arc::clone(&g), Arc::clone(&g));
        let wakes = thread::spawn(move || one.note(ready_once(&one, between)));
        let asks = thread::spawn(move || two.note(two.state.interrupt(ID)));
        g.rest(g.state.commit_park());
        while g.state.was_ended() {
            g.state.take_interrupt();
            if resume(&g.state) == Closed::Woken {
                break;
            }
            g.rest(g.state.commit_park());
        }
        assert_ne!(wakes.join().unwrap(), Wake::Gone, "a wake is lost");
        let _ = asks.join().unwrap();
        assert_eq!(g.resumed.load(Ordering::Relaxed), 0, "resumed twice");
    });
}

#[test]
fn loom_raw_park_goes_on() {
    raw_park_goes_on(State::resume_park);
}

#[test]
#[should_panic]
fn loom_seeded_bug_park_that_goes_on_in_two_steps_is_found() {
    raw_park_goes_on(|state| {
        state.clear_ended();
        state.begin_park();
        Closed::Parking
    });
}

/// Goal: an unpark that comes with a request ends the park, or its token is there for the next.
#[test]
fn loom_request_against_unpark() {
    loom::model(|| {
        let g = fake();
        let (one, two) = (Arc::clone(&g), Arc::clone(&g));
        let unparks = thread::spawn(move || one.note(one.state.unpark(ID)));
        let asks = thread::spawn(move || two.note(two.state.cancel(ID)));
        g.rest(g.state.park_by_token());
        let was_ended = g.state.was_ended();
        let _ = unparks.join().unwrap();
        let _ = asks.join().unwrap();
        assert_eq!(g.state.take_token(), was_ended, "{:?}", g.state);
        assert_eq!(g.resumed.load(Ordering::Relaxed), 0, "resumed twice");
    });
}
