//! Settings of a runtime.

#![expect(
    unsafe_code,
    reason = "building a runtime is unsafe: the thread-local contract"
)]

use std::io;
use std::sync::Arc;
use std::time::Duration;

use gopark_stack::{Class, LIMIT_BYTES_MAX, WINDOW_BYTES_DEFAULT};

use crate::api::runtime::Runtime;
use crate::sched::panics::UnhandledPanic;
use crate::sched::roster::PROCS_MAX;
use crate::sched::service::deadlock::Deadlock;
use crate::sched::service::shutdown::OnEnd;
use crate::sched::shared::{Config, Preemption, Shared};
use crate::sched::sysmon::long_slice::{LongSlice, LongSliceHook};
use crate::sys::{asymmetric, thread};

/// Threads that may be asked for: as many as Linux can number.
const THREADS_MAX: usize = 4 << 20;
const THREADS_DEFAULT: usize = 10_000;
const KEEP_ALIVE_DEFAULT: Duration = Duration::from_secs(10);
const EXIT_GRACE_DEFAULT: Duration = Duration::from_secs(1);
const TIME_SLICE_DEFAULT: Duration = Duration::from_millis(10);
const TIME_SLICE_MIN: Duration = Duration::from_micros(100);

/// Builds a [`Runtime`].
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    procs: Option<usize>,
    stack_limit: usize,
    stack_window: usize,
    thread_name: String,
    max_threads: usize,
    keep_alive: Duration,
    time_slice: Duration,
    preemption: Preemption,
    long_slice: Option<LongSliceHook>,
    unhandled_panic: UnhandledPanic,
    deadlock: Deadlock,
    exit_grace: Duration,
    on_end: OnEnd,
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
            max_threads: THREADS_DEFAULT,
            keep_alive: KEEP_ALIVE_DEFAULT,
            time_slice: TIME_SLICE_DEFAULT,
            preemption: Preemption::Suspend,
            long_slice: None,
            unhandled_panic: UnhandledPanic::default(),
            deadlock: Deadlock::default(),
            exit_grace: EXIT_GRACE_DEFAULT,
            on_end: OnEnd::Leave,
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
    ///
    /// C code that was built without `-fstack-clash-protection` does not touch the pages of a large
    /// frame in order. A frame of up to 64 KiB that exceeds the limit is always noticed. A larger
    /// one may end in the stack of a neighbour: it is reported when a guard is touched, or at the
    /// next call of the runtime, and what it has written until then is lost to the neighbour.
    /// Frames of more than 64 KiB on stacks of 64 KiB are such frames: run that code in
    /// [`on_thread_stack`](crate::on_thread_stack).
    pub fn stack_limit(mut self, bytes: usize) -> Builder {
        self.stack_limit = bytes;
        self
    }

    /// Bytes of a stack that are accessible from the start (256 KiB by default; memory is used only
    /// for pages that are touched). From one page; rounded up to pages.
    ///
    /// Below it a stack grows through a fault. System calls do not raise faults: a buffer that
    /// nothing has touched yet gets `EFAULT` if it lies in the guard below the window (64 KiB, up
    /// to 2 MiB below a window that has grown). A C function's call of `read` touches the low end
    /// of its frame first, and the stack then grows over the whole of it: so only frames that reach
    /// from the window to below the guard are concerned.
    ///
    /// Signal handlers without `SA_ONSTACK` run on the goroutine's stack. Where the window ends the
    /// kernel has no room for their frame: the stack grows, and that one signal is lost. A stack
    /// cannot grow while its thread blocks SIGSEGV, or has no signal stack because foreign code has
    /// taken it away (the thread restores it within a second): the kernel then ends the process.
    pub fn stack_window(mut self, bytes: usize) -> Builder {
        self.stack_window = bytes;
        self
    }

    /// Name of the OS threads, a number is appended.
    pub fn thread_name(mut self, name: impl Into<String>) -> Builder {
        self.thread_name = name.into();
        self
    }

    /// Threads that run goroutines, at most (10,000 by default, from 2). Blocked goroutines keep
    /// theirs; when there are no more, the others wait for a thread, and a line on standard error
    /// says so once.
    #[doc(alias = "SetMaxThreads")]
    pub fn max_threads(mut self, threads: usize) -> Builder {
        self.max_threads = threads;
        self
    }

    /// How long a thread without work waits before it ends (10 s by default), as long as there are
    /// more of them than Ps.
    pub fn thread_keep_alive(mut self, time: Duration) -> Builder {
        self.keep_alive = time;
        self
    }

    /// How long a goroutine may run while others wait (10 ms by default, from 100 µs); goroutines
    /// that take turns share a slice.
    pub fn time_slice(mut self, slice: Duration) -> Builder {
        self.time_slice = slice;
        self
    }

    /// What happens to goroutines that do not come back from a slice (`Preemption::Suspend` by
    /// default).
    pub fn preemption(mut self, preemption: Preemption) -> Builder {
        self.preemption = preemption;
        self
    }

    /// Calls `report` once for each slice that has lasted for `threshold`, from a thread of
    /// its own. It is for finding code that hogs its thread: such a goroutine delays nobody
    /// beyond its slice.
    pub fn on_long_slice(
        mut self,
        threshold: Duration,
        report: impl Fn(&LongSlice) + Send + Sync + 'static,
    ) -> Builder {
        self.long_slice = Some(LongSliceHook::new(threshold, report));
        self
    }

    /// What becomes of the process when a goroutine panics and does not catch it
    /// ([`UnhandledPanic::Ignore`] by default).
    ///
    /// ```
    /// use gopark::runtime::{Builder, UnhandledPanic};
    ///
    /// // As in Go.
    /// let builder = Builder::new().unhandled_panic(UnhandledPanic::Exit);
    /// # drop(builder);
    /// ```
    pub fn unhandled_panic(mut self, then: UnhandledPanic) -> Builder {
        self.unhandled_panic = then;
        self
    }

    /// What is done about a deadlock ([`Deadlock::Abort`] by default): nothing in the process can
    /// run any more.
    ///
    /// ```
    /// use gopark::runtime::{Builder, Deadlock};
    ///
    /// // The main goroutine parks for ever: the program lives until a signal ends it.
    /// let builder = Builder::new().deadlock(Deadlock::Off);
    /// # drop(builder);
    /// ```
    pub fn deadlock(mut self, then: Deadlock) -> Builder {
        self.deadlock = then;
        self
    }

    /// How long the end of the runtime waits without any goroutine ending (1 s by default) before
    /// it lists on standard error what is left, and does what [`on_end`](Builder::on_end) says.
    /// Goroutines whose destructors run or wait are waited for ten times as long.
    ///
    /// It does not count for [`Runtime::shutdown_timeout`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use gopark::runtime::{Builder, OnEnd};
    ///
    /// let builder = Builder::new()
    ///     .exit_grace(Duration::from_millis(50))
    ///     .on_end(OnEnd::Leave);
    /// // SAFETY: no thread-local borrows here.
    /// let runtime = unsafe { builder.build() }.unwrap();
    /// let (_send, receive) = std::sync::mpsc::channel::<()>();
    /// // This blocks its thread for ever: nothing can end it.
    /// drop(runtime.spawn(move || receive.recv()));
    /// // The process goes on without it.
    /// drop(runtime);
    /// # std::mem::forget(_send);
    /// ```
    pub fn exit_grace(mut self, grace: Duration) -> Builder {
        self.exit_grace = grace;
        self
    }

    /// What the end of the runtime does about goroutines that have not ended when the time of
    /// [`exit_grace`](Builder::exit_grace) is over ([`OnEnd::Leave`] by default).
    pub fn on_end(mut self, on_end: OnEnd) -> Builder {
        self.on_end = on_end;
        self
    }

    /// Starts the runtime.
    ///
    /// # Safety
    /// No code on the goroutines of this runtime does what [`contract`](crate::contract) lists as
    /// unsound: it keeps nothing that is bound to a thread across a call that may suspend.
    ///
    /// # Errors
    /// `InvalidInput`, naming the value, for settings out of range (also of `GOPARK_PROCS`,
    /// `GOPARK_GUARD`, `GOPARK_ARENA`, `GOPARK_DEBUG`, `GOPARK_SCHEDTRACE`); what the kernel says
    /// to a reservation of address space, a signal handler or a thread.
    pub unsafe fn build(self) -> io::Result<Runtime> {
        let debug = debug_settings()?;
        asymmetric::choose(debug.fences)?;
        let (procs, procs_follow) = self.procs_checked()?;
        let ms = within("max_threads", self.max_threads, 2, THREADS_MAX)?;
        if self.thread_name.contains('\0') {
            let name = &self.thread_name;
            return Err(invalid(format!(
                "thread name {name:?} contains a zero byte"
            )));
        }
        if self.time_slice < TIME_SLICE_MIN {
            let given = self.time_slice;
            return Err(invalid(format!(
                "a time slice of {given:?} is below {TIME_SLICE_MIN:?}"
            )));
        }
        let config = Config {
            procs,
            procs_follow,
            class: Class::for_limit(self.stack_limit)?,
            window: self.stack_window,
            thread_name: self.thread_name,
            threads_max: ms,
            keep_alive: self.keep_alive,
            time_slice: self.time_slice,
            preemption: self.preemption,
            long_slice: self.long_slice,
            unhandled_panic: self.unhandled_panic,
            deadlock: self.deadlock,
            exit_grace: self.exit_grace,
            on_end: self.on_end,
            trace: trace_period()?,
            migrate: debug.migrate,
            contract: debug.contract,
            seed: debug.seed,
        };
        let shared = Arc::new(Shared::new(config)?);
        Runtime::start(shared)
    }

    /// The number of Ps, and whether it follows the machine's limits.
    fn procs_checked(&self) -> io::Result<(usize, bool)> {
        let chosen = match self.procs {
            Some(n) => n,
            None => number_from_env("GOPARK_PROCS")?.unwrap_or(0),
        };
        match chosen {
            0 => Ok((thread::cpus().min(PROCS_MAX), true)),
            n => Ok((within("procs", n, 1, PROCS_MAX)?, false)),
        }
    }
}

