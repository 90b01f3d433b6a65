//! Who goes on when a direction is shut down: every combination of socket, operation, direction,
//! side and moment is a row of one table, compared with std's blocking sockets.
//!
//! A row makes a pair of sockets, brings one end to the point where its operation waits, shuts a
//! direction down, and notes what the operation says, and what the next one says. All rows of a
//! table run at the same time, each on a thread or goroutine of its own; what still waits at the
//! end is told by its timeout, which both sides have.

#![expect(
    unsafe_code,
    reason = "shuts descriptors down whose type has no method for it"
)]

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use gopark_tests::{run, wait_until};

use crate::net_std::fresh_path;

/// How long an operation waits before it counts as one that goes on waiting. A writer that the
/// kernel does not wake goes on within twice the time it has waited.
const PATIENCE: Duration = Duration::from_secs(6);
/// How long an operation is given to begin its wait.
const HEAD_START: Duration = Duration::from_millis(300);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Tcp,
    UnixStream,
    /// Each connected to the other.
    UnixDatagrams,
    /// Connected to a receiver that is not connected.
    UnixDatagramToOne,
    Udp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Operation {
    Receive,
    ReceiveFrom,
    Peek,
    Send,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Own,
    /// A second handle, by `try_clone`.
    Clone,
    /// A duplicate of the descriptor, of which the library knows nothing.
    Duplicate,
    Peer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    Before,
    /// While the operation waits.
    During,
    /// Before, where the operation need not wait: there is something queued, or room. One that
    /// writes to TCP always goes on until there is none.
    Ready,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    kind: Kind,
    operation: Operation,
    /// 0 is reading, 1 writing, 2 both.
    how: u8,
    side: Side,
    moment: Moment,
}

impl Row {
    fn how(self) -> Shutdown {
        [Shutdown::Read, Shutdown::Write, Shutdown::Both][usize::from(self.how)]
    }
}

fn rows() -> Vec<Row> {
    use {Kind::*, Moment::*, Operation::*, Side::*};
    let mut rows = Vec::new();
    for kind in [Tcp, UnixStream, UnixDatagrams, UnixDatagramToOne, Udp] {
        for operation in [Receive, ReceiveFrom, Peek, Send] {
            let is_known = match operation {
                // std's `recv_from` of UDP reads an address that the kernel has not written then:
                // it fails or panics, by what the stack holds.
                ReceiveFrom => !matches!(kind, Tcp | UnixStream | Udp),
                Peek => matches!(kind, Tcp | Udp),
                Receive | Send => true,
            };
            if !is_known {
                continue;
            }
            // A sender of UDP never waits.
            let moments = match (kind, operation) {
                (Udp, Send) => &[Before, Ready][..],
                _ => &[Before, During, Ready],
            };
            for how in 0..3 {
                for side in [Own, Clone, Duplicate, Peer] {
                    for &moment in moments {
                        rows.push(Row {
                            kind,
                            operation,
                            how,
                            side,
                            moment,
                        });
                    }
                }
            }
        }
    }
    rows
}

/// What one operation, and the one after it, came to. `None`: it still waits.
type Outcome = [Option<Result<usize, ErrorKind>>; 2];

/// A socket of std or of this library.
trait Socket: Sized + Send + Sync {
    fn pair(kind: Kind) -> (Self, Self);
    fn second(&self) -> Self;
    fn shut(&self, how: Shutdown) -> io::Result<()>;
    fn duplicate(&self) -> OwnedFd;
    fn set_waits(&self, waits: bool);
    fn operate(&self, operation: Operation) -> io::Result<usize>;
    fn send_one(&self);
}

