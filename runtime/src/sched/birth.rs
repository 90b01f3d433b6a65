//! From spawn to the first turn of a goroutine for which no stack is free nearby, or that waits
//! behind many.
//!
//! A spawn takes a stack that lies in its P's cache: it is warm. If there is none, or it would be
//! cold again when the turn comes, the goroutine gets a promise of one (`stack/src/promise.rs`) and
//! is planted: its closure waits in a *germ*, and the seed that has room for it goes through the
//! queues in its place. The M that takes the seed from a queue redeems the promise, usually by the
//! stack of one that has just ended, and makes the goroutine there. So of a hundred thousand that
//! are spawned at once, and run one after the other, few ever touch a stack of their own.
//!
//! What others ask of it meanwhile is noted in the seed and told to the header
//! (`task/seed_state.rs`). The seed is kept until the goroutine ends: handles go by it.

#![expect(unsafe_code, reason = "keeps a closure of any type in a seed")]

use std::mem::ManuallyDrop;

use gopark_stack::{Promise, Stack};

use super::entry::{Birth, create_with, place_below};
use super::header::GRef;
use super::machine::Machine;
use super::place::{At, Place, ask_header};
use super::seed::{Room, Seed};
use crate::fatal::no_stack;
use crate::task::name::Name;

type Bear = unsafe fn(*mut Germ, Stack, Birth<'_>) -> GRef;

/// What a goroutine will be made of; its closure follows.
struct Germ {
    bear: Bear,
    packet: *mut u8,
    name: Option<Name>,
    promise: Option<Promise>,
}

/// With a closure; or with the address of its box, if that is larger than the room of a seed.
#[repr(C)]
struct Whole<F> {
    germ: Germ,
    f: F,
}

const fn fits<F>() -> bool {
    size_of::<Whole<F>>() <= size_of::<Room>() && align_of::<Whole<F>>() <= align_of::<Room>()
}

const _: () = assert!(
    fits::<[usize; 5]>() && !fits::<[usize; 6]>(),
    "the room of a seed is said to be for closures of five words"
);

/// # Safety
/// The room of `seed` is the caller's.
unsafe fn fill<F>(seed: &Seed, germ: Germ, f: F) {
    assert!(fits::<F>(), "a closure larger than the room of a seed");
    // SAFETY: the caller's promise; it is large enough, and aligned.
    unsafe { seed.room().cast::<Whole<F>>().write(Whole { germ, f }) };
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
    if fits::<F>() {
        // SAFETY: a seed that the caller has taken.
        unsafe { fill(seed, germ, f) };
    } else {
        // SAFETY: likewise.
        unsafe { fill(seed, germ, Box::into_raw(Box::new(f))) };
    }
    seed.plant(birth.id, birth.spawned_at);
    seed.into()
}

/// # Safety
/// `germ` was made by [`plant`] with the same types, name and promise were taken out of it, and
/// this is called once.
unsafe fn bear<F, T>(germ: *mut Germ, stack: Stack, birth: Birth<'_>) -> GRef
where
    F: FnOnce() -> T,
{
    let f: *mut F = if fits::<F>() {
        // SAFETY: `plant` put the closure behind the germ.
        unsafe { &raw mut (*germ.cast::<Whole<F>>()).f }
    } else {
        // SAFETY: `plant` put the address of its box there.
        unsafe { (*germ.cast::<Whole<*mut F>>()).f }
    };
    let put = |header| {
        let place = place_below::<F>(header);
        // SAFETY: memory of the new stack, large enough; the closure is not used at `f` any more.
        unsafe { place.cast::<F>().copy_from_nonoverlapping(f, 1) };
        place
    };
    // SAFETY: of `plant`.
    let packet = unsafe { (*germ).packet };
    // SAFETY: as `create_with` wants it.
    let g = unsafe { create_with::<F, T>(stack, birth, put, packet) };
    if !fits::<F>() {
        // SAFETY: `plant`'s box, whose content was moved out; the wrapper has its layout.
        drop(unsafe { Box::from_raw(f.cast::<ManuallyDrop<F>>()) });
    }
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
    let germ: *mut Germ = seed.room().cast();
    // SAFETY: the entry of the queue is ours, and with it the room.
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
