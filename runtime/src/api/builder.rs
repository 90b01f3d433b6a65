//! Settings of a runtime.

#![expect(
    unsafe_code,
    reason = "building a runtime is unsafe: the thread-local contract"
)]

use std::io;
use std::num::NonZero;
use std::sync::Arc;

use gopark_stack::{Class, LIMIT_BYTES_MAX, WINDOW_BYTES_DEFAULT};

use crate::api::runtime::Runtime;
use crate::sched::shared::{Config, Shared};

const PROCS_MAX: usize = 1024;

/// Builds a [`Runtime`].
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    procs: Option<usize>,
    stack_limit: usize,
    stack_window: usize,
    thread_name: String,
}

impl Default for Builder {
    fn default() -> Builder {
        Builder::new()
    }
}

impl Builder {
    /// The defaults.
    pub fn new() -> Builder {
        Builder {
            procs: None,
            stack_limit: LIMIT_BYTES_MAX,
            stack_window: WINDOW_BYTES_DEFAULT,
            thread_name: String::from("gopark"),
        }
    }

    /// Goroutines that run at the same time. 0 and the default: `GOPARK_PROCS` if set and not 0,
    /// else the number of CPUs that this process may use.
    #[doc(alias = "GOMAXPROCS")]
    pub fn procs(mut self, procs: usize) -> Builder {
        self.procs = Some(procs).filter(|n| *n != 0);
        self
    }

    /// Limit of a goroutine's stack in bytes, 64 KiB ..= 1 GiB (the default), rounded up to 64 KiB,
    /// 16 MiB or 1 GiB. A goroutine that exceeds it is reported and the process aborts.
    pub fn stack_limit(mut self, bytes: usize) -> Builder {
        self.stack_limit = bytes;
        self
    }

    /// Bytes of a stack that are accessible from the start (256 KiB by default; memory is used only
    /// for pages that are touched). Below it a stack grows through a fault, which system calls do
    /// not raise: they fail with `EFAULT`. From one page; rounded up to pages.
    pub fn stack_window(mut self, bytes: usize) -> Builder {
        self.stack_window = bytes;
        self
    }

    /// Name of the OS threads, a number is appended.
    pub fn thread_name(mut self, name: impl Into<String>) -> Builder {
        self.thread_name = name.into();
        self
    }

    /// Starts the runtime.
    ///
    /// # Safety
    /// Goroutines move between OS threads whenever they may suspend. All code that runs on them:
    /// - holds no borrow of a thread-local (`LocalKey::with`) and no guard bound to a thread (std's
    ///   `MutexGuard`, `rand::rng()`) across a call that may suspend;
    /// - is not compiled so that it keeps the address of a thread-local across such a call.
    ///
    /// # Errors
    /// `InvalidInput`, naming the value, for settings out of range (also of `GOPARK_PROCS`,
    /// `GOPARK_GUARD`, `GOPARK_ARENA`, `GOPARK_DEBUG`); what the kernel says to a reservation of
    /// address space, a signal handler or a thread.
    pub unsafe fn build(self) -> io::Result<Runtime> {
        let (migrate, seed) = debug_settings()?;
        let config = Config {
            procs: self.procs_checked()?,
            class: Class::for_limit(self.stack_limit)?,
            window: self.stack_window,
            thread_name: self.thread_name,
            migrate,
            seed,
        };
        let shared = Arc::new(Shared::new(config)?);
        Runtime::start(shared)
    }

    fn procs_checked(&self) -> io::Result<usize> {
        let from_env = || match std::env::var("GOPARK_PROCS") {
            Err(_) => Ok(0),
            Ok(text) => text
                .parse::<usize>()
                .map_err(|_| invalid("GOPARK_PROCS", &text)),
        };
        let procs = match self.procs {
            Some(n) => n,
            None => match from_env()? {
                0 => num_cpu(),
                n => n,
            },
        };
        if procs > PROCS_MAX {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("procs of {procs} is outside 1..={PROCS_MAX}"),
            ));
        }
        Ok(procs)
    }
}

/// Goroutines that can run at the same time: CPUs that this process may use.
#[doc(alias = "NumCPU")]
pub fn num_cpu() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// `GOPARK_DEBUG=migrate,seed=N`.
fn debug_settings() -> io::Result<(bool, u64)> {
    let text = std::env::var("GOPARK_DEBUG").unwrap_or_default();
    let (mut migrate, mut seed) = (false, 0);
    for word in text.split(',').filter(|word| !word.is_empty()) {
        match word.split_once('=') {
            None if word == "migrate" => migrate = true,
            Some(("seed", n)) => seed = n.parse().map_err(|_| invalid("GOPARK_DEBUG", &text))?,
            _ => return Err(invalid("GOPARK_DEBUG", &text)),
        }
    }
    Ok((migrate, seed))
}

fn invalid(variable: &str, text: &str) -> io::Error {
    let message = format!("{variable}={text} cannot be understood");
    io::Error::new(io::ErrorKind::InvalidInput, message)
}
