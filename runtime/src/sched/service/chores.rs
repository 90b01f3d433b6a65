//! What may block or allocate, and so is done by a thread of its own: starting threads, trimming
//! stacks, following limits, printing, reports.
//!
//! Ms do not start threads themselves: a new thread inherits the starter's odd state (namespaces,
//! signal mask, CPU affinity), which a goroutine that locked its thread may have changed; and
//! thread creation takes locks that a suspended thread may hold.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gopark_stack::Intruder;

use super::deadlock::{self, WAITING_THREADS};
use super::resize;
use super::stuck::Stuck;
use super::trace;
use super::trim::Trimmer;
use crate::fatal::{self, warn};
use crate::sched::run;
use crate::sched::shared::{Preemption, Shared};
use crate::sched::sysmon::preempt;
use crate::sys::futex;

/// Stack of an OS thread that runs goroutines; foreign code with large frames may use it.
pub(crate) const THREAD_STACK_BYTES: usize = 8 << 20;
/// How long to wait when the system gives no thread.
const RETRY_PAUSE: Duration = Duration::from_millis(10);
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// So few timers are looked at whenever everybody rests.
const SWEEP_ALWAYS_MAX: usize = 256;

/// What there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Chore {
    /// Start a thread.
    Start = 1,
    /// Once a second while anything runs.
    Upkeep = 2,
    /// Everybody is about to sleep.
    Rest = 4,
    LongSlices = 8,
    TellThreadsMax = 16,
    /// Nobody has asked the network for long.
    Poll = 32,
    /// Start the lender of panic counts.
    Lend = 64,
    End = 128,
}

/// What others see of the thread.
#[derive(Debug)]
pub(crate) struct Chores {
    /// What is asked for; the thread sleeps on it.
    asked: AtomicU32,
    /// Threads of Ms.
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Chores {
    pub(crate) fn new() -> Chores {
        Chores {
            asked: AtomicU32::new(0),
            threads: Mutex::new(Vec::new()),
        }
    }

    /// Keeps the handle of a thread for the end; those that are over are let go.
    fn keep(&self, thread: JoinHandle<()>) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread);
    }

    /// The handles, for the end.
    pub(crate) fn take_threads(&self) -> Vec<JoinHandle<()>> {
        std::mem::take(&mut self.threads.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether there is something to do.
    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed) != 0
    }

    /// Asks for a chore. Allocates nothing and takes no lock.
    pub(crate) fn ask(&self, chore: Chore) {
        // Release: pairs with the Acquire of the thread.
        if self.asked.fetch_or(chore as u32, Ordering::Release) & chore as u32 == 0 {
            futex::wake(&self.asked);
        }
    }
}

/// The thread's memory.
struct Worker<'a> {
    shared: &'a Arc<Shared>,
    trimmer: Trimmer,
    stuck: Stuck,
    next_trace: Option<Instant>,
    told_signal: bool,
    told_no_thread: bool,
    fault_watch: FaultWatch,
    /// When stale timers were looked for.
    swept: Option<Instant>,
}

/// The body of the thread.
pub(crate) fn chores_main(shared: &Arc<Shared>) {
    let mut worker = Worker {
        shared,
        trimmer: Trimmer::new(),
        stuck: Stuck::default(),
        next_trace: shared.config.trace.map(|every| Instant::now() + every),
        told_signal: false,
        told_no_thread: false,
        fault_watch: FaultWatch::Quiet,
        swept: None,
    };
    let mut retry = None;
    loop {
        // Acquire: pairs with `ask`.
        let asked = shared.chores.asked.swap(0, Ordering::Acquire);
        if asked == 0 && retry.is_none() && !worker.trace_due() {
            let pause = worker
                .next_trace
                .map(|at| at.saturating_duration_since(Instant::now()));
            futex::wait(&shared.chores.asked, 0, pause);
            continue;
        }
        let is = |chore: Chore| asked & chore as u32 != 0;
        if is(Chore::Start) || retry.is_some() {
            retry = start_threads(shared).err();
            if let Some(error) = &retry {
                worker.tell_no_thread(error);
                futex::wait(&shared.chores.asked, 0, Some(RETRY_PAUSE));
            }
        }
        worker.do_others(is);
        if is(Chore::End) {
            return;
        }
    }
}