fn shut_descriptor(fd: &impl AsRawFd, how: Shutdown) -> io::Result<()> {
    let how = match how {
        Shutdown::Read => libc::SHUT_RD,
        Shutdown::Write => libc::SHUT_WR,
        Shutdown::Both => libc::SHUT_RDWR,
    };
    // SAFETY: a system call on a descriptor that is lent.
    match unsafe { libc::shutdown(fd.as_raw_fd(), how) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

const CHUNK: [u8; 1000] = [7; 1000];

macro_rules! sockets {
    ($name:ident, [$($net:tt)*], [$($unix:tt)*]) => {
        mod $name {
            use super::*;

            use $($net)*::{TcpListener, TcpStream, UdpSocket};
            use $($unix)*::{UnixDatagram, UnixStream};

            pub(super) enum Any {
                Tcp(TcpStream),
                UnixStream(UnixStream),
                UnixDatagram(UnixDatagram),
                Udp(UdpSocket),
            }

            macro_rules! each {
                ($any:expr, $socket:ident => $do:expr) => {
                    match $any {
                        Any::Tcp($socket) => $do,
                        Any::UnixStream($socket) => $do,
                        Any::UnixDatagram($socket) => $do,
                        Any::Udp($socket) => $do,
                    }
                };
            }

            impl Socket for Any {
                fn pair(kind: Kind) -> (Any, Any) {
                    match kind {
                        Kind::Tcp => {
                            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                            let addr = listener.local_addr().unwrap();
                            let client = TcpStream::connect(addr).unwrap();
                            (Any::Tcp(client), Any::Tcp(listener.accept().unwrap().0))
                        }
                        Kind::UnixStream => {
                            let (a, b) = UnixStream::pair().unwrap();
                            (Any::UnixStream(a), Any::UnixStream(b))
                        }
                        Kind::UnixDatagrams => {
                            let (a, b) = UnixDatagram::pair().unwrap();
                            (Any::UnixDatagram(a), Any::UnixDatagram(b))
                        }
                        Kind::UnixDatagramToOne => {
                            let path = fresh_path();
                            let b = UnixDatagram::bind(&path).unwrap();
                            let a = UnixDatagram::unbound().unwrap();
                            a.connect(&path).unwrap();
                            std::fs::remove_file(path).unwrap();
                            (Any::UnixDatagram(a), Any::UnixDatagram(b))
                        }
                        Kind::Udp => {
                            let [a, b] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
                            a.connect(b.local_addr().unwrap()).unwrap();
                            b.connect(a.local_addr().unwrap()).unwrap();
                            (Any::Udp(a), Any::Udp(b))
                        }
                    }
                }

                fn second(&self) -> Any {
                    match self {
                        Any::Tcp(socket) => Any::Tcp(socket.try_clone().unwrap()),
                        Any::UnixStream(socket) => Any::UnixStream(socket.try_clone().unwrap()),
                        Any::UnixDatagram(socket) => Any::UnixDatagram(socket.try_clone().unwrap()),
                        Any::Udp(socket) => Any::Udp(socket.try_clone().unwrap()),
                    }
                }

                fn shut(&self, how: Shutdown) -> io::Result<()> {
                    match self {
                        Any::Tcp(socket) => socket.shutdown(how),
                        Any::UnixStream(socket) => socket.shutdown(how),
                        Any::UnixDatagram(socket) => socket.shutdown(how),
                        Any::Udp(socket) => shut_descriptor(socket, how),
                    }
                }

                fn duplicate(&self) -> OwnedFd {
                    each!(self, socket => socket.as_fd().try_clone_to_owned().unwrap())
                }

                fn set_waits(&self, waits: bool) {
                    each!(self, socket => {
                        socket.set_nonblocking(!waits).unwrap();
                        socket.set_read_timeout(Some(PATIENCE)).unwrap();
                        socket.set_write_timeout(Some(PATIENCE)).unwrap();
                    });
                }

                fn send_one(&self) {
                    let sent = match self {
                        Any::Tcp(socket) => (&*socket).write(&CHUNK),
                        _ => self.operate(Operation::Send),
                    };
                    assert_eq!(sent.unwrap(), CHUNK.len());
                }

                fn operate(&self, operation: Operation) -> io::Result<usize> {
                    let buf = &mut [0; 9];
                    match (self, operation) {
                        (Any::Tcp(socket), Operation::Receive) => (&*socket).read(buf),
                        (Any::Tcp(socket), Operation::Send) => loop {
                            // Room comes by itself now and then, but not for ever.
                            (&*socket).write_all(&CHUNK)?;
                        },
                        (Any::Tcp(socket), Operation::Peek) => socket.peek(buf),
                        (Any::UnixStream(socket), Operation::Receive) => (&*socket).read(buf),
                        (Any::UnixStream(socket), Operation::Send) => (&*socket).write(&CHUNK),
                        (Any::UnixDatagram(socket), Operation::Receive) => socket.recv(buf),
                        (Any::UnixDatagram(socket), Operation::ReceiveFrom) => {
                            let (count, from) = socket.recv_from(buf)?;
                            assert!(count != 0 || from.is_unnamed());
                            Ok(count)
                        }
                        (Any::UnixDatagram(socket), Operation::Send) => socket.send(&CHUNK),
                        (Any::Udp(socket), Operation::Receive) => socket.recv(buf),
                        (Any::Udp(socket), Operation::ReceiveFrom) => {
                            socket.recv_from(buf).map(|(count, _)| count)
                        }
                        (Any::Udp(socket), Operation::Peek) => socket.peek(buf),
                        (Any::Udp(socket), Operation::Send) => socket.send(&CHUNK),
                        _ => unreachable!("no such row"),
                    }
                }
            }
        }
    };
}

sockets!(theirs, [std::net], [std::os::unix::net]);
sockets!(ours, [gopark::net], [gopark::net::unix]);

/// Sends until there is no room. UDP always has room.
fn fill<S: Socket>(socket: &S, kind: Kind) {
    socket.set_waits(false);
    while kind != Kind::Udp && socket.operate(Operation::Send).is_ok() {}
}

fn note(result: io::Result<usize>) -> Option<Result<usize, ErrorKind>> {
    match result.map_err(|error| error.kind()) {
        Err(ErrorKind::WouldBlock) => None,
        // Which of them a writer sees depends on whether the peer's answer is there already.
        Err(ErrorKind::ConnectionReset) => Some(Err(ErrorKind::BrokenPipe)),
        result => Some(result),
    }
}

/// Starts a thread or a goroutine.
type Go = fn(Box<dyn FnOnce() + Send>);

/// Does `row`, again if the machine did something else meanwhile: an operation that goes on waiting
/// must have done so for a while after the shutdown.
fn play<S: Socket + 'static>(row: Row, go: Go) -> Outcome {
    for _ in 0..10 {
        if let Some(outcome) = play_once::<S>(row, go) {
            return outcome;
        }
    }
    panic!("the machine is too busy for {row:?}");
}

/// Does `row`; `None` if the shutdown came too late.
fn play_once<S: Socket + 'static>(row: Row, go: Go) -> Option<Outcome> {
    let (mut own, mut peer) = S::pair(row.kind);
    if row.kind == Kind::UnixDatagramToOne && row.operation != Operation::Send {
        std::mem::swap(&mut own, &mut peer);
    }
    match (row.operation, row.moment) {
        (Operation::Send, Moment::Ready) => {}
        (Operation::Send, _) => fill(&own, row.kind),
        (_, Moment::Ready) => peer.send_one(),
        _ => {}
    }
    own.set_waits(true);
    let (own, peer) = (Arc::new(own), Arc::new(peer));
    let was_shut = Arc::new(OnceLock::new());
    if row.moment == Moment::During {
        let (own, peer) = (Arc::clone(&own), Arc::clone(&peer));
        let was_shut = Arc::clone(&was_shut);
        go(Box::new(move || {
            gopark::time::sleep(HEAD_START);
            shut(row, &*own, &*peer);
            was_shut.set(Instant::now()).unwrap();
        }));
    } else {
        shut(row, &*own, &*peer);
        was_shut.set(Instant::now()).unwrap();
    }
    let first = note(own.operate(row.operation));
    let waited = was_shut.get().map_or(Duration::ZERO, Instant::elapsed);
    if first.is_none() && waited < PATIENCE / 2 {
        return None;
    }
    // The next one would wait as long.
    let second = first.and_then(|_| note(own.operate(row.operation)));
    Some([first, second])
}

