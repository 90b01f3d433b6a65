//! What all Ms of a runtime share.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;

use crossbeam_deque::Injector;
use gopark_stack::{Class, StackCache};

use super::idle::{Idle, Wake};
use super::machine::Sleeper;
use super::processor::{Ids, Processor};
use super::run;
use crate::sched::header::GRef;

/// Stack of an OS thread that runs goroutines; foreign code with large frames may use it.
const THREAD_STACK_BYTES: usize = 8 << 20;

/// Settings of a runtime, checked.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) procs: usize,
    pub(crate) class: Class,
    pub(crate) window: usize,
    pub(crate) thread_name: String,
    /// `GOPARK_DEBUG=migrate`: every wake moves a goroutine to another M, if there is one.
    pub(crate) migrate: bool,
    pub(crate) seed: u64,
}

/// See the top of this file.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) procs: Box<[Processor]>,
    pub(crate) inject: Injector<GRef>,
    pub(crate) idle: Idle,
    sleepers: RwLock<Vec<Arc<Sleeper>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// For spawns from outside: a stack cache of their own.
    outside: Mutex<Outside>,
    spawned_outside: AtomicU64,
    /// Ms end as soon as they find nothing.
    pub(crate) ending: AtomicBool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// What a spawn from a foreign thread uses.
pub(crate) struct Outside {
    pub(crate) stacks: StackCache,
    pub(crate) ids: Ids,
}

impl Shared {
    pub(crate) fn new(config: Config) -> io::Result<Shared> {
        let each = |p| Processor::new(p, config.procs, config.window, config.seed);
        let procs: Box<[Processor]> = (0..config.procs).map(each).collect::<io::Result<_>>()?;
        Ok(Shared {
            procs,
            inject: Injector::new(),
            idle: Idle::new(config.procs),
            sleepers: RwLock::new(Vec::new()),
            threads: Mutex::new(Vec::new()),
            outside: Mutex::new(Outside {
                stacks: StackCache::new(config.window)?,
                ids: Ids::default(),
            }),
            spawned_outside: AtomicU64::new(0),
            ending: AtomicBool::new(false),
            config,
        })
    }

    /// The state for spawns from outside.
    pub(crate) fn outside(&self) -> MutexGuard<'_, Outside> {
        self.outside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn count_spawn_outside(&self) {
        // Release: see `live`.
        self.spawned_outside.fetch_add(1, Ordering::Release);
    }

    /// Goroutines that have been spawned and have not ended.
    ///
    /// Ends are summed before spawns, and both only increase. So if the sums are equal, then at the
    /// moment between the two nothing was alive; otherwise the result may be too large by what
    /// was spawned meanwhile, never too small.
    pub(crate) fn live(&self) -> u64 {
        let ended: u64 = self.procs.iter().map(Processor::ended).sum();
        let spawned: u64 = self.procs.iter().map(Processor::spawned).sum();
        // Acquire: pairs with the Release where it is counted.
        (spawned + self.spawned_outside.load(Ordering::Acquire)).saturating_sub(ended)
    }

    /// Puts a goroutine that the caller owns on the global queue and sees to it that an M comes.
    pub(crate) fn submit_global(self: &Arc<Shared>, g: GRef) {
        self.inject.push(g);
        self.submitted();
    }

    /// Work has been put on a queue: wakes an M if one should be woken.
    #[inline]
    pub(crate) fn submitted(self: &Arc<Shared>) {
        if let Some(wake) = self.idle.submit() {
            self.carry_out(wake);
        }
    }

    /// Wakes or starts an M for a P.
    #[cold]
    pub(crate) fn carry_out(self: &Arc<Shared>, wake: Wake) {
        match wake {
            Wake::Resume { m, p } => self.sleeper(m).give(p),
            Wake::Start { p } => {
                if self.start_thread(p).is_err() {
                    // The work stays queued; Ms that are awake will come to it.
                    self.idle.give_up(p);
                }
            }
        }
    }

    /// Starts an M that holds P number `p` and searches.
    pub(crate) fn start_thread(self: &Arc<Shared>, p: usize) -> io::Result<()> {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let index = threads.len();
        let shared = Arc::clone(self);
        let builder = std::thread::Builder::new()
            .name(format!("{}-{index}", self.config.thread_name))
            .stack_size(THREAD_STACK_BYTES);
        threads.push(builder.spawn(move || run::machine_main(shared, p))?);
        Ok(())
    }

    /// Makes an M known, so that it can be woken: its number among the sleepers.
    pub(crate) fn register(&self, sleeper: Arc<Sleeper>) -> usize {
        let mut sleepers = self
            .sleepers
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        sleepers.push(sleeper);
        sleepers.len() - 1
    }

    pub(crate) fn sleeper(&self, m: usize) -> Arc<Sleeper> {
        let sleepers = self.sleepers.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&sleepers[m])
    }

    pub(crate) fn take_threads(&self) -> Vec<JoinHandle<()>> {
        std::mem::take(&mut self.threads.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