impl Worker<'_> {
    /// Stale timers wake an M in vain when their time comes, and hide that nobody can wake up any
    /// more. Looking for them looks at everybody who waits for a moment: at most once a second,
    /// unless they are few, or all may be stale.
    fn sweep(&mut self) {
        let (stale, all) = self.shared.stale_timers();
        let is_due = self.swept.is_none_or(|at| at.elapsed() >= SWEEP_EVERY);
        if is_due || all <= SWEEP_ALWAYS_MAX || stale >= all {
            self.swept = Some(Instant::now());
            self.shared.sweep_timers();
        }
    }

    fn do_others(&mut self, is: impl Fn(Chore) -> bool) {
        let shared = self.shared;
        if is(Chore::Upkeep) {
            self.trimmer.upkeep(shared);
            resize::follow(shared);
            self.stuck.check(shared);
            self.check_signal();
            self.check_fault_handler();
        }
        if is(Chore::Rest) {
            self.trimmer.rest(shared);
            self.sweep();
            deadlock::check(shared);
            self.stuck.check(shared);
        }
        if is(Chore::LongSlices)
            && let Some(hook) = &shared.config.long_slice
        {
            hook.tell(shared);
        }
        if is(Chore::Poll) {
            let mut any = false;
            shared.net.look(shared, &mut |g| {
                shared.inject.push(g.into());
                any = true;
            });
            if any {
                shared.submitted();
            }
        }
        if is(Chore::Lend)
            && let Err(error) = start_lender(shared)
        {
            shared.panic_counts.refuse();
            self.tell_no_thread(&error);
        }
        if is(Chore::TellThreadsMax) {
            warn(format_args!(
                "the limit of {} threads is reached; goroutines wait for a thread \
                 (runtime::Builder::max_threads)",
                shared.config.threads_max
            ));
        }
        if self.trace_due() {
            trace::print(shared);
            let every = shared.config.trace.unwrap_or(Duration::MAX);
            self.next_trace = Instant::now().checked_add(every);
        }
    }

    fn trace_due(&self) -> bool {
        self.next_trace.is_some_and(|at| at <= Instant::now())
    }

    fn tell_no_thread(&mut self, error: &std::io::Error) {
        if !std::mem::replace(&mut self.told_no_thread, true) {
            warn(format_args!(
                "the system gives no thread ({error}); goroutines wait for one"
            ));
        }
    }

    /// A handler that was set later may call ours: only silence tells that it does not.
    fn check_signal(&mut self) {
        let needed = self.shared.config.preemption == Preemption::Suspend;
        if needed && !self.told_signal && !preempt::is_installed() && preempt::is_unanswered() {
            self.told_signal = true;
            warn(format_args!(
                "the program has replaced the handler of SIGURG: goroutines that run for long are \
                 detached instead of suspended"
            ));
        }
    }

    /// A handler of SIGSEGV that was set later may call the one under which stacks grow: a growth
    /// proves it. Without one the person who runs the program is told.
    fn check_fault_handler(&mut self) {
        let Some(intruder) = gopark_stack::intruder() else {
            return;
        };
        let growths = gopark_stack::stats().map_or(0, |stats| stats.growths);
        let by = match (intruder, self.fault_watch) {
            (_, FaultWatch::Over) => return,
            (Intruder::OnSignalStack, FaultWatch::Quiet) => {
                self.fault_watch = FaultWatch::Seen { growths };
                return;
            }
            (Intruder::OnSignalStack, FaultWatch::Seen { growths: before }) => {
                self.fault_watch = FaultWatch::Over;
                if growths > before {
                    return;
                }
                "by one that may not call the earlier one"
            }
            (Intruder::OnUserStack, _) => "by one without SA_ONSTACK",
            (Intruder::Default, _) => "by the default action",
        };
        self.fault_watch = FaultWatch::Over;
        warn(format_args!(
            "the program has replaced the handler of SIGSEGV {by}: if it is not called, a \
             goroutine whose stack must grow beyond {} bytes ends the process",
            self.shared.config.window
        ));
    }
}

/// What is known of a handler of SIGSEGV in front of the one under which stacks grow.
#[derive(Clone, Copy, Debug)]
enum FaultWatch {
    /// There was none.
    Quiet,
    /// It was there at the last look, when there had been so many growths.
    Seen { growths: u64 },
    /// It was told, or calls the other one.
    Over,
}

/// Starts the first M.
///
/// # Errors
/// What the system says.
pub(crate) fn start_first(shared: &Arc<Shared>) -> std::io::Result<()> {
    let _ = shared.idle.spare();
    start_threads(shared)
}

/// Starts the threads that the idle list asks for.
fn start_threads(shared: &Arc<Shared>) -> std::io::Result<()> {
    while let Some(number) = shared.idle.next_thread() {
        shared.machines.make(number);
        match start_machine(shared, number) {
            Ok(thread) => shared.chores.keep(thread),
            Err(error) => {
                // The work stays queued; Ms that are awake will come to it.
                shared.idle.failed(number);
                return Err(error);
            }
        }
    }
    Ok(())
}

/// Starts the thread of M number `number`.
fn start_machine(shared: &Arc<Shared>, number: usize) -> std::io::Result<JoinHandle<()>> {
    let shared_too = Arc::clone(shared);
    let name = format!("{}-{number}", shared.config.thread_name);
    let body = move || run::machine_main(&shared_too, number);
    fatal::spawn(name, Some(THREAD_STACK_BYTES), body)
}

/// Starts the lender of panic counts.
fn start_lender(shared: &Arc<Shared>) -> std::io::Result<()> {
    let shared_too = Arc::clone(shared);
    // It waits for goroutines and does nothing else; out of the count again by itself.
    WAITING_THREADS.fetch_add(1, Ordering::Relaxed);
    let name = format!("{}-lender", shared.config.thread_name);
    match fatal::spawn(name, None, move || shared_too.panic_counts.lender_main()) {
        Ok(thread) => shared.chores.keep(thread),
        Err(error) => {
            WAITING_THREADS.fetch_sub(1, Ordering::Relaxed);
            return Err(error);
        }
    }
    Ok(())
}
