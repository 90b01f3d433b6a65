//! Connecting to a Unix listener, also while its queue is full.
//!
//! *Problem.* A socket that must not wait is told `EAGAIN` while the queue of the listener is full,
//! and nothing tells when there is room: the socket, which is not connected, counts as hung up and
//! has no further event, and the listener's own events go to those who accept. A socket that may
//! wait holds a thread in the kernel, where neither a time limit nor a cancel reaches it.
//!
//! *Idea.* The goroutine sleeps and tries again. A failed try takes 1 to 2 µs. The pause grows with
//! the time that was spent, so that a connection is late by an eighth of its wait, and by
//! [`PAUSE_MAX`] at most. Those who wait at the same time share what trying costs: each adds
//! [`PAUSE_MIN`] to the pause of all, up to [`PAUSE_CROWD_MAX`], so that together they try once in
//! that time, and one of them finds the room soon however many they are. A sleep ends as every
//! sleep does.
//!
//! The first to come is not the first to be served, where the kernel serves threads that wait in
//! their order.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::addr::to_system;
use crate::sched::blocking::Blocking;
use crate::sched::header::G;
use crate::sched::timed;
use crate::sys::clock;

/// The shortest pause, and what each goroutine that connects adds to the pauses of all.
const PAUSE_MIN: Duration = Duration::from_micros(100);
/// The longest pause of a goroutine that connects alone.
const PAUSE_MAX: Duration = Duration::from_millis(10);
/// The longest pause in a crowd.
const PAUSE_CROWD_MAX: Duration = Duration::from_secs(1);

/// How many goroutines of the process wait for room, at whatever listener.
static WAITING: AtomicU32 = AtomicU32::new(0);

/// A connection to the listener at `addr`, in non-blocking mode, for the running goroutine `g`.
pub(super) fn connect(g: &G, addr: &SocketAddr) -> io::Result<OwnedFd> {
    let addr = to_system(addr)?;
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (family, kind) = (AddressFamily::UNIX, SocketType::STREAM);
    let socket = rustix::net::socket_with(family, kind, flags, None)?;
    let mut waits = None;
    loop {
        let connected = {
            // The path may lie on a slow disk.
            let _back = Blocking::of(g);
            rustix::net::connect(&socket, &addr)
        };
        match connected {
            Ok(()) => return Ok(socket),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let pause = waits.get_or_insert_with(Waits::begin).pause();
                timed::sleep_until(g, clock::after(pause));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// A goroutine that waits for room, counted until this is dropped.
struct Waits {
    since: Instant,
}

impl Waits {
    fn begin() -> Waits {
        WAITING.fetch_add(1, Ordering::Relaxed);
        Waits {
            since: Instant::now(),
        }
    }

    fn pause(&self) -> Duration {
        pause(self.since.elapsed(), WAITING.load(Ordering::Relaxed))
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The pause of a goroutine that has waited for some time, one of `waiting`.
fn pause(waited: Duration, waiting: u32) -> Duration {
    let share = PAUSE_MIN.saturating_mul(waiting);
    share.min(PAUSE_CROWD_MAX).max((waited / 8).min(PAUSE_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_a_part_of_the_wait_and_a_crowd_tries_as_often_as_a_few() {
        assert_eq!(pause(Duration::ZERO, 1), PAUSE_MIN);
        assert_eq!(pause(Duration::from_millis(8), 1), Duration::from_millis(1));
        assert_eq!(pause(Duration::from_secs(60), 1), PAUSE_MAX);
        for waiting in [100, 1000, 10_000] {
            let pause = pause(Duration::from_secs(60), waiting);
            assert_eq!(pause, waiting * PAUSE_MIN);
        }
        assert_eq!(pause(Duration::ZERO, u32::MAX), PAUSE_CROWD_MAX);
    }
}
