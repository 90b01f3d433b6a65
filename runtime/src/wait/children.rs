//! The goroutines of a scope: counted, cancelled together, waited for.
//!
//! Who does what when is in `task/scope_state.rs`. The list is for cancelling only: an entry of a
//! goroutine that has ended is harmless, because its id is never used again, and is swept out when
//! the list has doubled.
//!
//! # Invariants
//!
//! 1. A goroutine is put into the list before its spawner looks whether the scope is cancelled, and
//!    a scope is marked before its list is read: so none is missed.
//! 2. The parent is in the slot only while it waits, and takes the lock before it leaves.

use std::any::Any;
use std::sync::Arc;

use super::lock::Lock;
use super::parker::{self, Ended, Lists, Waiter};
use crate::sched::header::{G, Wait};
use crate::sched::interrupt::{self, Kind};
use crate::sched::packet::Company;
use crate::sched::park::{self, Cancelled};
use crate::sched::place::Place;
use crate::sys::clock::NEVER;
use crate::task::scope_state::{self, Fail, Leave, ScopeState};
use crate::task::seed_state::Ask;

const SWEEP_MIN: usize = 64;

/// See the top of this file.
#[derive(Debug)]
pub(crate) struct Children {
    state: ScopeState,
    synced: Lock<Synced>,
}

#[derive(Debug)]
struct Synced {
    list: Vec<(Place, u64)>,
    sweep_at: usize,
    parent: Option<Waiter>,
    /// The first panic of a scope that fails fast.
    payload: Option<Box<dyn Any + Send>>,
}

impl Children {
    pub(crate) fn new() -> Arc<Children> {
        Arc::new(Children {
            state: ScopeState::new(),
            synced: Lock::new(Synced {
                list: Vec::new(),
                sweep_at: SWEEP_MIN,
                parent: None,
                payload: None,
            }),
        })
    }

    /// A panic cancels all from now on.
    pub(crate) fn fail_fast(&self) {
        self.state.fail_fast();
    }

    /// One more is about to be spawned, in this company.
    pub(crate) fn enter(self: &Arc<Self>) -> Arc<dyn Company> {
        self.state.enter();
        Arc::clone(self) as _
    }

    /// It has been spawned.
    pub(crate) fn add(&self, place: Place, id: u64) {
        let mut synced = self.synced.lock();
        if synced.list.len() == synced.sweep_at {
            synced.list.retain(|(place, id)| place.has(*id));
            synced.sweep_at = SWEEP_MIN.max(2 * synced.list.len());
        }
        synced.list.push((place, id));
        drop(synced);
        if self.state.is_cancelled() {
            park::ask(place, id, Ask::Cancel);
        }
    }

    /// Cancels all that there are, but the caller, and those that come.
    pub(crate) fn cancel(&self) {
        self.state.cancel();
        let own = G::current().map(|g| g.state.id());
        let mut list = std::mem::take(&mut self.synced.lock().list);
        for &(place, id) in list.iter().filter(|(_, id)| Some(*id) != own) {
            park::ask(place, id, Ask::Cancel);
        }
        let mut synced = self.synced.lock();
        list.append(&mut synced.list);
        synced.list = list;
    }

    /// Somebody was told of a panic: the scope need not panic for it.
    pub(crate) fn told(&self) {
        self.state.told();
    }

    /// Whether one has panicked and nobody was told.
    pub(crate) fn has_panics(&self) -> bool {
        self.state.has_panics()
    }

    /// The panic for which a scope that fails fast was cancelled.
    pub(crate) fn take_panic(&self) -> Option<Box<dyn Any + Send>> {
        self.synced.lock().payload.take()
    }

    /// Waits until there are none. For the parent; of a goroutine it unwinds as every park does.
    pub(crate) fn wait(&self) {
        struct Leaves<'a>(&'a Children);
        impl Drop for Leaves<'_> {
            fn drop(&mut self) {
                self.0.state.withdraw();
                self.0.synced.lock().parent = None;
            }
        }
        while !self.state.is_over() {
            let leaves = Leaves(self);
            let ended = parker::park(Lists::One, Wait::Join, NEVER, |waiter| {
                self.synced.lock().parent = Some(waiter);
                self.state.wait() == scope_state::Wait::Sleep
            });
            drop(leaves);
            if ended == Ended::Interrupted && !self.state.is_over() {
                parker::heed();
            }
        }
    }
}

impl Company for Children {
    fn failed(&self, payload: Box<dyn Any + Send>) -> Box<dyn Any + Send> {
        if interrupt::kind(&*payload) != Kind::Panic {
            return payload;
        }
        match self.state.fail() {
            Fail::Counted | Fail::Late => payload,
            Fail::First => {
                self.synced.lock().payload = Some(payload);
                self.cancel();
                Box::new(Cancelled)
            }
        }
    }

    fn left(&self) {
        if self.state.leave() == Leave::WakeParent {
            let mut synced = self.synced.lock();
            let woken = synced.parent.take().and_then(|parent| parent.wake());
            drop(synced);
            if let Some(woken) = woken {
                woken.go();
            }
        }
    }
}
