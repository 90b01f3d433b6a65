//! Waiting in the queue of one primitive, and being answered.
//!
//! Every wait of this layer is told here once. A waiter leaves a node with an [`Entry`] in a
//! [`Queue`] and parks. Whoever can serve it takes the node out and leaves an answer in it, under
//! the queue's lock. The waiter takes that lock before it leaves, whatever ended its park, and
//! then knows: it was answered, or its node is still there and never will be.
//!
//! So the lock decides, and only the lock. A waiter whose time has come, but who finds an answer,
//! was served. A waiter that is asked to unwind takes its node out first; if it finds an answer, it
//! was served, and unwinds at its next suspension. An answer is passed on only if a panic ends the
//! wait.
//!
//! # Invariants
//!
//! 1. A node is in a queue from the `begin` of its wait until it is answered or taken out, and its
//!    owner does not leave [`wait`] before.
//! 2. Answers are not 0, and are written and read under the lock.
//! 3. Every answer is returned by `wait`, or given to `pass_on`.

#![expect(unsafe_code, reason = "keeps nodes on the stacks of waiters in a list")]

use std::cell::Cell;
use std::ptr::NonNull;

use crate::task::reason::Wait;
use crate::wait::list::{List, Node};
use crate::wait::lock::Lock;
use crate::wait::parker::{self, Ended, Lists, Waiter, Woken};

/// What a waiter leaves in a queue.
#[derive(Debug)]
pub(crate) struct Entry {
    waiter: Cell<Option<Waiter>>,
    answer: Cell<u32>,
    /// The primitive that is waited for, where several share a queue.
    pub(crate) addr: usize,
    /// What is asked for, as the primitive sees it.
    pub(crate) asks: Cell<u64>,
}

// SAFETY: the cells are touched under the lock of the queue, by its waiter and by wakers.
unsafe impl Sync for Entry {}

impl Entry {
    pub(crate) fn new(addr: usize, asks: u64) -> Entry {
        Entry {
            waiter: Cell::new(None),
            answer: Cell::new(0),
            addr,
            asks: Cell::new(asks),
        }
    }

    /// Under the lock, for a node that is taken out.
    fn answer(&self, answer: u32) -> Woken {
        debug_assert!(answer != 0 && self.answer.get() == 0, "answered twice");
        self.answer.set(answer);
        // One whom time, or an unwinding, was faster to wake looks at the answer too.
        let wake = self.waiter.get().and_then(|waiter| waiter.wake());
        wake.unwrap_or(Woken::Nothing)
    }
}

/// Those who wait for one primitive, or for several; oldest first.
#[derive(Debug)]
pub(crate) struct Queue(List<Entry>);

impl Queue {
    pub(crate) const fn new() -> Queue {
        Queue(List::new())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the oldest asks for.
    pub(crate) fn first_asks(&self) -> Option<u64> {
        self.0.front().map(|node| node.entry.asks.get())
    }

    /// Answers the oldest that fits; `answer` is told whether there are more of them.
    pub(crate) fn answer_first(
        &mut self,
        fits: impl Fn(&Entry) -> bool,
        answer: impl FnOnce(bool) -> u32,
    ) -> Option<Woken> {
        let mut fitting = self.0.iter().filter(|node| fits(&node.entry));
        let first = NonNull::from(fitting.next()?);
        let more = fitting.next().is_some();
        drop(fitting);
        // SAFETY: in the queue, whose lock is held by the owner of `self`: invariant 1.
        let node = unsafe { first.as_ref() };
        // SAFETY: it is in this list.
        unsafe { self.0.remove(node) };
        Some(node.entry.answer(answer(more)))
    }

    fn put(&mut self, node: &Node<Entry>, place: Place) {
        // SAFETY: a new node, which `wait` takes out before it goes; under the queue's lock.
        match place {
            // SAFETY: as above.
            Place::Front => unsafe { self.0.push_front(node) },
            // SAFETY: as above.
            _ => unsafe { self.0.push_back(node) },
        }
    }

    fn remove(&mut self, node: &Node<Entry>) -> bool {
        // SAFETY: it was put into this list, or into none.
        unsafe { self.0.remove(node) }
    }
}

/// Wakes that are carried out when the lock has been released: a handful, so that they need no
/// memory. Who has more of them takes the lock again.
#[derive(Debug)]
pub(crate) struct Wakes {
    wakes: [Woken; Wakes::MAX],
    len: usize,
}

impl Wakes {
    const MAX: usize = 16;

