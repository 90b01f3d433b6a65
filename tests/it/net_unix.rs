//! `s/std::os::unix::net/gopark::net::unix/`: as `net_std.rs`, for Unix sockets.

macro_rules! suite {
    ($name:ident, [$($unix:tt)*]) => {
        mod $name {
            use std::io::{IoSlice, Read, Write};
            use std::net::Shutdown;
            use std::os::linux::net::SocketAddrExt;
            use std::time::Duration;

            use $($unix)*::{SocketAddr, UnixDatagram, UnixListener, UnixStream};

            use crate::net_std::{Transcript, fresh_path};

            const MS: Duration = Duration::from_millis(1);

            pub(super) const CASES: [fn(&mut Transcript); 4] =
                [unix_stream, unix_listener, unix_datagram, unix_datagram_names];

            fn unix_stream(t: &mut Transcript) {
                let (mut a, mut b) = UnixStream::pair().unwrap();
                t.note("write", a.write(b"hello"));
                t.note("read", b.read(&mut [0; 9]));
                t.note("local_addr", a.local_addr());
                t.note("peer_addr", a.peer_addr().map(|addr| addr.is_unnamed()));
                for timeout in [Some(20 * MS), Some(Duration::ZERO), None] {
                    t.note("set_read_timeout", a.set_read_timeout(timeout));
                    t.note("set_write_timeout", a.set_write_timeout(timeout));
                    t.note("read_timeout", a.read_timeout());
                    t.note("write_timeout", a.write_timeout());
                }
                t.note("set_nonblocking", a.set_nonblocking(true));
                t.note("would block", a.read(&mut [0]));
                t.note("full", loop {
                    if let Err(error) = a.write(&[0; 4096]) {
                        break Err::<(), _>(error);
                    }
                });
                t.note("take_error", a.take_error().map(|error| error.is_none()));
                let clone = a.try_clone().unwrap();
                t.note("shutdown", clone.shutdown(Shutdown::Both));
                t.note("broken", (&b).write(b"x"));
                t.note("broken", (&b).write_vectored(&[IoSlice::new(b"x")]));
                t.note("end", b.read_to_end(&mut Vec::new()).map(|n| n > 0));
                t.note("nobody", UnixStream::connect(fresh_path()).map(|_| ()));
                t.note("long", UnixStream::connect("x".repeat(200)).map(|_| ()));
                t.note("NUL", UnixStream::connect("a\0b").map(|_| ()));
            }

            fn unix_listener(t: &mut Transcript) {
                let path = fresh_path();
                let listener = UnixListener::bind(&path).unwrap();
                t.note("taken", UnixListener::bind(&path).map(|_| ()));
                let a = UnixStream::connect(&path).unwrap();
                let (b, from) = listener.accept().unwrap();
                t.note("from", Ok(from));
                assert_eq!(a.peer_addr().unwrap().as_pathname(), Some(&*path));
                assert_eq!(b.local_addr().unwrap().as_pathname(), Some(&*path));
                let clone = listener.try_clone().unwrap();
                assert_eq!(clone.local_addr().unwrap().as_pathname(), Some(&*path));
                t.note("set_nonblocking", listener.set_nonblocking(true));
                t.note("would block", listener.accept().map(|_| ()));
                t.note("set_nonblocking", listener.set_nonblocking(false));
                t.note("take_error", listener.take_error().map(|error| error.is_none()));
                let _clients = [&path; 2].map(|path| UnixStream::connect(path).unwrap());
                t.note("incoming", listener.incoming().next().unwrap().map(|_| ()));
                t.note("size", Ok(listener.incoming().size_hint()));
                for stream in &listener {
                    t.note("into_iter", stream.map(|_| ()));
                    break;
                }
                std::fs::remove_file(&path).unwrap();
                let name = path.as_os_str().as_encoded_bytes();
                let name = SocketAddr::from_abstract_name(name).unwrap();
                let listener = UnixListener::bind_addr(&name).unwrap();
                let client = UnixStream::connect_addr(&name).unwrap();
                let same = client.peer_addr().unwrap().as_abstract_name().map(<[u8]>::to_vec);
                assert_eq!(same.as_deref(), name.as_abstract_name());
                t.note("abstract", listener.accept().map(|_| ()));
            }

            fn unix_datagram(t: &mut Transcript) {
                let (a, b) = UnixDatagram::pair().unwrap();
                let mut buf = [0; 4];
                t.note("send", a.send(b"hello"));
                t.note("recv", b.recv(&mut buf).map(|n| buf[..n].to_vec()));
                t.note("send", a.send(b""));
                t.note("recv_from", b.recv_from(&mut buf).map(|(n, from)| (n, from.is_unnamed())));
                for timeout in [Some(20 * MS), Some(Duration::ZERO)] {
                    t.note("set_read_timeout", a.set_read_timeout(timeout));
                    t.note("set_write_timeout", a.set_write_timeout(timeout));
                    t.note("read_timeout", a.read_timeout());
                    t.note("write_timeout", a.write_timeout());
                }
                t.note("late", a.recv(&mut buf));
                t.note("set_nonblocking", a.set_nonblocking(true));
                t.note("would block", a.try_clone().unwrap().recv(&mut buf));
                t.note("take_error", a.take_error().map(|error| error.is_none()));
                t.note("shutdown", a.shutdown(Shutdown::Both));
                t.note("end", b.send(b"x"));
                drop(b);
                t.note("gone", a.send(b"x"));
            }

            fn unix_datagram_names(t: &mut Transcript) {
                let path = fresh_path();
                let named = UnixDatagram::bind(&path).unwrap();
                let other = UnixDatagram::unbound().unwrap();
                let mut buf = [0; 9];
                t.note("local_addr", other.local_addr());
                t.note("peer_addr", other.peer_addr());
                t.note("send_to", other.send_to(b"12", &path));
                t.note("recv_from", named.recv_from(&mut buf));
                t.note("send_to", other.send_to(b"12", "/nonexistent/socket"));
                t.note("connect", other.connect(&path));
                t.note("send", other.send(b"345"));
                t.note("recv", named.recv(&mut buf));
                assert_eq!(other.peer_addr().unwrap().as_pathname(), Some(&*path));
                std::fs::remove_file(&path).unwrap();
                let name = path.as_os_str().as_encoded_bytes();
                let name = SocketAddr::from_abstract_name(name).unwrap();
                let named = UnixDatagram::bind_addr(&name).unwrap();
                t.note("send_to_addr", other.send_to_addr(b"6", &name));
                t.note("connect_addr", other.connect_addr(&name));
                t.note("recv", named.recv(&mut buf));
                // Nobody takes it out: the queue of the receiver fills.
                t.note("set_write_timeout", other.set_write_timeout(Some(30 * MS)));
                t.note("full", loop {
                    if let Err(error) = other.send_to_addr(b"x", &name) {
                        break Err::<(), _>(error);
                    }
                });
                t.note("full", other.send(b"x"));
                t.note("recv", named.recv(&mut buf));
                t.note("room", other.send_to_addr(b"x", &name));
            }
        }
    };
}

suite!(theirs, [std::os::unix::net]);
suite!(ours, [gopark::net::unix]);

#[test]
fn a_program_behaves_the_same_with_our_unix_types_on_a_thread() {
    crate::net_std::compare(&theirs::CASES, &ours::CASES);
}

#[test]
fn a_program_behaves_the_same_with_our_unix_types_in_a_goroutine() {
    gopark_tests::run(2, || crate::net_std::compare(&theirs::CASES, &ours::CASES));
}
