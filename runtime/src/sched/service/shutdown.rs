//! The end of a runtime's goroutines: all are unwound, then `threads.rs` ends the threads.
//!
//! Each goroutine of the runtime is asked to stop. A parked one wakes up and unwinds from its park
//! with [`Cancelled`](crate::sched::park::Cancelled); a running one does so at its next park or
//! yield. Repeated, because a goroutine may spawn others while it unwinds. Nobody else can: the
//! gate is closed first (`gate.rs`).
//!
//! No stack is freed without being unwound. A goroutine that never parks again is waited for, or,
//! where there is a time limit, reported; a thread in the background then goes on waiting.

use std::time::{Duration, Instant};

use super::listing::{self, Listed};
use crate::sched::park;
use crate::sched::shared::Shared;
use crate::task::seed_state::Ask;

const PAUSE_MIN: Duration = Duration::from_micros(50);
const PAUSE_MAX: Duration = Duration::from_millis(10);

/// Asks every goroutine to end, and waits until `deadline`: what has not ended then.
pub(crate) fn unwind_all(shared: &Shared, deadline: Option<Instant>) -> Result<(), Vec<Listed>> {
    shared.gate.close();
    let mut pause = PAUSE_MIN;
    // The gate first: who is inside may be about to count one more.
    while !shared.gate.is_empty() || shared.live() > 0 {
        stop_all(shared);
        if deadline.is_some_and(|end| Instant::now() >= end) {
            let left: Vec<Listed> = listing::goroutines(shared).collect();
            if !left.is_empty() {
                return Err(left);
            }
        }
        std::thread::park_timeout(pause);
        pause = (pause * 2).min(PAUSE_MAX);
    }
    Ok(())
}

fn stop_all(shared: &Shared) {
    for (g, id) in listing::headers(shared) {
        park::ask(g.to_ref().into(), id, Ask::Stop);
    }
    for (seed, id) in listing::unborn(shared) {
        park::ask(seed.into(), id, Ask::Stop);
    }
}
