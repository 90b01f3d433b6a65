//! Sockets in processes that misuse signals or have no descriptor left.

#![expect(unsafe_code, reason = "changes limits and signals of a process")]

use std::fs::File;
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::os::fd::AsRawFd;

use gopark::net::{TcpListener, TcpStream, UnixStream};
use gopark_tests::alone;

use crate::net_edges::{LOCAL, pair, twice};

#[test]
fn a_peer_that_is_gone_is_an_error_and_no_signal() {
    let test = "net_limits::a_peer_that_is_gone_is_an_error_and_no_signal";
    alone(
        test,
        |_| {},
        || {
            // SAFETY: the default action of a signal, in a process of the test's own.
            unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
            twice(|| {
                let (a, b) = pair();
                drop(b);
                while (&a).write(b"x").is_ok() {}
                assert!((&a).write(b"x").is_err());
                assert!((&a).write_vectored(&[IoSlice::new(b"x")]).is_err());
                let (a, b) = UnixStream::pair().unwrap();
                drop(b);
                let error = (&a).write(b"x").unwrap_err();
                assert_eq!(error.kind(), ErrorKind::BrokenPipe);
                assert!((&a).write_vectored(&[IoSlice::new(b"x")]).is_err());
            });
        },
    );
}

#[test]
fn a_listener_survives_that_no_descriptor_is_left() {
    let test = "net_limits::a_listener_survives_that_no_descriptor_is_left";
    alone(
        test,
        |_| {},
        || {
            let listener = TcpListener::bind(LOCAL).unwrap();
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let first_free = File::open("/dev/null").unwrap().as_raw_fd();
            let before = limit_descriptors(first_free as libc::rlim_t);
            let error = listener.accept().unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
            limit_descriptors(before);
            let (mut server, _) = listener.accept().unwrap();
            server.write_all(b"x").unwrap();
            client.read_exact(&mut [0]).unwrap();
        },
    );
}

/// Gives the limit that there was.
fn limit_descriptors(count: libc::rlim_t) -> libc::rlim_t {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the kernel writes where it may.
    let got = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    let before = std::mem::replace(&mut limit.rlim_cur, count);
    // SAFETY: reads a limit, in a process of the test's own.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    assert_eq!((got, set), (0, 0));
    before
}