fn shut<S: Socket>(row: Row, own: &S, peer: &S) {
    let done = match row.side {
        Side::Own => own.shut(row.how()),
        Side::Clone => own.second().shut(row.how()),
        Side::Duplicate => shut_descriptor(&own.duplicate(), row.how()),
        Side::Peer => peer.shut(row.how()),
    };
    // Some pairs have an end that is not connected: it says so, and is shut down nevertheless.
    if let Err(error) = done {
        assert_eq!(error.kind(), ErrorKind::NotConnected, "{row:?}");
    }
}

/// All rows at once, each on what `go` starts.
fn table<S: Socket + 'static>(go: Go) -> BTreeMap<Row, Outcome> {
    let table = Arc::new(Mutex::new(BTreeMap::new()));
    let rows = rows();
    let count = rows.len();
    for row in rows {
        let table = Arc::clone(&table);
        go(Box::new(move || {
            let outcome = play::<S>(row, go);
            table.lock().unwrap().insert(row, outcome);
        }));
    }
    wait_until("all rows are over", || table.lock().unwrap().len() == count);
    let mut table = table.lock().unwrap();
    std::mem::take(&mut *table)
}

fn on_threads(row: Box<dyn FnOnce() + Send>) {
    std::thread::spawn(row);
}

fn in_goroutines(row: Box<dyn FnOnce() + Send>) {
    gopark::go(row);
}

