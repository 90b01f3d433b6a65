//! Models of the event count: no wake is lost, none goes to a stranger.
//!
//! A waiter is a number; waking it sets its flag. A thread that armed sleeps from then on: it has
//! done its part, and the model looks at the flag when all threads have ended.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicU32};
use loom::thread;

use super::*;

/// A direction, the kernel's buffer, a deadline, and the flags of the waiters.
struct Fake {
    direction: EventCount<usize>,
    is_ready: AtomicBool,
    deadline: AtomicU32,
    wakes: [AtomicU32; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Done,
    Closed,
    Sleeps,
}

type ArmBy = fn(&EventCount<usize>, Seen, usize) -> Arm<usize>;

fn fake() -> Arc<Fake> {
    Arc::new(Fake {
        direction: EventCount::new(),
        is_ready: AtomicBool::new(false),
        deadline: AtomicU32::new(0),
        wakes: [AtomicU32::new(0), AtomicU32::new(0)],
    })
}

impl Fake {
    fn wake(&self, waiter: usize) {
        self.wakes[waiter].fetch_add(1, Ordering::Relaxed);
    }

    fn wakes(&self, waiter: usize) -> u32 {
        self.wakes[waiter].load(Ordering::Relaxed)
    }

    fn event(&self, generation: u32, cause: Cause) -> Advance {
        self.direction
            .event(generation, cause, &mut |waiter| self.wake(waiter))
    }

    /// The kernel's part: data, then their event.
    fn data(&self) {
        self.is_ready.store(true, Ordering::Relaxed);
        let _ = self.event(0, Cause::Ready);
    }

