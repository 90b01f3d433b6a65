//! Programs without a test harness: what they do depends on all threads of the process.
//!
//! The first argument names the case. `tests/crash/alone.rs` runs them and looks at what they
//! print.

#![expect(unsafe_code, reason = "starts runtimes; forks")]

use std::io::Read;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gopark::goroutine::Builder;
use gopark::net::Pollable;
use gopark::sync::{
    Barrier, CancellationToken, Condvar, Mutex, Notify, Once, OnceLock, RwLock, Semaphore,
    WaitGroup,
};
use gopark_tests::{build, runtime};

fn main() {
    let case = std::env::args().nth(1).unwrap_or_default();
    match case.as_str() {
        "everybody-parks" => everybody_parks(),
        "joins-in-a-ring" => joins_in_a_ring(),
        "locks-twice" => locks_twice(),
        "writes-twice" => writes_twice(),
        "reads-twice" => reads_twice(),
        "waits-for-everything" => waits_for_everything(),
        "locked" => locked(),
        "main-exits" => main_exits(),
        "a-thread-wakes-later" => a_thread_wakes_later(),
        "blocked-in-the-kernel" => blocked_in_the_kernel(),
        "everybody-sleeps" => everybody_sleeps(),
        "waits-for-another-process" => waits_for_another_process(),
        "sleeps-and-parks" => sleeps_and_parks(),
        "reads-and-parks" => reads_and_parks(),
        "parks-after-limits" => parks_after_limits(),
        "parks-in-a-destructor" => parks_in_a_destructor(),
        "blocks-all-threads" => blocks_all_threads(),
        "locks-all-threads" => locks_all_threads(),
        "reads-on-all-threads" => reads_on_all_threads(),
        "fork" => fork(),
        "fork-outside" => fork_outside(),
        "command" => command(),
        "eight-hogs" => eight_hogs(),
        other => panic!("there is no case `{other}`"),
    }
}

fn everybody_parks() {
    runtime(2).run(|| {
        for n in 0..3 {
            let name = format!("sleeper {n}");
            let builder = Builder::new().name(name);
            let _ = builder.spawn(gopark::park).unwrap();
        }
        gopark::park();
    });
}

fn joins_in_a_ring() {
    runtime(1).run(|| {
        let parked = gopark::spawn(gopark::park);
        parked.join().unwrap();
    });
}

fn locks_twice() {
    runtime(1).run(|| {
        let mutex = Mutex::new(());
        let _guard = mutex.lock();
        let _again = mutex.lock();
    });
}

fn writes_twice() {
    runtime(1).run(|| {
        let lock = RwLock::new(());
        let _guard = lock.write();
        let _again = lock.write();
    });
}

/// With a writer between.
fn reads_twice() {
    runtime(2).run(|| {
        let lock = Arc::new(RwLock::new(()));
        let _guard = lock.read();
        let shared = Arc::clone(&lock);
        gopark::go(move || drop(shared.write()));
        while lock.try_read().is_some() {
            gopark::yield_now();
        }
        let _again = lock.read();
    });
}

/// A goroutine at each primitive, named after it.
fn waits_for_everything() {
    fn go(name: &str, wait: impl FnOnce() + Send + 'static) {
        let builder = Builder::new().name(name.to_owned());
        drop(builder.spawn(wait).unwrap());
    }
    runtime(2).run(|| {
        let mutex = Mutex::new(());
        go("condvar", move || drop(Condvar::new().wait(mutex.lock())));
        go("once", || Once::new().wait());
        go("once", || _ = OnceLock::<()>::new().wait());
        go("barrier", || _ = Barrier::new(2).wait());
        go("semaphore", || drop(Semaphore::new(0).acquire()));
        go("wait group", || {
            let group = WaitGroup::new();
            group.add(1);
            group.wait();
        });
        go("notify", || Notify::new().notified().wait());
        go("cancellation", || CancellationToken::new().wait());
        go("channel", || {
            _ = CancellationToken::new().cancelled().recv()
        });
        let (s, r) = gopark::chan::bounded(0);
        go("channel", move || s.send(r.capacity()).unwrap());
        go("select", || {
            gopark::select! {
                recv(CancellationToken::new().cancelled()) -> _ => {}
                recv(gopark::chan::never::<()>()) -> _ => {}
            }
        });
        gopark::park();
    });
}

fn locked() {
    runtime(2).run(|| {
        let _guard = gopark::lock_os_thread();
        gopark::go(|| {
            let _guard = gopark::lock_os_thread();
            gopark::park();
        });
        gopark::park();
    });
}

