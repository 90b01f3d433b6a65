//! The README's example: goroutines, a join, a deep recursion, a hand-over.
#![expect(unsafe_code, reason = "starts a runtime")]

fn depth(n: u64) -> u64 {
    if n == 0 {
        0
    } else {
        1 + std::hint::black_box(depth(n - 1))
    }
}

#[gopark::main(unsafe(no_thread_bound_state_across_suspensions))]
fn main() {
    let deep = gopark::spawn(|| depth(1_000_000));
    let workers: Vec<_> = (0..1000).map(|n| gopark::spawn(move || n)).collect();
    let sum: u64 = workers
        .into_iter()
        .map(|worker| worker.join().unwrap())
        .sum();
    println!("1000 goroutines add up to {sum}");
    println!(
        "one recursed {} deep on a stack that began at 4 KiB",
        deep.join().unwrap()
    );
}
