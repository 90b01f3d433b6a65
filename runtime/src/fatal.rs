//! The end of a broken runtime, the threads that nothing may unwind, and warnings.
//!
//! Three kinds of failure: an error value for what the world does, a panic for misuse by the
//! program, and this for a state that must not exist: print what is known, abort.
//!
//! A panic on a thread of the runtime, outside of any goroutine, is of the last kind: the thread
//! would end and leave the program without a scheduler. So every thread of the runtime is started
//! by [`spawn`], which turns its panic into an abort.

use std::fmt;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{JoinHandle, ThreadId};

use crate::sys::stderr;

/// Aborts the process when it is dropped: alive while code runs that must not unwind.
#[derive(Debug)]
struct Bomb(&'static str);

impl Drop for Bomb {
    fn drop(&mut self) {
        die(format_args!("{}, on thread \"{}\"", self.0, thread_name()));
    }
}

/// Runs `f`; a panic in it aborts with `what` and the name of the thread. Costs nothing otherwise.
#[inline(always)]
pub(crate) fn no_unwind<T>(what: &'static str, f: impl FnOnce() -> T) -> T {
    let bomb = Bomb(what);
    let result = f();
    std::mem::forget(bomb);
    result
}

/// Starts a thread of the runtime: a panic on it aborts the process and names the thread.
///
/// # Errors
/// When the system gives none.
pub(crate) fn spawn(
    name: String,
    stack_bytes: Option<usize>,
    body: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let mut thread = std::thread::Builder::new().name(name);
    if let Some(bytes) = stack_bytes {
        thread = thread.stack_size(bytes);
    }
    thread.spawn(|| {
        let here = std::thread::current().id();
        services().push(here);
        no_unwind("a panic outside of any goroutine", body);
        services().retain(|thread| *thread != here);
    })
}

/// The threads of the runtimes, for the panic hook.
static SERVICES: Mutex<Vec<ThreadId>> = Mutex::new(Vec::new());

fn services() -> MutexGuard<'static, Vec<ThreadId>> {
    SERVICES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the calling thread was started by [`spawn`].
pub(crate) fn is_on_service() -> bool {
    services().contains(&std::thread::current().id())
}

/// The name of the calling thread.
pub(crate) fn thread_name() -> String {
    let thread = std::thread::current();
    String::from(thread.name().unwrap_or("without a name"))
}

/// Aborts the process with `what`.
#[cold]
pub(crate) fn die(what: fmt::Arguments<'_>) -> ! {
    stderr::print_now(&format!("gopark: fatal: {what}\n"));
    std::process::abort();
}

/// The kernel refuses what the first turn of a goroutine needs: as when a stack cannot grow.
#[cold]
pub(crate) fn no_stack(refusal: &io::Error) -> ! {
    die(format_args!(
        "no stack for the first turn of a goroutine: {refusal}"
    ));
}

/// The kernel refuses a signal stack, without which no stack can grow.
#[cold]
pub(crate) fn no_signal_stack(refusal: &io::Error) -> ! {
    die(format_args!(
        "no signal stack for a thread that runs goroutines: {refusal}"
    ));
}

/// Tells the person who runs the program something that the program cannot be told. Does not wait
/// until it is read.
pub(crate) fn warn(text: fmt::Arguments<'_>) {
    print(format_args!("gopark: {text}\n"));
}

/// Leaves whole lines to be printed to standard error.
pub(crate) fn print(text: fmt::Arguments<'_>) {
    stderr::print(text.to_string());
}
