//! Many sockets, and sockets beside goroutines that want the Ps for themselves.

#![expect(unsafe_code, reason = "raises the limit of descriptors")]

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use gopark::goroutine::Goroutine;
use gopark::net::{Pollable, TcpListener, TcpStream};
use gopark::runtime::Builder;
use gopark_tests::{Watchdog, build, run, spin, wait_until};

use crate::net_edges::LOCAL;

/// Raises the limit as far as it goes: how many descriptors the process may have.
fn descriptors_max() -> usize {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the kernel writes where it may.
    let got = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: reads a limit, and raises it.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    assert_eq!((got, set), (0, 0));
    usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX)
}

/// A server that gives back what it gets, until its listener is closed.
fn echo_server() -> TcpListener {
    let listener = TcpListener::bind(LOCAL).unwrap();
    let accepter = listener.try_clone().unwrap();
    gopark::go(move || {
        while let Ok((peer, _)) = accepter.accept() {
            gopark::go(move || drop(io::copy(&mut &peer, &mut &peer)));
        }
    });
    listener
}

/// One question and its answer.
fn ask(stream: &TcpStream, number: usize) {
    let question = number.to_ne_bytes();
    (&*stream).write_all(&question).unwrap();
    let mut answer = [0; 8];
    (&*stream).read_exact(&mut answer).unwrap();
    assert_eq!(answer, question);
}

#[test]
fn a_thousand_connections_are_served() {
    let connections = descriptors_max().saturating_sub(500).min(2000) / 2;
    assert!(connections >= 100, "too few descriptors");
    for procs in [1, 2] {
        run(procs, || {
            let listener = echo_server();
            let addr = listener.local_addr().unwrap();
            let connected = Arc::new(AtomicUsize::new(0));
            let client = |n: usize| {
                let connected = Arc::clone(&connected);
                gopark::spawn(move || {
                    let stream = TcpStream::connect(addr).unwrap();
                    ask(&stream, n);
                    connected.fetch_add(1, Ordering::Relaxed);
                    // All at a time.
                    gopark::park();
                    for round in 0..10 {
                        ask(&stream, n * round);
                    }
                })
            };
            let clients: Vec<_> = (0..connections).map(client).collect();
            wait_until("all are connected", || {
                connected.load(Ordering::Relaxed) == connections
            });
            for client in &clients {
                client.goroutine().unpark();
            }
            clients.into_iter().for_each(|one| one.join().unwrap());
            listener.close();
        });
    }
}

/// Half of the answers come within a few of the hogs' turns, though the hogs never leave a P idle.
#[test]
fn sockets_are_served_beside_goroutines_that_yield() {
    for procs in [1, 2] {
        let mut times = run(procs, || {
            let stop = Arc::new(AtomicBool::new(false));
            let hog = |_| {
                let stop = Arc::clone(&stop);
                gopark::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        spin(Duration::from_micros(100));
                        gopark::yield_now();
                    }
                })
            };
            let hogs: Vec<_> = (0..2 * procs).map(hog).collect();
            let listener = echo_server();
            let addr = listener.local_addr().unwrap();
            // The client is a thread, and has no part in the scheduling.
            let client = std::thread::spawn(move || {
                let stream = TcpStream::connect(addr).unwrap();
                let time = |n| {
                    let start = Instant::now();
                    ask(&stream, n);
                    start.elapsed()
                };
                (0..101).map(time).collect::<Vec<_>>()
            });
            let times = gopark::blocking(|| client.join().unwrap());
            stop.store(true, Ordering::Relaxed);
            hogs.into_iter().for_each(|hog| hog.join().unwrap());
            listener.close();
            times
        });
        times.sort_unstable();
        let median = times[times.len() / 2];
        assert!(median < Duration::from_millis(20), "{median:?} on {procs}");
    }
}

#[test]
fn sockets_are_served_beside_a_goroutine_that_never_yields() {
    run(1, || {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let listener = echo_server();
        let addr = listener.local_addr().unwrap();
        let hog = gopark::spawn(move || while !seen.load(Ordering::Relaxed) {});
        let stream = TcpStream::connect(addr).unwrap();
        for n in 0..20 {
            ask(&stream, n);
        }
        stop.store(true, Ordering::Relaxed);
        hog.join().unwrap();
        listener.close();
    });
}

#[test]
fn sockets_are_served_while_ps_come_and_go() {
    run(4, || {
        let listener = echo_server();
        let addr = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let client = |n: usize| {
            let stop = Arc::clone(&stop);
            gopark::spawn(move || {
                let mut answers = 0;
                while !stop.load(Ordering::Relaxed) {
                    let stream = TcpStream::connect(addr).unwrap();
                    stream.set_linger(Some(Duration::ZERO)).unwrap();
                    for round in 0..20 {
                        ask(&stream, n * round);
                        answers += 1;
                    }
                    if n.is_multiple_of(3) {
                        gopark::time::sleep(Duration::from_micros(n as u64 * 50));
                    }
                }
                answers
            })
        };
        let clients: Vec<_> = (0..30).map(client).collect();
        for procs in [1, 4, 2, 8, 1, 3].into_iter().cycle().take(60) {
            gopark::set_procs(procs);
            gopark::time::sleep(Duration::from_millis(5));
        }
        stop.store(true, Ordering::Relaxed);
        assert!(clients.into_iter().all(|one| one.join().unwrap() > 0));
        listener.close();
    });
}

