//! Readiness of file descriptors, for those who wait: knows fds, knows no goroutines.
//!
//! A scheduler that wants to wait for many file descriptors needs three things: to register a
//! descriptor once, to lose no event between an operation that would block and the wait for the
//! next, and never to take the event of a descriptor that is closed for that of its successor.
//!
//! - A [`Poller`] owns the kernel's queue of events. One thread waits at a time.
//! - A [`Source`] is a descriptor that is registered for as long as the value lives: once, for both
//!   directions, edge-triggered.
//! - [`Slots`] is the table of all who wait, whatever a waiter is. A [`Slot`] is one descriptor's
//!   place in it, with an event count for each [`Direction`].
//! - A [`Key`] is slot and generation: what the kernel reports.
//!
//! An operation looks, tries, and if it would block waits by what it saw; then again from the
//! beginning. An event that comes in between makes the wait fail.
//!
//! ```
//! use std::io::{ErrorKind, Read, Write};
//! use std::os::unix::net::UnixStream;
//! use std::thread::{self, Thread};
//!
//! use gopark_poller::{Arm, Direction, Events, Look, Poller, Slots};
//!
//! static SLOTS: Slots<Thread> = Slots::new();
//!
//! let poller = Poller::new()?;
//! let slot = SLOTS.open()?;
//! let (here, mut there) = UnixStream::pair()?;
//! here.set_nonblocking(true)?;
//! let here = poller.register(here, slot.key())?;
//!
//! let reader = thread::spawn(move || {
//!     let mut buffer = [0; 8];
//!     loop {
//!         let Look::Open(seen) = slot.look(Direction::Read) else {
//!             return Err(ErrorKind::NotConnected.into());
//!         };
//!         match here.get_ref().read(&mut buffer) {
//!             Err(why) if why.kind() == ErrorKind::WouldBlock => {}
//!             outcome => return outcome,
//!         }
//!         if let Arm::Waiting = slot.arm(Direction::Read, seen, thread::current()) {
//!             thread::park();
//!         }
//!     }
//! });
//!
//! there.write_all(b"hello")?;
//! let mut events = Events::new();
//! while !reader.is_finished() {
//!     poller.wait(&mut events, Some(std::time::Duration::from_millis(10)))?;
//!     for (key, readiness) in events.iter() {
//!         SLOTS.deliver(key, readiness, &mut |reader| reader.unpark());
//!     }
//! }
//! assert_eq!(reader.join().unwrap()?, 5);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Linux only so far.

#[cfg(not(target_os = "linux"))]
compile_error!("gopark-poller supports Linux only so far");

#[cfg_attr(
    all(gopark_loom, not(test)),
    expect(dead_code, reason = "only the models use it here")
)]
mod direction;
mod shim;
mod waiters;

#[cfg(not(gopark_loom))]
mod event;
#[cfg(not(gopark_loom))]
mod poller;
#[cfg(not(gopark_loom))]
mod queue;
#[cfg(not(gopark_loom))]
mod slots;
#[cfg(not(gopark_loom))]
mod source;

pub use crate::direction::{Arm, Look, Seen};
#[cfg(not(gopark_loom))]
pub use crate::{
    event::{Key, Readiness},
    poller::{Events, Poller},
    slots::{Direction, Full, Slot, Slots},
    source::Source,
};
