//! Waiting until a descriptor is ready: a goroutine by the poller, a plain thread by poll(2).

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use gopark_poller::{Direction, Seen};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::handle::Inner;
use crate::sched::blocking::Aside;
use crate::sched::header::G;

/// A thread that waits looks this often for a close, a shutdown or a deadline that moved.
const SLICE: Duration = Duration::from_millis(50);

/// Why a wait is over.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ready {
    /// The descriptor may be ready, or the handle is closed, or its deadline has passed: look
    /// again.
    Again,
    /// `until` has come.
    TimedOut,
}

/// Waits until something may have happened to `inner` since `seen`, or until `until`.
pub(crate) fn wait<T: AsFd>(
    inner: &Inner<T>,
    direction: Direction,
    seen: Option<Seen>,
    until: Option<Instant>,
) -> io::Result<Ready> {
    match G::current() {
        Some(g) => {
            let deadline = inner.limits(direction).deadline_word();
            let watch = inner.watch();
            watch.wait(g, inner.io(), direction, seen, until, deadline)
        }
        None => wait_on_thread(inner, direction, until),
    }
}

fn wait_on_thread<T: AsFd>(
    inner: &Inner<T>,
    direction: Direction,
    until: Option<Instant>,
) -> io::Result<Ready> {
    let _aside = Aside::begin();
    let now = Instant::now();
    if until.is_some_and(|until| until <= now) {
        return Ok(Ready::TimedOut);
    }
    let ends = [until, inner.limits(direction).deadline()];
    let left = ends
        .into_iter()
        .flatten()
        .map(|end| end.saturating_duration_since(now))
        .fold(SLICE, Duration::min);
    // Ready or not, the operation looks at all that may have ended the wait, and tries.
    let _ = is_ready(inner.io(), direction, left)?;
    Ok(Ready::Again)
}

/// Whether `io` is ready within `time`; false as well when a signal came first, unless the time is
/// zero: then it is the present state.
pub(crate) fn is_ready(io: impl AsFd, direction: Direction, time: Duration) -> io::Result<bool> {
    let events = match direction {
        Direction::Read => PollFlags::IN,
        Direction::Write => PollFlags::OUT,
    };
    let time = Timespec::try_from(time).expect("a slice fits");
    loop {
        // Errors and hang-ups count as ready: the operation will tell.
        match poll(&mut [PollFd::new(&io, events)], Some(&time)) {
            Ok(ready) => return Ok(ready != 0),
            // A signal interrupts a poll that does not wait too.
            Err(Errno::INTR) if time == Timespec::default() => {}
            Err(Errno::INTR) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether receiving was ended by `shutdown`, at this end or, if it is that of a stream, at the
/// peer's.
pub(crate) fn is_shut(io: impl AsFd) -> io::Result<bool> {
    let mut ends = [PollFd::new(&io, PollFlags::RDHUP)];
    loop {
        match poll(&mut ends, Some(&Timespec::default())) {
            Ok(_) => return Ok(ends[0].revents().contains(PollFlags::RDHUP)),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
