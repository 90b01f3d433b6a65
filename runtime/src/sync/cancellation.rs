//! Telling many that they need not go on.
//!
//! A token is a node of a tree, and goes through these states in order:
//!
//! | state       | the channel, if somebody has asked for it         |
//! |-------------|---------------------------------------------------|
//! | `LIVE`      | is open                                           |
//! | `CANCELLED` | is being closed, by whoever finds this state      |
//! | `CLOSED`    | is closed, and those who wait are about to be woken |
//!
//! So nobody ever sees one without the other: who has been told that a token is cancelled finds its
//! channel closed, and who finds the channel closed is told that the token is cancelled. The first
//! step is taken, and a channel put in its place, under the lock of the node: a new channel of a
//! node that is cancelled is closed before anybody can see it.

use std::convert::Infallible;
use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use super::lot;
use super::queue::{self, Entry, Outcome, Place, Queue, Waits};
use crate::chan::{self, Receiver, Sender};
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
#[derive(Clone)]
pub struct CancellationToken(Arc<Node>);

struct Node {
    state: AtomicU8,
    children: Lock<Vec<Weak<Node>>>,
    /// Made when it is asked for.
    channel: OnceLock<Box<Channel>>,
    /// Kept, so that what cancels it reaches this one.
    parent: Option<Arc<Node>>,
}

/// Closed when the token is cancelled; nothing is sent.
type Channel = (Sender<Infallible>, Receiver<Infallible>);

/// See the top of this file.
const LIVE: u8 = 0;
const CANCELLED: u8 = 1;
const CLOSED: u8 = 2;

/// The answer to those who wait.
const WOKEN: u32 = 1;

impl CancellationToken {
    /// Not cancelled.
    pub fn new() -> CancellationToken {
        CancellationToken(Node::new(None))
    }

    /// A token that is cancelled with this one, or alone.
    pub fn child_token(&self) -> CancellationToken {
        let child = Node::new(Some(Arc::clone(&self.0)));
        let mut children = self.0.children.lock();
        if self.0.is_live() {
            if children.len() == children.capacity() {
                children.retain(|child| child.strong_count() > 0);
            }
            children.push(Arc::downgrade(&child));
        } else {
            // Relaxed: nobody else has it yet.
            child.state.store(CLOSED, Ordering::Relaxed);
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
        match self.0.state() {
            LIVE => false,
            CANCELLED => {
                self.0.close();
                true
            }
            _ => true,
        }
    }

    /// A channel that tells of it, for [`select!`](crate::select!) and [`Select`](chan::Select):
    /// nothing is ever received there, and receiving fails as soon as the token is cancelled. It is
    /// the same channel each time.
    ///
    /// A clone of the receiver does not keep the token: receiving from it fails too when all clones
    /// of the token are gone. Closing it has the effect of a cancellation on those who receive, and
    /// no other.
    ///
    /// ```
    /// use gopark::{chan, select, sync::CancellationToken};
    ///
    /// fn sum(numbers: &chan::Receiver<u32>, token: &CancellationToken) -> Option<u32> {
    ///     let mut sum = 0;
    ///     loop {
    ///         select! {
    ///             recv(numbers) -> number => match number {
    ///                 Ok(number) => sum += number,
    ///                 Err(_) => return Some(sum),
    ///             },
    ///             recv(token.cancelled()) -> _ => return None,
    ///         }
    ///     }
    /// }
    ///
    /// let token = CancellationToken::new();
    /// let (_sender, numbers) = chan::unbounded();
    /// token.cancel();
    /// assert_eq!(sum(&numbers, &token), None);
    /// ```
    #[doc(alias = "Done")]
    pub fn cancelled(&self) -> &Receiver<Infallible> {
        let (_, receiver) = match self.0.channel.get() {
            Some(channel) => channel,
            None => self.0.open(),
        };
        receiver
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
        self.is_cancelled()
            || match queue::wait(self, entry, until) {
                Outcome::NotBegun => self.is_cancelled(),
                Outcome::Answered(_) => true,
                Outcome::TimedOut => false,
            }
    }

    /// Cancels the token when the guard is dropped.
    pub fn drop_guard(self) -> DropGuard {
        DropGuard(Some(self))
    }
}

impl Default for CancellationToken {
    /// Not cancelled.
    fn default() -> CancellationToken {
        CancellationToken::new()
    }
}

impl Node {
    fn new(parent: Option<Arc<Node>>) -> Arc<Node> {
        Arc::new(Node {
            state: AtomicU8::new(LIVE),
            children: Lock::new(Vec::new()),
            channel: OnceLock::new(),
            parent,
        })
    }

    fn state(&self) -> u8 {
        // Acquire: pairs with `cancel` and `close`.
        self.state.load(Ordering::Acquire)
    }

    fn is_live(&self) -> bool {
        self.state() == LIVE
    }

    /// Cancels this one: its children.
    fn cancel(&self) -> Vec<Weak<Node>> {
        let mut children = self.children.lock();
        let was_live = self.is_live();
        if was_live {
            // Release: what was done before is seen by who finds it cancelled. Under the lock: no
            // child and no open channel is added later.
            self.state.store(CANCELLED, Ordering::Release);
        }
        let orphans = std::mem::take(&mut *children);
        drop(children);
        self.close();
        if was_live {
            let addr = lot::addr(self);
            queue::wake_all(lot::bucket(addr), |queue| {
                queue.answer_first(|entry| entry.addr == addr, |_| WOKEN)
            });
        }
        orphans
    }

    /// After `CANCELLED`: closes the channel, if there is one.
    #[cold]
    fn close(&self) {
        if let Some(channel) = self.channel.get() {
            channel.0.close();
        }
        // Release: whoever finds it closed finds the channel closed.
        self.state.store(CLOSED, Ordering::Release);
    }

    /// The channel, which nobody may have asked for before.
    #[cold]
    fn open(&self) -> &Channel {
        let channel = Box::new(chan::bounded(0));
        let children = self.children.lock();
        if !self.is_live() {
            channel.0.close();
        }
        // Nobody else initializes it at the same time: the lock.
        let surplus = self.channel.set(channel);
        drop(children);
        drop(surplus);
        self.channel.get().expect("it has been set")
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

    fn why(&self) -> Wait {
        Wait::Cancellation
    }

    fn begin(&self, _: &mut Queue, _: &Entry) -> Place {
        // Whoever cancels looks into the queue after that.
        match self.0.is_live() {
            true => Place::Back,
            false => Place::Nowhere,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_that_are_gone_are_forgotten_and_all_is_freed() {
        let token = CancellationToken::new();
        let kept = token.child_token();
        for n in 0..10_000 {
            let child = token.child_token();
            if n % 2 == 0 {
                assert!(child.cancelled().is_empty());
            }
        }
        assert!(token.0.children.lock().len() <= 8);
        assert!(token.0.channel.get().is_none(), "nobody has asked");
        let nodes = [Arc::downgrade(&token.0), Arc::downgrade(&kept.0)];
        assert!(kept.cancelled().is_empty());
        token.cancel();
        assert!(token.0.children.lock().is_empty());
        drop((token, kept));
        assert!(nodes.iter().all(|node| node.strong_count() == 0));
    }
}
