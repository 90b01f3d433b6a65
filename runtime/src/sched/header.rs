//! `G`: the header of a goroutine, at the top of its stack.

#![expect(
    unsafe_code,
    reason = "keeps the goroutine's header on the goroutine's own stack"
)]

use std::cell::{Cell, UnsafeCell};
use std::panic::Location;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use gopark_stack::switch::{Context, stack_pointer};

use crate::sched::locals::Locals;
use crate::sched::machine::Machine;
use crate::sched::seed::Seed;
use crate::sched::service::shutdown::STOPS_MAX;
use crate::sched::shared::Shared;
use crate::sched::timers::Timer;
use crate::task::name::Name;
pub(crate) use crate::task::reason::Wait;
use crate::task::state::State;
use crate::task::wait_word::WaitWord;
use crate::task::whence::Whence;

/// Runs the closure of a goroutine and stores its result.
pub(crate) type Run = unsafe fn(g: &G);

/// See `task/mod.rs` for who may touch which field.
#[repr(C, align(64))]
pub(crate) struct G {
    pub(crate) state: State,
    /// Who ends its wait. Survives the goroutine: tickets only grow.
    pub(crate) wait_word: WaitWord,
    body: Body,
    /// The runtime that it belongs to: valid while `state` has the id that one came with.
    shared: AtomicPtr<Shared>,
    pub(crate) told: Told,
}

/// What reports say about the goroutine: to be trusted only together with the id.
#[derive(Debug)]
pub(crate) struct Told {
    spawned_at: Whence,
    /// When it parked last, by the runtime's coarse clock.
    since_ms: AtomicU32,
    /// A `Wait`, and [`TRIMMED`].
    wait: AtomicU32,
    /// How often it was unwound for the end of its runtime, and the bits below. Written by itself.
    end: AtomicU32,
}

/// It waits in a destructor that an unwinding or its own end runs.
const IN_DESTRUCTOR: u32 = 1 << 31;
/// It waits for ever.
const GIVEN_UP: u32 = 1 << 30;

/// The dead part of the stack has been given back since the goroutine parked.
const TRIMMED: u32 = 1 << 31;

impl Told {
    /// Where it was spawned.
    pub(crate) fn spawned_at(&self) -> Option<&'static Location<'static>> {
        self.spawned_at.get()
    }

    /// Notes why and since when it waits.
    #[inline]
    pub(crate) fn waits(&self, why: Wait, now_ms: u32) {
        self.wait.store(why as u32, Ordering::Relaxed);
        self.since_ms.store(now_ms, Ordering::Relaxed);
    }

    pub(crate) fn since_ms(&self) -> u32 {
        self.since_ms.load(Ordering::Relaxed)
    }

    pub(crate) fn is_trimmed(&self) -> bool {
        self.wait.load(Ordering::Relaxed) & TRIMMED != 0
    }

    pub(crate) fn set_trimmed(&self) {
        self.wait.fetch_or(TRIMMED, Ordering::Relaxed);
    }

    /// It is about to unwind for the end of its runtime.
    pub(crate) fn stopped(&self) {
        self.end.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether it has unwound for the end of its runtime too often, and waits for ever the next
    /// time.
    pub(crate) fn must_give_up(&self) -> bool {
        self.end.load(Ordering::Relaxed) & !(IN_DESTRUCTOR | GIVEN_UP) >= STOPS_MAX
    }

    pub(crate) fn give_up(&self) {
        self.end.fetch_or(GIVEN_UP, Ordering::Relaxed);
    }

    pub(crate) fn has_given_up(&self) -> bool {
        self.end.load(Ordering::Relaxed) & GIVEN_UP != 0
    }

    /// From now on, or no longer, it waits in a destructor. Returns how it was before.
    pub(crate) fn set_in_destructor(&self, inside: bool) -> bool {
        let before = if inside {
            self.end.fetch_or(IN_DESTRUCTOR, Ordering::Relaxed)
        } else {
            self.end.fetch_and(!IN_DESTRUCTOR, Ordering::Relaxed)
        };
        before & IN_DESTRUCTOR != 0
    }

    /// Whether its destructors run, as far as is known: it waits in one, or was unwound for the end
    /// of its runtime and has not come back for more.
    pub(crate) fn is_unwinding(&self) -> bool {
        let end = self.end.load(Ordering::Relaxed);
        end & IN_DESTRUCTOR != 0 || end == 1
    }

    /// Why it waited last.
    pub(crate) fn wait_text(&self) -> &'static str {
        let code = (self.wait.load(Ordering::Relaxed) & !TRIMMED) as usize;
        Wait::TEXTS.get(code).copied().unwrap_or("?")
    }
}

