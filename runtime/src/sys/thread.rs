//! Facts about OS threads, and signals to them.

#![expect(unsafe_code, reason = "makes system calls that have no safe wrapper")]

use std::ffi::c_int;
use std::io::Write as _;
use std::str::SplitAsciiWhitespace;
use std::time::Duration;

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};

/// The kernel's number of the calling thread.
pub(crate) fn id() -> i32 {
    rustix::thread::gettid().as_raw_nonzero().get()
}

/// Sends a signal to a thread of this process. A thread that has ended is not an error.
pub(crate) fn signal(tid: i32, signal: c_int) {
    let process = rustix::process::getpid().as_raw_nonzero().get();
    // SAFETY: tgkill takes numbers only; it can reach no other process than this one.
    unsafe { libc::syscall(libc::SYS_tgkill, process, tid, signal) };
}

/// The CPU time that a thread of this process has used, or `None` when there is no such thread.
pub(crate) fn cpu_time(tid: i32) -> Option<Duration> {
    // The clock's number as the kernel defines it: the thread's, per thread, scheduler's clock.
    let clock = (!tid << 3) | 6;
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel writes a timespec, or refuses an unknown clock.
    let code = unsafe { libc::clock_gettime(clock, &raw mut time) };
    (code == 0).then(|| Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

/// Whether the kernel lists a thread of this process as running or waiting for a core, as opposed
/// to blocked. `None` when it cannot be told.
pub(crate) fn is_running(tid: i32) -> Option<bool> {
    stat(tid, |mut fields| Some(fields.next()? == "R"))
}

/// Whether a thread of this process waits on a futex of this process, without an end. `None` when
/// it cannot be told.
pub(crate) fn waits_without_end(tid: i32) -> Option<bool> {
    const WAIT: u64 = 0;
    const WAIT_BITSET: u64 = 9;
    const COMMAND: u64 = 0x7f;
    const PRIVATE: u64 = 0x80;
    let text = std::fs::read_to_string(format!("/proc/self/task/{tid}/syscall")).ok()?;
    // `202 0x7f.. 0x189 0x2 0x0 ...`: the number, then the arguments; `running` if there is none.
    let mut fields = text.split_ascii_whitespace();
    let number = fields.next()?.parse::<i64>();
    if number != Ok(libc::SYS_futex) {
        return Some(false);
    }
    let mut argument = |n: usize| {
        let field = fields.nth(n)?.trim_start_matches("0x");
        u64::from_str_radix(field, 16).ok()
    };
    let (operation, timeout) = (argument(1)?, argument(1)?);
    let waits = [WAIT, WAIT_BITSET].contains(&(operation & COMMAND));
    Some(waits && operation & PRIVATE != 0 && timeout == 0)
}

/// How a signal stands with a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SignalState {
    /// It was sent to the thread and has not reached it.
    pub(crate) is_pending: bool,
    pub(crate) is_blocked: bool,
}

/// How `signal`, up to 31, stands with a thread of this process. `None` when it cannot be told.
pub(crate) fn signal_state(tid: i32, signal: c_int) -> Option<SignalState> {
    /// proc_pid_stat(5), counted from the state: of fields 31 and 32.
    const PENDING: usize = 28;
    stat(tid, |mut fields| {
        let has = |field: Option<&str>| {
            let set: u64 = field?.parse().ok()?;
            Some(set >> (signal - 1) & 1 == 1)
        };
        Some(SignalState {
            is_pending: has(fields.nth(PENDING))?,
            is_blocked: has(fields.next())?,
        })
    })
}

/// What `read` makes of the kernel's line about a thread of this process: its fields from the
/// state on, all numbers but that.
fn stat<T>(tid: i32, read: impl FnOnce(SplitAsciiWhitespace<'_>) -> Option<T>) -> Option<T> {
    let mut path = [0u8; 40];
    let mut left = &mut path[..];
    write!(left, "/proc/self/task/{tid}/stat").ok()?;
    let len = 40 - left.len();
    let path = std::str::from_utf8(&path[..len]).ok()?;
    let file: OwnedFd =
        rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut text = [0u8; 1024];
    let n = rustix::io::read(&file, &mut text).ok()?;
    // `12 (name) R ...`: the name may hold anything, at most 15 bytes of it.
    let close = text[..n].iter().rposition(|byte| *byte == b')')?;
    read(
        std::str::from_utf8(&text[close + 1..n])
            .ok()?
            .split_ascii_whitespace(),
    )
}

/// Whether the calling thread blocks `signal`.
pub(crate) fn blocks(signal: c_int) -> bool {
    // SAFETY: zeroes are a valid set, which the kernel overwrites.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: asks for the mask only.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &raw mut set) };
    // SAFETY: `set` is a valid set.
    unsafe { libc::sigismember(&raw const set, signal) == 1 }
}

/// Lets the kernel end short sleeps of the calling thread when they are over and not up to 50 µs
/// later. Its threads and children inherit that: so a thread on which the program runs asks for it
/// only while it sleeps, with [`precisely`].
pub(crate) fn sleep_precisely() {
    set_slack(1);
}

/// A sleep of this length ends by a thousandth of its length too late anyway (epoll(7) of Linux),
/// and that is the usual slack.
const SHORT_SLEEP_MAX: Duration = Duration::from_millis(50);

/// Runs `wait`, which sleeps for `time` at most in epoll, so that it ends when it should.
pub(crate) fn precisely<T>(time: Option<Duration>, wait: impl FnOnce() -> T) -> T {
    let is_short = time.is_some_and(|time| !time.is_zero() && time < SHORT_SLEEP_MAX);
    if !is_short {
        return wait();
    }
    sleep_precisely();
    let result = wait();
    // The thread's default, that of the thread which started it.
    set_slack(0);
    result
}

fn set_slack(nanos: libc::c_ulong) {
    // SAFETY: a number for the calling thread alone.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, nanos) };
}

/// Whether a thread of this process sleeps, until something wakes it. `None` when it cannot be
/// told.
pub(crate) fn sleeps(tid: i32) -> Option<bool> {
    stat(tid, |mut fields| Some(fields.next()? == "S"))
}

/// The numbers of all threads of this process, in the kernel's order.
pub(crate) fn all() -> Option<Vec<i32>> {
    let tasks = std::fs::read_dir("/proc/self/task").ok()?;
    tasks
        .map(|task| task.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

/// The signals for which this process has handlers: bit n is signal n + 1. `None` when it cannot be
/// told.
pub(crate) fn caught_signals() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let set = status
        .lines()
        .find_map(|line| line.strip_prefix("SigCgt:"))?;
    u64::from_str_radix(set.trim(), 16).ok()
}

/// CPUs that this process may use: affinity, and the quotas of its control groups (version 1 and 2,
/// ancestors included), as std reads them. At least 1.
pub(crate) fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_which_waits_have_no_end() {
        use std::sync::mpsc::{channel, sync_channel};
        assert_eq!(waits_without_end(id()), Some(false));
        let (tell, told) = channel();
        let start = |wait: fn(std::sync::mpsc::Receiver<()>)| {
            let tell = tell.clone();
            let (send, receive) = sync_channel(0);
            let thread = std::thread::spawn(move || {
                tell.send(id()).unwrap();
                wait(receive);
            });
            (thread, send, told.recv().unwrap())
        };
        let (endless, end, tid) = start(|receive| _ = receive.recv());
        while waits_without_end(tid) != Some(true) {
            std::thread::yield_now();
        }
        drop(end);
        endless.join().unwrap();
        let hour = |receive: std::sync::mpsc::Receiver<()>| {
            _ = receive.recv_timeout(Duration::from_secs(3600));
        };
        let (bounded, end, tid) = start(hour);
        while is_running(tid) != Some(false) {
            std::thread::yield_now();
        }
        assert_eq!(waits_without_end(tid), Some(false));
        drop(end);
        bounded.join().unwrap();
        assert_eq!(waits_without_end(i32::MAX), None);
    }

    #[test]
    fn the_kernel_tells_how_a_thread_and_its_signals_stand() {
        // Ignored by default.
        const SIGNAL: c_int = libc::SIGWINCH;
        let me = id();
        let stands = |is_pending, is_blocked| {
            let expected = SignalState {
                is_pending,
                is_blocked,
            };
            assert_eq!(signal_state(me, SIGNAL), Some(expected));
        };
        assert_eq!(is_running(me), Some(true));
        stands(false, false);
        let mask = |how| {
            // SAFETY: zeroes are a valid set, and the signal exists.
            let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
            // SAFETY: the set is valid.
            unsafe { libc::sigaddset(&raw mut set, SIGNAL) };
            // SAFETY: likewise; the mask is this thread's.
            unsafe { libc::pthread_sigmask(how, &raw const set, std::ptr::null_mut()) };
        };
        mask(libc::SIG_BLOCK);
        stands(false, true);
        assert!(blocks(SIGNAL));
        signal(me, SIGNAL);
        stands(true, true);
        mask(libc::SIG_UNBLOCK);
        stands(false, false);
        assert_eq!(signal_state(i32::MAX, SIGNAL), None);
    }
}
