//! Models of the seedbed: no seed lies there while a P is idle and its M sleeps.

use loom::sync::Arc;
use loom::thread;

use super::Seedbed;
use crate::sched::idle::searching::searching;
use crate::sched::idle::{Idle, Retract, Wake};

struct Fake {
    idle: Idle,
    bed: Seedbed,
}

type Spill = fn(&Fake) -> Option<Wake>;

const SEEDS: [usize; 2] = [1, 2];

fn put_then_submit(fake: &Fake) -> Option<Wake> {
    fake.bed.put(&SEEDS);
    fake.idle.submit()
}

fn submit_then_put(fake: &Fake) -> Option<Wake> {
    let wake = fake.idle.submit();
    fake.bed.put(&SEEDS);
    wake
}

/// M1, which searches, goes to sleep: how many seeds it took instead.
fn sleeps(fake: &Fake) -> usize {
    fake.idle.announce(1, Some(1), true, false);
    if fake.bed.len() == 0 || fake.idle.retract(1) == Retract::Sleep {
        return 0;
    }
    let mut out = [0; 4];
    let n = fake.bed.batch(4, &mut out);
    fake.idle.found();
    assert_eq!(out[..n], SEEDS);
    n
}

fn model(spill: Spill) {
    loom::model(move || {
        let fake = Arc::new(Fake {
            idle: searching(2, 2, 3),
            bed: Seedbed::new(),
        });
        // M0 has found work, and runs it.
        fake.idle.found();
        let sleeper = thread::spawn({
            let fake = Arc::clone(&fake);
            move || sleeps(&fake)
        });
        let wake = spill(&fake);
        let taken = sleeper.join().unwrap();
        let left = fake.bed.len();
        assert!(left == 0 || wake.is_some(), "seeds lie there and all sleep");
        assert_eq!(left + taken, SEEDS.len());
    });
}

#[test]
fn put_against_sleep() {
    model(put_then_submit);
}

#[test]
#[should_panic(expected = "seeds lie there and all sleep")]
fn put_against_sleep_seeded() {
    model(submit_then_put);
}
