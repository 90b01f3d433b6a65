//! M: an OS thread that runs goroutines, how it pins, and how it sleeps.
//!
//! Ms live in a table of their runtime (`roster.rs`) and are used again by later threads, so that
//! sysmon, givers of Ps and the signal handler may look at them at any time.
//!
//! | fields                                          | touched by                            |
//! |-------------------------------------------------|---------------------------------------|
//! | `pin`, `grant`, `shield`, `tid`, `current`, ... | anybody; atomics                      |
//! | the rest                                        | the M's thread and, between two threads, nobody |
//!
//! The signal handler of the thread may change `p` at any instruction that is not pinned: so `p` is
//! read anew after every `pin`.

#![expect(unsafe_code, reason = "refers to the P and the runtime of this M")]

use std::cell::{Cell, UnsafeCell};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, Ordering};
use std::time::Duration;

use gopark_stack::switch::{Context, FpControl, set_thread_word, thread_word};

use super::beat::Beat;
use super::contract::ThreadState;
use super::grant::{Given, Grant};
use super::hold::{Look, Pin, Token};
use super::processor::{Local, Processor};
use super::shared::Shared;
use crate::sched::header::{G, GRef};
use crate::sched::place::Place;
use crate::sys::{fork, futex, thread};

/// What must happen once the context that was left is saved. Done on the stack that was entered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum After {
    Nothing,
    /// Put the goroutine at the tail of the local queue.
    Requeue(GRef),
    /// Put it on the global queue.
    Global(GRef),
    /// Commit its park; a wake may have come first.
    Commit(GRef),
    /// The same, by token.
    CommitByToken(GRef),
    /// It has ended: its stack is free.
    Recycle(GRef),
}

/// What was found to do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    Run(Place),
    /// M of this number claims a P.
    Claim(usize),
}

/// How a pinned M stands to its P.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Held,
    /// Held, and the slice is over.
    Preempted,
    /// The goroutine is inside `blocking`.
    Blocking,
    Lost,
}

/// An M.
pub(crate) struct Machine {
    pub(crate) index: usize,
    token: Token,
    pub(crate) pin: Pin,
    pub(crate) grant: Grant,
    /// Nesting of `no_preempt`: sysmon sends no signal while it is not 0.
    pub(crate) shield: AtomicU32,
    /// The kernel's number of the thread; 0 when there is none.
    pub(crate) tid: AtomicI32,
    /// The goroutine that runs here.
    pub(crate) current: AtomicPtr<G>,
    /// The thread did not answer a signal, or blocks it: it is detached instead.
    pub(crate) is_deaf: AtomicBool,
    pub(crate) blocks_signal: AtomicBool,
    /// The last signal has not reached the thread, though it ran.
    pub(crate) is_late: AtomicBool,
    /// The goroutine is inside `blocking`.
    pub(crate) is_blocking: AtomicBool,
    /// sysmon, which saw the call twice, took the P; until the call is over.
    pub(crate) is_long: AtomicBool,
    /// sysmon took the P while user code ran; until the M notices.
    pub(crate) is_detached: AtomicBool,
    /// When the goroutine passed on its P for a blocking call, in microseconds, which wrap; 0: it
    /// did not.
    pub(crate) passed_on: Cell<u32>,
    shared: Cell<*const Shared>,
    p: AtomicPtr<Processor>,
    /// The thread's own context: the scheduler's loop.
    pub(crate) context: UnsafeCell<Context>,
    pub(crate) after: Cell<After>,
    /// The floating-point control words of the thread, with which every switch is made.
    pub(crate) fp: Cell<FpControl>,
    /// How often its loop was left for a goroutine; wraps.
    pub(crate) runs: Cell<u32>,
    /// Found by a goroutine that could not switch to it: the loop handles it first.
    pub(crate) picked: Cell<Option<Work>>,
    pub(crate) searching: Cell<bool>,
    /// The goroutine that ended here had locked the thread: it ends too.
    pub(crate) ends: Cell<bool>,
    /// Switches until this M sees to timers and the network, and the pace of that.
    pub(crate) beat: Beat,
    /// Migrate mode: how often in a row a goroutine was left to others.
    pub(crate) passes: Cell<u32>,
    /// Contract mode: what the thread was like before it ran a goroutine.
    pub(crate) state_at_rest: Cell<Option<Box<ThreadState>>>,
}

// SAFETY: the cells are used by one thread at a time: the lock of the idle lists orders the end of
// one thread before the start of the next with the same number.
unsafe impl Sync for Machine {}
// SAFETY: as for Sync.
unsafe impl Send for Machine {}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine")
            .field("index", &self.index)
            .field("grant", &self.grant)
            .finish_non_exhaustive()
    }
}

