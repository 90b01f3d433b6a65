//! What Linux's queue does beyond the portable one: signals, hang-ups, old kernels.
#![expect(unsafe_code, reason = "installs a signal handler and sends signals")]

use std::io::{Read, Write};
use std::mem::MaybeUninit;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::os::unix::thread::JoinHandleExt;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use super::*;

const NEVER: Duration = Duration::from_secs(30);

fn key() -> Key {
    Key::new(1, 0)
}

/// The readiness of the only event of the next wait.
fn next(queue: &Queue) -> Readiness {
    let mut batch = Batch::new();
    queue.wait(&mut batch, Some(NEVER)).unwrap();
    let events: Vec<_> = batch.iter().collect();
    assert_eq!(events.len(), 1, "{events:?}");
    events[0].1
}

extern "C" fn nothing(_: libc::c_int) {}

/// A handler that does nothing, and asks for system calls to go on, which this one does not.
fn install_handler() {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: zeros are a valid action: the default one, without flags, with an empty mask.
    let action = unsafe { action.assume_init_mut() };
    action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as usize;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: the action is valid, its handler does nothing; the old one is not asked for.
    let outcome = unsafe { libc::sigaction(libc::SIGUSR1, action, ptr::null_mut()) };
    assert_eq!(outcome, 0);
}

#[test]
fn a_signal_ends_a_wait_without_events() {
    install_handler();
    for timeout in [None, Some(NEVER)] {
        let queue = Arc::new(Queue::new().unwrap());
        let waiter = Arc::clone(&queue);
        let waiting = thread::spawn(move || {
            let mut batch = Batch::new();
            waiter.wait(&mut batch, timeout).unwrap();
            batch.iter().count() == 0 && !batch.was_notified()
        });
        let thread = waiting.as_pthread_t();
        // Until one comes while the thread is inside the call.
        while !waiting.is_finished() {
            // SAFETY: the thread is not joined, so its number is its own.
            unsafe { libc::pthread_kill(thread, libc::SIGUSR1) };
            thread::yield_now();
        }
        assert!(waiting.join().unwrap());
    }
}

#[test]
fn a_kernel_without_nanoseconds_rounds_up() {
    let queue = Queue::new().unwrap();
    queue.is_old.store(true, Ordering::Relaxed);
    let mut batch = Batch::new();
    for microseconds in [1, 50, 1001, 5000] {
        let timeout = Duration::from_micros(microseconds);
        let begin = Instant::now();
        queue.wait(&mut batch, Some(timeout)).unwrap();
        assert!(begin.elapsed() >= timeout, "{timeout:?}");
    }
    queue.notify().unwrap();
    queue.wait(&mut batch, Some(Duration::MAX)).unwrap();
    assert!(batch.was_notified());
}

#[test]
fn milliseconds_are_rounded_up_and_bounded() {
    let parts = |timeout| {
        let rounded = whole_milliseconds(timeout);
        (rounded.tv_sec, rounded.tv_nsec)
    };
    assert_eq!(parts(Duration::ZERO), (0, 0));
    assert_eq!(parts(Duration::from_nanos(1)), (0, 1_000_000));
    assert_eq!(parts(Duration::from_millis(1500)), (1, 500_000_000));
    let most = (i32::MAX as i64 / 1000, 647_000_000);
    assert_eq!(parts(Duration::MAX), most);
}

#[test]
fn a_counter_that_is_full_is_emptied() {
    let queue = Queue::new().unwrap();
    let full = (u64::MAX - 1).to_ne_bytes();
    rustix::io::write(&queue.notifier, &full).unwrap();
    let mut batch = Batch::new();
    queue.wait(&mut batch, Some(NEVER)).unwrap();
    assert!(batch.was_notified());
    queue.notify().unwrap();
    queue.wait(&mut batch, Some(NEVER)).unwrap();
    assert!(batch.was_notified());
}

#[test]
fn the_end_of_one_direction_is_a_hang_up_and_the_other_goes_on() {
    let queue = Queue::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut there = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut here, _) = listener.accept().unwrap();
    queue.add(here.as_fd(), key()).unwrap();
    let idle = Readiness {
        readable: false,
        writable: true,
        hup: false,
    };
    assert_eq!(next(&queue), idle);

    there.write_all(b"last words").unwrap();
    there.shutdown(Shutdown::Write).unwrap();
    // Data and end may come as two edges.
    let ended = Readiness {
        readable: true,
        writable: true,
        hup: true,
    };
    while next(&queue) != ended {}
    let mut text = String::new();
    here.read_to_string(&mut text).unwrap();
    assert_eq!(text, "last words");
    here.write_all(b"x").unwrap();
    there.read_exact(&mut [0]).unwrap();
}

#[test]
fn urgent_data_are_readable_and_reads_stop_there() {
    let queue = Queue::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let there = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (here, _) = listener.accept().unwrap();
    queue.add(here.as_fd(), key()).unwrap();
    assert!(!next(&queue).hup);
    // SAFETY: the descriptor is open, and the one byte is there to be read.
    let sent = unsafe { libc::send(there.as_raw_fd(), [0_u8].as_ptr().cast(), 1, libc::MSG_OOB) };
    assert_eq!(sent, 1);
    let readiness = next(&queue);
    assert!(readiness.readable && readiness.hup);
}

#[test]
fn the_queue_of_polling_stays_silent() {
    let queue = Queue::new().unwrap();
    let (here, _there) = UnixStream::pair().unwrap();
    queue.add(here.as_fd(), key()).unwrap();
    assert!(next(&queue).writable);
    queue.delete(here.as_fd()).unwrap();
    let mut batch = Batch::new();
    let soon = Some(Duration::from_millis(5));
    queue.wait(&mut batch, soon).unwrap();
    assert!(batch.iter().count() == 0 && !batch.was_notified());
}
