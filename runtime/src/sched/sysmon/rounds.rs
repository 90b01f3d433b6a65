//! The rounds of sysmon: what it looks at, what it does, how long it rests.
//!
//! Each round it looks at every P (`watch.rs`), takes Ps from blocked threads and from hogs, sees
//! to timers and the network when nobody polls, and sees how long it may sleep (`monitor.rs`).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::behind::{self, Glance};
use super::monitor::{DEEP, DOZE, NAP, REST};
use super::suspend::Suspender;
use super::watch::{Sight, Verdict, Watch};
use crate::sched::global;
use crate::sched::hand_off::hand_off;
use crate::sched::hold::Seen;
use crate::sched::idle::Spare;
use crate::sched::processor::Processor;
use crate::sched::roster::PROCS_MAX;
use crate::sched::service::chores::Chore;
use crate::sched::shared::{Preemption, Shared};
use crate::sys::{clock, thread};

const PAUSE_MIN: Duration = Duration::from_micros(20);
const PAUSE_MAX: Duration = Duration::from_millis(10);
/// Of a `NAP`.
const NAP_MAX: Duration = Duration::from_micros(100);
/// While work waits behind a running goroutine.
const PAUSE_MAX_WAITING: Duration = Duration::from_millis(1);
const QUIET_ROUNDS: u32 = 50;
/// The network is asked at least this often while somebody waits for it.
const POLL_EVERY_NANOS: u64 = 10_000_000;
/// How often chores fall due while anything runs.
const CHORES_EVERY: Duration = Duration::from_secs(1);

/// The body of sysmon's thread.
pub(crate) fn monitor_main(shared: &Arc<Shared>) {
    thread::sleep_precisely();
    let mut sysmon = Sysmon::new(shared);
    while !shared.monitor.ends() {
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
    /// An M has switched, or a slice begun, since the last round: there will be new work.
    busy: bool,
}

struct Sysmon<'a> {
    shared: &'a Shared,
    watches: Vec<Watch>,
    glances: Vec<Option<Glance>>,
    suspender: Suspender,
    pause: Duration,
    quiet: u32,
    /// Of all Ms that ran and all Ps, at the last look.
    activity: u64,
    chores_done: Instant,
    /// At the last look nobody polled, though somebody waited.
    unattended: bool,
    told_threads_max: bool,
}

