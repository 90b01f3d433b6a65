//! Programs without a test harness: what they do depends on all threads of the process.
//!
//! The first argument names the case. `tests/crash/alone.rs` runs them and looks at what they
//! print.

#![expect(unsafe_code, reason = "starts runtimes; forks")]

use std::time::Duration;

use gopark::goroutine::Builder;
use gopark_tests::runtime;

fn main() {
    let case = std::env::args().nth(1).unwrap_or_default();
    match case.as_str() {
        "everybody-parks" => everybody_parks(),
        "joins-in-a-ring" => joins_in_a_ring(),
        "locked" => locked(),
        "main-exits" => main_exits(),
        "a-thread-wakes-later" => a_thread_wakes_later(),
        "blocked-in-the-kernel" => blocked_in_the_kernel(),
        "fork" => fork(),
        "fork-outside" => fork_outside(),
        "command" => command(),
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