impl Machine {
    pub(crate) fn new(index: usize) -> Machine {
        Machine {
            index,
            token: Token::of(index),
            pin: Pin::new(),
            grant: Grant::new(),
            shield: AtomicU32::new(0),
            tid: AtomicI32::new(0),
            current: AtomicPtr::new(ptr::null_mut()),
            is_deaf: AtomicBool::new(false),
            blocks_signal: AtomicBool::new(false),
            is_late: AtomicBool::new(false),
            is_blocking: AtomicBool::new(false),
            is_long: AtomicBool::new(false),
            is_detached: AtomicBool::new(false),
            passed_on: Cell::new(0),
            shared: Cell::new(ptr::null()),
            p: AtomicPtr::new(ptr::null_mut()),
            context: UnsafeCell::new(Context::empty()),
            after: Cell::new(After::Nothing),
            fp: Cell::new(FpControl::read()),
            runs: Cell::new(0),
            picked: Cell::new(None),
            searching: Cell::new(false),
            ends: Cell::new(false),
            beat: Beat::new(),
            passes: Cell::new(0),
            state_at_rest: Cell::new(None),
        }
    }

    /// The M that the calling thread is.
    #[inline(always)]
    pub(crate) fn here<'a>() -> Option<&'a Machine> {
        let m: *const Machine = thread_word().cast();
        // SAFETY: null, or set by `begin`: the M lives while the thread is that M.
        unsafe { m.as_ref() }
    }

    /// The calling thread becomes this M, pinned. It keeps `shared` alive until `finish`.
    pub(crate) fn begin(&self, shared: &Shared) {
        self.shared.set(shared);
        // SAFETY: the thread is ours, and nobody's M.
        unsafe { set_thread_word(ptr::from_ref(self).cast_mut().cast()) };
        self.fp.set(FpControl::read());
        self.beat.start(shared.config.is_debugging());
        self.state_at_rest.take();
        self.pin.set();
        self.tid.store(thread::id(), Ordering::Relaxed);
        let deaf = thread::blocks(super::sysmon::preempt::SIGNAL);
        self.is_deaf.store(deaf, Ordering::Relaxed);
        self.blocks_signal.store(deaf, Ordering::Relaxed);
        self.is_late.store(false, Ordering::Relaxed);
        self.is_detached.store(false, Ordering::Relaxed);
    }

    /// The calling thread is no longer this M.
    pub(crate) fn finish(&self) {
        self.tid.store(0, Ordering::Relaxed);
        self.ends.set(false);
        self.pin.clear();
        // SAFETY: as in `begin`; no goroutine runs on the thread any more.
        unsafe { set_thread_word(ptr::null_mut()) };
    }

    /// The runtime.
    #[inline]
    pub(crate) fn shared(&self) -> &Shared {
        // SAFETY: set by `begin`, whose thread keeps the runtime alive.
        unsafe { &*self.shared.get() }
    }

    /// Takes up P number `p`, which was given to this M. A slice begins.
    pub(crate) fn hold(&self, p: usize) {
        let p = self.shared().proc(p);
        p.counts.ticks.add(1);
        p.haste.take_back();
        p.hold.take_up(self.token);
        self.p.store(ptr::from_ref(p).cast_mut(), Ordering::Relaxed);
        self.beat.hurry();
        self.is_detached.store(false, Ordering::Relaxed);
        self.shared().monitor.busy();
    }

    /// An M on the idle list, or about to be, has taken P number `p` itself, and searches.
    pub(crate) fn take_back(&self, p: usize) {
        self.grant.unwait();
        self.hold(p);
        self.searching.set(true);
    }

    /// Lays down the P and returns its number.
    pub(crate) fn release(&self) -> usize {
        self.p().hold.lay_down();
        self.forget_p()
    }

    /// This M no longer has the P whose number is returned.
    pub(crate) fn forget_p(&self) -> usize {
        let p = self.p().index;
        self.p.store(ptr::null_mut(), Ordering::Relaxed);
        p
    }

    /// Whether this M believes that it has a P. The loop of the M, which is pinned, may believe it.
    #[inline]
    pub(crate) fn has_p(&self) -> bool {
        !self.p.load(Ordering::Relaxed).is_null()
    }

    /// The P that this M holds, or is in a blocking call with.
    #[inline]
    pub(crate) fn p(&self) -> &Processor {
        let p = self.p.load(Ordering::Relaxed);
        debug_assert!(!p.is_null(), "M{} has no P", self.index);
        // SAFETY: a P of `shared`, which this M keeps alive.
        unsafe { &*p }
    }

