//! A time limit for whatever a function does.

use std::error::Error;
use std::fmt;
use std::io;
use std::panic::resume_unwind;
use std::time::Duration;

use crate::sched::frames::{self, Catch};
use crate::sched::header::G;
use crate::sched::interrupt::{Limit, assert_unwinds};
use crate::sys::clock;

/// The error of [`timeout`]: the time was over first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed(());

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time limit has been reached")
    }
}

impl Error for Elapsed {}

impl From<Elapsed> for io::Error {
    fn from(elapsed: Elapsed) -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, elapsed)
    }
}

/// Runs `f` on the calling goroutine, for `time` at most: when that is over, the call that `f`
/// waits in, or its next one that may suspend, unwinds, destructors run, and the result is
/// [`Elapsed`].
///
/// A wait that was served returns normally, and the limit takes effect at the next suspension: a
/// message, a permit, a lock or a result that was handed over is not lost. If `f` returns before
/// the next suspension, its value is the result, however late: `timeout(d, || sender.send(value))`
/// does not give [`Elapsed`] for a message that was delivered.
///
/// A function that neither waits nor yields is not ended, nor is a function that unwinds already.
/// Limits nest; of several that are over the outermost counts. `f` is ended once: if it catches the
/// unwinding (`catch_unwind`), it has had it. A limit inside of
/// [`mask_cancel`](fn@crate::mask_cancel) ends waits there; a limit from outside does not.
/// A wait in a callback of foreign code is not ended: see `mask_cancel`.
///
/// On a plain thread `f` runs without a limit: nothing could end its waits.
///
/// # Errors
/// [`Elapsed`] when `f` was ended.
///
/// # Panics
/// With the payload of a panic of `f`; on a goroutine of a program that is built with
/// `panic = "abort"`.
#[track_caller]
pub fn timeout<T>(time: Duration, f: impl FnOnce() -> T) -> Result<T, Elapsed> {
    let Some(g) = G::current() else {
        return Ok(f());
    };
    assert_unwinds("gopark::time::timeout");
    let limit = Limit::set(g, clock::after(time));
    match frames::catch(Catch::Limit, f) {
        Ok(value) => Ok(value),
        Err(payload) if limit.is_reached(&*payload) => Err(Elapsed(())),
        Err(payload) => {
            drop(limit);
            resume_unwind(payload)
        }
    }
}
