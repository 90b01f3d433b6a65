//! Models of the depot: no chain is given to two callers, and the missing tag is found.

use loom::sync::Arc;
use loom::thread;

use super::{Depot, Links};
use crate::shim::AtomicU32;

struct Table([AtomicU32; 3]);

impl Links for Table {
    fn chain(&self, index: u32) -> &AtomicU32 {
        &self.0[index as usize]
    }
}

fn filled(depot: Depot) -> Arc<(Depot, Table)> {
    let table = Table([AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0)]);
    for index in 0..3 {
        depot.push(&table, index);
    }
    Arc::new((depot, table))
}

/// Goal: two concurrent pops get different chains and nothing is lost.
#[test]
fn loom_two_pops_never_share() {
    loom::model(|| {
        let shared = filled(Depot::new());
        let other = Arc::clone(&shared);
        let thread = thread::spawn(move || other.0.pop(&other.1));
        let mine = shared.0.pop(&shared.1);
        let theirs = thread.join().unwrap();
        assert_ne!(mine, theirs);
        let mut all = vec![mine.unwrap(), theirs.unwrap()];
        all.extend(shared.0.pop(&shared.1));
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2]);
    });
}

/// One thread pops twice and puts the first back while the other pops: the classic ABA.
fn pop_against_push_pop(make: fn() -> Depot) {
    loom::model(move || {
        let shared = filled(make());
        let other = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            let first = other.0.pop(&other.1).unwrap();
            let second = other.0.pop(&other.1);
            other.0.push(&other.1, first);
            second
        });
        let mine = shared.0.pop(&shared.1);
        let mut all: Vec<u32> = thread.join().unwrap().into_iter().chain(mine).collect();
        while let Some(index) = shared.0.pop(&shared.1) {
            all.push(index);
            assert!(all.len() <= 3, "a chain is in two hands: {all:?}");
        }
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2]);
    });
}

#[test]
fn loom_pop_against_push_pop() {
    pop_against_push_pop(Depot::new);
}

#[test]
#[should_panic]
fn loom_seeded_bug_depot_without_tag_is_found() {
    pop_against_push_pop(Depot::without_tag);
}
