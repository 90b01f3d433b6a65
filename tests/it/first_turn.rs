//! Goroutines that have had no turn yet: the first ones of a burst have stacks that lie ready, the
//! others get theirs with the first turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use gopark::runtime::Preemption;
use gopark::stack::{GuardKind, stats};
use gopark::{Cancelled, JoinHandle, goroutine};
use gopark_tests::{Counted, Watchdog, alone, build, run, run_calmly, runtime, wait_until};

/// More than lie ready.
const MANY: usize = 300;
/// The first window of a stack.
const WINDOW_BYTES: usize = 256 << 10;

#[test]
fn who_is_cancelled_before_the_first_turn_does_not_run() {
    run_calmly(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let ran = Arc::new(AtomicUsize::new(0));
        let all: Vec<JoinHandle<()>> = (0..MANY)
            .map(|_| {
                let (counted, ran) = (Counted(Arc::clone(&drops)), Arc::clone(&ran));
                gopark::spawn(move || {
                    let _counted = counted;
                    ran.fetch_add(1, Ordering::Relaxed);
                })
            })
            .collect();
        all.iter().for_each(JoinHandle::cancel);
        for handle in all {
            assert!(handle.join().unwrap_err().is::<Cancelled>());
        }
        assert_eq!(ran.load(Ordering::Relaxed), 0);
        assert_eq!(drops.load(Ordering::Relaxed), MANY);
    });
}

#[test]
fn an_unpark_before_the_first_turn_ends_the_first_park() {
    run(1, || {
        let all: Vec<_> = (0..MANY).map(|_| gopark::spawn(gopark::park)).collect();
        for handle in &all {
            handle.goroutine().unpark();
        }
        all.into_iter().for_each(|handle| handle.join().unwrap());
    });
}

#[test]
fn a_scope_cancels_those_that_have_had_no_turn() {
    run_calmly(|| {
        let ran = AtomicUsize::new(0);
        gopark::scope(|scope| {
            for _ in 0..MANY {
                scope.spawn(|| ran.fetch_add(1, Ordering::Relaxed));
            }
            scope.cancel();
        });
        assert_eq!(ran.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn names_ids_and_large_closures_arrive_with_the_first_turn() {
    run(1, || {
        let all: Vec<_> = (0..MANY)
            .map(|n| {
                let large = [n as u8; 2000];
                let builder = goroutine::Builder::new().name(format!("number {n}"));
                let body = move || (gopark::current(), large);
                builder.spawn(body).unwrap()
            })
            .collect();
        for (n, handle) in all.into_iter().enumerate() {
            let outside = handle.goroutine().clone();
            let (inside, large) = handle.join().unwrap();
            assert_eq!(inside.id(), outside.id());
            assert_eq!(inside.name(), Some(format!("number {n}").as_str()));
            assert_eq!(large, [n as u8; 2000]);
        }
    });
}

/// In a seed, in a box until the stack is there, in a box for good; whatever they are aligned to.
#[test]
fn closures_of_any_size_arrive_whole_and_are_dropped_once() {
    #[repr(align(64))]
    #[derive(Clone, Copy)]
    struct Wide(u64);
    fn burst<T: Copy + PartialEq + Send + 'static>(content: impl Fn(usize) -> T) {
        let drops = Arc::new(AtomicUsize::new(0));
        let all: Vec<_> = (0..MANY)
            .map(|n| {
                let (kept, counted) = (content(n), Counted(Arc::clone(&drops)));
                let body = move || {
                    let _counted = counted;
                    kept
                };
                gopark::spawn(body)
            })
            .collect();
        for (n, handle) in all.into_iter().enumerate() {
            assert!(handle.join().unwrap() == content(n));
        }
        assert_eq!(drops.load(Ordering::Relaxed), MANY);
    }
    impl PartialEq for Wide {
        fn eq(&self, other: &Wide) -> bool {
            assert_eq!(std::ptr::from_ref(self) as usize % 64, 0);
            self.0 == other.0
        }
    }
    run(2, || {
        // With the counter: five words, six, and so on.
        burst(|n| [n; 4]);
        burst(|n| [n; 5]);
        burst(|n| [n; 100]);
        burst(|n| [n; 126]);
        burst(|n| [n; 127]);
        burst(|n| [n; 128]);
        burst(|n| Wide(n as u64));
    });
}

/// Large closures begin when somebody on a small stack leaves: they must not pass over that.
#[test]
fn large_closures_do_not_pass_over_the_stack_of_who_leaves() {
    run(1, || {
        let all: Vec<_> = (0..MANY / 3)
            .map(|n| {
                let large = [n as u8; 100 << 10];
                gopark::spawn(move || large.iter().map(|byte| usize::from(*byte)).sum::<usize>())
            })
            .collect();
        let builder = goroutine::Builder::new().stack_limit(64 << 10);
        // It leaves to many of them, with less than one of them takes.
        let small = builder.spawn(|| (0..MANY).for_each(|_| gopark::yield_now()));
        small.unwrap().join().unwrap();
        for (n, handle) in all.into_iter().enumerate() {
            assert_eq!(handle.join().unwrap(), n * (100 << 10));
        }
    });
}

/// Wakes and cancels come from two threads while the goroutines begin on two Ps: each ends.
#[test]
fn what_is_asked_at_the_first_turn_is_not_lost() {
    let _watchdog = Watchdog::start();
    let runtime = runtime(2);
    let cancelled: usize = (0..40)
        .map(|_| {
            let all: Vec<JoinHandle<()>> = runtime.run(|| {
                let park = |_| gopark::spawn(gopark::park);
                (0..MANY).map(park).collect()
            });
            let (wake, cancel): (Vec<_>, Vec<_>) =
                all.iter().enumerate().partition(|(n, _)| n % 2 == 0);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    wake.iter()
                        .for_each(|(_, handle)| handle.goroutine().unpark())
                });
                scope.spawn(|| cancel.iter().for_each(|(_, handle)| handle.cancel()));
            });
            let ended = all.into_iter().map(JoinHandle::join);
            ended.filter(Result::is_err).count()
        })
        .sum();
    assert_eq!(cancelled, 40 * MANY / 2);
}

