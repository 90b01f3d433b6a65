//! Waiting for the first of several operations.
//!
//! # Steps
//!
//! 1. Try each operation under its own lock, in random order. The first that is ready is selected.
//! 2. If none is: open a wait, which has one word that is claimed once (the goroutine's ticket, or
//!    the word of the thread), and leave a node at each channel, one lock after the other. Under
//!    each lock look again: what became ready since step 1 would wake nobody.
//! 3. Park. Whoever takes a node out of a list claims the word. If he gets it, he tells the node,
//!    under the lock, what became of the operation; if not, the node is void.
//! 4. Take all nodes out of the lists, each under its lock. One was told something: it is selected.
//!    If none was, the deadline came, or the wait was claimed for nothing: begin again.
//!
//! No two locks are held at once, so they need no order. From the first node of step 2 on, the
//! select may be claimed by others, while it still leaves nodes.
//!
//! # Bad interleavings, and what prevents them
//!
//! *Two operations are completed.* A leaves a node at channel x and looks at y, which is ready. If
//! it took from y at once, while B claims it at x, both would be. So A claims its own word before
//! it takes anything in step 2. If B was faster, A touches nothing more.
//!
//! *Two selects claim each other.* A waits at x, and looks at y, where B waits; B looks at x. If
//! each claimed the other first, each would have a partner and be one: two pairs out of two halves.
//! Both claim themselves first. Then either one of them claims the other too, who finds his own
//! word taken; or both claims of the other fail, both take the other's void node out, and begin
//! again. In step 1 they cannot be claimed, so they do not stand in each other's way: whoever comes
//! second to a channel finds the first, or nobody if the first has not left a node yet.
//!
//! *A select meets itself*: it sends and receives at one channel. It does not take its own node for
//! a partner, which it recognises by the ticket. In step 1 it has no nodes.
//!
//! *One that does not wait fails, though something was ready all the time*: it looked at x, then a
//! message came to x and one was taken from y, then it looked at y. It looks twice, and believes
//! what it sees if no channel has changed in between ([`confirm`]).
//!
//! *A wake comes for a wait that is over.* Step 4 takes the locks: whoever claimed the word has
//! told the node before he released the lock. After step 4 no node is in a list.
//!
//! *The goroutine unwinds in step 3.* The same as step 4, by a destructor; a reservation that it
//! was told of is given up, and a value that it was given is dropped.
//!
//! The claim of the word is modelled in `task/tests/loom_timed.rs`.

use super::reserve::Reserved;
use super::waiters::{Entry, Told};
use crate::sched::header::Wait;
use crate::sys::clock::{self, NEVER};
use crate::wait::list::Node;
use crate::wait::parker::{self, Lists, Waiter};

/// What a selected operation was told: what is left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// It is done: the value is in the slot.
    Done,
    /// It may be completed.
    Reserved,
    /// It has received this moment.
    Moment(u64),
    /// It fails.
    Closed,
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Sends.
    Send,
    /// Receives.
    Receive,
}

/// An operation that can be selected, of any type.
pub trait Operation {
    /// What it leaves in a list.
    #[doc(hidden)]
    fn entry(&self) -> EntryOf;

    /// Step 1. If it is not ready: a number that differs when it may have been ready in between.
    #[doc(hidden)]
    fn attempt(&self) -> Result<Token, u64>;

    /// Step 2, with the wait and the node. `Err`: the wait is over, it has claimed itself or been
    /// claimed.
    #[doc(hidden)]
    fn publish(&self, place: Place<'_>) -> Result<(), Option<Token>>;

    /// Step 4.
    #[doc(hidden)]
    fn retract(&self, place: Place<'_>);

    /// It will not be completed.
    #[doc(hidden)]
    fn release(&self, token: Token);

    /// When it becomes ready by itself; or `NEVER`.
    #[doc(hidden)]
    fn moment(&self) -> u64;

    /// A number that differs from call to call.
    #[doc(hidden)]
    fn random(&self) -> u32;

    /// At which channel it is, and on which side.
    #[doc(hidden)]
    fn place(&self) -> (Side, *const ());
}

/// An entry for a list.
#[derive(Debug)]
pub struct EntryOf(pub(super) Entry);

/// A node of a select, and its wait, if that has begun.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub(super) node: &'a Node<Entry>,
    pub(super) waiter: Option<&'a Waiter>,
}

/// An operation with its node. It does not move during a select.
pub(super) struct Case<'a> {
    operation: &'a dyn Operation,
    node: Node<Entry>,
}