/// What belongs to the owner of the goroutine. What a switch needs comes first: it shares a cache
/// line with the words above.
#[repr(C)]
pub(crate) struct Body {
    pub(crate) context: UnsafeCell<Context>,
    /// Number of the machine whose thread it may not leave now, plus one; or 0.
    pub(crate) bound: Cell<u32>,
    pub(crate) blocking: Blocking,
    /// Migrate mode: number of the machine that ran it last, plus one; or 0.
    pub(crate) ran_on: Cell<u32>,
    pub(crate) run: Run,
    /// The closure, on the stack below this header.
    pub(crate) closure: *mut u8,
    /// The join packet; null when detached from the start.
    pub(crate) packet: *mut u8,
    /// Nesting of `lock_os_thread`.
    pub(crate) locks: Cell<u32>,
    pub(crate) locals: Cell<Option<Box<Locals>>>,
    pub(crate) name: Cell<Option<Name>>,
    /// What stood for it before its first turn, if handles go by that.
    pub(crate) seed: Cell<Option<&'static Seed>>,
    /// How many masks there are over it: see `bound::Deaf`.
    pub(crate) masks: Cell<u32>,
    /// Time limits of what it does, the outermost first.
    #[expect(clippy::box_collection, reason = "the header is small")]
    pub(crate) limits: Cell<Option<Box<Vec<Arc<Timer>>>>>,
}

/// Whether the goroutine is inside `blocking`, and whether its suspensions are watched.
///
/// Both lie in one byte, so that a call that must know of either looks once.
#[derive(Debug, Default)]
pub(crate) struct Blocking(Cell<u8>);

const IN_CALL: u8 = 1 << 0;
const WATCHED: u8 = 1 << 1;

impl Blocking {
    /// Whether the goroutine is inside `blocking`.
    #[inline]
    pub(crate) fn get(&self) -> bool {
        self.0.get() & IN_CALL != 0
    }

    /// From now on, or no longer, the goroutine is inside `blocking`.
    #[inline]
    pub(crate) fn set(&self, in_call: bool) {
        self.0.set(self.0.get() & !IN_CALL | u8::from(in_call));
    }

    /// Whether it is inside `blocking`, or watched.
    #[inline]
    pub(crate) fn or_watched(&self) -> bool {
        self.0.get() != 0
    }
}

impl G {
    /// From now on, or no longer, the suspensions of the goroutine are watched (`hooks.rs`). For
    /// the owner.
    pub(crate) fn set_watched(&self, watched: bool) {
        let blocking = self.blocking.0.get();
        let bit = if watched { WATCHED } else { 0 };
        self.blocking.0.set(blocking & !WATCHED | bit);
        self.state.set_watched(watched);
    }

    /// Whether the suspensions of the goroutine are watched. For the owner.
    #[inline]
    pub(crate) fn is_watched(&self) -> bool {
        self.blocking.0.get() & WATCHED != 0
    }
}

impl std::fmt::Debug for G {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.state.fmt(f)
    }
}

impl std::ops::Deref for G {
    type Target = Body;

    #[inline]
    fn deref(&self) -> &Body {
        &self.body
    }
}

const _: () = assert!(
    size_of::<G>() <= gopark_stack::HEADER_BYTES,
    "G outgrows the header"
);

