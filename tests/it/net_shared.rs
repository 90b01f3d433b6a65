//! Sockets that many use at once: goroutines, threads, runtimes, and those who close them.

use std::io::{self, ErrorKind, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gopark::net::{Shutdown, TcpListener, TcpStream, UdpSocket, UnixDatagram};
use gopark::runtime::Runtime;
use gopark::time::timeout;
use gopark_tests::{Watchdog, run, runtime, wait_until};

use crate::net_edges::{LOCAL, is_closed, pair};

fn waiting(runtime: &Runtime, count: usize) {
    let waits = || runtime.metrics().network_waiters == count;
    wait_until("they wait for the network", waits);
}

#[test]
fn close_wakes_everybody_who_waits() {
    let _watchdog = Watchdog::start();
    for procs in [1, 4] {
        let runtime = runtime(procs);
        let (tcp, _peer) = pair();
        let (datagram, _datagram_peer) = UnixDatagram::pair().unwrap();
        let listener = TcpListener::bind(LOCAL).unwrap();
        let udp = UdpSocket::bind(LOCAL).unwrap();
        let mut all = Vec::new();
        for _ in 0..5 {
            let one = tcp.try_clone().unwrap();
            all.push(runtime.spawn(move || is_closed((&one).read(&mut [0]))));
            let one = tcp.try_clone().unwrap();
            all.push(runtime.spawn(move || is_closed((&one).write_all(&vec![0; 16 << 20]))));
            let one = listener.try_clone().unwrap();
            all.push(runtime.spawn(move || is_closed(one.accept())));
            let one = udp.try_clone().unwrap();
            all.push(runtime.spawn(move || is_closed(one.recv_from(&mut [0]))));
            let one = datagram.try_clone().unwrap();
            all.push(runtime.spawn(move || is_closed(one.recv(&mut [0]))));
        }
        waiting(&runtime, 25);
        runtime.run(|| {
            tcp.close();
            listener.close();
            udp.close();
            datagram.close();
        });
        all.into_iter().for_each(|one| one.join().unwrap());
        assert_eq!(runtime.metrics().network_waiters, 0);
    }
}

#[test]
fn an_address_whose_listener_was_closed_is_free() {
    run(2, || {
        let listener = TcpListener::bind(LOCAL).unwrap();
        let addr = listener.local_addr().unwrap();
        let accepter = listener.try_clone().unwrap();
        let accepts = gopark::spawn(move || {
            while accepter.accept().is_ok() {}
            is_closed(accepter.accept());
        });
        TcpStream::connect(addr).unwrap();
        listener.close();
        let error = TcpStream::connect(addr).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        accepts.join().unwrap();
        drop(listener);
        let again = TcpListener::bind(addr).unwrap();
        TcpStream::connect(addr).unwrap();
        again.accept().unwrap();
    });
}

/// A connect that nobody answers has no handle to close: a limit ends it.
#[test]
fn a_limit_ends_what_connects() {
    run(2, || {
        let listener = TcpListener::bind(LOCAL).unwrap();
        let addr = listener.local_addr().unwrap();
        let mut clients = Vec::new();
        let connect = || timeout(Duration::from_millis(300), || TcpStream::connect(addr));
        while let Ok(client) = connect() {
            clients.push(client.unwrap());
            assert!(clients.len() < 100_000, "the queue has no end");
        }
        // It goes on as soon as there is room.
        let late = gopark::spawn(move || TcpStream::connect(addr));
        for _ in 0..clients.len() {
            listener.accept().unwrap();
        }
        late.join().unwrap().unwrap();
    });
}

#[test]
fn close_at_any_moment_ends_a_conversation() {
    for procs in [1, 4] {
        run(procs, || {
            let talk = |n: u64| {
                let (a, b) = pair();
                let (c, d) = (a.try_clone().unwrap(), b.try_clone().unwrap());
                let talks = [
                    gopark::spawn(move || while (&a).write(&[0; 20_000]).is_ok() {}),
                    gopark::spawn(move || while matches!((&b).read(&mut [0; 9_000]), Ok(1..)) {}),
                ];
                gopark::spawn(move || {
                    gopark::time::sleep(Duration::from_micros(n * 7919 % 2000));
                    let closed = if n.is_multiple_of(2) { c } else { d };
                    closed.close();
                    is_closed(closed.peek(&mut [0]));
                    // A peer that waits for room is told when the last handle goes.
                    drop(closed);
                    talks.into_iter().for_each(|one| one.join().unwrap());
                })
            };
            let all: Vec<_> = (0..100).map(talk).collect();
            all.into_iter().for_each(|one| one.join().unwrap());
        });
    }
}

#[test]
fn many_accept_on_one_listener_and_each_connection_comes_once() {
    const CONNECTIONS: usize = 400;
    for procs in [1, 4] {
        run(procs, || {
            let listener = TcpListener::bind(LOCAL).unwrap();
            let addr = listener.local_addr().unwrap();
            let seen = Arc::new(Mutex::new(Vec::new()));
            let accept = |_| {
                let (listener, seen) = (listener.try_clone().unwrap(), Arc::clone(&seen));
                gopark::spawn(move || {
                    while let Ok((peer, _)) = listener.accept() {
                        let mut number = [0; 8];
                        (&peer).read_exact(&mut number).unwrap();
                        seen.lock().unwrap().push(usize::from_ne_bytes(number));
                        (&peer).write_all(b"x").unwrap();
                    }
                    is_closed(listener.accept());
                })
            };
            let accepters: Vec<_> = (0..8).map(accept).collect();
            let connect = |n: usize| {
                gopark::spawn(move || {
                    for n in (n..CONNECTIONS).step_by(20) {
                        let client = TcpStream::connect(addr).unwrap();
                        (&client).write_all(&n.to_ne_bytes()).unwrap();
                        (&client).read_exact(&mut [0]).unwrap();
                    }
                })
            };
            let clients: Vec<_> = (0..20).map(connect).collect();
            clients.into_iter().for_each(|one| one.join().unwrap());
            listener.close();
            accepters.into_iter().for_each(|one| one.join().unwrap());
            let mut seen = seen.lock().unwrap();
            seen.sort_unstable();
            assert!(seen.iter().copied().eq(0..CONNECTIONS), "{}", seen.len());
        });
    }
}

/// Receives until the empty datagram.
fn receive(socket: &UnixDatagram) -> Vec<u32> {
    let mut seen = Vec::new();
    loop {
        let mut number = [0; 4];
        if socket.recv(&mut number).unwrap() == 0 {
            return seen;
        }
        seen.push(u32::from_ne_bytes(number));
    }
}

/// Sends all numbers, and an empty datagram to each receiver.
fn send(socket: &UnixDatagram, count: u32, receivers: usize) {
    for n in 0..count {
        assert_eq!(socket.send(&n.to_ne_bytes()).unwrap(), 4);
        if n % 16 == 0 {
            gopark::yield_now();
        }
    }
    for _ in 0..receivers {
        socket.send(&[]).unwrap();
    }
}

fn each_once(mut seen: Vec<u32>, count: u32) {
    seen.sort_unstable();
    assert!(
        seen.iter().copied().eq(0..count),
        "{} of {count}",
        seen.len()
    );
}

#[test]
fn many_read_one_socket_and_each_datagram_comes_once() {
    for procs in [1, 4] {
        run(procs, || {
            let (from, into) = UnixDatagram::pair().unwrap();
            let receives = |_| {
                let into = into.try_clone().unwrap();
                gopark::spawn(move || receive(&into))
            };
            let receivers: Vec<_> = (0..20).map(receives).collect();
            send(&from, 20_000, 20);
            let seen = receivers.into_iter().map(|one| one.join().unwrap());
            each_once(seen.flatten().collect(), 20_000);
        });
    }
}

#[test]
fn goroutines_of_two_runtimes_and_threads_share_a_socket() {
    let _watchdog = Watchdog::start();
    let (from, into) = UnixDatagram::pair().unwrap();
    let runtimes = [runtime(1), runtime(2)];
    let clone = || into.try_clone().unwrap();
    let goroutines: Vec<_> = (0..6)
        .map(|n| {
            let into = clone();
            runtimes[n % 2].spawn(move || receive(&into))
        })
        .collect();
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let into = clone();
            std::thread::spawn(move || receive(&into))
        })
        .collect();
    runtimes[1].run(|| send(&from, 10_000, 9));
    let mut seen = Vec::new();
    for one in goroutines {
        seen.extend(one.join().unwrap());
    }
    for one in threads {
        seen.extend(one.join().unwrap());
    }
    each_once(seen, 10_000);
}

