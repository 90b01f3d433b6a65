//! Programs without a test harness: what they say on standard error, and how they end.
//!
//! The first argument names the case. `tests/crash/reports.rs` runs them and looks at what they
//! print.

#![expect(unsafe_code, reason = "sets timers and handlers of signals")]

use std::io::Write;
use std::time::Duration;

use gopark::goroutine;
use gopark::runtime::{Builder, Deadlock, Runtime, UnhandledPanic};
use gopark::sync::{Barrier, Condvar, Mutex, Notify, RwLock, Semaphore};
use gopark_tests::{build, descend, nap, runtime};

const A_WHILE: Duration = Duration::from_millis(300);

fn main() {
    let mut arguments = std::env::args().skip(1);
    let case = arguments.next().unwrap_or_default();
    let more = arguments.next().unwrap_or_default();
    match case.as_str() {
        "a-thread-waits-with-a-deadline" => a_thread_waits_with_a_deadline(&more),
        "another-runtime-wakes" => another_runtime_wakes(),
        "a-thread-wakes-in-time" => a_thread_wakes_in_time(),
        "sleeps-for-ever" => sleeps_for_ever(),
        "waits-for-a-signal" => waits_for_a_signal(),
        "deadlock-then" => deadlock_then(&more),
        "receives-what-never-comes" => receives_what_never_comes(),
        "panics" => panics(&more),
        "hook-before" => hook_before(),
        "hook-after" => hook_after(),
        "unhandled" => unhandled(&more, arguments.next().as_deref()),
        "works-unread" => works_unread(),
        "deadlock-unread" => deadlock_then(""),
        "overflow-unread" => overflow_unread(),
        other => panic!("there is no case `{other}`"),
    }
}

/// A goroutine is parked for ever, and the only thread of the program waits for a while.
fn a_thread_waits_with_a_deadline(how: &str) {
    let runtime = runtime(1);
    let parked = runtime.spawn(gopark::park);
    // For this to fall asleep first.
    let (s, r) = gopark::chan::bounded::<()>(0);
    match how {
        "recv" => drop(r.recv_timeout(A_WHILE)),
        "send" => drop(s.send_timeout((), A_WHILE)),
        "after" => drop(gopark::chan::after(A_WHILE).recv()),
        "tick" => drop(gopark::chan::tick(A_WHILE).recv()),
        "select" => {
            gopark::select! {
                recv(r) -> _ => {}
                default(A_WHILE) => {}
            }
        }
        "select-after" => {
            gopark::select! {
                recv(r) -> _ => {}
                recv(gopark::chan::after(A_WHILE)) -> _ => {}
            }
        }
        "condvar" => drop(Condvar::new().wait_timeout(Mutex::new(()).lock(), A_WHILE)),
        "mutex" => {
            let mutex = Mutex::new(());
            let _held = mutex.lock();
            drop(mutex.try_lock_for(A_WHILE));
        }
        "rwlock" => {
            let lock = RwLock::new(());
            let _held = lock.write();
            drop(lock.try_read_for(A_WHILE));
        }
        "semaphore" => drop(Semaphore::new(0).acquire_timeout(A_WHILE)),
        "notify" => drop(Notify::new().notified().wait_timeout(A_WHILE)),
        "barrier" => drop(Barrier::new(2).wait_timeout(A_WHILE)),
        "sleep" => gopark::time::sleep(A_WHILE),
        "std" => nap(A_WHILE),
        other => panic!("there is no wait `{other}`"),
    }
    drop((s, r));
    assert!(!parked.is_finished());
    println!("no deadlock");
    std::process::exit(0);
}

/// The only runtime that the caller waits for is asleep; the other one has a timer.
fn another_runtime_wakes() {
    let (first, second) = (runtime(1), runtime(1));
    first.run(|| {
        let me = gopark::current();
        drop(second.spawn(move || {
            gopark::time::sleep(A_WHILE);
            me.unpark();
        }));
        gopark::park();
    });
    println!("no deadlock");
}

/// A thread waits for what does not come, and then wakes the goroutine by its `raw::Waiter`.
fn a_thread_wakes_in_time() {
    let (give, take) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let waiter: gopark::raw::Waiter = take.recv().unwrap();
        let (_s, r) = gopark::chan::bounded::<()>(0);
        let _ = r.recv_timeout(A_WHILE);
        waiter.ready();
    });
    runtime(1).run(|| gopark::raw::park(|waiter| give.send(waiter).is_ok()));
    thread.join().unwrap();
    println!("no deadlock");
}

/// The kernel ends this process, or calls a handler, after `seconds`.
fn alarm(seconds: u32) {
    // SAFETY: a number.
    unsafe { libc::alarm(seconds) };
}

/// A sleep has an end, however late.
fn sleeps_for_ever() {
    alarm(1);
    runtime(1).run(|| gopark::time::sleep(Duration::MAX));
}

