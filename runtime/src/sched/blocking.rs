//! Blocking calls that say so: the P is free for others meanwhile.
//!
//! Going in and coming back are one CAS each on the word of the P (`hold.rs`). In between sysmon
//! may take the P, when there is work for it, and so may an M that comes back from a call and has
//! none. A call that will be long (`call_sites.rs`) passes its P on before it begins, if work
//! waits.
//!
//! An M whose P is gone takes an idle P, or that of an M in a blocking call. If nobody waits for
//! this P its goroutine goes on; else the goroutine goes to the end of the queue, and the thread
//! runs the first: no thread sleeps, and none is woken. Where there is no such P the goroutine goes
//! to the global queue and the thread is free for others. A goroutine that is bound to its thread,
//! or unwinds, waits for a P on the thread instead.

use std::panic::Location;
use std::sync::atomic::Ordering;

use super::beat;
use super::bound;
use super::call_sites::{LONG_MICROS, Site};
use super::find;
use super::hand_off;
use super::hooks::{self, Away};
use super::machine::{After, Machine, Standing, pin, unpin};
use super::run::leave;
use crate::sched::header::{G, Wait};
use crate::sys::clock;

/// Held while a goroutine is in a blocking call; dropping it comes back.
#[derive(Debug)]
pub(crate) struct Blocking<'a> {
    g: &'a G,
    site: Site,
}

impl<'a> Blocking<'a> {
    /// `None` when the running goroutine `g` is in one already.
    ///
    /// # Panics
    /// In a hook, and where suspensions are forbidden.
    #[track_caller]
    pub(crate) fn of(g: &'a G) -> Option<Blocking<'a>> {
        Blocking::at(g, Location::caller())
    }

    /// A call that was made at `caller`; `None` when the running goroutine `g` is in one already.
    ///
    /// # Panics
    /// In a hook, and where suspensions are forbidden.
    #[inline]
    pub(crate) fn at(g: &'a G, caller: &'static Location<'static>) -> Option<Blocking<'a>> {
        if g.blocking.or_watched() {
            return Blocking::checked(g, Site::of(caller));
        }
        let site = Site::of(caller);
        begin(g, site);
        Some(Blocking { g, site })
    }

    #[cold]
    #[inline(never)]
    fn checked(g: &'a G, site: Site) -> Option<Blocking<'a>> {
        if g.blocking.get() {
            return None;
        }
        hooks::assert_may_suspend(g, Wait::Blocking);
        begin(g, site);
        Some(Blocking { g, site })
    }
}

impl Drop for Blocking<'_> {
    fn drop(&mut self) {
        end(self.g, self.site);
    }
}

/// Of all waits on other stacks nothing is known beforehand.
const WAITS_ASIDE: Site = Site::UNKNOWN;

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
        // It keeps its thread: that is no suspension, which hooks or a guard would be asked about.
        let blocking = (!g.blocking.get()).then(|| {
            begin(g, WAITS_ASIDE);
            Blocking {
                g,
                site: WAITS_ASIDE,
            }
        });
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
        end(g, Site::UNKNOWN);
        Some(Interrupted(g))
    }
}

impl Drop for Interrupted<'_> {
    fn drop(&mut self) {
        begin(self.0, Site::UNKNOWN);
    }
}

#[inline(never)]
fn begin(g: &G, site: Site) {
    let m = pin(g);
    loop {
        if m.has_p() && m.p().hold.begin_blocking(m.token()) {
            let has_work = m.p().has_work();
            m.shared().monitor.blocks(has_work);
            // Not before the word has changed, which waits for all loads before it.
            if m.shared().call_sites.is_long(site) {
                begin_long(m);
            } else if has_work {
                wait_for_others(m);
            }
            break;
        }
        match m.standing() {
            Standing::Held => {}
            // The end of the slice is not to be forgotten by calls that are over at once.
            Standing::Preempted => {
                if is_wanted(m) {
                    pass_on(m, m.release());
                    break;
                }
            }
            Standing::Lost => break,
            Standing::Blocking => unreachable!("a blocking call does not nest"),
        }
    }
    g.blocking.set(true);
    m.is_blocking.store(true, Ordering::Relaxed);
    unpin(m);
}

/// Others may take the P of `m`, which has work, in the call that begins.
fn wait_for_others(m: &Machine) {
    // Who is next may have called nobody in. Whether there is a note is not asked: it may just be
    // coming.
    m.p().haste.take_back();
    m.shared().submitted();
}

/// The call that begins will be long: passes on the P of `m`, if others want it.
#[cold]
#[inline(never)]
fn begin_long(m: &Machine) {
    if is_wanted(m) && m.p().hold.take_blocking(m.index) {
        pass_on(m, m.forget_p());
    }
}

/// Whether others want the P that `m` holds, or is in a blocking call with.
#[cold]
fn is_wanted(m: &Machine) -> bool {
    find::is_excess(m) || find::anybody_nearby(m) || beat::is_overdue(m.shared(), m.p())
}

/// Passes on P number `p`, which was that of `m`.
#[cold]
fn pass_on(m: &Machine, p: usize) {
    hand_off::lend(m.shared(), p);
    // Now: a thread that was woken may have run in the place of this one.
    m.passed_on.set(micros().max(1));
}

#[inline(never)]
fn end(g: &G, site: Site) {
    let m = pin(g);
    g.blocking.set(false);
    m.is_blocking.store(false, Ordering::Relaxed);
    if m.has_p() && m.p().hold.end_blocking(m.token()) {
        m.p().counts.blocks.add(1);
        return unpin(m);
    }
    end_without_p(g, site);
}

#[cold]
#[inline(never)]
fn end_without_p(g: &G, site: Site) {
    let m = g.machine();
    learn(m, site);
    if m.standing() == Standing::Lost {
        if g.bound.get() != 0 || std::thread::panicking() {
            hand_off::claim(m);
        } else if g.is_watched() {
            return leave_watched(g, m);
        } else {
            return leave_for_a_p(g, m);
        }
    }
    unpin(m);
}

/// Leaves the pinned `m`, with hooks, which run unpinned and may find a P.
#[inline(never)]
fn leave_watched(g: &G, m: &Machine) {
    unpin(m);
    let _away = Away::begin(g, Wait::Blocking);
    let m = pin(g);
    match m.standing() {
        Standing::Lost => leave_for_a_p(g, m),
        standing => {
            hand_off::settle(m, standing);
            unpin(m);
        }
    }
}

/// The present, for short times: it wraps after 71 minutes.
fn micros() -> u32 {
    (clock::now() / 1000) as u32
}

/// Notes how long the call was, as far as that is known.
fn learn(m: &Machine, site: Site) {
    let was_taken = m.is_long.swap(false, Ordering::Relaxed);
    let passed_on = m.passed_on.replace(0);
    if passed_on != 0 {
        let time = micros().wrapping_sub(passed_on);
        m.shared().call_sites.note(site, time >= LONG_MICROS);
    } else if was_taken {
        m.shared().call_sites.note(site, true);
    }
}

/// Goes on with a P for which nobody waits, or behind those that wait. Comes back unpinned.
fn leave_for_a_p(g: &G, m: &Machine) {
    let after = match hand_off::find_p(m.shared()) {
        None => After::Global(g.to_ref()),
        Some(p) => {
            m.hold(p);
            if m.p().has_work() {
                After::Requeue(g.to_ref())
            } else if find::anybody_nearby(m) {
                After::Global(g.to_ref())
            } else {
                return unpin(m);
            }
        }
    };
    leave(g, m, after);
}