impl std::fmt::Debug for Case<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Case").finish_non_exhaustive()
    }
}

impl<'a> Case<'a> {
    /// Of an operation that is to be selected, or not.
    #[inline]
    pub(super) fn new(operation: &'a dyn Operation) -> Case<'a> {
        Case {
            operation,
            node: Node::new(operation.entry().0),
        }
    }

    pub(super) fn operation(&self) -> &'a dyn Operation {
        self.operation
    }
}

/// In which order operations are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Every time another.
    Random,
    /// As they are written.
    Given,
}

/// Which operation was selected.
pub type Selected = (usize, Token);

/// Selects one of `n` operations, waits until `until` at most with `wait`, which is [`wait`];
/// `None` does not wait.
#[inline(always)]
pub(super) fn select<'a>(
    n: usize,
    operation: impl Fn(usize) -> &'a dyn Operation,
    order: Order,
    until: Option<u64>,
    wait: impl Fn(u64) -> Option<Selected>,
) -> Option<Selected> {
    loop {
        let seen = match attempt(n, &operation, order) {
            Ok(found) => return Some(found),
            Err(seen) => seen,
        };
        let Some(until) = until else {
            return confirm(n, &operation, order, seen);
        };
        if until != NEVER && until <= clock::now() {
            return None;
        }
        let found = wait(until);
        if found.is_some() {
            return found;
        }
    }
}

/// Step 1; or the sum of what was seen.
#[inline(always)]
fn attempt<'a>(
    n: usize,
    operation: &impl Fn(usize) -> &'a dyn Operation,
    order: Order,
) -> Result<Selected, u64> {
    let attempt = |at: usize| match operation(at).attempt() {
        Ok(token) => Err((at, token)),
        Err(seen) => Ok(seen),
    };
    let tried = if order == Order::Given || n < 2 {
        sum(0..n, attempt)
    } else {
        let seed = operation(0).random();
        let first = usize::from(seed & 1 != 0);
        match n {
            2 => sum([first, 1 - first].into_iter(), attempt),
            _ => attempt_shuffled(n, seed, attempt),
        }
    };
    match tried {
        Ok(seen) => Err(seen),
        Err(found) => Ok(found),
    }
}

#[inline(always)]
fn sum(
    mut order: impl Iterator<Item = usize>,
    mut attempt: impl FnMut(usize) -> Result<u64, Selected>,
) -> Result<u64, Selected> {
    order.try_fold(0, |seen: u64, at| Ok(seen.wrapping_add(attempt(at)?)))
}

/// In a random order; that of more than a few dozen is not as random as that of fewer.
fn attempt_shuffled(
    n: usize,
    mut seed: u32,
    attempt: impl FnMut(usize) -> Result<u64, Selected>,
) -> Result<u64, Selected> {
    const SHUFFLED_MAX: usize = 32;
    let mut order = [0_u8; SHUFFLED_MAX];
    let shuffled = &mut order[..n.min(SHUFFLED_MAX)];
    for at in 0..shuffled.len() {
        seed = next_random(seed);
        let with = ((u64::from(seed) * (at as u64 + 1)) >> 32) as usize;
        shuffled[at] = shuffled[with];
        shuffled[with] = at as u8;
    }
    // Groups of `SHUFFLED_MAX`, from one of them on; each in the same order.
    let groups = n.div_ceil(SHUFFLED_MAX);
    let start = next_random(seed) as usize % groups;
    let bases = (0..groups).map(|group| (start + group) % groups * SHUFFLED_MAX);
    let places = bases.flat_map(|base| shuffled.iter().map(move |&at| base + usize::from(at)));
    sum(places.filter(|&at| at < n), attempt)
}