fn within(what: &str, n: usize, least: usize, most: usize) -> io::Result<usize> {
    if (least..=most).contains(&n) {
        return Ok(n);
    }
    Err(invalid(format!(
        "{what} of {n} is outside {least}..={most}"
    )))
}

fn number_from_env(name: &str) -> io::Result<Option<usize>> {
    let Some(text) = std::env::var_os(name) else {
        return Ok(None);
    };
    let text = text.to_string_lossy();
    let number = text.parse().map_err(|_| not_understood(name, &text))?;
    Ok(Some(number))
}

/// `GOPARK_SCHEDTRACE`, in milliseconds; 0 means none.
fn trace_period() -> io::Result<Option<Duration>> {
    let ms = number_from_env("GOPARK_SCHEDTRACE")?.filter(|ms| *ms != 0);
    Ok(ms.map(|ms| Duration::from_millis(ms as u64)))
}

/// `GOPARK_DEBUG=migrate,contract,fences,seed=N`.
#[derive(Debug, Default)]
struct Debug {
    migrate: bool,
    contract: bool,
    fences: bool,
    seed: u64,
}

fn debug_settings() -> io::Result<Debug> {
    const NAME: &str = "GOPARK_DEBUG";
    let text = std::env::var(NAME).unwrap_or_default();
    let mut debug = Debug::default();
    for word in text.split(',').filter(|word| !word.is_empty()) {
        match word.split_once('=') {
            None if word == "migrate" => debug.migrate = true,
            None if word == "contract" => debug.contract = true,
            None if word == "fences" => debug.fences = true,
            Some(("seed", n)) => {
                debug.seed = n.parse().map_err(|_| not_understood(NAME, &text))?;
            }
            _ => return Err(not_understood(NAME, &text)),
        }
    }
    Ok(debug)
}

fn not_understood(variable: &str, text: &str) -> io::Error {
    invalid(format!("{variable}={text} cannot be understood"))
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}
