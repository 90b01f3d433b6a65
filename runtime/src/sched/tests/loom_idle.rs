//! Models of submit against sleep: no work is left while every M sleeps.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

use super::{Idle, Retract, Wake};

struct Fake {
    idle: Idle,
    /// The queue: pieces of work that nobody took. Relaxed, as a deque's push is in effect.
    work: AtomicU32,
    /// Ms that are awake and will look for work.
    awake: AtomicU32,
}

fn take(fake: &Fake) -> bool {
    let step = |n: u32| n.checked_sub(1);
    fake.work
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, step)
        .is_ok()
}

fn submit(fake: &Fake) {
    fake.work.fetch_add(1, Ordering::Relaxed);
    if fake.idle.submit().is_some() {
        fake.awake.fetch_add(1, Ordering::Relaxed);
    }
}

/// An M that finds nothing goes to sleep; returns true if it does.
fn go_idle(fake: &Fake, m: usize, p: usize, recheck_first: bool) -> bool {
    if take(fake) {
        return false;
    }
    let seen = recheck_first && fake.work.load(Ordering::Relaxed) > 0;
    fake.idle.announce(m, p, true);
    let work = if recheck_first {
        seen
    } else {
        fake.work.load(Ordering::Relaxed) > 0
    };
    !work || fake.idle.retract(m) == Retract::Sleep
}

/// One M (with the only P that is not idle elsewhere) goes idle while another thread submits.
fn submit_against_sleep(recheck_first: bool) {
    loom::model(move || {
        let fake = Arc::new(Fake {
            idle: Idle::new(1),
            work: AtomicU32::new(0),
            awake: AtomicU32::new(0),
        });
        // The M got its P by a first submission and is searching.
        assert_eq!(fake.idle.submit(), Some(Wake::Start { p: 0 }));
        let other = Arc::clone(&fake);
        let submitter = thread::spawn(move || submit(&other));
        let asleep = go_idle(&fake, 0, 0, recheck_first);
        submitter.join().unwrap();
        let left = fake.work.load(Ordering::Relaxed);
        let awake = fake.awake.load(Ordering::Relaxed);
        assert!(
            left == 0 || !asleep || awake > 0,
            "work is left and everybody sleeps"
        );
    });
}

#[test]
fn loom_submit_against_sleep() {
    submit_against_sleep(false);
}

#[test]
#[should_panic]
fn loom_seeded_bug_recheck_before_the_announcement_is_found() {
    submit_against_sleep(true);
}

/// Two submitters, one sleeping M: one of them wakes it, and only one.
#[test]
fn loom_two_submitters_wake_one_sleeper() {
    loom::model(|| {
        let fake = Arc::new(Fake {
            idle: Idle::new(1),
            work: AtomicU32::new(0),
            awake: AtomicU32::new(0),
        });
        assert_eq!(fake.idle.submit(), Some(Wake::Start { p: 0 }));
        fake.idle.announce(0, 0, true);
        let other = Arc::clone(&fake);
        let submitter = thread::spawn(move || submit(&other));
        submit(&fake);
        submitter.join().unwrap();
        assert_eq!(fake.awake.load(Ordering::Relaxed), 1);
        assert_eq!(fake.work.load(Ordering::Relaxed), 2);
    });
}
