//! Bringing a goroutine into the world.
//!
//! A spawn by a goroutine of the runtime uses its P: the P's stacks, ids and queue. A spawn by
//! anybody else, or by a goroutine that has no P just now, uses the runtime's outside state.

#![expect(unsafe_code, reason = "uses the local state of the P that its M holds")]

use std::io;
use std::panic::Location;

use gopark_stack::{Class, Promise, Stack};

use super::hand_off;
use super::large;
use super::machine::{Machine, Standing, pin, unpin, unsuspended};
use super::park;
use super::processor::Supply;
use super::seed::{Seed, Seeds};
use super::shared::Shared;
use crate::sched::birth::plant;
use crate::sched::entry::{Birth, create};
use crate::sched::header::G;
use crate::sched::place::Place;
use crate::sys::fork;
use crate::task::name::Name;
use crate::task::seed_state::Ask;

/// With so many before it a new goroutine waits for its first turn, and a warm stack would become
/// cold meanwhile.
const SOON: usize = 32;

/// What may be chosen at spawn.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) class: Option<Class>,
    pub(crate) name: Option<Name>,
    pub(crate) spawned_at: &'static Location<'static>,
}

impl Options {
    #[track_caller]
    pub(crate) fn here() -> Options {
        Options {
            class: None,
            name: None,
            spawned_at: Location::caller(),
        }
    }

    #[inline]
    fn birth(self, id: u64, shared: &Shared) -> Birth<'_> {
        if let Some(name) = &self.name {
            shared.note_name(id, name);
        }
        Birth {
            id,
            shared,
            name: self.name,
            spawned_at: self.spawned_at,
        }
    }
}

/// Where a new goroutine is put until its first turn.
enum Cradle {
    Stack(Stack),
    Seed(&'static Seed, Promise),
}

impl Cradle {
    /// A stack that is free nearby, for a first turn that comes `soon`; the promise of one; or a
    /// stack from wherever there is one, also of a smaller class.
    #[inline(always)]
    fn take(supply: &mut Supply, class: Class, seeds: &Seeds, soon: bool) -> io::Result<Cradle> {
        if soon && let Some(stack) = supply.stacks.take_cached(class) {
            return Ok(Cradle::Stack(stack));
        }
        Cradle::promise(supply, class, seeds)
    }

    #[cold]
    fn promise(supply: &mut Supply, class: Class, seeds: &Seeds) -> io::Result<Cradle> {
        match supply.stacks.promise(class) {
            Some(promise) => Ok(Cradle::Seed(supply.seeds.take(seeds), promise)),
            None => supply.stacks.take(class).map(Cradle::Stack),
        }
    }

    #[inline(always)]
    fn put<F, T>(self, birth: Birth<'_>, f: F, packet: *mut u8) -> Place
    where
        F: FnOnce() -> T,
    {
        match self {
            Cradle::Stack(stack) => create::<F, T>(stack, birth, f, packet).into(),
            Cradle::Seed(seed, promise) => plant::<F, T>(seed, promise, birth, f, packet),
        }
    }
}

/// Makes a goroutine of the caller's runtime and makes it ready: itself and its id.
#[inline]
pub(crate) fn here<F, T>(
    me: &G,
    options: Options,
    f: F,
    packet: *mut u8,
) -> io::Result<(Place, u64)>
where
    F: FnOnce() -> T,
{
    if const { large::is_large::<F>() } {
        let f = large::boxed(f);
        return small_here::<_, T>(me, options, move || large::call_boxed(f), packet);
    }
    small_here::<F, T>(me, options, f, packet)
}

fn small_here<F, T>(me: &G, options: Options, f: F, packet: *mut u8) -> io::Result<(Place, u64)>
where
    F: FnOnce() -> T,
{
    // If there is no stack, `f` is dropped by its owner here, which is not pinned then: its
    // destructor may use the runtime.
    let mut f = Some(f);
    assert!(!fork::is_child(), "gopark: a spawn was {}", fork::TEXT);
    let m = pin(me);
    let standing = m.standing();
    let made = match standing {
        Standing::Held | Standing::Preempted => on_p::<F, T>(m, options, &mut f, packet),
        Standing::Blocking | Standing::Lost => without_p(m.shared(), options, &mut f, packet),
    };
    hand_off::settle(m, standing);
    unpin(m);
    // By value: a result whose address is taken is copied to the caller.
    if me.state.is_stopped() {
        return made.inspect(stop_too);
    }
    made
}

/// A goroutine that was spawned while its runtime ends, by one that was asked to end, is asked at
/// once: a look at all goroutines of the process, for each link of a chain, would take long.
#[cold]
fn stop_too((place, id): &(Place, u64)) {
    park::ask(*place, *id, Ask::Stop);
}

fn on_p<F, T>(
    m: &Machine,
    options: Options,
    f: &mut Option<F>,
    packet: *mut u8,
) -> io::Result<(Place, u64)>
where
    F: FnOnce() -> T,
{
    let shared = m.shared();
    let class = options.class.unwrap_or(shared.config.class);
    // SAFETY: one short use; nothing in it switches.
    let supply = &mut unsafe { m.local() }.supply;
    let soon = m.p().queue.len() < SOON;
    let cradle = Cradle::take(supply, class, &shared.seeds, soon)?;
    let id = supply.ids.next();
    let f = f.take().expect("a closure is launched once");
    let place = cradle.put::<F, T>(options.birth(id, shared), f, packet);
    m.p().counts.spawned.add(1);
    park::enqueue_here(m, place);
    Ok((place, id))
}

/// Makes a goroutine of a runtime that is not the caller's, and makes it ready.
#[inline]
pub(crate) fn outside<F, T>(
    shared: &Shared,
    options: Options,
    f: F,
    packet: *mut u8,
) -> io::Result<(Place, u64)>
where
    F: FnOnce() -> T,
{
    if const { large::is_large::<F>() } {
        let f = large::boxed(f);
        return small_outside::<_, T>(shared, options, move || large::call_boxed(f), packet);
    }
    small_outside::<F, T>(shared, options, f, packet)
}

fn small_outside<F, T>(
    shared: &Shared,
    options: Options,
    f: F,
    packet: *mut u8,
) -> io::Result<(Place, u64)>
where
    F: FnOnce() -> T,
{
    assert!(!fork::is_child(), "gopark: a spawn was {}", fork::TEXT);
    let mut f = Some(f);
    // The caller may be a goroutine of another runtime.
    unsuspended(|| without_p(shared, options, &mut f, packet))
}

fn without_p<F, T>(
    shared: &Shared,
    options: Options,
    f: &mut Option<F>,
    packet: *mut u8,
) -> io::Result<(Place, u64)>
where
    F: FnOnce() -> T,
{
    let mut outside = shared.outside();
    let class = options.class.unwrap_or(shared.config.class);
    let cradle = Cradle::take(&mut outside, class, &shared.seeds, true)?;
    let id = outside.ids.next();
    drop(outside);
    let f = f.take().expect("a closure is launched once");
    let place = cradle.put::<F, T>(options.birth(id, shared), f, packet);
    shared.count_spawn_outside();
    shared.submit_global(place);
    Ok((place, id))
}

/// A detached goroutine of the runtime's own.
#[track_caller]
pub(crate) fn service(
    shared: &Shared,
    f: impl FnOnce(&G) + Send + 'static,
) -> io::Result<(Place, u64)> {
    let body = move || f(G::current().expect("a goroutine runs on its stack"));
    outside::<_, ()>(shared, Options::here(), body, std::ptr::null_mut())
}