    pub(crate) fn new() -> Wakes {
        Wakes {
            wakes: [const { Woken::Nothing }; Wakes::MAX],
            len: 0,
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len == Wakes::MAX
    }

    pub(crate) fn push(&mut self, woken: Woken) {
        self.wakes[self.len] = woken;
        self.len += 1;
    }

    /// Outside of the lock.
    pub(crate) fn go(self) {
        for woken in self.wakes.into_iter().take(self.len) {
            woken.go();
        }
    }
}

/// Gives wakes as long as `next` has one. `next` runs under the lock.
pub(crate) fn wake_all<S>(lock: &Lock<S>, mut next: impl FnMut(&mut S) -> Option<Woken>) {
    loop {
        let mut wakes = Wakes::new();
        let mut synced = lock.lock();
        while !wakes.is_full()
            && let Some(woken) = next(&mut synced)
        {
            wakes.push(woken);
        }
        drop(synced);
        let is_over = !wakes.is_full();
        wakes.go();
        if is_over {
            return;
        }
    }
}

/// Where a waiter goes.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Back,
    Front,
    /// It need not wait.
    Nowhere,
}

/// How a wait ended.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// `begin` gave [`Place::Nowhere`].
    NotBegun,
    Answered(u32),
    TimedOut,
}

/// What a lock protects: a queue, alone or with something else.
pub(crate) trait HasQueue {
    fn queue(&mut self) -> &mut Queue;
}

impl HasQueue for Queue {
    fn queue(&mut self) -> &mut Queue {
        self
    }
}

/// One kind of wait.
pub(crate) trait Waits {
    /// What the lock protects.
    type Synced: HasQueue;

    fn lock(&self) -> &Lock<Self::Synced>;

    /// For reports.
    fn why(&self) -> Wait;

    /// Whether to wait, under the lock.
    fn begin(&self, synced: &mut Self::Synced, entry: &Entry) -> Place;

    /// The waiter is in the queue, and the lock released. Must not suspend.
    fn begun(&self) {}

    /// The waiter is taken out without an answer, under the lock: 0, or an answer after all.
    fn removed(&self, _: &mut Self::Synced, _: &Entry) -> u32 {
        0
    }

    /// The waiter has left without an answer; without the lock.
    fn left(&self) {}

    /// The waiter was answered, but unwinds.
    fn pass_on(&self, answer: u32);
}

/// Blocks the caller until its entry is answered, or until `until`.
///
/// Unwinds as every park does; then a node that waits is taken out, and an answer passed on.
pub(crate) fn wait<W: Waits>(waits: &W, entry: Entry, until: u64) -> Outcome {
    let node = Node::new(entry);
    let mut stay = Stay {
        waits,
        node: &node,
        is_over: false,
    };
    let mut begun = false;
    loop {
        let ended = parker::park(Lists::One, waits.why(), until, |waiter| {
            let mut synced = waits.lock().lock();
            node.entry.waiter.set(Some(waiter));
            if begun {
                // Once more, after a park that nobody ended who had an answer.
                return node.entry.answer.get() == 0;
            }
            let place = waits.begin(&mut synced, &node.entry);
            if place == Place::Nowhere {
                return false;
            }
            synced.queue().put(&node, place);
            begun = true;
            drop(synced);
            waits.begun();
            true
        });
        if !begun {
            stay.is_over = true;
            return Outcome::NotBegun;
        }
        if ended == Ended::TimedOut {
            stay.is_over = true;
            return stay.end();
        }
        if ended == Ended::Interrupted && parker::must_heed() {
            stay.is_over = true;
            if let Outcome::Answered(answer) = stay.end() {
                return Outcome::Answered(answer);
            }
            parker::heed();
            // The request was over after all: the wait begins anew.
            stay.is_over = false;
            begun = false;
            continue;
        }
        if let Some(answer) = stay.answer() {
            stay.is_over = true;
            return Outcome::Answered(answer);
        }
    }
}

/// The node in its queue.
struct Stay<'a, W: Waits> {
    waits: &'a W,
    node: &'a Node<Entry>,
    is_over: bool,
}

impl<W: Waits> Stay<'_, W> {
    fn answer(&self) -> Option<u32> {
        let _synced = self.waits.lock().lock();
        Some(self.node.entry.answer.get()).filter(|answer| *answer != 0)
    }

    /// Takes the node out.
    fn end(&self) -> Outcome {
        let mut synced = self.waits.lock().lock();
        let was_there = synced.queue().remove(self.node);
        let answer = match was_there {
            true => self.waits.removed(&mut synced, &self.node.entry),
            false => self.node.entry.answer.get(),
        };
        drop(synced);
        if was_there {
            self.waits.left();
        }
        match answer {
            0 => Outcome::TimedOut,
            answer => Outcome::Answered(answer),
        }
    }
}

impl<W: Waits> Drop for Stay<'_, W> {
    fn drop(&mut self) {
        if !self.is_over
            && let Outcome::Answered(answer) = self.end()
        {
            self.waits.pass_on(answer);
        }
    }
}
