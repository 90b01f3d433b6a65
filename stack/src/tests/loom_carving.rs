//! Models of carving: at the limit no slot has two owners, and none is hidden from listings.

use loom::sync::Arc;
use loom::thread;

use super::{Carved, Carving};

type Carve = fn(&Carving, usize, u32) -> Carved;

/// Two threads carve twice each where one share of two is left. The bug takes more preemptions than
/// other models are given.
fn carvers_at_the_limit(carve: Carve) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(6);
    model.check(move || {
        let carving = Arc::new(Carving::new(2));
        let first = carve(&carving, 0, 8);
        let other = Arc::clone(&carving);
        let thread = thread::spawn(move || [carve(&other, 0, 8), carve(&other, 0, 8)]);
        let mine = [carve(&carving, 0, 8), carve(&carving, 0, 8)];
        let theirs = thread.join().unwrap();
        let mut numbers = Vec::new();
        for carved in [first].into_iter().chain(mine).chain(theirs) {
            if let Carved::Nth(nth) = carved {
                assert!(!numbers.contains(&nth), "slot {nth} has two owners");
                assert!(nth < carving.count(0), "slot {nth} is not listed");
                numbers.push(nth);
            }
        }
        assert!(numbers.len() <= 2, "more than the limit: {numbers:?}");
    });
}

#[test]
fn loom_carvers_at_the_limit() {
    carvers_at_the_limit(Carving::carve);
}

#[test]
#[should_panic]
fn loom_seeded_bug_a_count_taken_back_is_found() {
    carvers_at_the_limit(Carving::carve_and_take_back);
}

/// A class that is full gives the share of the limit back.
#[test]
fn loom_a_full_class_leaves_the_limit_to_others() {
    loom::model(|| {
        let carving = Arc::new(Carving::new(2));
        let other = Arc::clone(&carving);
        let thread = thread::spawn(move || other.carve(0, 0));
        let mine = carving.carve(1, 8);
        assert_eq!(thread.join().unwrap(), Carved::ClassIsFull);
        assert_eq!(mine, Carved::Nth(0));
        assert_eq!(carving.carve(1, 8), Carved::Nth(1));
        assert_eq!(carving.carve(1, 8), Carved::LimitIsReached);
    });
}