#[test]
fn one_half_reads_while_the_other_writes() {
    for procs in [1, 2] {
        run(procs, || {
            let (a, b) = pair();
            let peers = [a, b].map(|stream| {
                let reader = stream.try_clone().unwrap();
                let writes = gopark::spawn(move || {
                    for n in 0..2000u32 {
                        (&stream).write_all(&n.to_ne_bytes().repeat(100)).unwrap();
                    }
                    stream.shutdown(Shutdown::Write).unwrap();
                });
                let reads = gopark::spawn(move || {
                    let mut bytes = Vec::new();
                    (&reader).read_to_end(&mut bytes).unwrap();
                    bytes
                });
                (writes, reads)
            });
            for (writes, reads) in peers {
                writes.join().unwrap();
                let bytes = reads.join().unwrap();
                assert_eq!(bytes.len(), 800_000);
                for (n, block) in bytes.chunks(400).enumerate() {
                    assert_eq!(block, (n as u32).to_ne_bytes().repeat(100));
                }
            }
        });
    }
}

/// Waits in the runtime that runs this, in vain and then for a byte.
fn waits_for_a_byte(a: &TcpStream, b: &TcpStream) {
    b.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    let error = (&*b).read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    b.set_read_timeout(None).unwrap();
    let writer = a.try_clone().unwrap();
    let writes = gopark::spawn(move || (&writer).write_all(b"x").unwrap());
    (&*b).read_exact(&mut [0]).unwrap();
    writes.join().unwrap();
}

