//! What the tests share: runtimes, a watchdog, deep recursion, the operating system's thread id.

#![expect(
    unsafe_code,
    reason = "starts runtimes; asks the kernel for the thread's id"
)]

use std::hint::black_box;
use std::time::Duration;

use gopark::runtime::{Builder, Runtime};

/// A test that takes longer than this hangs.
const DEADLINE: Duration = Duration::from_secs(120);

/// A runtime with `procs` Ps.
#[track_caller]
pub fn runtime(procs: usize) -> Runtime {
    build(Builder::new().procs(procs))
}

/// Builds a runtime whose settings are right.
///
/// # Panics
/// When they are not.
#[track_caller]
pub fn build(builder: Builder) -> Runtime {
    // SAFETY: the tests hold no thread-local across a suspension.
    unsafe { builder.build() }.expect("a runtime can be built")
}

/// Builds a runtime whose settings may be wrong.
///
/// # Errors
/// What `build` says.
pub fn try_build(builder: Builder) -> std::io::Result<Runtime> {
    // SAFETY: the tests hold no thread-local across a suspension.
    unsafe { builder.build() }
}

/// Runs `test` in a runtime with `procs` Ps; aborts the process if it hangs.
#[track_caller]
pub fn run<T>(procs: usize, test: impl FnOnce() -> T) -> T {
    let _watchdog = Watchdog::start();
    runtime(procs).run(test)
}

/// Aborts the process unless it is dropped in time.
#[derive(Debug)]
pub struct Watchdog {
    _alive: std::sync::mpsc::Sender<()>,
}

impl Watchdog {
    /// Starts watching.
    #[must_use]
    pub fn start() -> Watchdog {
        let (alive, watched) = std::sync::mpsc::channel::<()>();
        let name = std::thread::current().name().unwrap_or("a test").to_owned();
        std::thread::spawn(move || {
            if watched.recv_timeout(DEADLINE) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                let line = format!("{name} hangs\n");
                let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
                std::process::abort();
            }
        });
        Watchdog { _alive: alive }
    }
}

/// Recurses `pages` deep, a page each.
#[inline(never)]
pub fn descend(pages: usize) -> usize {
    let mut page = [0u8; 4000];
    page[0] = pages as u8;
    black_box(&mut page);
    if pages == 0 {
        0
    } else {
        1 + descend(pages - 1) + usize::from(black_box(page[1]))
    }
}

/// The kernel's id of the thread that runs this, asked anew at every call.
#[inline(never)]
pub fn thread_id() -> i64 {
    // SAFETY: a system call without arguments.
    unsafe { libc::syscall(libc::SYS_gettid) }
}

/// Lines of /proc/self/maps: mappings of this process.
///
/// # Panics
/// When /proc cannot be read.
pub fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps")
        .expect("/proc is mounted")
        .lines()
        .count()
}