    /// One more switch: whether it is time for the loop of this M to see to other things.
    #[inline]
    pub(crate) fn beats(&self) -> bool {
        self.beat.is_due()
    }

    /// Whether who becomes next on the P of this M is run soon, and needs no other M.
    #[inline]
    pub(crate) fn is_in_haste(&self) -> bool {
        self.p().haste.is_of(self.index)
    }

    #[inline]
    pub(crate) fn token(&self) -> Token {
        self.token
    }

    /// The local state of the P, for one short use.
    ///
    /// # Safety
    /// The M is pinned and holds a P; no other borrow of it is alive, and no switch happens while
    /// this one is.
    #[inline]
    #[expect(clippy::mut_from_ref, reason = "the P is the right to this borrow")]
    pub(crate) unsafe fn local(&self) -> &mut Local {
        // SAFETY: passed on.
        unsafe { self.p().local() }
    }

    /// How this M, which is pinned, stands to its P. A wish to preempt is taken out.
    #[inline]
    pub(crate) fn standing(&self) -> Standing {
        let p = self.p.load(Ordering::Relaxed);
        if p.is_null() {
            return Standing::Lost;
        }
        // SAFETY: a P of `shared`, which this M keeps alive.
        let p = unsafe { &*p };
        if p.hold.is_held(self.token) {
            return Standing::Held;
        }
        self.standing_slow(p)
    }

    /// Notices whether the P is lost, and leaves a wish to preempt for whoever comes next.
    #[inline]
    pub(crate) fn notice(&self) -> bool {
        match self.standing() {
            Standing::Held => true,
            standing => self.notice_slow(standing),
        }
    }

    #[cold]
    fn notice_slow(&self, standing: Standing) -> bool {
        if standing == Standing::Preempted {
            self.p().hold.preempt();
        }
        matches!(standing, Standing::Held | Standing::Preempted)
    }

    #[cold]
    fn standing_slow(&self, p: &Processor) -> Standing {
        match p.hold.look(self.token) {
            Look::Held => Standing::Held,
            Look::Preempted => Standing::Preempted,
            Look::Blocking => Standing::Blocking,
            Look::Lost => {
                self.p.store(ptr::null_mut(), Ordering::Relaxed);
                Standing::Lost
            }
            Look::Forked => {
                self.pin.clear();
                panic!("gopark {}", fork::TEXT)
            }
        }
    }

    /// Sleeps until something is given. Signals, and wakes meant for earlier sleeps, do no harm.
    pub(crate) fn sleep(&self) -> Given {
        loop {
            if let Some(given) = self.grant.take() {
                return given;
            }
            let (word, value) = self.grant.futex();
            if !Grant::is_given(value) {
                futex::wait(word, value, None);
            }
        }
    }

    /// The same, but at most `time`.
    pub(crate) fn sleep_for(&self, time: Duration) -> Option<Given> {
        let deadline = futex::Deadline::after(time);
        loop {
            if let Some(given) = self.grant.take() {
                return Some(given);
            }
            let Ok(left) = deadline.left() else {
                return None;
            };
            let (word, value) = self.grant.futex();
            if !Grant::is_given(value) {
                futex::wait(word, value, left);
            }
        }
    }

    /// Wakes the thread: something was given.
    pub(crate) fn wake(&self) {
        futex::wake(self.grant.futex().0);
    }
}

/// The M of the calling goroutine, pinned: the P is not taken away until `unpin`.
#[inline]
pub(crate) fn pin(g: &G) -> &Machine {
    let m = g.machine();
    debug_assert!(!m.pin.is_set(), "pinned twice");
    m.pin.set();
    m
}

/// Runs `f`, which takes locks that sysmon takes too, so that the caller is not suspended in it, if
/// it is a goroutine.
#[inline]
pub(crate) fn unsuspended<T>(f: impl FnOnce() -> T) -> T {
    struct Unpin<'a>(&'a Machine);
    impl Drop for Unpin<'_> {
        fn drop(&mut self) {
            unpin(self.0);
        }
    }
    let free = G::current().filter(|g| !g.machine().pin.is_set());
    let _unpin = free.map(|g| Unpin(pin(g)));
    f()
}

/// The end of a runtime call.
#[inline]
pub(crate) fn unpin(m: &Machine) {
    m.pin.clear();
}

#[cfg(test)]
#[path = "tests/pin.rs"]
mod tests;
