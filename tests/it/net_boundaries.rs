//! Reads that end before the data does: at a message with rights, at a packet, at urgent data.
//!
//! A goroutine that has waited once, and then reads less than its buffer has room for, must get
//! what is queued behind without another event. Each test lets the events of all that is queued
//! come in before the first of these reads: the reads themselves are then all there is to tell.

#![expect(unsafe_code, reason = "sends urgent data")]

use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use gopark::net::{Pollable, TcpStream, UdpSocket, UnixDatagram, UnixStream};
use gopark_tests::run;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

use crate::net_edges::pair;

const PATIENCE: Duration = Duration::from_secs(20);
/// What is sent is reported within this time, nearly always: if not, a test may pass in vain.
const SETTLED: Duration = Duration::from_millis(30);

/// Sends `bytes` with a descriptor.
fn send_rights(socket: &impl AsFd, bytes: &[u8]) {
    let own = [socket.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut rights = SendAncillaryBuffer::new(&mut space);
    assert!(rights.push(SendAncillaryMessage::ScmRights(&own)));
    let slices = [IoSlice::new(bytes)];
    let sent = rustix::net::sendmsg(socket, &slices, &mut rights, SendFlags::empty()).unwrap();
    assert_eq!(sent, bytes.len());
}

fn send_urgent(socket: &impl AsRawFd, byte: u8) -> io::Result<()> {
    // SAFETY: the descriptor is lent; the byte outlives the call.
    let sent = unsafe {
        libc::send(
            socket.as_raw_fd(),
            (&raw const byte).cast(),
            1,
            libc::MSG_OOB,
        )
    };
    if sent == 1 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

type ReadOnce<'a> = &'a dyn Fn(&mut [u8]) -> io::Result<usize>;

/// Waits once, lets `send` send, and reads what came in pieces that no buffer bounds.
fn pieces(
    read: ReadOnce<'_>,
    first: impl FnOnce() + Send + 'static,
    send: impl FnOnce(),
) -> Vec<String> {
    let mut buf = [0; 64];
    let starts = gopark::spawn(move || {
        gopark::time::sleep(SETTLED);
        first();
    });
    assert_eq!(read(&mut buf).unwrap(), 1, "the first read waits");
    starts.join().unwrap();
    send();
    gopark::time::sleep(SETTLED);
    let mut pieces = Vec::new();
    loop {
        let count = read(&mut buf).unwrap();
        let text = str::from_utf8(&buf[..count]).unwrap().to_owned();
        if text.ends_with('.') {
            pieces.push(text);
            return pieces;
        }
        pieces.push(text);
    }
}

/// What `send` queues between two Unix streams, read as it comes.
fn unix_pieces(send: impl Fn(&UnixStream)) -> Vec<String> {
    let (a, b) = UnixStream::pair().unwrap();
    a.set_read_timeout(Some(PATIENCE)).unwrap();
    let c = b.try_clone().unwrap();
    pieces(
        &|buf| (&a).read(buf),
        move || (&c).write_all(b"x").unwrap(),
        || send(&b),
    )
}

#[test]
fn a_read_that_ends_at_rights_leaves_nothing_behind() {
    run(2, || {
        let came = unix_pieces(|b| {
            send_rights(b, b"hello");
            (&*b).write_all(b"world.").unwrap();
        });
        assert_eq!(came, ["hello", "world."]);
        let came = unix_pieces(|b| {
            (&*b).write_all(b"hello").unwrap();
            send_rights(b, b" ");
            send_rights(b, b"world");
            send_rights(b, b".");
        });
        assert_eq!(came.concat(), "hello world.");
        assert!(came.len() >= 3, "{came:?}");
    });
}

#[test]
fn a_read_that_ends_at_urgent_data_leaves_nothing_behind() {
    run(2, || {
        // Not every kernel has it on Unix sockets.
        let (a, b) = UnixStream::pair().unwrap();
        if send_urgent(&b, b'!').is_ok() {
            drop(a);
            let came = unix_pieces(|b| {
                (&*b).write_all(b"hello").unwrap();
                send_urgent(b, b'!').unwrap();
                (&*b).write_all(b"world.").unwrap();
            });
            assert_eq!(came.concat(), "helloworld.");
        }
        let (a, b) = pair();
        a.set_read_timeout(Some(PATIENCE)).unwrap();
        let c = b.try_clone().unwrap();
        let send = || {
            (&b).write_all(b"hello").unwrap();
            send_urgent(&b, b'!').unwrap();
            (&b).write_all(b"world.").unwrap();
        };
        let first = move || (&c).write_all(b"x").unwrap();
        let came = pieces(&|buf| (&a).read(buf), first, send);
        assert_eq!(came.concat(), "helloworld.");
    });
}

/// The type of the object does not tell what its descriptor is.
#[test]
fn packets_come_each_by_itself_from_whatever_type() {
    run(2, || {
        let packets = || {
            let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
            rustix::net::socketpair(family, kind, SocketFlags::CLOEXEC, None).unwrap()
        };
        let write = |fd: &OwnedFd, bytes: &[u8]| {
            assert_eq!(rustix::io::write(fd, bytes).unwrap(), bytes.len());
        };
        let send = |b: &OwnedFd| {
            for packet in [&b"one"[..], b"two", b"three."] {
                write(b, packet);
            }
        };
        let expected = ["one", "two", "three."];
        let (a, b) = packets();
        let (a, c) = (UnixStream::from(a), b.try_clone().unwrap());
        a.set_read_timeout(Some(PATIENCE)).unwrap();
        let came = pieces(&|buf| (&a).read(buf), move || write(&c, b"x"), || send(&b));
        assert_eq!(came, expected);
        let (a, b) = packets();
        let (a, c) = (TcpStream::from(a), b.try_clone().unwrap());
        a.set_read_timeout(Some(PATIENCE)).unwrap();
        let came = pieces(&|buf| (&a).read(buf), move || write(&c, b"x"), || send(&b));
        assert_eq!(came, expected);
        let (a, b) = packets();
        let (a, c) = (Pollable::new(a).unwrap(), b.try_clone().unwrap());
        a.set_read_deadline(Some(Instant::now() + PATIENCE))
            .unwrap();
        let read = |buf: &mut [u8]| a.read_with(|a| Ok(rustix::io::read(a, &mut *buf)?));
        let came = pieces(&|buf| read(buf), move || write(&c, b"x"), || send(&b));
        assert_eq!(came, expected);
    });
}

#[test]
fn datagrams_come_each_by_itself() {
    run(2, || {
        let expected = ["one", "two", "three."];
        let (a, b) = UnixDatagram::pair().unwrap();
        a.set_read_timeout(Some(PATIENCE)).unwrap();
        let c = b.try_clone().unwrap();
        let first = move || _ = c.send(b"x").unwrap();
        let send = || {
            expected
                .iter()
                .for_each(|text| _ = b.send(text.as_bytes()).unwrap())
        };
        assert_eq!(pieces(&|buf| a.recv(buf), first, send), expected);
        let [a, b] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        b.connect(a.local_addr().unwrap()).unwrap();
        a.set_read_timeout(Some(PATIENCE)).unwrap();
        let c = b.try_clone().unwrap();
        let first = move || _ = c.send(b"x").unwrap();
        let send = || {
            expected
                .iter()
                .for_each(|text| _ = b.send(text.as_bytes()).unwrap())
        };
        assert_eq!(
            pieces(&|buf| Ok(a.recv_from(buf)?.0), first, send),
            expected
        );
    });
}

#[test]
fn a_peek_and_a_small_buffer_of_many_leave_what_is_there() {
    run(2, || {
        let (a, b) = pair();
        a.set_read_timeout(Some(PATIENCE)).unwrap();
        let c = b.try_clone().unwrap();
        let read = |buf: &mut [u8]| {
            a.peek(buf)?;
            let (mut first, mut second) = ([0; 2], [0; 1]);
            let mut bufs = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
            let count = (&a).read_vectored(&mut bufs)?;
            buf[..3].copy_from_slice(&[first[0], first[1], second[0]]);
            Ok(count)
        };
        let first = move || (&c).write_all(b"x").unwrap();
        let came = pieces(&read, first, || (&b).write_all(b"hello world.").unwrap());
        assert_eq!(came, ["hel", "lo ", "wor", "ld."]);
    });
}

/// Goal: a writer of a Unix socket gets the room that there is, although the kernel reports room
/// only when three quarters are free. Method: it fills the socket, by a last write that is short,
/// and a part is read.
#[test]
fn a_short_write_does_not_make_the_next_one_wait_for_an_event() {
    run(2, || {
        let (a, b) = UnixStream::pair().unwrap();
        a.set_write_timeout(Some(PATIENCE)).unwrap();
        let chunk = vec![7; 50_000];
        // Waits once, so that the descriptor is registered.
        let c = a.try_clone().unwrap();
        let fills = gopark::spawn(move || {
            c.set_write_timeout(Some(SETTLED)).unwrap();
            loop {
                if let Err(error) = (&c).write(&vec![7; 50_000]) {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    return;
                }
            }
        });
        fills.join().unwrap();
        a.set_write_timeout(Some(PATIENCE)).unwrap();
        let mut room = vec![0; 1 << 20];
        while (&b).read(&mut room).unwrap() == room.len() {}
        gopark::time::sleep(SETTLED);
        let mut is_short = false;
        while !is_short {
            is_short = (&a).write(&chunk).unwrap() < chunk.len();
        }
        gopark::time::sleep(SETTLED);
        // A part that is too small for an event.
        (&b).read_exact(&mut room[..70_000]).unwrap();
        let start = Instant::now();
        let count = (&a).write(&chunk[..1000]).unwrap();
        assert!(count > 0 && start.elapsed() < PATIENCE);
    });
}
