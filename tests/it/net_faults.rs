//! Peers that vanish, descriptors whose numbers come again, signals, slow readers.

#![expect(unsafe_code, reason = "sends signals to threads")]

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gopark::net::{Shutdown, TcpListener, TcpStream, UdpSocket, UnixStream};
use gopark_tests::{alone, nap, run, runtime, wait_until};

use crate::net_edges::{LOCAL, pair, twice};

const SHORT: Duration = Duration::from_millis(30);

#[track_caller]
fn is_reset<T: std::fmt::Debug>(result: io::Result<T>) {
    let kind = result.unwrap_err().kind();
    let known = matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe);
    assert!(known, "{kind:?}");
}

#[test]
fn a_peer_that_resets_ends_what_writes_and_what_reads() {
    run(2, || {
        let (a, b) = pair();
        let c = a.try_clone().unwrap();
        let writes = gopark::spawn(move || is_reset((&c).write_all(&vec![0; 64 << 20])));
        let reads = gopark::spawn(move || {
            let outcome = (&a).read(&mut [0]);
            // The error is told once: to the reader or to the writer.
            assert!(!matches!(outcome, Ok(1..)), "{outcome:?}");
            (&a).read(&mut [0]).is_ok_and(|count| count == 0)
        });
        gopark::blocking(|| nap(SHORT));
        b.set_linger(Some(Duration::ZERO)).unwrap();
        drop(b);
        writes.join().unwrap();
        assert!(reads.join().unwrap());
    });
    std::thread::scope(|s| {
        let (a, b) = pair();
        let writes = s.spawn(move || is_reset((&a).write_all(&vec![0; 64 << 20])));
        nap(SHORT);
        b.set_linger(Some(Duration::ZERO)).unwrap();
        drop(b);
        writes.join().unwrap();
    });
}

/// Goal: a close reaches a peer that waits for room, although a handle of the closed end lives.
#[test]
fn a_close_ends_what_a_peer_writes() {
    run(2, || {
        let (a, b) = pair();
        let writes = gopark::spawn(move || is_reset((&a).write_all(&vec![0; 64 << 20])));
        (&b).read_exact(&mut [0; 1000]).unwrap();
        b.close();
        writes.join().unwrap();
        drop(b);
    });
}

#[test]
fn each_direction_ends_by_itself() {
    twice(|| {
        for end in [Shutdown::Write, Shutdown::Both] {
            let (a, b) = pair();
            (&a).write_all(b"last words").unwrap();
            a.shutdown(Shutdown::Write).unwrap();
            assert!((&a).write(b"x").is_err());
            let mut text = String::new();
            (&b).read_to_string(&mut text).unwrap();
            assert_eq!(text, "last words");
            assert_eq!((&b).read(&mut [0]).unwrap(), 0);
            // The other direction is as before.
            (&b).write_all(b"answer").unwrap();
            (&a).read_exact(&mut [0; 6]).unwrap();
            b.shutdown(end).unwrap();
            assert_eq!((&a).read(&mut [0]).unwrap(), 0);
        }
    });
}

#[test]
fn the_end_of_reading_wakes_the_reader() {
    run(2, || {
        let (tcp, _peer) = pair();
        let (unix, _unix_peer) = UnixStream::pair().unwrap();
        let (a, b) = (tcp.try_clone().unwrap(), unix.try_clone().unwrap());
        let reads = [
            gopark::spawn(move || (&a).read(&mut [0])),
            gopark::spawn(move || (&b).read(&mut [0])),
        ];
        gopark::blocking(|| nap(SHORT));
        tcp.shutdown(Shutdown::Read).unwrap();
        unix.shutdown(Shutdown::Read).unwrap();
        for one in reads {
            assert_eq!(one.join().unwrap().unwrap(), 0);
        }
    });
}

/// What a receiver has no room for is lost, and a peer that is not there is an error: no sender
/// waits for ever.
#[test]
fn senders_of_datagrams_get_on() {
    run(2, || {
        let unread = UdpSocket::bind(LOCAL).unwrap();
        let to = unread.local_addr().unwrap();
        let gone = UdpSocket::bind(LOCAL).unwrap().local_addr().unwrap();
        let send = |n: usize| {
            gopark::spawn(move || {
                let socket = UdpSocket::bind(LOCAL).unwrap();
                let datagram = vec![n as u8; 60_000];
                for _ in 0..500 {
                    assert_eq!(socket.send_to(&datagram, to).unwrap(), 60_000);
                    let _ = socket.send_to(b"x", gone);
                }
                socket.connect(gone).unwrap();
                let mut errors = 0;
                for _ in 0..100 {
                    errors += usize::from(socket.send(b"x").is_err());
                }
                errors
            })
        };
        let senders: Vec<_> = (0..4).map(send).collect();
        for sender in senders {
            // Every second call tells the fate of the one before.
            assert!(sender.join().unwrap() > 0);
        }
        assert_eq!(unread.recv(&mut [0; 60_000]).unwrap(), 60_000);
    });
}

