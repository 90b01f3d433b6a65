//! Telling many that they need not go on.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::lot;
use super::queue::{self, Entry, Outcome, Place, Queue, Waits};
use crate::sched::header::Wait;
use crate::sys::clock::{self, NEVER};
use crate::wait::lock::Lock;

/// Tells those who look, or wait, that they are to stop, and their children: tokio's name, Go's
/// context.
///
/// A clone is the same token. A child is cancelled with its parent, not the other way round.
///
/// ```
/// let token = gopark::sync::CancellationToken::new();
/// let child = token.child_token();
/// token.cancel();
/// child.wait();
/// assert!(child.is_cancelled());
/// ```
#[derive(Clone, Default)]
pub struct CancellationToken(Arc<Node>);

#[derive(Default)]
struct Node {
    is_cancelled: AtomicBool,
    children: Children,
    /// Kept, so that what cancels it reaches this one.
    parent: Option<Arc<Node>>,
}

struct Children(Lock<Vec<Weak<Node>>>);

impl Default for Children {
    fn default() -> Children {
        Children(Lock::new(Vec::new()))
    }
}

const CANCELLED: u32 = 1;

impl CancellationToken {
    /// Not cancelled.
    pub fn new() -> CancellationToken {
        CancellationToken::default()
    }

    /// A token that is cancelled with this one, or alone.
    pub fn child_token(&self) -> CancellationToken {
        let child = Arc::new(Node {
            parent: Some(Arc::clone(&self.0)),
            is_cancelled: AtomicBool::new(false),
            children: Children::default(),
        });
        let mut children = self.0.children.0.lock();
        if self.is_cancelled() {
            child.is_cancelled.store(true, Ordering::Relaxed);
        } else {
            if children.len() == children.capacity() {
                children.retain(|child| child.strong_count() > 0);
            }
            children.push(Arc::downgrade(&child));
        }
        drop(children);
        CancellationToken(child)
    }

    /// Cancels it and all below it, and wakes who waits for them.
    pub fn cancel(&self) {
        let mut left = vec![Arc::clone(&self.0)];
        while let Some(node) = left.pop() {
            left.extend(node.cancel().iter().filter_map(Weak::upgrade));
        }
    }

    /// Whether it has been cancelled.
    pub fn is_cancelled(&self) -> bool {
        // Acquire: pairs with `cancel`.
        self.0.is_cancelled.load(Ordering::Acquire)
    }

    /// Blocks until it is cancelled.
    pub fn wait(&self) {
        self.wait_until(NEVER);
    }

    /// Blocks until it is cancelled, for `time` at most: whether it is.
    pub fn wait_timeout(&self, time: Duration) -> bool {
        self.wait_until(clock::after(time))
    }

    fn wait_until(&self, until: u64) -> bool {
        let entry = Entry::new(lot::addr(&*self.0), 0);
        self.is_cancelled() || queue::wait(self, entry, until) != Outcome::TimedOut
    }

    /// Cancels the token when the guard is dropped.
    pub fn drop_guard(self) -> DropGuard {
        DropGuard(Some(self))
    }
}

impl Node {
    /// Cancels this one: its children.
    fn cancel(&self) -> Vec<Weak<Node>> {
        let mut children = self.children.0.lock();
        // Release: what was done before is seen by who finds it cancelled. Under the lock: no
        // child is added later.
        let was_cancelled = self.is_cancelled.swap(true, Ordering::Release);
        let orphans = std::mem::take(&mut *children);
        drop(children);
        if !was_cancelled {
            let addr = lot::addr(self);
            queue::wake_all(lot::bucket(addr), |queue| {
                queue.answer_first(|entry| entry.addr == addr, |_| CANCELLED)
            });
        }
        orphans
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // One after the other: a chain of them may be longer than a stack is deep.
        let mut parent = self.parent.take();
        while let Some(mut node) = parent.and_then(Arc::into_inner) {
            parent = node.parent.take();
        }
    }
}

impl fmt::Debug for CancellationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_cancelled = self.is_cancelled();
        let mut debug = f.debug_struct("CancellationToken");
        debug.field("is_cancelled", &is_cancelled).finish()
    }
}

impl Waits for CancellationToken {
    type Synced = Queue;

    fn lock(&self) -> &Lock<Queue> {
        lot::bucket(lot::addr(&*self.0))
    }

    fn queue(synced: &mut Queue) -> &mut Queue {
        synced
    }

    fn why(&self) -> Wait {
        Wait::Cancellation
    }

    fn begin(&self, _: &mut Queue, _: &Entry) -> Place {
        // Whoever cancels looks into the queue after that.
        match self.is_cancelled() {
            true => Place::Nowhere,
            false => Place::Back,
        }
    }

    fn pass_on(&self, _: u32) {}
}

/// Cancels a [`CancellationToken`] when it is dropped.
#[derive(Debug)]
#[must_use = "cancels when it is dropped"]
pub struct DropGuard(Option<CancellationToken>);

impl DropGuard {
    /// Gives the token back, without cancelling it.
    ///
    /// # Panics
    /// Never: a guard has its token until it is dropped.
    pub fn disarm(mut self) -> CancellationToken {
        self.0.take().expect("a guard has a token")
    }
}

impl Drop for DropGuard {
    fn drop(&mut self) {
        if let Some(token) = self.0.take() {
            token.cancel();
        }
    }
}
