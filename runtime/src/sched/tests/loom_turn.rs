//! Models of the turn to poll: no P and no timer is slept over, and no turn is left to nobody.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use loom::thread;

use super::{Notify, Turn};

const M: usize = 3;
/// When the new timer is due.
const WHEN: u64 = 50;

struct Fake {
    turn: Turn,
    given: AtomicBool,
    /// The earliest timer.
    next: AtomicU64,
    /// Notes in the poller's descriptor.
    descriptor: AtomicBool,
}

fn fake() -> Arc<Fake> {
    Arc::new(Fake {
        turn: Turn::new(),
        given: AtomicBool::new(false),
        next: AtomicU64::new(u64::MAX),
        descriptor: AtomicBool::new(false),
    })
}

impl Fake {
    fn carry_out(&self, notify: Notify) {
        if notify == Notify::Write {
            // Release: a system call.
            self.descriptor.store(true, Ordering::Release);
        }
    }

    /// Steps 1 to 4 of the poller: until when it would wait, or `None` if it was given a P.
    fn poll(&self, prepare: fn(&Turn)) -> Option<u64> {
        assert!(self.turn.begin_long(M));
        prepare(&self.turn);
        if self.given.load(Ordering::Relaxed) {
            return None;
        }
        let next = self.next.load(Ordering::Relaxed);
        self.turn.set_until(next);
        Some(next)
    }

    fn is_noted(&self) -> bool {
        // Acquire: a system call.
        self.descriptor.load(Ordering::Acquire)
    }
}

fn give_against_poll(prepare: fn(&Turn)) {
    loom::model(move || {
        let fake = fake();
        let giver = Arc::clone(&fake);
        let gives = thread::spawn(move || {
            giver.given.store(true, Ordering::Relaxed);
            giver.carry_out(giver.turn.notify(M));
        });
        let waits = fake.poll(prepare);
        gives.join().unwrap();
        assert!(waits.is_none() || fake.is_noted(), "it sleeps over its P");
    });
}

#[test]
fn loom_give_against_poll() {
    give_against_poll(Turn::prepare);
}

#[test]
#[should_panic(expected = "sleeps over")]
fn loom_seeded_bug_poll_without_a_fence_is_found() {
    give_against_poll(Turn::prepare_seeded);
}

/// Two add timers; the poller must not wait longer than for the earlier one.
fn earlier_timer_against_poll(prepare: fn(&Turn)) {
    loom::model(move || {
        let fake = fake();
        let adders = [WHEN, WHEN + 1].map(|when| {
            let fake = Arc::clone(&fake);
            thread::spawn(move || {
                fake.next.fetch_min(when, Ordering::Relaxed);
                fake.carry_out(fake.turn.earlier(when));
            })
        });
        let until = fake.poll(prepare).unwrap();
        for adder in adders {
            adder.join().unwrap();
        }
        assert!(until <= WHEN || fake.is_noted(), "it sleeps over a timer");
    });
}

#[test]
fn loom_earlier_timer_against_poll() {
    earlier_timer_against_poll(Turn::prepare);
}

#[test]
#[should_panic(expected = "sleeps over")]
fn loom_seeded_bug_timer_without_a_fence_is_found() {
    earlier_timer_against_poll(Turn::prepare_seeded);
}

/// Goal: an M that becomes idle during a short turn polls, or one is woken that will.
fn idle_against_short_turn(end_short: fn(&Turn) -> bool) {
    loom::model(move || {
        let fake = fake();
        let looker = Arc::clone(&fake);
        let short = thread::spawn(move || looker.turn.begin_short() && end_short(&looker.turn));
        let polls = fake.turn.begin_long(M);
        let wakes = short.join().unwrap();
        assert!(polls || wakes, "the turn is left to nobody");
        assert!(!(polls && wakes), "woken in vain");
    });
}

#[test]
fn loom_idle_against_short_turn() {
    idle_against_short_turn(Turn::end_short);
}

#[test]
#[should_panic(expected = "left to nobody")]
fn loom_seeded_bug_short_turn_that_forgets_is_found() {
    idle_against_short_turn(Turn::end_short_seeded);
}

/// Goal: an M that becomes idle while the poller leaves for want of a P polls, or one is woken that
/// will.
fn idle_against_a_poller_that_leaves(end: fn(&Turn), tries: usize) {
    loom::model(move || {
        let fake = fake();
        assert!(fake.turn.begin_long(M));
        let leaver = Arc::clone(&fake);
        // `given` is the idle list: there is a P on it.
        let leaves = thread::spawn(move || {
            end(&leaver.turn);
            leaver.given.load(Ordering::Relaxed)
        });
        let mut polls = fake.turn.begin_long(M + 1);
        fake.given.store(true, Ordering::Relaxed);
        // SeqCst: I3.
        fence(Ordering::SeqCst);
        for _ in 1..tries {
            polls = polls || fake.turn.begin_long(M + 1);
        }
        let wakes = leaves.join().unwrap();
        assert!(polls || wakes, "the turn is left to nobody");
    });
}

#[test]
fn loom_idle_against_a_poller_that_leaves() {
    idle_against_a_poller_that_leaves(Turn::end_crowded, 2);
}

#[test]
#[should_panic(expected = "left to nobody")]
fn loom_seeded_bug_idle_without_a_second_try_is_found() {
    idle_against_a_poller_that_leaves(Turn::end_crowded, 1);
}

#[test]
#[should_panic(expected = "left to nobody")]
fn loom_seeded_bug_poller_that_leaves_without_a_fence_is_found() {
    idle_against_a_poller_that_leaves(Turn::end_long, 2);
}
