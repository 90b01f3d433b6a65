//! sysmon: the thread that watches the others, and holds no P.
//!
//! Each round it looks at every P (`watch.rs`), takes Ps from blocked threads and from hogs, and
//! sees how long it may sleep. It allocates nothing and takes no lock that user code could hold: a
//! suspended thread may hold any of those. What may block or allocate is a chore
//! (`service/chores.rs`).
//!
//! # Pace
//!
//! 20 µs after a round that took a P from a blocked thread, as in Go; 50 rounds without make it
//! double, to 10 ms. While work waits behind a running goroutine the pause is 1 ms at most (a
//! quarter of a slice if that is less), and one round follows at once when a thread may have
//! blocked: in Go a thread that blocks just after the pause has grown keeps its P for up to 20 ms.
//! When all Ps are idle sysmon sleeps until an M takes up a P again.
//!
//! # States of the word
//!
//! | word    | the pause                      | interrupted by                                     |
//! |---------|--------------------------------|----------------------------------------------------|
//! | `AWAKE` | none                           |                                                    |
//! | `NAP`   | up to 100 µs                   | a thread that has suspended itself                 |
//! | `REST`  | up to 1 ms                     | that; a blocking call that begins in front of work |
//! | `DOZE`  | up to 10 ms                    | those; new work                                    |
//! | `DEEP`  | no end; all Ps are idle        | those; an M that takes up a P                      |
//!
//! Whoever interrupts swaps in `AWAKE` and wakes. For `DEEP` the two parties store, fence and load:
//! sysmon the word, then the number of idle Ps; an M the number of idle Ps, then the word.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};
use std::time::{Duration, Instant};

use super::suspend::Suspender;
use super::watch::{Sight, Verdict, Watch};
use crate::sched::find;
use crate::sched::hand_off::hand_off;
use crate::sched::hold::Seen;
use crate::sched::idle::Spare;
use crate::sched::processor::Processor;
use crate::sched::roster::PROCS_MAX;
use crate::sched::service::chores::Chore;
use crate::sched::shared::{Preemption, Shared};
use crate::sys::{futex, thread};

const AWAKE: u32 = 0;
const NAP: u32 = 1;
const REST: u32 = 2;
const DOZE: u32 = 3;
const DEEP: u32 = 4;

const PAUSE_MIN: Duration = Duration::from_micros(20);
const PAUSE_MAX: Duration = Duration::from_millis(10);
/// Of a `NAP`.
const NAP_MAX: Duration = Duration::from_micros(100);
/// While work waits behind a running goroutine.
const PAUSE_MAX_WAITING: Duration = Duration::from_millis(1);
const QUIET_ROUNDS: u32 = 50;
/// How often chores fall due while anything runs.
const CHORES_EVERY: Duration = Duration::from_secs(1);

/// What others see of sysmon.
#[derive(Debug)]
pub(crate) struct Monitor {
    word: AtomicU32,
    now_ms: AtomicU32,
    begin: Instant,
    end: AtomicBool,
}

impl Monitor {
    pub(crate) fn new() -> Monitor {
        Monitor {
            word: AtomicU32::new(AWAKE),
            now_ms: AtomicU32::new(0),
            begin: Instant::now(),
            end: AtomicBool::new(false),
        }
    }

    /// Milliseconds since the runtime began, up to 10 ms old; wraps after 49 days.
    #[inline]
    pub(crate) fn now_ms(&self) -> u32 {
        self.now_ms.load(Ordering::Relaxed)
    }

    /// Time since the runtime began.
    pub(crate) fn uptime(&self) -> Duration {
        self.begin.elapsed()
    }

    fn tick(&self) {
        let ms = self.uptime().as_millis() as u32;
        self.now_ms.store(ms, Ordering::Relaxed);
    }

    /// Work waits for a P, perhaps behind a running goroutine.
    #[inline]
    pub(crate) fn work(&self) {
        // Relaxed: a look that comes too early costs one long pause at most.
        if self.word.load(Ordering::Relaxed) >= DOZE {
            self.rouse();
        }
    }

    /// A blocking call begins; work waits for its P, or not.
    #[inline]
    pub(crate) fn blocks(&self, has_work: bool) {
        // Relaxed: as in `work`.
        if has_work && self.word.load(Ordering::Relaxed) >= REST {
            self.rouse();
        }
    }

    /// An M has taken up a P.
    pub(crate) fn busy(&self) {
        // SeqCst: pairs with the fence of sysmon before its deep sleep.
        fence(Ordering::SeqCst);
        if self.word.load(Ordering::Relaxed) == DEEP {
            self.tick();
            self.rouse();
        }
    }