/// A handle to one that has ended does nothing, though others began where it did.
#[test]
fn late_handles_do_not_reach_others() {
    run(1, || {
        let spawn = || (0..MANY).map(|_| gopark::spawn(|| ())).collect::<Vec<_>>();
        let first = spawn();
        let late: Vec<_> = first
            .iter()
            .map(|handle| handle.goroutine().clone())
            .collect();
        first.into_iter().for_each(|handle| handle.join().unwrap());
        let second = spawn();
        late.iter().for_each(goroutine::Goroutine::cancel);
        second.into_iter().for_each(|handle| handle.join().unwrap());
    });
}

#[test]
fn reports_and_the_end_know_those_that_have_had_no_turn() {
    let _watchdog = Watchdog::start();
    let builder = gopark::runtime::Builder::new().procs(1);
    let runtime = build(builder.preemption(Preemption::Cooperative));
    let stop = Arc::new(AtomicBool::new(false));
    let begun = Arc::new(AtomicBool::new(false));
    let drops = Arc::new(AtomicUsize::new(0));
    let hog = {
        let (stop, begun, drops) = (Arc::clone(&stop), Arc::clone(&begun), Arc::clone(&drops));
        runtime.spawn(move || {
            for _ in 0..MANY {
                let counted = Counted(Arc::clone(&drops));
                gopark::go(move || {
                    let _counted = counted;
                    gopark::park();
                });
            }
            begun.store(true, Ordering::Relaxed);
            while !stop.load(Ordering::Relaxed) {}
        })
    };
    wait_until("the hog has spawned", || begun.load(Ordering::Relaxed));
    let leaked = runtime
        .shutdown_timeout(Duration::from_millis(100))
        .unwrap_err();
    assert_eq!(leaked.goroutines().len(), MANY + 1, "{leaked}");
    stop.store(true, Ordering::Relaxed);
    hog.join().unwrap();
    wait_until("all have ended", || drops.load(Ordering::Relaxed) == MANY);
}

#[test]
fn a_burst_of_short_ones_shares_few_stacks() {
    let name = "first_turn::a_burst_of_short_ones_shares_few_stacks";
    alone(name, |_| (), burst);
}

fn burst() {
    const BURST: usize = 20_000;
    if stats().unwrap().guard == GuardKind::Protect {
        return; // Nothing is promised there.
    }
    let runtime = build(gopark::runtime::Builder::new().procs(1));
    runtime.run(|| {
        let all: Vec<_> = (0..BURST).map(|_| gopark::spawn(|| ())).collect();
        all.into_iter().for_each(|handle| handle.join().unwrap());
    });
    let opened = runtime.metrics().stack_bytes / WINDOW_BYTES;
    assert!(opened < BURST / 100, "{opened} stacks were opened");
}
