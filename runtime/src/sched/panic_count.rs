//! The panic counts of goroutines that wait while they unwind, kept off the threads.
//!
//! std counts the panics that are under way in a thread-local, which nothing but a panic changes:
//! raising one adds one on the thread where it is raised, catching it takes one off on the thread
//! where it is caught. A goroutine that waits in a destructor while it unwinds must leave no count
//! on its thread, and must find its count on the next one.
//!
//! A *holder* is an execution that has raised a panic and stands in the destructor that this runs.
//! Raising one adds one to the count of the calling thread. Letting one end takes one off, because
//! its panic is caught then. So a goroutine that leaves its thread ends holders until its count is
//! 0, and raises as many on the thread where it goes on. Holders are nested: all on a few stacks of
//! their own, and the innermost ends first.
//!
//! *The lender* is a thread that raises the first holders. What they add to its own count harms
//! nobody: it runs nothing else. It raises more when none stand, and ends all when all stand and
//! none has been wanted for a second. Until a goroutine waits while it unwinds there is neither a
//! lender nor a holder.
//!
//! What of std this needs is seen by its effect, [`std::thread::panicking`], and tried out by the
//! lender. Where it does not hold, or no lender can be started, the goroutine keeps its thread
//! (`bound.rs`).
//!
//! # Invariants
//!
//! 1. The holders that stand and the counts of goroutines that are away are together as many as the
//!    lender has raised.
//! 2. The count of an M's thread is that of the goroutine that runs there: the M's own loop catches
//!    what it calls, and every goroutine takes its count along.

#![expect(unsafe_code, reason = "switches to holders and back")]

use std::cell::UnsafeCell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gopark_stack::switch::{Context, switch};
use gopark_stack::{AltStack, GrowableStack};

use super::machine::{pin, unpin};
use super::service::chores::Chore;
use super::service::deadlock::WAITING_THREADS;
use super::shared::Shared;
use crate::sched::header::G;
use crate::sched::interrupt::ABORTS;

/// Limit of the stack of holders: each takes a few hundred bytes, in debug builds more.
const STACK_BYTES: usize = 16 << 20;
/// Holders on one stack.
const STACK_HOLDERS: usize = 2048;
/// As many are raised at a time, at least and at most.
const BATCH_MIN: usize = 16;
const BATCH_MAX: usize = 1024;
/// How long a goroutine waits for the lender before it keeps its thread instead.
const PATIENCE: Duration = Duration::from_millis(50);
/// How long holders stand that nobody wants.
const KEEP: Duration = Duration::from_secs(1);

/// What the other side of a switch shall do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
enum Command {
    End = 1,
    Raise = 2,
}

/// A stack of holders.
struct Holders {
    stack: GrowableStack,
    inside: UnsafeCell<Context>,
    outside: UnsafeCell<Context>,
}

// SAFETY: used by whoever has the lock of the books, on any thread.
unsafe impl Send for Holders {}

impl Holders {
    fn new() -> io::Result<Box<Holders>> {
        let this = Box::new(Holders {
            stack: GrowableStack::new(STACK_BYTES)?,
            inside: UnsafeCell::new(Context::empty()),
            outside: UnsafeCell::new(Context::empty()),
        });
        let (top, low) = (this.stack.stack().header(), this.stack.stack().low());
        let arg = std::ptr::from_ref(&*this).cast_mut().cast();
        // SAFETY: nobody else refers to the context.
        let inside = unsafe { &mut *this.inside.get() };
        // SAFETY: the stack is ours and unused, and lives as long as the context, which a box keeps
        // in its place.
        unsafe { inside.prepare(top.as_ptr(), low.as_ptr(), entry, arg) };
        Ok(this)
    }

    /// Lets the innermost holder, or the first frame, do something. Not inlined: it runs code that
    /// uses thread-locals.
    #[inline(never)]
    fn step(&self, command: Command) {
        let payload = std::ptr::without_provenance_mut(command as usize);
        // SAFETY: the lock of the books is held: `outside` is free to be saved into, and `inside`
        // is prepared or saved.
        unsafe { switch(self.outside.get(), self.inside.get(), payload) };
    }

