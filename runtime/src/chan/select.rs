//! Waiting for the first of several operations.
//!
//! # Steps
//!
//! 1. Try each operation under its own lock, in random order. The first that is ready is selected.
//! 2. If none is: open a wait, which has one word that is claimed once (the goroutine's ticket, or
//!    the word of the thread), and leave a node at each channel, one lock after the other, in
//!    random order again: of two nodes at one channel the first is served first. Under each lock
//!    look again: what became ready since step 1 would wake nobody.
//! 3. Park. Whoever takes a node out of a list claims the word. If he gets it, he tells the node,
//!    under the lock, what became of the operation; if not, the node is void.
//! 4. Take all nodes out of the lists, each under its lock. One was told something: it is selected.
//!    If none was, the deadline came, or the wait was claimed for nothing, or one who watches was
//!    told to look: begin again.
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
//! *One that does not wait, or no longer, fails, though something was ready all the time*: it
//! looked at x, then a message came to x and one was taken from y, then it looked at y. It looks
//! twice, and believes what it sees if no channel has changed in between: `confirm` in `choose.rs`.
//!
//! *A wake comes for a wait that is over.* Step 4 takes the locks: whoever claimed the word has
//! told the node before he released the lock. After step 4 no node is in a list.
//!
//! *The goroutine is asked to unwind in step 3.* The ticket decides: if another has claimed it, the
//! select goes on with step 4, and unwinds at its next suspension. If not, a destructor does step
//! 4, and finds nothing.
//!
//! Modelled in `tests/loom_select.rs`, with seeded bugs: `partner_before_self`,
//! `two_selects_partner_first`, `a_send_that_does_not_tell_watchers`. The claim of the word alone:
//! `task/tests/loom_timed.rs`.

use super::order::{Order, in_order};
use super::reserve::Reserved;
use super::waiters::{Entry, Told};
use crate::task::reason::Wait;
use crate::wait::list::Node;
use crate::wait::parker::{self, Ended, Lists, Waiter};

/// What a selected operation was told: what is left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// It is done: the value is in the slot.
    Done,
    /// It may be completed.
    Reserved,
    /// It has received this moment.
    Moment(u64),
    /// It fails.
    Closed,
    /// It would not wait; nothing has been done.
    Ready,
}

/// What an operation is selected for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    /// To be completed.
    Complete,
    /// To know that it is ready.
    Watch,
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Sends.
    Send,
    /// Receives.
    Receive,
}

/// An operation that can be selected, of any type. Nothing outside this folder can name it: a
/// foreign one could leave a node whose slot is of another type than the channel.
pub(super) trait Operation {
    /// What it leaves in a list.
    fn entry(&self) -> EntryOf;

    /// Step 1. If it is not ready: a number that differs when it may have been ready in between.
    fn attempt(&self) -> Result<Token, u64>;

    /// Step 1 of one who watches: [`Token::Ready`], or as `attempt`.
    fn peek(&self) -> Result<Token, u64>;

    /// Step 2, with the wait and the node. `Err`: the wait is over, it has claimed itself or been
    /// claimed.
    fn publish(&self, waiting: Waiting<'_>) -> Result<(), Option<Token>>;

    /// Step 4.
    fn retract(&self, place: Place<'_>);

    /// It will not be completed.
    fn release(&self, token: Token);

    /// When it becomes ready by itself; or `NEVER`.
    fn moment(&self) -> u64;

    /// A number that differs from call to call.
    fn random(&self) -> u32;

    /// At which channel it is, and on which side.
    fn place(&self) -> (Side, *const ());
}

/// An entry for a list.
#[derive(Debug)]
pub(super) struct EntryOf(pub(super) Entry);

/// A node of a select.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) node: &'a Node<Entry>,
    pub(super) aim: Aim,
}

/// The same, of a wait that has begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting<'a> {
    pub(super) place: Place<'a>,
    pub(super) waiter: &'a Waiter,
}

/// An operation of a `select!`, where it cannot be reached.
#[derive(Clone, Copy)]
pub struct Arm<'a>(pub(super) &'a dyn Operation);

impl std::fmt::Debug for Arm<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Arm { .. }")
    }
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

/// Which operation was selected.
pub(super) type Selected = (usize, Token);

/// The nodes of a wait; dropped, they are out of the lists.
struct Published<'a, 'b> {
    cases: &'a [Case<'b>],
    aim: Aim,
    /// Selected by the select itself, in step 2.
    own: Option<Selected>,
    is_over: bool,
}

impl Published<'_, '_> {
    /// Step 2. Of two operations at one channel the first that is published is served first.
    fn publish(&mut self, order: Order, waiter: &Waiter) {
        let publish = |at: usize| {
            let case = &self.cases[at];
            let place = Place {
                node: &case.node,
                aim: self.aim,
            };
            let published = case.operation.publish(Waiting { place, waiter });
            published.map_or_else(|own| Err(own.map(|token| (at, token))), |()| Ok(0))
        };
        let random = || self.cases[0].operation.random();
        self.own = in_order(self.cases.len(), order, random, publish)
            .err()
            .flatten();
    }

    /// Step 4.
    fn retract(&mut self) -> Option<Selected> {
        self.is_over = true;
        let mut selected = self.own;
        for (at, case) in self.cases.iter().enumerate() {
            case.operation.retract(Place {
                node: &case.node,
                aim: self.aim,
            });
            let token = match case.node.entry.told() {
                // One who is told to look begins again: others may have been faster.
                Told::Nothing | Told::Released | Told::Look => continue,
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
pub(super) fn wait(cases: &[Case<'_>], aim: Aim, order: Order, until: u64) -> Option<Selected> {
    let mut until = until;
    for case in cases {
        case.node.entry.reset();
        until = until.min(case.operation.moment());
    }
    let mut published = Published {
        cases,
        aim,
        own: None,
        is_over: false,
    };
    // Who is woken is found among the nodes; so is who was not.
    let ended = parker::park(Lists::Several, Wait::Select, until, |waiter| {
        published.publish(order, &waiter);
        true
    });
    let selected = published.retract();
    if ended == Ended::Interrupted && selected.is_none() {
        parker::heed();
    }
    selected
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

#[cfg(all(test, gopark_loom))]
#[path = "tests/loom_select.rs"]
mod loom_select;
