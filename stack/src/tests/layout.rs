//! The slot arithmetic against a reference model, for arenas of all sizes.

use proptest::prelude::*;

use super::*;

/// Walks all boundaries one by one instead of computing: slow and plain.
fn walk(geometry: &Geometry, addr: usize) -> Option<Slot> {
    let mut at = geometry.base;
    let mut index = 0;
    for class in Class::ALL {
        for _ in 0..geometry.count(class) {
            if (at..at + class.slot_bytes()).contains(&addr) {
                return Some(Slot { index, class });
            }
            at += class.slot_bytes();
            index += 1;
        }
    }
    None
}

proptest! {
    #[test]
    fn locate_agrees_with_the_walk(
        skew in 0usize..(4 << 20), len in (8usize << 20)..(1 << 37), pick in 0.0f64..1.1,
    ) {
        let base = 0x7000_0000_0000 + skew / 4096 * 4096;
        let geometry = Geometry::plan(base, len, 200);
        let addr = base + (len as f64 * pick) as usize;
        prop_assert_eq!(geometry.locate(addr), walk(&geometry, addr));
    }

    #[test]
    fn slots_and_records_fit_the_reservation(
        skew in 0usize..(4 << 20), len in (8usize << 20)..(1 << 46),
    ) {
        let base = 0x1000_0000_0000 + skew / 4096 * 4096;
        let geometry = Geometry::plan(base, len, u32::MAX);
        prop_assert!(geometry.total() > 0);
        let end = geometry.records() + geometry.total() as usize * RECORD_BYTES;
        prop_assert!(end <= base + len, "records end {} bytes late", end - base - len);
    }

    #[test]
    fn a_slot_is_found_from_all_its_addresses(index in 0u32..1000, within in 0.0f64..1.0) {
        let geometry = Geometry::plan(0x1000_0000_0000, 1 << 40, u32::MAX);
        let class = *Class::ALL.iter().find(|c| {
            index < geometry.first(**c) + geometry.count(**c)
        }).unwrap();
        let slot = Slot { index, class };
        let (low, top) = (geometry.low(slot), geometry.top(slot));
        let addr = low + ((top - low - 1) as f64 * within) as usize;
        prop_assert_eq!(geometry.locate(addr), Some(slot));
        prop_assert_eq!(Slot::from(Packed::from(slot)), slot);
        prop_assert_eq!(geometry.locate(geometry.header(slot)), Some(slot));
        prop_assert!(geometry.header(slot) + HEADER_BYTES <= top);
        prop_assert!(geometry.header(slot) + TOP_BYTES_MAX >= top);
        prop_assert_eq!(geometry.header(slot) % 64, 0);
        prop_assert!(geometry.header(slot) - NEAR_BYTES >= geometry.floor(slot));
    }
}

#[test]
fn the_full_arena_has_the_promised_counts() {
    let geometry = Geometry::plan(0x1000_0000_0000, 1 << 46, u32::MAX);
    assert_eq!(geometry.count(Class::Large), 32767);
    assert_eq!(geometry.count(Class::Medium), 1 << 20);
    assert!(geometry.count(Class::Dense) > 100 << 20);
}

#[test]
fn a_first_window_and_its_guard_share_one_page_table() {
    let geometry = Geometry::plan(0x1000_0000_1000, 1 << 40, u32::MAX);
    for class in [Class::Large, Class::Medium] {
        for nth in 0..64 {
            let slot = Slot {
                index: geometry.first(class) + nth,
                class,
            };
            let top = geometry.top(slot);
            let low = top - WINDOW_BYTES_DEFAULT - GUARD_BYTES;
            assert_eq!((top - 1) / (2 << 20), low / (2 << 20));
        }
    }
}

#[test]
fn guards_lie_below_windows_inside_their_slots() {
    let geometry = Geometry::plan(0x1000_0000_1000, 1 << 40, u32::MAX);
    for class in Class::ALL {
        for nth in 0..64 {
            let index = geometry.first(class) + nth;
            let span = geometry.span(Slot { index, class });
            let usable = span.usable_bytes();
            let windows = [4096, WINDOW_BYTES_DEFAULT, 3 << 20, 15 << 20, usable];
            for window in windows.into_iter().filter(|window| *window <= usable) {
                let (first, later) = (span.first_guard(window), span.guard(window));
                assert_eq!((first.end, later.end), (span.top - window, first.end));
                assert!(span.low <= later.start && later.start <= first.start);
                assert!(first.len() >= GUARD_BYTES, "{class:?} {window}");
                if class != Class::Dense {
                    // No page table more than 64 KiB need.
                    let table = |addr: usize| addr / TABLE_BYTES;
                    assert_eq!(table(later.start), table(first.start));
                }
            }
        }
    }
}

#[test]
fn entries_for_neighbouring_tops_lie_in_different_lines() {
    let geometry = Geometry::plan(0x1000_0000_1000, 1 << 40, u32::MAX);
    for (class, lines) in [(Class::Large, 32), (Class::Medium, 16)] {
        let line_of = |nth: u32| {
            let index = geometry.first(class) + nth;
            (geometry.top(Slot { index, class }) - 1) / (8 * 4096) % 64
        };
        let used: std::collections::BTreeSet<_> = (0..lines).map(line_of).collect();
        assert_eq!(used.len(), lines as usize);
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn pages_of_neighbouring_tops_differ_in_their_lowest_bits() {
    let geometry = Geometry::plan(0x1000_0000_1000, 1 << 40, u32::MAX);
    // Of 256 neighbours, which lie in as many sets of a TLB.
    for (class, sets) in [
        (Class::Large, 256),
        (Class::Medium, 128),
        (Class::Dense, 256),
    ] {
        let page_of = |nth: u32| {
            let index = geometry.first(class) + nth;
            geometry.header(Slot { index, class }) / 4096 % 256
        };
        let used: std::collections::BTreeSet<_> = (0..256).map(page_of).collect();
        assert_eq!(used.len(), sets, "{class:?}");
    }
}

#[test]
fn limits_round_up_to_a_class_and_absurd_ones_are_named() {
    assert_eq!(Class::for_limit(64 << 10).unwrap(), Class::Dense);
    assert_eq!(Class::for_limit((64 << 10) + 1).unwrap(), Class::Medium);
    assert_eq!(Class::for_limit(1 << 30).unwrap(), Class::Large);
    for bad in [0, 1, (64 << 10) - 1, (1 << 30) + 1, usize::MAX] {
        let error = Class::for_limit(bad).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains(&bad.to_string()), "{error}");
    }
}
