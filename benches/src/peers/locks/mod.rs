//! Locks: gopark's between goroutines, parking_lot's and std's between threads, tokio's between
//! tasks.
//!
//! Without anybody else, a lock is two atomic operations in all of them. With others what counts
//! is what happens to those who come too late: that is why there are two kinds of section.

pub(crate) mod tasks;

use std::hint::black_box;
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use super::channels::starting::{self, Party};
use super::channels::{Channels, Scene};
use crate::measure::time;

pub(crate) const PARTIES: u64 = 4;
/// Of this many operations at a lock for readers and writers one writes.
pub(crate) const WRITES_ONE_IN: u64 = 10;
/// Steps of work with the lock, and between two locks.
pub(crate) const INSIDE: u32 = 10;
pub(crate) const OUTSIDE: u32 = 30;

/// Lets one in.
pub(crate) trait Mutex: Default + Send + Sync + 'static {
    fn locked<R>(&self, f: impl FnOnce(&mut u64) -> R) -> R;
}

/// Lets many readers in, or one writer.
pub(crate) trait RwLock: Default + Send + Sync + 'static {
    fn read<R>(&self, f: impl FnOnce(&u64) -> R) -> R;
    fn write<R>(&self, f: impl FnOnce(&mut u64) -> R) -> R;
}

impl Mutex for gopark::sync::Mutex<u64> {
    #[inline(always)]
    fn locked<R>(&self, f: impl FnOnce(&mut u64) -> R) -> R {
        f(&mut self.lock())
    }
}

impl Mutex for parking_lot::Mutex<u64> {
    #[inline(always)]
    fn locked<R>(&self, f: impl FnOnce(&mut u64) -> R) -> R {
        f(&mut self.lock())
    }
}

impl Mutex for std::sync::Mutex<u64> {
    #[inline(always)]
    fn locked<R>(&self, f: impl FnOnce(&mut u64) -> R) -> R {
        f(&mut self.lock().expect("no holder panics"))
    }
}

impl RwLock for gopark::sync::RwLock<u64> {
    #[inline(always)]
    fn read<R>(&self, f: impl FnOnce(&u64) -> R) -> R {
        f(&gopark::sync::RwLock::read(self))
    }

    #[inline(always)]
    fn write<R>(&self, f: impl FnOnce(&mut u64) -> R) -> R {
        f(&mut gopark::sync::RwLock::write(self))
    }
}

impl RwLock for parking_lot::RwLock<u64> {
    #[inline(always)]
    fn read<R>(&self, f: impl FnOnce(&u64) -> R) -> R {
        f(&parking_lot::RwLock::read(self))
    }

    #[inline(always)]
    fn write<R>(&self, f: impl FnOnce(&mut u64) -> R) -> R {
        f(&mut parking_lot::RwLock::write(self))
    }
}

impl RwLock for std::sync::RwLock<u64> {
    #[inline(always)]
    fn read<R>(&self, f: impl FnOnce(&u64) -> R) -> R {
        f(&std::sync::RwLock::read(self).expect("no holder panics"))
    }

    #[inline(always)]
    fn write<R>(&self, f: impl FnOnce(&mut u64) -> R) -> R {
        f(&mut std::sync::RwLock::write(self).expect("no holder panics"))
    }
}

/// Locks and unlocks a lock that nobody else wants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alone<L> {
    way: Way,
    count: u64,
    lock: PhantomData<fn() -> L>,
}

/// In which way a lock for readers and writers is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Read,
    Write,
}

impl<L: RwLock> Alone<L> {
    pub(crate) fn new(way: Way, count: u64) -> Self {
        let lock = PhantomData;
        Self { way, count, lock }
    }
}

impl<L: RwLock> Scene for Alone<L> {
    fn play<K: Channels>(&self) -> io::Result<Duration> {
        let lock = L::default();
        let lock = black_box(&lock);
        let mut seen = 0;
        let elapsed = match self.way {
            Way::Read => time(self.count, || seen += lock.read(|&value| black_box(value))),
            Way::Write => time(self.count, || lock.write(|value| *value += 1)),
        };
        black_box(seen);
        let writes = if self.way == Way::Write {
            self.count
        } else {
            0
        };
        assert_eq!(lock.read(|&value| value), writes);
        Ok(elapsed)
    }
}

/// The same with a mutex.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MutexAlone<L> {
    count: u64,
    lock: PhantomData<fn() -> L>,
}

impl<L: Mutex> MutexAlone<L> {
    pub(crate) fn new(count: u64) -> Self {
        let lock = PhantomData;
        Self { count, lock }
    }
}

