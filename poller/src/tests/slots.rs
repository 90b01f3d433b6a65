//! The table of slots, and events that come late.

use std::collections::HashSet;
use std::os::unix::net::UnixStream;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use super::*;
use crate::poller::{Events, Poller};

const NEVER: Duration = Duration::from_secs(30);

const READABLE: Readiness = Readiness {
    readable: true,
    writable: false,
    hup: false,
};
const ALL: Readiness = Readiness {
    readable: true,
    writable: true,
    hup: true,
};

/// A table of its own for each test: a table lives for ever.
fn table<W: Send>() -> &'static Slots<W> {
    Box::leak(Box::new(Slots::new()))
}

fn wait<W>(slot: &Slot<W>, direction: Direction, waiter: W) {
    let Look::Open(seen) = slot.look(direction) else {
        panic!("closed");
    };
    assert!(matches!(slot.arm(direction, seen, waiter), Arm::Waiting));
}

fn delivered(slots: &Slots<u32>, key: Key, ready: Readiness) -> Vec<u32> {
    let mut woken = Vec::new();
    slots.deliver(key, ready, &mut |waiter| woken.push(waiter));
    woken
}

const fn demand_send_and_sync<T: Send + Sync>() {}
const _: () = demand_send_and_sync::<Slot<std::cell::Cell<u32>>>();
const _: () = demand_send_and_sync::<Slots<std::cell::Cell<u32>>>();

/// What a descriptor costs, for small waiters.
const _: () = assert!(size_of::<Place<[usize; 2]>>() <= 192);

#[test]
fn every_number_has_a_place_of_its_own() {
    let mut expected = (0, 0);
    for number in 0..200_000 {
        assert_eq!(locate(number), expected, "{number}");
        expected.1 += 1;
        if expected.1 == chunk_len(expected.0) as usize {
            expected = (expected.0 + 1, 0);
        }
    }
    let last = locate(SLOTS_MAX - 1);
    assert_eq!(last, (CHUNKS - 1, chunk_len(CHUNKS - 1) as usize - 1));
    assert_eq!(locate(SLOTS_MAX), (CHUNKS, 0));
    assert_eq!(locate(u32::MAX).1, 63, "no overflow");
}

#[test]
fn open_slots_have_different_keys_across_chunks() {
    let slots = table::<u32>();
    let open: Vec<Slot<u32>> = (0..1000).map(|_| slots.open().unwrap()).collect();
    assert_eq!(slots.in_use(), 1000);
    for (number, slot) in (0..).zip(&open) {
        wait(slot, Direction::Read, number);
    }
    for (number, slot) in (0..).zip(&open) {
        assert_eq!(delivered(slots, slot.key(), READABLE), [number]);
    }
    drop(open);
    assert_eq!(slots.in_use(), 0);
}

#[test]
fn the_last_freed_is_reused_under_another_key() {
    let slots = table::<u32>();
    let mut keys = HashSet::new();
    let _other = slots.open().unwrap();
    for _ in 0..100 {
        let slot = slots.open().unwrap();
        assert_eq!(slot.key().slot(), 1);
        assert!(keys.insert(slot.key()));
    }
    assert_eq!(slots.in_use(), 1);
}

#[test]
fn a_full_table_refuses_until_a_slot_is_freed() {
    let mut slots = Slots::<u32>::new();
    slots.slots_max = 2;
    let slots: &Slots<u32> = Box::leak(Box::new(slots));
    let first = slots.open().unwrap();
    let _second = slots.open().unwrap();
    assert_eq!(slots.open().err(), Some(Full));
    drop(first);
    assert!(slots.open().is_ok());
}

#[test]
fn an_event_for_a_stale_key_does_nothing() {
    let slots = table();
    let old = slots.open().unwrap();
    let stale = old.key();
    drop(old);
    assert_eq!(delivered(slots, stale, ALL), [], "a free slot");

    let new = slots.open().unwrap();
    assert_eq!(new.key().slot(), stale.slot());
    let before = [Direction::Read, Direction::Write].map(|direction| new.look(direction));
    wait(&new, Direction::Read, 1);
    wait(&new, Direction::Write, 2);
    assert_eq!(delivered(slots, stale, ALL), [], "a slot with a new owner");
    let after = [Direction::Read, Direction::Write].map(|direction| new.look(direction));
    assert_eq!(before, after);
    assert_eq!(delivered(slots, new.key(), ALL), [1, 2]);
}

#[test]
fn an_event_wakes_its_direction_only() {
    let slots = table();
    let slot = slots.open().unwrap();
    wait(&slot, Direction::Read, 1);
    wait(&slot, Direction::Write, 2);
    assert_eq!(delivered(slots, slot.key(), READABLE), [1]);
    assert_eq!(slot.retract(Direction::Read, |_| true), None);
    assert_eq!(slot.retract(Direction::Write, |_| true), Some(2));
}

