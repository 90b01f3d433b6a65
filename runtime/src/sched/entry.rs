//! The first and the last frame of a goroutine.
//!
//! ```text
//!  top of the slot
//!  +--------+-----+----------------------+----------------------+------
//!  | colour |  G  | closure (<= 1 KiB)   | entry's frame        | ...
//!  +--------+-----+----------------------+----------------------+------
//! ```
//!
//! A larger closure lies in a box, and here is the closure that calls it (`large.rs`).
//!
//! The entry catches every panic: none crosses the root, where backtraces end.

#![expect(
    unsafe_code,
    reason = "puts closures on new stacks and runs them there"
)]

use std::cell::{Cell, UnsafeCell};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};

use gopark_stack::Stack;
use gopark_stack::switch::Context;

use super::header::{Blocking, Body, G, GRef};
use super::large;
use super::packet::{Packet, drop_result};
use crate::fatal::no_unwind;
use crate::sched::bound::Deaf;
use crate::sched::hooks;
use crate::sched::locals;
use crate::sched::machine::{Machine, pin, unpin};
use crate::sched::panics;
use crate::sched::park;
use crate::sched::run;
use crate::sched::shared::Shared;
use crate::task::name::Name;

/// What a new goroutine is made of.
#[derive(Debug)]
pub(crate) struct Birth<'a> {
    pub(crate) id: u64,
    pub(crate) shared: &'a Shared,
    pub(crate) name: Option<Name>,
    pub(crate) spawned_at: &'static Location<'static>,
}

/// Makes a goroutine on `stack` that will run `f` and finish `packet` (if not null). The caller
/// owns it, and runs it or puts it on a queue.
#[inline]
pub(crate) fn create<F, T>(stack: Stack, birth: Birth<'_>, f: F, packet: *mut u8) -> GRef
where
    F: FnOnce() -> T,
{
    let put = |header| {
        let place = place_below::<F>(header);
        // SAFETY: aligned memory of the new stack, large enough, and nobody else's.
        unsafe { place.cast::<F>().write(f) };
        place
    };
    // SAFETY: as `create_with` wants it.
    unsafe { create_with::<F, T>(stack, birth, put, packet) }
}

/// Where a closure lies below a header.
pub(crate) fn place_below<F>(header: *mut u8) -> *mut u8 {
    assert!(!large::is_large::<F>(), "a large closure is boxed before");
    ((header as usize - size_of::<F>()) & !(large::ALIGN_MAX - 1)) as *mut u8
}

/// The same with a closure that somebody else puts there, and says where.
///
/// # Safety
/// `put` is called once, with the header of a stack where nothing lies. It puts an `F` at
/// [`place_below`] that header: the address.
#[inline]
pub(crate) unsafe fn create_with<F, T>(
    stack: Stack,
    birth: Birth<'_>,
    put: impl FnOnce(*mut u8) -> *mut u8,
    packet: *mut u8,
) -> GRef
where
    F: FnOnce() -> T,
{
    let header = stack.header();
    let low = stack.low().as_ptr();
    std::mem::forget(stack);
    let closure = put(header.as_ptr());
    let body = Body {
        context: UnsafeCell::new(Context::empty()),
        run: run_closure::<F, T>,
        closure,
        packet,
        bound: Cell::new(0),
        locks: Cell::new(0),
        blocking: Blocking::default(),
        ran_on: Cell::new(0),
        locals: Cell::new(None),
        name: Cell::new(birth.name),
        seed: Cell::new(None),
        masks: Cell::new(0),
        limits: Cell::new(None),
    };
    // SAFETY: the header of a stack that we own.
    let g = unsafe { G::init(header, birth.id, birth.shared, birth.spawned_at, body) };
    let context = g.context.get();
    // SAFETY: the goroutine is ours: nobody else refers to its context.
    let context = unsafe { &mut *context };
    // SAFETY: the stack below the closure is unused and lives until the goroutine has ended.
    unsafe { context.prepare(closure, low, entry, header.as_ptr()) };
    g.to_ref()
}

/// # Safety
/// Called by the first switch to a goroutine, with its machine and its header.
unsafe extern "C" fn entry(payload: *mut u8, arg: *mut u8) -> ! {
    // SAFETY: the payload of every switch is the machine that runs on this thread.
    let m = unsafe { &*payload.cast::<Machine>() };
    run::arrived(m);
    unpin(m);
    // SAFETY: `create` gave the header as the argument.
    let g = unsafe { &*arg.cast::<G>() };
    // SAFETY: `create` stored a closure of the type that `run` is for.
    unsafe { (g.run)(g) };
    end(g)
}

/// The end of a goroutine, on its own stack, when its closure is over.
fn end(g: &G) -> ! {
    let m = pin(g);
    if let Some(name) = g.name.take() {
        m.shared().forget_name(g.state.id());
        drop(name);
    }
    run::exit(g, m)
}

/// # Safety
/// `g` was made by [`create`] with the same types, and this is called once.
unsafe fn run_closure<F, T>(g: &G)
where
    F: FnOnce() -> T,
{
    // SAFETY: `create` wrote it there.
    let f = unsafe { g.closure.cast::<F>().read() };
    let packet = g.packet;
    let body = || {
        park::begin(g);
        let value = large::call(f);
        // Without a packet it is no value that anybody could miss: `()`.
        if !packet.is_null() {
            // SAFETY: `create` was given the packet for this type; `finish` comes below.
            unsafe { Packet::<T>::put(packet, value) };
        }
    };
    let outcome = catch_unwind(AssertUnwindSafe(body));
    if let Err(payload) = &outcome {
        panics::ended(g, &**payload, g.packet.is_null());
    }
    if g.has_locals() {
        // A destructor may park; a request could not end it by unwinding.
        std::mem::forget(Deaf::begin(g));
        g.told.set_in_destructor(true);
        hooks::end(g);
        no_unwind("the destructor of a goroutine-local panicked", || {
            locals::drop_all(g);
        });
    }
    if packet.is_null() {
        drop_result(outcome);
    } else {
        // SAFETY: as above; the value is there unless `body` panicked.
        unsafe { Packet::<T>::finish(packet, outcome) };
    }
}
