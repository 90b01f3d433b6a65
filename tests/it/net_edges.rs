//! Sockets beyond std: deadlines, closing, conversions.

#![expect(unsafe_code, reason = "shortens the queue of a listener")]

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gopark::net::{
    BindOptions, Closed, Shutdown, TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener,
    UnixStream,
};
use gopark_tests::{nap, run};

pub(crate) const LOCAL: &str = "127.0.0.1:0";
const SHORT: Duration = Duration::from_millis(30);
const LONG: Duration = Duration::from_secs(30);

pub(crate) fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(LOCAL).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

#[track_caller]
pub(crate) fn is_closed<T: std::fmt::Debug>(result: io::Result<T>) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotConnected);
    assert!(error.get_ref().unwrap().is::<Closed>());
    assert_eq!(error.to_string(), "use of a closed network connection");
}

#[track_caller]
pub(crate) fn is_late<T: std::fmt::Debug>(result: io::Result<T>) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    assert_eq!(error.to_string(), "i/o timeout (deadline)");
}

/// On a thread, and in a goroutine.
pub(crate) fn twice(test: impl Fn()) {
    test();
    run(2, test);
}

#[test]
fn a_past_deadline_fails_even_if_there_is_data() {
    twice(|| {
        let (a, b) = pair();
        (&a).write_all(b"data").unwrap();
        let past = Instant::now() - Duration::from_secs(1);
        b.set_deadline(Some(past)).unwrap();
        for _ in 0..2 {
            is_late((&b).read(&mut [0]));
            is_late(b.peek(&mut [0]));
            is_late((&b).write(b"x"));
        }
        assert!(b.read_deadline().unwrap().unwrap() <= Instant::now());
        assert!(b.write_deadline().unwrap().unwrap() <= Instant::now());
        b.set_write_deadline(None).unwrap();
        assert_eq!((&b).write(b"x").unwrap(), 1);
        is_late((&b).read(&mut [0]));
        b.set_read_deadline(None).unwrap();
        assert_eq!(b.read_deadline().unwrap(), None);
        assert_eq!((&b).read(&mut [0; 9]).unwrap(), 4);
    });
}

#[test]
fn a_deadline_ends_what_waits() {
    twice(|| {
        let (a, b) = pair();
        let listener = TcpListener::bind(LOCAL).unwrap();
        let at = Instant::now() + SHORT;
        b.set_read_deadline(Some(at)).unwrap();
        assert_eq!(b.read_deadline().unwrap(), Some(at));
        is_late((&b).read(&mut [0]));
        assert!(at <= Instant::now());
        listener.set_deadline(Some(at + SHORT)).unwrap();
        is_late(listener.accept());
        a.set_write_deadline(Some(at + 2 * SHORT)).unwrap();
        is_late((&a).write_all(&vec![0; 64 << 20]));
        // The shorter one of timeout and deadline counts.
        b.set_read_deadline(Some(Instant::now() + LONG)).unwrap();
        let mut unread = UdpSocket::bind(LOCAL).unwrap();
        unread.set_read_timeout(Some(SHORT)).unwrap();
        unread.set_deadline(Some(Instant::now() + LONG)).unwrap();
        let error = unread.recv(&mut [0]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EAGAIN));
        unread = UdpSocket::bind(LOCAL).unwrap();
        unread.set_read_timeout(Some(LONG)).unwrap();
        unread.set_deadline(Some(Instant::now() + SHORT)).unwrap();
        is_late(unread.recv_from(&mut [0]));
    });
}

#[test]
fn a_deadline_that_moves_is_followed_by_what_waits() {
    let (_a, b) = pair();
    std::thread::scope(|s| {
        let waits = s.spawn(|| (&b).read(&mut [0]));
        nap(SHORT);
        b.set_read_deadline(Some(Instant::now())).unwrap();
        is_late(waits.join().unwrap());
    });
}

#[test]
fn close_ends_what_waits_on_threads() {
    let (_a, b) = pair();
    let c = b.try_clone().unwrap();
    let listener = TcpListener::bind(LOCAL).unwrap();
    let udp = UdpSocket::bind(LOCAL).unwrap();
    std::thread::scope(|s| {
        let reads = s.spawn(|| c.try_clone().unwrap().read(&mut [0]));
        let accepts = s.spawn(|| listener.accept());
        let receives = s.spawn(|| udp.recv_from(&mut [0]));
        nap(SHORT);
        b.close();
        listener.close();
        udp.close();
        is_closed(reads.join().unwrap());
        is_closed(accepts.join().unwrap());
        is_closed(receives.join().unwrap());
    });
    is_closed((&c).read(&mut [0]));
}

