//! Panics: how their messages name goroutines, and which of them end the process.
//!
//! std's message names the OS thread, which says nothing of the goroutine. So the first runtime
//! wraps the panic hook that it finds. For a panic on a goroutine the wrapper
//!
//! - prints a message of its own if what it has wrapped is std's default hook;
//! - calls what it has wrapped if that is a hook of the program, because the form of the message is
//!   the program's business. `gopark::try_current` tells the hook which goroutine panics.
//!
//! A hook that the program sets later replaces the wrapper, as it would replace any other.
//!
//! Unwinding for `exit`, a cancel, a limit or the end of the runtime calls no hook, and is no panic
//! here.
//!
//! A panic inside a runtime call, while the M is pinned, is a fault of the runtime. It must not
//! unwind into the program, because the M would stay pinned and nothing could take its P. The
//! wrapper aborts then; where the program has replaced it, the root of the goroutine does.

use std::any::Any;
use std::backtrace::Backtrace;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::panic::{PanicHookInfo, set_hook, take_hook};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use super::interrupt::{self, Kind};
use super::machine::Machine;
use crate::fatal;
use crate::sched::header::{G, GRef};
use crate::sys::stderr;

/// As Go exits.
pub(crate) const EXIT_CODE: i32 = 2;

/// What becomes of the process when a goroutine panics and does not catch it. The message has been
/// printed then. [`exit`](crate::exit), cancels, time limits and the end of the runtime do not
/// count as panics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum UnhandledPanic {
    /// The goroutine ends; [`JoinHandle::join`](crate::JoinHandle::join) gives the payload. The
    /// program does not learn of the panic of a detached goroutine.
    #[default]
    Ignore,
    /// The process ends with status 2 if no `join` can give the payload to anybody: the goroutine
    /// was started by [`go`](fn@crate::go) or a timer, or its handle is dropped without a `join`,
    /// before the panic or after. The goroutines of a [`scope`](fn@crate::scope) are joined by
    /// their scope.
    ExitIfDetached,
    /// The process ends with status 2, as in Go, also when a `join` waits for the goroutine.
    Exit,
}

type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>;

/// Wraps the hook of the process, once.
pub(crate) fn wrap_hook() {
    static WRAP: Once = Once::new();
    // A thread that panics may not change the hook: the next runtime will.
    if std::thread::panicking() {
        return;
    }
    WRAP.call_once(wrap);
}

fn wrap() {
    let wrapped = take_hook();
    // Nothing is set now, so this is std's default hook. Both are the same object then: one
    // without a size, with the same functions.
    let default = take_hook();
    let is_default = std::ptr::eq(&raw const *wrapped, &raw const *default);
    set_hook(Box::new(move |info| on_panic(info, &wrapped, is_default)));
}

fn on_panic(info: &PanicHookInfo<'_>, wrapped: &Hook, is_default: bool) {
    let goroutine = Machine::here().and_then(|m| panicking(m, info));
    match goroutine {
        _ if !is_default => wrapped(info),
        Some(g) => print(g, info),
        // As std says it, but nothing waits here for a reader.
        None if fatal::is_on_service() => stderr::print_now(&format!(
            "\nthread '{}' panicked at {}\n",
            fatal::thread_name(),
            Told(info)
        )),
        None => wrapped(info),
    }
}

/// The goroutine that panics on `m`; `None` in the loop of the M.
fn panicking<'a>(m: &'a Machine, info: &PanicHookInfo<'_>) -> Option<&'a G> {
    match (G::current(), m.pin.is_set()) {
        (Some(g), true) => die_inside(g, format_args!("{}", Told(info))),
        (Some(g), false) => Some(g),
        (None, true) => None,
        // On another stack: `on_thread_stack`, or a coroutine of the program.
        (None, false) => GRef::from_ptr(m.current.load(Ordering::Relaxed)).map(GRef::get),
    }
}

/// Where and what, as std says it.
struct Told<'a>(&'a PanicHookInfo<'a>);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = self.0.location() {
            writeln!(f, "{at}:")?;
        }
        let payload = self.0.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        f.write_str(text.unwrap_or("Box<dyn Any>"))
    }
}

/// A goroutine, which is the caller, as messages name it.
struct Named<'a>(&'a G);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "goroutine {}", self.0.state.id())?;
        match self.0.name() {
            Some(name) => write!(f, " \"{name}\""),
            None => Ok(()),
        }
    }
}

/// std's message, of a goroutine.
fn print(g: &G, info: &PanicHookInfo<'_>) {
    static TOLD_HOW: AtomicBool = AtomicBool::new(false);
    let mut text = format!("\n{} panicked at {}\n", Named(g), Told(info));
    if let Some(at) = g.told.spawned_at() {
        let _ = writeln!(text, "spawned at {at}");
    }
    match std::env::var_os("RUST_BACKTRACE") {
        Some(wish) if wish == "full" => {
            let _ = writeln!(text, "stack backtrace:\n{:#}", Backtrace::force_capture());
        }
        Some(wish) if wish != "0" => {
            let _ = writeln!(text, "stack backtrace:\n{}", Backtrace::force_capture());
        }
        _ if TOLD_HOW.swap(true, Ordering::Relaxed) => {}
        _ => text.push_str(
            "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n",
        ),
    }
    // At once, as std does: the thread is the goroutine's. An error leads nowhere.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

#[cold]
fn die_inside(g: &G, what: fmt::Arguments<'_>) -> ! {
    fatal::die(format_args!(
        "{}, on thread \"{}\", panicked inside the runtime at {what}",
        Named(g),
        fatal::thread_name(),
    ))
}

/// The closure of the goroutine `g`, the caller, has unwound with `payload`.
#[cold]
pub(crate) fn ended(g: &G, payload: &(dyn Any + Send), is_detached: bool) {
    let m = g.machine();
    if m.pin.is_set() {
        die_inside(g, format_args!("a place that a panic hook has been told"));
    }
    let ends = match m.shared().config.unhandled_panic {
        UnhandledPanic::Ignore => false,
        UnhandledPanic::ExitIfDetached => is_detached,
        UnhandledPanic::Exit => true,
    };
    if ends && interrupt::kind(payload) == Kind::Panic {
        exit(format_args!("{} has panicked", Named(g)));
    }
}

/// Whether the panic of the goroutine `g`, the caller, may not be lost with its handle.
#[cold]
pub(crate) fn must_be_joined(g: &G, payload: &(dyn Any + Send)) -> bool {
    g.machine().shared().config.unhandled_panic == UnhandledPanic::ExitIfDetached
        && interrupt::kind(payload) == Kind::Panic
}

/// The result of a goroutine is dropped, and its panic with it, which must not be lost.
#[cold]
pub(crate) fn never_joined() -> ! {
    exit(format_args!(
        "a goroutine has panicked and its panic was joined nowhere"
    ))
}

fn exit(what: fmt::Arguments<'_>) -> ! {
    stderr::print_now(&format!(
        "gopark: {what}: the process ends (runtime::Builder::unhandled_panic)\n"
    ));
    std::process::exit(EXIT_CODE)
}

#[cfg(test)]
#[path = "tests/panics.rs"]
mod tests;