#[test]
fn goroutines_that_wait_for_pipes_take_no_threads() {
    const PIPES: usize = 100;
    let _watchdog = Watchdog::start();
    let runtime = build(Builder::new().procs(2).max_threads(50));
    let (mut writers, mut readers) = (Vec::new(), Vec::new());
    for n in 0..PIPES {
        let (reader, writer) = io::pipe().unwrap();
        let mut reader = Pollable::new(reader).unwrap();
        readers.push(runtime.spawn(move || {
            let mut byte = [0];
            reader.read_exact(&mut byte).unwrap();
            assert_eq!(usize::from(byte[0]), n);
            assert_eq!(reader.read(&mut byte).unwrap(), 0);
        }));
        writers.push(writer);
    }
    wait_until("all wait", || runtime.metrics().network_waiters == PIPES);
    let threads = runtime.metrics().threads;
    assert!(threads <= 10, "{threads} threads");
    for (n, writer) in writers.iter_mut().enumerate() {
        writer.write_all(&[n as u8]).unwrap();
    }
    drop(writers);
    readers.into_iter().for_each(|one| one.join().unwrap());
    let threads = runtime.metrics().threads;
    assert!(threads <= 10, "{threads} threads");
}

/// Wakes a goroutine that runs a task.
struct Unparks(Goroutine, AtomicUsize);

impl Wake for Unparks {
    fn wake(self: Arc<Self>) {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.unpark();
    }
}

/// Runs a task on the calling goroutine.
fn block_on<T>(waker: &Waker, mut task: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    let mut context = Context::from_waker(waker);
    loop {
        match task(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => gopark::park(),
        }
    }
}

#[test]
fn tasks_are_woken_by_their_wakers() {
    const BYTES: usize = 1 << 20;
    for procs in [1, 2] {
        run(procs, || {
            let (reader, writer) = io::pipe().unwrap();
            let reader = Pollable::new(reader).unwrap();
            let writer = Pollable::new(writer).unwrap();
            let writes = gopark::spawn(move || {
                let unparks = Arc::new(Unparks(gopark::current(), AtomicUsize::new(0)));
                let waker = Waker::from(Arc::clone(&unparks));
                let block: Vec<u8> = (0..=250).collect();
                let mut sent = 0;
                while sent < BYTES {
                    let rest = &block[sent % 251..];
                    let rest = &rest[..rest.len().min(BYTES - sent)];
                    let write = |mut pipe: &io::PipeWriter| pipe.write(rest);
                    sent += block_on(&waker, |cx| writer.poll_write_with(cx, write)).unwrap();
                }
                unparks.1.load(Ordering::Relaxed)
            });
            let unparks = Arc::new(Unparks(gopark::current(), AtomicUsize::new(0)));
            let waker = Waker::from(Arc::clone(&unparks));
            let mut received = 0;
            loop {
                let mut bytes = [0; 5000];
                let read = |mut pipe: &io::PipeReader| pipe.read(&mut bytes);
                let read = task_of(&reader, read);
                let count = block_on(&waker, read).unwrap();
                if count == 0 {
                    break;
                }
                for (at, byte) in bytes[..count].iter().enumerate() {
                    assert_eq!(usize::from(*byte), (received + at) % 251);
                }
                received += count;
            }
            let wakes = writes.join().unwrap() + unparks.1.load(Ordering::Relaxed);
            assert_eq!(received, BYTES);
            assert!(wakes > 0, "no waker was called");
        });
    }
}

/// A task that reads once.
fn task_of<'a>(
    reader: &'a Pollable<io::PipeReader>,
    mut read: impl FnMut(&io::PipeReader) -> io::Result<usize> + 'a,
) -> impl FnMut(&mut Context<'_>) -> Poll<io::Result<usize>> + 'a {
    move |context| reader.poll_read_with(context, &mut read)
}

/// What becomes ready comes behind those who wait already, also where there are more of them than a
/// local queue takes well.
#[test]
fn connections_under_full_load_take_turns() {
    const EACH: usize = 25;
    let crowd = descriptors_max().saturating_sub(500).min(1600) / 2;
    assert!(crowd >= 100, "too few descriptors");
    run(1, move || {
        let listener = echo_server();
        let addr = listener.local_addr().unwrap();
        let left = Arc::new(AtomicUsize::new(crowd * EACH));
        let connect = |_| TcpStream::connect(addr).unwrap();
        let streams: Vec<_> = (0..crowd).map(connect).collect();
        let client = |(number, stream)| {
            let left = Arc::clone(&left);
            gopark::spawn(move || {
                let mut asked = 0;
                let one_less = |n: usize| n.checked_sub(1);
                while left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
                    .is_ok()
                {
                    ask(&stream, number);
                    asked += 1;
                }
                asked
            })
        };
        let clients: Vec<_> = streams.into_iter().enumerate().map(client).collect();
        let asked: Vec<usize> = clients.into_iter().map(|c| c.join().unwrap()).collect();
        let least = asked.iter().min().unwrap();
        assert!(
            *least >= EACH / 3,
            "one of {crowd} was answered {least} times: {asked:?}"
        );
    });
}