/// Where std's sender goes on waiting although its own end was shut down: the kernel wakes those
/// who wait for the receiver's queue only when there is room. Ours ends, as on other sockets.
fn is_better(row: &Row) -> bool {
    row.kind == Kind::UnixDatagramToOne
        && row.operation == Operation::Send
        && row.moment == Moment::During
        && row.how != 0
        && row.side != Side::Peer
}

/// Where the next thing that TCP sends is answered by a reset: when that is, is the system's
/// affair, in std as well.
fn is_chance(row: &Row) -> bool {
    row.kind == Kind::Tcp
        && row.operation == Operation::Send
        && row.side == Side::Peer
        && row.how == 2
}

#[track_caller]
fn compare(theirs: &BTreeMap<Row, Outcome>, ours: &BTreeMap<Row, Outcome>) {
    let others: Vec<String> = theirs
        .iter()
        .filter(|(row, _)| !is_chance(row))
        .filter(|(row, theirs)| match (is_better(row), theirs[0]) {
            (true, None) => ours[row] != [Some(Err(ErrorKind::BrokenPipe)); 2],
            _ => ours[row] != **theirs,
        })
        .map(|(row, outcome)| format!("{row:?}: std {outcome:?}, ours {:?}", ours[row]))
        .collect();
    assert!(
        others.is_empty(),
        "{} rows:\n{}",
        others.len(),
        others.join("\n")
    );
}

#[test]
fn every_shutdown_ends_what_it_ends_in_std() {
    let theirs = table::<theirs::Any>(on_threads);
    // The table holds both outcomes, and for each operation.
    for operation in [Operation::Receive, Operation::Send] {
        let of_it = |row: &Row| row.operation == operation && row.moment == Moment::During;
        let mut firsts = theirs
            .iter()
            .filter(|(row, _)| of_it(row))
            .map(|(_, [first, _])| first);
        assert!(firsts.clone().any(Option::is_none), "{operation:?}");
        assert!(firsts.any(Option::is_some), "{operation:?}");
    }
    compare(&theirs, &run(2, || table::<ours::Any>(in_goroutines)));
    compare(&theirs, &table::<ours::Any>(on_threads));
}