/// For a select that does not wait: nothing was ready, but not at one moment. It must not fail if
/// one or the other was ready all the time. When nothing has changed between two attempts, nothing
/// was ready at the moment between them.
fn confirm<'a>(
    n: usize,
    operation: &impl Fn(usize) -> &'a dyn Operation,
    order: Order,
    mut seen: u64,
) -> Option<Selected> {
    if n < 2 {
        return None;
    }
    loop {
        match attempt(n, operation, order) {
            Ok(found) => return Some(found),
            Err(again) if again == seen => return None,
            // Others go on.
            Err(again) => seen = again,
        }
    }
}

/// The next of a sequence of random numbers.
pub(super) fn next_random(seed: u32) -> u32 {
    let word = seed.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
    let mixed = ((word >> ((word >> 28) + 4)) ^ word).wrapping_mul(277_803_737);
    (mixed >> 22) ^ mixed
}

/// The nodes of a wait; dropped, they are out of the lists.
struct Published<'a, 'b> {
    cases: &'a [Case<'b>],
    n: usize,
    /// Selected by the select itself, in step 2.
    own: Option<Selected>,
    is_over: bool,
}

impl Published<'_, '_> {
    /// Step 2.
    fn publish(&mut self, waiter: &Waiter) {
        for (at, case) in self.cases.iter().enumerate() {
            self.n = at + 1;
            let place = Place {
                node: &case.node,
                waiter: Some(waiter),
            };
            if let Err(own) = case.operation.publish(place) {
                self.own = own.map(|token| (at, token));
                return;
            }
        }
    }

    /// Step 4.
    fn retract(&mut self) -> Option<Selected> {
        self.is_over = true;
        let mut selected = self.own;
        for (at, case) in self.cases[..self.n].iter().enumerate() {
            case.operation.retract(Place {
                node: &case.node,
                waiter: None,
            });
            let token = match case.node.entry.told() {
                Told::Nothing | Told::Released => continue,
                Told::Served => Token::Done,
                Told::Reserved => Token::Reserved,
                Told::Closed => Token::Closed,
            };
            debug_assert_eq!(selected, None, "two operations were selected");
            selected = Some((at, token));
        }
        selected
    }
}

impl Drop for Published<'_, '_> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        if let Some((at, token)) = self.retract() {
            self.cases[at].operation.release(token);
        }
    }
}

/// Steps 2 to 4.
#[inline(never)]
pub(super) fn wait(cases: &[Case<'_>], until: u64) -> Option<Selected> {
    let mut until = until;
    for case in cases {
        case.node.entry.reset();
        until = until.min(case.operation.moment());
    }
    let mut published = Published {
        cases,
        n: 0,
        own: None,
        is_over: false,
    };
    // Who is woken is found among the nodes; so is who was not.
    let _ = parker::park(Lists::Several, Wait::Select, until, |waiter| {
        published.publish(&waiter);
        true
    });
    published.retract()
}

/// Selects one of the operations of a `select!`, for which nodes are made when it has to wait.
#[inline]
pub(super) fn select_from<const N: usize>(
    operations: &[&dyn Operation; N],
    order: Order,
    until: Option<u64>,
) -> Option<Selected> {
    let wait = |until| wait_for(operations, until);
    select(N, |at| operations[at], order, until, wait)
}

#[cold]
#[inline(never)]
fn wait_for<const N: usize>(operations: &[&dyn Operation; N], until: u64) -> Option<Selected> {
    wait(&operations.map(Case::new), until)
}

impl Reserved {
    /// As the outcome of step 2, for one whose node is now in the list if it is not ready.
    pub(super) fn published(self) -> Result<(), Option<Token>> {
        match self {
            Reserved::NotReady => Ok(()),
            Reserved::Missed => Err(None),
            Reserved::Closed => Err(Some(Token::Closed)),
            Reserved::Ready(woken) => {
                woken.go();
                Err(Some(Token::Reserved))
            }
        }
    }
}
