//! Closures and results that pass by address because they are large.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gopark::{Cancelled, JoinSet};
use gopark_tests::{Counted, block_on, panic_text, run, run_calmly, runtime};

/// Of the size of `N` words, at an address that is a multiple of 256, and counted.
#[repr(align(256))]
struct Large<const N: usize> {
    words: [usize; N],
    _counted: Counted,
}

impl<const N: usize> Large<N> {
    fn new(number: usize, drops: &Arc<AtomicUsize>) -> Large<N> {
        Large {
            words: std::array::from_fn(|at| number ^ at),
            _counted: Counted(Arc::clone(drops)),
        }
    }

    #[track_caller]
    fn is(&self, number: usize) {
        assert_eq!(std::ptr::from_ref(self).addr() % 256, 0);
        let mut words = self.words.iter().enumerate();
        assert!(words.all(|(at, word)| *word == number ^ at));
    }
}

/// By every way that a result can take; each is dropped once.
fn results_come_by_every_way<const N: usize>() {
    let drops = Arc::new(AtomicUsize::new(0));
    let runtime = runtime(2);
    let made = |number| Large::<N>::new(number, &drops);
    runtime.run(|| made(1)).is(1);
    let large = made(2);
    runtime.spawn(move || large).join().unwrap().is(2);
    let large = made(3);
    runtime.handle().spawn(move || large).join().unwrap().is(3);
    runtime.run(|| {
        let large = made(4);
        gopark::scope(|s| s.spawn(|| large).join().unwrap()).is(4);
        let large = made(5);
        block_on(gopark::spawn(move || large).into_future())
            .unwrap()
            .is(5);
        let mut set = JoinSet::new();
        for number in 0..4 {
            let large = made(number);
            set.spawn(move || (number, large));
        }
        while let Some(result) = set.join_next() {
            let (number, large) = result.unwrap();
            large.is(number);
        }
        let large = made(6);
        let (s, r) = gopark::chan::bounded(1);
        gopark::go(move || {
            let large = large;
            large.is(6);
            s.send(large).ok().unwrap();
        });
        r.recv().unwrap().is(6);
        // Nobody takes these.
        let large = made(7);
        drop(gopark::spawn(move || large));
        let large = made(8);
        let handle = gopark::spawn(move || large);
        while !handle.is_finished() {
            gopark::yield_now();
        }
        drop(handle);
        let large = made(9);
        let wait_group = gopark::sync::WaitGroup::new();
        wait_group.go(move || large.is(9));
        wait_group.wait();
    });
    drop(runtime);
    assert_eq!(drops.load(Ordering::Relaxed), 13);
}

#[test]
fn results_of_any_size_come_by_every_way() {
    results_come_by_every_way::<1>();
    results_come_by_every_way::<64>();
    results_come_by_every_way::<2048>();
    results_come_by_every_way::<{ 8 << 10 }>();
}

#[test]
fn large_ones_are_dropped_once_when_the_goroutine_does_not_run_or_panics() {
    run_calmly(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let large = Large::<2048>::new(1, &drops);
        let handle = gopark::spawn(move || large);
        handle.cancel();
        assert!(handle.join().err().unwrap().is::<Cancelled>());
        assert_eq!(drops.load(Ordering::Relaxed), 1);

        let large = Large::<2048>::new(2, &drops);
        let handle = gopark::spawn(move || {
            large.is(2);
            if large.words[0] == 2 {
                panic!("on purpose");
            }
            large
        });
        assert_eq!(panic_text(handle.join().err().unwrap()), "on purpose");
        assert_eq!(drops.load(Ordering::Relaxed), 2);
    });
}

/// A result whose destructor panics, in the hands of whoever drops the handle.
#[test]
fn the_destructor_of_a_result_runs_where_its_handle_is_dropped() {
    struct Panics([u8; 5000]);
    impl Drop for Panics {
        fn drop(&mut self) {
            assert!(self.0[0] != 1, "the destructor of a result");
        }
    }
    run(1, || {
        let handle = gopark::spawn(|| Panics([1; 5000]));
        while !handle.is_finished() {
            gopark::yield_now();
        }
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(handle)));
        assert_eq!(
            panic_text(dropped.unwrap_err()),
            "the destructor of a result"
        );
    });
}
