//! The kernel's queue of events, and a batch taken from it.
//!
//! Both implementations own a `polling::Poller`. Linux's goes to the epoll descriptor inside it
//! directly: `polling` 3.11 makes five system calls for a wait with a timeout where one does, and
//! cannot ask for the event that tells that the peer has hung up (`EPOLLRDHUP`). The portable one
//! uses `polling` only; tests choose it on Linux by `--cfg gopark_portable_poller`.
//!
//! | | Linux | portable |
//! |---|---|---|
//! | wait | one call | what `polling` makes |
//! | timeouts | nanoseconds, from 5.11 on | what `polling` has |
//! | a signal | ends the wait | does not |
//! | hang-up | as the kernel says | assumed at every event |

#[cfg(any(not(target_os = "linux"), gopark_portable_poller))]
mod portable;
#[cfg(any(not(target_os = "linux"), gopark_portable_poller))]
pub(crate) use portable::{Batch, Queue};

#[cfg(all(target_os = "linux", not(gopark_portable_poller)))]
mod epoll;
#[cfg(all(target_os = "linux", not(gopark_portable_poller)))]
pub(crate) use epoll::{Batch, Queue};

/// How many events a batch holds at most; the others are in the next.
const EVENTS_MAX: usize = 256;
