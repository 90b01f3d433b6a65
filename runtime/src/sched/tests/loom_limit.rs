//! Models of Ps and Ms that come and go, and of the deadlock check.

use loom::sync::Arc;
use loom::sync::atomic::Ordering;
use loom::thread;

use super::loom_idle::{Fake, REAL, Variant, fake};
use super::{Census, Idle, Spare, Wake};

impl Fake {
    /// A thread starts, finds no P and sleeps.
    fn add_sleeper(&self) {
        assert_eq!(self.idle.spare(), Spare::Ask);
        let m = self.idle.next_thread().unwrap();
        assert_eq!(self.idle.join(m), None);
    }
}

/// `resize` to fewer Ps; the caller submits.
fn lower_limit(fake: &Fake, limit: usize) {
    fake.idle.set_limit(limit);
    fake.limit.store(limit, Ordering::Relaxed);
    for p in limit..fake.local.len() {
        if fake.idle.is_retired(p) {
            // It was idle, with work that nobody had come for.
            fake.empty(p);
        }
    }
}

/// M0 sleeps. M1 has work in its queue; its P must go, and more work comes.
fn lower_limit_against_submit(lower: fn(&Fake, usize)) {
    loom::model(move || {
        let fake = fake(REAL, 2);
        assert_eq!(fake.sleep(0, Some(0), true), None);
        fake.idle.found();
        fake.local[1].fetch_add(1, Ordering::Relaxed);
        let other = Arc::clone(&fake);
        let machine = thread::spawn(move || other.run(1, 1, false));
        lower(&fake, 1);
        fake.push();
        machine.join().unwrap();
        fake.settle();
        assert_eq!(fake.idle.excess(), 0);
    });
}

#[test]
fn loom_lower_limit_against_submit() {
    lower_limit_against_submit(lower_limit);
}

/// M1 takes its P up and lays it down, in vain, until the limit holds.
#[test]
#[should_panic]
fn loom_seeded_bug_limit_that_is_told_before_it_holds_is_found() {
    lower_limit_against_submit(|fake, limit| {
        fake.limit.store(limit, Ordering::Relaxed);
        fake.idle.set_limit(limit);
    });
}

/// The P of M1, which has work in its queue, is above the limit, and M0 goes to sleep.
fn empty_against_sleep(variant: Variant) {
    loom::model(move || {
        let fake = fake(variant, 2);
        fake.idle.found();
        fake.local[1].fetch_add(1, Ordering::Relaxed);
        lower_limit(&fake, 1);
        let other = Arc::clone(&fake);
        let machine = thread::spawn(move || other.run(1, 1, false));
        fake.run(0, 0, true);
        machine.join().unwrap();
        fake.settle();
        assert_eq!(fake.idle.excess(), 0);
    });
}

#[test]
fn loom_empty_against_sleep() {
    empty_against_sleep(REAL);
}

#[test]
#[should_panic]
fn loom_seeded_bug_queue_emptied_after_the_look_is_found() {
    empty_against_sleep(Variant {
        empty: |_, _| (),
        announce: |fake, m, p, searching| {
            fake.idle.announce(m, p, searching, false);
            let seen = fake.global.load(Ordering::Relaxed) > 0;
            if let Some(p) = p
                && fake.is_excess(p)
            {
                fake.empty(p);
            }
            seen
        },
        ..REAL
    });
}

/// M1 runs a goroutine for ever, on a P that must go, and it makes another ready: `make_ready`. M0
/// goes to sleep.
fn a_hog_on_an_excess_p(variant: Variant, make_ready: fn(&Fake)) {
    loom::model(move || {
        let fake = fake(variant, 2);
        fake.idle.found();
        lower_limit(&fake, 1);
        let other = Arc::clone(&fake);
        let machine = thread::spawn(move || make_ready(&other));
        fake.run(0, 0, true);
        machine.join().unwrap();
        fake.settle();
    });
}

fn push_to_p1(fake: &Fake) {
    fake.local[1].fetch_add(1, Ordering::Relaxed);
    fake.submitted();
}

#[test]
fn loom_a_hog_on_an_excess_p() {
    a_hog_on_an_excess_p(REAL, push_to_p1);
}

