//! The decision table of sysmon, row by row.

use std::time::{Duration, Instant};

use super::{BLOCKING_MAX, GRACE, Sight, Verdict, Watch};
use crate::sched::hold::Seen;

const M: usize = 3;
const SLICE: Duration = Duration::from_millis(10);
const SHORT: Duration = Duration::from_micros(20);

const RUNNING: Seen = Seen::Running {
    m: M,
    preempt: false,
};
const PREEMPTED: Seen = Seen::Running {
    m: M,
    preempt: true,
};
const BLOCKING: Seen = Seen::Blocking { m: M };

/// Why a P is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    No,
    Waiting,
    Excess,
}

/// What the kernel says about the thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thread {
    /// Its CPU clock goes on.
    Works,
    /// The clock stands, but the thread could run.
    Preempted,
    /// The clock stands.
    Blocked,
    /// The clock stands, and the kernel does not say why.
    Unknown,
    /// Not even the clock can be read.
    Gone,
}

/// A watch, what it sees, and the clocks.
struct Bench {
    watch: Watch,
    sight: Sight,
    thread: Thread,
    cpu: Duration,
}

impl Bench {
    fn new(wanted: Wanted, thread: Thread) -> Bench {
        let now = Instant::now();
        Bench {
            watch: Watch::new(now),
            sight: Sight {
                now,
                seen: Seen::Free,
                ticks: 7,
                blocks: 2,
                waiting: wanted == Wanted::Waiting,
                excess: wanted == Wanted::Excess,
                slice: SLICE,
            },
            thread,
            cpu: Duration::from_secs(1),
        }
    }

    /// What sysmon makes of `seen` after `pause`.
    fn look(&mut self, pause: Duration, seen: Seen) -> Verdict {
        self.sight.now += pause;
        self.sight.seen = seen;
        if self.thread == Thread::Works {
            self.cpu += pause + Duration::from_nanos(1);
        }
        let (cpu, thread) = (self.cpu, self.thread);
        let clock = |m| {
            assert_eq!(m, M);
            (thread != Thread::Gone).then_some(cpu)
        };
        let runs = |m| {
            assert_eq!(m, M);
            match thread {
                Thread::Works => panic!("the kernel is asked only when the clock stands"),
                Thread::Preempted => Some(true),
                Thread::Blocked => Some(false),
                Thread::Unknown | Thread::Gone => None,
            }
        };
        self.watch.judge(self.sight, clock, runs)
    }
}

#[test]
fn a_p_of_nobody_and_a_p_that_nobody_wants_are_left_alone() {
    let mut bench = Bench::new(Wanted::Waiting, Thread::Blocked);
    for _ in 0..3 {
        assert_eq!(bench.look(SLICE, Seen::Free), Verdict::Nothing);
    }
    let mut bench = Bench::new(Wanted::No, Thread::Blocked);
    for _ in 0..3 {
        assert_eq!(bench.look(2 * SLICE, RUNNING), Verdict::Nothing);
        assert_eq!(bench.look(2 * SLICE, PREEMPTED), Verdict::Nothing);
    }
}

#[test]
fn the_first_look_at_anything_decides_nothing() {
    for wanted in [Wanted::Waiting, Wanted::Excess] {
        for (seen, verdict) in [
            (RUNNING, Verdict::Nothing),
            (PREEMPTED, Verdict::Nothing),
            (BLOCKING, Verdict::Suspect),
        ] {
            let mut bench = Bench::new(wanted, Thread::Blocked);
            assert_eq!(bench.look(2 * SLICE, seen), verdict, "{seen:?}");
        }
    }
}

#[test]
fn a_blocking_call_that_is_seen_twice_is_taken_at_once_if_its_p_is_wanted() {
    for wanted in [Wanted::Waiting, Wanted::Excess] {
        let mut bench = Bench::new(wanted, Thread::Works);
        assert_eq!(bench.look(SHORT, BLOCKING), Verdict::Suspect);
        let taken = Verdict::TakeBlocking {
            m: M,
            is_long: true,
        };
        assert_eq!(bench.look(SHORT, BLOCKING), taken, "{wanted:?}");
    }
}

