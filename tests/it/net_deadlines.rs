//! Deadlines: what they end, and what becomes of them when they are moved by many.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gopark::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream};
use gopark::time::sleep;
use gopark_tests::{Watchdog, nap, run, runtime, wait_until};

use crate::net_edges::{LOCAL, is_late, pair, twice};
use crate::net_std::fresh_path;

const SHORT: Duration = Duration::from_millis(30);
const HOUR: Duration = Duration::from_secs(3600);
/// What is no longer waited for leaves fewer entries than this.
const FEW: usize = 2000;
const MANY: usize = if cfg!(debug_assertions) {
    100_000
} else {
    1_000_000
};

fn past() -> Option<Instant> {
    Some(Instant::now() - Duration::from_secs(1))
}

/// A while from now.
fn within(time: Duration) -> Option<Instant> {
    Some(Instant::now() + time)
}

#[test]
fn a_past_deadline_fails_although_a_connection_or_a_datagram_is_there() {
    twice(|| {
        let listener = TcpListener::bind(LOCAL).unwrap();
        let addr = listener.local_addr().unwrap();
        let _client = TcpStream::connect(addr).unwrap();
        let path = fresh_path();
        let unix = UnixListener::bind(&path).unwrap();
        let _unix_client = UnixStream::connect(&path).unwrap();
        let receiver = UdpSocket::bind(LOCAL).unwrap();
        let sender = UdpSocket::bind(LOCAL).unwrap();
        let to = receiver.local_addr().unwrap();
        sender.send_to(b"datagram", to).unwrap();
        let (from, into) = UnixDatagram::pair().unwrap();
        from.send(b"datagram").unwrap();
        listener.set_deadline(past()).unwrap();
        unix.set_deadline(past()).unwrap();
        receiver.set_deadline(past()).unwrap();
        into.set_read_deadline(past()).unwrap();
        for _ in 0..3 {
            is_late(listener.accept());
            is_late(unix.accept());
            is_late(receiver.recv_from(&mut [0; 9]));
            is_late(receiver.recv(&mut [0; 9]));
            is_late(receiver.peek_from(&mut [0; 9]));
            is_late(receiver.send_to(b"x", to));
            is_late(into.recv(&mut [0; 9]));
            is_late(into.recv_from(&mut [0; 9]));
        }
        listener.set_deadline(None).unwrap();
        unix.set_deadline(within(HOUR)).unwrap();
        receiver.set_deadline(within(HOUR)).unwrap();
        into.set_deadline(None).unwrap();
        listener.accept().unwrap();
        unix.accept().unwrap();
        assert_eq!(receiver.recv_from(&mut [0; 9]).unwrap().0, 8);
        assert_eq!(into.recv(&mut [0; 9]).unwrap(), 8);
        std::fs::remove_file(path).unwrap();
    });
}

/// What waits for each of these is counted.
fn waiting(runtime: &gopark::runtime::Runtime, count: usize) {
    let waits = || runtime.metrics().network_waiters == count;
    wait_until("they wait for the network", waits);
}

#[test]
fn a_deadline_that_is_cleared_ends_nothing() {
    let _watchdog = Watchdog::start();
    let runtime = runtime(2);
    loop {
        let (a, b) = pair();
        let listener = TcpListener::bind(LOCAL).unwrap();
        let addr = listener.local_addr().unwrap();
        let deadline = within(10 * SHORT);
        let (c, accepter) = (b.try_clone().unwrap(), listener.try_clone().unwrap());
        c.set_deadline(deadline).unwrap();
        listener.set_deadline(deadline).unwrap();
        let reads = runtime.spawn(move || (&c).read(&mut [0]));
        let accepts = runtime.spawn(move || accepter.accept().map(drop));
        let d = b.try_clone().unwrap();
        let writes = runtime.spawn(move || (&d).write_all(&vec![0; 16 << 20]));
        let is_late = || Some(Instant::now()) >= deadline;
        let waits = || runtime.metrics().network_waiters == 3;
        wait_until("they wait for the network", || waits() || is_late());
        b.set_deadline(None).unwrap();
        listener.set_deadline(None).unwrap();
        if is_late() {
            // A busy machine: too late.
            drop((a, b));
            listener.close();
            drop((reads.join(), accepts.join(), writes.join()));
            continue;
        }
        nap(12 * SHORT);
        assert!(!reads.is_finished() && !accepts.is_finished() && !writes.is_finished());
        (&a).write_all(b"x").unwrap();
        TcpStream::connect(addr).unwrap();
        let drains = runtime.spawn(move || io::copy(&mut &a, &mut io::sink()).unwrap());
        assert_eq!(reads.join().unwrap().unwrap(), 1);
        accepts.join().unwrap().unwrap();
        writes.join().unwrap().unwrap();
        b.close();
        assert_eq!(drains.join().unwrap(), 16 << 20);
        return;
    }
}

