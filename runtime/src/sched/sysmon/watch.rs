//! What sysmon makes of one P: decides, and leaves the acting to `monitor.rs`.
//!
//! | what it sees, twice in a row                  | and                               | verdict       |
//! |-----------------------------------------------|-----------------------------------|---------------|
//! | the same blocking call (once: `Suspect`)      | work waits, or 10 ms are over     | `TakeBlocking` |
//! | the same slice, the thread's CPU clock slow   | work waits                        | `Suspect`     |
//! | the same slice, the thread's CPU clock stands | work waits, and the kernel says that the thread is blocked | `Retake` |
//! | the same slice, longer than a slice may last  | work waits, or the P must go      | `Preempt`     |
//! | the same slice after `Preempt`                | the goroutine did not come        | `Escalate`    |
//!
//! The CPU clock alone would also stand while the kernel runs another thread in its place. Taking
//! the P then would let more goroutines run than there are Ps, so the kernel is asked, but only
//! when the clock stands.

use std::time::{Duration, Instant};

use crate::sched::hold::Seen;

/// A P in a blocking call without work for it is taken after this, so that sysmon may sleep.
const BLOCKING_MAX: Duration = Duration::from_millis(10);
/// How long a goroutine may take to come to its next runtime call once it has been asked to.
const GRACE: Duration = Duration::from_micros(50);

/// What sysmon shall do.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Nothing,
    /// The thread may have blocked since the last look: look again soon.
    Suspect,
    /// Take the P of an M that is in a blocking call.
    TakeBlocking {
        m: usize,
        /// It is a long call: the last look saw it too.
        is_long: bool,
    },
    /// The thread is blocked in the kernel: take the P without asking it.
    Retake {
        m: usize,
    },
    /// Ask the goroutine to give way.
    Preempt,
    /// It did not.
    Escalate {
        m: usize,
    },
}

/// What has happened since the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    NewSlice,
    /// The slice goes on, but a blocking call has begun or ended.
    NewCall,
    Same,
}

/// How a thread's CPU clock went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    Stands,
    /// Less than half as fast as time, or read for the first time.
    Slow,
    Runs,
}

/// What sysmon sees of a P now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight {
    pub(crate) now: Instant,
    pub(crate) seen: Seen,
    pub(crate) ticks: u64,
    pub(crate) blocks: u64,
    /// Somebody could use the P: work waits for it and nobody else comes to it.
    pub(crate) waiting: bool,
    /// The P is above the limit.
    pub(crate) excess: bool,
    pub(crate) slice: Duration,
}

/// What sysmon remembers of a P.
#[derive(Debug)]
pub(crate) struct Watch {
    ticks: u64,
    blocks: u64,
    m: Option<usize>,
    since: Instant,
    /// When the call, or what lies between two, was first seen.
    call_since: Instant,
    /// The thread's CPU clock at the last look, and when that was.
    clock: Option<(Duration, Instant)>,
    asked: Option<Instant>,
    was_blocking: bool,
    /// The last look ended in `Suspect`: one short pause must do.
    suspected: bool,
}

impl Watch {
    pub(crate) fn new(now: Instant) -> Watch {
        Watch {
            ticks: 0,
            blocks: 0,
            m: None,
            since: now,
            call_since: now,
            clock: None,
            asked: None,
            was_blocking: false,
            suspected: false,
        }
    }

    /// How long the slice that was seen last has been going on.
    pub(crate) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }

    /// Compares with the last look. A slice goes on around blocking calls: many short ones may not
    /// keep a P any longer than one long computation.
    fn compare(&mut self, sight: &Sight, m: usize, blocking: bool) -> Since {
        if self.m != Some(m) || self.ticks != sight.ticks {
            *self = Watch {
                ticks: sight.ticks,
                blocks: sight.blocks,
                m: Some(m),
                was_blocking: blocking,
                ..Watch::new(sight.now)
            };
            return Since::NewSlice;
        }
        if self.blocks == sight.blocks && self.was_blocking == blocking {
            return Since::Same;
        }
        self.blocks = sight.blocks;
        self.was_blocking = blocking;
        self.call_since = sight.now;
        self.clock = None;
        self.suspected = false;
        Since::NewCall
    }

    /// Judges a P. `clock` reads the CPU clock of a thread, `runs` asks the kernel about it.
    pub(crate) fn judge(
        &mut self,
        sight: Sight,
        clock: impl Fn(usize) -> Option<Duration>,
        runs: impl Fn(usize) -> Option<bool>,
    ) -> Verdict {
        match sight.seen {
            Seen::Free => {
                self.m = None;
                Verdict::Nothing
            }
            Seen::Blocking { m } => {
                let wanted = sight.waiting || sight.excess;
                let since = self.compare(&sight, m, true);
                let is_over = self.age(sight.now) >= sight.slice;
                let is_long = sight.now.saturating_duration_since(self.call_since) >= BLOCKING_MAX;
                match since {
                    Since::Same if wanted || is_long => Verdict::TakeBlocking { m, is_long: true },
                    Since::NewCall if wanted && is_over => {
                        Verdict::TakeBlocking { m, is_long: false }
                    }
                    Since::NewCall | Since::NewSlice if wanted => Verdict::Suspect,
                    _ => Verdict::Nothing,
                }
            }
            Seen::Running { m, preempt } => {
                let is_new = self.compare(&sight, m, false) == Since::NewSlice;
                if is_new || !(sight.waiting || sight.excess) {
                    return Verdict::Nothing;
                }
                let suspect = match self.pace(&sight, clock(m)) {
                    Pace::Stands if runs(m) != Some(true) => return Verdict::Retake { m },
                    // The kernel runs another thread in its place.
                    Pace::Stands | Pace::Runs => Verdict::Nothing,
                    Pace::Slow if self.suspected => Verdict::Nothing,
                    Pace::Slow => Verdict::Suspect,
                };
                self.suspected = suspect == Verdict::Suspect;
                match self.judge_slice(&sight, m, preempt) {
                    Verdict::Nothing => suspect,
                    verdict => verdict,
                }
            }
        }
    }

    /// How the thread's clock went since the last look.
    fn pace(&mut self, sight: &Sight, now: Option<Duration>) -> Pace {
        let before = std::mem::replace(&mut self.clock, now.map(|clock| (clock, sight.now)));
        let Some(now) = now else {
            // Without a clock there is nothing to go by.
            return Pace::Runs;
        };
        let Some((before, at)) = before else {
            return Pace::Slow;
        };
        let ran = now.saturating_sub(before);
        let passed = sight.now.saturating_duration_since(at);
        if ran.is_zero() {
            Pace::Stands
        } else if ran < passed / 2 {
            Pace::Slow
        } else {
            Pace::Runs
        }
    }

    fn judge_slice(&mut self, sight: &Sight, m: usize, preempt: bool) -> Verdict {
        if self.age(sight.now) < sight.slice && !sight.excess {
            return Verdict::Nothing;
        }
        match self.asked {
            Some(asked) if preempt => {
                if sight.now.saturating_duration_since(asked) < GRACE {
                    Verdict::Nothing
                } else {
                    Verdict::Escalate { m }
                }
            }
            _ => {
                self.asked = Some(sight.now);
                Verdict::Preempt
            }
        }
    }
}

#[cfg(test)]
#[path = "tests/watch.rs"]
mod tests;
