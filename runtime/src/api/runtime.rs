//! A runtime: its Ps, its threads, and its end.

#![expect(
    unsafe_code,
    reason = "starting a runtime is unsafe: the thread-local contract"
)]

use std::fmt::{self, Write as _};
use std::io;
use std::panic::resume_unwind;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gopark_stack::{Line, Part};

use crate::api::builder::Builder;
use crate::api::handle::Handle;
use crate::api::join::JoinHandle;
use crate::api::leaked::Leaked;
use crate::api::scope::{Scope, scope_in};
use crate::api::spawn::{Home, spawn_unbound};
use crate::sched::header::{G, GRef};
use crate::sched::launch::Options;
use crate::sched::machine::Machine;
use crate::sched::panics;
use crate::sched::park;
use crate::sched::service::metrics::{self, Metrics};
use crate::sched::service::shutdown;
use crate::sched::service::threads::{self, Services};
use crate::sched::shared::{Preemption, Shared};
use crate::sched::sysmon::preempt;
use crate::sys::fork;

/// A scheduler with its own Ps and OS threads. Several may live in one process.
///
/// Dropping it unwinds every goroutine that is parked, waits for those that run to park or end, and
/// joins the threads. It cannot be dropped by one of its own goroutines, also inside
/// [`on_thread_stack`](crate::on_thread_stack): that panics, and the runtime goes on.
///
/// If for a second ([`Builder::exit_grace`]) no goroutine ends, what is left is listed on standard
/// error, and [`Builder::on_end`] says what follows: by default they are left behind. Goroutines
/// whose destructors run or wait are waited for ten times as long. A goroutine that catches the
/// unwinding ([`Cancelled`](crate::Cancelled)) a thousand times waits for ever after that, and is
/// listed and left behind; [`catch_panic`](crate::catch_panic) lets it through.
///
/// In a program that is built with `panic = "abort"` nothing can unwind: each goroutine is stopped
/// at its next call of the runtime, and its stack stays as it is, without running destructors.
#[derive(Debug)]
pub struct Runtime {
    shared: Arc<Shared>,
    /// Taken by whoever ends the runtime.
    services: Option<Services>,
}

impl Runtime {
    pub(crate) fn start(shared: Arc<Shared>) -> io::Result<Runtime> {
        gopark_stack::set_describe(describe);
        panics::wrap_hook();
        gopark_stack::set_running(G::running);
        if shared.config.preemption == Preemption::Suspend {
            preempt::install()?;
        }
        let services = threads::start(&shared)?;
        Ok(Runtime {
            shared,
            services: Some(services),
        })
    }

    /// Runs `main` as a goroutine and waits for it, blocking the calling thread. Goroutines that it
    /// spawned go on until the runtime is dropped.
    ///
    /// `main` may borrow and need not be `Send`: the caller is blocked meanwhile, so nobody else
    /// uses what it borrows. That it runs on other threads is part of the
    /// [contract](crate::contract).
    ///
    /// # Panics
    /// With the payload of a panic of `main`; when no stack is free; in the closure of a
    /// [`raw::park`](crate::raw::park).
    #[track_caller]
    pub fn run<T>(&self, main: impl FnOnce() -> T) -> T {
        let options = Options::here();
        let run = || match spawn_unbound(Home::Runtime(&self.shared), options, main) {
            Ok(handle) => handle.join(),
            Err(error) => panic!("gopark::Runtime::run: {error}"),
        };
        // What `main` borrows must stay: a caller that is a goroutine waits to the end, also when
        // its own runtime is being dropped.
        let outcome = match G::current() {
            Some(g) => {
                park::assert_may_wait(g);
                park::undisturbed(g, run)
            }
            None => run(),
        };
        outcome.unwrap_or_else(|payload| resume_unwind(payload))
    }