const _: () = assert!(
    size_of::<Context>() > 32
        || std::mem::offset_of!(G, body) + std::mem::offset_of!(Body, run) <= 64,
    "a switch touches a second line of the header"
);

/// The address of a `G`. Headers are never unmapped, so it may always be read; what it means is
/// told by the id in the state word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct GRef(NonNull<G>);

// SAFETY: the address of a header; other threads touch only its atomics unless they own the
// goroutine: thread A parks it (Release), thread B's wake (Acquire) makes B the owner.
unsafe impl Send for GRef {}
// SAFETY: as for Send.
unsafe impl Sync for GRef {}

impl std::fmt::Debug for GRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.get().state.fmt(f)
    }
}

impl GRef {
    pub(crate) fn new(header: NonNull<u8>) -> GRef {
        GRef(header.cast())
    }

    pub(crate) fn from_ptr(ptr: *mut G) -> Option<GRef> {
        NonNull::new(ptr).map(GRef)
    }

    /// The address as a number.
    #[inline]
    pub(crate) fn to_word(self) -> usize {
        self.0.as_ptr().expose_provenance()
    }

    /// From [`GRef::to_word`].
    #[inline]
    pub(crate) fn from_word(word: usize) -> GRef {
        GRef(NonNull::new(std::ptr::with_exposed_provenance_mut(word)).expect("never 0"))
    }

    /// The header.
    #[inline]
    pub(crate) fn get<'a>(self) -> &'a G {
        // SAFETY: a header of the arena: mapped for ever, valid when all zero, written as a whole
        // only by the owner of a free stack.
        unsafe { self.0.as_ref() }
    }
}

