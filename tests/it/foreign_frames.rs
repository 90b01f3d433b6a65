//! C code with large frames and no stack probes, on goroutines: nothing of a frame is ever lost.
//!
//! Each test runs in a process of its own for each kind of guard. With markers a frame of some size
//! is seen when it touches the guard, and a larger one ends below the guard, in memory of the same
//! stack.

use std::time::Duration;

use gopark::goroutine::Builder;
use gopark_tests::frames::{Bytes, Frames, Order};
use gopark_tests::{alone, descend, is_case, runtime, wait_until};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
/// Around a window of 256 KiB, its guard, the page table that both lie in, and far beyond.
const SIZES: [usize; 12] = [
    100 * KIB,
    200 * KIB,
    260 * KIB,
    300 * KIB,
    330 * KIB,
    530_000,
    590_000,
    MIB,
    2 * MIB + 5,
    3 * MIB,
    16 * MIB,
    100 * MIB,
];
const ORDERS: [Order; 4] = [Order::Up, Order::Down, Order::Ends, Order::LowEnd];

/// Runs `case` with each compiler in a child for each kind of guard that the kernel has.
fn with_both_guards(test: &str, case: fn(&Frames)) {
    let all = || {
        for frames in Frames::all(env!("CARGO_TARGET_TMPDIR")) {
            case(&frames);
        }
    };
    if is_case(test) {
        alone(test, |_| (), all);
        return;
    }
    for guard in ["", "mprotect"] {
        alone(test, |child| _ = child.env("GOPARK_GUARD", guard), all);
    }
}

/// Runs `body` on a fresh goroutine.
fn fresh<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    gopark::spawn(body).join().unwrap()
}

#[test]
fn frames_without_probes_keep_their_bytes() {
    let name = "foreign_frames::frames_without_probes_keep_their_bytes";
    with_both_guards(name, |frames| {
        let frames = *frames;
        runtime(1).run(|| {
            for order in ORDERS {
                for len in SIZES {
                    let changed = fresh(move || frames.frame(len, order, || ()));
                    assert_eq!(changed, 0, "{frames:?} {order:?} {len}");
                }
            }
        });
    });
}

/// The stack grows below the frame, in a callback, by Rust's frames and by more of C's.
#[test]
fn growth_below_a_frame_keeps_its_bytes() {
    let name = "foreign_frames::growth_below_a_frame_keeps_its_bytes";
    with_both_guards(name, |frames| {
        let frames = *frames;
        runtime(2).run(|| {
            for order in ORDERS {
                for len in SIZES.into_iter().filter(|len| *len <= 16 * MIB) {
                    let below = move || {
                        assert_eq!(descend(700), 700);
                        gopark::yield_now();
                        for order in ORDERS {
                            let changed = frames.frame(len / 2, order, gopark::yield_now);
                            assert_eq!(changed, 0, "inner {frames:?} {order:?} {len}");
                        }
                    };
                    let changed = fresh(move || frames.frame(len, order, below));
                    assert_eq!(changed, 0, "{frames:?} {order:?} {len}");
                }
            }
        });
    });
}

/// Stacks are trimmed below what is parked, wherever that lies.
#[test]
fn trimming_keeps_frames_that_wait_in_a_callback() {
    let name = "foreign_frames::trimming_keeps_frames_that_wait_in_a_callback";
    with_both_guards(name, |frames| {
        let frames = *frames;
        runtime(2).run(|| {
            let park = || {
                // Something dead below, for the trimmer.
                descend(300);
                gopark::time::sleep(Duration::from_millis(2500));
                descend(300);
            };
            let spawn = |(order, len)| {
                let frame = move || frames.frame(len, order, park);
                (order, len, gopark::spawn(frame))
            };
            let small = SIZES.iter().filter(|len| **len <= 3 * MIB);
            let pairs = small.flat_map(|len| ORDERS.map(|order| (order, *len)));
            let parked: Vec<_> = pairs.map(spawn).collect();
            for (order, len, handle) in parked {
                let changed = handle.join().unwrap();
                assert_eq!(changed, 0, "{frames:?} {order:?} {len}");
            }
        });
    });
}

/// The thread of another goroutine, a plain thread, and the same thread on its own stack.
#[test]
fn others_may_fill_a_frame() {
    let name = "foreign_frames::others_may_fill_a_frame";
    with_both_guards(name, |frames| {
        let frames = *frames;
        type Fill = fn(Frames, Bytes);
        let with: [(&str, Fill); 3] = [
            ("a goroutine", |frames, bytes| {
                gopark::spawn(move || frames.fill(bytes)).join().unwrap();
            }),
            ("a thread", |frames, bytes| {
                gopark::blocking(|| {
                    std::thread::spawn(move || frames.fill(bytes))
                        .join()
                        .unwrap()
                });
            }),
            ("the thread's own stack", |frames, bytes| {
                gopark::on_thread_stack(|| frames.fill(bytes));
            }),
        ];
        runtime(2).run(|| {
            for (who, fill) in with {
                for len in SIZES.into_iter().filter(|len| *len <= 16 * MIB) {
                    let changed = fresh(move || frames.lent(len, |bytes| fill(frames, bytes)));
                    assert_eq!(changed, 0, "{frames:?} {who} {len}");
                }
            }
        });
    });
}

/// What frames have left below windows and guards does no harm to those who get the stack next.
#[test]
fn stacks_are_used_again_after_large_frames() {
    let name = "foreign_frames::stacks_are_used_again_after_large_frames";
    with_both_guards(name, |frames| {
        let frames = *frames;
        runtime(1).run(|| {
            for limit in [16 * MIB, 1 << 30] {
                let spawn = move |len| {
                    let body = move || {
                        let changed = frames.frame(len, Order::LowEnd, || ());
                        changed
                            + frames.lent(len, |bytes| {
                                gopark::on_thread_stack(|| frames.fill(bytes));
                            })
                    };
                    Builder::new().stack_limit(limit).spawn(body).unwrap()
                };
                for _ in 0..2 {
                    let round: Vec<_> = (1..40).map(|n| spawn(n * 100 * KIB)).collect();
                    for handle in round {
                        assert_eq!(handle.join().unwrap(), 0);
                    }
                    let deep = || Builder::new().stack_limit(limit).spawn(|| descend(3000));
                    assert_eq!(deep().unwrap().join().unwrap(), 3000);
                }
            }
        });
        // All of it is given back, what lay below the windows too.
        wait_until("the stacks are free", || {
            gopark::stack::trim(usize::MAX);
            gopark::stack::resident_bytes().unwrap() < 8 * MIB
        });
    });
}