#[test]
fn a_past_deadline_that_another_goroutine_sets_ends_what_waits() {
    let _watchdog = Watchdog::start();
    let runtime = runtime(2);
    let (a, b) = pair();
    let listener = TcpListener::bind(LOCAL).unwrap();
    let udp = UdpSocket::bind(LOCAL).unwrap();
    b.set_deadline(within(HOUR)).unwrap();
    let (c, d) = (b.try_clone().unwrap(), b.try_clone().unwrap());
    let (accepter, receiver) = (listener.try_clone().unwrap(), udp.try_clone().unwrap());
    let reads = runtime.spawn(move || is_late((&c).read(&mut [0])));
    let writes = runtime.spawn(move || is_late((&d).write_all(&vec![0; 16 << 20])));
    let accepts = runtime.spawn(move || is_late(accepter.accept()));
    let receives = runtime.spawn(move || is_late(receiver.recv_from(&mut [0])));
    waiting(&runtime, 4);
    let sets = runtime.spawn(move || {
        b.set_deadline(past()).unwrap();
        listener.set_deadline(past()).unwrap();
        udp.set_deadline(past()).unwrap();
    });
    for one in [reads, writes, accepts, receives, sets] {
        one.join().unwrap();
    }
    assert_eq!(runtime.metrics().network_waiters, 0);
    drop(a);
}

/// A peer that writes without end: reads succeed until the deadline.
#[test]
fn deadlines_of_all_lengths_come() {
    let nanos = [
        1,
        1_000,
        50_000,
        999_999,
        2_000_000,
        20_000_000,
        150_000_000,
    ];
    for procs in [1, 4] {
        run(procs, || {
            for time in nanos.map(Duration::from_nanos) {
                for _ in 0..3 {
                    let (a, b) = pair();
                    let feeds = gopark::spawn(move || while (&a).write(&[7; 4096]).is_ok() {});
                    let at = Instant::now() + time;
                    b.set_read_deadline(Some(at)).unwrap();
                    let error = io::copy(&mut &b, &mut io::sink()).unwrap_err();
                    assert!(Instant::now() >= at, "{time:?}");
                    is_late::<()>(Err(error));
                    b.set_write_deadline(within(time)).unwrap();
                    is_late((&b).write_all(&vec![0; 16 << 20]));
                    drop(b);
                    feeds.join().unwrap();
                }
            }
        });
    }
}

#[test]
fn deadlines_that_eight_goroutines_set_at_once_are_followed() {
    for procs in [1, 4] {
        run(procs, || {
            let mut peers = Vec::new();
            let mut conns = Vec::new();
            let mut reads = Vec::new();
            for _ in 0..10 {
                let (a, b) = pair();
                let c = b.try_clone().unwrap();
                c.set_read_deadline(within(2 * HOUR)).unwrap();
                reads.push(gopark::spawn(move || {
                    is_late((&c).read(&mut [0]));
                    assert!(c.read_deadline().unwrap().unwrap() <= Instant::now());
                }));
                peers.push(a);
                conns.push(b);
            }
            let (conns, start) = (Arc::new(conns), Instant::now());
            let set = |_| {
                let conns = Arc::clone(&conns);
                gopark::spawn(move || {
                    for n in 0..100u32 {
                        for conn in conns.iter() {
                            // Each is earlier than the one before.
                            let at = start + HOUR - n * Duration::from_secs(30);
                            conn.set_read_deadline(Some(at)).unwrap();
                        }
                    }
                })
            };
            let setters: Vec<_> = (0..8).map(set).collect();
            setters.into_iter().for_each(|one| one.join().unwrap());
            assert!(reads.iter().all(|one| !one.is_finished()));
            conns
                .iter()
                .for_each(|conn| conn.set_read_deadline(within(SHORT)).unwrap());
            reads.into_iter().for_each(|one| one.join().unwrap());
        });
    }
}

/// Data that comes later than the first deadline, but before those that followed.
#[test]
fn a_deadline_can_be_prolonged_while_it_is_waited_for() {
    run(2, || {
        let (a, b) = pair();
        let reader = b.try_clone().unwrap();
        let end = Instant::now() + 8 * SHORT;
        b.set_read_deadline(Some(end)).unwrap();
        let reads = gopark::spawn(move || {
            let mut bytes = 0;
            while (&reader).read_exact(&mut [0]).is_ok() {
                bytes += 1;
                reader.set_read_deadline(within(HOUR)).unwrap();
            }
            bytes
        });
        let late = loop {
            b.set_read_deadline(within(8 * SHORT)).unwrap();
            if Instant::now() > end + 8 * SHORT {
                break reads.is_finished();
            }
            sleep(Duration::from_millis(1));
        };
        b.set_read_deadline(within(HOUR)).unwrap();
        // On a busy machine somebody may have come too late.
        let late = late || reads.is_finished();
        (&a).write_all(b"x").unwrap();
        drop(a);
        let bytes = reads.join().unwrap();
        assert!(bytes == 1 || (late && bytes == 0), "{bytes} bytes, {late}");
    });
}

