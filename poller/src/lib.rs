//! Readiness of file descriptors, as keys: knows fds, knows no goroutines.
//!
//! A scheduler that wants to wait for many file descriptors needs three things from the system:
//! to register a descriptor once, to learn which of them became ready, and never to take the event
//! of a descriptor that is closed for that of its successor. This crate gives these over the
//! `polling` crate, and leaves what to do about readiness to its user.
//!
//! - A [`Poller`] owns the system's queue of events. One thread waits at a time.
//! - A [`Source`] is a descriptor that is registered for as long as the value lives: once, for both
//!   directions, edge-triggered. Nothing is re-armed: after an event the owner must read or write
//!   until the call would block, before it waits for the next event.
//! - A [`Key`] is slot and generation in a [`Registry`]; the key of a source that is gone is
//!   recognised as stale, although its slot, and its descriptor, have a new owner.
//!
//! ```
//! use std::io::Write;
//! use std::os::unix::net::UnixStream;
//!
//! let poller = gopark_poller::Poller::new()?;
//! let (here, mut there) = UnixStream::pair()?;
//! here.set_nonblocking(true)?;
//! let here = poller.register(here)?;
//! there.write_all(b"x")?;
//!
//! let mut events = Vec::new();
//! poller.wait(&mut events, None)?;
//! let (key, readiness) = events[0];
//! assert_eq!(key, here.key());
//! assert!(readiness.readable);
//! # std::io::Result::Ok(())
//! ```
//!
//! Linux only so far.

#[cfg(not(target_os = "linux"))]
compile_error!("gopark-poller supports Linux only so far");

mod poller;
mod registry;
mod source;

pub use crate::{
    poller::{EVENTS_MAX, Poller, Readiness},
    registry::{Full, Key, Registry},
    source::Source,
};