/// Goal: an event for a descriptor that is gone does not reach the one that has its number now.
/// Method: short connections all the time, beside readers that nobody writes to.
#[test]
fn descriptors_whose_numbers_come_again_wake_no_stranger() {
    const READERS: usize = 100;
    const CONNECTIONS: usize = if cfg!(debug_assertions) { 2000 } else { 10_000 };
    run(4, || {
        let mut writers = Vec::new();
        let mut readers = Vec::new();
        let read = |n: usize| {
            let (a, b) = if n.is_multiple_of(2) {
                let (a, b) = UnixStream::pair().unwrap();
                (std::os::fd::OwnedFd::from(a), std::os::fd::OwnedFd::from(b))
            } else {
                let (a, b) = pair();
                (a.into(), b.into())
            };
            let b = UnixStream::from(b);
            let reader = gopark::spawn(move || {
                let mut bytes = [0; 9];
                let count = (&b).read(&mut bytes).unwrap();
                (count, bytes[0])
            });
            (UnixStream::from(a), reader)
        };
        let listener = TcpListener::bind(LOCAL).unwrap();
        let addr = listener.local_addr().unwrap();
        let closer = listener.try_clone().unwrap();
        let serves = gopark::spawn(move || {
            while let Ok((peer, _)) = listener.accept() {
                gopark::go(move || {
                    let mut byte = [0];
                    while (&peer).read_exact(&mut byte).is_ok() {
                        let _ = (&peer).write_all(&byte);
                    }
                });
            }
        });
        let connect = |n: usize| {
            gopark::spawn(move || {
                for n in (n..CONNECTIONS).step_by(8) {
                    let stream = TcpStream::connect(addr).unwrap();
                    stream.set_linger(Some(Duration::ZERO)).unwrap();
                    (&stream).write_all(&[n as u8]).unwrap();
                    let mut byte = [0];
                    (&stream).read_exact(&mut byte).unwrap();
                    assert_eq!(byte[0], n as u8);
                }
            })
        };
        let clients: Vec<_> = (0..8).map(connect).collect();
        for n in 0..READERS {
            let (writer, reader) = read(n);
            writers.push(writer);
            readers.push(reader);
            gopark::yield_now();
        }
        clients.into_iter().for_each(|one| one.join().unwrap());
        assert!(readers.iter().all(|one| !one.is_finished()));
        for (n, writer) in writers.iter().enumerate() {
            (&*writer).write_all(&[n as u8]).unwrap();
        }
        for (n, reader) in readers.into_iter().enumerate() {
            assert_eq!(reader.join().unwrap(), (1, n as u8));
        }
        closer.close();
        serves.join().unwrap();
    });
}

/// Sends a signal to all threads of the process.
fn interrupt_everybody() {
    for entry in std::fs::read_dir("/proc/self/task").unwrap() {
        let name = entry.unwrap().file_name();
        let id: libc::c_int = name.to_str().unwrap().parse().unwrap();
        // SAFETY: a system call; a thread that has ended is an error, which is ignored.
        unsafe { libc::syscall(libc::SYS_tgkill, std::process::id(), id, libc::SIGURG) };
    }
}