#[test]
#[should_panic]
fn loom_seeded_bug_no_submit_when_one_p_is_left_is_found() {
    a_hog_on_an_excess_p(REAL, |fake| {
        fake.local[1].fetch_add(1, Ordering::Relaxed);
    });
}

/// M0 sees the work, cannot take it, and never sleeps.
#[test]
#[should_panic]
fn loom_seeded_bug_thieves_stay_below_the_limit_is_found() {
    let visited = |fake: &Fake| fake.limit.load(Ordering::Relaxed);
    a_hog_on_an_excess_p(Variant { visited, ..REAL }, push_to_p1);
}

/// sysmon has taken the P of M1 and passes it on, with work in its queue, while it must go. M0,
/// which runs goroutines of its own P, comes to the global queue and nowhere else.
fn lower_limit_against_hand_off(
    setup: fn(&Fake),
    hand_off: fn(&Fake, usize),
    lower: fn(&Fake, usize),
) {
    loom::model(move || {
        let fake = fake(REAL, 2);
        fake.idle.found();
        fake.idle.found();
        setup(&fake);
        fake.local[1].fetch_add(1, Ordering::Relaxed);
        let other = Arc::clone(&fake);
        let sysmon = thread::spawn(move || hand_off(&other, 1));
        lower(&fake, 1);
        fake.submitted();
        sysmon.join().unwrap();
        fake.run_woken();
        assert_eq!(fake.idle.excess(), 0);
        assert!(fake.left() == 0 || fake.find(0, false), "stranded");
    });
}

#[test]
fn loom_lower_limit_against_hand_off() {
    lower_limit_against_hand_off(|_| (), Fake::hand_off, lower_limit);
    lower_limit_against_hand_off(Fake::add_sleeper, Fake::hand_off, lower_limit);
}

#[test]
#[should_panic]
fn loom_seeded_bug_look_at_the_limit_before_the_lock_is_found() {
    let hand_off = |fake: &Fake, p| {
        if fake.is_excess(p) {
            fake.empty(p);
        }
        fake.idle.release(p);
        if fake.anything_anywhere() {
            fake.submitted();
        }
    };
    lower_limit_against_hand_off(|_| (), hand_off, lower_limit);
}

#[test]
#[should_panic]
fn loom_seeded_bug_idle_p_retired_with_its_queue_is_found() {
    lower_limit_against_hand_off(
        |_| (),
        Fake::hand_off,
        |fake, limit| {
            fake.idle.set_limit(limit);
            fake.limit.store(limit, Ordering::Relaxed);
        },
    );
}

/// sysmon takes the only P, from a blocked M0, and passes it on, while work comes. M1 sleeps.
fn hand_off_against_submit(hand_off: fn(&Fake, usize)) {
    loom::model(move || {
        let fake = fake(REAL, 1);
        fake.idle.found();
        fake.add_sleeper();
        let other = Arc::clone(&fake);
        let submitter = thread::spawn(move || other.push());
        hand_off(&fake, 0);
        submitter.join().unwrap();
        fake.settle();
    });
}

#[test]
fn loom_hand_off_against_submit() {
    hand_off_against_submit(Fake::hand_off);
}

#[test]
#[should_panic]
fn loom_seeded_bug_hand_off_without_a_look_is_found() {
    hand_off_against_submit(|fake, p| fake.idle.release(p));
}

/// M0 runs one goroutine for ever. A P comes to it, and work.
fn raise_limit_against_submit(raise: fn(&Fake)) {
    loom::model(move || {
        let fake = fake(REAL, 1);
        fake.idle.found();
        let other = Arc::clone(&fake);
        let submitter = thread::spawn(move || other.push());
        raise(&fake);
        submitter.join().unwrap();
        fake.settle();
    });
}

#[test]
fn loom_raise_limit_against_submit() {
    raise_limit_against_submit(|fake| {
        fake.limit.store(2, Ordering::Relaxed);
        fake.idle.set_limit(2);
        fake.submitted();
    });
}

