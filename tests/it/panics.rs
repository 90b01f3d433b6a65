//! A panic ends its goroutine, not the process.

use std::backtrace::Backtrace;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gopark_tests::{run, runtime};

#[test]
fn join_gives_the_payload() {
    run(2, || {
        let text = gopark::spawn(|| panic!("on purpose {}", std::hint::black_box(1)))
            .join()
            .unwrap_err();
        assert_eq!(*text.downcast::<String>().unwrap(), "on purpose 1");
        let any = gopark::spawn(|| std::panic::panic_any(42u64))
            .join()
            .unwrap_err();
        assert_eq!(*any.downcast::<u64>().unwrap(), 42);
        gopark::go(|| panic!("detached, on purpose"));
        assert_eq!(gopark::spawn(|| 5).join().unwrap(), 5);
    });
}

#[test]
fn a_panic_of_main_resumes_in_the_caller() {
    let runtime = runtime(2);
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        runtime.run(|| std::panic::panic_any("main"));
    }));
    assert_eq!(*caught.unwrap_err().downcast::<&str>().unwrap(), "main");
    assert_eq!(runtime.run(|| 6), 6);
}

/// Parks, spawns and joins while it unwinds.
struct Parker(Arc<AtomicUsize>);

impl Drop for Parker {
    fn drop(&mut self) {
        assert!(std::thread::panicking());
        for _ in 0..10 {
            let me = gopark::current();
            let waker = gopark::spawn(move || {
                assert!(!std::thread::panicking(), "ran on a thread that unwinds");
                me.unpark();
            });
            gopark::park();
            waker.join().unwrap();
            gopark::yield_now();
        }
        assert!(std::thread::panicking(), "the count was left behind");
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_goroutine_may_park_while_it_unwinds() {
    for procs in [1, 2, 4] {
        run(procs, || {
            let ended = Arc::new(AtomicUsize::new(0));
            let panicking: Vec<_> = (0..8)
                .map(|_| {
                    let parker = Parker(Arc::clone(&ended));
                    gopark::spawn(move || {
                        let _parker = parker;
                        panic!("on purpose");
                    })
                })
                .collect();
            for handle in panicking {
                assert!(handle.join().is_err());
            }
            assert_eq!(ended.load(Ordering::Relaxed), 8);
        });
    }
}

/// A destructor that joins a child while the runtime ends must not be woken before its time.
#[test]
fn a_destructor_may_join_while_its_runtime_is_dropped() {
    struct Joiner(Option<gopark::JoinHandle<()>>);
    impl Drop for Joiner {
        fn drop(&mut self) {
            assert!(self.0.take().unwrap().join().is_err());
        }
    }
    for _ in 0..20 {
        let runtime = runtime(2);
        for _ in 0..10 {
            runtime.spawn(|| {
                let slow = gopark::spawn(|| {
                    struct Slow;
                    impl Drop for Slow {
                        fn drop(&mut self) {
                            (0..200).for_each(|_| std::thread::yield_now());
                        }
                    }
                    let _slow = Slow;
                    gopark::park();
                });
                let _joiner = Joiner(Some(slow));
                loop {
                    gopark::park();
                }
            });
        }
        while runtime.num_goroutines() < 20 {
            std::thread::yield_now();
        }
        drop(runtime);
    }
}

#[inline(never)]
fn marked_function_of_a_goroutine() -> String {
    std::hint::black_box(Backtrace::force_capture()).to_string()
}

#[test]
fn a_backtrace_ends_at_the_root_of_its_goroutine() {
    let trace = run(2, || {
        gopark::spawn(marked_function_of_a_goroutine)
            .join()
            .unwrap()
    });
    assert!(trace.contains("marked_function_of_a_goroutine"), "{trace}");
    // Line tables alone, in an optimised build, give names without their modules.
    let entry = if cfg!(debug_assertions) {
        "gopark::sched::entry"
    } else {
        "entry"
    };
    assert!(trace.contains(entry), "{trace}");
    // corosensei links its coroutines to whoever resumed them; our own root has no caller.
    if cfg!(not(gopark_portable_switch)) {
        assert!(!trace.contains("machine_main"), "{trace}");
    }
}