    /// An operation until it is done, finds the end, or sleeps.
    fn operate(&self, waiter: usize, arm: ArmBy) -> End {
        let is_over = || self.is_ready.load(Ordering::Relaxed);
        // Two events at most, so three looks at most.
        for _ in 0..3 {
            let Look::Open(seen) = self.direction.look() else {
                return End::Closed;
            };
            if is_over() {
                return End::Done;
            }
            match arm(&self.direction, seen, waiter) {
                Arm::Waiting => return End::Sleeps,
                Arm::Changed(same) => assert_eq!(same, waiter),
                Arm::Closed(_) => return End::Closed,
            }
        }
        panic!("an operation tries without an end");
    }
}

/// A step of the word as a load and a store: forgets a waiter that arms in between.
fn advance_in_two(direction: &EventCount<usize>, cause: Cause) -> Advance {
    let word = direction.word.load(Ordering::Relaxed);
    // Release: as the real one.
    direction
        .word
        .store(advanced(word, cause), Ordering::Release);
    match word & WAITERS {
        0 => Advance::Quiet,
        _ => Advance::Wake,
    }
}

/// Begins to wait whatever the count is.
fn arm_blindly(direction: &EventCount<usize>, _: Seen, waiter: usize) -> Arm<usize> {
    let mut list = direction.list();
    direction.word.fetch_or(WAITERS, Ordering::Relaxed);
    list.push(waiter);
    Arm::Waiting
}

fn event_against_arm(arm: ArmBy) {
    loom::model(move || {
        let fake = fake();
        let kernel = Arc::clone(&fake);
        let kernel = thread::spawn(move || kernel.data());
        let end = fake.operate(0, arm);
        kernel.join().unwrap();
        match end {
            End::Done => assert_eq!(fake.wakes(0), 0),
            End::Sleeps => assert_eq!(fake.wakes(0), 1, "a wake is lost"),
            End::Closed => panic!("nobody closes"),
        }
    });
}

/// Goal: an event after the failed call is seen, and by who looks again, the data too.
#[test]
fn loom_event_against_arm() {
    event_against_arm(EventCount::arm);
}

#[test]
#[should_panic(expected = "a wake is lost")]
fn loom_seeded_bug_arm_without_comparing_is_found() {
    event_against_arm(arm_blindly);
}

fn close_against_arm(advance: fn(&Fake) -> Advance) {
    loom::model(move || {
        let fake = fake();
        let owner = Arc::clone(&fake);
        let owner = thread::spawn(move || advance(&owner));
        let end = fake.operate(0, EventCount::arm);
        let advance = owner.join().unwrap();
        assert_ne!(advance, Advance::Void);
        match end {
            End::Closed => assert_eq!(fake.wakes(0), 0),
            End::Sleeps => assert_eq!(fake.wakes(0), 1, "a wake is lost"),
            End::Done => panic!("there are no data"),
        }
        assert_eq!(fake.direction.look(), Look::Closed);
        assert!(fake.direction.is_closed());
    });
}

/// Goal: who waits while the direction is closed is woken or refused.
#[test]
fn loom_close_against_arm() {
    close_against_arm(|fake| fake.event(0, Cause::Closed));
}

#[test]
#[should_panic(expected = "a wake is lost")]
fn loom_seeded_bug_close_in_two_steps_is_found() {
    close_against_arm(|fake| {
        let advance = advance_in_two(&fake.direction, Cause::Closed);
        if advance == Advance::Wake {
            fake.direction.wake_all(0, &mut |waiter| fake.wake(waiter));
        }
        advance
    });
}

/// Reads the deadline; with the moment of the look.
type Observe = fn(&Fake) -> (Look, u32);

fn deadline_change_against_arm(observe: Observe) {
    loom::model(move || {
        let fake = fake();
        let setter = Arc::clone(&fake);
        let setter = thread::spawn(move || {
            setter.deadline.store(1, Ordering::Relaxed);
            let _ = setter.event(0, Cause::Ready);
        });
        let mut sleeps_by = None;
        for _ in 0..2 {
            let (Look::Open(seen), deadline) = observe(&fake) else {
                panic!("nobody closes");
            };
            if fake.direction.arm(seen, 0) == Arm::Waiting {
                sleeps_by = Some(deadline);
                break;
            }
        }
        setter.join().unwrap();
        let deadline = sleeps_by.expect("one change makes one retry");
        assert!(
            deadline == 1 || fake.wakes(0) == 1,
            "sleeps by a deadline that has changed"
        );
    });
}

/// Goal: nobody sleeps by an old deadline.
#[test]
fn loom_deadline_change_against_arm() {
    deadline_change_against_arm(|fake| {
        let look = fake.direction.look();
        (look, fake.deadline.load(Ordering::Relaxed))
    });
}

#[test]
#[should_panic(expected = "sleeps by a deadline that has changed")]
fn loom_seeded_bug_deadline_read_before_the_look_is_found() {
    deadline_change_against_arm(|fake| {
        let deadline = fake.deadline.load(Ordering::Relaxed);
        (fake.direction.look(), deadline)
    });
}

type WakeAll = fn(&EventCount<usize>, &mut dyn FnMut(usize));

fn retract_against_event(wake_all: WakeAll) {
    loom::model(move || {
        let fake = fake();
        let Look::Open(seen) = fake.direction.look() else {
            panic!("nobody closes");
        };
        assert_eq!(fake.direction.arm(seen, 0), Arm::Waiting);
        let kernel = Arc::clone(&fake);
        let kernel = thread::spawn(move || {
            if kernel.direction.advance(0, Cause::Ready) == Advance::Wake {
                wake_all(&kernel.direction, &mut |waiter| kernel.wake(waiter));
            }
        });
        let retracted = fake.direction.retract(|&waiter| waiter == 0);
        kernel.join().unwrap();
        let hands = u32::from(retracted.is_some()) + fake.wakes(0);
        assert_eq!(hands, 1, "the waiter is in {hands} hands");
    });
}

/// Goal: a waiter is woken or gets itself back, never both, never neither.
#[test]
fn loom_retract_against_event() {
    retract_against_event(|direction, wake| direction.wake_all(0, &mut |waiter| wake(waiter)));
}

#[test]
#[should_panic(expected = "the waiter is in 2 hands")]
fn loom_seeded_bug_wake_before_the_waiter_is_taken_is_found() {
    retract_against_event(|direction, wake| {
        let found = direction.retract(|_| true);
        if let Some(waiter) = found {
            // Back on the list for a moment: looked at and not taken.
            direction.list().push(waiter);
            wake(waiter);
        }
        let _ = direction.retract(|_| true);
    });
}

fn stale_event_against_reuse(wake_all: WakeAll) {
    loom::model(move || {
        let fake = fake();
        let Look::Open(seen) = fake.direction.look() else {
            panic!("nobody closes");
        };
        assert_eq!(fake.direction.arm(seen, 0), Arm::Waiting);
        let kernel = Arc::clone(&fake);
        let kernel = thread::spawn(move || {
            if kernel.direction.advance(0, Cause::HungUp) == Advance::Wake {
                wake_all(&kernel.direction, &mut |waiter| kernel.wake(waiter));
            }
        });
        // The first owner times out and goes; another comes and waits.
        let retracted = fake.direction.retract(|&waiter| waiter == 0);
        fake.direction.renew();
        let fresh = fake.direction.look();
        assert_eq!(fresh, Look::Open(Seen(1 << GENERATION_SHIFT)));
        let Look::Open(seen) = fresh else { return };
        assert_eq!(fake.direction.arm(seen, 1), Arm::Waiting);
        kernel.join().unwrap();
        assert_eq!(u32::from(retracted.is_some()) + fake.wakes(0), 1);
        assert_eq!(fake.wakes(1), 0, "a stale event wakes a stranger");
        let word = fake.direction.word.load(Ordering::Relaxed);
        assert_eq!(word, seen.0 | WAITERS, "a stale event is counted");
        assert_eq!(fake.direction.retract(|_| true), Some(1));
    });
}

/// Goal: an event of one owner neither counts for the next nor takes its waiter.
#[test]
fn loom_stale_event_against_reuse() {
    stale_event_against_reuse(|direction, wake| direction.wake_all(0, &mut |waiter| wake(waiter)));
}

#[test]
#[should_panic(expected = "a stale event wakes a stranger")]
fn loom_seeded_bug_wake_without_asking_whose_turn_it_is_is_found() {
    stale_event_against_reuse(|direction, wake| {
        let mut taken = direction.list().take();
        taken.drain().for_each(wake);
    });
}

fn two_waiters_one_event(wake_all: WakeAll) {
    loom::model(move || {
        let fake = fake();
        let operations = [0, 1].map(|waiter| {
            let fake = Arc::clone(&fake);
            thread::spawn(move || fake.operate(waiter, EventCount::arm))
        });
        fake.is_ready.store(true, Ordering::Relaxed);
        if fake.direction.advance(0, Cause::Ready) == Advance::Wake {
            wake_all(&fake.direction, &mut |waiter| fake.wake(waiter));
        }
        for (waiter, operation) in operations.into_iter().enumerate() {
            match operation.join().unwrap() {
                End::Done => assert_eq!(fake.wakes(waiter), 0),
                End::Sleeps => assert_eq!(fake.wakes(waiter), 1, "a wake is lost"),
                End::Closed => panic!("nobody closes"),
            }
        }
    });
}

/// Goal: an event wakes all who wait.
#[test]
fn loom_two_waiters_one_event() {
    two_waiters_one_event(|direction, wake| direction.wake_all(0, &mut |waiter| wake(waiter)));
}

#[test]
#[should_panic(expected = "a wake is lost")]
fn loom_seeded_bug_one_event_wakes_one_is_found() {
    two_waiters_one_event(|direction, wake| {
        if let Some(waiter) = direction.retract(|_| true) {
            wake(waiter);
        }
    });
}

/// Tries once, with the moment of the look: whether there was nothing.
type Try = fn(&Fake) -> (Look, bool);

/// One operation notes that nothing is left; another waits without having tried.
fn note_of_drainage_against_event(try_once: Try) {
    loom::model(move || {
        let fake = fake();
        let other = Arc::clone(&fake);
        let noting = thread::spawn(move || {
            if let (Look::Open(seen), true) = try_once(&other) {
                other.direction.note_drained(seen);
            }
        });
        let other = Arc::clone(&fake);
        let waiting = thread::spawn(move || {
            for _ in 0..2 {
                let Look::Open(seen) = other.direction.look() else {
                    panic!("nobody closes");
                };
                let is_certain = other.direction.should_wait_first(seen);
                if !is_certain && other.is_ready.load(Ordering::Relaxed) {
                    return End::Done;
                }
                if other.direction.arm(seen, 0) == Arm::Waiting {
                    return End::Sleeps;
                }
            }
            panic!("one event makes one retry");
        });
        fake.data();
        noting.join().unwrap();
        let woken = u32::from(waiting.join().unwrap() == End::Sleeps);
        assert_eq!(fake.wakes(0), woken, "waits for data that are there");
    });
}

/// Goal: who waits first, by somebody else's note, is told of the data that came since.
#[test]
fn loom_note_of_drainage_against_event() {
    note_of_drainage_against_event(|fake| {
        let look = fake.direction.look();
        (look, !fake.is_ready.load(Ordering::Relaxed))
    });
}

#[test]
#[should_panic(expected = "waits for data that are there")]
fn loom_seeded_bug_look_after_the_try_is_found() {
    note_of_drainage_against_event(|fake| {
        let is_drained = !fake.is_ready.load(Ordering::Relaxed);
        (fake.direction.look(), is_drained)
    });
}