/// Goal: no byte is lost or doubled by deadlines that come at any moment.
/// Method: deadlines of 2 microseconds, set again and again beside reads and writes of one byte.
#[test]
fn deadlines_that_come_in_the_middle_lose_no_byte() {
    for procs in [1, 4] {
        run(procs, || {
            let (a, b) = pair();
            let stop = Arc::new(AtomicBool::new(false));
            let set = |stream: &TcpStream| {
                let (stream, stop) = (stream.try_clone().unwrap(), Arc::clone(&stop));
                gopark::spawn(move || {
                    for turn in 0.. {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        // Some have passed when the other side looks, some are still to come.
                        let soon = within(Duration::from_nanos(turn * 100 % 2000));
                        stream.set_deadline(soon).unwrap();
                        gopark::yield_now();
                        stream.set_deadline(None).unwrap();
                        gopark::yield_now();
                    }
                })
            };
            let setters = [set(&a), set(&b)];
            let writes = gopark::spawn(move || {
                let (mut n, mut late) = (0, 0);
                while n < 2000u32 {
                    match (&a).write(&[n as u8]) {
                        Ok(1) => n += 1,
                        outcome => {
                            is_late(outcome);
                            late += 1;
                            gopark::yield_now();
                        }
                    }
                }
                late
            });
            let (mut n, mut late) = (0, 0);
            while n < 2000u32 {
                let mut byte = [0];
                match (&b).read(&mut byte) {
                    Ok(count) => {
                        assert_eq!(count, 1);
                        assert_eq!(byte[0], n as u8);
                        n += 1;
                    }
                    outcome => {
                        is_late(outcome);
                        late += 1;
                    }
                }
            }
            late += writes.join().unwrap();
            stop.store(true, Ordering::Relaxed);
            setters.into_iter().for_each(|one| one.join().unwrap());
            b.set_read_timeout(Some(SHORT)).unwrap();
            assert_eq!((&b).read(&mut [0]).unwrap(), 0, "a byte was doubled");
            assert!(late > 0, "no deadline came");
        });
    }
}

#[test]
fn deadlines_that_are_moved_for_ever_leave_no_timers() {
    let _watchdog = Watchdog::start();
    let runtime = runtime(2);
    let (a, b) = pair();
    let c = b.try_clone().unwrap();
    runtime.run(|| {
        for n in 0..MANY {
            let at = within(HOUR + Duration::from_micros((n % 977) as u64));
            b.set_deadline(at).unwrap();
        }
        assert!(runtime.metrics().timers < FEW);
        // While somebody waits, who follows.
        let reads = gopark::spawn(move || (&c).read(&mut [0]));
        waiting(&runtime, 1);
        for n in 0..MANY / 10 {
            let at = within(HOUR + Duration::from_micros((n % 977) as u64));
            b.set_read_deadline(at).unwrap();
            if n % 100 == 0 {
                gopark::yield_now();
            }
        }
        let left = runtime.metrics().timers;
        assert!(left < FEW, "{left} timers are left");
        assert!(!reads.is_finished());
        (&a).write_all(b"x").unwrap();
        assert_eq!(reads.join().unwrap().unwrap(), 1);
        // Waits that data ends, each with a deadline.
        let turns = MANY / 50;
        b.set_deadline(within(HOUR)).unwrap();
        let echoes = gopark::spawn(move || {
            let mut byte = [0];
            while (&a).read(&mut byte).unwrap() > 0 {
                (&a).write_all(&byte).unwrap();
            }
        });
        for _ in 0..turns {
            (&b).write_all(b"x").unwrap();
            (&b).read_exact(&mut [0]).unwrap();
        }
        let left = runtime.metrics().timers;
        assert!(left < FEW, "{left} timers are left of {turns} waits");
        b.close();
        echoes.join().unwrap();
    });
    assert_eq!(runtime.metrics().network_waiters, 0);
}

/// Timeouts count anew for each operation; each comes, and none early.
#[test]
fn timeouts_of_a_hundred_sockets_come() {
    for procs in [1, 4] {
        run(procs, || {
            let late = Arc::new(AtomicUsize::new(0));
            let waits = |n: u64| {
                let late = Arc::clone(&late);
                gopark::spawn(move || {
                    let socket = UdpSocket::bind(LOCAL).unwrap();
                    let time = Duration::from_micros(1 + n * 7919 % 20_000);
                    socket.set_read_timeout(Some(time)).unwrap();
                    for _ in 0..5 {
                        let start = Instant::now();
                        let error = socket.recv(&mut [0]).unwrap_err();
                        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                        assert!(start.elapsed() >= time);
                        late.fetch_add(1, Ordering::Relaxed);
                    }
                })
            };
            let all: Vec<_> = (0..100).map(waits).collect();
            all.into_iter().for_each(|one| one.join().unwrap());
            assert_eq!(late.load(Ordering::Relaxed), 500);
        });
    }
}