/// The runtime's main goroutine has exited: its caller is not waiting, so there is no deadlock.
fn main_exits() {
    let runtime = runtime(1);
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        runtime.run(|| {
            gopark::go(gopark::park);
            gopark::exit()
        });
    }));
    assert!(caught.unwrap_err().is::<gopark::Exited>());
    std::thread::park_timeout(Duration::from_millis(500));
    drop(runtime);
    println!("no deadlock");
}

fn a_thread_wakes_later() {
    runtime(2).run(|| {
        let me = gopark::current();
        let thread = std::thread::spawn(move || {
            std::thread::park_timeout(Duration::from_millis(500));
            me.unpark();
        });
        gopark::park();
        thread.join().unwrap();
    });
    println!("no deadlock");
}

fn blocked_in_the_kernel() {
    runtime(1).run(|| {
        let me = gopark::current();
        gopark::go(move || {
            gopark::blocking(|| std::thread::park_timeout(Duration::from_millis(500)));
            me.unpark();
        });
        gopark::park();
    });
    println!("no deadlock");
}

fn everybody_sleeps() {
    runtime(2).run(|| {
        let pause = Duration::from_millis(300);
        let sleeper = gopark::spawn(move || gopark::time::sleep(2 * pause));
        gopark::park_timeout(pause);
        sleeper.join().unwrap();
    });
    println!("no deadlock");
}

/// Reads what a process writes, which does nothing for a while.
fn read_slowly() {
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "sleep 0.5; echo done"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut out = Pollable::new(child.stdout.take().unwrap()).unwrap();
    let mut text = String::new();
    out.read_to_string(&mut text).unwrap();
    assert_eq!(text, "done\n");
    child.wait().unwrap();
}

fn waits_for_another_process() {
    runtime(2).run(read_slowly);
    println!("no deadlock");
}

fn sleeps_and_parks() {
    runtime(2).run(|| {
        gopark::time::sleep(Duration::from_millis(50));
        gopark::park();
    });
}

fn reads_and_parks() {
    runtime(2).run(|| {
        read_slowly();
        gopark::park();
    });
}

/// What is left of waits that have ended wakes nobody.
fn parks_after_limits() {
    runtime(1).run(|| {
        let hour = Duration::from_secs(3600);
        gopark::time::timeout(hour, || ()).unwrap();
        gopark::current().unpark();
        gopark::park_timeout(hour);
        let me = gopark::current();
        gopark::go(move || me.unpark());
        gopark::park_timeout(hour);
        assert!(gopark::time::after_func(hour, || ()).stop());
        gopark::park();
    });
}

/// Waits while it unwinds, for ever.
fn parks_in_a_destructor() {
    struct Parks;
    impl Drop for Parks {
        fn drop(&mut self) {
            gopark::park();
        }
    }
    runtime(2).run(|| {
        let unwinding = gopark::spawn(|| {
            let _parks = Parks;
            std::panic::resume_unwind(Box::new(()));
        });
        let _ = unwinding.join();
    });
}

/// Two threads, both blocked at a lock of std's, which a thread holds that waits for the main
/// goroutine; a third goroutine waits for a thread.
fn blocks_all_threads() {
    let runtime = build(gopark::runtime::Builder::new().procs(1).max_threads(2));
    let lock = Arc::new(std::sync::Mutex::new(()));
    let (theirs, own) = (Arc::clone(&lock), lock.lock().unwrap());
    runtime.run(move || {
        for n in 0..2 {
            let lock = Arc::clone(&theirs);
            let builder = Builder::new().name(format!("locker {n}"));
            drop(builder.spawn(move || drop(lock.lock())).unwrap());
        }
        drop(theirs.lock());
    });
    drop(own);
}

/// Two threads, both locked by goroutines that wait for a third one.
fn locks_all_threads() {
    let runtime = build(gopark::runtime::Builder::new().procs(1).max_threads(2));
    runtime.run(|| {
        let one = || {
            let _locked = gopark::lock_os_thread();
            gopark::park();
        };
        let one = Builder::new().name("one").spawn(one).unwrap();
        gopark::time::sleep(Duration::from_millis(20));
        let first = one.goroutine().clone();
        let two = move || {
            let _locked = gopark::lock_os_thread();
            let me = gopark::current();
            gopark::go(move || {
                first.unpark();
                me.unpark();
            });
            gopark::park();
        };
        let two = Builder::new().name("two").spawn(two).unwrap();
        two.join().unwrap();
        one.join().unwrap();
    });
}

