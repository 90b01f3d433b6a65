//! The end of a runtime: every goroutine is unwound, then every thread is joined.
//!
//! 1. Each goroutine of the runtime is asked to stop. A parked one wakes up and unwinds
//!    from its park with [`Cancelled`](super::park::Cancelled); a running one does so at its next
//!    park or yield. Repeated, because a goroutine may spawn others while it unwinds.
//! 2. When none is left, `ending`: Ms that sleep are woken, and all leave their loops.
//!
//! No stack is freed without being unwound. A goroutine that never parks again is waited for.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::park;
use super::shared::Shared;
use crate::sched::header::{G, GRef};

const PAUSE_MIN: Duration = Duration::from_micros(50);
const PAUSE_MAX: Duration = Duration::from_millis(10);

/// Ends the runtime. Not for its own goroutines.
pub(crate) fn shut_down(shared: &Arc<Shared>) {
    let mut pause = PAUSE_MIN;
    while shared.live() > 0 {
        stop_all(shared);
        std::thread::park_timeout(pause);
        pause = (pause * 2).min(PAUSE_MAX);
    }
    // Release: pairs with the Acquire of an M that goes to sleep.
    shared.ending.store(true, Ordering::Release);
    for thread in shared.take_threads() {
        while !thread.is_finished() {
            for m in shared.idle.drain() {
                shared.sleeper(m).end();
            }
            std::thread::park_timeout(PAUSE_MIN);
        }
        // A panic of an M would have been printed; there is nothing to add.
        let _ = thread.join();
    }
}

fn stop_all(shared: &Arc<Shared>) {
    for g in gopark_stack::headers().map(GRef::new) {
        let header: &G = g.get();
        let id = header.state.id();
        // The id first: a runtime's address means something only together with it.
        if id != 0 && std::ptr::eq(header.shared_ptr(), Arc::as_ptr(shared)) {
            park::act(g, header.state.stop(id));
        }
    }
}
