//! Stacks that grow, are reused, and are given back.

use gopark::goroutine::Builder;
use gopark::stack::{GuardKind, stats};
use gopark_tests::{build, descend, mappings, run};

#[test]
fn goroutines_recurse_far_beyond_their_first_window() {
    run(2, || {
        let deep: Vec<_> = (1..20)
            .map(|n| gopark::spawn(move || descend(n * 500)))
            .collect();
        for (n, handle) in (1..20).zip(deep) {
            assert_eq!(handle.join().unwrap(), n * 500);
        }
    });
}

#[test]
fn a_window_of_one_page_grows_by_faults() {
    let before = stats().unwrap().growths;
    let runtime = build(gopark::runtime::Builder::new().procs(1).stack_window(1));
    // Other tests of this process may have left wider windows: take a class that they do not use.
    let depth = runtime.run(|| {
        let limit = 1 << 20;
        let handles: Vec<_> = (0..40)
            .map(|_| {
                Builder::new()
                    .stack_limit(limit)
                    .spawn(|| descend(100))
                    .unwrap()
            })
            .collect();
        handles
            .into_iter()
            .map(|h| h.join().unwrap())
            .sum::<usize>()
    });
    assert_eq!(depth, 4000);
    assert!(stats().unwrap().growths > before);
}

#[test]
fn a_frame_larger_than_the_window_is_reached_page_by_page() {
    #[inline(never)]
    fn wide() -> u8 {
        let mut frame = [1u8; 1 << 20];
        std::hint::black_box(&mut frame);
        frame[0] + frame[(1 << 20) - 1]
    }
    run(2, || assert_eq!(gopark::spawn(wide).join().unwrap(), 2));
}

#[test]
fn nine_hundred_mebibytes_then_ten_thousand_others() {
    run(2, || {
        // Large frames keep the unoptimised build quick.
        #[inline(never)]
        fn sink(mebibytes: usize) -> usize {
            let frame = [0u8; 1 << 20];
            std::hint::black_box(&frame);
            if mebibytes == 0 {
                0
            } else {
                1 + sink(mebibytes - 1)
            }
        }
        let deep = Builder::new()
            .stack_limit(1 << 30)
            .spawn(|| sink(900))
            .unwrap();
        assert_eq!(deep.join().unwrap(), 900);
        // The result is there before the goroutine's last switch gives the stack back, which may
        // happen on another thread: wait for it (the watchdog ends a wait in vain).
        while gopark::stack::resident_bytes().unwrap() > 600 << 20 {
            gopark::yield_now();
        }
        for _ in 0..100 {
            let round: Vec<_> = (0..100)
                .map(|n| gopark::spawn(move || descend(n % 40)))
                .collect();
            round
                .into_iter()
                .for_each(|handle| _ = handle.join().unwrap());
        }
    });
}

#[test]
fn the_high_water_mark_follows_the_depth() {
    assert_eq!(gopark::stack::high_water(), None);
    run(1, || {
        let before = gopark::stack::high_water().unwrap();
        descend(1000);
        let after = gopark::stack::high_water().unwrap();
        assert!(
            before < 1 << 20 && after >= 3900 << 10,
            "{before}, then {after}"
        );
    });
}

#[test]
fn parked_goroutines_cost_no_mapping_with_markers() {
    if stats().unwrap().guard != GuardKind::Markers {
        return;
    }
    run(1, || {
        let warm: Vec<_> = (0..100).map(|_| gopark::spawn(gopark::park)).collect();
        gopark::yield_now();
        let before = mappings();
        let parked: Vec<_> = (0..5000).map(|_| gopark::spawn(gopark::park)).collect();
        gopark::yield_now();
        let added = mappings().saturating_sub(before);
        for handle in warm.into_iter().chain(parked) {
            handle.goroutine().unpark();
            handle.join().unwrap();
        }
        // The heap and threads of other tests may add some.
        assert!(added < 100, "{added} mappings for 5000 goroutines");
    });
}

#[test]
fn stack_limits_are_checked_and_named() {
    use gopark::runtime::Builder as Runtime;
    for bad in [0, 1, usize::MAX] {
        let error = gopark_tests::try_build(Runtime::new().stack_limit(bad)).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains(&bad.to_string()), "{error}");
        let error = run(1, || {
            Builder::new().stack_limit(bad).spawn(|| ()).unwrap_err()
        });
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains(&bad.to_string()), "{error}");
    }
    for bad in [0, usize::MAX] {
        let error = gopark_tests::try_build(Runtime::new().stack_window(bad)).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains(&bad.to_string()), "{error}");
    }
}
