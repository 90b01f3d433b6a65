//! A signal handler in front of the one that was there before.

#![expect(unsafe_code, reason = "installs signal handlers and calls others'")]

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::io;
use std::mem::MaybeUninit;

/// A handler that gets the signal's details (`SA_SIGINFO`).
pub type Handler = unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

/// What [`Previous::call`] found.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chained {
    /// A handler was called.
    Called,
    /// There was none: the signal's default action is due.
    NoHandler,
    /// The signal was ignored.
    Ignored,
}

/// The handler of one signal that was there before ours.
///
/// # Safety
/// Written by [`Previous::install`] before our handler is set, once; read by the handler only.
#[derive(Debug)]
pub struct Previous(UnsafeCell<MaybeUninit<libc::sigaction>>);

// SAFETY: see the type.
unsafe impl Sync for Previous {}

impl Default for Previous {
    fn default() -> Previous {
        Previous::new()
    }
}

impl Previous {
    /// Nothing yet.
    pub const fn new() -> Previous {
        Previous(UnsafeCell::new(MaybeUninit::zeroed()))
    }

    /// Sets `handler` for `signal`, to run on the alternate stack with the signals of `blocked`
    /// blocked as well, and keeps what was set before.
    ///
    /// # Safety
    /// - called once for this value, and never while `handler` may run;
    /// - `handler` is async-signal-safe.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub unsafe fn install(
        &self,
        signal: c_int,
        handler: Handler,
        blocked: &[c_int],
    ) -> io::Result<()> {
        // SAFETY: zeroes are a valid sigaction.
        let mut ours: libc::sigaction = unsafe { std::mem::zeroed() };
        ours.sa_sigaction = handler as *const () as usize;
        ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
        // SAFETY: the mask is ours.
        unsafe { libc::sigemptyset(&raw mut ours.sa_mask) };
        for other in blocked {
            // SAFETY: the mask is ours.
            unsafe { libc::sigaddset(&raw mut ours.sa_mask, *other) };
        }
        let previous = self.0.get().cast::<libc::sigaction>();
        // SAFETY: asks for the present action only; nobody reads this yet.
        let read = unsafe { libc::sigaction(signal, std::ptr::null(), previous) };
        // SAFETY: `ours` is complete; the handler is the caller's promise.
        let set = unsafe { libc::sigaction(signal, &raw const ours, std::ptr::null_mut()) };
        if read != 0 || set != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// Calls the handler that was there before. Async-signal-safe as far as that is.
    ///
    /// # Safety
    /// Called by the handler that was installed, with the arguments of the signal.
    pub unsafe fn call(
        &self,
        signal: c_int,
        info: *mut libc::siginfo_t,
        context: *mut c_void,
    ) -> Chained {
        // SAFETY: written before our handler was set, never again.
        let previous = unsafe { self.0.get().cast::<libc::sigaction>().read() };
        match previous.sa_sigaction {
            libc::SIG_DFL => return Chained::NoHandler,
            libc::SIG_IGN => return Chained::Ignored,
            _ => {}
        }
        if previous.sa_flags & libc::SA_SIGINFO != 0 {
            // SAFETY: SA_SIGINFO says that it is such a function.
            let action = unsafe {
                std::mem::transmute::<libc::sighandler_t, Handler>(previous.sa_sigaction)
            };
            // SAFETY: the arguments are those of the signal.
            unsafe { action(signal, info, context) };
        } else {
            type Action = unsafe extern "C" fn(c_int);
            // SAFETY: without SA_SIGINFO it is such a function.
            let action =
                unsafe { std::mem::transmute::<libc::sighandler_t, Action>(previous.sa_sigaction) };
            // SAFETY: the argument is that of the signal.
            unsafe { action(signal) };
        }
        Chained::Called
    }
}

/// The present action of a signal. Async-signal-safe.
pub(crate) fn action_of(signal: c_int) -> Option<libc::sigaction> {
    // SAFETY: zeroes are a valid sigaction.
    let mut now: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: asks for the present action only.
    let read = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut now) };
    (read == 0).then_some(now)
}

/// Sets the default action of a signal. Async-signal-safe.
pub(crate) fn set_default(signal: c_int) {
    // SAFETY: zeroes are the default action.
    let default: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: a complete action.
    unsafe { libc::sigaction(signal, &raw const default, std::ptr::null_mut()) };
}
