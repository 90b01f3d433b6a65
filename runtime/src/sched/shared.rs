//! What all Ms of a runtime share, and how work and Ps find them.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_deque::{Injector, Steal};
use gopark_stack::Class;

use super::call_sites::CallSites;
use super::claims::Claims;
use super::gate::Gate;
use super::idle::{Idle, Wake};
use super::netpoll::Netpoll;
use super::panic_count::PanicCounts;
use super::panics::UnhandledPanic;
use super::processor::{Processor, Supply};
use super::roster::{Machines, PROCS_MAX, Procs};
use super::service::chores::{Chore, Chores};
use super::service::deadlock::Deadlock;
use super::sysmon::monitor::Monitor;
use super::turn::Notify;
use crate::sched::place::Place;
use crate::sched::seed::Seeds;
use crate::sched::seedbed::Seedbed;
use crate::sched::service::shutdown::OnEnd;
use crate::sched::sysmon::long_slice::LongSliceHook;
use crate::sys::clock::NEVER;
use crate::task::name::Name;

/// What happens to goroutines that do not come back from a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Preemption {
    /// The thread is suspended in a signal handler (SIGURG) until it is its turn again, for at
    /// most 100 ms. So no more goroutines run at a time than there are Ps, whatever they do.
    Suspend,
    /// The P goes to others, and the thread runs on beside it until its next runtime call.
    Detach,
    /// Nothing: the P is lost to others until the goroutine's next runtime call.
    Cooperative,
}

/// Settings of a runtime, checked.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) procs: usize,
    /// The number of Ps was not chosen: it follows the machine's limits.
    pub(crate) procs_follow: bool,
    pub(crate) class: Class,
    pub(crate) window: usize,
    pub(crate) thread_name: String,
    pub(crate) threads_max: usize,
    pub(crate) keep_alive: Duration,
    pub(crate) time_slice: Duration,
    pub(crate) preemption: Preemption,
    pub(crate) long_slice: Option<LongSliceHook>,
    pub(crate) unhandled_panic: UnhandledPanic,
    pub(crate) deadlock: Deadlock,
    pub(crate) exit_grace: Duration,
    pub(crate) on_end: OnEnd,
    /// `GOPARK_SCHEDTRACE`: how often to print a line.
    pub(crate) trace: Option<Duration>,
    /// `GOPARK_DEBUG=migrate`: every wake moves a goroutine to another M, if there is one.
    pub(crate) migrate: bool,
    /// `GOPARK_DEBUG=contract`: each suspension is checked.
    pub(crate) contract: bool,
    pub(crate) seed: u64,
}

impl Config {
    /// Whether the loop of an M sees every goroutine that it runs.
    #[inline]
    pub(crate) fn is_debugging(&self) -> bool {
        self.migrate | self.contract
    }
}