#[test]
fn a_socket_outlives_the_runtimes_that_used_it() {
    let _watchdog = Watchdog::start();
    let (a, b) = pair();
    for procs in [1, 2, 1, 4] {
        let runtime = runtime(procs);
        for _ in 0..3 {
            runtime.run(|| waits_for_a_byte(&a, &b));
        }
        drop(runtime);
        // On a thread meanwhile.
        (&b).write_all(b"y").unwrap();
        (&a).read_exact(&mut [0]).unwrap();
    }
}

#[test]
fn who_waits_stays_when_the_runtime_that_waited_first_ends() {
    let _watchdog = Watchdog::start();
    for round in 0..20 {
        let (a, b) = pair();
        let first = runtime(1 + round % 2);
        let second = runtime(1);
        first.run(|| waits_for_a_byte(&a, &b));
        let c = b.try_clone().unwrap();
        let reads = second.spawn(move || {
            let mut bytes = [0; 2];
            (&c).read_exact(&mut bytes).map(|()| bytes)
        });
        let d = b.try_clone().unwrap();
        let ended = first.spawn(move || (&d).read(&mut [0]));
        waiting(&second, 1);
        wait_until("both wait", || first.metrics().network_waiters == 2);
        drop(first);
        let ended = catch_unwind(AssertUnwindSafe(|| ended.join())).unwrap();
        assert!(ended.unwrap_err().is::<gopark::Cancelled>());
        assert!(!reads.is_finished());
        (&a).write_all(b"1").unwrap();
        (&a).write_all(b"2").unwrap();
        assert_eq!(reads.join().unwrap().unwrap(), *b"12");
    }
}

/// Runtimes come and go while others wait for the same socket.
#[test]
fn a_socket_serves_runtimes_that_come_and_go() {
    let _watchdog = Watchdog::start();
    let (from, into) = UnixDatagram::pair().unwrap();
    let lasting = runtime(2);
    let got = Arc::new(AtomicUsize::new(0));
    let receives = {
        let (into, got) = (into.try_clone().unwrap(), Arc::clone(&got));
        lasting.spawn(move || {
            while into.recv(&mut [0; 4]).unwrap() > 0 {
                got.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let mut sent = 0;
    for round in 0..30 {
        let passing = runtime(1);
        let (clone, seen) = (into.try_clone().unwrap(), Arc::clone(&got));
        drop(passing.spawn(move || -> io::Result<()> {
            loop {
                clone.recv(&mut [0; 4])?;
                seen.fetch_add(1, Ordering::Relaxed);
            }
        }));
        for _ in 0..20 {
            from.send(b"data").unwrap();
            sent += 1;
        }
        if round % 2 == 0 {
            wait_until("all came", || got.load(Ordering::Relaxed) == sent);
        }
        drop(passing);
        wait_until("all came", || got.load(Ordering::Relaxed) == sent);
    }
    from.send(&[]).unwrap();
    receives.join().unwrap();
}