    /// The other side of `step`: what to do next, on whatever thread.
    #[inline(never)]
    fn next(&self) -> bool {
        // SAFETY: likewise, the other way round.
        let payload =
            unsafe { switch(self.inside.get(), self.outside.get(), std::ptr::null_mut()) };
        payload.addr() == Command::Raise as usize
    }

    /// One holder, and those that are raised while it stands.
    fn hold(&self) {
        struct Stands<'a>(&'a Holders);
        impl Drop for Stands<'_> {
            fn drop(&mut self) {
                while self.0.next() {
                    self.0.hold();
                }
            }
        }
        let raise = || {
            let _stands = Stands(self);
            resume_unwind(Box::new(()))
        };
        let _: Result<(), _> = catch_unwind(AssertUnwindSafe(raise));
    }
}

/// # Safety
/// Called by the first switch to holders, with a command and their address.
unsafe extern "C" fn entry(command: *mut u8, arg: *mut u8) -> ! {
    // SAFETY: `Holders::new` gave its own address, which stays.
    let holders = unsafe { &*arg.cast::<Holders>() };
    let mut raise = command.addr() == Command::Raise as usize;
    loop {
        assert!(raise, "a holder was ended that did not stand");
        holders.hold();
        raise = holders.next();
    }
}

/// The lender's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lender {
    No,
    /// Asked for, or there.
    Yes,
    /// There can be none, or std does not count as expected.
    Never,
}

struct Books {
    #[expect(clippy::vec_box, reason = "a prepared context stays in its place")]
    stacks: Vec<Box<Holders>>,
    /// Holders that stand.
    standing: usize,
    /// Holders that the lender has raised.
    lent: usize,
    /// As many as the lender shall have raised.
    wanted: usize,
    lender: Lender,
    /// Goroutines that have laid down their count, ever.
    laid: u64,
    /// The runtime ends.
    ends: bool,
}

impl Books {
    /// Adds one to the calling thread's count. There is a stack for it.
    fn raise(&mut self) {
        self.stacks[self.standing / STACK_HOLDERS].step(Command::Raise);
        self.standing += 1;
    }

    /// Takes one off the calling thread's count.
    fn end(&mut self) {
        self.standing -= 1;
        self.stacks[self.standing / STACK_HOLDERS].step(Command::End);
    }

    /// All holders are back.
    fn is_whole(&self) -> bool {
        self.standing == self.lent
    }

    /// For the lender: one more, for which there will always be a stack.
    fn lend(&mut self) -> io::Result<()> {
        if self.stacks.len() * STACK_HOLDERS == self.lent {
            self.stacks.push(Holders::new()?);
        }
        self.raise();
        self.lent += 1;
        Ok(())
    }

    /// For the lender: ends what it has raised, which is back.
    fn take_back(&mut self) {
        while self.lent > 0 {
            self.end();
            self.lent -= 1;
        }
        self.wanted = 0;
        self.stacks.clear();
    }
}

/// The books of the panic counts of a runtime, and the ways to wait for its lender.
pub(crate) struct PanicCounts {
    books: Mutex<Books>,
    /// The lender waits for something to do.
    asked: Condvar,
    /// Goroutines wait for holders.
    lent: Condvar,
}

impl std::fmt::Debug for PanicCounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let books = self.books();
        f.debug_struct("PanicCounts")
            .field("standing", &books.standing)
            .field("lent", &books.lent)
            .finish_non_exhaustive()
    }
}

impl PanicCounts {
    pub(crate) fn new() -> PanicCounts {
        PanicCounts {
            books: Mutex::new(Books {
                stacks: Vec::new(),
                standing: 0,
                lent: 0,
                wanted: 0,
                lender: Lender::No,
                laid: 0,
                ends: false,
            }),
            asked: Condvar::new(),
            lent: Condvar::new(),
        }
    }