/// See the top of this file.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) procs: Procs,
    pub(crate) machines: Machines,
    pub(crate) inject: Injector<Place>,
    /// Seeds for which their P had no room.
    pub(crate) seedbed: Seedbed,
    pub(crate) claims: Claims,
    /// Which of them make long blocking calls.
    pub(crate) call_sites: CallSites,
    pub(crate) idle: Idle,
    pub(crate) net: Netpoll,
    pub(crate) monitor: Monitor,
    pub(crate) chores: Chores,
    pub(crate) panic_counts: PanicCounts,
    /// What stands for goroutines without a stack.
    pub(crate) seeds: Seeds,
    /// For spawns from outside, and by Ms without a P.
    outside: Mutex<Supply>,
    spawned_outside: AtomicU64,
    ended_outside: AtomicU64,
    /// Names of goroutines, for reports by others than themselves.
    names: Mutex<HashMap<u64, Name>>,
    /// Ms that sleep in their signal handler.
    pub(crate) suspended: AtomicUsize,
    /// The program has set the number of Ps: it no longer follows the machine's limits.
    pub(crate) procs_chosen: AtomicBool,
    /// Held while the number of Ps is changed.
    pub(crate) resizing: AtomicBool,
    /// Goroutines that wait for ever, and those of them that keep a thread.
    given_up: AtomicU64,
    given_up_threads: AtomicU64,
    /// Ms end as soon as they find nothing.
    pub(crate) ending: AtomicBool,
    /// Where those pass who spawn by a handle.
    pub(crate) gate: Gate,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new(config: Config) -> io::Result<Shared> {
        Ok(Shared {
            procs: Procs::new(config.procs, config.window, config.seed)?,
            machines: Machines::new(config.threads_max),
            inject: Injector::new(),
            seedbed: Seedbed::new(),
            claims: Claims::new(config.threads_max),
            call_sites: CallSites::new(),
            idle: Idle::new(config.procs, PROCS_MAX, config.threads_max),
            net: Netpoll::new()?,
            monitor: Monitor::new(),
            chores: Chores::new(),
            panic_counts: PanicCounts::new(),
            seeds: Seeds::default(),
            outside: Mutex::new(Supply::new(config.window)?),
            spawned_outside: AtomicU64::new(0),
            ended_outside: AtomicU64::new(0),
            names: Mutex::new(HashMap::new()),
            suspended: AtomicUsize::new(0),
            procs_chosen: AtomicBool::new(false),
            resizing: AtomicBool::new(false),
            given_up: AtomicU64::new(0),
            given_up_threads: AtomicU64::new(0),
            ending: AtomicBool::new(false),
            gate: Gate::new(),
            config,
        })
    }

    #[inline]
    pub(crate) fn proc(&self, p: usize) -> &Processor {
        self.procs.get(p)
    }

    /// What spawns without a P take from.
    pub(crate) fn outside(&self) -> MutexGuard<'_, Supply> {
        self.outside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn count_spawn_outside(&self) {
        // Release: see `live`.
        self.spawned_outside.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn count_end_outside(&self) {
        // Release: see `live`.
        self.ended_outside.fetch_add(1, Ordering::Release);
    }

    /// Goroutines that have been spawned and have not ended.
    ///
    /// Ends are summed before spawns, and both only increase. So if the sums are equal, then at the
    /// moment between the two nothing was alive; otherwise the result may be too large by what
    /// was spawned meanwhile, never too small.
    pub(crate) fn live(&self) -> u64 {
        // Acquire: pairs with the Release where it is counted.
        let mut ended = self.ended_outside.load(Ordering::Acquire);
        ended += self.procs.iter().map(|p| p.counts.ended.get()).sum::<u64>();
        self.spawned().saturating_sub(ended)
    }

    /// Goroutines that were ever spawned.
    pub(crate) fn spawned(&self) -> u64 {
        let by_ps: u64 = self.procs.iter().map(|p| p.counts.spawned.get()).sum();
        // Acquire: see `live`.
        by_ps + self.spawned_outside.load(Ordering::Acquire)
    }

    /// A goroutine waits for ever from now on, with its thread or without.
    pub(crate) fn count_given_up(&self, with_thread: bool) {
        self.given_up_threads
            .fetch_add(with_thread.into(), Ordering::Relaxed);
        // Release: pairs with `given_up`.
        self.given_up.fetch_add(1, Ordering::Release);
    }

    /// Goroutines that wait for ever.
    pub(crate) fn given_up(&self) -> u64 {
        // Acquire: whoever sees the count sees which of them keep a thread.
        self.given_up.load(Ordering::Acquire)
    }

    /// Whether one of them keeps a thread.
    pub(crate) fn has_given_up_threads(&self) -> bool {
        self.given_up_threads.load(Ordering::Relaxed) != 0
    }

    fn names(&self) -> MutexGuard<'_, HashMap<u64, Name>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a goroutine's name for reports.
    pub(crate) fn note_name(&self, id: u64, name: &Name) {
        self.names().insert(id, name.clone());
    }

    pub(crate) fn forget_name(&self, id: u64) {
        self.names().remove(&id);
    }

    pub(crate) fn name_of(&self, id: u64) -> Option<Name> {
        self.names().get(&id).cloned()
    }

    /// Puts a goroutine that the caller owns on the global queue and sees to it that an M comes.
    pub(crate) fn submit_global(&self, g: impl Into<Place>) {
        self.inject.push(g.into());
        self.submitted();
    }

    /// Work has been put on a queue: wakes an M if one should be woken.
    #[inline]
    pub(crate) fn submitted(&self) {
        if let Some(wake) = self.idle.submit() {
            self.carry_out(wake);
        }
        self.monitor.work();
    }

    /// Wakes or starts an M.
    #[cold]
    pub(crate) fn carry_out(&self, wake: Wake) {
        match wake {
            Wake::Resume { m, p } => {
                self.machines.get(m).grant.give(p);
                self.wake(m);
            }
            Wake::Call { m } => {
                self.machines.get(m).grant.call();
                self.wake(m);
            }
            Wake::Start => self.chores.ask(Chore::Start),
        }
    }

    /// Wakes the thread of M number `m`: something was given to it.
    pub(crate) fn wake(&self, m: usize) {
        match self.net.turn.notify(m) {
            Notify::No => self.machines.get(m).wake(),
            Notify::Write => self.net.break_wait(),
            Notify::Done => {}
        }
    }

    /// Whether somebody waits for time or for the network, and nobody polls.
    pub(crate) fn is_unattended(&self) -> bool {
        self.net.turn.is_free() && (self.net.waiting() != 0 || self.next_timer() != NEVER)
    }

    /// One goroutine of the global queue.
    pub(crate) fn take_injected(&self) -> Option<Place> {
        loop {
            match self.inject.steal() {
                Steal::Success(g) => return Some(g),
                Steal::Empty => return None,
                Steal::Retry => {}
            }
        }
    }
}