impl<'a> Sysmon<'a> {
    fn new(shared: &'a Shared) -> Sysmon<'a> {
        let now = Instant::now();
        Sysmon {
            shared,
            watches: (0..PROCS_MAX).map(|_| Watch::new(now)).collect(),
            glances: vec![None; PROCS_MAX],
            suspender: Suspender::new(),
            pause: PAUSE_MIN,
            quiet: 0,
            activity: 0,
            chores_done: now,
            unattended: false,
            told_threads_max: false,
        }
    }

    fn round(&mut self, now: Instant) -> Round {
        let mut round = Round::default();
        let shared = self.shared;
        self.suspender.collect(shared, now);
        // Nobody else comes to waiting work: no P is idle and nobody searches.
        let unserved = shared.idle.idle_ps() == 0 && shared.idle.searching() == 0;
        let global = global::is_any(shared);
        let clock = clock::now();
        let unattended = self.attend(clock, &mut round);
        let mut activity = 0_u64;
        for p in shared.procs.iter() {
            let seen = p.hold.seen();
            let excess = p.index >= shared.procs.limit();
            let due = p.timers.next() <= clock;
            // A P that is idle in a blocking call could poll.
            let could_poll = unattended && matches!(seen, Seen::Blocking { .. });
            let waiting = unserved && (global || due || could_poll || p.has_work());
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
            let glance = &mut self.glances[p.index];
            *glance = behind::look(shared, p, now, *glance);
            round.waiting |= glance.is_some();
            self.look_at(p, sight, &mut round);
            // An M whose every switch is a look does not count them.
            activity = activity.wrapping_add(sight.ticks);
            if let Seen::Running { m, .. } = seen {
                let switches = shared.machines.get(m).beat.count();
                activity = activity.wrapping_add(switches.into());
            }
        }
        round.busy = activity != std::mem::replace(&mut self.activity, activity);
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

    /// Sees to timers and the network when nobody polls: whether nobody does, though somebody
    /// waits.
    fn attend(&mut self, clock: u64, round: &mut Round) -> bool {
        let shared = self.shared;
        let was_unattended = std::mem::replace(&mut self.unattended, shared.is_unattended());
        if !self.unattended {
            return false;
        }
        // Short pauses, if a timer is soon due on a P that is busy, or an idle P could poll.
        round.waiting |= shared.next_timer() <= clock.saturating_add(POLL_EVERY_NANOS);
        if shared.idle.idle_ps() != 0 {
            round.waiting = true;
            if was_unattended {
                // The M that comes finds nothing else, and polls.
                shared.submitted();
            }
        } else if clock.saturating_sub(shared.net.polled_at()) >= POLL_EVERY_NANOS
            && shared.net.waiting() != 0
        {
            shared.chores.ask(Chore::Poll);
        }
        true
    }

    /// Judges one P and acts on the verdict.
    fn look_at(&mut self, p: &Processor, sight: Sight, round: &mut Round) {
        let shared = self.shared;
        let tid = |m: usize| shared.machines.get(m).tid.load(Ordering::Relaxed);
        let watch = &mut self.watches[p.index];
        let clock = |m| thread::cpu_time(tid(m));
        let verdict = watch.judge(sight, clock, |m| thread::is_running(tid(m)));
        let age = watch.age(sight.now);
        self.report_long_slice(p, sight, age);
        match verdict {
            Verdict::Nothing => {}
            Verdict::Suspect => round.suspect = true,
            // A wish: whether it was heard is seen in the next round, which need not hurry.
            Verdict::Preempt => p.hold.preempt(),
            Verdict::TakeBlocking { m, is_long } => {
                if self.has_spare(sight) && self.take_blocking(p, m, is_long) {
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

    /// Takes the P of M `m`, which is in a blocking call, unless the call is over.
    fn take_blocking(&self, p: &Processor, m: usize, is_long: bool) -> bool {
        let noted = &self.shared.machines.get(m).is_long;
        // Before the M can come back.
        noted.store(is_long, Ordering::Relaxed);
        let taken = p.hold.take_blocking(m);
        if !taken {
            noted.store(false, Ordering::Relaxed);
        }
        taken
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
                // One whom the signal has not reached will be called in when it has.
                let is_late = machine.is_late.load(Ordering::Relaxed);
                if self.detach(p, m, sight) && is_late {
                    self.suspender.let_go(m);
                }
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

    fn report_long_slice(&self, p: &Processor, sight: Sight, age: Duration) {
        let Some(hook) = &self.shared.config.long_slice else {
            return;
        };
        if let Seen::Running { m, .. } = sight.seen
            && age >= hook.threshold
            && hook.note(self.shared.machines.get(m), p, sight.ticks, age)
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

    /// The longest pause while work waits.
    fn pause_max_waiting(&self) -> Duration {
        let slice = self.shared.config.time_slice / 4;
        PAUSE_MAX_WAITING.min(slice).max(PAUSE_MIN)
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
        let most = self.pause_max_waiting();
        let nap = if round.suspect {
            PAUSE_MIN
        } else if round.waiting || round.awaited || round.busy {
            self.pause.min(most)
        } else if self.pause <= most {
            self.pause
        } else {
            return self.long_pause();
        };
        let state = if nap > NAP_MAX { REST } else { NAP };
        let roused = monitor.sleep(state, Some(nap), || false);
        if roused && state == REST && (round.waiting || round.awaited) {
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
        if self.pause < PAUSE_MAX || !asleep() {
            // A note that came after this round's look.
            let in_haste = || self.shared.procs.iter().any(Processor::is_in_haste);
            if monitor.sleep(DOZE, Some(self.pause), in_haste) {
                // New work is no reason to hurry: the next round, which follows at once and doubles
                // this, may find one.
                self.pause = self.pause_max_waiting() / 2;
            }
        } else {
            // What is left to clean, and whether anybody can ever wake up. Who has been awake since
            // may have kept that from being seen: it is looked at again.
            let wakes = || self.shared.idle.census().wakes;
            let before = wakes();
            self.shared.chores.ask(Chore::Rest);
            monitor.sleep(DEEP, None, || !asleep() || wakes() != before);
            // Short pauses, but not many: a server with little to do falls asleep and wakes up all
            // the time.
            self.pause = PAUSE_MIN;
        }
    }
}
