//! Spawning, joining, names and ids, runtimes side by side and their end.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gopark_tests::{run, runtime, try_build};

#[test]
fn results_come_back_in_any_order() {
    run(2, || {
        let handles: Vec<_> = (0..1000).map(|n| gopark::spawn(move || n * 2)).collect();
        for (n, handle) in handles.into_iter().enumerate().rev() {
            assert_eq!(handle.join().unwrap(), n * 2);
        }
    });
}

#[test]
fn spawned_then_blocked_runs_the_last_first_and_the_rest_in_order() {
    let order = run(1, || {
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        let handles: Vec<_> = (0..5)
            .map(|n| {
                let order = Arc::clone(&order);
                gopark::spawn(move || order.lock().unwrap().push(n))
            })
            .collect();
        handles
            .into_iter()
            .for_each(|handle| handle.join().unwrap());
        Arc::try_unwrap(order).unwrap().into_inner().unwrap()
    });
    assert_eq!(order, [4, 0, 1, 2, 3]);
}

#[test]
fn large_and_overaligned_closures_arrive_whole() {
    #[repr(align(128))]
    struct Aligned([u8; 128]);
    run(2, || {
        let large = [7u8; 100_000];
        let sum = gopark::spawn(move || large.iter().map(|b| usize::from(*b)).sum::<usize>());
        assert_eq!(sum.join().unwrap(), 700_000);
        let aligned = Aligned([3; 128]);
        let handle = gopark::spawn(move || {
            let aligned = aligned;
            assert_eq!((&raw const aligned) as usize % 128, 0);
            aligned.0[127]
        });
        assert_eq!(handle.join().unwrap(), 3);
    });
}

#[test]
fn ids_are_unique_and_names_are_kept() {
    run(2, || {
        let named = gopark::goroutine::Builder::new().name("worker").spawn(|| {
            assert_eq!(gopark::current().name(), Some("worker"));
            gopark::current().id()
        });
        let named = named.unwrap();
        assert_eq!(named.goroutine().name(), Some("worker"));
        let id = named.goroutine().id();
        assert_eq!(named.join().unwrap(), id);
        let ids: Vec<_> = (0..500)
            .map(|_| gopark::spawn(|| gopark::current().id()))
            .collect();
        let ids: HashSet<_> = ids
            .into_iter()
            .map(|handle| handle.join().unwrap())
            .collect();
        assert_eq!(ids.len(), 500);
        assert!(!ids.contains(&id));
    });
}

#[test]
fn a_plain_thread_may_join_and_spawn_through_the_runtime() {
    let runtime = runtime(2);
    let handles: Vec<_> = (0..100).map(|n| runtime.spawn(move || n)).collect();
    assert_eq!(
        handles.into_iter().map(|h| h.join().unwrap()).sum::<i32>(),
        4950
    );
    assert!(gopark::try_current().is_none());
}

#[test]
fn main_may_borrow_from_its_caller() {
    let mut text = String::from("a");
    runtime(2).run(|| {
        gopark::yield_now();
        text.push('b');
    });
    assert_eq!(text, "ab");
}

#[test]
fn runtimes_live_side_by_side_and_one_after_the_other() {
    let (one, two) = (runtime(1), runtime(2));
    for _ in 0..20 {
        let other = two.spawn(|| gopark::spawn(|| 2).join().unwrap());
        assert_eq!(one.run(move || other.join().unwrap()), 2);
    }
    drop(one);
    assert_eq!(two.run(|| 3), 3);
    drop(two);
    for _ in 0..20 {
        assert_eq!(runtime(2).run(|| gopark::spawn(|| 4).join().unwrap()), 4);
    }
}

#[test]
fn dropping_a_runtime_unwinds_what_is_parked() {
    struct Count(Arc<AtomicUsize>);
    impl Drop for Count {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let ended = Arc::new(AtomicUsize::new(0));
    let runtime = runtime(2);
    let handles: Vec<_> = (0..100)
        .map(|_| {
            let count = Count(Arc::clone(&ended));
            runtime.spawn(move || {
                let _count = count;
                loop {
                    gopark::park();
                }
            })
        })
        .collect();
    let joiner = runtime.spawn(|| {
        gopark::spawn(|| {
            loop {
                gopark::park()
            }
        })
        .join()
        .is_err()
    });
    while runtime.num_goroutines() < 102 {
        std::thread::yield_now();
    }
    drop(runtime);
    assert_eq!(ended.load(Ordering::Relaxed), 100);
    for handle in handles {
        let payload: Box<dyn std::any::Any + Send> = handle.join().unwrap_err();
        assert!(payload.is::<gopark::Cancelled>());
    }
    // Its child may have been unwound first: then it ended by itself.
    assert!(joiner.join().unwrap_or(true));
}

#[test]
fn detached_results_are_dropped_once() {
    let shared = Arc::new(());
    run(2, || {
        for _ in 0..100 {
            let shared = Arc::clone(&shared);
            drop(gopark::spawn(move || shared));
            let shared = Arc::new(());
            gopark::go(move || drop(shared));
        }
    });
    assert_eq!(Arc::strong_count(&shared), 1);
}

#[test]
fn procs_zero_means_the_number_of_cpus() {
    let runtime = runtime(0);
    runtime.run(|| ());
    while runtime.metrics().idle_procs < gopark::num_cpu() {
        std::thread::yield_now();
    }
    let absurd = try_build(gopark::runtime::Builder::new().procs(1 << 40)).unwrap_err();
    assert_eq!(absurd.kind(), std::io::ErrorKind::InvalidInput);
    assert!(absurd.to_string().contains("1099511627776"), "{absurd}");
}
