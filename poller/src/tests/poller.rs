//! Waits over real sockets.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Instant;

use super::*;

const SOON: Duration = Duration::from_millis(20);
const NEVER: Duration = Duration::from_secs(30);

fn key(slot: u32) -> Key {
    Key::new(slot, 0)
}

fn pair() -> (UnixStream, UnixStream) {
    let (here, there) = UnixStream::pair().unwrap();
    here.set_nonblocking(true).unwrap();
    (here, there)
}

/// The only event of the next wait.
fn next(poller: &Poller, events: &mut Events) -> (Key, Readiness) {
    poller.wait(events, Some(NEVER)).unwrap();
    let reported: Vec<_> = events.iter().collect();
    assert_eq!(reported.len(), 1, "{events:?}");
    reported[0]
}

#[test]
fn both_directions_are_reported_by_one_registration() {
    let poller = Poller::new().unwrap();
    let (here, mut there) = pair();
    let here = poller.register(here, key(1)).unwrap();
    let mut events = Events::new();

    let (reported, readiness) = next(&poller, &mut events);
    assert_eq!(reported, here.key());
    assert!(readiness.writable && !readiness.readable);
    assert!(!events.was_notified());

    there.write_all(b"x").unwrap();
    let (_, readiness) = next(&poller, &mut events);
    assert!(readiness.readable);
}

#[test]
fn an_edge_is_reported_once() {
    let poller = Poller::new().unwrap();
    let (here, mut there) = pair();
    let here = poller.register(here, key(1)).unwrap();
    let mut events = Events::new();
    there.write_all(b"x").unwrap();
    assert!(next(&poller, &mut events).1.readable);

    poller.wait(&mut events, Some(SOON)).unwrap();
    assert!(events.is_empty(), "unread data is not reported again");

    here.get_ref().read_exact(&mut [0]).unwrap();
    there.write_all(b"y").unwrap();
    assert!(next(&poller, &mut events).1.readable, "new data is");
}

#[test]
fn the_end_of_the_peer_makes_both_directions_ready() {
    let poller = Poller::new().unwrap();
    let (here, there) = pair();
    let _here = poller.register(here, key(1)).unwrap();
    drop(there);
    let expected = Readiness {
        readable: true,
        writable: true,
        hup: true,
    };
    assert_eq!(next(&poller, &mut Events::new()), (key(1), expected));
}

#[test]
fn a_timeout_ends_a_wait_without_events_and_not_early() {
    let poller = Poller::new().unwrap();
    let mut events = Events::new();
    for microseconds in [0, 1, 50, 999, 1000, 1001, 20_000] {
        let timeout = Duration::from_micros(microseconds);
        for _ in 0..5 {
            let begin = Instant::now();
            poller.wait(&mut events, Some(timeout)).unwrap();
            let elapsed = begin.elapsed();
            assert!(elapsed >= timeout, "{elapsed:?} instead of {timeout:?}");
            assert!(events.is_empty() && !events.was_notified());
        }
    }
}

#[test]
fn the_longest_timeout_is_no_error() {
    let poller = Poller::new().unwrap();
    poller.notify().unwrap();
    let mut events = Events::new();
    poller.wait(&mut events, Some(Duration::MAX)).unwrap();
    assert!(events.was_notified());
}

#[test]
fn notify_wakes_a_wait_of_another_thread() {
    let poller = Poller::new().unwrap();
    let waiter = poller.clone();
    let waiting = thread::spawn(move || {
        let mut events = Events::new();
        waiter.wait(&mut events, None).unwrap();
        (events.was_notified(), events.is_empty())
    });
    poller.notify().unwrap();
    assert_eq!(waiting.join().unwrap(), (true, true));
}

#[test]
fn a_notify_before_the_wait_is_kept() {
    let poller = Poller::new().unwrap();
    let mut events = Events::new();
    for _ in 0..3 {
        poller.notify().unwrap();
        poller.notify().unwrap();
        poller.wait(&mut events, None).unwrap();
        assert!(events.was_notified());
        let begin = Instant::now();
        poller.wait(&mut events, Some(SOON)).unwrap();
        assert!(begin.elapsed() >= SOON, "two notifications end one wait");
        assert!(!events.was_notified());
    }
}

#[test]
fn a_notification_comes_along_with_events() {
    let poller = Poller::new().unwrap();
    let (here, _there) = pair();
    let _here = poller.register(here, key(1)).unwrap();
    poller.notify().unwrap();
    let mut events = Events::new();
    assert_eq!(next(&poller, &mut events).0, key(1));
    assert!(events.was_notified());
}

#[test]
fn more_events_than_a_batch_holds_are_reported_by_the_next_wait() {
    let poller = Poller::new().unwrap();
    let sources: Vec<_> = (0..300)
        .map(|slot| {
            let (here, there) = pair();
            (poller.register(here, key(slot)).unwrap(), there)
        })
        .collect();
    let mut events = Events::new();
    let mut keys = Vec::new();
    while keys.len() < sources.len() {
        poller.wait(&mut events, Some(NEVER)).unwrap();
        let before = keys.len();
        keys.extend(events.iter().map(|(key, _)| key.slot()));
        assert!((1..=256).contains(&(keys.len() - before)), "{events:?}");
    }
    keys.sort_unstable();
    assert!(keys.into_iter().eq(0..300));
}

#[test]
fn a_second_waiter_is_refused() {
    let poller = Poller::new().unwrap();
    let _first = poller.shared.waiting.lock().unwrap();
    let refused = poller
        .wait(&mut Events::new(), Some(NEVER))
        .expect_err("one waits already");
    assert_eq!(refused.kind(), io::ErrorKind::ResourceBusy);
}
