//! The loop of a machine, and the switches between goroutines.
//!
//! A goroutine that leaves switches straight to the next one when there is one nearby, otherwise to
//! the machine's own context, where the loop searches. Whatever must wait until the left context is
//! saved is an [`After`], done by whoever arrives.
//!
//! Every function here that switches is `#[inline(never)]`: it may return on another thread.

#![expect(
    unsafe_code,
    reason = "switches between goroutines and the machine's own stack"
)]

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use gopark_stack::switch::switch;
use gopark_stack::{AltStack, Stack};

use super::bound::{self, Dispatch};
use super::find;
use super::idle::Retract;
use super::machine::{After, Given, Machine, Sleeper};
use super::park;
use super::shared::Shared;
use crate::sched::header::{G, GRef};

/// The body of an M's thread: runs goroutines until the runtime ends.
pub(crate) fn machine_main(shared: Arc<Shared>, p: usize) {
    // Without a signal stack of our own, std's serves: the handler needs little.
    let _signals = AltStack::install();
    let sleeper = Arc::new(Sleeper::new());
    let number = shared.register(Arc::clone(&sleeper));
    let m = Machine::new(shared, number, sleeper);
    m.hold(p);
    m.searching.set(true);
    while let Some(g) = next(&m) {
        match bound::dispatch(&m, g) {
            Dispatch::Run => execute(&m, g),
            Dispatch::Gone => {}
            Dispatch::End => break,
        }
    }
}

/// The next goroutine for `m`, or `None` when the runtime ends. Blocks.
fn next(m: &Machine) -> Option<GRef> {
    loop {
        if let Some(g) = m.picked.take().or_else(|| find::nearby(m)) {
            stop_searching(m);
            return Some(g);
        }
        if m.searching.get() || m.shared.idle.start_search(m.shared.procs.len()) {
            m.searching.set(true);
            if let Some(g) = find::far(m) {
                stop_searching(m);
                return Some(g);
            }
        } else if let Some(g) = find::from_global(m) {
            return Some(g);
        }
        if !sleep(m) {
            return None;
        }
    }
}

/// A searcher found work: there may be more, for which another M should search.
fn stop_searching(m: &Machine) {
    if m.searching.replace(false) {
        m.shared.idle.found();
        if find::anything_anywhere(m) {
            m.shared.submitted();
        }
    }
}

/// Gives up the P and sleeps until there is work; false when the runtime ends.
fn sleep(m: &Machine) -> bool {
    // SAFETY: one short use. What other Ms may want is not kept by one that sleeps.
    unsafe { m.local() }.stacks.flush();
    let p = m.release();
    m.shared
        .idle
        .announce(m.index, p, m.searching.replace(false));
    if find::anything_anywhere(m)
        && let Retract::Search { p } = m.shared.idle.retract(m.index)
    {
        m.hold(p);
        m.searching.set(true);
        return true;
    }
    // Acquire: pairs with the Release of the end; an M that announced itself after the end's
    // sweep sees it here.
    if m.shared.ending.load(Ordering::Acquire) {
        return false;
    }
    wait_for_p(m)
}

/// Sleeps until a P is given; false when the runtime ends.
pub(crate) fn wait_for_p(m: &Machine) -> bool {
    match m.sleeper.sleep() {
        Given::P(p) => {
            m.hold(p);
            m.searching.set(true);
            true
        }
        Given::End => false,
    }
}

/// Runs `g` until something switches back to the machine's own context.
#[inline(never)]
fn execute(m: &Machine, g: GRef) {
    let g = g.get();
    g.m.set(m);
    let payload = std::ptr::from_ref(m).cast_mut().cast();
    // SAFETY: `g` is ours and its context saved or prepared; the machine's context is continued on
    // this thread only, by goroutines that run on it.
    unsafe { switch(m.context.get(), g.context.get(), payload) };
    arrived(m);
}

/// Leaves goroutine `g`, which is running: to the next one nearby or to the machine's loop.
#[inline(never)]
pub(crate) fn leave(g: &G, m: &Machine, after: After) {
    m.after.set(after);
    let to = match pick(m) {
        Some(next) => {
            next.m.set(m);
            next.context.get()
        }
        None => m.context.get(),
    };
    let payload = std::ptr::from_ref(m).cast_mut().cast();
    // SAFETY: `g` runs here, so its context is free to be saved into; `to` is saved or prepared and
    // owned by this machine. Nobody continues `g` before `after` is done, on the other side.
    let back = unsafe { switch(g.context.get(), to, payload) };
    // SAFETY: the payload of every switch is the machine that runs on this thread.
    arrived(unsafe { &*back.cast::<Machine>() });
}

/// A goroutine to switch to directly.
#[inline]
fn pick<'a>(m: &Machine) -> Option<&'a G> {
    if m.shared.config.migrate {
        return None;
    }
    let next = find::nearby(m)?;
    if next.get().bound.get() == 0 {
        return Some(next.get());
    }
    m.picked.set(Some(next));
    None
}

/// Does what the context that was left asked for. The first act on every arrival.
#[inline]
pub(crate) fn arrived(m: &Machine) {
    match m.after.replace(After::Nothing) {
        After::Nothing => {}
        After::Requeue(g) => park::requeue(m, g),
        After::Commit(g) => park::commit(m, g, g.get().state.commit_park()),
        After::CommitByToken(g) => park::commit(m, g, g.get().state.park_by_token()),
        After::Recycle(g) => recycle(m, g),
    }
}

/// The end of a goroutine, from its own stack.
pub(crate) fn exit(g: &G) -> ! {
    drop(g.name.take());
    leave(g, g.machine(), After::Recycle(g.to_ref()));
    unreachable!("a goroutine that has ended was continued")
}

fn recycle(m: &Machine, g: GRef) {
    g.get().state.end();
    let header = NonNull::from(g.get()).cast();
    // SAFETY: the header of a stack that `create` forgot; the goroutine has ended, and its last
    // switch is over.
    let stack = unsafe { Stack::from_header(header) };
    // SAFETY: one short use.
    unsafe { m.local() }.stacks.give(stack);
    m.p().count_end();
}