#[test]
fn a_blocking_call_without_work_for_its_p_is_taken_after_a_while() {
    let mut bench = Bench::new(Wanted::No, Thread::Blocked);
    assert_eq!(bench.look(SHORT, BLOCKING), Verdict::Nothing);
    let almost = BLOCKING_MAX - Duration::from_nanos(1);
    assert_eq!(bench.look(almost, BLOCKING), Verdict::Nothing);
    let rest = Duration::from_nanos(1);
    let taken = Verdict::TakeBlocking {
        m: M,
        is_long: true,
    };
    assert_eq!(bench.look(rest, BLOCKING), taken);
}

#[test]
fn the_next_blocking_call_is_another_one() {
    let mut bench = Bench::new(Wanted::Waiting, Thread::Blocked);
    for _ in 0..4 {
        assert_eq!(bench.look(SHORT, BLOCKING), Verdict::Suspect);
        bench.sight.blocks += 1;
    }
    // Without work for the P each has its own time.
    let mut bench = Bench::new(Wanted::No, Thread::Blocked);
    for _ in 0..4 {
        assert_eq!(bench.look(BLOCKING_MAX, BLOCKING), Verdict::Nothing);
        bench.sight.blocks += 1;
    }
}

#[test]
fn a_call_that_follows_a_slice_is_not_the_same() {
    let mut bench = Bench::new(Wanted::Waiting, Thread::Blocked);
    let suspect = Verdict::Suspect;
    for (seen, verdict) in [
        (RUNNING, Verdict::Nothing),
        (BLOCKING, suspect),
        // Between two calls the clock is read anew.
        (RUNNING, suspect),
        (BLOCKING, suspect),
        (Seen::Free, Verdict::Nothing),
        (BLOCKING, suspect),
    ] {
        assert_eq!(bench.look(SHORT, seen), verdict, "{seen:?}");
    }
}

/// A goroutine that makes one short call after the other has no more than its slice.
#[test]
fn short_calls_do_not_make_a_slice_longer() {
    let mut bench = Bench::new(Wanted::Waiting, Thread::Works);
    assert_eq!(bench.look(SHORT, RUNNING), Verdict::Nothing);
    bench.sight.blocks += 1;
    assert_eq!(bench.look(SLICE / 2, RUNNING), Verdict::Suspect);
    bench.sight.blocks += 1;
    assert_eq!(bench.look(SLICE / 2, RUNNING), Verdict::Preempt);
    bench.sight.blocks += 1;
    let taken = Verdict::TakeBlocking {
        m: M,
        is_long: false,
    };
    assert_eq!(bench.look(SHORT, BLOCKING), taken);
}

#[test]
fn a_blocked_thread_is_found_by_its_clock_and_the_kernel() {
    let retaken = Verdict::Retake { m: M };
    for (thread, verdict) in [
        (Thread::Works, Verdict::Nothing),
        (Thread::Preempted, Verdict::Nothing),
        (Thread::Blocked, retaken),
        (Thread::Unknown, retaken),
        (Thread::Gone, Verdict::Nothing),
    ] {
        let mut bench = Bench::new(Wanted::Waiting, thread);
        assert_eq!(bench.look(SHORT, RUNNING), Verdict::Nothing, "{thread:?}");
        // The clock is read for the first time.
        let first = match thread {
            Thread::Gone => Verdict::Nothing,
            _ => Verdict::Suspect,
        };
        assert_eq!(bench.look(SHORT, RUNNING), first, "{thread:?}");
        assert_eq!(bench.look(SHORT, RUNNING), verdict, "{thread:?}");
    }
}

/// It may have blocked in the middle of a long pause: the next look will tell.
#[test]
fn a_thread_that_ran_for_less_than_half_of_the_time_is_suspected() {
    let mut bench = Bench::new(Wanted::Waiting, Thread::Works);
    assert_eq!(bench.look(SHORT, RUNNING), Verdict::Nothing);
    assert_eq!(bench.look(SHORT, RUNNING), Verdict::Suspect);
    assert_eq!(bench.look(SHORT, RUNNING), Verdict::Nothing);
    bench.thread = Thread::Blocked;
    bench.cpu += SHORT;
    assert_eq!(bench.look(3 * SHORT, RUNNING), Verdict::Suspect);
    assert_eq!(bench.look(SHORT, RUNNING), Verdict::Retake { m: M });
}