impl<L: Mutex> Scene for MutexAlone<L> {
    fn play<K: Channels>(&self) -> io::Result<Duration> {
        let lock = L::default();
        let lock = black_box(&lock);
        let elapsed = time(self.count, || lock.locked(|value| *value += 1));
        assert_eq!(lock.locked(|value| *value), self.count);
        Ok(elapsed)
    }
}

/// Several that want one mutex.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contended<L> {
    section: Section,
    count: u64,
    lock: PhantomData<fn() -> L>,
}

/// What is done with the mutex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// A little work: whoever spins for a while need not block.
    Short,
    /// A yield: all others come too late, and block.
    Yield,
}

impl<L: Mutex> Contended<L> {
    pub(crate) fn new(section: Section, count: u64) -> Self {
        let lock = PhantomData;
        Self {
            section,
            count,
            lock,
        }
    }
}

impl<L: Mutex> Scene for Contended<L> {
    fn play<K: Channels>(&self) -> io::Result<Duration> {
        let (section, each) = (self.section, self.count.div_ceil(PARTIES));
        let lock = Arc::new(L::default());
        let party = |_| -> Party {
            let lock = Arc::clone(&lock);
            Box::new(move || {
                for _ in 0..each {
                    lock.locked(|value| {
                        *value += 1;
                        match section {
                            Section::Short => work(INSIDE),
                            Section::Yield => K::yield_now(),
                        }
                    });
                    work(OUTSIDE);
                }
            })
        };
        let elapsed = starting::race::<K>((0..PARTIES).map(party).collect())?;
        assert_eq!(lock.locked(|value| *value), PARTIES * each);
        Ok(elapsed.mul_f64(self.count as f64 / (PARTIES * each) as f64))
    }
}

/// Several that mostly read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mixed<L> {
    count: u64,
    lock: PhantomData<fn() -> L>,
}

impl<L: RwLock> Mixed<L> {
    pub(crate) fn new(count: u64) -> Self {
        let lock = PhantomData;
        Self { count, lock }
    }
}

impl<L: RwLock> Scene for Mixed<L> {
    fn play<K: Channels>(&self) -> io::Result<Duration> {
        let each = self.count.div_ceil(PARTIES);
        let lock = Arc::new(L::default());
        let party = |_| -> Party {
            let lock = Arc::clone(&lock);
            Box::new(move || {
                for index in 0..each {
                    if writes(index) {
                        lock.write(|value| {
                            *value += 1;
                            work(INSIDE);
                        });
                    } else {
                        lock.read(|value| {
                            black_box(value);
                            work(INSIDE);
                        });
                    }
                    work(OUTSIDE);
                }
            })
        };
        let elapsed = starting::race::<K>((0..PARTIES).map(party).collect())?;
        let written = PARTIES * (0..each).filter(|&index| writes(index)).count() as u64;
        assert_eq!(lock.read(|&value| value), written);
        Ok(elapsed.mul_f64(self.count as f64 / (PARTIES * each) as f64))
    }
}

fn writes(index: u64) -> bool {
    index % WRITES_ONE_IN == WRITES_ONE_IN - 1
}

/// Steps that depend on each other, a nanosecond or two each.
#[inline(never)]
pub(crate) fn work(steps: u32) {
    let mut state = u64::from(steps);
    for _ in 0..steps {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
    }
    black_box(state);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::channels::tasks::run;
    use crate::peers::channels::{on_goroutines, on_threads};
    use crate::peers::goroutines;
    use crate::peers::tasks::{Workers, runtime};
    use crate::peers::threads::Placement;

    const COUNT: u64 = 999;

    /// Each asserts for itself that nothing is lost under its lock.
    #[test]
    fn every_lock_keeps_others_out() {
        let goroutines = goroutines::runtime(2, None).unwrap();
        let tokio = runtime(Workers::Threads(2)).unwrap();
        for section in [Section::Short, Section::Yield] {
            let scene = Contended::<gopark::sync::Mutex<u64>>::new(section, COUNT);
            on_goroutines(&goroutines, &scene).unwrap();
            let scene = Contended::<parking_lot::Mutex<u64>>::new(section, COUNT);
            on_threads(Placement::Free, &scene).unwrap();
            let scene = Contended::<std::sync::Mutex<u64>>::new(section, COUNT);
            on_threads(Placement::Free, &scene).unwrap();
            run(&tokio, tasks::contended(section, COUNT));
        }
        let scene = Mixed::<gopark::sync::RwLock<u64>>::new(COUNT);
        on_goroutines(&goroutines, &scene).unwrap();
        let scene = Mixed::<parking_lot::RwLock<u64>>::new(COUNT);
        on_threads(Placement::Free, &scene).unwrap();
        let scene = Mixed::<std::sync::RwLock<u64>>::new(COUNT);
        on_threads(Placement::Free, &scene).unwrap();
        run(&tokio, tasks::mixed(COUNT));
    }
}
