//! The timers of a P, and what happens when their time comes.
//!
//! Each P has a heap (`timer/heap.rs`). A goroutine that waits for a moment leaves its ticket
//! there; nothing is allocated, and what is left of a wait that ended otherwise is recognised by
//! the ticket (`task/wait_word.rs`). Any M may see to any heap: its own now and then while it runs,
//! all of them when it searches or waits in the poller.
//!
//! What a timer does is short: a goroutine becomes ready, or one is started for a function of the
//! program. No code of the program runs here.
//!
//! Stale entries go when their time comes; when more than half of a heap is stale, all at once.

use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::interrupt::Alarm;
use super::launch;
use super::machine::Machine;
use super::shared::Shared;
use super::turn::Notify;
use crate::sched::header::{G, GRef};
use crate::sys::clock::{self, NEVER};
use crate::task::state::Wake;
use crate::task::wait_word::{By, Ticket, WaitWord};
use crate::timer::heap::Heap;

/// Heaps with fewer entries are not swept.
const SWEEP_MIN: usize = 64;
/// Timers that are taken out of a heap under one lock.
const BATCH: usize = 32;
/// When the stack for a function's goroutine is missing, it is tried again after this.
const RETRY_NANOS: u64 = 1_000_000;

/// Who waits for a moment.
#[derive(Debug)]
pub(crate) enum Target {
    /// A goroutine, with the ticket of its wait.
    Wait(GRef, Ticket),
    /// A timer of its own.
    Timer(Arc<Timer>, Ticket),
}

impl Target {
    fn is_open(&self) -> bool {
        match self {
            Target::Wait(g, ticket) => g.get().wait_word.is_open(*ticket),
            Target::Timer(timer, ticket) => timer.word.is_open(*ticket),
        }
    }
}

/// A timer that is not the wait of a goroutine.
#[derive(Debug)]
pub(crate) struct Timer {
    pub(crate) word: WaitWord,
    /// The P whose heap has the newest entry.
    home: AtomicUsize,
    action: Action,
}

/// What a timer does.
pub(crate) enum Action {
    /// Starts a goroutine with a function of the program.
    Spawn(Arc<dyn Fn() + Send + Sync>),
    /// Makes a goroutine look whether it must unwind.
    Interrupt(Alarm),
}

impl std::fmt::Debug for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Action::Spawn(_) => "Spawn",
            Action::Interrupt(_) => "Interrupt",
        })
    }
}

impl Timer {
    pub(crate) fn new(action: Action) -> Arc<Timer> {
        Arc::new(Timer {
            word: WaitWord::new(),
            home: AtomicUsize::new(0),
            action,
        })
    }

    /// What happens when the timer expires.
    pub(crate) fn action(&self) -> &Action {
        &self.action
    }

    /// (Re)starts the timer: whether it was running.
    pub(crate) fn start(
        self: &Arc<Timer>,
        shared: &Shared,
        m: Option<&Machine>,
        when: u64,
    ) -> bool {
        let (ticket, was_running) = self.word.reopen();
        if was_running {
            shared.left_stale(self.home.load(Ordering::Relaxed));
        }
        let home = shared.add_timer(m, when, Target::Timer(Arc::clone(self), ticket));
        self.home.store(home, Ordering::Relaxed);
        was_running
    }

    /// Stops the timer: whether it was running, and now does nothing.
    pub(crate) fn stop(&self, shared: &Shared) -> bool {
        let was_running = self.word.stop();
        if was_running {
            shared.left_stale(self.home.load(Ordering::Relaxed));
        }
        was_running
    }

    /// Its time has come.
    fn fire(self: Arc<Timer>, shared: &Shared, ready: &mut impl FnMut(GRef)) {
        match &self.action {
            Action::Spawn(_) => {
                // The goroutine drops the function too, if it is the last to know it.
                let again = Arc::downgrade(&self);
                let timer = ManuallyDrop::new(self);
                let run = move |_: &G| ManuallyDrop::into_inner(timer).run();
                // Without a stack for it, the count in the closure is left over, and keeps the
                // timer.
                if launch::service(shared, run).is_err()
                    && let Some(timer) = again.upgrade()
                {
                    let when = clock::now().saturating_add(RETRY_NANOS);
                    timer.start(shared, None, when);
                }
            }
            Action::Interrupt(alarm) => alarm.ring(ready),
        }
    }

    fn run(&self) {
        if let Action::Spawn(f) = &self.action {
            f();
        }
    }
}

/// The timers of one P.
#[derive(Debug)]
pub(crate) struct Timers {
    heap: Mutex<Heap<Target>>,
    next: AtomicU64,
    /// Entries whose wait is over; roughly.
    stale: AtomicUsize,
}

impl Timers {
    pub(crate) fn new() -> Timers {
        Timers {
            heap: Mutex::new(Heap::new()),
            next: AtomicU64::new(NEVER),
            stale: AtomicUsize::new(0),
        }
    }

