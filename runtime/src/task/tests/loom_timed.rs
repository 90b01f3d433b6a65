//! Models of waits that several may end: one wake is delivered, and none ends a later wait.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

use super::{By, End, Ticket, WaitWord};
use crate::task::state::{Check, Commit, State, Wake};

const ID: u64 = 7;

/// A goroutine without a stack.
struct Fake {
    state: State,
    wait: WaitWord,
    /// How often somebody became its owner by waking it.
    resumed: AtomicU32,
}

/// The steps that a seeded bug replaces.
#[derive(Clone, Copy)]
struct Variant {
    take: fn(&WaitWord, Ticket, By) -> bool,
    deliver: fn(&State, u64) -> Wake,
}

const REAL: Variant = Variant {
    take: WaitWord::take,
    deliver: State::deliver,
};

fn fake() -> Arc<Fake> {
    Arc::new(Fake {
        state: State::new(ID),
        wait: WaitWord::new(),
        resumed: AtomicU32::new(0),
    })
}

impl Fake {
    /// A waker with the ticket: whether it took the wait.
    fn wake(&self, ticket: Ticket, by: By, variant: Variant) -> bool {
        let taken = (variant.take)(&self.wait, ticket, by);
        if taken && (variant.deliver)(&self.state, ID) == Wake::Enqueue {
            self.resumed.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    /// Waits, after a commit, until somebody resumes the goroutine.
    fn rest(&self, commit: Commit) {
        if commit == Commit::Parked {
            while self.resumed.load(Ordering::Relaxed) == 0 {
                thread::yield_now();
            }
            self.resumed.store(0, Ordering::Relaxed);
        }
    }

    /// Steps 4 and 5 of the owner.
    fn close(&self, ticket: Ticket) -> End {
        let end = self.wait.close(ticket);
        if end != End::Closed && !self.state.take_delivery() {
            self.state.begin_park();
            if self.state.take_delivery() {
                self.state.abort_park();
            } else {
                self.rest(self.state.commit_park());
                assert!(self.state.take_delivery(), "woken by something else");
            }
        }
        end
    }
}

fn event_against_deadline(variant: Variant) {
    loom::model(move || {
        let g = fake();
        let ticket = g.wait.open();
        g.state.begin_park();
        let wakers = [By::Event, By::Time].map(|by| {
            let g = Arc::clone(&g);
            thread::spawn(move || g.wake(ticket, by, variant))
        });
        g.rest(g.state.commit_park());
        let end = g.close(ticket);
        let [event, time] = wakers.map(|waker| waker.join().unwrap());
        assert!(event != time, "two winners");
        let by = if event { By::Event } else { By::Time };
        assert_eq!(end, End::Taken(by));
        assert_eq!(g.resumed.load(Ordering::Relaxed), 0, "resumed twice");
        assert!(!g.state.take_delivery(), "a wake is left");
    });
}

#[test]
fn loom_event_against_deadline() {
    event_against_deadline(REAL);
}

#[test]
#[should_panic]
fn loom_seeded_bug_take_without_cas_is_found() {
    event_against_deadline(Variant {
        take: WaitWord::take_seeded,
        ..REAL
    });
}

/// Goal: a wake that comes after the wait was left by unwinding does not end the next park.
fn delivery_against_unwinding(variant: Variant) {
    loom::model(move || {
        let g = fake();
        let ticket = g.wait.open();
        g.state.begin_park();
        let waker = Arc::clone(&g);
        let event = thread::spawn(move || waker.wake(ticket, By::Event, variant));
        // The interrupt comes from a timer that fired on this very thread.
        if g.state.interrupt(ID) == Wake::Enqueue {
            g.resumed.fetch_add(1, Ordering::Relaxed);
        }
        g.rest(g.state.commit_park());
        let _ = g.state.check();
        g.state.set_deaf(true);
        g.state.take_interrupt();
        let end = g.close(ticket);
        // The next park: nobody may end it but a new waker.
        g.state.begin_park();
        let parked = g.state.commit_park();
        let taken = event.join().unwrap();
        assert_eq!(taken, end != End::Closed);
        assert_eq!(parked, Commit::Parked);
        assert_eq!(g.resumed.load(Ordering::Relaxed), 0, "a stale wake");
    });
}

#[test]
fn loom_delivery_against_unwinding() {
    delivery_against_unwinding(REAL);
}

#[test]
#[should_panic]
fn loom_seeded_bug_delivery_without_a_mark_is_found() {
    delivery_against_unwinding(Variant {
        deliver: State::deliver_seeded,
        ..REAL
    });
}

/// Goal: a park by token with a deadline ends once, and an unpark is not lost: either it ended the
/// park, or its token is there for the next.
fn unpark_against_deadline(variant: Variant) {
    loom::model(move || {
        let g = fake();
        let ticket = g.wait.open();
        g.state.begin_park_by_token();
        let (one, two) = (Arc::clone(&g), Arc::clone(&g));
        let time = thread::spawn(move || one.wake(ticket, By::Time, variant));
        let unpark = thread::spawn(move || {
            if two.state.unpark(ID) == Wake::Enqueue {
                two.resumed.fetch_add(1, Ordering::Relaxed);
            }
        });
        g.rest(g.state.commit_park());
        let end = g.close(ticket);
        unpark.join().unwrap();
        let taken = time.join().unwrap();
        assert_eq!(taken, end != End::Closed);
        let token = g.state.take_token();
        assert!(
            taken || !token,
            "a token is left of an unpark that ended the park"
        );
        assert_eq!(g.resumed.load(Ordering::Relaxed), 0, "resumed twice");
    });
}

#[test]
fn loom_unpark_against_deadline() {
    unpark_against_deadline(REAL);
}

/// Goal: a request that comes as the park begins is not slept over.
fn interrupt_against_commit(commit: fn(&State) -> Commit) {
    loom::model(move || {
        let g = fake();
        let asker = Arc::clone(&g);
        let asks = thread::spawn(move || asker.state.interrupt(ID) == Wake::Enqueue);
        let parked = g.state.check() == Check::Go && {
            g.state.begin_park();
            commit(&g.state) == Commit::Parked
        };
        assert_eq!(asks.join().unwrap(), parked, "{:?}", g.state);
    });
}

#[test]
fn loom_interrupt_against_commit() {
    interrupt_against_commit(State::commit_park);
}

#[test]
#[should_panic]
fn loom_seeded_bug_commit_that_sleeps_over_a_request_is_found() {
    interrupt_against_commit(State::commit_park_seeded);
}

/// Goal: a goroutine that is cancelled while an event ends its wait unwinds once, in that park or
/// in the next, and no third park ends.
fn cancel_against_event(cancel: fn(&State, u64) -> Wake) {
    loom::model(move || {
        let g = fake();
        let ticket = g.wait.open();
        g.state.begin_park();
        let (one, two) = (Arc::clone(&g), Arc::clone(&g));
        let event = thread::spawn(move || one.wake(ticket, By::Event, REAL));
        let cancels = thread::spawn(move || {
            if cancel(&two.state, ID) == Wake::Enqueue {
                two.resumed.fetch_add(1, Ordering::Relaxed);
            }
        });
        g.rest(g.state.commit_park());
        let cancelled = g.state.take_cancel();
        g.state.set_deaf(true);
        let end = g.close(ticket);
        g.state.set_deaf(false);
        // A wake and nothing else ended the park.
        assert!(cancelled || end != End::Closed);
        event.join().unwrap();
        g.state.begin_park();
        let next = g.state.commit_park();
        cancels.join().unwrap();
        let resumed = g.resumed.load(Ordering::Relaxed);
        let ended = resumed + u32::from(next == Commit::ResumeNow);
        assert_eq!(ended, u32::from(!cancelled), "{:?}", g.state);
        assert_eq!(g.state.take_cancel(), !cancelled);
    });
}

#[test]
fn loom_cancel_against_event() {
    cancel_against_event(State::cancel);
}

#[test]
#[should_panic]
fn loom_seeded_bug_cancel_in_two_steps_is_found() {
    cancel_against_event(State::cancel_seeded);
}

/// A timer that several use: stop and fire, of which one has the last word.
fn stop_against_fire(take: fn(&WaitWord, Ticket, By) -> bool) {
    loom::model(move || {
        let timer = Arc::new(WaitWord::new());
        let (ticket, was_open) = timer.reopen();
        assert!(!was_open);
        let fires = Arc::clone(&timer);
        let fire = thread::spawn(move || take(&fires, ticket, By::Time));
        let stopped = timer.stop();
        assert!(stopped != fire.join().unwrap(), "stopped, and fired");
        let (next, was_open) = timer.reopen();
        assert!(!was_open && !timer.is_open(ticket) && timer.is_open(next));
    });
}

#[test]
fn loom_stop_against_fire() {
    stop_against_fire(WaitWord::take);
}

#[test]
#[should_panic]
fn loom_seeded_bug_fire_without_cas_is_found() {
    stop_against_fire(WaitWord::take_seeded);
}
