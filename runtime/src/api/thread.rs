//! What a goroutine may do to the thread that it runs on.

use std::marker::PhantomData;
use std::panic::resume_unwind;

use crate::sched::blocking::Blocking;
use crate::sched::bound;
use crate::sched::header::{G, GRef};
use crate::sched::park::Exited;
use crate::sched::thread_stack;
use crate::sys::thread;

/// Ends the calling goroutine after running its destructors. Others are not touched; when the main
/// goroutine calls it, `Runtime::run` resumes unwinding with [`Exited`] in the caller. It unwinds:
/// `catch_unwind` may stop it, and a destructor that calls it while unwinding aborts the process.
///
/// # Panics
/// Outside a goroutine.
#[doc(alias = "Goexit")]
#[track_caller]
pub fn exit() -> ! {
    let _ = G::must_be_current("gopark::exit");
    resume_unwind(Box::new(Exited))
}

/// Runs `f`, which may block its thread, on this thread; meanwhile others get the P when there is
/// work for it (sysmon looks after 20 µs). Costs two uncontended compare-and-swaps.
///
/// Not needed for correctness: a thread that blocks without saying so is noticed too, only later.
/// Coming back may move the goroutine to another thread, so this is a call that may suspend.
/// `f` may use the runtime, also spawn and wake others; while it parks, the call does not count as
/// blocking. Nests: an inner call just runs its function. A panic of `f` is passed on after the
/// goroutine has come back. Outside a goroutine it just runs `f`.
#[doc(alias = "entersyscall")]
pub fn blocking<T>(f: impl FnOnce() -> T) -> T {
    let _back = G::current().and_then(Blocking::of);
    f()
}

/// Runs `f` without being suspended by a signal at the end of a slice: for foreign code that cannot
/// take `EINTR`. The goroutine stays on its thread meanwhile, also when it parks. If it runs for
/// long its P goes to others, and it runs on beside them. Nests; outside a goroutine it just runs
/// `f`.
pub fn no_preempt<T>(f: impl FnOnce() -> T) -> T {
    match G::current() {
        Some(g) => bound::no_preempt(g, f),
        None => f(),
    }
}

/// Runs `f` on the OS thread's own stack of 8 MiB: for foreign code with frames of more than a page
/// that it does not touch in order, which a growing stack cannot serve.
///
/// The goroutine cannot be suspended there: [`park`](fn@crate::park) and the like panic; a join, a
/// receive, a sleep and other waits block the thread, whose P goes to others meanwhile, and are not
/// ended by a cancel or a time limit. Spawning and goroutine-locals are as everywhere. `f` is not
/// suspended at the end of a slice, but loses its P to others if it takes long. A panic of `f` is
/// passed on. Outside a goroutine it just runs `f`.
///
/// # Panics
/// Where the switch is not ours (`gopark_portable_switch`, aarch64): when the system gives no
/// memory for a stack, which is made for each call there.
pub fn on_thread_stack<T>(f: impl FnOnce() -> T) -> T {
    match G::current() {
        Some(g) => bound::no_preempt(g, || thread_stack::call(g, f)),
        None => f(),
    }
}

/// Binds the calling goroutine to the OS thread that it runs on, until the guard is dropped: it
/// runs on no other thread, and nobody else runs on that one. Nests. Inherited by nobody. If the
/// goroutine ends while bound (its guard was forgotten), the thread ends too.
///
/// # Panics
/// Outside a goroutine.
#[doc(alias = "LockOSThread")]
#[track_caller]
pub fn lock_os_thread() -> OsThreadGuard {
    let g = G::must_be_current("gopark::lock_os_thread");
    bound::lock(g);
    OsThreadGuard {
        g: g.to_ref(),
        id: g.state.id(),
        thread: thread::id(),
        _goroutine: PhantomData,
    }
}

/// Keeps the goroutine on its OS thread; see [`lock_os_thread`].
#[derive(Debug)]
#[must_use = "the goroutine is unbound when this is dropped"]
pub struct OsThreadGuard {
    g: GRef,
    id: u64,
    thread: i32,
    /// Belongs to its goroutine: not Send.
    _goroutine: PhantomData<*mut ()>,
}

impl Drop for OsThreadGuard {
    fn drop(&mut self) {
        // It is not Send, but may be carried out of its goroutine as a result: then the thread has
        // ended with the goroutine, or is about to. Or it is dropped on the thread's own stack.
        let g = self.g.get();
        let is_here = match G::current() {
            Some(current) => current.to_ref() == self.g,
            None => thread::id() == self.thread,
        };
        if is_here && g.state.id() == self.id {
            bound::unlock(g);
        }
    }
}

/// Bytes of stack that the calling goroutine may still use before it overflows; `None` on a plain
/// thread.
pub fn remaining_stack() -> Option<usize> {
    let sp = gopark_stack::switch::stack_pointer();
    G::current().and_then(|_| gopark_stack::remaining_at(sp))
}
