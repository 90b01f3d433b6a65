//! A hand-over loop, for profilers: two goroutines wake each other in turn.
#![expect(unsafe_code, reason = "starts a runtime")]

use std::time::Instant;

const ROUNDS: u32 = 5_000_000;

#[gopark::main(unsafe(no_thread_bound_state_across_suspensions), procs = 1)]
fn main() {
    let main = gopark::current();
    let other = gopark::spawn(move || {
        for _ in 0..ROUNDS {
            gopark::park();
            main.unpark();
        }
    });
    let start = Instant::now();
    for _ in 0..ROUNDS {
        other.goroutine().unpark();
        gopark::park();
    }
    println!(
        "{:.1} ns one way",
        start.elapsed().as_nanos() as f64 / f64::from(2 * ROUNDS)
    );
    other.join().unwrap();
}
