//! What code can change about the thread that runs it, as far as a program can ask for it.
//!
//! Contract mode compares the state of a thread at a suspension with the state that the thread had
//! before it ran a goroutine: what differs would be left to the next goroutine.

#![expect(unsafe_code, reason = "asks the C library about the calling thread")]

use std::ffi::c_void;
use std::sync::OnceLock;

/// The state of one thread at one time.
#[derive(Debug)]
pub(crate) struct ThreadState {
    signals: Vec<bool>,
    locale: usize,
    cpus: Vec<bool>,
    nice: i32,
    exceptions: bool,
}

impl ThreadState {
    /// The state of the calling thread.
    pub(crate) fn now() -> ThreadState {
        ThreadState {
            signals: signals(),
            locale: locale(),
            cpus: cpus(),
            nice: nice(),
            exceptions: handles_exceptions(),
        }
    }

    /// What differs from the state `before`, in words that follow "it has".
    pub(crate) fn difference(&self, before: &ThreadState) -> Option<&'static str> {
        let differences = [
            (
                self.exceptions && !before.exceptions,
                "a C++ exception in flight (it is in a catch block, or below a destructor)",
            ),
            (
                self.signals != before.signals,
                "changed the thread's signal mask (pthread_sigmask)",
            ),
            (
                self.locale != before.locale,
                "changed the thread's locale (uselocale)",
            ),
            (
                self.cpus != before.cpus,
                "changed the thread's CPU affinity (sched_setaffinity)",
            ),
            (
                self.nice != before.nice,
                "changed the thread's priority (setpriority)",
            ),
        ];
        let found = differences.iter().find(|(differs, _)| *differs);
        found.map(|(_, text)| *text)
    }
}

/// Which signals the thread blocks.
fn signals() -> Vec<bool> {
    // SAFETY: zeroes are a valid set, which the kernel overwrites.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: asks for the mask only.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &raw mut set) };
    // SAFETY: `set` is a valid set.
    let blocks = |signal| unsafe { libc::sigismember(&raw const set, signal) == 1 };
    (1..=libc::SIGRTMAX()).map(blocks).collect()
}

fn locale() -> usize {
    // SAFETY: null asks for the locale and changes nothing.
    unsafe { libc::uselocale(std::ptr::null_mut()) }.addr()
}

/// Which of the first 1024 CPUs the thread may use.
fn cpus() -> Vec<bool> {
    // SAFETY: zeroes are a valid set, which the kernel overwrites.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: 0 is the calling thread, and the size is that of `set`.
    unsafe { libc::sched_getaffinity(0, size_of_val(&set), &raw mut set) };
    // SAFETY: below the number of CPUs that a set holds.
    let may_use = |cpu| unsafe { libc::CPU_ISSET(cpu, &set) };
    (0..libc::CPU_SETSIZE as usize).map(may_use).collect()
}

/// The nice value of the thread: on Linux it belongs to threads.
fn nice() -> i32 {
    // SAFETY: 0 is the calling thread.
    unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
}

/// What the C++ library keeps of each thread: the Itanium ABI's `__cxa_eh_globals`.
#[repr(C)]
struct Exceptions {
    caught: *mut c_void,
    uncaught: u32,
}

/// Whether a C++ exception is being thrown or handled on the thread. False without a C++ library.
fn handles_exceptions() -> bool {
    type Globals = extern "C" fn() -> *const Exceptions;
    static GLOBALS: OnceLock<Option<Globals>> = OnceLock::new();
    let globals = GLOBALS.get_or_init(|| {
        // SAFETY: looks the name up in what is loaded.
        let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"__cxa_get_globals".as_ptr()) };
        // SAFETY: of this type in every C++ library with the Itanium ABI, and null is `None`.
        unsafe { std::mem::transmute::<*mut c_void, Option<Globals>>(found) }
    });
    let Some(globals) = globals else {
        return false;
    };
    // SAFETY: the ABI gives a valid structure of the calling thread.
    let exceptions = unsafe { &*globals() };
    !exceptions.caught.is_null() || exceptions.uncaught != 0
}
