//! C frames without stack probes that do not fit their goroutine's stack.

use std::process::{Command, Output};

use gopark::goroutine::Builder;
use gopark_tests::frames::{Frames, Order};
use gopark_tests::{is_case, runtime};

use crate::{CASE, SIGABRT, died_of};

const ARGUMENTS: &str = "GOPARK_TEST_ARGUMENTS";
const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;

/// In the child: a goroutine with such a limit has such a frame, between the stacks of others or,
/// with the largest limit, alone.
fn overrun(frames: Frames, limit: usize, len: usize, order: Order) {
    let deep = move || frames.frame(len, order, gopark::yield_now);
    let builder = Builder::new().name("deep one").stack_limit(limit);
    if limit == GIB {
        // The stack with the lowest addresses: below it there is nothing of ours.
        let runtime = runtime(1);
        let _ = builder.spawn_on(&runtime.handle(), deep).unwrap().join();
        return;
    }
    runtime(1).run(move || {
        let spawn = |body: fn()| Builder::new().stack_limit(limit).spawn(body).unwrap();
        let before: Vec<_> = (0..6).map(|_| spawn(gopark::park)).collect();
        gopark::yield_now();
        let _ = builder.spawn(deep).unwrap().join();
        drop(before);
    });
}

fn child(name: &str, arguments: &str, guard: &str) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(CASE, name)
        .env(ARGUMENTS, arguments)
        .env("GOPARK_GUARD", guard)
        .output()
        .unwrap()
}

#[test]
fn frames_that_exceed_the_limit_are_reported() {
    const ORDERS: [Order; 3] = [Order::Up, Order::Down, Order::LowEnd];
    const CASES: [(usize, usize); 6] = [
        // Of dense stacks only such as end in a guard: neighbours lie between.
        (64 * KIB, 100 * KIB),
        (64 * KIB, 230 * KIB),
        (16 * MIB, 16 * MIB),
        (16 * MIB, 24 * MIB),
        (16 * MIB, 100 * MIB),
        (GIB, GIB),
    ];
    let name = "overrun::frames_that_exceed_the_limit_are_reported";
    if is_case(name) {
        let arguments = std::env::var(ARGUMENTS).unwrap();
        let mut numbers = arguments.split(' ').map(|text| text.parse().unwrap());
        let [limit, len, order] = std::array::from_fn(|_| numbers.next().unwrap());
        let frames = Frames::all(env!("CARGO_TARGET_TMPDIR"));
        return overrun(frames[0], limit, len, ORDERS[order]);
    }
    if Frames::all(env!("CARGO_TARGET_TMPDIR")).is_empty() {
        return;
    }
    for (limit, len) in CASES {
        for (nth, order) in ORDERS.iter().enumerate() {
            for guard in ["", "mprotect"] {
                let output = child(name, &format!("{limit} {len} {nth}"), guard);
                println!("limit {limit}, frame {len}, {order:?}, guard {guard:?}");
                let text = died_of(&output, SIGABRT);
                let expected = format!("\"deep one\" stack exceeds {limit}-byte limit");
                assert!(text.contains(&expected), "{text}");
            }
        }
    }
}
