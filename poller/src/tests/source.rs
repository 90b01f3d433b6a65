//! Sources over real sockets and files: stale events, and what cannot be registered.
#![expect(unsafe_code, reason = "names a descriptor that is not open")]

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::direction::{Arm, Look};
use crate::event::Key;
use crate::poller::{Events, Poller};
use crate::slots::{Direction, Slots};

const SOON: Duration = Duration::from_millis(20);

fn key(slot: u32) -> Key {
    Key::new(slot, 0)
}

/// The keys of the events that are reported until none comes for a while.
fn drain(poller: &Poller) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut events = Events::new();
    loop {
        poller.wait(&mut events, Some(SOON)).unwrap();
        if events.is_empty() {
            return keys;
        }
        keys.extend(events.iter().map(|(key, _)| key));
    }
}

/// Goal: an event that was in the batch when its source was closed does not reach the source that
/// got the same slot and the same descriptor.
#[test]
fn a_stale_event_after_close_and_reuse_of_the_descriptor_reaches_nobody() {
    static SLOTS: Slots<u32> = Slots::new();
    let poller = Poller::new().unwrap();
    let (old, mut old_peer) = UnixStream::pair().unwrap();
    let fd = old.as_raw_fd();
    let slot = SLOTS.open().unwrap();
    let old_key = slot.key();
    let old = poller.register(old, old_key).unwrap();
    old_peer.write_all(b"x").unwrap();
    let mut events = Events::new();
    poller.wait(&mut events, None).unwrap();
    assert_eq!(events.iter().next().unwrap().0, old_key);

    drop((old, slot));
    // Other tests open descriptors at the same time: ask for the one that was closed.
    let (new, _new_peer) = with_descriptor(fd);
    let slot = SLOTS.open().unwrap();
    let new = poller.register(new, slot.key()).unwrap();
    assert_ne!(new.key(), old_key);
    assert_eq!(new.key().slot(), old_key.slot());
    let Look::Open(seen) = slot.look(Direction::Read) else {
        panic!("closed");
    };
    assert_eq!(slot.arm(Direction::Read, seen, 1), Arm::Waiting);
    for (key, readiness) in events.iter() {
        SLOTS.deliver(key, readiness, &mut |_| panic!("the kept event is stale"));
    }
    assert!(drain(&poller).iter().all(|&key| key == new.key()));
    assert_eq!(slot.retract(Direction::Read, |_| true), Some(1));
}

/// A pair whose first end has descriptor `fd`, or another if a parallel test was faster each time.
fn with_descriptor(fd: RawFd) -> (UnixStream, UnixStream) {
    let mut kept = Vec::new();
    for _ in 0..100 {
        let (here, there) = UnixStream::pair().unwrap();
        if here.as_raw_fd() == fd {
            return (here, there);
        }
        kept.push((here, there));
    }
    kept.pop().unwrap()
}

/// A source that deregisters another descriptor than it registered.
struct Fickle {
    first: UnixStream,
    second: UnixStream,
    changed: AtomicBool,
}

impl AsFd for Fickle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // Relaxed: one thread.
        match self.changed.load(Ordering::Relaxed) {
            false => self.first.as_fd(),
            true => self.second.as_fd(),
        }
    }
}

/// Goal: the kernel itself reports a stale key. Method: the deregistration misses, and a duplicate
/// keeps the open file in the queue.
#[test]
fn an_event_that_the_kernel_still_reports_for_a_gone_source_reaches_nobody() {
    static SLOTS: Slots<u32> = Slots::new();
    let poller = Poller::new().unwrap();
    let (first, mut peer) = UnixStream::pair().unwrap();
    let (second, _) = UnixStream::pair().unwrap();
    let duplicate = first.try_clone().unwrap();
    let fickle = Fickle {
        first,
        second,
        changed: AtomicBool::new(false),
    };
    let slot = SLOTS.open().unwrap();
    let gone = poller.register(fickle, slot.key()).unwrap();
    let stale = slot.key();
    assert_eq!(drain(&poller), [stale]);
    // Relaxed: one thread.
    gone.get_ref().changed.store(true, Ordering::Relaxed);
    drop((gone, slot));

    let slot = SLOTS.open().unwrap();
    let before = slot.look(Direction::Read);
    peer.write_all(b"x").unwrap();
    let mut events = Events::new();
    poller.wait(&mut events, None).unwrap();
    let reported: Vec<_> = events.iter().collect();
    assert_eq!(reported[0].0, stale, "the kernel reports it");
    SLOTS.deliver(stale, reported[0].1, &mut |_| panic!("nobody waits"));
    assert_eq!(slot.look(Direction::Read), before, "and nobody is told");
    drop(duplicate);
}

#[test]
fn a_closed_descriptor_is_refused() {
    let poller = Poller::new().unwrap();
    // SAFETY: "must be open": it is not, which is the point; the number is above every limit on
    // open files, so nothing else has it, and the system refuses it.
    let closed = unsafe { BorrowedFd::borrow_raw(RawFd::MAX) };
    let refused = poller.register(closed, key(1)).unwrap_err();
    const EBADF: i32 = 9;
    assert_eq!(refused.raw_os_error(), Some(EBADF));
}

#[test]
fn a_regular_file_is_refused_by_name() {
    let poller = Poller::new().unwrap();
    for path in ["Cargo.toml", "src"] {
        let file = File::open(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let fd = file.as_raw_fd();
        let refused = poller.register(file, key(1)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::Unsupported);
        let text = refused.to_string();
        assert!(text.contains(&format!("descriptor {fd} ")), "{text}");
        assert!(text.contains("cannot be polled"), "{text}");
    }
}

#[test]
fn a_descriptor_is_registered_once() {
    let poller = Poller::new().unwrap();
    let (stream, _peer) = UnixStream::pair().unwrap();
    let source = poller.register(&stream, key(1)).unwrap();
    let refused = poller.register(&stream, key(2)).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
    let text = refused.to_string();
    let fd = stream.as_raw_fd();
    assert!(
        text.contains(&format!("descriptor {fd} is registered")),
        "{text}"
    );
    let duplicate = stream.try_clone().unwrap();
    assert!(poller.register(&duplicate, key(3)).is_ok());
    drop(source);
    let again = poller.register(&stream, key(2));
    assert!(again.is_ok(), "dropping deregisters");
}

#[test]
fn into_inner_deregisters_and_gives_the_stream_back_open() {
    let poller = Poller::new().unwrap();
    let (stream, mut peer) = UnixStream::pair().unwrap();
    let source = poller.register(stream, key(1)).unwrap();
    let mut stream = source.into_inner().unwrap();
    peer.write_all(b"x").unwrap();
    stream.write_all(b"x").unwrap();
    assert_eq!(drain(&poller), []);
}

#[test]
fn a_source_may_outlive_the_last_handle_of_its_poller() {
    let poller = Poller::new().unwrap();
    let (stream, _peer) = UnixStream::pair().unwrap();
    let source = poller.register(stream, key(1)).unwrap();
    drop(poller);
    assert!(source.into_inner().is_ok());
}
