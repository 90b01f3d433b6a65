//! What code can change about the thread that runs it, as far as a program can ask for it.
//!
//! Contract mode compares the state of a thread at a suspension with the state that the thread had
//! before it ran a goroutine: what differs would be left to the next goroutine.

#![expect(unsafe_code, reason = "asks the C library about the calling thread")]

use std::ffi::{CStr, c_void};
use std::sync::OnceLock;

/// The state of one thread at one time.
#[derive(Debug)]
pub(crate) struct ThreadState {
    signals: Vec<u8>,
    locale: usize,
    cpus: Vec<u8>,
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
fn signals() -> Vec<u8> {
    // SAFETY: zeroes are a valid set, which the kernel overwrites.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: asks for the mask only.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &raw mut set) };
    // SAFETY: it was all zeroes, so no byte is unset.
    unsafe { bytes(&set) }
}

/// # Safety
/// No byte of `value` is unset, padding included.
unsafe fn bytes<T>(value: &T) -> Vec<u8> {
    // SAFETY: the memory of a value, set by the contract.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast(), size_of::<T>()) }.to_vec()
}

fn locale() -> usize {
    // SAFETY: null asks for the locale and changes nothing.
    unsafe { libc::uselocale(std::ptr::null_mut()) }.addr()
}

/// Which of the first 1024 CPUs the thread may use.
fn cpus() -> Vec<u8> {
    // SAFETY: zeroes are a valid set, which the kernel overwrites.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: 0 is the calling thread, and the size is that of `set`.
    unsafe { libc::sched_getaffinity(0, size_of_val(&set), &raw mut set) };
    // SAFETY: it was all zeroes, so no byte is unset.
    unsafe { bytes(&set) }
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

type Globals = extern "C" fn() -> *const Exceptions;

/// The C++ library's function that gives the state of the calling thread, if one is loaded.
fn globals() -> Option<Globals> {
    static FOUND: OnceLock<Globals> = OnceLock::new();
    if let Some(found) = FOUND.get() {
        return Some(*found);
    }
    const NAME: &CStr = c"__cxa_get_globals";
    // SAFETY: looks the name up in what is loaded.
    let mut found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, NAME.as_ptr()) };
    if found.is_null() {
        // It may have come with a library that was loaded for itself.
        let flags = libc::RTLD_LAZY | libc::RTLD_NOLOAD;
        // SAFETY: gives a library that is loaded already, and loads none.
        let library = unsafe { libc::dlopen(c"libstdc++.so.6".as_ptr(), flags) };
        if !library.is_null() {
            // SAFETY: a library, which stays loaded: it is not closed.
            found = unsafe { libc::dlsym(library, NAME.as_ptr()) };
        }
    }
    // SAFETY: of this type in every C++ library with the Itanium ABI, and null is `None`.
    let found = unsafe { std::mem::transmute::<*mut c_void, Option<Globals>>(found) }?;
    Some(*FOUND.get_or_init(|| found))
}

/// Whether a C++ exception is being thrown or handled on the thread. False without a C++ library.
fn handles_exceptions() -> bool {
    let Some(globals) = globals() else {
        return false;
    };
    // SAFETY: the ABI gives a valid structure of the calling thread.
    let exceptions = unsafe { &*globals() };
    !exceptions.caught.is_null() || exceptions.uncaught != 0
}