    /// Spawns a goroutine from anywhere.
    ///
    /// # Panics
    /// When no stack is free.
    #[track_caller]
    pub fn spawn<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        match spawn_unbound(Home::Runtime(&self.shared), Options::here(), f) {
            Ok(handle) => handle,
            Err(error) => panic!("gopark::Runtime::spawn: {error}"),
        }
    }

    /// A handle for spawning that may be cloned, sent and kept anywhere. It does not keep the
    /// runtime from ending.
    pub fn handle(&self) -> Handle {
        Handle::new(Arc::downgrade(&self.shared))
    }

    /// [`scope`](fn@crate::scope) for goroutines of this runtime, from anywhere: `f` runs on the
    /// caller, a plain thread too, which then waits for them.
    ///
    /// # Panics
    /// As [`scope`](fn@crate::scope); on a plain thread of a forked child.
    #[track_caller]
    pub fn scope<'env, F, T>(&self, f: F) -> T
    where
        F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
    {
        scope_in(Arc::clone(&self.shared), f)
    }

    /// Goroutines that have not ended; may be too large by those that are being spawned.
    pub fn num_goroutines(&self) -> usize {
        self.shared.live() as usize
    }

    /// Counters and gauges.
    pub fn metrics(&self) -> Metrics {
        metrics::metrics(&self.shared)
    }

    /// Ends the runtime as a drop does, but waits for `timeout` at most, and prints nothing.
    ///
    /// # Errors
    /// The goroutines that have not ended by then. They go on, with their threads, until they park
    /// or end. Those that never will, because they have caught every request to end, or because the
    /// program is built with `panic = "abort"`, are not waited for.
    ///
    /// # Panics
    /// When called by a goroutine of this runtime.
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Result<(), Leaked> {
        assert!(
            !self.is_own(),
            "gopark::Runtime::shutdown_timeout called by one of its own goroutines"
        );
        let services = self.services.take().expect("a runtime ends once");
        let deadline = Instant::now().checked_add(timeout);
        shutdown::end_until(&self.shared, services, deadline).map_err(Leaked::new)
    }

    /// Whether the caller is what the end would wait for: a goroutine of this runtime, whatever
    /// stack it is on, or a thread of it.
    fn is_own(&self) -> bool {
        let is_m =
            Machine::here().is_some_and(|m| std::ptr::eq(m.shared(), &raw const *self.shared));
        is_m || self.services.as_ref().is_some_and(Services::is_one_here)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let Some(services) = self.services.take() else {
            return;
        };
        if fork::is_child() {
            // There are no threads here to wait for.
            std::mem::forget(services);
            return;
        }
        if self.is_own() {
            // Waiting for oneself would last for ever: the runtime goes on, without a handle.
            assert!(
                std::thread::panicking(),
                "a runtime was dropped by one of its own goroutines"
            );
            return;
        }
        shutdown::end(&self.shared, services);
    }
}

/// Runs `main` as a goroutine of a new runtime with default settings; when it ends, the other
/// goroutines are unwound, as by dropping a [`Runtime`]: those that do not end within a second are
/// listed on standard error and left behind.
///
/// # Safety
/// No code on the goroutines of this runtime does what [`contract`](crate::contract) lists as
/// unsound: it keeps nothing that is bound to a thread across a call that may suspend.
///
/// # Panics
/// With the payload of a panic of `main`, and when the runtime cannot be built.
#[track_caller]
pub unsafe fn run<T>(main: impl FnOnce() -> T) -> T {
    // SAFETY: passed on.
    match unsafe { Builder::new().build() } {
        Ok(runtime) => runtime.run(main),
        Err(error) => panic!("gopark::run: {error}"),
    }
}

/// Names a goroutine in the report of its stack overflow. Async-signal-safe: reads the header of
/// the goroutine that faulted, on its own thread.
fn describe(header: NonNull<u8>, part: Part, line: &mut Line) -> fmt::Result {
    let g = GRef::new(header).get();
    match part {
        Part::Who => {
            write!(line, "goroutine {}", g.state.id())?;
            // SAFETY: the goroutine is stopped in its fault; nobody else touches its name.
            match unsafe { &*g.name.as_ptr() } {
                Some(name) => write!(line, " \"{name}\""),
                None => Ok(()),
            }
        }
        Part::Whence => match g.told.spawned_at() {
            Some(at) => writeln!(line, "spawned at {at}"),
            None => Ok(()),
        },
    }
}
