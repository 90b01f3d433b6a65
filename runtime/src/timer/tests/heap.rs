//! The heap against a sorted list.

use super::{Heap, NEVER};

/// xorshift64.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn entries_come_out_in_order_and_not_before_their_time() {
    let mut seed = 7;
    let mut heap = Heap::new();
    let mut whens: Vec<u64> = (0..1000).map(|_| random(&mut seed) % 500).collect();
    for when in &whens {
        heap.push(*when, *when);
    }
    whens.sort_unstable();
    let mut popped = Vec::new();
    for now in 0..500 {
        assert!(heap.next() >= now);
        while let Some(when) = heap.pop_due(now) {
            assert_eq!(when, now, "late or early");
            popped.push(when);
        }
    }
    assert_eq!(popped, whens);
    assert_eq!((heap.len(), heap.next()), (0, NEVER));
}

/// Method: random pushes, pops and sweeps against a list that is searched.
#[test]
fn it_agrees_with_a_list() {
    let mut seed = 99;
    let mut heap = Heap::new();
    let mut model: Vec<(u64, u64)> = Vec::new();
    for id in 0..30_000 {
        match random(&mut seed) % 100 {
            0..60 => {
                let when = random(&mut seed) % 1000;
                heap.push(when, (when, id));
                model.push((when, id));
            }
            60..98 => {
                let now = random(&mut seed) % 1000;
                let least = model.iter().map(|(when, _)| *when).min();
                match heap.pop_due(now) {
                    Some(item) => {
                        assert_eq!(Some(item.0), least);
                        assert!(item.0 <= now);
                        let at = model.iter().position(|other| *other == item);
                        model.swap_remove(at.expect("popped once"));
                    }
                    None => assert!(least.is_none_or(|least| least > now)),
                }
            }
            _ => {
                let keep = |item: &(u64, u64)| !item.1.is_multiple_of(3);
                let gone = heap.sweep(keep);
                assert!(gone.iter().all(|item| !keep(item)));
                model.retain(keep);
            }
        }
        assert_eq!(heap.len(), model.len());
        let least = model.iter().map(|(when, _)| *when).min();
        assert_eq!(heap.next(), least.unwrap_or(NEVER));
    }
    let mut all: Vec<_> = heap.take().collect();
    all.sort_unstable();
    model.sort_unstable();
    let model: Vec<_> = model.into_iter().map(|item| (item.0, item)).collect();
    assert_eq!(all, model);
}

#[test]
fn a_sweep_gives_memory_back() {
    let mut heap = Heap::new();
    for n in 0..100_000 {
        heap.push(n, n);
    }
    assert_eq!(heap.sweep(|n| n % 1000 == 0).len(), 99_900);
    assert_eq!(heap.len(), 100);
    assert!(
        heap.entries.capacity() <= 1000,
        "{}",
        heap.entries.capacity()
    );
    assert_eq!(heap.pop_due(0), Some(0));
    assert_eq!(heap.next(), 1000);
}