#[test]
fn closing_wakes_both_directions_and_is_said_once() {
    let slots = table();
    let slot = slots.open().unwrap();
    wait(&slot, Direction::Read, 1);
    wait(&slot, Direction::Write, 2);
    let mut woken = Vec::new();
    assert!(!slot.is_closed());
    assert!(slot.close(&mut |waiter| woken.push(waiter)));
    assert!(!slot.close(&mut |_| panic!("nobody waits")));
    assert!(slot.is_closed());
    assert_eq!(woken, [1, 2]);
    assert_eq!(slot.look(Direction::Read), Look::Closed);
    assert_eq!(slot.look(Direction::Write), Look::Closed);

    drop(slot);
    let slot = slots.open().unwrap();
    assert!(!slot.is_closed(), "the next owner's is open");
}

#[test]
fn the_shortcut_is_off_after_a_hang_up() {
    let slots = table();
    let slot = slots.open().unwrap();
    let drain = || {
        let Look::Open(seen) = slot.look(Direction::Read) else {
            panic!("closed");
        };
        slot.note_drained(Direction::Read, seen);
        slot.should_wait_first(Direction::Read, seen)
    };
    assert_eq!(delivered(slots, slot.key(), READABLE), []);
    assert!(drain());
    assert_eq!(delivered(slots, slot.key(), ALL), []);
    assert!(!drain());
}

#[test]
fn evicting_makes_homeless_and_disturbs_who_was_there() {
    let slots = table();
    let open: Vec<Slot<u32>> = (0..200).map(|_| slots.open().unwrap()).collect();
    for (number, slot) in (0..).zip(&open) {
        slot.set_home(1 + number as usize % 2);
        wait(slot, Direction::Read, number);
        wait(slot, Direction::Write, number);
    }
    let mut woken = Vec::new();
    slots.evict(1, &mut |waiter| woken.push(waiter));
    let expected = (0..200).filter(|number| number % 2 == 0);
    assert!(woken.into_iter().eq(expected.flat_map(|n| [n, n])));
    for (number, slot) in open.iter().enumerate() {
        let home = if number % 2 == 0 { 0 } else { 2 };
        assert_eq!(slot.home(), home);
    }
    slots.evict(1, &mut |_| panic!("nobody is there any more"));
}

#[test]
fn a_freed_slot_has_no_home() {
    let slots = table::<u32>();
    let slot = slots.open().unwrap();
    slot.set_home(7);
    drop(slot);
    assert_eq!(slots.open().unwrap().home(), 0);
}

#[test]
fn who_still_waits_when_a_slot_is_dropped_is_dropped_too() {
    let slots = table();
    let waiter = std::sync::Arc::new(());
    let slot = slots.open().unwrap();
    wait(&slot, Direction::Read, waiter.clone());
    wait(&slot, Direction::Read, waiter.clone());
    drop(slot);
    assert_eq!(std::sync::Arc::strong_count(&waiter), 1);
}

/// Method: the same slot number and, mostly, the same descriptor, over and over; each batch of
/// events is delivered to its owner and once more to the next.
#[test]
fn events_of_thousands_of_owners_of_one_slot_never_reach_another() {
    let slots = table();
    let poller = Poller::new().unwrap();
    let mut events = Events::new();
    let mut late = Vec::new();
    for number in 0..10_000_u32 {
        let (here, there) = UnixStream::pair().unwrap();
        let slot = slots.open().unwrap();
        assert_eq!(slot.key().slot(), 0);
        let here = poller.register(here, slot.key()).unwrap();
        wait(&slot, Direction::Read, number);
        for (key, readiness) in late.drain(..) {
            assert_ne!(key, slot.key());
            assert_eq!(delivered(slots, key, readiness), []);
        }
        drop(there);
        let mut woken = Vec::new();
        while woken.is_empty() {
            poller.wait(&mut events, Some(NEVER)).unwrap();
            assert!(!events.is_empty(), "owner {number} was not told");
            for (key, readiness) in events.iter() {
                assert_eq!(key, slot.key());
                slots.deliver(key, readiness, &mut |waiter| woken.push(waiter));
            }
            late.extend(events.iter());
        }
        assert_eq!(woken, [number]);
        drop(here);
    }
}

/// Method: one thread opens and closes, and is not told when; another delivers. Each waiter is its
/// own key, so a delivery to a stranger shows.
#[test]
fn events_that_are_delivered_meanwhile_never_reach_another() {
    let slots = table();
    let poller = Poller::new().unwrap();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut events = Events::new();
            // Relaxed: the notification comes after.
            while !is_over.load(Ordering::Relaxed) {
                poller.wait(&mut events, Some(NEVER)).unwrap();
                for (key, readiness) in events.iter() {
                    slots.deliver(key, readiness, &mut |waiter| assert_eq!(waiter, key));
                }
            }
        });
        for _ in 0..10_000 {
            let (here, there) = UnixStream::pair().unwrap();
            let slot = slots.open().unwrap();
            let here = poller.register(here, slot.key()).unwrap();
            // A waiter may find an event before it: the descriptor is writable from the beginning.
            for direction in [Direction::Read, Direction::Write] {
                if let Look::Open(seen) = slot.look(direction) {
                    let _ = slot.arm(direction, seen, slot.key());
                }
            }
            drop(there);
            let _ = slot.retract(Direction::Read, |_| true);
            drop((here, slot));
        }
        is_over.store(true, Ordering::Relaxed);
        poller.notify().unwrap();
    });
    assert_eq!(slots.in_use(), 0);
}
