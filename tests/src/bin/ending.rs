//! Programs that end while goroutines of theirs do not, and programs that abort instead of
//! unwinding.
//!
//! The first argument names the case. `tests/crash/ending.rs` runs them and looks at how they end;
//! it builds this file once more with `panic = "abort"`.

#![expect(unsafe_code, reason = "starts runtimes")]

use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use gopark::runtime::{Builder, OnEnd};
use gopark::sync::Semaphore;
use gopark_tests::build;

/// Held by nobody, when a runtime has ended.
static NO_PERMITS: Semaphore = Semaphore::new(0);

/// Prints when it is dropped.
struct Bye(&'static str);

impl Drop for Bye {
    fn drop(&mut self) {
        println!("bye, {}", self.0);
    }
}

fn main() {
    let case = std::env::args().nth(1).unwrap_or_default();
    // SAFETY: no thread-local is held across a suspension.
    unsafe { gopark::run(|| main_of(&case)) };
    println!("run has returned");
    if case.starts_with("catches") {
        only_this_thread_is_left();
    }
    if case == "catches-acquires" {
        // A goroutine that waits for ever has left no place in the queue.
        NO_PERMITS.add_permits(1);
        let permit = NO_PERMITS.acquire_timeout(Duration::from_secs(60));
        assert!(
            permit.is_ok(),
            "the permit went to a goroutine that waits for ever"
        );
    }
}

/// Goroutines that catch every request to end hold no threads. The thread that writes to standard
/// error is of the process.
fn only_this_thread_is_left() {
    let is_another = |task: &std::fs::DirEntry| {
        let name = std::fs::read_to_string(task.path().join("comm"));
        name.is_ok_and(|name| name.trim() != "gopark-stderr")
    };
    gopark_tests::wait_until("the threads have ended", || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        tasks.flatten().filter(is_another).count() == 1
    });
    println!("no threads are left");
}

/// A goroutine waits, and catches what ends its wait, again and again.
fn catches(wait: impl Fn() + Send + 'static) {
    gopark::go(move || {
        loop {
            let _ = catch_unwind(AssertUnwindSafe(&wait));
        }
    });
}

fn main_of(case: &str) {
    match case {
        "reads-stdin" => gopark::go(|| {
            let _ = std::io::stdin().read(&mut [0]);
        }),
        "accepts" => gopark::go(|| {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let _ = listener.accept();
        }),
        "reads-a-pipe" => gopark::go(|| {
            // As signal-hook's iterator waits.
            let (mut read, write) = UnixStream::pair().unwrap();
            let _ = read.read(&mut [0]);
            drop(write);
        }),
        "computes" => gopark::go(|| {
            loop {
                std::hint::spin_loop();
            }
        }),
        "catches-sleeps" => catches(|| gopark::time::sleep(Duration::from_millis(1))),
        "catches-parks" => catches(gopark::park),
        "catches-yields" => catches(gopark::yield_now),
        "catches-receives" => {
            let (send, receive) = gopark::chan::bounded::<()>(0);
            std::mem::forget(send);
            catches(move || _ = receive.recv());
        }
        "catches-acquires" => {
            catches(|| _ = NO_PERMITS.acquire_timeout(Duration::from_secs(600)));
        }
        "catches-panics" => gopark::go(|| {
            let _bye = Bye("catcher");
            loop {
                let _ = gopark::catch_panic(gopark::park);
            }
        }),
        "parks" => {}
        "exits" => exits(),
        "cancels" => gopark::spawn(gopark::park).cancel(),
        "limits" => _ = gopark::time::timeout(Duration::from_millis(1), gopark::park),
        "exits-early" => gopark::exit(),
        "drops-a-set" => drops_a_set(),
        "waits-while-it-panics" => waits_while_it_panics(),
        other => panic!("there is no case `{other}`"),
    }
    gopark::go(|| {
        let _bye = Bye("parked");
        gopark::park();
    });
    gopark::go(|| {
        let _bye = Bye("scope");
        gopark::scope(|s| {
            s.spawn(gopark::park);
        });
    });
    gopark::time::sleep(Duration::from_millis(20));
    println!("main returns");
}

/// The end of an inner runtime ends the process.
fn exits() {
    let builder = Builder::new()
        .exit_grace(Duration::from_millis(50))
        .on_end(OnEnd::Exit(7));
    let runtime = build(builder);
    runtime.spawn(|| {
        loop {
            std::hint::spin_loop();
        }
    });
    gopark::blocking(|| drop(runtime));
    println!("not reached");
}

/// Dropping a set cancels nobody where nothing unwinds.
fn drops_a_set() {
    let mut set = gopark::JoinSet::new();
    let (send, receive) = gopark::chan::bounded(1);
    set.spawn(move || {
        gopark::yield_now();
        send.send(5).unwrap();
    });
    drop(set);
    println!("got {:?}", receive.recv());
}

/// Where a panic aborts, its hook may still wait.
fn waits_while_it_panics() {
    std::panic::set_hook(Box::new(|_| {
        gopark::time::sleep(Duration::from_millis(20));
        println!("the hook has waited");
    }));
    let panicking = gopark::spawn(|| panic!("on purpose"));
    let _ = panicking.join();
}
