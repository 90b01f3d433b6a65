//! `s/std::net/gopark::net/`: the same program with std's types and with ours.
//!
//! The suite calls every stable method of std's types. It is compiled twice, with other imports,
//! and writes down what it saw; both transcripts must be the same, on a plain thread and in a
//! goroutine. Peers take turns in one thread: nothing here needs two.

#![expect(unsafe_code, reason = "calls std's `from_raw_fd`")]

use std::fmt::Debug;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// What was said, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Transcript(Vec<String>);

impl Transcript {
    #[track_caller]
    pub(crate) fn note<T: Debug>(&mut self, what: &str, result: io::Result<T>) {
        self.0.push(match result {
            Ok(value) => format!("{what}: {value:?}"),
            Err(error) => format!("{what}: {:?}, {error}", error.kind()),
        });
    }
}

/// A path that does not exist.
pub(crate) fn fresh_path() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("gopark-net-{}-{n}", std::process::id()))
}

macro_rules! suite {
    ($name:ident, [$($net:tt)*], [$($unix:tt)*]) => {
        mod $name {
            use std::io::{self, IoSlice, IoSliceMut, Read, Write};
            use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
            use std::time::Duration;

            use $($net)*::{
                Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV4, TcpListener, TcpStream,
                ToSocketAddrs, UdpSocket,
            };
            use $($unix)*::{UnixDatagram, UnixListener, UnixStream};

            use super::{Transcript, fresh_path};

            const MS: Duration = Duration::from_millis(1);
            const LOCAL: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);

            pub(super) const CASES: [fn(&mut Transcript); 9] = [
                tcp_bytes,
                tcp_options,
                tcp_ends,
                tcp_addresses,
                listener,
                udp,
                udp_options,
                descriptors,
                errors,
            ];

            fn pair() -> (TcpStream, TcpStream) {
                let listener = TcpListener::bind(LOCAL).unwrap();
                let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
                (client, listener.accept().unwrap().0)
            }

            fn tcp_bytes(t: &mut Transcript) {
                let (mut a, mut b) = pair();
                let mut buf = [0; 8];
                t.note("write", a.write(b"hello"));
                t.note("peek", b.peek(&mut buf));
                t.note("read", b.read(&mut buf).map(|n| buf[..n].to_vec()));
                t.note("by reference", (&a).write(b"world"));
                t.note("by reference", (&b).read(&mut buf[..3]));
                t.note("nothing", b.read(&mut []));
                t.note("nothing", (&b).write(&[]));
                let (mut one, mut two) = ([0; 1], [0; 9]);
                let parts = &mut [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)];
                t.note("vectored", b.read_vectored(parts));
                let parts = [IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"c")];
                t.note("vectored", b.write_vectored(&parts));
                let many: Vec<_> = (0..2000).map(|_| IoSlice::new(b"x")).collect();
                t.note("many", (&b).write_vectored(&many).map(|n| n > 0));
                t.note("flush", b.flush());
                t.note("flush", (&b).flush());
                drop(b);
                let mut rest = String::new();
                t.note("rest", a.read_to_string(&mut rest).map(|_| rest.starts_with("abcxx")));
            }

            fn tcp_options(t: &mut Transcript) {
                let (a, b) = pair();
                t.note("nodelay", a.nodelay());
                t.note("set_nodelay", a.set_nodelay(true));
                t.note("nodelay", a.nodelay());
                t.note("set_ttl", a.set_ttl(42));
                t.note("ttl", a.ttl());
                t.note("take_error", a.take_error().map(|error| error.is_none()));
                for timeout in [None, Some(20 * MS), Some(1000 * MS), Some(Duration::ZERO)] {
                    t.note("set_read_timeout", b.set_read_timeout(timeout));
                    t.note("set_write_timeout", b.set_write_timeout(timeout));
                    t.note("read_timeout", b.read_timeout());
                    t.note("write_timeout", b.write_timeout());
                }
                t.note("set_read_timeout", b.set_read_timeout(Some(20 * MS)));
                t.note("late", (&b).read(&mut [0]));
                t.note("late", b.peek(&mut [0]));
                t.note("set_nonblocking", b.set_nonblocking(true));
                t.note("would block", (&b).read(&mut [0]));
                let clone = b.try_clone().unwrap();
                t.note("clones share the mode", (&clone).read(&mut [0]));
                t.note("set_nonblocking", clone.set_nonblocking(false));
                t.note("clones share the timeout", (&clone).read(&mut [0]));
                t.note("write", (&a).write(b"x"));
                t.note("read", (&clone).read(&mut [0]));
            }

            fn tcp_ends(t: &mut Transcript) {
                let (mut a, mut b) = pair();
                t.note("write", a.write(b"x"));
                t.note("shutdown", a.shutdown(Shutdown::Write));
                t.note("shutdown", a.shutdown(Shutdown::Write));
                t.note("no more writes", a.write(b"x"));
                t.note("read", b.read(&mut [0; 2]));
                t.note("end", b.read(&mut [0; 2]));
                t.note("shutdown", b.shutdown(Shutdown::Both));
                t.note("shutdown", a.shutdown(Shutdown::Read));
                t.note("end", a.read(&mut [0; 2]));
                // Unread data turns the end into a reset.
                let (a, mut b) = pair();
                t.note("write", b.write(b"unread"));
                drop(a);
                let end = loop {
                    if let Err(error) = b.write(b"x") {
                        break error;
                    }
                };
                t.note("gone", Err::<(), _>(end).map_err(|error| {
                    let gone = [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset];
                    assert!(gone.contains(&error.kind()), "{error}");
                    io::Error::from(io::ErrorKind::BrokenPipe)
                }));
            }

            fn tcp_addresses(t: &mut Transcript) {
                let listener = TcpListener::bind("localhost:0").unwrap();
                let addr = listener.local_addr().unwrap();
                let free = SocketAddr::from(([127, 0, 0, 1], 1));
                // Nobody listens at the first one.
                let a = TcpStream::connect(&[free, addr][..]).unwrap();
                let (b, from) = listener.accept().unwrap();
                assert_eq!(a.local_addr().unwrap(), from);
                assert_eq!(a.peer_addr().unwrap(), addr);
                assert_eq!(b.peer_addr().unwrap(), from);
                t.note("connect_timeout", TcpStream::connect_timeout(&addr, 1000 * MS).map(|_| ()));
                t.note("zero", TcpStream::connect_timeout(&addr, Duration::ZERO).map(|_| ()));
                t.note("refused", TcpStream::connect(free).map(|_| ()));
                t.note("refused", TcpStream::connect_timeout(&free, 1000 * MS).map(|_| ()));
                t.note("none", TcpStream::connect(&[][..] as &[SocketAddr]).map(|_| ()));
                t.note("string", TcpStream::connect(addr.to_string()).map(|_| ()));
                t.note("parts", TcpStream::connect((addr.ip(), addr.port())).map(|_| ()));
                t.note("text", TcpStream::connect("nonsense").map(|_| ()));
                t.note("name", ("localhost", 80).to_socket_addrs().map(|_| ()));
                let text = format!("{a:?}").replace(&addr.to_string(), "there");
                let text = text.replace(&from.to_string(), "here");
                t.note("debug", Ok(text.replace(&a.as_raw_fd().to_string(), "fd")));
            }

            fn listener(t: &mut Transcript) {
                let listener = TcpListener::bind(&[LOCAL.into()][..] as &[SocketAddr]).unwrap();
                let addr = listener.local_addr().unwrap();
                t.note("taken", TcpListener::bind(addr).map(|_| ()));
                t.note("none", TcpListener::bind(&[][..] as &[SocketAddr]).map(|_| ()));
                t.note("set_ttl", listener.set_ttl(17));
                t.note("ttl", listener.ttl());
                #[expect(deprecated, reason = "std has it")]
                {
                    t.note("only_v6", listener.only_v6());
                    t.note("set_only_v6", listener.set_only_v6(true));
                }
                t.note("take_error", listener.take_error().map(|error| error.is_none()));
                t.note("set_nonblocking", listener.set_nonblocking(true));
                t.note("would block", listener.accept().map(|_| ()));
                t.note("set_nonblocking", listener.set_nonblocking(false));
                let _clients = [addr; 3].map(|addr| TcpStream::connect(addr).unwrap());
                let clone = listener.try_clone().unwrap();
                t.note("accept", clone.accept().map(|_| ()));
                let mut incoming = listener.incoming();
                t.note("size", Ok(incoming.size_hint()));
                for _ in 0..2 {
                    let stream = incoming.next().unwrap();
                    t.note("blocks", stream.and_then(|stream| {
                        stream.set_read_timeout(Some(MS))?;
                        (&stream).read(&mut [0])
                    }));
                }
                assert!(format!("{listener:?}").starts_with("TcpListener { addr: 127.0.0.1:"));
                t.note("v6", TcpListener::bind("[::1]:0").map(|_| ()));
            }

            fn udp(t: &mut Transcript) {
                let a = UdpSocket::bind(LOCAL).unwrap();
                let b = UdpSocket::bind("127.0.0.1:0").unwrap();
                let (at_a, at_b) = (a.local_addr().unwrap(), b.local_addr().unwrap());
                let mut buf = [0; 4];
                t.note("send_to", a.send_to(b"hello", at_b));
                t.note("peek_from", b.peek_from(&mut buf).map(|(n, from)| (n, from == at_a)));
                t.note("recv_from", b.recv_from(&mut buf).map(|(n, from)| (n, from == at_a)));
                t.note("send", b.send(b"not connected"));
                t.note("peer_addr", b.peer_addr());
                t.note("connect", b.connect(at_a));
                t.note("connect", a.connect(&[at_b][..]));
                t.note("connect", a.connect(&[][..] as &[SocketAddr]));
                assert_eq!(b.peer_addr().unwrap(), at_a);
                t.note("send", b.send(b""));
                t.note("recv", a.recv(&mut buf));
                t.note("send", b.send(b"12"));
                t.note("peek", a.peek(&mut buf));
                t.note("recv", a.recv(&mut buf[..1]));
                t.note("none", a.send_to(b"x", &[][..] as &[SocketAddr]));
                t.note("long", a.send(&[0; 70_000]));
                t.note("set_nonblocking", a.set_nonblocking(true));
                t.note("would block", a.recv(&mut buf));
                t.note("set_nonblocking", a.set_nonblocking(false));
                let clone = a.try_clone().unwrap();
                t.note("set_read_timeout", clone.set_read_timeout(Some(20 * MS)));
                t.note("late", a.recv_from(&mut buf).map(|_| ()));
                drop(b);
                t.note("send", a.send(b"to nobody"));
                t.note("refused", a.recv(&mut buf));
                t.note("take_error", a.take_error().map(|error| error.is_none()));
            }

            fn udp_options(t: &mut Transcript) {
                let a = UdpSocket::bind(LOCAL).unwrap();
                t.note("set_broadcast", a.set_broadcast(true));
                t.note("broadcast", a.broadcast());
                t.note("set_multicast_loop_v4", a.set_multicast_loop_v4(false));
                t.note("multicast_loop_v4", a.multicast_loop_v4());
                t.note("set_multicast_ttl_v4", a.set_multicast_ttl_v4(3));
                t.note("multicast_ttl_v4", a.multicast_ttl_v4());
                t.note("set_ttl", a.set_ttl(9));
                t.note("ttl", a.ttl());
                let (group, here) = (Ipv4Addr::new(224, 0, 0, 251), Ipv4Addr::LOCALHOST);
                t.note("join_multicast_v4", a.join_multicast_v4(&group, &here));
                t.note("leave_multicast_v4", a.leave_multicast_v4(&group, &here));
                t.note("leave_multicast_v4", a.leave_multicast_v4(&group, &here));
                t.note("set_write_timeout", a.set_write_timeout(Some(20 * MS)));
                t.note("write_timeout", a.write_timeout());
                t.note("read_timeout", a.read_timeout());
                t.note("zero", a.set_read_timeout(Some(Duration::ZERO)));
                t.note("zero", a.set_write_timeout(Some(Duration::ZERO)));
                let v6 = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0));
                t.note("v6", v6.and_then(|a| {
                    a.set_multicast_loop_v6(false)?;
                    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
                    let joined = a.join_multicast_v6(&group, 1).is_ok();
                    let left = a.leave_multicast_v6(&group, 1).is_ok();
                    Ok((a.multicast_loop_v6()?, joined, left))
                }));
            }

            fn descriptors(t: &mut Transcript) {
                let (a, mut b) = pair();
                t.note("number", Ok(a.as_raw_fd() == a.as_fd().as_raw_fd()));
                let fd: OwnedFd = a.into();
                let raw = TcpStream::from(fd).into_raw_fd();
                // SAFETY: given away above.
                let mut a = unsafe { TcpStream::from_raw_fd(raw) };
                t.note("write", a.write(b"x"));
                t.note("read", b.read(&mut [0; 2]));
                b.set_nonblocking(true).unwrap();
                let mut b = TcpStream::from(OwnedFd::from(b));
                t.note("the mode stays", b.read(&mut [0; 2]));
                let (a, b) = UnixDatagram::pair().unwrap();
                a.set_read_timeout(Some(20 * MS)).unwrap();
                let a = UnixDatagram::from(OwnedFd::from(a));
                t.note("the timeout stays", a.read_timeout());
                t.note("late", a.recv(&mut [0]));
                drop(UnixListener::from(OwnedFd::from(UnixListener::bind(fresh_path()).unwrap())));
                drop(UnixStream::from(OwnedFd::from(b)));
                drop(UdpSocket::from(OwnedFd::from(UdpSocket::bind(LOCAL).unwrap())));
                drop(TcpListener::from(OwnedFd::from(TcpListener::bind(LOCAL).unwrap())));
            }

            fn errors(t: &mut Transcript) {
                let name = "name.invalid:80";
                t.note("name", Ok(TcpStream::connect(name).is_err()));
                t.note("name", Ok(TcpListener::bind(name).is_err()));
                t.note("name", Ok(UdpSocket::bind(name).is_err()));
                t.note("port", TcpStream::connect("localhost:99999").map(|_| ()));
                fn of_any_thread<T: Send + Sync + std::panic::UnwindSafe + Unpin + 'static>() {}
                of_any_thread::<(TcpStream, TcpListener, UdpSocket)>();
                of_any_thread::<(UnixStream, UnixListener, UnixDatagram)>();
            }
        }
    };
}

suite!(theirs, [std::net], [std::os::unix::net]);
suite!(ours, [gopark::net], [gopark::net::unix]);

type Case = fn(&mut Transcript);

/// Runs the cases of both sides.
pub(crate) fn compare(theirs: &[Case], ours: &[Case]) {
    for (theirs, ours) in theirs.iter().zip(ours) {
        let (mut expected, mut found) = (Transcript::default(), Transcript::default());
        theirs(&mut expected);
        ours(&mut found);
        assert_eq!(found, expected);
    }
}

#[test]
fn a_program_behaves_the_same_with_our_types_on_a_thread() {
    compare(&theirs::CASES, &ours::CASES);
}

#[test]
fn a_program_behaves_the_same_with_our_types_in_a_goroutine() {
    gopark_tests::run(2, || compare(&theirs::CASES, &ours::CASES));
}
