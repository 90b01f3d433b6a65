//! Two versions of gopark in one program: `cargo xtask test versions` builds and runs it.
//!
//! `first` and `second` are copies of the library with different versions. Each has stacks, threads
//! and signal handlers of its own; what concerns the other one's stacks is passed on.

#![expect(unsafe_code, reason = "starts runtimes; a wild pointer")]

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[inline(never)]
fn descend(pages: usize) -> usize {
    let mut page = [0u8; 4000];
    page[0] = pages as u8;
    black_box(&mut page);
    if pages == 0 {
        0
    } else {
        1 + descend(pages - 1) + usize::from(black_box(page[1]))
    }
}

macro_rules! runtime {
    ($version:ident) => {
        // SAFETY: nothing here keeps a thread-local over a suspension.
        unsafe {
            $version::runtime::Builder::new()
                .procs(1)
                .time_slice(Duration::from_millis(2))
                .build()
        }
        .unwrap()
    };
}

/// Goroutines of one version grow, pass messages, and hogs are suspended.
macro_rules! works {
    ($version:ident, $runtime:expr) => {
        let runtime = $runtime;
        runtime.run(|| {
            let (sender, receiver) = $version::chan::bounded(0);
            let deep = $version::spawn(move || sender.send(descend(3000)).unwrap());
            assert_eq!(receiver.recv(), Ok(3000));
            deep.join().unwrap();
            assert!($version::try_current().is_some());
        });
        let preemptions = || runtime.metrics().procs.iter().map(|p| p.preemptions).sum::<u64>();
        let before = preemptions();
        while preemptions() == before {
            runtime.run(|| {
                static STOP: AtomicBool = AtomicBool::new(false);
                STOP.store(false, Ordering::Relaxed);
                let hog = $version::spawn(|| while !STOP.load(Ordering::Relaxed) {});
                let other = $version::spawn(|| std::thread::sleep(Duration::from_millis(20)));
                other.join().unwrap();
                STOP.store(true, Ordering::Relaxed);
                hog.join().unwrap();
            });
        }
    };
}

/// Ends the process by an overflow, or by a wild pointer.
macro_rules! dies {
    ($runtime:expr, $how:expr) => {
        match $how {
            "overflow" => _ = $runtime.spawn(|| descend(usize::MAX)).join(),
            // SAFETY: none: this is the crash.
            _ => _ = $runtime.spawn(|| unsafe { black_box(8 as *mut u8).write(1) }).join(),
        }
    };
}

fn main() {
    let case = std::env::args().nth(1).unwrap_or_default();
    let (one, two) = (runtime!(first), runtime!(second));
    match case.split_once(' ') {
        Some(("first", how)) => dies!(one, how),
        Some(("second", how)) => dies!(two, how),
        _ => {
            works!(first, &one);
            works!(second, &two);
            works!(first, &one);
            // A goroutine of one that blocks in the other.
            let depth = one.run(|| {
                assert!(second::try_current().is_none());
                first::blocking(|| two.run(|| {
                    assert!(first::try_current().is_none());
                    second::spawn(|| descend(2000)).join().unwrap()
                }))
            });
            assert_eq!(depth, 2000);
            println!("both work");
        }
    }
}