fn waits_for_a_signal() {
    extern "C" fn end(_: i32) {
        let text = "no deadlock\n";
        // SAFETY: a plain write of a static text.
        unsafe { libc::write(1, text.as_ptr().cast(), text.len()) };
        // SAFETY: ends the process at once.
        unsafe { libc::_exit(0) };
    }
    // SAFETY: the handler makes two async-signal-safe calls.
    unsafe { libc::signal(libc::SIGALRM, end as *const () as libc::sighandler_t) };
    alarm(1);
    runtime(1).run(gopark::park);
}

/// A deadlock, which the alarm ends if nothing else does.
fn deadlock_then(then: &str) {
    let then = match then {
        "off" => Deadlock::Off,
        "report" => Deadlock::Report,
        _ => Deadlock::Abort,
    };
    alarm(20);
    if then != Deadlock::Abort {
        alarm(1);
    }
    build(Builder::new().procs(2).deadlock(then)).run(gopark::park);
}

fn receives_what_never_comes() {
    fn go(name: &str, wait: impl FnOnce() + Send + 'static) {
        let builder = goroutine::Builder::new().name(name);
        drop(builder.spawn(wait).unwrap());
    }
    runtime(1).run(|| {
        go("never", || _ = gopark::chan::never::<()>().recv());
        go("after", || {
            let after = gopark::chan::after(Duration::from_millis(1));
            after.recv().unwrap();
            let _ = after.recv();
        });
        gopark::park();
    });
}

fn named(runtime: &Runtime, body: impl FnOnce() + Send + 'static) {
    runtime.run(|| {
        let worker = goroutine::Builder::new().name("worker").spawn(body);
        drop(worker.unwrap().join());
    });
}

fn panics(how: &str) {
    let runtime = runtime(1);
    match how {
        "named" => named(&runtime, || panic!("on purpose")),
        "unnamed" => drop(runtime.spawn(|| panic!("on purpose")).join()),
        "on-the-threads-stack" => named(&runtime, || {
            gopark::on_thread_stack(|| panic!("on purpose"));
        }),
        "plain" => drop(std::thread::spawn(|| panic!("on purpose")).join()),
        "quietly" => named(&runtime, || gopark::exit()),
        other => panic!("there is no panic `{other}`"),
    }
}

fn say(info: &std::panic::PanicHookInfo<'_>) {
    let who = gopark::try_current().and_then(|g| g.name().map(str::to_owned));
    let _ = writeln!(std::io::stderr(), "the hook: {who:?}, {info}");
}

fn hook_before() {
    std::panic::set_hook(Box::new(say));
    named(&runtime(1), || panic!("on purpose"));
}

fn hook_after() {
    let runtime = runtime(1);
    std::panic::set_hook(Box::new(say));
    named(&runtime, || panic!("on purpose"));
}

fn unhandled(then: &str, how: Option<&str>) {
    let then = match then {
        "exit" => UnhandledPanic::Exit,
        "exit-if-detached" => UnhandledPanic::ExitIfDetached,
        _ => UnhandledPanic::Ignore,
    };
    build(Builder::new().procs(1).unhandled_panic(then)).run(|| {
        let fail = || panic!("on purpose");
        match how {
            Some("joined") => drop(gopark::spawn(fail).join()),
            Some("go") => gopark::go(fail),
            Some("dropped-before") => drop(gopark::spawn(fail)),
            Some("dropped-after") => {
                let handle = gopark::spawn(fail);
                while !handle.is_finished() {
                    gopark::yield_now();
                }
                drop(handle);
            }
            Some("timer") => {
                drop(gopark::time::after_func(Duration::from_millis(1), fail));
                gopark::time::sleep(Duration::from_millis(50));
            }
            Some("scope") => {
                let scope = || gopark::scope(|s| drop(s.spawn(fail)));
                assert!(std::panic::catch_unwind(scope).is_err());
            }
            Some("caught") => gopark::go(move || drop(std::panic::catch_unwind(fail))),
            Some("exits") => gopark::go(|| gopark::exit()),
            Some("cancelled") => {
                let parked = gopark::spawn(gopark::park);
                gopark::yield_now();
                parked.cancel();
            }
            _ => panic!("there is no such end"),
        }
        gopark::time::sleep(Duration::from_millis(1));
    });
    println!("goes on");
}

/// Needs new threads while a trace of the scheduler fills standard error.
fn works_unread() {
    runtime(2).run(|| {
        gopark::time::sleep(A_WHILE);
        let pause = Duration::from_millis(20);
        let work = move |n: u32| match n % 2 {
            0 => nap(pause),
            _ => gopark::blocking(|| nap(pause)),
        };
        let all: Vec<_> = (0..30).map(|n| gopark::spawn(move || work(n))).collect();
        all.into_iter().for_each(|one| one.join().unwrap());
    });
    println!("all done");
}

fn overflow_unread() {
    runtime(1).run(|| {
        let small = goroutine::Builder::new().stack_limit(64 << 10);
        drop(small.spawn(|| descend(usize::MAX)).unwrap().join());
    });
}
