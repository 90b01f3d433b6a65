//! Waits that an event or a deadline may end: the acting side of `task/state/timed.rs`.

use super::machine::{pin, unpin};
use super::park::{self, Parked};
use super::timers::Target;
use crate::sched::header::{G, GRef, Wait};
use crate::sys::clock::NEVER;
use crate::task::state::Wake;
use crate::task::wait_word::{By, End, Ticket};

/// The right to try to end one wait of one goroutine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wakeup {
    g: GRef,
    id: u64,
    ticket: Ticket,
}

impl Wakeup {
    /// Takes the wait, if nobody has: the goroutine, when the caller must put it on a queue.
    #[must_use]
    pub(crate) fn wake(self) -> Option<GRef> {
        self.claim().flatten()
    }

    /// Takes the wait: `None` if somebody else has; the goroutine, when the caller must put it on a
    /// queue.
    pub(crate) fn claim(self) -> Option<Option<GRef>> {
        let g = self.g.get();
        let taken = g.wait_word.take(self.ticket, By::Event);
        taken.then(|| (g.state.deliver(self.id) == Wake::Enqueue).then_some(self.g))
    }

    /// Whether nobody has taken the wait yet.
    pub(crate) fn is_open(self) -> bool {
        self.g.get().wait_word.is_open(self.ticket)
    }

    /// The same, and puts it on a queue.
    pub(crate) fn ready(self) {
        if let Some(g) = self.wake() {
            park::act(g, Wake::Enqueue);
        }
    }
}

/// An open wait of the running goroutine; dropped, it is over, also for those who still have its
/// ticket.
struct Open<'a> {
    g: &'a G,
    ticket: Ticket,
    /// The P whose heap has the ticket.
    home: Option<usize>,
    is_over: bool,
}

impl Open<'_> {
    fn of(g: &G) -> Open<'_> {
        Open {
            g,
            ticket: g.wait_word.open(),
            home: None,
            is_over: false,
        }
    }

    fn wakeup(&self) -> Wakeup {
        Wakeup {
            g: self.g.to_ref(),
            id: self.g.state.id(),
            ticket: self.ticket,
        }
    }

    /// Leaves the ticket with a timer.
    fn arm(&mut self, until: u64) {
        if until == NEVER {
            return;
        }
        let m = pin(self.g);
        let target = Target::Wait(self.g.to_ref(), self.ticket);
        self.home = Some(m.shared().add_timer(Some(m), until, target));
        unpin(m);
    }

    fn park(&mut self, why: Wait, until: u64, publish: impl FnOnce(Wakeup) -> bool) -> Parked {
        park::park_with(self.g, why, || {
            let published = publish(self.wakeup());
            if published {
                self.arm(until);
            }
            published
        })
    }

    fn end(&mut self) -> End {
        self.is_over = true;
        let end = self.g.wait_word.close(self.ticket);
        if end != End::Closed && !self.g.state.take_delivery() {
            self.await_delivery();
        }
        if end != End::Taken(By::Time)
            && let Some(home) = self.home
        {
            let m = pin(self.g);
            m.shared().left_stale(home);
            unpin(m);
        }
        end
    }

    /// Somebody took the wait, and something else ended the park: the wake is still to come.
    #[cold]
    fn await_delivery(&self) {
        let g = self.g;
        let mut is_delivered = false;
        park::undisturbed(g, || {
            while !is_delivered {
                let parked = park::park_with(g, Wait::Park, || {
                    is_delivered = g.state.take_delivery();
                    !is_delivered
                });
                // A time limit ends it too.
                is_delivered = parked == Parked::NotBegun || g.state.take_delivery();
            }
        });
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            let _ = self.end();
        }
    }
}

/// Parks `g`, which runs, until somebody to whom `publish` gave the [`Wakeup`] uses it, or until
/// `until`. If `publish` gives false, does not wait, and nobody must have the wakeup.
///
/// Unwinds like every park, if nobody has taken the wait; a wakeup that is used afterwards does
/// nothing. A request that was no reason to unwind gives [`End::Closed`].
pub(crate) fn wait(g: &G, why: Wait, until: u64, publish: impl FnOnce(Wakeup) -> bool) -> End {
    let (end, parked) = wait_unheeded(g, why, until, publish);
    if parked == Parked::Interrupted && end == End::Closed {
        park::heed(g);
    }
    end
}

/// As [`wait`], but leaves it to the caller to call [`park::heed`] when a request has ended the
/// park ([`Parked::Interrupted`]) and nobody has taken the wait ([`End::Closed`]): what it has
/// published can be taken back first.
pub(crate) fn wait_unheeded(
    g: &G,
    why: Wait,
    until: u64,
    publish: impl FnOnce(Wakeup) -> bool,
) -> (End, Parked) {
    let mut open = Open::of(g);
    let parked = open.park(why, until, publish);
    (open.end(), parked)
}

/// Parks `g`, which runs, until `until`.
pub(crate) fn sleep_until(g: &G, until: u64) {
    // A late interrupt, of a time limit that has had its effect, ends a park for nothing.
    while wait(g, Wait::Sleep, until, |_| true) != End::Taken(By::Time) {}
}

/// Parks `g`, which runs, until its token comes or `until`.
pub(crate) fn park_by_token_until(g: &G, until: u64) {
    let mut open = Open::of(g);
    let parked = park::park_by_token_with(g, || open.arm(until));
    let end = open.end();
    // A token that came after the request has served the wait.
    if parked == Parked::Interrupted && end == End::Closed && !g.state.take_token() {
        park::heed(g);
    }
}
