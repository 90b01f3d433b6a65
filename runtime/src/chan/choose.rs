//! Choosing one of several operations: all are tried, in an order that is fair, until one is ready.
//!
//! This is step 1 of `select.rs`, and the loop around its steps.

use super::order::{Order, in_order};
use super::select::{self, Aim, Arm, Case, Selected, Token};
use crate::sys::clock::{self, NEVER};

/// Operations, as they are tried.
pub(super) trait Operations {
    /// How many there are.
    fn len(&self) -> usize;

    /// Step 1 of one of them.
    fn attempt(&self, at: usize) -> Result<Token, u64>;

    /// A number that differs from call to call.
    fn random(&self) -> u32;
}

impl<const N: usize> Operations for [Arm<'_>; N] {
    fn len(&self) -> usize {
        N
    }

    #[inline(always)]
    fn attempt(&self, at: usize) -> Result<Token, u64> {
        self[at].0.attempt()
    }

    #[inline(always)]
    fn random(&self) -> u32 {
        self[0].0.random()
    }
}

impl Operations for (&[Case<'_>], Aim) {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn attempt(&self, at: usize) -> Result<Token, u64> {
        let operation = self.0[at].operation();
        match self.1 {
            Aim::Complete => operation.attempt(),
            Aim::Watch => operation.peek(),
        }
    }

    fn random(&self) -> u32 {
        self.0[0].operation().random()
    }
}

/// Selects one of the operations, waits until `until` at most with `wait`, which is
/// [`select::wait`]; `None` does not wait.
#[inline(always)]
pub(super) fn select(
    operations: &impl Operations,
    order: Order,
    until: Option<u64>,
    wait: impl Fn(u64) -> Option<Selected>,
) -> Option<Selected> {
    loop {
        let seen = match attempt(operations, order) {
            Ok(found) => return Some(found),
            Err(seen) => seen,
        };
        let until = match until {
            Some(until) if until == NEVER || until > clock::now() => until,
            _ => return confirm(operations, order, seen),
        };
        let found = wait(until);
        if found.is_some() {
            return found;
        }
    }
}

/// Selects one of the operations of a `select!`, for which nodes are made when it has to wait.
#[inline]
pub(super) fn select_from<const N: usize>(
    operations: &[Arm<'_>; N],
    order: Order,
    until: Option<u64>,
) -> Option<Selected> {
    select(operations, order, until, |until| {
        wait_for(operations, order, until)
    })
}

#[cold]
#[inline(never)]
fn wait_for<const N: usize>(
    operations: &[Arm<'_>; N],
    order: Order,
    until: u64,
) -> Option<Selected> {
    select::wait(
        &operations.map(|arm| Case::new(arm.0)),
        Aim::Complete,
        order,
        until,
    )
}

/// Step 1; or the sum of what was seen.
#[inline(always)]
fn attempt(operations: &impl Operations, order: Order) -> Result<Selected, u64> {
    let attempt = |at: usize| match operations.attempt(at) {
        Ok(token) => Err((at, token)),
        Err(seen) => Ok(seen),
    };
    match in_order(operations.len(), order, || operations.random(), attempt) {
        Ok(seen) => Err(seen),
        Err(found) => Ok(found),
    }
}

/// For a select that does not wait, or no longer: nothing was ready, but not at one moment. It must
/// not fail if one or the other was ready all the time. When nothing has changed between two
/// attempts, nothing was ready at the moment between them.
fn confirm(operations: &impl Operations, order: Order, mut seen: u64) -> Option<Selected> {
    if operations.len() < 2 {
        return None;
    }
    loop {
        match attempt(operations, order) {
            Ok(found) => return Some(found),
            Err(again) if again == seen => return None,
            // Others go on.
            Err(again) => seen = again,
        }
    }
}