#[test]
fn a_storm_of_signals_disturbs_no_call() {
    let test = "net_faults::a_storm_of_signals_disturbs_no_call";
    alone(
        test,
        |_| {},
        || {
            let stop = Arc::new(AtomicBool::new(false));
            let seen = Arc::clone(&stop);
            let storm = std::thread::spawn(move || {
                let start = Instant::now();
                while start.elapsed() < Duration::from_secs(1) {
                    interrupt_everybody();
                }
                seen.store(true, Ordering::Relaxed);
            });
            run(2, || {
                let echo = |n: usize| {
                    let (a, b) = pair();
                    let stop = Arc::clone(&stop);
                    gopark::go(move || _ = io::copy(&mut &b, &mut &b).unwrap());
                    gopark::spawn(move || {
                        let mut rounds = 0;
                        while !stop.load(Ordering::Relaxed) || rounds < 10 {
                            (&a).write_all(&[n as u8; 100]).unwrap();
                            let mut back = [0; 100];
                            (&a).read_exact(&mut back).unwrap();
                            assert_eq!(back, [n as u8; 100]);
                            rounds += 1;
                        }
                    })
                };
                let pairs: Vec<_> = (0..50).map(echo).collect();
                // Connecting is interrupted in a way of its own.
                let listener = TcpListener::bind(LOCAL).unwrap();
                let addr = listener.local_addr().unwrap();
                while !stop.load(Ordering::Relaxed) {
                    let client = TcpStream::connect(addr).unwrap();
                    listener.accept().unwrap();
                    client.set_linger(Some(Duration::ZERO)).unwrap();
                    let pause = Instant::now();
                    gopark::time::sleep(Duration::from_millis(1));
                    assert!(pause.elapsed() >= Duration::from_millis(1));
                }
                pairs.into_iter().for_each(|one| one.join().unwrap());
            });
            storm.join().unwrap();
        },
    );
}

#[test]
fn everything_reaches_a_slow_reader() {
    for procs in [1, 2] {
        run(procs, || {
            let (a, b) = pair();
            let sent = Arc::new(AtomicUsize::new(0));
            let seen = Arc::clone(&sent);
            let writes = gopark::spawn(move || {
                for n in 0..100_000u32 {
                    (&a).write_all(&[n as u8; 100]).unwrap();
                    seen.fetch_add(100, Ordering::Relaxed);
                }
            });
            let mut received = 0;
            let mut bytes = vec![0; 100_000];
            for n in 0.. {
                let count = (&b).read(&mut bytes).unwrap();
                for (at, byte) in bytes[..count].iter().enumerate() {
                    assert_eq!(*byte, ((received + at) / 100) as u8);
                }
                received += count;
                if count == 0 {
                    break;
                }
                if n < 20 {
                    gopark::time::sleep(Duration::from_millis(2));
                }
            }
            writes.join().unwrap();
            assert_eq!(received, 10_000_000);
        });
    }
}

/// Blocks of odd sizes against a pattern whose length is prime.
#[test]
fn a_gigabyte_arrives_as_it_was_sent() {
    const BYTES: usize = if cfg!(debug_assertions) {
        64 << 20
    } else {
        1 << 30
    };
    let mut state = 1u64;
    let mut random = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    };
    let pattern: Arc<Vec<u8>> = Arc::new((0..1_048_583).map(|_| random()).collect());
    run(2, || {
        let (a, b) = pair();
        let source = Arc::clone(&pattern);
        let writes = gopark::spawn(move || {
            let mut sent = 0;
            while sent < BYTES {
                let at = sent % source.len();
                let block = (source.len() - at).min(77_777).min(BYTES - sent);
                sent += (&a).write(&source[at..at + block]).unwrap();
            }
        });
        let mut received = 0;
        let mut bytes = vec![0; 150_001];
        loop {
            let at = received % pattern.len();
            let room = (pattern.len() - at).min(bytes.len());
            let count = (&b).read(&mut bytes[..room]).unwrap();
            if count == 0 {
                break;
            }
            assert!(
                bytes[..count] == pattern[at..at + count],
                "after {received} bytes"
            );
            received += count;
        }
        writes.join().unwrap();
        assert_eq!(received, BYTES);
    });
}

#[test]
fn who_waits_for_the_network_is_counted_and_can_be_ended() {
    let _watchdog = gopark_tests::Watchdog::start();
    let runtime = runtime(2);
    let (a, b) = pair();
    let waits = || runtime.metrics().network_waiters;
    let reads = runtime.spawn(move || (&b).read(&mut [0]));
    wait_until("it waits", || waits() == 1);
    (&a).write_all(b"x").unwrap();
    assert_eq!(reads.join().unwrap().unwrap(), 1);
    wait_until("it does not", || waits() == 0);
    // The end of the runtime unwinds who waits, and drops the socket.
    let (c, d) = pair();
    drop(runtime.spawn(move || (&d).read(&mut [0])));
    wait_until("another waits", || waits() == 1);
    drop(runtime);
    assert_eq!((&c).read(&mut [0]).unwrap(), 0);
}
