//! Whether an unwinding from here would come to an end.
//!
//! Unwinding into a frame that does not unwind ends the process: a Rust function with the ABI "C",
//! a C++ function with `noexcept`, or C code without unwind tables. A callback of foreign code is
//! the usual case. The unwinder does not tell in advance: its search takes such a frame for a
//! handler. So a goroutine that is asked to unwind walks its frames first, and reads in the table
//! of each what the frame would do.
//!
//! | a frame's table says                         | the walk                                       |
//! |----------------------------------------------|------------------------------------------------|
//! | nothing, or cleanup only                     | goes on                                        |
//! | it catches                                   | goes on, and remembers the catch; a second one: free |
//! | it ends the process                          | stops: free if a catch was remembered          |
//!
//! The last frames of each goroutine catch, so a walk that ends without a catch has met a frame
//! without tables.
//!
//! A catch counts if the unwinding ends there. `timeout` and `scope` pass on what is not theirs.
//! Their catches are known by the addresses of [`catch_in_limit`] and [`catch_in_scope`], and
//! forgotten; those of `timeout` are counted, because the unwinding for a limit ends at its own.
//!
//! The tables are those of the Itanium C++ ABI (`.gcc_except_table`), read as Rust's personality
//! reads them. A `noexcept` that clang compiles looks like a catch there, and is not recognised.

#![expect(unsafe_code, reason = "walks frames and reads their tables")]

use std::any::Any;
use std::ffi::{c_int, c_void};
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::lsda::{self, Action};

type Caught = Result<(), Box<dyn Any + Send>>;

/// How far an unwinding from here may go.
#[must_use]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reach {
    /// Some frame catches whatever comes, before any that ends the process.
    pub(crate) is_free: bool,
    /// How many `timeout`s there are before that.
    pub(crate) limits: usize,
}

impl Reach {
    /// Nothing is in the way.
    pub(crate) const FREE: Reach = Reach {
        is_free: true,
        limits: 0,
    };
}

/// The calls that catch, and pass on what is not theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Catch {
    Limit,
    Scope,
}

/// `catch_unwind` for a call that the walk must know.
pub(crate) fn catch<T>(what: Catch, f: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    let mut f = Some(f);
    let mut value = None;
    let mut body = || value = f.take().map(|f| f());
    match what {
        Catch::Limit => catch_in_limit(&mut body)?,
        Catch::Scope => catch_in_scope(&mut body)?,
    }
    Ok(value.expect("the function has returned"))
}

// Two functions that differ, so that they are not made one.

#[inline(never)]
fn catch_in_limit(f: &mut dyn FnMut()) -> Caught {
    let caught = catch_unwind(AssertUnwindSafe(f));
    black_box(Catch::Limit);
    caught
}

#[inline(never)]
fn catch_in_scope(f: &mut dyn FnMut()) -> Caught {
    let caught = catch_unwind(AssertUnwindSafe(f));
    black_box(Catch::Scope);
    caught
}

/// The unwinder's view of one frame.
type Frame = *mut c_void;
type Trace = extern "C" fn(frame: Frame, walk: *mut c_void) -> c_int;

const GO_ON: c_int = 0;
const STOP: c_int = 5;

// Of the unwinder that std links. "C-unwind": a frame that calls a function which does not unwind
// would be taken for one that ends the process.
unsafe extern "C-unwind" {
    fn _Unwind_Backtrace(trace: Trace, walk: *mut c_void) -> c_int;
    fn _Unwind_GetLanguageSpecificData(frame: Frame) -> *const u8;
    fn _Unwind_GetRegionStart(frame: Frame) -> usize;
    fn _Unwind_GetIPInfo(frame: Frame, is_before: *mut c_int) -> usize;
}

/// A walk under way.
#[derive(Debug, Default)]
struct Walk {
    reach: Reach,
    /// The last catch is not known to pass on what comes.
    has_catch: bool,
}

/// How far an unwinding from the caller may go.
#[cold]
#[inline(never)]
pub(crate) fn reach() -> Reach {
    let mut walk = Walk::default();
    // SAFETY: `trace` is called with this walk, before the call returns.
    let _ = unsafe { _Unwind_Backtrace(trace, (&raw mut walk).cast()) };
    walk.reach.is_free |= walk.has_catch;
    walk.reach
}

extern "C" fn trace(frame: Frame, walk: *mut c_void) -> c_int {
    // SAFETY: `reach` gave it, and does not use it meanwhile.
    let walk = unsafe { &mut *walk.cast::<Walk>() };
    // SAFETY: a frame that the unwinder gave.
    let start = unsafe { _Unwind_GetRegionStart(frame) };
    match action(frame, start) {
        Action::Pass => {}
        Action::Catch if walk.has_catch => return walk.end(),
        Action::Catch => walk.has_catch = true,
        Action::Terminate => return walk.end(),
    }
    if start == catch_in_limit as *const () as usize {
        walk.reach.limits += 1;
        walk.has_catch = false;
    } else if start == catch_in_scope as *const () as usize {
        walk.has_catch = false;
    }
    GO_ON
}

impl Walk {
    fn end(&mut self) -> c_int {
        self.reach.is_free = self.has_catch;
        STOP
    }
}

/// What a frame does with an unwinding that comes to it.
fn action(frame: Frame, start: usize) -> Action {
    // SAFETY: a frame that the unwinder gave.
    let table = unsafe { _Unwind_GetLanguageSpecificData(frame) };
    if table.is_null() {
        return Action::Pass;
    }
    let mut is_before = 0;
    // SAFETY: as above; the place is ours.
    let ip = unsafe { _Unwind_GetIPInfo(frame, &raw mut is_before) };
    // A return address may be that of the next call site.
    let at = ip - usize::from(is_before == 0);
    // SAFETY: the table of a function that is on this stack: its code, and so the table, is loaded.
    unsafe { lsda::action(table, at.wrapping_sub(start)) }
}
