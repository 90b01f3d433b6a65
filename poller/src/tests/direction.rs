//! The event count, one thread at a time.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;

fn seen<W>(direction: &EventCount<W>) -> Seen {
    match direction.look() {
        Look::Open(seen) => seen,
        Look::Closed => panic!("closed"),
    }
}

/// An event of generation 0, and whom it wakes.
fn event(direction: &EventCount<u32>, cause: Cause) -> Vec<u32> {
    let mut woken = Vec::new();
    let _ = direction.event(0, cause, &mut |waiter| woken.push(waiter));
    woken
}

#[test]
fn an_event_wakes_all_who_wait_in_order_and_once() {
    let direction = EventCount::new();
    for round in 0..3 {
        for waiter in 0..4 {
            assert_eq!(direction.arm(seen(&direction), waiter), Arm::Waiting);
        }
        assert_eq!(event(&direction, Cause::Ready), [0, 1, 2, 3], "{round}");
        assert_eq!(event(&direction, Cause::Ready), [], "{round}");
    }
}

#[test]
fn nobody_begins_to_wait_after_an_event_he_did_not_see() {
    let direction = EventCount::new();
    let before = seen(&direction);
    assert_eq!(event(&direction, Cause::Ready), []);
    assert_eq!(direction.arm(before, 1), Arm::Changed(1));
    assert_eq!(direction.arm(seen(&direction), 1), Arm::Waiting);
}

#[test]
fn closing_wakes_and_nobody_waits_any_more() {
    let direction = EventCount::new();
    let before = seen(&direction);
    assert_eq!(direction.arm(before, 1), Arm::Waiting);
    assert_eq!(event(&direction, Cause::Closed), [1]);
    assert!(direction.is_closed());
    assert_eq!(direction.look(), Look::Closed);
    assert_eq!(direction.arm(before, 2), Arm::Closed(2));
    let again = direction.event(0, Cause::Closed, &mut |_| panic!("nobody waits"));
    assert_eq!(again, Advance::Void);
    assert_eq!(event(&direction, Cause::Ready), []);
    assert_eq!(direction.look(), Look::Closed, "for good");
}

#[test]
fn a_waiter_that_was_retracted_is_not_woken() {
    let direction = EventCount::new();
    for waiter in 0..3 {
        assert_eq!(direction.arm(seen(&direction), waiter), Arm::Waiting);
    }
    assert_eq!(direction.retract(|&waiter| waiter == 1), Some(1));
    assert_eq!(direction.retract(|&waiter| waiter == 1), None);
    assert_eq!(event(&direction, Cause::Ready), [0, 2]);
    assert_eq!(direction.retract(|&waiter| waiter == 0), None);
}

#[test]
fn an_event_of_another_generation_does_nothing() {
    let direction = EventCount::new();
    let old = seen(&direction);
    direction.renew();
    assert_eq!(direction.generation(), 1);
    assert_eq!(direction.arm(old, 1), Arm::Changed(1));
    assert_eq!(direction.arm(seen(&direction), 1), Arm::Waiting);
    for cause in [Cause::Ready, Cause::HungUp, Cause::Closed] {
        let stale = direction.event(0, cause, &mut |_| panic!("stale"));
        assert_eq!(stale, Advance::Void);
    }
    assert!(!direction.is_closed());
    assert_eq!(direction.retract(|_| true), Some(1));
}

#[test]
fn a_new_generation_is_open_and_without_waiters_and_notes() {
    let direction = EventCount::new();
    direction.note_drained(seen(&direction));
    assert_eq!(direction.arm(seen(&direction), 1), Arm::Waiting);
    let _ = event(&direction, Cause::Closed);
    direction.renew();
    let fresh = seen(&direction);
    assert_eq!(fresh, Seen(1 << GENERATION_SHIFT));
    assert!(!direction.should_wait_first(fresh));
    assert_eq!(direction.retract(|_| true), None);
}

#[test]
fn a_note_of_drainage_holds_until_the_next_event() {
    let direction = EventCount::new();
    let first = seen(&direction);
    assert!(!direction.should_wait_first(first), "0 is no note");
    direction.note_drained(first);
    assert!(direction.should_wait_first(first));
    assert_eq!(direction.arm(first, 1), Arm::Waiting);
    assert!(
        direction.should_wait_first(seen(&direction)),
        "a waiter is no event"
    );
    assert_eq!(event(&direction, Cause::Ready), [1]);
    assert!(!direction.should_wait_first(seen(&direction)));
}

#[test]
fn nobody_waits_first_once_the_peer_has_hung_up() {
    let direction = EventCount::new();
    let _ = event(&direction, Cause::HungUp);
    direction.note_drained(seen(&direction));
    assert!(!direction.should_wait_first(seen(&direction)));
    let _ = event(&direction, Cause::Ready);
    direction.note_drained(seen(&direction));
    assert!(!direction.should_wait_first(seen(&direction)), "for good");
}

#[test]
fn the_count_and_the_generation_wrap_around_by_themselves() {
    let direction = EventCount::<u32>::new();
    let last = !(WAITERS | CLOSED | HUP);
    direction.word.store(last, Ordering::Relaxed);
    let _ = direction.event(u32::MAX, Cause::Ready, &mut |_| panic!("nobody waits"));
    assert_eq!(seen(&direction), Seen(last & !COUNT));
    direction.renew();
    assert_eq!(seen(&direction), Seen(0));
}

#[test]
fn a_waker_may_use_the_direction() {
    let direction = EventCount::new();
    assert_eq!(direction.arm(seen(&direction), 1), Arm::Waiting);
    let _ = direction.event(0, Cause::Ready, &mut |waiter| {
        assert_eq!(direction.arm(seen(&direction), waiter + 1), Arm::Waiting);
    });
    assert_eq!(event(&direction, Cause::Ready), [2]);
}

#[test]
fn a_matcher_that_panics_takes_nobody() {
    let direction = EventCount::new();
    assert_eq!(direction.arm(seen(&direction), 1), Arm::Waiting);
    let search = || direction.retract(|_| panic!("a matcher"));
    assert!(catch_unwind(AssertUnwindSafe(search)).is_err());
    assert_eq!(event(&direction, Cause::Ready), [1]);
}

#[test]
fn a_word_shows_its_parts() {
    let direction = EventCount::new();
    let _ = event(&direction, Cause::HungUp);
    assert_eq!(direction.arm(seen(&direction), 1), Arm::Waiting);
    let text = format!("{direction:?}");
    assert_eq!(text, "EventCount(count 1, generation 0, hup, waiters)");
}