    /// Something happened that sysmon waits for. Async-signal-safe.
    pub(crate) fn poke(&self) {
        if self.word.load(Ordering::Relaxed) != AWAKE {
            self.rouse();
        }
    }

    #[cold]
    fn rouse(&self) {
        // AcqRel: orders what the caller did before what sysmon sees.
        if self.word.swap(AWAKE, Ordering::AcqRel) != AWAKE {
            futex::wake(&self.word);
        }
    }

    /// sysmon ends.
    pub(crate) fn end(&self) {
        // Release: pairs with the Acquire of sysmon.
        self.end.store(true, Ordering::Release);
        self.rouse();
    }

    /// True if somebody interrupted the pause.
    fn sleep(&self, state: u32, pause: Option<Duration>, unless: impl FnOnce() -> bool) -> bool {
        self.word.store(state, Ordering::Relaxed);
        // SeqCst: pairs with the fence of `busy`, and with that of a submit.
        fence(Ordering::SeqCst);
        // Acquire: pairs with `end`.
        if !unless() && !self.end.load(Ordering::Acquire) {
            futex::wait(&self.word, state, pause);
        }
        // AcqRel: pairs with `rouse`.
        self.word.swap(AWAKE, Ordering::AcqRel) == AWAKE
    }
}

/// The body of sysmon's thread.
pub(crate) fn monitor_main(shared: &Arc<Shared>) {
    thread::sleep_precisely();
    let mut sysmon = Sysmon::new(shared);
    // Acquire: pairs with `end`.
    while !shared.monitor.end.load(Ordering::Acquire) {
        shared.monitor.tick();
        let round = sysmon.round(Instant::now());
        sysmon.pause(round);
    }
}

/// What a round saw and did.
#[derive(Debug, Default)]
struct Round {
    acted: bool,
    /// Work waits, and a goroutine runs in front of it.
    waiting: bool,
    /// An answer to a signal is due.
    awaited: bool,
    /// A thread may have blocked: look again soon.
    suspect: bool,
}

struct Sysmon<'a> {
    shared: &'a Shared,
    watches: Vec<Watch>,
    suspender: Suspender,
    pause: Duration,
    quiet: u32,
    chores_done: Instant,
    told_threads_max: bool,
}