/// Two threads, both blocked by reads; what is read comes after more than a second.
fn reads_on_all_threads() {
    let runtime = build(gopark::runtime::Builder::new().procs(1).max_threads(2));
    let late = || {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "sleep 4; echo done"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut text = String::new();
        let mut out = child.stdout.take().unwrap();
        out.read_to_string(&mut text).unwrap();
        child.wait().unwrap();
    };
    runtime.run(move || {
        let spawn = |n| {
            let builder = Builder::new().name(format!("reader {n}"));
            builder.spawn(late).unwrap()
        };
        let readers = [spawn(0), spawn(1)];
        let others: Vec<_> = (0..3).map(|_| gopark::spawn(|| ())).collect();
        others.into_iter().for_each(|one| one.join().unwrap());
        readers.into_iter().for_each(|one| one.join().unwrap());
    });
    println!("no deadlock");
}

/// Forks; the child does `f` and exits with 0, or with 1 if `f` panicked. Prints how it ended.
fn in_child(what: &str, f: impl FnOnce()) {
    // SAFETY: the child calls only what this test is about, and exits without running destructors.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(outcome.is_err().into()) };
    }
    let mut status = 0;
    // SAFETY: waits for our own child.
    unsafe { libc::waitpid(pid, &raw mut status, 0) };
    println!("{what}: exited {} with {}", status & 0x7f == 0, status >> 8);
}

fn fork() {
    runtime(2).run(|| {
        in_child("yield", gopark::yield_now);
        in_child("spawn", || gopark::go(|| ()));
        in_child("park", gopark::park);
        in_child("blocking", || gopark::blocking(|| ()));
        assert_eq!(gopark::spawn(|| 5).join().unwrap(), 5);
    });
    println!("the parent goes on");
}

fn fork_outside() {
    let runtime = runtime(2);
    in_child("run", || runtime.run(|| ()));
    in_child("nothing", || ());
    assert_eq!(runtime.run(|| 6), 6);
    println!("the parent goes on");
}

/// `Command` forks, or does something like it, and must not be disturbed.
fn command() {
    runtime(2).run(|| {
        let mut command = std::process::Command::new("true");
        // SAFETY: the closure does nothing; it makes std fork instead of calling posix_spawn.
        unsafe { std::os::unix::process::CommandExt::pre_exec(&mut command, || Ok(())) };
        assert!(gopark::blocking(|| command.status()).unwrap().success());
        assert!(
            std::process::Command::new("true")
                .status()
                .unwrap()
                .success()
        );
    });
    println!("both ran");
}

/// Eight goroutines that allocate, print and take a lock of std's without a runtime call, on two Ps
/// with slices of 1 ms, for 10 s: a suspended holder of any of these locks always gets on.
fn eight_hogs() {
    let slice = Duration::from_millis(1);
    let runtime = build(gopark::runtime::Builder::new().procs(2).time_slice(slice));
    let stop = Arc::new(AtomicBool::new(false));
    let sum = Arc::new(std::sync::Mutex::new(0u64));
    let hog = |n: u8| {
        let (stop, sum) = (Arc::clone(&stop), Arc::clone(&sum));
        runtime.spawn(move || {
            let mut kept: Vec<Vec<u8>> = Vec::new();
            let mut turns = 0u64;
            while !stop.load(Ordering::Relaxed) {
                kept.push(vec![n; (turns % 5000) as usize]);
                if kept.len() > 100 {
                    kept.clear();
                }
                if turns.is_multiple_of(64) {
                    print!("{n}");
                }
                *sum.lock().unwrap() += 1;
                turns += 1;
            }
            turns
        })
    };
    let hogs: Vec<_> = (0..8).map(hog).collect();
    std::thread::park_timeout(Duration::from_secs(10));
    stop.store(true, Ordering::Relaxed);
    let each: Vec<u64> = hogs.into_iter().map(|hog| hog.join().unwrap()).collect();
    let total: u64 = each.iter().sum();
    assert_eq!(*sum.lock().unwrap(), total, "an update was lost");
    assert!(each.iter().all(|turns| *turns > 0), "{each:?}");
    let metrics = runtime.metrics();
    let preemptions: u64 = metrics.procs.iter().map(|p| p.preemptions).sum();
    println!("\n{preemptions} preemptions");
}