/// Goal: a shutdown of a handle wakes its writer, and the writer does not only find it at its next
/// try. Method: two writers begin to wait at the same time, and so try at the same times. One is
/// shut down by its handle, the other by a duplicate of its descriptor, long before the next try.
#[test]
fn a_writer_does_not_wait_for_its_next_try_after_a_shutdown_of_its_handle() {
    let writer = |by_handle: bool| {
        let (a, b) = gopark::net::UnixStream::pair().unwrap();
        let c = a.try_clone().unwrap();
        let writes = gopark::spawn(move || (&c).write_all(&vec![7; 10 << 20]));
        let shut = move || match by_handle {
            true => a.shutdown(Shutdown::Write).unwrap(),
            false => {
                let duplicate = a.as_fd().try_clone_to_owned().unwrap();
                shut_descriptor(&duplicate, Shutdown::Write).unwrap();
            }
        };
        (writes, shut, b)
    };
    let is_told_in_time = || {
        let (handles, shut_handle, _own) = writer(true);
        let (duplicates, shut_duplicate, _other) = writer(false);
        // The next try is a second away.
        gopark::time::sleep(Duration::from_millis(1200));
        shut_duplicate();
        shut_handle();
        let kind = handles.join().unwrap().unwrap_err().kind();
        assert_eq!(kind, ErrorKind::BrokenPipe);
        gopark::time::sleep(Duration::from_millis(50));
        let in_time = !duplicates.is_finished();
        let kind = duplicates.join().unwrap().unwrap_err().kind();
        assert_eq!(kind, ErrorKind::BrokenPipe);
        in_time
    };
    // A machine that does something else for a second spoils a round.
    assert!(run(2, || (0..5).any(|_| is_told_in_time())));
}

/// What accepting at a listener says whose descriptor is shut down, before it or while it waits.
fn accepts<L: AsFd + AsRawFd + Send + Sync + 'static>(
    listener: L,
    accept: fn(&L) -> io::Result<()>,
    moment: Moment,
    go: Go,
) -> Result<(), Option<i32>> {
    let listener = Arc::new(listener);
    if moment == Moment::Before {
        shut_descriptor(&*listener, Shutdown::Both).unwrap();
    } else {
        let listener = Arc::clone(&listener);
        go(Box::new(move || {
            gopark::time::sleep(HEAD_START);
            shut_descriptor(&*listener, Shutdown::Both).unwrap();
        }));
    }
    accept(&listener).map_err(|error| error.raw_os_error())
}

/// What `bind` binds, at a path that is gone.
fn nameless<L>(bind: fn(PathBuf) -> io::Result<L>) -> L {
    let path = fresh_path();
    let listener = bind(path.clone()).unwrap();
    std::fs::remove_file(path).unwrap();
    listener
}

#[test]
fn a_listener_that_is_shut_down_says_so_as_in_std() {
    for moment in [Moment::Before, Moment::During] {
        let theirs = {
            use std::net::TcpListener;
            use std::os::unix::net::UnixListener;
            let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
            let unix = nameless(UnixListener::bind);
            [
                accepts(tcp, |one| one.accept().map(drop), moment, on_threads),
                accepts(unix, |one| one.accept().map(drop), moment, on_threads),
            ]
        };
        assert_eq!(theirs, [Err(Some(libc::EINVAL)); 2]);
        let ours = |go: Go| {
            use gopark::net::{TcpListener, UnixListener};
            let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
            let unix = nameless(UnixListener::bind);
            [
                accepts(tcp, |one| one.accept().map(drop), moment, go),
                accepts(unix, |one| one.accept().map(drop), moment, go),
            ]
        };
        assert_eq!(ours(on_threads), theirs);
        assert_eq!(run(2, || ours(in_goroutines)), theirs);
    }
}
