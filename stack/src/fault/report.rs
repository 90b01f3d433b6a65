//! Last words from inside a signal handler.
//!
//! Everything here is async-signal-safe: a line is put together in an array on the alternate stack
//! and written with one `write(2)`. Formatting integers and strings with `core::fmt` allocates
//! nothing. Do not print, lock or allocate here, however tempting.

#![expect(
    unsafe_code,
    reason = "writes with write(2) from a signal handler, then aborts"
)]

use std::fmt;
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::dump;
use crate::layout::Class;

/// Puts the name of a stack's user into the report: who it is, then, after the limit, whence.
///
/// Called in a signal handler with the stack's header: it may only read the header and write to
/// the line.
pub type Describe = fn(header: NonNull<u8>, part: Part, line: &mut Line) -> fmt::Result;

/// Which part of the overflow report is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The subject: `goroutine 7 "name"`.
    Who,
    /// What follows the first line, each line ended: where it was spawned.
    Whence,
}

/// A line of bounded length; what does not fit is cut.
#[derive(Debug)]
pub struct Line {
    bytes: [u8; 1024],
    len: usize,
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.len() - self.len;
        let n = text.len().min(room);
        self.bytes[self.len..self.len + n].copy_from_slice(&text.as_bytes()[..n]);
        self.len += n;
        Ok(())
    }
}

impl Line {
    pub(crate) fn new() -> Line {
        Line {
            bytes: [0; 1024],
            len: 0,
        }
    }

    /// Waits for room, but not for ever: standard error may never be read.
    pub(crate) fn print(&self) {
        const PATIENCE_MS: i32 = 1000;
        let mut stderr = libc::pollfd {
            fd: 2,
            events: libc::POLLOUT,
            revents: 0,
        };
        // SAFETY: one descriptor, in a local; poll(2) is async-signal-safe.
        let room = unsafe { libc::poll(&raw mut stderr, 1, PATIENCE_MS) };
        if room == 0 {
            return;
        }
        // SAFETY: a plain write from our own array.
        let _ = unsafe { libc::write(2, self.bytes.as_ptr().cast(), self.len) };
    }
}

static DESCRIBE: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());

/// Sets who describes the user of a stack in overflow reports.
pub fn set_describe(describe: Describe) {
    // Release: pairs with the Acquire in `overflow`; the function needs no other data.
    DESCRIBE.store(describe as *mut (), Ordering::Release);
}

/// Tells on whose stack the calling thread's user runs, when `at` is the header of the stack that
/// the stack pointer points into (`None`: one that was never used): the header of its own stack if
/// that is certainly another one, and `at` is that of another user.
///
/// Called in a signal handler: it may only read atomics and headers.
pub type Running = fn(at: Option<NonNull<u8>>) -> Option<NonNull<u8>>;

static RUNNING: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());

/// Sets who tells which stack a thread runs on, so that a frame which lies in a neighbour's stack
/// is reported.
pub fn set_running(running: Running) {
    // Release: pairs with the Acquire in `running`; the function needs no other data.
    RUNNING.store(running as *mut (), Ordering::Release);
}

/// What [`set_running`]'s function says.
pub(crate) fn running(at: Option<NonNull<u8>>) -> Option<NonNull<u8>> {
    // Acquire: pairs with the Release in `set_running`.
    let running = RUNNING.load(Ordering::Acquire);
    // SAFETY: null or a function of this type, stored by `set_running`.
    unsafe { std::mem::transmute::<*mut (), Option<Running>>(running) }.and_then(|f| f(at))
}

/// Reports an overflow of the stack with this header and aborts.
pub(crate) fn overflow(header: NonNull<u8>, class: Class) -> ! {
    last_words(
        header,
        format_args!("exceeds {}-byte limit", class.limit_bytes()),
    )
}

/// Reports that the kernel refuses to let the stack with this header grow, and aborts.
pub(crate) fn refused(header: NonNull<u8>, refusal: &io::Error) -> ! {
    let code = refusal.raw_os_error().unwrap_or(0);
    last_words(
        header,
        format_args!("cannot grow: the kernel refuses (error {code})"),
    )
}

fn last_words(header: NonNull<u8>, what: fmt::Arguments<'_>) -> ! {
    use fmt::Write as _;
    let mut line = Line::new();
    // Acquire: pairs with the Release in `set_describe`.
    let describe = DESCRIBE.load(Ordering::Acquire);
    // SAFETY: null or a function of this type, stored by `set_describe`.
    let describe = unsafe { std::mem::transmute::<*mut (), Option<Describe>>(describe) };
    let tell = |part, line: &mut Line| describe.map(|f| f(header, part, line));
    let _ = line.write_str("gopark: ");
    if tell(Part::Who, &mut line).is_none() {
        let _ = line.write_str("a coroutine's");
    }
    let _ = writeln!(line, " stack {what}");
    let _ = tell(Part::Whence, &mut line);
    line.print();
    // The stack pointer of the fault may lie in another's stack.
    dump::include_stacks(header.as_ptr() as usize);
    // SAFETY: abort(3) is async-signal-safe.
    unsafe { libc::abort() }
}
