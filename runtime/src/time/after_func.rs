//! Functions that run later, each in a goroutine of its own.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::sched::header::G;
use crate::sched::machine::{pin, unpin, unsuspended};
use crate::sched::shared::Shared;
use crate::sched::timers::{self, Action};
use crate::sys::clock;

/// A function that waits for its time; see [`after_func`]. Dropping it stops nothing.
#[derive(Clone)]
pub struct Timer {
    timer: Arc<timers::Timer>,
    runtime: Weak<Shared>,
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").finish_non_exhaustive()
    }
}

/// Runs `f` in a goroutine of its own, after `time`. The goroutine belongs to the caller's runtime.
///
/// # Panics
/// Outside a goroutine.
#[doc(alias = "AfterFunc")]
#[track_caller]
pub fn after_func(time: Duration, f: impl Fn() + Send + Sync + 'static) -> Timer {
    let Some(g) = G::of_thread() else {
        panic!("gopark::time::after_func called outside a runtime")
    };
    let timer = Timer {
        timer: timers::Timer::new(Action::Spawn(Arc::new(f))),
        runtime: g.runtime(),
    };
    timer.reset(time);
    timer
}

impl Timer {
    /// The runtime, unless it has ended. The memory of one that has ended may be there still.
    fn runtime(&self) -> Option<Arc<Shared>> {
        let shared = self.runtime.upgrade()?;
        // Acquire: pairs with the Release of the end.
        (!shared.ending.load(Ordering::Acquire)).then_some(shared)
    }

    /// Keeps the function from running: true if it was still to come. False if it has been started,
    /// or had been stopped. Does not wait for a function that runs.
    pub fn stop(&self) -> bool {
        let stop = |shared: &Shared| unsuspended(|| self.timer.stop(shared));
        self.runtime().is_some_and(|shared| stop(&shared))
    }

    /// Lets the function run after `time` from now, once more if it has run: true if it was still
    /// to come, as with [`stop`](Timer::stop). After the end of the runtime: does nothing.
    pub fn reset(&self, time: Duration) -> bool {
        let Some(shared) = self.runtime() else {
            return false;
        };
        let when = clock::after(time);
        match G::current() {
            Some(g) if std::ptr::eq(g.shared_ptr(), &raw const *shared) => {
                let m = pin(g);
                let was_running = self.timer.start(&shared, Some(m), when);
                unpin(m);
                was_running
            }
            _ => unsuspended(|| self.timer.start(&shared, None, when)),
        }
    }
}
