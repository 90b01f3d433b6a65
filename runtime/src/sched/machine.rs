//! M: an OS thread that runs goroutines, and how it sleeps.

#![expect(unsafe_code, reason = "refers to the P that this M holds")]

use std::cell::{Cell, UnsafeCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::Thread;

use gopark_stack::switch::Context;

use super::processor::{Local, Processor};
use super::shared::Shared;
use crate::sched::header::GRef;

/// What must happen once the context that was left is saved. Done on the stack that was entered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum After {
    Nothing,
    /// Put the goroutine at the tail of the queue.
    Requeue(GRef),
    /// Commit its park; a wake may have come first.
    Commit(GRef),
    /// The same, by token.
    CommitByToken(GRef),
    /// It has ended: its stack is free.
    Recycle(GRef),
}

/// An M. Lives on its own thread's stack.
pub(crate) struct Machine {
    pub(crate) index: usize,
    pub(crate) shared: Arc<Shared>,
    pub(crate) sleeper: Arc<Sleeper>,
    /// The thread's own context: the scheduler's loop.
    pub(crate) context: UnsafeCell<Context>,
    p: Cell<*const Processor>,
    pub(crate) after: Cell<After>,
    /// Picked by a goroutine that could not switch to it: the loop runs it first.
    pub(crate) picked: Cell<Option<GRef>>,
    pub(crate) searching: Cell<bool>,
    /// Migrate mode: how often in a row a goroutine was left to others.
    pub(crate) passes: Cell<u32>,
}

impl Machine {
    pub(crate) fn new(shared: Arc<Shared>, index: usize, sleeper: Arc<Sleeper>) -> Machine {
        Machine {
            index,
            shared,
            sleeper,
            context: UnsafeCell::new(Context::empty()),
            p: Cell::new(std::ptr::null()),
            after: Cell::new(After::Nothing),
            picked: Cell::new(None),
            searching: Cell::new(false),
            passes: Cell::new(0),
        }
    }

    /// Takes up P number `p`, which was given to this M.
    pub(crate) fn hold(&self, p: usize) {
        self.p.set(&raw const self.shared.procs[p]);
    }

    /// The runtime's address, to compare.
    #[inline]
    pub(crate) fn shared_ptr(&self) -> *const Shared {
        Arc::as_ptr(&self.shared)
    }

    /// Lays down the P and returns its number.
    pub(crate) fn release(&self) -> usize {
        let index = self.p().index;
        self.p.set(std::ptr::null());
        index
    }

    /// The P that this M holds.
    #[inline]
    pub(crate) fn p(&self) -> &Processor {
        debug_assert!(!self.p.get().is_null(), "M{} has no P", self.index);
        // SAFETY: points into `shared.procs`, which this M keeps alive.
        unsafe { &*self.p.get() }
    }

    /// The local state of the P, for one short use.
    ///
    /// # Safety
    /// No other borrow of it is alive, and no switch happens while this one is.
    #[inline]
    #[expect(clippy::mut_from_ref, reason = "the P is the right to this borrow")]
    pub(crate) unsafe fn local(&self) -> &mut Local {
        // SAFETY: this M holds the P, and this runs on its thread; the rest is passed on.
        unsafe { self.p().local() }
    }
}

/// Where an M sleeps: a word for the P that it is given, and its thread.
#[derive(Debug)]
pub(crate) struct Sleeper {
    /// Number of the P plus one; [`END`]: end the thread.
    given: AtomicUsize,
    thread: Thread,
}

const END: usize = usize::MAX;

/// Why an M woke up.
#[derive(Debug)]
pub(crate) enum Given {
    P(usize),
    End,
}

impl Sleeper {
    /// For the calling thread.
    pub(crate) fn new() -> Sleeper {
        Sleeper {
            given: AtomicUsize::new(0),
            thread: std::thread::current(),
        }
    }

    /// Gives P number `p` to the M, which starts as it finds fit.
    pub(crate) fn give(&self, p: usize) {
        // Release: hands over the P's local state; pairs with `sleep`.
        self.given.store(p + 1, Ordering::Release);
        self.thread.unpark();
    }

    /// Ends the M.
    pub(crate) fn end(&self) {
        // Release: pairs with `sleep`.
        self.given.store(END, Ordering::Release);
        self.thread.unpark();
    }

    /// Sleeps until something is given. User code may use up or leave park tokens of the thread:
    /// the word decides.
    pub(crate) fn sleep(&self) -> Given {
        loop {
            // Acquire: takes over the P; pairs with `give`.
            match self.given.swap(0, Ordering::Acquire) {
                0 => std::thread::park(),
                END => return Given::End,
                p => return Given::P(p - 1),
            }
        }
    }
}
