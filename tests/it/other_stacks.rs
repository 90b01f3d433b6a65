//! Code of a goroutine that is on another stack for now: that of a coroutine, or the thread's.
//!
//! It finds its goroutine; it waits as a plain thread does, while others have the P.

#![expect(unsafe_code, reason = "sends a coroutine to another thread")]

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use corosensei::{Coroutine, CoroutineResult};
use gopark::goroutine::Builder;
use gopark::runtime::{Handle, Preemption};
use gopark::{chan, sync};
use gopark_tests::{Watchdog, build, panic_text, run};

gopark::goroutine_local! {
    static NUMBER: Cell<u32> = Cell::new(0);
}

/// Runs `f` on the stack of a coroutine.
fn in_a_coroutine<T>(f: impl FnOnce() -> T + 'static) -> T
where
    T: 'static,
{
    let mut coroutine = Coroutine::<(), (), T>::new(move |_, ()| f());
    match coroutine.resume(()) {
        CoroutineResult::Return(value) => value,
        CoroutineResult::Yield(()) => unreachable!("it yields nothing"),
    }
}

/// Runs `f` on each stack that is not the goroutine's.
fn on_each(f: impl Fn() + Copy + 'static) {
    in_a_coroutine(f);
    gopark::on_thread_stack(f);
    gopark::blocking(|| in_a_coroutine(f));
    // A stack of the arena, as goroutines have them.
    let stack = gopark_stack::GrowableStack::new(64 << 10).unwrap();
    let mut coroutine = Coroutine::<(), (), (), _>::with_stack(stack, move |_, ()| f());
    assert!(matches!(coroutine.resume(()), CoroutineResult::Return(())));
}

#[test]
fn a_wait_on_another_stack_is_no_suspension_that_could_be_forbidden() {
    run(2, || {
        let _forbid = gopark::debug::forbid_suspend();
        let waits = || {
            let (s, r) = chan::bounded(0);
            let worker = gopark::spawn(move || s.send(4).unwrap());
            assert_eq!(r.recv(), Ok(4));
            worker.join().unwrap();
            gopark::scope(|s| drop(s.spawn(|| ())));
        };
        in_a_coroutine(waits);
        gopark::on_thread_stack(waits);
    });
}

#[test]
fn a_spawn_on_another_stack_is_that_of_the_goroutine() {
    run(2, || {
        on_each(|| {
            let a = gopark::spawn(|| 1);
            let b = Builder::new().name("b").spawn(|| 2).unwrap();
            let c = Handle::current().spawn(|| 3);
            let (s, r) = chan::unbounded();
            gopark::go(move || s.send(4).unwrap());
            let wait_group = sync::WaitGroup::new();
            wait_group.go(gopark::yield_now);
            wait_group.wait();
            assert_eq!(a.join().unwrap() + b.join().unwrap() + c.join().unwrap(), 6);
            assert_eq!(r.recv(), Ok(4));
            let mut borrowed = 0;
            gopark::scope(|s| drop(s.spawn(|| borrowed += 1)));
            assert_eq!(borrowed, 1);
            let (s, r) = chan::bounded(1);
            gopark::time::after_func(Duration::from_millis(1), move || s.send(5).unwrap());
            assert_eq!(r.recv(), Ok(5));
        });
        // Those that were detached may be at their end still.
        while gopark::num_goroutines() > 1 {
            gopark::yield_now();
        }
    });
}

#[test]
fn the_goroutine_is_known_on_another_stack() {
    run(2, || {
        let id = gopark::current().id();
        NUMBER.set(7);
        on_each(move || {
            assert_eq!(gopark::current().id(), id);
            assert_eq!(NUMBER.get(), 7);
            assert_eq!(gopark::procs(), 2);
            assert_eq!(gopark::num_goroutines(), 1);
        });
    });
}

/// With one P, which goes to those that are waited for.
fn waits_let_others_run(preemption: Preemption) {
    let _watchdog = Watchdog::start();
    let builder = gopark::runtime::Builder::new().procs(1);
    let runtime = build(builder.preemption(preemption));
    runtime.run(|| {
        on_each(|| {
            for _ in 0..20 {
                let (s, r) = chan::bounded(0);
                let other = gopark::spawn(move || {
                    gopark::time::sleep(Duration::from_micros(100));
                    s.send(1).unwrap();
                });
                assert_eq!(r.recv(), Ok(1));
                other.join().unwrap();
                gopark::time::sleep(Duration::from_micros(100));
                let lock = Arc::new(sync::Mutex::new(0));
                let held = lock.lock();
                let other = {
                    let lock = Arc::clone(&lock);
                    gopark::spawn(move || *lock.lock() += 1)
                };
                drop(held);
                other.join().unwrap();
                assert_eq!(*lock.lock(), 1);
            }
        });
        // It is as free as before.
        gopark::yield_now();
        gopark::time::sleep(Duration::from_millis(1));
        assert_eq!(gopark::spawn(|| 1).join().unwrap(), 1);
    });
}

#[test]
fn waits_on_another_stack_let_others_run() {
    waits_let_others_run(Preemption::Suspend);
}

#[test]
fn waits_on_another_stack_let_others_run_without_preemption() {
    waits_let_others_run(Preemption::Cooperative);
}

#[test]
fn a_suspension_on_another_stack_is_refused_with_the_reason() {
    let calls: [(&str, fn()); 6] = [
        ("gopark::park", gopark::park),
        ("gopark::park_timeout", || {
            gopark::park_timeout(Duration::from_secs(1))
        }),
        ("gopark::raw::park", || gopark::raw::park(|_| true)),
        ("gopark::lock_os_thread", || drop(gopark::lock_os_thread())),
        ("gopark::set_procs", || _ = gopark::set_procs(1)),
        ("gopark::exit", || gopark::exit()),
    ];
    run(2, move || {
        let id = gopark::current().id();
        on_each(move || {
            for (name, call) in calls {
                let text = panic_text(catch_unwind(AssertUnwindSafe(call)).unwrap_err());
                let begin = format!(
                    "{name} called by goroutine {id} on a stack that is not its own (of stacker"
                );
                assert!(text.starts_with(&begin), "{text}");
            }
            gopark::yield_now();
        });
        gopark::yield_now();
        assert_eq!(gopark::procs(), 2);
    });
}

/// Coroutines that are resumed by one goroutine after another, on whatever threads.
#[test]
fn a_coroutine_spawns_for_whoever_resumes_it() {
    struct Sent(Coroutine<(), gopark::goroutine::GoroutineId, ()>);
    // SAFETY: what it keeps across a yield is on its own stack and may be sent.
    unsafe impl Send for Sent {}
    run(2, || {
        let mut sent = Sent(Coroutine::new(|yielder, ()| {
            for _ in 0..100 {
                gopark::spawn(|| ()).join().unwrap();
                yielder.suspend(gopark::current().id());
            }
        }));
        for _ in 0..100 {
            let resumed = gopark::spawn(move || {
                let mut sent = sent;
                match sent.0.resume(()) {
                    CoroutineResult::Yield(id) => assert_eq!(id, gopark::current().id()),
                    CoroutineResult::Return(()) => unreachable!("it yields a hundred times"),
                }
                sent
            });
            sent = resumed.join().unwrap();
        }
        assert!(matches!(sent.0.resume(()), CoroutineResult::Return(())));
    });
}
