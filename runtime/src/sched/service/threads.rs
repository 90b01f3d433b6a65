//! The threads of a runtime: how they start and how they end.
//!
//! Four kinds: Ms, sysmon, the chores' thread, which starts Ms, and the lender of panic counts,
//! once a goroutine waits while it unwinds. One M is started at once, so
//! that a system that gives no thread says so. At the end (no goroutine will run) Ms that sleep are
//! ended, and all leave their loops; then the chores' thread; sysmon ends last.

#![expect(unsafe_code, reason = "marks a runtime's Ps in a forked child")]

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use super::chores::{self, Chore};
use crate::fatal;
use crate::sched::shared::Shared;
use crate::sched::sysmon::rounds::monitor_main;
use crate::sys::{fork, stderr};

const PAUSE: Duration = Duration::from_micros(50);
/// The last lines of a runtime are waited for no longer than this.
pub(super) const FLUSH: Duration = Duration::from_millis(100);

/// The threads of a runtime that are no Ms.
#[derive(Debug)]
pub(crate) struct Services {
    pub(crate) monitor: JoinHandle<()>,
    pub(crate) chores: JoinHandle<()>,
}

impl Services {
    /// Whether the caller is on one of them.
    pub(crate) fn is_one_here(&self) -> bool {
        let here = std::thread::current().id();
        [&self.monitor, &self.chores]
            .map(|service| service.thread().id())
            .contains(&here)
    }
}

/// Starts the threads.
///
/// # Errors
/// When the system gives none.
pub(crate) fn start(shared: &Arc<Shared>) -> io::Result<Services> {
    let name = |what: &str| format!("{}-{what}", shared.config.thread_name);
    let (one, two) = (Arc::clone(shared), Arc::clone(shared));
    let chores = fatal::spawn(name("chores"), None, move || chores::chores_main(&one))?;
    let monitor = match fatal::spawn(name("sysmon"), None, move || monitor_main(&two)) {
        Ok(monitor) => monitor,
        Err(error) => {
            shared.chores.ask(Chore::End);
            let _ = chores.join();
            return Err(error);
        }
    };
    // SAFETY: the runtime lives until `forget`, in `end`; marking stores to atomics.
    unsafe { fork::watch(Arc::as_ptr(shared).cast(), mark_forked) };
    let services = Services { monitor, chores };
    if let Err(error) = chores::start_first(shared) {
        end(shared, services);
        return Err(error);
    }
    Ok(services)
}

/// # Safety
/// `shared` is a runtime that lives.
unsafe fn mark_forked(shared: *const ()) {
    // SAFETY: the caller's promise.
    let shared = unsafe { &*shared.cast::<Shared>() };
    shared.procs.iter().for_each(|p| p.hold.mark_forked());
}

/// Ends the threads of a runtime without goroutines that could run.
pub(crate) fn end(shared: &Shared, services: Services) {
    // Release: pairs with the Acquire of an M that goes to sleep.
    shared.ending.store(true, Ordering::Release);
    while shared.idle.census().threads > 0 {
        for m in shared.idle.drain() {
            shared.machines.get(m).grant.end();
            shared.wake(m);
        }
        std::thread::park_timeout(PAUSE);
    }
    shared.net.end();
    // The program's functions are dropped here, and not by whoever drops the runtime's memory last.
    shared.procs.iter().for_each(|p| p.timers.clear());
    shared.chores.ask(Chore::End);
    let _ = services.chores.join();
    shared.panic_counts.end();
    for thread in shared.chores.take_threads() {
        let _ = thread.join();
    }
    shared.monitor.end();
    let _ = services.monitor.join();
    stderr::flush(FLUSH);
    fork::forget(std::ptr::from_ref(shared).cast());
}
