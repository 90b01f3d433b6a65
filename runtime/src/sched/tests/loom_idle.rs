//! Models of idle Ps and sleeping Ms: no work is left while a P is idle and an M could run it.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use loom::thread;

use super::searching::searching;
use super::{Idle, Retract, Wake};
use crate::shim::fence;

/// Ps at most.
const PROCS_MAX: usize = 2;

/// A scheduler without goroutines: queues are counts of work.
pub(super) struct Fake {
    pub(super) idle: Idle,
    pub(super) limit: AtomicUsize,
    pub(super) global: AtomicU32,
    pub(super) local: [AtomicU32; PROCS_MAX],
    /// What the model is asked about, invisible to the checker.
    pub(super) log: std::sync::Mutex<Log>,
    variant: Variant,
}

#[derive(Default)]
pub(super) struct Log {
    /// Who was woken and has not begun to run.
    woken: Vec<Wake>,
    /// Pieces of work whose submit is over.
    pub(super) submitted: u32,
    /// Pieces of work that an M has run.
    pub(super) ran: u32,
}

/// The steps that a seeded bug replaces.
#[derive(Clone, Copy)]
pub(super) struct Variant {
    /// Becomes idle: whether there was work to take the announcement back for.
    pub(super) announce: fn(&Fake, usize, Option<usize>, bool) -> bool,
    pub(super) found: fn(&Idle),
    pub(super) submit: fn(&Idle) -> Option<Wake>,
    /// M of this number was called: the P with which it searches.
    pub(super) come: fn(&Fake, usize) -> Option<usize>,
    /// Moves the queue of a P above the limit, before the announcement.
    pub(super) empty: fn(&Fake, usize),
    /// Ps whose queues thieves visit.
    pub(super) visited: fn(&Fake) -> usize,
}

pub(super) const REAL: Variant = Variant {
    announce: |fake, m, p, searching| {
        fake.idle.announce(m, p, searching, false);
        fake.anything_anywhere()
    },
    found: Idle::found,
    submit: Idle::submit,
    come: |fake, m| {
        let looks = || fake.announced(m, fake.anything_anywhere());
        fake.idle.come(m, false).or_else(looks)
    },
    empty: Fake::empty,
    visited: |_| PROCS_MAX,
};

const LOOK_BEFORE_ANNOUNCING: Variant = Variant {
    announce: |fake, m, p, searching| {
        let seen = fake.anything_anywhere();
        fake.idle.announce(m, p, searching, false);
        seen
    },
    ..REAL
};

/// `procs` Ps and as many Ms, each with the P of its number; they search.
pub(super) fn fake(variant: Variant, procs: usize) -> Arc<Fake> {
    let fake = Fake {
        idle: searching(procs, PROCS_MAX, 3),
        limit: AtomicUsize::new(procs),
        global: AtomicU32::new(0),
        local: [AtomicU32::new(0), AtomicU32::new(0)],
        log: std::sync::Mutex::default(),
        variant,
    };
    Arc::new(fake)
}

fn take(queue: &AtomicU32) -> bool {
    let step = |n: u32| n.checked_sub(1);
    queue
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, step)
        .is_ok()
}

impl Fake {
    pub(super) fn anything_anywhere(&self) -> bool {
        let mut queues = self.local.iter().chain([&self.global]);
        queues.any(|queue| queue.load(Ordering::Relaxed) > 0)
    }

    /// Work comes from outside.
    pub(super) fn push(&self) {
        self.global.fetch_add(1, Ordering::Relaxed);
        self.submitted();
        self.log.lock().unwrap().submitted += 1;
    }

    pub(super) fn submitted(&self) {
        if let Some(wake) = (self.variant.submit)(&self.idle) {
            self.log.lock().unwrap().woken.push(wake);
        }
    }

    pub(super) fn is_excess(&self, p: usize) -> bool {
        p >= self.limit.load(Ordering::Relaxed)
    }

