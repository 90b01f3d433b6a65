//! Operations on a descriptor that wait until they can be done.
//!
//! 1. Look at what has happened to the descriptor so far.
//! 2. See whether the handle is closed or its deadline over.
//! 3. Try.
//! 4. Where the kernel would block, wait until something has happened since step 1; begin anew.
//!
//! Whoever closes or moves a deadline sets that first, and then makes
//! something happen: so it is either seen in step 2 or ends the wait of step 4.

use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::task::{Poll, Waker};
use std::time::Instant;

use gopark_poller::Seen;

use super::error;
use super::handle::{Direction, Inner};
use super::wait::{Ready, wait};
use crate::sched::header::G;

/// What limits one operation, beside the deadline.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    /// The timeout of the direction, from the first wait on.
    Timeout,
    /// A point in time, or nothing.
    Until(Option<Instant>),
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
        mut limit: Limit,
        mut f: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            let seen = self.watch().look(direction);
            self.admit(direction)?;
            let result = f(self.io());
            if let Some(result) = self.settle(direction, &mut limit, seen, result) {
                return result;
            }
        }
    }

    /// Moves up to `most` bytes of a stream by `f`. What was moved short of that tells that the
    /// next operation would find nothing, and a goroutine then waits without trying.
    #[inline]
    pub(crate) fn op_stream(
        &self,
        direction: Direction,
        most: usize,
        mut f: impl FnMut(&T) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut limit = Limit::Timeout;
        loop {
            let seen = self.watch().look(direction);
            self.admit(direction)?;
            let result = if self.may_wait_first(direction, seen) {
                Err(ErrorKind::WouldBlock.into())
            } else {
                f(self.io())
            };
            if matches!(result, Ok(n) if n != 0 && n < most) {
                self.watch().note_drained(direction, seen);
            }
            if let Some(result) = self.settle(direction, &mut limit, seen, result) {
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

    /// The same for one who has the descriptor to himself.
    pub(crate) fn op_mut<R>(
        &mut self,
        direction: Direction,
        mut f: impl FnMut(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut limit = Limit::Timeout;
        loop {
            let seen = self.watch().look(direction);
            self.admit(direction)?;
            let result = f(self.io_mut());
            if let Some(result) = self.settle(direction, &mut limit, seen, result) {
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
        limit: &mut Limit,
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
                self.wait_within(direction, limit, seen).err().map(Err)
            }
            result => Some(result),
        }
    }

    #[inline(never)]
    fn wait_within(
        &self,
        direction: Direction,
        limit: &mut Limit,
        seen: Option<Seen>,
    ) -> io::Result<()> {
        let until = match *limit {
            Limit::Until(until) => until,
            Limit::Timeout => {
                let timeout = self.limits(direction).timeout();
                timeout.and_then(|timeout| Instant::now().checked_add(timeout))
            }
        };
        *limit = Limit::Until(until);
        match wait(self, direction, seen, until)? {
            Ready::Again => Ok(()),
            Ready::TimedOut => Err(error::timed_out()),
        }
    }
}
