//! The queue on Linux: epoll, with one system call for everything.
//!
//! *The wait* is `epoll_pwait2`, whose timeout is in nanoseconds. Before Linux 5.11, and where a
//! sandbox refuses calls it does not know, it is `epoll_pwait`, in milliseconds; which of them is
//! found out by the first wait. Timeouts are rounded up, so a wait never ends early.
//!
//! *A notification* is a write to an eventfd that is registered edge-triggered: every write is an
//! edge, so nobody ever reads it. The sum of all writes has 64 bits and cannot overflow in the life
//! of a machine; should it be full, a read empties it.
//!
//! *A descriptor* is registered once, edge-triggered, for all there is to know.
#![expect(
    unsafe_code,
    reason = "epoll_pwait2: rustix uses it on kernels that have nothing else only"
)]

use std::fmt;
use std::io;
use std::mem::{align_of, size_of};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::io::Errno;

use super::EVENTS_MAX;
use crate::event::{Key, RESERVED, Readiness};

const _: () = assert!(size_of::<epoll::Event>() == size_of::<libc::epoll_event>());
const _: () = assert!(align_of::<epoll::Event>() == align_of::<libc::epoll_event>());

#[derive(Debug)]
pub(crate) struct Queue {
    poller: polling::Poller,
    notifier: OwnedFd,
    /// `epoll_pwait2` was refused. Relaxed: at worst it is refused again.
    is_old: AtomicBool,
}

impl Queue {
    pub(crate) fn new() -> io::Result<Queue> {
        let queue = Queue {
            poller: polling::Poller::new()?,
            notifier: eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?,
            is_old: AtomicBool::new(false),
        };
        let edge = epoll::EventFlags::IN | epoll::EventFlags::ET;
        let data = epoll::EventData::new_u64(RESERVED);
        epoll::add(queue.poller.as_fd(), &queue.notifier, data, edge)?;
        Ok(queue)
    }

    pub(crate) fn add(&self, fd: BorrowedFd<'_>, key: Key) -> io::Result<()> {
        let interest = epoll::EventFlags::IN
            | epoll::EventFlags::OUT
            | epoll::EventFlags::PRI
            | epoll::EventFlags::RDHUP
            | epoll::EventFlags::ET;
        let data = epoll::EventData::new_u64(key.number());
        Ok(epoll::add(self.poller.as_fd(), fd, data, interest)?)
    }

    pub(crate) fn delete(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(epoll::delete(self.poller.as_fd(), fd)?)
    }

    pub(crate) fn wait(&self, batch: &mut Batch, timeout: Option<Duration>) -> io::Result<()> {
        batch.events.clear();
        let outcome = match timeout {
            Some(timeout) if !timeout.is_zero() && !self.is_old.load(Ordering::Relaxed) => {
                self.wait_nanoseconds(batch, timeout)
            }
            _ => self.wait_milliseconds(batch, timeout),
        };
        match outcome {
            // The caller looks at what the signal was about, and waits again.
            Err(Errno::INTR) => Ok(()),
            outcome => Ok(outcome?),
        }
    }

    fn wait_nanoseconds(&self, batch: &mut Batch, timeout: Duration) -> Result<(), Errno> {
        match self.epoll_pwait2(&mut batch.events, timeout) {
            Err(Errno::NOSYS | Errno::PERM) => {
                self.is_old.store(true, Ordering::Relaxed);
                self.wait_milliseconds(batch, Some(timeout))
            }
            outcome => outcome,
        }
    }

    fn epoll_pwait2(&self, events: &mut Vec<epoll::Event>, timeout: Duration) -> Result<(), Errno> {
        let room = events.capacity();
        debug_assert!(events.is_empty() && room >= EVENTS_MAX);
        let timeout = libc::timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(timeout.subsec_nanos()),
        };
        // SAFETY: the descriptor is open as long as `self.poller`; there is room for as many events
        // as are allowed, and both definitions of an event are the kernel's; the timeout is valid
        // and outlives the call; no mask of signals is given, so its size is not looked at.
        let count = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.poller.as_raw_fd(),
                events.as_mut_ptr(),
                room.min(EVENTS_MAX) as libc::c_int,
                &raw const timeout,
                ptr::null::<libc::sigset_t>(),
                0_usize,
            )
        };
        let Ok(count) = usize::try_from(count) else {
            let why = io::Error::last_os_error();
            return Err(Errno::from_io_error(&why).unwrap_or(Errno::INVAL));
        };
        assert!(count <= room, "epoll_pwait2 returned {count}");
        // SAFETY: `count` is within the capacity, and the kernel has written that many.
        unsafe { events.set_len(count) };
        Ok(())
    }

    /// Without a timeout, with that of zero, and on old kernels.
    fn wait_milliseconds(&self, batch: &mut Batch, timeout: Option<Duration>) -> Result<(), Errno> {
        let timeout = timeout.map(whole_milliseconds);
        let room = spare_capacity(&mut batch.events);
        epoll::wait(self.poller.as_fd(), room, timeout.as_ref())?;
        Ok(())
    }

    pub(crate) fn notify(&self) -> io::Result<()> {
        let one = 1_u64.to_ne_bytes();
        match rustix::io::write(&self.notifier, &one) {
            Err(Errno::AGAIN) => {
                // Full, see the top of this file. Fails if another notifier was faster.
                let _ = rustix::io::read(&self.notifier, &mut [0; 8]);
                rustix::io::write(&self.notifier, &one)?;
            }
            outcome => {
                outcome?;
            }
        }
        Ok(())
    }
}

/// Rounded up, and as much as the old call takes: 24 days, after which the wait ends without an
/// event.
fn whole_milliseconds(timeout: Duration) -> Timespec {
    let milliseconds = timeout.as_nanos().div_ceil(1_000_000);
    let milliseconds = i64::from(i32::try_from(milliseconds).unwrap_or(i32::MAX));
    Timespec {
        tv_sec: milliseconds / 1000,
        tv_nsec: milliseconds % 1000 * 1_000_000,
    }
}

pub(crate) struct Batch {
    events: Vec<epoll::Event>,
}

// SAFETY: the kernel's events hold a union that could be a pointer; here it is a number.
unsafe impl Send for Batch {}

impl Batch {
    pub(crate) fn new() -> Batch {
        Batch {
            events: Vec::with_capacity(EVENTS_MAX),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, Readiness)> {
        self.events.iter().filter_map(|event| {
            let key = Key::from_number(event.data.u64())?;
            Some((key, readiness(event.flags)))
        })
    }

    pub(crate) fn was_notified(&self) -> bool {
        self.events.iter().any(|event| event.data.u64() == RESERVED)
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

fn readiness(flags: epoll::EventFlags) -> Readiness {
    use epoll::EventFlags as Flags;
    let is_over = flags.intersects(Flags::HUP | Flags::ERR);
    Readiness {
        readable: is_over || flags.intersects(Flags::IN | Flags::PRI | Flags::RDHUP),
        writable: is_over || flags.contains(Flags::OUT),
        hup: is_over || flags.intersects(Flags::RDHUP | Flags::PRI),
    }
}

#[cfg(test)]
#[path = "../tests/epoll.rs"]
mod tests;
