//! Operations on a descriptor that wait until they can be done.
//!
//! 1. Look at what has happened to the descriptor so far.
//! 2. See whether the handle is closed or its deadline over.
//! 3. Try.
//! 4. Where the kernel would block, wait until something has happened since step 1; begin anew.
//!
//! Whoever closes, shuts down or moves a deadline sets that first, and then makes something happen:
//! so it is either seen in step 2 or 3, or ends the wait of step 4.
//!
//! # Where the kernel keeps quiet
//!
//! *A shutdown of the writing of a Unix socket* makes its `send` fail, but no poll says so while
//! the buffer is full: neither after the socket's own `shutdown(Write)` nor after the peer's
//! `shutdown(Read)`. `shutdown` of a handle wakes those who wait at it. For the peer, and for
//! duplicates of the descriptor, a write of anything but TCP tries again after [`RETRY_FIRST`], and
//! then after twice the time, up to [`RETRY_MAX`].
//!
//! *A shutdown of the reading of a socket of datagrams* is an event, but a `recv` that must not
//! wait says that it would block, before and after, while one that may wait returns with nothing.
//! So does `accept` at a Unix listener. [`op_recv`](Inner::op_recv) asks a poll for the reason, if
//! the events have told of a hang-up.

use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use gopark_poller::Seen;

use super::error;
use super::handle::{Direction, Inner};
use super::wait::{Ready, is_shut, wait};
use crate::sched::header::G;

/// A write that the kernel may not wake tries again after this time, counted from its first wait.
const RETRY_FIRST: Duration = Duration::from_millis(4);
/// The longest time between two tries. A thousand such writers are a thousand tries a second.
const RETRY_MAX: Duration = Duration::from_secs(1);

/// What limits one operation, beside the deadline.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    /// The timeout of the direction, from the first wait on.
    Timeout,
    /// A point in time, or nothing, and the kernel tells of every change.
    Until(Option<Instant>),
}

/// The waits of one operation.
struct Waits {
    limit: Limit,
    /// When the wait that comes next tries again, if the kernel may keep quiet.
    retry: Option<Duration>,
}

impl Waits {
    fn within(limit: Limit) -> Waits {
        let retry = match limit {
            Limit::Timeout => Some(RETRY_FIRST),
            Limit::Until(_) => None,
        };
        Waits { limit, retry }
    }

    /// When the operation is over.
    fn end(&mut self, timeout: Option<Duration>) -> Option<Instant> {
        let until = match self.limit {
            Limit::Until(until) => until,
            Limit::Timeout => timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
        };
        self.limit = Limit::Until(until);
        until
    }

    /// When the next wait is to be over at the latest.
    fn next_try(&mut self) -> Option<Instant> {
        let pause = self.retry?;
        self.retry = Some(RETRY_MAX.min(2 * pause));
        Some(Instant::now() + pause)
    }
}

impl<T: AsFd> Inner<T> {
    /// Does `f` until it need not wait any more.
    #[inline]
    pub(crate) fn op<R>(
        &self,
        direction: Direction,
        f: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        self.op_within(direction, Limit::Timeout, f)
    }

    /// The same with a limit of its own.
    pub(crate) fn op_within<R>(
        &self,
        direction: Direction,
        limit: Limit,
        mut f: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        self.op_seeing(direction, limit, |io, _| f(io))
    }

