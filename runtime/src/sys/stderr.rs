//! Lines on standard error that do not block the threads that write them.
//!
//! The other end of standard error may never be read. A service thread that waited for that would
//! keep the program from its threads. So the lines go into a bounded queue, and a thread of the
//! process writes them; only that thread waits. When the queue is full, lines are dropped and
//! counted, and the next line that is written says how many.
//!
//! The thread starts with the first line and stays. It wakes no goroutine. A forked child does not
//! have it, and starts its own; in the child of a process with runtimes a line is written at once,
//! or not at all.
//!
//! Last words, before the process ends, are written by their own thread, with [`print_now`]: it
//! waits for room, but not for ever.

use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, getpid};

use super::fork;

/// Bytes that wait to be written, at most.
const BYTES_MAX: usize = 256 << 10;
/// How long last words wait for room.
const PATIENCE: Duration = Duration::from_secs(1);
/// What a thread that must not block writes at once: a pipe that has room takes as much.
const PIECE_BYTES: usize = 512;

/// What the threads share.
struct Lines {
    waiting: VecDeque<String>,
    bytes: usize,
    dropped: u64,
    is_writing: bool,
    /// The process that has the thread.
    process: Option<Pid>,
}

impl Lines {
    fn has_thread(&self) -> bool {
        self.process == Some(getpid())
    }
}

static LINES: Mutex<Lines> = Mutex::new(Lines {
    waiting: VecDeque::new(),
    bytes: 0,
    dropped: 0,
    is_writing: false,
    process: None,
});
/// Lines have come, or gone.
static CHANGED: Condvar = Condvar::new();

fn lines() -> MutexGuard<'static, Lines> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Leaves `text`, whole lines, to be written. Does not wait.
pub(crate) fn print(text: String) {
    if fork::is_child() {
        return write_within(text.as_bytes(), Duration::ZERO);
    }
    let mut lines = lines();
    if lines.bytes + text.len() > BYTES_MAX {
        lines.dropped += count(&text);
        return;
    }
    lines.bytes += text.len();
    lines.waiting.push_back(text);
    if !lines.has_thread() {
        if start_writer() {
            lines.process = Some(getpid());
        } else {
            // The system gives no thread: what fits is written at once.
            let text: String = lines.waiting.drain(..).collect();
            lines.bytes = 0;
            drop(lines);
            return write_within(text.as_bytes(), Duration::ZERO);
        }
    }
    drop(lines);
    CHANGED.notify_all();
}

/// Waits until all lines are written, but not longer than `patience`.
pub(crate) fn flush(patience: Duration) {
    if fork::is_child() {
        return;
    }
    let end = Instant::now() + patience;
    let mut lines = lines();
    while lines.has_thread() && (lines.is_writing || !lines.waiting.is_empty()) {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        let woken = CHANGED.wait_timeout(lines, left);
        lines = woken.unwrap_or_else(PoisonError::into_inner).0;
    }
}

/// Writes `text`, after the lines that wait, as long as there is room again within a second.
pub(crate) fn print_now(text: &str) {
    flush(PATIENCE);
    write_within(text.as_bytes(), PATIENCE);
}

/// The thread that writes lines, if there is one: it is no thread of the program.
pub(crate) fn threads() -> usize {
    usize::from(lines().has_thread())
}

fn count(text: &str) -> u64 {
    text.lines().count() as u64
}

fn start_writer() -> bool {
    let writer = std::thread::Builder::new().name(String::from("gopark-stderr"));
    writer.spawn(write_all).is_ok()
}

/// The body of the thread.
fn write_all() {
    let mut lines = lines();
    loop {
        if let Some(text) = lines.waiting.pop_front() {
            lines.bytes -= text.len();
            lines.is_writing = true;
            let dropped = std::mem::take(&mut lines.dropped);
            drop(lines);
            write(&text, dropped);
            lines = self::lines();
            lines.is_writing = false;
            CHANGED.notify_all();
        } else {
            let woken = CHANGED.wait(lines);
            lines = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Writes, and waits as long as it takes. An error leads nowhere.
fn write(text: &str, dropped: u64) {
    let mut stderr = std::io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes());
    if dropped > 0 {
        let _ = writeln!(
            stderr,
            "gopark: {dropped} lines were left out: standard error was full"
        );
    }
}

/// Writes as long as there is room within `patience`.
fn write_within(mut bytes: &[u8], patience: Duration) {
    let stderr = std::io::stderr();
    let mut end = Instant::now() + patience;
    while !bytes.is_empty() {
        let left = end.saturating_duration_since(Instant::now());
        let left = Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: left.subsec_nanos().into(),
        };
        let mut fds = [PollFd::new(&stderr, PollFlags::OUT)];
        match poll(&mut fds, Some(&left)) {
            Err(rustix::io::Errno::INTR) => continue,
            Ok(1..) => {}
            _ => return,
        }
        let piece = &bytes[..bytes.len().min(PIECE_BYTES)];
        match rustix::io::write(&stderr, piece) {
            Ok(n) if n > 0 => {
                bytes = &bytes[n..];
                end = Instant::now() + patience;
            }
            Err(rustix::io::Errno::INTR) => {}
            _ => return,
        }
    }
}

#[cfg(test)]
#[path = "tests/stderr.rs"]
mod tests;
