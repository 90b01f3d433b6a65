//! Blocking calls that say so: the P is free for others meanwhile.
//!
//! Going in and coming back are one CAS each on the word of the P (`hold.rs`). In between sysmon
//! may take the P, when there is work for it; the M then comes back to an idle P, or its goroutine
//! goes to the global queue and the thread is free for others. A goroutine that is bound to its
//! thread, or unwinds, waits for a P on the thread instead.

use std::sync::atomic::Ordering;

use super::bound;
use super::hand_off;
use super::machine::{After, Standing, pin, unpin};
use super::run::leave;
use crate::sched::header::G;

/// Held while a goroutine is in a blocking call; dropping it comes back.
#[derive(Debug)]
pub(crate) struct Blocking<'a>(&'a G);

impl Blocking<'_> {
    /// `None` when the running goroutine `g` is in one already.
    pub(crate) fn of(g: &G) -> Option<Blocking<'_>> {
        if g.blocking.get() {
            return None;
        }
        begin(g);
        Some(Blocking(g))
    }
}

impl Drop for Blocking<'_> {
    fn drop(&mut self) {
        end(self.0);
    }
}

/// Held while the thread of a goroutine that is on another stack waits as a plain thread does: the
/// P is free for others meanwhile. The goroutine comes back on the same thread: on that stack it
/// could not leave.
#[derive(Debug)]
pub(crate) struct Aside<'a> {
    g: &'a G,
    blocking: Option<Blocking<'a>>,
}

impl Aside<'_> {
    /// For a caller that has found no goroutine by its stack; `None` on a plain thread. Until the
    /// drop no code of the program runs.
    pub(crate) fn begin<'a>() -> Option<Aside<'a>> {
        let g = G::elsewhere()?;
        bound::lock(g);
        let blocking = Blocking::of(g);
        Some(Aside { g, blocking })
    }
}

impl Drop for Aside<'_> {
    fn drop(&mut self) {
        // While it is bound.
        drop(self.blocking.take());
        bound::unlock(self.g);
    }
}

/// Held while a goroutine parks in the middle of a blocking call, which is no such call then.
#[derive(Debug)]
pub(crate) struct Interrupted<'a>(&'a G);

impl Interrupted<'_> {
    /// `None` when the running goroutine `g` is in no blocking call.
    #[inline]
    pub(crate) fn of(g: &G) -> Option<Interrupted<'_>> {
        if !g.blocking.get() {
            return None;
        }
        end(g);
        Some(Interrupted(g))
    }
}

impl Drop for Interrupted<'_> {
    fn drop(&mut self) {
        begin(self.0);
    }
}

#[inline(never)]
fn begin(g: &G) {
    let m = pin(g);
    loop {
        if m.has_p() && m.p().hold.begin_blocking(m.token()) {
            let has_work = m.p().has_work();
            m.shared().monitor.blocks(has_work);
            if has_work {
                // Who is next may have called nobody in. Whether there is a note is not asked: it
                // may just be coming.
                m.p().haste.take_back();
                m.shared().submitted();
            }
            break;
        }
        match m.standing() {
            // The end of the slice is not to be forgotten by calls that are over at once.
            Standing::Held => {}
            Standing::Preempted => hand_off::give_way(m),
            Standing::Lost => break,
            Standing::Blocking => unreachable!("a blocking call does not nest"),
        }
    }
    g.blocking.set(true);
    m.is_blocking.store(true, Ordering::Relaxed);
    unpin(m);
}

#[inline(never)]
fn end(g: &G) {
    let m = pin(g);
    g.blocking.set(false);
    m.is_blocking.store(false, Ordering::Relaxed);
    if m.has_p() && m.p().hold.end_blocking(m.token()) {
        m.p().counts.blocks.add(1);
        return unpin(m);
    }
    end_without_p(g);
}

#[cold]
#[inline(never)]
fn end_without_p(g: &G) {
    let m = g.machine();
    if m.standing() == Standing::Lost {
        if let Some(p) = m.shared().idle.take_p() {
            m.hold(p);
        } else if g.bound.get() != 0 || std::thread::panicking() {
            hand_off::claim(m);
        } else {
            return leave(g, m, After::Global(g.to_ref()));
        }
    }
    unpin(m);
}
