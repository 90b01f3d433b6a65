//! The verdict on a fault, case by case.

use super::*;
use crate::layout::Class;

const MIB: usize = 1 << 20;

fn setting() -> (Geometry, Slot, usize) {
    let geometry = Geometry::plan(0x1000_0000_0000, 1 << 40, u32::MAX);
    let slot = Slot {
        index: 2,
        class: Class::Large,
    };
    let top = geometry.top(slot);
    (geometry, slot, top)
}

/// What is true of all slots, and who runs on the thread.
#[derive(Default)]
struct World {
    window: Option<usize>,
    user: Option<Slot>,
    /// Where something lies.
    used: Option<usize>,
    /// Nothing is mapped where the stack pointer is.
    is_void: bool,
}

impl Facts for World {
    fn window(&self, _: Slot) -> Option<usize> {
        self.window
    }

    fn user(&self, at: Option<Slot>) -> Option<Slot> {
        self.user.filter(|user| Some(*user) != at)
    }

    fn is_void(&self, _: usize) -> bool {
        self.is_void
    }

    fn is_used_below(&self, slot: Slot, addr: usize) -> bool {
        let floor = setting().0.floor(slot);
        self.used.is_some_and(|used| (floor..addr).contains(&used))
    }
}

fn with_window(window: usize) -> World {
    World {
        window: Some(window),
        ..World::default()
    }
}

fn judge(window: usize, addr: usize, sp: usize) -> Verdict {
    classify(&setting().0, &with_window(window), addr, sp)
}

#[test]
fn a_window_reaches_down_to_the_stack_pointer() {
    let (geometry, slot, top) = setting();
    let sp = top - 5 * MIB;
    let grown = |old, new| Verdict::Grow { slot, old, new };
    // An array is filled from its low end, from its high end, at either side of the guard.
    for addr in [top - MIB - 8, top - MIB - 64000, sp] {
        assert_eq!(judge(MIB, addr, sp), grown(MIB, 8 * MIB));
    }
    // The red zone counts.
    let sp = top - 2 * MIB;
    assert_eq!(judge(MIB, top - MIB - 8, sp), grown(MIB, 4 * MIB));
    assert_eq!(
        judge(MIB, top - MIB - 8, sp + RED_ZONE_BYTES),
        grown(MIB, 2 * MIB)
    );
    // A frame that ends in the hard guard does not fit, wherever it is touched.
    let floor = geometry.floor(slot);
    let most = geometry.usable_bytes(slot);
    assert_eq!(
        judge(MIB, top - MIB - 8, floor - 8),
        Verdict::Overflow(slot)
    );
    assert_eq!(judge(MIB, top - MIB - 8, floor), grown(MIB, most));
}

#[test]
fn a_frame_that_ends_in_a_neighbours_slot_is_an_overflow() {
    let (geometry, slot, top) = setting();
    let below = Slot {
        index: slot.index - 1,
        class: slot.class,
    };
    let sp = geometry.top(below) - 512 * MIB;
    let world = |window, user| World {
        window,
        user,
        ..World::default()
    };
    for window in [Some(MIB), None] {
        for addr in [top - MIB - 8, sp, geometry.top(below) - MIB - 8, 0] {
            let verdict = classify(&geometry, &world(window, Some(slot)), addr, sp);
            assert_eq!(verdict, Verdict::Overflow(slot), "{addr:#x}");
        }
    }
    // A user of the lower slot whose stack pointer lies above its own stack: a coroutine of its.
    let sp = top - MIB;
    let verdict = classify(&geometry, &world(Some(MIB), Some(below)), sp - 8, sp);
    assert_eq!(
        verdict,
        Verdict::Grow {
            slot,
            old: MIB,
            new: 2 * MIB
        }
    );
}

#[test]
fn a_frame_that_ends_below_the_arena_is_an_overflow() {
    let (geometry, slot, top) = setting();
    let world = |is_void| World {
        window: Some(MIB),
        user: Some(slot),
        used: None,
        is_void,
    };
    // The stack pointer is in no slot.
    let sp = 0x5000;
    for addr in [sp, sp - 8, top - MIB - 8] {
        let verdict = classify(&geometry, &world(true), addr, sp);
        assert_eq!(verdict, Verdict::Overflow(slot), "{addr:#x}");
    }
    let without_address = classify_frame(&geometry, &world(true), sp, 4096);
    assert_eq!(without_address, Verdict::Overflow(slot));
    // It points to memory: another stack of the goroutine.
    let elsewhere = classify(&geometry, &world(false), sp - 8, sp);
    assert_eq!(elsewhere, Verdict::NotOurs);
}