    /// Receives by `f`; `end` is the outcome when nothing is left and receiving was ended by
    /// `shutdown`, which the kernel does not tell a socket of datagrams that must not wait.
    pub(crate) fn op_recv<R>(
        &self,
        mut f: impl FnMut(&T) -> io::Result<R>,
        end: impl Fn() -> io::Result<R>,
    ) -> io::Result<R> {
        self.op_seeing(Direction::Read, Limit::Timeout, |io, seen| {
            match f(io) {
                Err(error) if error.kind() == ErrorKind::WouldBlock && self.is_shut(seen)? => {}
                result => return result,
            }
            // What came before the shutdown comes first.
            match f(io) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => end(),
                result => result,
            }
        })
    }

    /// Whether receiving was ended, for an operation that would wait. The shutdown is an event, so
    /// a goroutine need not ask before there was a hang-up; a thread has no events.
    fn is_shut(&self, seen: Option<Seen>) -> io::Result<bool> {
        let is_possible = G::current().is_none() || seen.is_some_and(Seen::is_hung_up);
        Ok(is_possible && !self.is_nonblocking() && is_shut(self.io())?)
    }

    /// Does `f`, which gets what was seen before it, until it need not wait any more.
    #[inline]
    fn op_seeing<R>(
        &self,
        direction: Direction,
        limit: Limit,
        mut f: impl FnMut(&T, Option<Seen>) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut waits = Waits::within(limit);
        loop {
            let seen = self.watch().look(direction);
            self.admit(direction)?;
            let result = f(self.io(), seen);
            if let Some(result) = self.settle(direction, &mut waits, seen, result) {
                return result;
            }
        }
    }

    /// Moves up to `most` bytes of a stream by `f`. If the stream is one without boundaries, what
    /// was moved short of that tells that the next operation would find nothing, and a goroutine
    /// then waits without trying.
    #[inline]
    pub(crate) fn op_stream(
        &self,
        direction: Direction,
        most: usize,
        mut f: impl FnMut(&T) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut waits = Waits::within(Limit::Timeout);
        loop {
            let seen = self.watch().look(direction);
            self.admit(direction)?;
            let result = if self.may_wait_first(direction, seen) {
                Err(ErrorKind::WouldBlock.into())
            } else {
                f(self.io())
            };
            let is_short = matches!(result, Ok(n) if n != 0 && n < most);
            if is_short && seen.is_some() && self.has_no_boundaries() {
                self.watch().note_drained(direction, seen);
            }
            if let Some(result) = self.settle(direction, &mut waits, seen, result) {
                return result;
            }
        }
    }

    #[inline]
    fn may_wait_first(&self, direction: Direction, seen: Option<Seen>) -> bool {
        // Only the poller, which threads do not wait for, takes such a note back.
        self.watch().should_wait_first(direction, seen)
            && !self.is_nonblocking()
            && G::current().is_some()
    }

    /// Does `f` for a task, whose waker is left when there is nothing to do.
    pub(crate) fn poll_op<R>(
        &self,
        direction: Direction,
        waker: &Waker,
        mut f: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        loop {
            let seen = self.watch().look(direction);
            if let Err(error) = self.admit(direction) {
                return Poll::Ready(Err(error));
            }
            match f(self.io()) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    match self.watch().leave_waker(self.io(), direction, seen, waker) {
                        Ok(true) => return Poll::Pending,
                        Ok(false) => {}
                        Err(error) => return Poll::Ready(Err(error)),
                    }
                }
                result => return Poll::Ready(result),
            }
        }
    }

    /// Does `f`, which has the descriptor to itself, until it need not wait any more.
    pub(crate) fn op_mut<R>(
        &mut self,
        direction: Direction,
        mut f: impl FnMut(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut waits = Waits::within(Limit::Timeout);
        loop {
            let seen = self.watch().look(direction);
            self.admit(direction)?;
            let result = f(self.io_mut());
            if let Some(result) = self.settle(direction, &mut waits, seen, result) {
                return result;
            }
        }
    }

    /// Does `f` without waiting, whatever the user chose.
    pub(crate) fn attempt<R>(
        &self,
        direction: Direction,
        mut f: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            self.admit(direction)?;
            match f(self.io()) {
                _ if self.is_closed() => return Err(error::closed()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    #[inline]
    fn admit(&self, direction: Direction) -> io::Result<()> {
        self.live()?;
        if self.limits(direction).has_passed() {
            return Err(error::deadline_passed());
        }
        Ok(())
    }

    /// What an attempt came to; `None` if there is to be another one.
    #[inline]
    fn settle<R>(
        &self,
        direction: Direction,
        waits: &mut Waits,
        seen: Option<Seen>,
        result: io::Result<R>,
    ) -> Option<io::Result<R>> {
        match result {
            _ if self.is_closed() => Some(Err(error::closed())),
            Err(error) if error.kind() == ErrorKind::Interrupted => None,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if self.is_nonblocking() {
                    return Some(Err(error));
                }
                self.wait_within(direction, waits, seen).err().map(Err)
            }
            result => Some(result),
        }
    }

    #[inline(never)]
    fn wait_within(
        &self,
        direction: Direction,
        waits: &mut Waits,
        seen: Option<Seen>,
    ) -> io::Result<()> {
        let until = waits.end(self.limits(direction).timeout());
        let may_be_silent = waits.retry.is_some() && direction == Direction::Write;
        let next_try = match may_be_silent && !self.has_no_boundaries() {
            true => waits.next_try(),
            false => None,
        };
        if let Some(next_try) = next_try.filter(|&next| until.is_none_or(|until| next < until)) {
            // Whichever comes first, there is another try.
            let (Ready::Again | Ready::TimedOut) = wait(self, direction, seen, Some(next_try))?;
            return Ok(());
        }
        match wait(self, direction, seen, until)? {
            Ready::Again => Ok(()),
            Ready::TimedOut => Err(error::timed_out()),
        }
    }
}