    fn heap(&self) -> MutexGuard<'_, Heap<Target>> {
        self.heap.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The earliest moment, or [`NEVER`].
    #[inline]
    pub(crate) fn next(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// Entries, stale ones included.
    pub(crate) fn len(&self) -> usize {
        self.heap().len()
    }

    fn add(&self, when: u64, target: Target) {
        let mut heap = self.heap();
        heap.push(when, target);
        self.next.store(heap.next(), Ordering::Relaxed);
    }

    /// Sweeps if most entries are stale: what is gone.
    #[cold]
    fn sweep_if_worth(&self, stale: usize) -> Vec<Target> {
        let heap = self.heap();
        if stale <= heap.len() / 2 {
            return Vec::new();
        }
        drop(heap);
        self.sweep()
    }

    /// Sweeps, however little is stale: what is gone.
    fn sweep(&self) -> Vec<Target> {
        let mut heap = self.heap();
        // Before the look: what becomes stale meanwhile is counted. Acquire: pairs with
        // `left_stale`; what was counted before is seen to be stale.
        self.stale.swap(0, Ordering::Acquire);
        let gone = heap.sweep(Target::is_open);
        self.next.store(heap.next(), Ordering::Relaxed);
        gone
    }

    /// Takes out what is due, as far as there is room: how many.
    fn take_due(&self, now: u64, due: &mut [Option<Target>; BATCH]) -> usize {
        if self.next() > now {
            return 0;
        }
        let mut heap = self.heap();
        let mut n = 0;
        while n < BATCH
            && let Some(target) = heap.pop_due(now)
        {
            due[n] = Some(target);
            n += 1;
        }
        self.next.store(heap.next(), Ordering::Relaxed);
        if heap.len() == 0 {
            self.stale.store(0, Ordering::Relaxed);
        }
        n
    }

    /// Takes everything out, at the end.
    pub(crate) fn clear(&self) {
        let all: Vec<_> = self.heap().take().collect();
        drop(all);
    }

    /// Moves everything to another P, which others look at.
    pub(crate) fn move_to(&self, other: &Timers) {
        let all: Vec<_> = self.heap().take().collect();
        self.next.store(NEVER, Ordering::Relaxed);
        let stale = self.stale.swap(0, Ordering::Relaxed);
        if all.is_empty() {
            return;
        }
        let mut heap = other.heap();
        for (when, target) in all {
            heap.push(when, target);
        }
        other.stale.fetch_add(stale, Ordering::Relaxed);
        other.next.store(heap.next(), Ordering::Relaxed);
    }
}

impl Shared {
    /// Adds a timer: to the P of the pinned `m`, if it has one. Returns the number of the P.
    pub(crate) fn add_timer(&self, m: Option<&Machine>, when: u64, target: Target) -> usize {
        let p = match m.filter(|m| m.notice()) {
            Some(m) => m.p(),
            // P0 is never above the limit.
            None => self.proc(0),
        };
        p.timers.add(when, target);
        if self.net.turn.earlier(when) == Notify::Write {
            self.net.break_wait();
        }
        p.index
    }

    /// An entry in the heap of P number `p` has become stale.
    pub(crate) fn left_stale(&self, p: usize) {
        let timers = &self.proc(p).timers;
        // Release: pairs with `sweep`.
        let stale = timers.stale.fetch_add(1, Ordering::Release) + 1;
        if stale >= SWEEP_MIN {
            self.bury(timers.sweep_if_worth(stale));
        }
    }

    /// How many entries are stale, roughly, and how many there are.
    pub(crate) fn stale_timers(&self) -> (usize, usize) {
        let each = self.procs.iter().map(|p| &p.timers);
        each.fold((0, 0), |(stale, all), timers| {
            let more = timers.stale.load(Ordering::Relaxed);
            (stale + more, all + timers.len())
        })
    }

    /// Takes all stale entries out of all heaps.
    pub(crate) fn sweep_timers(&self) {
        for p in self.procs.iter() {
            self.bury(p.timers.sweep());
        }
    }

    /// Drops entries; those with the program's values where its destructors may run.
    fn bury(&self, gone: Vec<Target>) {
        let last = |target: Target| match target {
            Target::Timer(mut timer, _) => {
                let has_values = matches!(timer.action, Action::Spawn(_));
                let is_last = Arc::get_mut(&mut timer).is_some();
                (has_values && is_last).then_some(timer)
            }
            Target::Wait(..) => None,
        };
        let last: Vec<_> = gone.into_iter().filter_map(last).collect();
        if !last.is_empty() {
            // Without a stack for it, the values are not dropped.
            let last = ManuallyDrop::new(last);
            let _ = launch::service(self, move |_| drop(ManuallyDrop::into_inner(last)));
        }
    }

    /// The earliest moment of all timers, or [`NEVER`].
    pub(crate) fn next_timer(&self) -> u64 {
        let each = self.procs.iter().map(|p| p.timers.next());
        each.min().unwrap_or(NEVER)
    }

    /// Fires what is due in one heap; goroutines that become ready are the caller's to queue.
    pub(crate) fn fire_due(&self, timers: &Timers, now: u64, ready: &mut impl FnMut(GRef)) {
        let mut due = [const { None }; BATCH];
        loop {
            let n = timers.take_due(now, &mut due);
            for target in due.iter_mut().take(n).filter_map(Option::take) {
                self.fire(target, ready);
            }
            if n < BATCH {
                return;
            }
        }
    }

    /// The same, of all Ps.
    pub(crate) fn fire_all_due(&self, now: u64, ready: &mut impl FnMut(GRef)) {
        for p in self.procs.iter() {
            self.fire_due(&p.timers, now, ready);
        }
    }

    fn fire(&self, target: Target, ready: &mut impl FnMut(GRef)) {
        match target {
            Target::Wait(g, ticket) => {
                // A goroutine whose wait was taken is there until the wake is delivered.
                if g.get().wait_word.take(ticket, By::Time)
                    && g.get().state.deliver(g.get().state.id()) == Wake::Enqueue
                {
                    ready(g);
                }
            }
            Target::Timer(timer, ticket) if timer.word.take(ticket, By::Time) => {
                timer.fire(self, ready);
            }
            stale => self.bury(vec![stale]),
        }
    }
}