    /// Takes work for an M with P number `p`.
    pub(super) fn find(&self, p: usize, searching: bool) -> bool {
        if take(&self.local[p]) || take(&self.global) {
            return true;
        }
        let visited = (self.variant.visited)(self);
        searching && self.local[..visited].iter().any(take)
    }

    /// The loop of M number `m`, which has P number `p`, until it sleeps.
    pub(super) fn run(&self, m: usize, mut p: usize, mut searching: bool) {
        loop {
            if !self.is_excess(p) {
                searching = searching || self.idle.start_search(2);
                if self.find(p, searching) {
                    self.log.lock().unwrap().ran += 1;
                    if std::mem::take(&mut searching) {
                        self.stop_searching();
                    }
                    continue;
                }
            } else {
                (self.variant.empty)(self, p);
            }
            match self.sleep(m, Some(p), std::mem::take(&mut searching)) {
                Some(other) => (p, searching) = (other, true),
                None => return,
            }
        }
    }

    fn stop_searching(&self) {
        (self.variant.found)(&self.idle);
        if self.anything_anywhere() {
            self.submitted();
        }
    }

    /// Moves the queue of a P above the limit to the global one.
    pub(super) fn empty(&self, p: usize) {
        while take(&self.local[p]) {
            self.global.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Goes to sleep, unless there is work: the P with which M number `m` searches then.
    pub(super) fn sleep(&self, m: usize, p: Option<usize>, searching: bool) -> Option<usize> {
        let seen = (self.variant.announce)(self, m, p, searching);
        self.announced(m, seen)
    }

    /// The rest of going to sleep.
    fn announced(&self, m: usize, seen: bool) -> Option<usize> {
        match seen.then(|| self.idle.retract(m)) {
            Some(Retract::Search { p }) => Some(p),
            Some(Retract::Sleep) | None => None,
        }
    }

    /// The body of an M's thread.
    fn start(&self) {
        if let Some(m) = self.idle.next_thread() {
            let looks = || self.announced(m, self.anything_anywhere());
            if let Some(p) = self.idle.join(m).or_else(looks) {
                self.run(m, p, true);
            }
        }
    }

    /// `hand_off` of a P that sysmon took.
    pub(super) fn hand_off(&self, p: usize) {
        if !self.idle.release_unless_excess(p) {
            if let Some(wake) = self.idle.resume_with(p) {
                return self.log.lock().unwrap().woken.push(wake);
            }
            self.empty(p);
            self.idle.release(p);
        }
        if self.anything_anywhere() {
            self.submitted();
        }
    }

    /// Work that nobody took.
    pub(super) fn left(&self) -> u32 {
        let queues = self.local.iter().chain([&self.global]);
        queues.map(|queue| queue.load(Ordering::Relaxed)).sum()
    }

    /// Those that were woken run now, until they sleep.
    pub(super) fn run_woken(&self) {
        let next = || self.log.lock().unwrap().woken.pop();
        while let Some(wake) = next() {
            match wake {
                Wake::Resume { m, p } => self.run(m, p, true),
                Wake::Call { m } => {
                    if let Some(p) = (self.variant.come)(self, m) {
                        self.run(m, p, true);
                    }
                }
                Wake::Start => self.start(),
            }
        }
    }

    /// All threads are over but for those that were woken: nothing is left in the end.
    pub(super) fn settle(&self) {
        self.run_woken();
        assert_eq!(self.left(), 0, "everybody sleeps: {:?}", self.idle.census());
        assert_eq!(self.idle.searching(), 0);
    }
}

fn submit_against_sleep(variant: Variant) {
    loom::model(move || {
        let fake = fake(variant, 1);
        let other = Arc::clone(&fake);
        let submitter = thread::spawn(move || other.push());
        fake.run(0, 0, true);
        submitter.join().unwrap();
        fake.settle();
    });
}

#[test]
fn loom_submit_against_sleep() {
    submit_against_sleep(REAL);
}

#[test]
#[should_panic]
fn loom_seeded_bug_look_before_the_announcement_is_found() {
    submit_against_sleep(LOOK_BEFORE_ANNOUNCING);
}

fn submit_against_sleep_of_two(variant: Variant) {
    loom::model(move || {
        let fake = fake(variant, 2);
        let (one, two) = (Arc::clone(&fake), Arc::clone(&fake));
        let one = thread::spawn(move || one.run(0, 0, true));
        let two = thread::spawn(move || two.run(1, 1, true));
        fake.push();
        one.join().unwrap();
        two.join().unwrap();
        fake.settle();
    });
}

#[test]
fn loom_submit_against_sleep_of_two() {
    submit_against_sleep_of_two(REAL);
}

#[test]
#[should_panic]
fn loom_seeded_bug_two_look_before_the_announcement_is_found() {
    submit_against_sleep_of_two(LOOK_BEFORE_ANNOUNCING);
}

/// A searcher finds work and runs it for ever, while more work comes: an M that sleeps is woken.
fn submit_against_found(variant: Variant) {
    loom::model(move || {
        let fake = fake(variant, 2);
        assert_eq!(fake.sleep(1, Some(1), true), None);
        fake.global.fetch_add(1, Ordering::Relaxed);
        let other = Arc::clone(&fake);
        let submitter = thread::spawn(move || other.push());
        assert!(fake.find(0, true));
        fake.stop_searching();
        submitter.join().unwrap();
        let woken = fake.log.lock().unwrap().woken.len();
        assert!(fake.left() == 0 || woken == 1, "M1 sleeps beside work");
    });
}

#[test]
fn loom_submit_against_found() {
    submit_against_found(REAL);
}

#[test]
#[should_panic]
fn loom_seeded_bug_found_without_a_fence_is_found() {
    let found = |idle: &Idle| {
        // AcqRel, as in the real one.
        idle.searching.fetch_sub(1, Ordering::AcqRel);
    };
    submit_against_found(Variant { found, ..REAL });
}

/// Two submitters, one sleeping M: it is woken once.
#[test]
fn loom_two_submitters_wake_one_sleeper() {
    loom::model(|| {
        let fake = fake(REAL, 1);
        assert_eq!(fake.sleep(0, Some(0), true), None);
        let other = Arc::clone(&fake);
        let submitter = thread::spawn(move || other.push());
        fake.push();
        submitter.join().unwrap();
        let woken = fake.log.lock().unwrap().woken.clone();
        assert_eq!(woken, [Wake::Resume { m: 0, p: 0 }]);
        fake.settle();
    });
}

/// No M sleeps, so a thread was asked for: it starts, finds nothing any more and sleeps, while
/// work comes.
fn submit_against_start(variant: Variant) {
    loom::model(move || {
        let fake = fake(variant, 1);
        fake.idle.found();
        fake.idle.release(0);
        assert_eq!(fake.idle.submit(), Some(Wake::Start));
        let other = Arc::clone(&fake);
        let starter = thread::spawn(move || other.start());
        fake.push();
        starter.join().unwrap();
        fake.settle();
    });
}

#[test]
fn loom_submit_against_start() {
    submit_against_start(REAL);
}

#[test]
#[should_panic]
fn loom_seeded_bug_start_without_a_look_is_found() {
    submit_against_start(LOOK_BEFORE_ANNOUNCING);
}

/// `submit`, with a lock that ends too early.
fn submit_unlocking_first(idle: &Idle) -> Option<Wake> {
    // SeqCst, AcqRel below: as in the real one.
    fence(Ordering::SeqCst);
    if idle.idle_ps() == 0 {
        return None;
    }
    // AcqRel: as in the real one.
    let first = idle
        .searching
        .compare_exchange(0, 1, Ordering::AcqRel, Ordering::Relaxed);
    first.ok()?;
    let mut lists = idle.lists.lock().unwrap();
    if !lists.ps.is_empty() && !lists.ms.is_empty() {
        let (p, m) = (lists.ps.pop().unwrap(), lists.ms.pop().unwrap());
        idle.set_idle_ps(&lists);
        return Some(Wake::Resume { m, p });
    }
    let starts = !lists.ps.is_empty() && lists.want_thread();
    drop(lists);
    // AcqRel: as in the real one.
    idle.searching.fetch_sub(1, Ordering::AcqRel);
    starts.then_some(Wake::Start)
}

/// Only one P, which an M that comes out of a blocking call takes, uses and lays down, while two
/// others submit: one of them wants to wake somebody for a P that is gone by then.
fn submit_against_a_p_that_comes_and_goes(variant: Variant) {
    loom::model(move || {
        let fake = fake(variant, 1);
        fake.idle.found();
        fake.idle.release(0);
        let (one, two) = (Arc::clone(&fake), Arc::clone(&fake));
        let one = thread::spawn(move || one.push());
        let two = thread::spawn(move || two.push());
        if let Some(p) = fake.idle.take_p()
            && let Some(p) = fake.sleep(0, Some(p), false)
        {
            fake.run(0, p, true);
        }
        one.join().unwrap();
        two.join().unwrap();
        fake.settle();
    });
}

#[test]
fn loom_submit_against_a_p_that_comes_and_goes() {
    submit_against_a_p_that_comes_and_goes(REAL);
}

#[test]
#[should_panic]
fn loom_seeded_bug_waker_that_unlocks_first_is_found() {
    let submit = submit_unlocking_first;
    submit_against_a_p_that_comes_and_goes(Variant { submit, ..REAL });
}

/// M1 sleeps. M0 goes into a long call and leaves its P, with work, on the idle list; M1 is
/// called. M2, which returns from a call, takes the P, runs what it finds and sleeps, while more
/// work comes.
fn call_against_sleep(variant: Variant) {
    loom::model(move || {
        let fake = fake(variant, 2);
        // P1 is not there; M1 sleeps, and M0 no longer searches.
        fake.idle.set_limit(1);
        fake.limit.store(1, Ordering::Relaxed);
        assert_eq!(fake.sleep(1, Some(1), true), None);
        fake.idle.found();
        fake.local[0].fetch_add(1, Ordering::Relaxed);
        let (returning, called) = (Arc::clone(&fake), Arc::clone(&fake));
        assert!(fake.idle.release_unless_excess(0));
        let Some(Wake::Call { m: 1 }) = fake.idle.call() else {
            panic!("M1 was not called");
        };
        let called = thread::spawn(move || {
            if let Some(p) = (called.variant.come)(&called, 1) {
                called.run(1, p, true);
            }
        });
        let returning = thread::spawn(move || {
            if let Some(p) = returning.idle.take_p() {
                returning.run(2, p, false);
            }
        });
        fake.push();
        called.join().unwrap();
        returning.join().unwrap();
        fake.settle();
    });
}

#[test]
fn loom_call_against_sleep() {
    call_against_sleep(REAL);
}

#[test]
#[should_panic]
fn loom_seeded_bug_call_without_a_look_is_found() {
    let come = |fake: &Fake, m| fake.idle.come(m, false);
    call_against_sleep(Variant { come, ..REAL });
}

/// M0 leaves its P, with work, on the idle list, while M1, which searches, finds nothing and
/// sleeps.
fn call_against_a_searcher_that_sleeps(variant: Variant) {
    loom::model(move || {
        let fake = fake(variant, 2);
        // M0 does not search.
        fake.idle.found();
        let searcher = Arc::clone(&fake);
        let searcher = thread::spawn(move || searcher.run(1, 1, true));
        fake.local[0].fetch_add(1, Ordering::Relaxed);
        assert!(fake.idle.release_unless_excess(0));
        if let Some(wake) = fake.idle.call() {
            fake.log.lock().unwrap().woken.push(wake);
        }
        searcher.join().unwrap();
        fake.settle();
    });
}

#[test]
fn loom_call_against_a_searcher_that_sleeps() {
    call_against_a_searcher_that_sleeps(REAL);
}

#[test]
#[should_panic]
fn loom_seeded_bug_call_of_a_searcher_that_looked_before_is_found() {
    call_against_a_searcher_that_sleeps(LOOK_BEFORE_ANNOUNCING);
}
