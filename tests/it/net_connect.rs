//! Connecting to a Unix listener whose queue is full: it waits, and its wait can be ended.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gopark::Cancelled;
use gopark::net::{BindOptions, UnixListener, UnixStream};
use gopark::time::timeout;
use gopark_tests::{Counted, Watchdog, run, runtime, wait_until};

use crate::net_std::fresh_path;

const SHORT: Duration = Duration::from_millis(50);

/// A listener whose queue is full, with what fills it.
fn full(path: &Path) -> (UnixListener, Vec<UnixStream>) {
    let options = BindOptions::new().backlog(1);
    let listener = UnixListener::bind_with(path, &options).unwrap();
    let clients = (0..2).map(|_| UnixStream::connect(path).unwrap());
    let clients = clients.collect();
    (listener, clients)
}

/// Removes its path.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn a_time_limit_and_a_cancel_end_it() {
    run(2, || {
        let path = Scratch(fresh_path());
        let (listener, _clients) = full(&path.0);
        timeout(SHORT, || UnixStream::connect(&path.0)).unwrap_err();
        let own = path.0.clone();
        let waits = gopark::spawn(move || UnixStream::connect(own));
        gopark::time::sleep(SHORT);
        assert!(!waits.is_finished());
        waits.cancel();
        assert!(waits.join().unwrap_err().is::<Cancelled>());
        // Nobody is left in the queue beside those who fill it.
        listener.accept().unwrap();
        listener.accept().unwrap();
        timeout(SHORT, || listener.accept()).unwrap_err();
    });
}

#[test]
fn the_end_of_the_runtime_ends_it() {
    let _watchdog = Watchdog::start();
    let path = Scratch(fresh_path());
    let (_listener, _clients) = full(&path.0);
    let runtime = runtime(2);
    let drops = Arc::new(AtomicUsize::new(0));
    for _ in 0..10 {
        let (own, counted) = (path.0.clone(), Counted(Arc::clone(&drops)));
        drop(runtime.spawn(move || {
            let _counted = counted;
            UnixStream::connect(own)
        }));
    }
    gopark_tests::nap(SHORT);
    assert_eq!(drops.load(Ordering::Relaxed), 0);
    drop(runtime);
    assert_eq!(drops.load(Ordering::Relaxed), 10);
}

#[test]
fn the_end_of_the_listener_ends_it() {
    run(2, || {
        let path = Scratch(fresh_path());
        let (listener, _clients) = full(&path.0);
        let own = path.0.clone();
        let waits = gopark::spawn(move || UnixStream::connect(own));
        gopark::time::sleep(SHORT);
        drop(listener);
        let error = waits.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

/// Those who wait hold no threads; and each finds its room, as fast as somebody accepts.
#[test]
fn a_crowd_waits_on_few_threads_and_all_get_in() {
    const CROWD: usize = 300;
    let test = "net_connect::a_crowd_waits_on_few_threads_and_all_get_in";
    let crowd = || {
        run(2, || {
            let path = Scratch(fresh_path());
            let (listener, _clients) = full(&path.0);
            let before = threads();
            let connect = |_| {
                let own = path.0.clone();
                gopark::spawn(move || UnixStream::connect(own).unwrap())
            };
            let crowd: Vec<_> = (0..CROWD).map(connect).collect();
            gopark::time::sleep(4 * SHORT);
            let start = Instant::now();
            assert!(threads() < before + 20, "{} threads", threads());
            for _ in 0..CROWD + 2 {
                listener.accept().unwrap();
            }
            println!("{CROWD} connections in {:?}", start.elapsed());
            crowd.into_iter().for_each(|one| drop(one.join().unwrap()));
        });
    };
    gopark_tests::alone(test, |_| {}, crowd);
}

#[test]
fn a_thread_waits_in_the_system() {
    let _watchdog = Watchdog::start();
    let path = Scratch(fresh_path());
    let (listener, _clients) = full(&path.0);
    let own = path.0.clone();
    let waits = std::thread::spawn(move || UnixStream::connect(own));
    gopark_tests::nap(SHORT);
    assert!(!waits.is_finished());
    listener.accept().unwrap();
    waits.join().unwrap().unwrap();
    wait_until("the others are there", || {
        listener.set_nonblocking(true).unwrap();
        listener.accept().is_err()
    });
}
