//! A goroutine that computes for long, and another that runs beside it on the same P.

#![expect(
    unsafe_code,
    reason = "starting a runtime is unsafe: the thread-local contract"
)]

#[gopark::main(unsafe(no_thread_bound_state_across_suspensions))]
fn main() {
    gopark::set_procs(1);
    let hog = gopark::spawn(|| (0..500_000_000u64).fold(0, |a, b| a ^ b.wrapping_mul(a | 1)));
    let other = gopark::spawn(|| println!("the other ran beside a hog, on one P"));
    other.join().unwrap();
    println!("is the hog done? {}", hog.is_finished());
}