impl<'a> Sysmon<'a> {
    fn new(shared: &'a Shared) -> Sysmon<'a> {
        let now = Instant::now();
        Sysmon {
            shared,
            watches: (0..PROCS_MAX).map(|_| Watch::new(now)).collect(),
            suspender: Suspender::new(),
            pause: PAUSE_MIN,
            quiet: 0,
            chores_done: now,
            told_threads_max: false,
        }
    }

    fn round(&mut self, now: Instant) -> Round {
        let mut round = Round::default();
        let shared = self.shared;
        self.suspender.collect(shared, now);
        // Nobody else comes to waiting work: no P is idle and nobody searches.
        let unserved = shared.idle.idle_ps() == 0 && shared.idle.searching() == 0;
        let global = find::anything_global(shared);
        for p in shared.procs.iter() {
            let seen = p.hold.seen();
            let excess = p.index >= shared.procs.limit();
            let waiting = unserved && (global || p.has_work());
            let sight = Sight {
                now,
                seen,
                ticks: p.counts.ticks.get(),
                blocks: p.counts.blocks.get(),
                waiting,
                excess,
                slice: shared.config.time_slice,
            };
            round.waiting |= seen != Seen::Free && (waiting || excess);
            self.look_at(p, sight, &mut round);
        }
        if shared.config.preemption == Preemption::Suspend {
            self.suspender.call_in(shared, now);
        }
        round.awaited = self.suspender.awaits();
        // A thread takes long to start: one should be there before it is needed.
        if shared.idle.idle_ps() < shared.procs.limit() && shared.idle.spare() == Spare::Ask {
            shared.chores.ask(Chore::Start);
        }
        self.fall_due(now);
        round
    }

    /// Judges one P and acts on the verdict.
    fn look_at(&mut self, p: &Processor, sight: Sight, round: &mut Round) {
        let shared = self.shared;
        let tid = |m: usize| shared.machines.get(m).tid.load(Ordering::Relaxed);
        let watch = &mut self.watches[p.index];
        let clock = |m| thread::cpu_time(tid(m));
        let verdict = watch.judge(sight, clock, |m| thread::is_running(tid(m)));
        let age = watch.age(sight.now);
        self.report_long_slice(p, sight.seen, age);
        match verdict {
            Verdict::Nothing => {}
            Verdict::Suspect => round.suspect = true,
            // A wish: whether it was heard is seen in the next round, which need not hurry.
            Verdict::Preempt => p.hold.preempt(),
            Verdict::TakeBlocking { m } => {
                if self.has_spare(sight) && p.hold.take_blocking(m) {
                    self.pass_on(p);
                    round.acted = true;
                }
            }
            Verdict::Retake { m } => {
                // One that was asked may just have gone to sleep in its handler.
                if !self.suspender.has_asked(m) && self.detach(p, m, sight) {
                    self.suspender.let_go(m);
                    round.acted = true;
                }
            }
            Verdict::Escalate { m } => self.escalate(p, m, sight),
        }
    }

    /// The goroutine on M `m` did not come.
    fn escalate(&mut self, p: &Processor, m: usize, sight: Sight) {
        if self.suspender.has_asked(m) {
            return;
        }
        let machine = self.shared.machines.get(m);
        match self.shared.config.preemption {
            Preemption::Cooperative => {}
            Preemption::Suspend if !self.suspender.must_detach(self.shared, machine) => {
                if self.has_spare(sight) {
                    self.suspender.ask(Some(p), machine, sight.now);
                }
            }
            Preemption::Suspend | Preemption::Detach => {
                self.detach(p, m, sight);
            }
        }
    }

    /// Takes the P of M `m`, which runs on without it: false if it is inside the runtime.
    fn detach(&self, p: &Processor, m: usize, sight: Sight) -> bool {
        let machine = self.shared.machines.get(m);
        let taken = self.has_spare(sight) && p.hold.retake(m, &machine.pin);
        if taken {
            machine.is_detached.store(true, Ordering::Relaxed);
            self.pass_on(p);
        }
        taken
    }

    /// Whether somebody could run a P that is taken.
    fn has_spare(&self, sight: Sight) -> bool {
        let shared = self.shared;
        if !sight.waiting || shared.claims.len() != 0 {
            return true;
        }
        // If there is none, one is asked for at the end of the round.
        shared.idle.has_spare()
    }

    /// Passes on a P that was taken.
    fn pass_on(&self, p: &Processor) {
        p.counts.retakes.add(1);
        hand_off(self.shared, p.index);
    }

    fn report_long_slice(&self, p: &Processor, seen: Seen, age: Duration) {
        let Some(hook) = &self.shared.config.long_slice else {
            return;
        };
        if let Seen::Running { m, .. } = seen
            && age >= hook.threshold
            && hook.note(self.shared.machines.get(m), p, age)
        {
            self.shared.chores.ask(Chore::LongSlices);
        }
    }

    /// Asks for chores once a second.
    fn fall_due(&mut self, now: Instant) {
        if now.saturating_duration_since(self.chores_done) < CHORES_EVERY {
            return;
        }
        self.chores_done = now;
        self.suspender.try_again(self.shared);
        self.shared.chores.ask(Chore::Upkeep);
        if !self.told_threads_max && self.shared.idle.is_refused() {
            self.told_threads_max = true;
            self.shared.chores.ask(Chore::TellThreadsMax);
        }
    }

    fn pause(&mut self, round: Round) {
        let monitor = &self.shared.monitor;
        if round.acted {
            self.hurry();
        } else {
            self.quiet += 1;
            if self.quiet > QUIET_ROUNDS {
                self.pause = (self.pause * 2).min(PAUSE_MAX);
            }
        }
        let slice = self.shared.config.time_slice / 4;
        let most = PAUSE_MAX_WAITING.min(slice).max(PAUSE_MIN);
        let nap = if round.suspect {
            PAUSE_MIN
        } else if round.waiting || round.awaited {
            self.pause.min(most)
        } else if self.pause <= most {
            self.pause
        } else {
            return self.long_pause();
        };
        let state = if nap > NAP_MAX { REST } else { NAP };
        let roused = monitor.sleep(state, Some(nap), || false);
        if roused && state == REST {
            self.hurry();
        }
    }

    /// There is something to look at: short pauses again.
    fn hurry(&mut self) {
        self.pause = PAUSE_MIN;
        self.quiet = 0;
    }

    /// Nothing waits. Whoever interrupts this pause has something to look at.
    fn long_pause(&mut self) {
        let monitor = &self.shared.monitor;
        let asleep = || {
            self.shared.idle.idle_ps() == self.shared.procs.limit()
                && self.shared.idle.excess() == 0
        };
        let roused = if self.pause < PAUSE_MAX || !asleep() {
            monitor.sleep(DOZE, Some(self.pause), || false)
        } else {
            // What is left to clean, and whether anybody can ever wake up.
            self.shared.chores.ask(Chore::Rest);
            monitor.sleep(DEEP, None, || !asleep());
            true
        };
        if roused {
            self.hurry();
        }
    }
}