#[test]
#[should_panic]
fn loom_seeded_bug_submit_before_the_limit_is_raised_is_found() {
    raise_limit_against_submit(|fake| {
        fake.submitted();
        fake.limit.store(2, Ordering::Relaxed);
        fake.idle.set_limit(2);
    });
}

/// The last thread that there may be ends, after a long sleep, while work comes: it is woken, or
/// another one is started.
fn retire_against_submit(left: fn(&Idle) -> bool) {
    loom::model(move || {
        let idle = Arc::new(Idle::new(1, 1, 1));
        assert_eq!(idle.spare(), Spare::Ask);
        assert_eq!((idle.next_thread(), idle.join(0)), (Some(0), Some(0)));
        idle.announce(0, Some(0), true, false);
        let other = Arc::clone(&idle);
        let submitter = thread::spawn(move || other.submit());
        let ended = idle.retire(0, 0);
        let asks = ended && left(&idle);
        match submitter.join().unwrap() {
            Some(Wake::Resume { m: 0, p: 0 }) => {
                assert!(!ended, "a thread that has ended is woken")
            }
            Some(Wake::Start) => assert!(ended && !asks),
            wake => assert!(wake.is_none() && asks, "no thread: {wake:?}"),
        }
    });
}

#[test]
fn loom_retire_against_submit() {
    retire_against_submit(|idle| idle.left(0));
}

#[test]
#[should_panic]
fn loom_seeded_bug_refusal_that_is_forgotten_is_found() {
    retire_against_submit(|idle| {
        idle.lists.lock().unwrap().refused = false;
        idle.left(0)
    });
}

/// One look of `deadlock.rs`: the census if all sleep without work, and how many goroutines had run
/// when it was taken. Work whose submit was over then has been run.
fn asleep(fake: &Fake, anything: fn(&Fake) -> bool) -> Option<(Census, u32)> {
    let census = fake.idle.census();
    let (submitted, ran) = {
        let log = fake.log.lock().unwrap();
        (log.submitted, log.ran)
    };
    if !census.all_asleep() || anything(fake) {
        return None;
    }
    assert!(ran >= submitted, "dead beside work");
    Some((census, ran))
}

/// A goroutine is made ready, by a thread that is none of ours, while the check takes place: an M
/// is woken or started, runs the goroutine and sleeps again. If the check finds a deadlock,
/// nobody has run between its two looks, and nobody was to run at either.
fn deadlock_against_a_late_ready(
    begin: fn(&Fake),
    anything: fn(&Fake) -> bool,
    is_same: fn(Census, Census) -> bool,
) {
    loom::model(move || {
        let fake = fake(REAL, 1);
        assert_eq!(fake.sleep(0, Some(0), true), None);
        begin(&fake);
        let other = Arc::clone(&fake);
        let ready = thread::spawn(move || {
            other.push();
            other.settle();
        });
        if let Some((before, ran_before)) = asleep(&fake, anything)
            && let Some((after, ran_after)) = asleep(&fake, anything)
            && is_same(before, after)
        {
            assert_eq!(ran_before, ran_after, "somebody ran meanwhile");
        }
        ready.join().unwrap();
    });
}

fn m0_sleeps(_: &Fake) {}

/// The thread of M0 has ended because it slept for long.
fn m0_is_gone(fake: &Fake) {
    assert!(fake.idle.retire(0, 0));
    assert!(!fake.idle.left(0));
}

fn same_wakes(before: Census, after: Census) -> bool {
    before.wakes == after.wakes
}

#[test]
fn loom_deadlock_against_a_late_ready() {
    deadlock_against_a_late_ready(m0_sleeps, Fake::anything_anywhere, same_wakes);
    deadlock_against_a_late_ready(m0_is_gone, Fake::anything_anywhere, same_wakes);
}

#[test]
#[should_panic]
fn loom_seeded_bug_deadlock_whose_wakes_are_not_compared_is_found() {
    deadlock_against_a_late_ready(m0_sleeps, Fake::anything_anywhere, |_, _| true);
}

#[test]
#[should_panic]
fn loom_seeded_bug_deadlock_without_a_look_at_the_queues_is_found() {
    deadlock_against_a_late_ready(m0_is_gone, |_| false, same_wakes);
}