    /// Whether the lock is poisoned means nothing: the count of panics changes while it is held.
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a goroutine that unwinds wait for a holder: whether one stands.
    fn wait<'a>(
        &'a self,
        shared: &Shared,
        mut books: MutexGuard<'a, Books>,
    ) -> MutexGuard<'a, Books> {
        match books.lender {
            Lender::Never => return books,
            Lender::No => {
                books.lender = Lender::Yes;
                shared.chores.ask(Chore::Lend);
            }
            Lender::Yes => {}
        }
        if books.wanted <= books.lent {
            books.wanted = books.lent + books.lent.clamp(BATCH_MIN, BATCH_MAX);
            self.asked.notify_one();
        }
        let none = |books: &mut Books| books.standing == 0 && books.lender != Lender::Never;
        let waited = self.lent.wait_timeout_while(books, PATIENCE, none);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// There is no lender, and there will be none: goroutines that unwind keep their threads.
    pub(crate) fn refuse(&self) {
        self.books().lender = Lender::Never;
        self.lent.notify_all();
    }

    /// The runtime, which has no goroutine that will ever run, ends: so does the lender.
    pub(crate) fn end(&self) {
        self.books().ends = true;
        self.asked.notify_one();
    }

    /// The body of the lender's thread.
    pub(crate) fn lender_main(&self) {
        // The stacks of holders grow.
        let _signals = AltStack::install();
        let mut books = self.books();
        while !(books.ends && books.is_whole()) {
            if books.wanted > books.lent {
                drop(books);
                self.lend();
                books = self.books();
                continue;
            }
            if books.lent == 0 {
                let woken = self.asked.wait(books);
                books = woken.unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let laid = books.laid;
            let idle = |books: &mut Books| books.wanted <= books.lent && !books.ends;
            let waited = self.asked.wait_timeout_while(books, KEEP, idle);
            let timeout;
            (books, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            if timeout.timed_out() && books.is_whole() && books.laid == laid {
                books.take_back();
            }
        }
        books.take_back();
        drop(books);
        WAITING_THREADS.fetch_sub(1, Ordering::Relaxed);
    }

    /// Raises what is wanted. Others get the lock in between.
    fn lend(&self) {
        loop {
            let mut books = self.books();
            if books.wanted <= books.lent {
                break;
            }
            let is_first = books.lent == 0;
            let lent = books.lend();
            if lent.is_err() || is_first && !std::thread::panicking() {
                books.lender = Lender::Never;
                books.wanted = books.lent;
            }
        }
        self.lent.notify_all();
    }
}

/// The panic count of a goroutine that is away: off every thread.
#[must_use]
#[derive(Debug)]
pub(crate) struct Laid(usize);

/// Takes the panic count of the goroutine that runs on the calling thread, a pinned M's, off the
/// thread. `None`: there are no holders for it.
#[inline(never)]
pub(crate) fn lay_down(shared: &Shared) -> Option<Laid> {
    // Without unwinding only a panic hook comes here.
    if ABORTS {
        return None;
    }
    let counts = &shared.panic_counts;
    let mut books = counts.books();
    let mut laid = Laid(0);
    while std::thread::panicking() {
        if books.standing == 0 {
            books = counts.wait(shared, books);
        }
        if books.standing == 0 {
            for _ in 0..laid.0 {
                books.raise();
            }
            return None;
        }
        books.end();
        laid.0 += 1;
    }
    books.laid += 1;
    Some(laid)
}

impl Laid {
    /// Puts the count on the thread on which its goroutine `g` runs now.
    #[inline(never)]
    pub(crate) fn take_up(self, g: &G) {
        let m = pin(g);
        let counts = &m.shared().panic_counts;
        let mut books = counts.books();
        for _ in 0..self.0 {
            books.raise();
        }
        drop(books);
        unpin(m);
    }
}
