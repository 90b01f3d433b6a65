//! From spawn to the first turn of a goroutine for which no stack is free nearby, or that waits
//! behind many.
//!
//! A spawn takes a stack that lies in its P's cache: it is warm. If there is none, or it would be
//! cold again when the turn comes, the goroutine gets a promise of one (`stack/src/promise.rs`) and
//! is planted: its closure waits in a *germ* on the heap, and a seed goes through the queues in its
//! place. The M that takes the seed from a queue redeems the promise, usually by the stack of one
//! that has just ended, and makes the goroutine there. So of a hundred thousand that are spawned at
//! once, and run one after the other, few ever touch a stack of their own.
//!
//! What others ask of it meanwhile is noted in the seed and told to the header
//! (`task/seed_state.rs`). The seed is kept until the goroutine ends: handles go by it.

#![expect(unsafe_code, reason = "keeps a closure of any type on the heap")]

use std::mem::ManuallyDrop;
use std::ptr;

use gopark_stack::{Promise, Stack};

use super::entry::{Birth, create_with, is_inline, place_below};
use super::header::GRef;
use super::machine::Machine;
use super::place::{At, Place, ask_header};
use super::seed::Seed;
use crate::fatal::no_stack;
use crate::task::name::Name;

type Bear = unsafe fn(*mut Germ, Stack, Birth<'_>) -> GRef;

/// What a goroutine will be made of; its closure follows. Small: of a burst of goroutines that then
/// live on the heap keeps the room of as many.
struct Germ {
    bear: Bear,
    packet: *mut u8,
    name: Option<Name>,
    promise: Option<Promise>,
}

/// With a closure, or with the address of its box: one that is large must not pass over the stack
/// of whoever leaves when its turn comes.
#[repr(C)]
struct Whole<F> {
    germ: Germ,
    f: F,
}

fn keep<F>(germ: Germ, f: F) -> *mut u8 {
    Box::into_raw(Box::new(Whole { germ, f })).cast()
}

/// Frees what [`keep`] made, whose content was moved out.
///
/// # Safety
/// From `keep` with the same type, and not used any more.
unsafe fn free<F>(whole: *mut Whole<F>) {
    // SAFETY: the caller's promise; the wrapper has the layout of what it wraps.
    drop(unsafe { Box::from_raw(whole.cast::<ManuallyDrop<Whole<F>>>()) });
}

/// Plants a goroutine that will run `f` and finish `packet` (if not null). The caller owns it and
/// puts it on a queue.
pub(crate) fn plant<F, T>(
    seed: &'static Seed,
    promise: Promise,
    birth: Birth<'_>,
    f: F,
    packet: *mut u8,
) -> Place
where
    F: FnOnce() -> T,
{
    let germ = Germ {
        bear: bear::<F, T>,
        packet,
        name: birth.name,
        promise: Some(promise),
    };
    let kept = if is_inline::<F>() {
        keep(germ, f)
    } else {
        keep(germ, Box::into_raw(Box::new(f)))
    };
    seed.plant(birth.id, birth.spawned_at, kept);
    seed.into()
}

/// # Safety
/// `germ` was made by [`plant`] with the same types, name and promise were taken out of it, and
/// this is called once.
unsafe fn bear<F, T>(germ: *mut Germ, stack: Stack, birth: Birth<'_>) -> GRef
where
    F: FnOnce() -> T,
{
    // SAFETY: of `plant`.
    let packet = unsafe { (*germ).packet };
    if !is_inline::<F>() {
        let whole = germ.cast::<Whole<*mut F>>();
        // SAFETY: `plant` kept the box beside the germ.
        let f = unsafe { (*whole).f };
        // SAFETY: all was moved out.
        unsafe { free(whole) };
        // SAFETY: the box is ours.
        return unsafe { create_with::<F, T>(stack, birth, |_| f.cast(), packet) };
    }
    let whole = germ.cast::<Whole<F>>();
    // SAFETY: `plant` kept the closure beside the germ.
    let f = unsafe { &raw const (*whole).f };
    let put = |header| {
        let place = place_below::<F>(header);
        // SAFETY: memory of the new stack, large enough; the closure is not used at `f` any more.
        unsafe { place.cast::<F>().copy_from_nonoverlapping(f, 1) };
        place
    };
    // SAFETY: as `create_with` wants it.
    let g = unsafe { create_with::<F, T>(stack, birth, put, packet) };
    // SAFETY: all was moved out.
    unsafe { free(whole) };
    g
}

/// The header of a goroutine that the pinned `m` has taken from a queue to run it.
#[inline]
pub(crate) fn born(m: &Machine, place: Place) -> GRef {
    match place.at() {
        At::Header(g) => g,
        At::Seed(seed) => first_turn(m, seed),
    }
}

#[cold]
#[inline(never)]
fn first_turn(m: &Machine, seed: &'static Seed) -> GRef {
    let germ: *mut Germ = ptr::with_exposed_provenance_mut(seed.state.germ());
    // SAFETY: the entry of the queue is ours, and with it the germ, until `bear`.
    let (bear, has_handle, name, promise) = unsafe {
        let germ = &mut *germ;
        let has_handle = !germ.packet.is_null();
        (germ.bear, has_handle, germ.name.take(), germ.promise.take())
    };
    // SAFETY: one short use; nothing in it switches.
    let supply = &mut unsafe { m.local() }.supply;
    let stack = promise.map(|promise| supply.stacks.redeem(promise));
    let stack = match stack.expect("a promise is redeemed once") {
        Ok(stack) => stack,
        Err(refusal) => no_stack(&refusal),
    };
    let id = seed.state.id();
    let birth = Birth {
        id,
        shared: m.shared(),
        name,
        spawned_at: seed.spawned_at.get().expect("of a goroutine"),
    };
    // SAFETY: the function that `plant` stored for this germ, called once; both were taken out.
    let g = unsafe { bear(germ, stack, birth) };
    for ask in seed.state.bear(id, g.to_word()).iter() {
        // It is owned: nobody has to put it on a queue.
        let _ = ask_header(g, id, ask);
    }
    if has_handle {
        g.get().seed.set(Some(seed));
    } else {
        supply.seeds.give(seed, &m.shared().seeds);
    }
    g
}
