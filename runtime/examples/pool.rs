//! Workers that take jobs from one channel and answer on another, and somebody who waits for the
//! answers, but not for ever.

#![expect(
    unsafe_code,
    reason = "starting a runtime is unsafe: the thread-local contract"
)]

use std::time::Duration;

use gopark::{chan, select};

#[gopark::main(unsafe(no_thread_bound_state_across_suspensions))]
fn main() {
    let (jobs, todo) = chan::bounded(16);
    let (done, squares) = chan::unbounded();
    for _ in 0..4 {
        let (todo, done) = (todo.clone(), done.clone());
        gopark::go(move || todo.iter().for_each(|n| done.send(n * n).unwrap()));
    }
    drop((todo, done));
    gopark::go(move || (1..=100_u64).for_each(|n| jobs.send(n).unwrap()));

    let deadline = chan::after(Duration::from_secs(60));
    let mut sum = 0;
    loop {
        select! {
            recv(squares) -> square => match square {
                Ok(square) => sum += square,
                Err(_) => break,
            },
            recv(deadline) -> _ => panic!("too slow"),
        }
    }
    println!("the squares of 1 to 100 add up to {sum}");
}
