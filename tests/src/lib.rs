//! What the tests share: runtimes, a watchdog, processes of their own, ways to use time, and what
//! the operating system says.

#![expect(
    unsafe_code,
    reason = "starts runtimes; asks the kernel for the thread's id"
)]

pub mod frames;

use std::any::Any;
use std::hint::black_box;
use std::path::Path;
use std::pin::pin;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use gopark::goroutine::Goroutine;
use gopark::runtime::{Builder, Runtime};

/// A test that takes longer than this hangs.
const DEADLINE: Duration = Duration::from_secs(120);
/// What a test waits for comes earlier than this.
const PATIENCE: Duration = Duration::from_secs(60);
/// Names the test that a process was started for.
pub const CASE: &str = "GOPARK_TEST_CASE";

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

/// The same with one P, where no slice ends.
pub fn run_calmly(test: impl FnOnce()) {
    let _watchdog = Watchdog::start();
    let builder = Builder::new().procs(1);
    build(builder.time_slice(Duration::from_secs(1000))).run(test);
}

/// Counts when it is dropped.
#[derive(Debug)]
pub struct Counted(pub Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
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

/// Runs `case` in a process of its own, prepared by `set_up`: this binary again, with nothing but
/// `test`, which calls this. In the parent it gives the child's output, in the child nothing.
///
/// # Panics
/// In the parent, with what the child wrote, if it failed.
#[track_caller]
pub fn alone(test: &str, set_up: impl FnOnce(&mut Command), case: impl FnOnce()) -> Option<Output> {
    if is_case(test) {
        let _watchdog = Watchdog::start();
        case();
        return None;
    }
    let mut command = Command::new(std::env::current_exe().expect("a binary has a path"));
    command
        .args([test, "--exact", "--nocapture"])
        .env(CASE, test);
    set_up(&mut command);
    let output = command.output().expect("a process can be started");
    passed(&output);
    Some(output)
}

/// Whether this process was started for `test`.
pub fn is_case(test: &str) -> bool {
    std::env::var(CASE).is_ok_and(|case| case == test)
}

/// The child ran its test, and it passed.
///
/// # Panics
/// With what the child wrote, if not.
#[track_caller]
pub fn passed(output: &Output) {
    let (out, err) = (&output.stdout, &output.stderr);
    let (out, err) = (String::from_utf8_lossy(out), String::from_utf8_lossy(err));
    let passed = output.status.success() && out.contains(" 1 passed;");
    assert!(passed, "{:?}\n{out}\n{err}", output.status);
}

/// The text of a panic.
///
/// # Panics
/// When the payload is no text.
#[track_caller]
pub fn panic_text(payload: Box<dyn Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast::<&str>().expect("a text")).to_owned(),
    }
}

/// Blocks the calling thread for a while, without telling the runtime.
#[expect(clippy::disallowed_methods, reason = "that is what it is for")]
pub fn nap(time: Duration) {
    std::thread::sleep(time);
}

/// Keeps the calling thread busy for a while, without a call of the runtime.
#[inline(never)]
pub fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// Waits for a condition, in a goroutine or not.
///
/// # Panics
/// After a minute.
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "in vain: {what}");
        gopark::blocking(|| nap(Duration::from_millis(1)));
    }
}

/// Runs a future to its end: an executor of one task, which parks the goroutine or thread that it
/// runs on.
pub fn block_on<F: Future>(future: F) -> F::Output {
    enum Unpark {
        Goroutine(Goroutine),
        Thread(std::thread::Thread),
    }
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            match &*self {
                Unpark::Goroutine(goroutine) => goroutine.unpark(),
                Unpark::Thread(thread) => thread.unpark(),
            }
        }
    }
    let me = gopark::try_current();
    let unpark = match &me {
        Some(me) => Unpark::Goroutine(me.clone()),
        None => Unpark::Thread(std::thread::current()),
    };
    let waker = Waker::from(Arc::new(unpark));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending if me.is_some() => gopark::park(),
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Numbers that look random, the same ones for the same seed.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// From any seed.
    #[must_use]
    pub fn new(seed: u64) -> Random {
        Random(seed | 1)
    }

    /// One of the numbers below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
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

/// Whether this process has a thread with this id.
pub fn thread_exists(id: i64) -> bool {
    Path::new(&format!("/proc/self/task/{id}")).exists()
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