#[test]
fn a_thread_is_compared_with_itself_within_one_slice() {
    let mut bench = Bench::new(Wanted::Waiting, Thread::Blocked);
    for _ in 0..4 {
        assert_eq!(bench.look(SHORT, RUNNING), Verdict::Nothing);
        assert_eq!(bench.look(SHORT, RUNNING), Verdict::Suspect);
        bench.sight.ticks += 1;
    }
}

#[test]
fn a_long_slice_is_asked_and_then_escalated() {
    let mut bench = Bench::new(Wanted::Waiting, Thread::Works);
    assert_eq!(bench.look(SHORT, RUNNING), Verdict::Nothing);
    assert_eq!(bench.look(SHORT, RUNNING), Verdict::Suspect);
    let almost = SLICE - SHORT - Duration::from_nanos(1);
    assert_eq!(bench.look(almost, RUNNING), Verdict::Nothing);
    assert_eq!(bench.look(SHORT, RUNNING), Verdict::Preempt);
    let almost = GRACE - Duration::from_nanos(1);
    assert_eq!(bench.look(almost, PREEMPTED), Verdict::Nothing);
    let escalated = Verdict::Escalate { m: M };
    let rest = Duration::from_nanos(1);
    assert_eq!(bench.look(rest, PREEMPTED), escalated);
    assert_eq!(bench.look(SHORT, PREEMPTED), escalated);
}

#[test]
fn a_slice_on_a_p_that_must_go_is_asked_at_once() {
    let mut bench = Bench::new(Wanted::Excess, Thread::Works);
    assert_eq!(bench.look(SHORT, RUNNING), Verdict::Nothing);
    assert_eq!(bench.look(SHORT, RUNNING), Verdict::Preempt);
    let escalated = Verdict::Escalate { m: M };
    assert_eq!(bench.look(GRACE, PREEMPTED), escalated);
}

/// Whoever asked first, sysmon asks once itself and then gives time.
#[test]
fn a_wish_of_somebody_else_is_no_wish_of_ours() {
    let mut bench = Bench::new(Wanted::Waiting, Thread::Works);
    assert_eq!(bench.look(SHORT, PREEMPTED), Verdict::Nothing);
    assert_eq!(bench.look(SLICE, PREEMPTED), Verdict::Preempt);
    assert_eq!(bench.look(SHORT, PREEMPTED), Verdict::Nothing);
}

/// The M took the wish out and went on without a new slice: it is asked again.
#[test]
fn a_wish_that_was_lost_is_repeated() {
    let mut bench = Bench::new(Wanted::Waiting, Thread::Works);
    assert_eq!(bench.look(SHORT, RUNNING), Verdict::Nothing);
    for _ in 0..3 {
        assert_eq!(bench.look(SLICE, RUNNING), Verdict::Preempt);
    }
}

#[test]
fn a_new_slice_begins_from_the_front() {
    let mut bench = Bench::new(Wanted::Waiting, Thread::Works);
    assert_eq!(bench.look(SHORT, RUNNING), Verdict::Nothing);
    assert_eq!(bench.look(SLICE, RUNNING), Verdict::Preempt);
    bench.sight.ticks += 1;
    assert_eq!(bench.look(GRACE, PREEMPTED), Verdict::Nothing);
    assert_eq!(bench.watch.age(bench.sight.now), Duration::ZERO);
    assert_eq!(bench.look(SHORT, PREEMPTED), Verdict::Suspect);
    assert_eq!(bench.look(SLICE, PREEMPTED), Verdict::Preempt);
}

#[test]
fn the_age_is_that_of_the_slice_whoever_wants_the_p() {
    let mut bench = Bench::new(Wanted::No, Thread::Works);
    for n in 0..5 {
        assert_eq!(bench.look(SHORT, RUNNING), Verdict::Nothing);
        assert_eq!(bench.watch.age(bench.sight.now), SHORT * n);
    }
    // The work comes late: the slice is not younger for that.
    bench.sight.waiting = true;
    assert_eq!(bench.look(SLICE, RUNNING), Verdict::Preempt);
}
