//! The context of a tokio runtime, entered on goroutines.

use std::time::Duration;

use gopark_tests::{alone, is_case, nap, run};
use tokio::runtime::{Builder, Handle, RuntimeFlavor};

#[test]
fn a_tokio_context_follows_its_goroutine() {
    let test = "a_tokio_context_follows_its_goroutine";
    for mode in ["", "migrate", "contract"] {
        let debug = |command: &mut std::process::Command| {
            command.env("GOPARK_DEBUG", mode);
        };
        alone(test, debug, in_and_out);
        if is_case(test) {
            return;
        }
    }
}

fn in_and_out() {
    let many = Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let one = Builder::new_current_thread().build().unwrap();
    let handles = [many.handle().clone(), one.handle().clone()];
    run(2, || {
        let serve = |n: usize| {
            let handle = handles[n % 2].clone();
            let other = handles[(n + 1) % 2].clone();
            gopark::spawn(move || {
                gopark::with_entered(|| handle.enter(), || turns(&handle, &other));
                assert!(Handle::try_current().is_err(), "the context is left");
            })
        };
        let all: Vec<_> = (0..200).map(serve).collect();
        all.into_iter().for_each(|one| one.join().unwrap());
        gopark::spawn(|| assert!(Handle::try_current().is_err()))
            .join()
            .unwrap();
    });
}

fn turns(handle: &Handle, other: &Handle) {
    let is_of = |handle: &Handle| {
        assert_eq!(Handle::current().runtime_flavor(), handle.runtime_flavor());
    };
    for turn in 0..10 {
        gopark::yield_now();
        is_of(handle);
        gopark::time::sleep(Duration::from_micros(100));
        is_of(handle);
        gopark::blocking(|| nap(Duration::from_micros(50)));
        is_of(handle);
        gopark::with_entered(
            || other.enter(),
            || {
                gopark::yield_now();
                is_of(other);
            },
        );
        is_of(handle);
        if handle.runtime_flavor() == RuntimeFlavor::MultiThread {
            let (sender, receiver) = gopark::chan::bounded(1);
            // By the context: the goroutine waits for the task as for any other sender.
            tokio::spawn(async move { sender.send(turn).unwrap() });
            assert_eq!(receiver.recv(), Ok(turn));
            is_of(handle);
        }
    }
}
