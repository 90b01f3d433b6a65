//! The errors that are ours and not the system's.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};

use rustix::io::Errno;

/// Inside the error of kind `NotConnected` that operations fail with after `close`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("use of a closed network connection")
    }
}

impl Error for Closed {}

#[cold]
pub(crate) fn closed() -> io::Error {
    io::Error::new(ErrorKind::NotConnected, Closed)
}

/// A sticky deadline has passed: whatever waits fails, and whatever need not wait.
#[derive(Debug)]
struct DeadlinePassed;

impl fmt::Display for DeadlinePassed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("i/o timeout (deadline)")
    }
}

impl Error for DeadlinePassed {}

#[cold]
pub(crate) fn deadline_passed() -> io::Error {
    io::Error::new(ErrorKind::WouldBlock, DeadlinePassed)
}

/// A timeout of one operation has passed: what a blocking socket of Linux says then.
#[cold]
pub(crate) fn timed_out() -> io::Error {
    Errno::AGAIN.into()
}

#[cold]
pub(crate) fn zero_timeout() -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, "cannot set a 0 duration timeout")
}
