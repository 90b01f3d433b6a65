//! Go's goroutine runtime as a Rust library.
//!
//! Blocking-style code on millions of cheap stackful goroutines: stacks start at one page and grow
//! in place up to 1 GiB, switches are a few nanoseconds of hand-written assembly, and a G/M/P
//! scheduler with work stealing spreads goroutines over OS threads.
//!
//! # The contract
//!
//! Starting a runtime is `unsafe`, once: a goroutine that is suspended may go on on another thread,
//! so code on goroutines must not keep what is bound to a thread across a call that may suspend.
//! [`contract`] says what that is, with a table of known crates and what to do instead. Everything
//! else is safe and sound.
//!
//! ```
//! // Nothing here holds a thread-local across a suspension.
//! let sum = unsafe {
//!     gopark::run(|| {
//!         let workers: Vec<_> = (0..10).map(|n| gopark::spawn(move || n * n)).collect();
//!         workers.into_iter().map(|worker| worker.join().unwrap()).sum::<i32>()
//!     })
//! };
//! assert_eq!(sum, 285);
//! ```
//!
//! # Floating-point modes of foreign code
//!
//! C code may set a rounding mode with `<fenv.h>` and call back into code that suspends: the mode
//! stays with its goroutine, and others do not see it. A mode that is set in MXCSR alone, such as
//! the flushing of denormals, does not survive a suspension, and other goroutines on the thread may
//! compute with it for a while: set it and take it back without suspending in between.
//!
//! # What a goroutine costs
//!
//! The pages that it touches (one, at first) and page tables: 8.2 KiB for each of the first 32,767
//! live goroutines, whose stacks may grow to 1 GiB; 4.2 KiB for the next million, up to 16 MiB; 264
//! bytes for those with a limit of 64 KiB (`Builder::stack_limit`). One of a burst of spawns has no
//! stack before its first turn, only 96 bytes, and a closure of more than five words waits on the
//! heap; the stack of one that has ended then does for it.

//! # How a program ends
//!
//! With `main`, as in Go: the other goroutines are unwound, so that their destructors run. What
//! does not come to an end within a second, because it reads standard input or computes, is listed
//! on standard error and left behind ([`runtime::Builder::on_end`]).
//!
//! In a program that is built with `panic = "abort"` nothing unwinds: at the end goroutines stop
//! where they are, and their destructors do not run; [`time::timeout`], [`exit`] and cancelling
//! panic, which aborts with a text.

// Modules stand in layer order: lower ones never import upper ones.
mod sys;

mod shim;

#[cfg(not(gopark_loom))]
mod fatal;
#[cfg_attr(
    gopark_loom,
    expect(dead_code, reason = "the models use parts of the queue")
)]
mod queue;
#[cfg_attr(
    gopark_loom,
    expect(dead_code, reason = "the models use parts of the state words")
)]
mod sched;
#[cfg_attr(
    gopark_loom,
    expect(dead_code, reason = "the models use parts of the state words")
)]
mod task;
#[cfg(not(gopark_loom))]
mod timer;

#[cfg(not(gopark_loom))]
pub mod time;

#[cfg(not(gopark_loom))]
pub mod net;

mod wait;

#[cfg_attr(
    gopark_loom,
    expect(dead_code, reason = "the models use parts of the state words")
)]
pub mod sync;

pub mod chan;

#[cfg(not(gopark_loom))]
mod api;

#[cfg(not(gopark_loom))]
pub use crate::{
    api::future::{JoinFuture, ScopedJoinFuture},
    api::goroutine::{catch_panic, current, park, try_current, yield_now},
    api::hooks::{SwitchGuard, inherit_hooks, on_switch, with_entered},
    api::join::JoinHandle,
    api::join_set::JoinSet,
    api::procs::{num_cpu, num_goroutines, procs, set_procs},
    api::raw,
    api::runtime::run,
    api::scope::{Scope, ScopedJoinHandle, scope},
    api::spawn::{go, spawn},
    api::thread::{
        OsThreadGuard, blocking, exit, lock_os_thread, mask_cancel, no_preempt, on_thread_stack,
        remaining_stack,
    },
    sched::park::{Cancelled, Exited},
    time::park_timeout,
};

#[cfg(all(feature = "macros", not(gopark_loom)))]
pub use gopark_macros::{main, test};

#[cfg(not(gopark_loom))]
#[doc(hidden)]
pub use crate::api::attributes as __attributes;

/// The runtime and its settings.
#[cfg(not(gopark_loom))]
pub mod runtime {
    pub use crate::api::builder::Builder;
    pub use crate::api::handle::Handle;
    pub use crate::api::leaked::{Leaked, LeakedGoroutine};
    pub use crate::api::runtime::Runtime;
    pub use crate::sched::panics::UnhandledPanic;
    pub use crate::sched::service::deadlock::Deadlock;
    pub use crate::sched::service::metrics::{Metrics, ProcMetrics};
    pub use crate::sched::service::shutdown::OnEnd;
    pub use crate::sched::shared::Preemption;
    pub use crate::sched::sysmon::long_slice::LongSlice;
}

/// Types of single goroutines.
#[cfg(not(gopark_loom))]
pub mod goroutine {
    pub use crate::api::goroutine::{Goroutine, GoroutineId};
    pub use crate::api::local::{AccessError, LocalKey};
    pub use crate::api::spawn::Builder;
}

/// Finding code that breaks the [contract].
#[cfg(not(gopark_loom))]
pub mod debug {
    pub use crate::api::debug::{ForbidGuard, forbid_suspend};
}

#[cfg(not(gopark_loom))]
#[doc = include_str!("contract.md")]
pub mod contract {}

/// Figures of the stacks, and giving memory back.
#[cfg(not(gopark_loom))]
pub mod stack {
    pub use gopark_stack::{GuardKind, Stats, resident_bytes, stats, trim};

    /// Bytes of the calling goroutine's stack that are resident, down to the lowest page: what it
    /// has touched, with what was prefaulted and what earlier users of the stack left. `None` on a
    /// plain thread.
    pub fn high_water() -> Option<usize> {
        gopark_stack::high_water_at(gopark_stack::switch::stack_pointer())
    }
}