#[test]
fn close_ends_what_waits_in_goroutines() {
    run(2, || {
        let listener = Arc::new(TcpListener::bind(LOCAL).unwrap());
        let (a, b) = UnixStream::pair().unwrap();
        let accepts = gopark::spawn({
            let listener = Arc::clone(&listener);
            move || listener.accept()
        });
        let c = b.try_clone().unwrap();
        let reads = gopark::spawn(move || (&c).read(&mut [0]));
        gopark::blocking(|| nap(SHORT));
        listener.close();
        b.close();
        is_closed(accepts.join().unwrap());
        is_closed(reads.join().unwrap());
        assert_eq!((&a).read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn everything_fails_after_close() {
    twice(|| {
        let (a, b) = pair();
        for _ in 0..2 {
            b.close();
        }
        is_closed((&b).read(&mut []));
        is_closed((&b).write(b""));
        is_closed((&b).read_vectored(&mut []));
        is_closed((&b).write_vectored(&[]));
        is_closed(b.peek(&mut []));
        is_closed(b.try_clone());
        is_closed(b.peer_addr());
        is_closed(b.set_nodelay(true));
        is_closed(b.set_nonblocking(true));
        is_closed(b.set_read_timeout(None));
        is_closed(b.read_timeout());
        is_closed(b.set_deadline(None));
        is_closed(b.read_deadline());
        is_closed(b.take_error());
        is_closed(b.linger());
        assert!(b.as_raw_fd() >= 0);
        assert_eq!((&a).read(&mut [0]).unwrap(), 0);
        let datagram = UnixDatagram::unbound().unwrap();
        datagram.close();
        is_closed(datagram.send_to(b"x", "/nowhere"));
        is_closed(datagram.connect("/nowhere"));
        is_closed(datagram.recv(&mut [0]));
    });
}

#[test]
fn options_that_std_has_elsewhere() {
    let (a, _b) = pair();
    a.set_linger(Some(Duration::from_secs(3))).unwrap();
    assert_eq!(a.linger().unwrap(), Some(Duration::from_secs(3)));
    a.set_linger(None).unwrap();
    assert_eq!(a.linger().unwrap(), None);
    a.set_quickack(true).unwrap();
    assert!(a.quickack().unwrap());
    a.set_read_timeout(Some(Duration::MAX)).unwrap();
    a.set_read_timeout(Some(Duration::from_nanos(1))).unwrap();
    assert_eq!(a.read_timeout().unwrap(), Some(Duration::from_nanos(1)));
    assert!((&a).read(&mut [0]).is_err());
}

#[test]
fn to_std_and_back_keeps_mode_and_timeouts() {
    let (a, b) = pair();
    a.set_read_timeout(Some(SHORT)).unwrap();
    let std: std::net::TcpStream = a.into_std().unwrap();
    assert!(std.read_timeout().unwrap().unwrap() >= SHORT);
    let error = (&std).read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    let a = TcpStream::from_std(std).unwrap();
    assert!(a.read_timeout().unwrap().unwrap() >= SHORT);
    // It waits: the answer comes from another thread.
    a.set_read_timeout(None).unwrap();
    std::thread::scope(|s| {
        s.spawn(|| {
            nap(SHORT);
            (&b).write_all(b"x").unwrap();
        });
        let mut std = a.into_std().unwrap();
        std.read_exact(&mut [0]).unwrap();
        std.set_nonblocking(true).unwrap();
        let a = TcpStream::from(std);
        let error = (&a).read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    });
    // A duplicate while a clone lives.
    let clone = b.try_clone().unwrap();
    assert_eq!(clone.as_raw_fd(), b.as_raw_fd());
    let std = b.into_std().unwrap();
    assert_ne!(clone.as_raw_fd(), std.as_raw_fd());
    assert_eq!(clone.peer_addr().unwrap(), std.peer_addr().unwrap());
}

#[test]
fn a_timeout_that_was_cleared_does_not_come_back_in_std() {
    let (a, b) = pair();
    a.set_read_timeout(Some(SHORT)).unwrap();
    a.set_write_timeout(Some(SHORT)).unwrap();
    let a = TcpStream::from_std(a.into_std().unwrap()).unwrap();
    a.set_read_timeout(None).unwrap();
    a.set_write_timeout(None).unwrap();
    let std = a.into_std().unwrap();
    assert_eq!(std.read_timeout().unwrap(), None);
    assert_eq!(std.write_timeout().unwrap(), None);
    drop(b);
}

#[test]
fn connecting_gives_up_in_time() {
    twice(|| {
        // A full queue: nobody accepts, and the system drops what asks.
        let listener = TcpListener::bind_with(LOCAL, &BindOptions::new().backlog(16)).unwrap();
        let addr = listener.local_addr().unwrap();
        let mut clients = Vec::new();
        let error = loop {
            match TcpStream::connect_timeout(&addr, 10 * SHORT) {
                Ok(client) => clients.push(client),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(error.to_string(), "connection timed out");
        assert!(clients.len() > 16);
    });
}

#[test]
fn connecting_waits_for_a_full_unix_listener() {
    run(2, || {
        let path = crate::net_std::fresh_path();
        let socket = socket_with_queue_of_one(&path);
        let clients: Vec<_> = (0..4)
            .map(|_| {
                let path = path.clone();
                gopark::spawn(move || UnixStream::connect(path))
            })
            .collect();
        gopark::blocking(|| nap(SHORT));
        for _ in 0..4 {
            socket.accept().unwrap();
        }
        for client in clients {
            client.join().unwrap().unwrap();
        }
        std::fs::remove_file(path).unwrap();
    });
}

fn socket_with_queue_of_one(path: &std::path::Path) -> UnixListener {
    let listener = UnixListener::bind(path).unwrap();
    // SAFETY: a system call on a descriptor that is lent.
    let done = unsafe { libc::listen(listener.as_raw_fd(), 1) };
    assert_eq!(done, 0);
    listener
}

#[test]
fn a_full_receiver_makes_senders_wait() {
    run(2, || {
        let path = crate::net_std::fresh_path();
        let receiver = UnixDatagram::bind(&path).unwrap();
        let sender = gopark::spawn({
            let path = path.clone();
            move || {
                let sender = UnixDatagram::unbound().unwrap();
                (0..1000).all(|n: u32| sender.send_to(&n.to_ne_bytes(), &path).unwrap() == 4)
            }
        });
        gopark::blocking(|| nap(SHORT));
        for n in 0..1000u32 {
            let mut buf = [0; 4];
            receiver.recv(&mut buf).unwrap();
            assert_eq!(u32::from_ne_bytes(buf), n);
        }
        assert!(sender.join().unwrap());
        std::fs::remove_file(path).unwrap();
    });
}

#[test]
fn goroutines_talk_over_sockets() {
    const CLIENTS: usize = 20;
    const BYTES: usize = 300_000;
    run(2, || {
        let listener = TcpListener::bind("localhost:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let server = gopark::spawn(move || {
            let echoes: Vec<_> = listener
                .incoming()
                .take(CLIENTS)
                .map(|stream| {
                    let stream = stream.unwrap();
                    gopark::spawn(move || io::copy(&mut &stream, &mut &stream).unwrap())
                })
                .collect();
            let bytes = echoes.into_iter().map(|echo| echo.join().unwrap());
            bytes.sum::<u64>()
        });
        let clients = (0..CLIENTS).map(|n| {
            gopark::spawn(move || {
                let stream = TcpStream::connect(addr).unwrap();
                let writer = stream.try_clone().unwrap();
                let sent = vec![n as u8; BYTES];
                let writes = gopark::spawn(move || {
                    (&writer).write_all(&sent).unwrap();
                    writer.shutdown(Shutdown::Write).unwrap();
                });
                let mut back = Vec::new();
                (&stream).read_to_end(&mut back).unwrap();
                writes.join().unwrap();
                assert!(back.len() == BYTES && back.iter().all(|&byte| byte == n as u8));
            })
        });
        let clients: Vec<_> = clients.collect();
        clients
            .into_iter()
            .for_each(|client| client.join().unwrap());
        assert_eq!(server.join().unwrap(), (CLIENTS * BYTES) as u64);
    });
}
