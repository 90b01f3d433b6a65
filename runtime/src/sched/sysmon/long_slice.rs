//! Telling the program of goroutines that run for long without a runtime call.
//!
//! sysmon notes, without allocating; the chores' thread starts one that tells.

use std::fmt;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::fatal;
use crate::sched::header::GRef;
use crate::sched::machine::Machine;
use crate::sched::processor::Processor;
use crate::sched::shared::Shared;

/// Reports that wait to be told; more are dropped.
const NOTED_MAX: usize = 64;

/// A goroutine that has been running for long without a call that lets others run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LongSlice {
    /// The goroutine's id.
    pub id: u64,
    /// Its name.
    pub name: Option<String>,
    /// Where it was spawned.
    pub spawned_at: Option<&'static Location<'static>>,
    /// How long the slice has lasted so far; several goroutines may share a slice by taking turns.
    pub running_for: Duration,
}

/// What to call, and what waits to be told.
#[derive(Clone)]
pub(crate) struct LongSliceHook {
    pub(crate) threshold: Duration,
    call: Arc<dyn Fn(&LongSlice) + Send + Sync>,
    noted: Arc<Mutex<Noted>>,
    /// A thread is at it.
    telling: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Noted {
    slices: Vec<LongSlice>,
    /// P and tick of the slices that were noted last, so that each is told once.
    known: Vec<(usize, u64)>,
}

impl fmt::Debug for LongSliceHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LongSliceHook")
            .field("threshold", &self.threshold)
            .finish_non_exhaustive()
    }
}

impl LongSliceHook {
    pub(crate) fn new(
        threshold: Duration,
        call: impl Fn(&LongSlice) + Send + Sync + 'static,
    ) -> LongSliceHook {
        LongSliceHook {
            threshold,
            call: Arc::new(call),
            noted: Arc::new(Mutex::new(Noted {
                slices: Vec::with_capacity(NOTED_MAX),
                known: Vec::with_capacity(NOTED_MAX),
            })),
            telling: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Notes the slice of P `p` that was seen to be `age` old at `ticks`, when `m` held the P: true
    /// if it is to be told. Allocates nothing.
    pub(crate) fn note(&self, m: &Machine, p: &Processor, ticks: u64, age: Duration) -> bool {
        let Some(g) = GRef::from_ptr(m.current.load(Ordering::Relaxed)) else {
            return false;
        };
        // The goroutine may be that of a later slice, whose age it is not.
        if p.counts.ticks.get() != ticks {
            return false;
        }
        let key = (p.index, ticks);
        let Ok(mut noted) = self.noted.try_lock() else {
            return false;
        };
        if noted.known.contains(&key) || noted.slices.len() == NOTED_MAX {
            return false;
        }
        if noted.known.len() == NOTED_MAX {
            noted.known.remove(0);
        }
        noted.known.push(key);
        let g = g.get();
        noted.slices.push(LongSlice {
            id: g.state.id(),
            name: None,
            spawned_at: g.told.spawned_at(),
            running_for: age,
        });
        true
    }

    /// Tells what was noted, on a thread of its own: the program's function may block.
    pub(crate) fn tell(&self, shared: &Arc<Shared>) {
        // AcqRel: one teller at a time; the next one sees what this one has left.
        if self.telling.swap(true, Ordering::AcqRel) {
            return;
        }
        let (hook, shared) = (self.clone(), Arc::clone(shared));
        let tell = move || hook.tell_all(&shared);
        if fatal::spawn(String::from("gopark-report"), None, tell).is_err() {
            // Release: as above. It is told with the next one.
            self.telling.store(false, Ordering::Release);
        }
    }

    fn tell_all(&self, shared: &Shared) {
        loop {
            let mut slices = Vec::with_capacity(NOTED_MAX);
            {
                let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
                std::mem::swap(&mut noted.slices, &mut slices);
                if slices.is_empty() {
                    // Release: under the lock, so whoever notes later starts a new teller.
                    self.telling.store(false, Ordering::Release);
                    return;
                }
            }
            for mut slice in slices {
                slice.name = shared.name_of(slice.id).map(|name| name.to_string());
                // A panic of the program's function is its own affair.
                let _ = catch_unwind(AssertUnwindSafe(|| (self.call)(&slice)));
            }
        }
    }
}
