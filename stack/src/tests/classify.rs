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

fn judge(window: usize, addr: usize, sp: usize) -> Verdict {
    classify(&setting().0, |_| Some(window), addr, sp)
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
    let never = classify(&setting().0, |_| None, top - MIB, top - MIB);
    assert_eq!(never, Verdict::NotOurs, "a slot that was never used");
}