impl G {
    /// Makes a goroutine in the header of a free stack. The state word is written last and as an
    /// atomic: late handles to the stack's former goroutines may look at it meanwhile.
    ///
    /// # Safety
    /// The caller owns the stack of the header, and no goroutine lives there.
    #[inline]
    pub(crate) unsafe fn init<'a>(
        header: NonNull<u8>,
        id: u64,
        shared: &Shared,
        spawned_at: &'static Location<'static>,
        body: Body,
    ) -> &'a G {
        let place: *mut G = header.cast().as_ptr();
        // SAFETY: in bounds of the header; no reference is made.
        let body_at = unsafe { &raw mut (*place).body };
        // SAFETY: the body of a free stack is nobody's.
        unsafe { body_at.write(body) };
        // SAFETY: all fields are valid now (the atomics always are).
        let g = unsafe { &*place };
        g.shared
            .store(std::ptr::from_ref(shared).cast_mut(), Ordering::Relaxed);
        g.told.spawned_at.set(spawned_at);
        g.told.waits(Wait::None, 0);
        g.told.end.store(0, Ordering::Relaxed);
        g.state.start(id);
        g
    }

    /// The goroutine that is running this: that of the thread's M, if this is its stack.
    #[inline]
    pub(crate) fn current<'a>() -> Option<&'a G> {
        let g = Machine::here()?.current.load(Ordering::Relaxed);
        if gopark_stack::is_near(g.cast(), stack_pointer()) {
            // SAFETY: the header of the stack that this runs on.
            return Some(unsafe { &*g });
        }
        G::current_far(g)
    }

    /// As [`G::current`], where `own` is the goroutine of the thread's M and the stack pointer is
    /// not near its header: deeper in its stack, on another stack, or below its stack.
    #[cold]
    fn current_far<'a>(own: *mut G) -> Option<&'a G> {
        let found = G::at(stack_pointer())?;
        if let Some(own) = NonNull::new(own)
            && own != NonNull::from(found)
            && G::running(Some(NonNull::from(found).cast())) == Some(own.cast())
        {
            gopark_stack::exceeded_at(own.cast());
        }
        Some(found)
    }

    /// The header of the goroutine that the calling thread runs, when its stack pointer points into
    /// the stack with header `at`, which is not that goroutine's and has another user, or none.
    /// Async-signal-safe.
    pub(crate) fn running(at: Option<NonNull<u8>>) -> Option<NonNull<u8>> {
        let m = Machine::here()?;
        // Inside the runtime the M may be ahead of its stack.
        if m.pin.is_set() {
            return None;
        }
        // Other users of the arena (corosensei coroutines) have no id: a goroutine may run those.
        if at.is_some_and(|at| GRef::new(at).get().state.id() == 0) {
            return None;
        }
        NonNull::new(m.current.load(Ordering::Relaxed)).map(NonNull::cast)
    }

    /// The goroutine that the calling thread runs, also where its code is on another stack now:
    /// that of a coroutine, of a function that was called with more room, or the thread's own. It
    /// cannot be suspended there.
    #[inline]
    pub(crate) fn of_thread<'a>() -> Option<&'a G> {
        G::current().or_else(G::elsewhere)
    }

    /// [`G::of_thread`] for a caller that has found no goroutine by its stack: one that is on
    /// another stack now.
    #[cold]
    pub(crate) fn elsewhere<'a>() -> Option<&'a G> {
        let g = Machine::here()?.current.load(Ordering::Relaxed);
        // SAFETY: null, or the header of the goroutine that this thread runs: headers are never
        // unmapped.
        unsafe { g.as_ref() }
    }

    /// The goroutine that is running this, for a call that suspends it or is bound to its stack.
    ///
    /// # Panics
    /// Outside a goroutine, and where its code is on another stack now: with the name of the call.
    #[inline]
    #[track_caller]
    pub(crate) fn must_be_current<'a>(call: &str) -> &'a G {
        match G::current() {
            Some(g) => g,
            None => G::refuse(call),
        }
    }

    #[cold]
    #[inline(never)]
    #[track_caller]
    fn refuse(call: &str) -> ! {
        match G::elsewhere() {
            Some(g) => panic!(
                "{call} called by goroutine {} on a stack that is not its own (of stacker, a \
                 coroutine, `on_thread_stack`): a goroutine can be suspended on its own stack only",
                g.state.id()
            ),
            None => panic!("{call} called outside a goroutine"),
        }
    }

    /// The goroutine on whose stack an address lies, however deep. Async-signal-safe.
    #[cold]
    pub(crate) fn at<'a>(sp: usize) -> Option<&'a G> {
        let header = gopark_stack::header_at(sp)?;
        let g = GRef::new(header).get();
        // Other users of the arena (corosensei coroutines) have no id.
        (g.state.id() != 0).then_some(g)
    }

    #[inline]
    pub(crate) fn to_ref(&self) -> GRef {
        GRef(NonNull::from(self))
    }

    /// The runtime's address; to be trusted only together with the id.
    #[inline]
    pub(crate) fn shared_ptr(&self) -> *const Shared {
        // Relaxed: checked by way of the state word.
        self.shared.load(Ordering::Relaxed)
    }

    /// The runtime of this goroutine, which is the caller.
    pub(crate) fn runtime(&self) -> Weak<Shared> {
        let shared = self.shared_ptr();
        // SAFETY: a running goroutine's runtime lives; it is in an Arc.
        unsafe { Arc::increment_strong_count(shared) };
        // SAFETY: the count above is ours.
        Arc::downgrade(&unsafe { Arc::from_raw(shared) })
    }

    /// The machine that runs this goroutine, which is the caller.
    #[inline]
    pub(crate) fn machine(&self) -> &Machine {
        Machine::here().expect("goroutines run on Ms")
    }

    /// Whether there are goroutine-locals. For the owner.
    #[inline]
    pub(crate) fn has_locals(&self) -> bool {
        let locals = self.locals.take();
        let has = locals.is_some();
        self.locals.set(locals);
        has
    }

    /// A copy of the name. For the owner.
    pub(crate) fn name(&self) -> Option<Name> {
        let name = self.name.take();
        let copy = name.clone();
        self.name.set(name);
        copy
    }
}