#[test]
fn another_thread_opens_a_guard_only_inside_a_frame() {
    let (geometry, slot, top) = setting();
    let addr = top - MIB - 4096;
    let world = |used| World {
        used,
        ..with_window(MIB)
    };
    let lent = Verdict::Lend {
        slot,
        window: MIB,
        from: addr,
    };
    for sp in [0x5000, geometry.low(slot) - 64] {
        let judge = |used, addr| classify(&geometry, &world(used), addr, sp);
        assert_eq!(judge(Some(top - 2 * MIB), addr), lent);
        assert_eq!(judge(None, addr), Verdict::NotOurs);
        assert_eq!(judge(Some(top - 64), addr), Verdict::NotOurs);
        assert_eq!(
            judge(Some(addr), geometry.floor(slot) - 8),
            Verdict::NotOurs
        );
        assert_eq!(judge(None, top - 4096), Verdict::Recheck);
    }
}

#[test]
fn a_signal_without_room_for_its_frame_lowers_the_window() {
    let (geometry, slot, top) = setting();
    let judge = |window, sp| classify_frame(&geometry, &with_window(window), sp, 4096);
    let grown = |old, new| Verdict::Grow { slot, old, new };
    assert_eq!(judge(MIB, top - MIB + 2048), grown(MIB, 2 * MIB));
    assert_eq!(judge(MIB, top - MIB - 100), grown(MIB, 2 * MIB));
    // There was room: something else is wrong.
    assert_eq!(judge(MIB, top - MIB + 8192), Verdict::NotOurs);
    assert_eq!(judge(2 * MIB, top - MIB), Verdict::NotOurs);
    assert_eq!(judge(MIB, 0x5000), Verdict::NotOurs);
    let most = geometry.usable_bytes(slot);
    let edge = geometry.floor(slot);
    assert_eq!(judge(most, edge + 2048), Verdict::Overflow(slot));
    let never = classify_frame(&geometry, &World::default(), top - MIB, 4096);
    assert_eq!(never, Verdict::NotOurs);
}

#[test]
fn a_touch_below_the_window_doubles_it() {
    let (_, slot, top) = setting();
    let verdict = judge(MIB, top - MIB - 8, top - MIB);
    assert_eq!(
        verdict,
        Verdict::Grow {
            slot,
            old: MIB,
            new: 2 * MIB
        }
    );
}

#[test]
fn a_large_window_grows_by_bounded_steps() {
    let (_, slot, top) = setting();
    let verdict = judge(256 * MIB, top - 256 * MIB - 1, top - 256 * MIB);
    assert_eq!(
        verdict,
        Verdict::Grow {
            slot,
            old: 256 * MIB,
            new: 256 * MIB + STEP_BYTES_MAX
        }
    );
}

#[test]
fn a_far_touch_grows_far_enough() {
    let (_, slot, top) = setting();
    let Verdict::Grow {
        slot: found, new, ..
    } = judge(MIB, top - 99 * MIB, top - MIB)
    else {
        panic!("must grow");
    };
    assert_eq!(found, slot);
    assert!((99 * MIB..=99 * MIB + STEP_BYTES_MAX).contains(&new));
}

#[test]
fn a_window_never_grows_into_the_hard_guard() {
    let (geometry, slot, _) = setting();
    let edge = geometry.floor(slot);
    let old = geometry.usable_bytes(slot) - MIB;
    let Verdict::Grow { new, .. } = judge(old, edge, edge) else {
        panic!("must grow")
    };
    assert_eq!(new, geometry.usable_bytes(slot));
    assert_eq!(judge(new, edge - 1, edge), Verdict::Overflow(slot));
    assert_eq!(
        judge(new, geometry.low(slot), edge),
        Verdict::Overflow(slot)
    );
}

#[test]
fn faults_that_are_not_about_this_stack_are_left_alone() {
    let (geometry, slot, top) = setting();
    let end = geometry.low(slot) + Class::Large.slot_bytes();
    assert_eq!(judge(MIB, 0, top - 64), Verdict::NotOurs, "null");
    assert_eq!(
        judge(MIB, top - MIB - 8, end + 64),
        Verdict::NotOurs,
        "SP in another slot"
    );
    assert_eq!(
        judge(MIB, top - MIB - 8, 0x5000),
        Verdict::NotOurs,
        "SP on a thread's stack"
    );
    assert_eq!(
        judge(MIB, top - 4096, top - MIB),
        Verdict::NotOurs,
        "inside the window"
    );
    assert!(top < end, "this slot has a shift");
    assert_eq!(judge(MIB, end - 8, top - 64), Verdict::NotOurs, "above it");
    let never = classify(&setting().0, &World::default(), top - MIB, top - MIB);
    assert_eq!(never, Verdict::NotOurs, "a slot that was never used");
}
