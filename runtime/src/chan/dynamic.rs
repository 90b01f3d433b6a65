//! `Select`: a select of operations that are not known before.

#![expect(unsafe_code, reason = "a select may be given to another thread")]

use std::fmt;
use std::time::{Duration, Instant};

use super::choose::select;
use super::error::{
    ReadyTimeoutError, RecvError, SelectTimeoutError, SendError, TryReadyError, TrySelectError,
};
use super::order::Order;
use super::receiver::Receiver;
use super::select::{self, Aim, Case, Operation, Selected, Token};
use super::sender::Sender;
use crate::sys::clock::{self, NEVER};

/// Waits for the first of several operations; [`select!`](crate::select!) is easier where it can be
/// used.
///
/// An operation that is selected must be completed: by [`SelectedOperation::send`] or
/// [`SelectedOperation::recv`], with the same sender or receiver. Until then the message, or its
/// place, is reserved. [`ready`](Select::ready) and its kind reserve nothing: they tell what could
/// be done.
///
/// ```
/// use gopark::chan::{Select, unbounded};
///
/// let channels: Vec<_> = (0..3).map(|_| unbounded()).collect();
/// channels[1].0.send("one").unwrap();
/// let mut select = Select::new();
/// for (_, receiver) in &channels {
///     select.recv(receiver);
/// }
/// let operation = select.select();
/// let index = operation.index();
/// assert_eq!((index, operation.recv(&channels[index].1)), (1, Ok("one")));
/// ```
pub struct Select<'a> {
    cases: Vec<Case<'a>>,
    /// Of each case, in ascending order.
    indices: Vec<usize>,
    next_index: usize,
    order: Order,
}

// SAFETY: its senders and receivers are of messages that are `Send`: any thread may use them, and
// drop a message that is given up. Its nodes are in lists only during methods with `&mut self`.
unsafe impl Send for Select<'_> {}
// SAFETY: what takes `&self` reads which operations there are, and uses no node.
unsafe impl Sync for Select<'_> {}

impl<'a> Select<'a> {
    /// Without operations. Of those that are ready, a random one is selected.
    pub fn new() -> Select<'a> {
        Select {
            cases: Vec::new(),
            indices: Vec::new(),
            next_index: 0,
            order: Order::Random,
        }
    }

    /// The same; of those that are ready, the one that was added first is selected.
    pub fn new_biased() -> Select<'a> {
        Select {
            order: Order::Given,
            ..Select::new()
        }
    }

    fn add(&mut self, operation: &'a dyn Operation) -> usize {
        let index = self.next_index;
        self.cases.push(Case::new(operation));
        self.indices.push(index);
        self.next_index += 1;
        index
    }

    /// Adds a send, and gives its index. The same sender may be added more than once.
    pub fn send<T: Send>(&mut self, sender: &'a Sender<T>) -> usize {
        self.add(sender)
    }

    /// Adds a receive, and gives its index. The same receiver may be added more than once.
    pub fn recv<T: Send>(&mut self, receiver: &'a Receiver<T>) -> usize {
        self.add(receiver)
    }

    /// Removes an operation. The indices of the others stay.
    ///
    /// # Panics
    /// When there is no operation with this index.
    pub fn remove(&mut self, index: usize) {
        let Ok(at) = self.indices.binary_search(&index) else {
            panic!("gopark::chan::Select::remove: there is no operation {index}")
        };
        self.cases.remove(at);
        self.indices.remove(at);
    }

    fn wait_until(&mut self, aim: Aim, until: Option<u64>) -> Option<Selected> {
        let cases = &self.cases[..];
        let wait = |until| select::wait(cases, aim, self.order, until);
        select(&(cases, aim), self.order, until, wait)
    }

    fn ready_until(&mut self, until: Option<u64>) -> Option<usize> {
        let (at, _) = self.wait_until(Aim::Watch, until)?;
        Some(self.indices[at])
    }

    fn until(&mut self, until: Option<u64>) -> Option<SelectedOperation<'a>> {
        let (at, token) = self.wait_until(Aim::Complete, until)?;
        Some(SelectedOperation {
            operation: self.cases[at].operation(),
            index: self.indices[at],
            token: Some(token),
        })
    }

    /// Selects an operation that is ready now.
    ///
    /// # Errors
    /// When none is.
    pub fn try_select(&mut self) -> Result<SelectedOperation<'a>, TrySelectError> {
        self.until(None).ok_or(TrySelectError)
    }

    /// Waits until an operation is ready, and selects it.
    ///
    /// # Panics
    /// When there are no operations. Unwinds like every wait, with
    /// [`Cancelled`](crate::Cancelled) when the runtime is dropped.
    #[track_caller]
    pub fn select(&mut self) -> SelectedOperation<'a> {
        assert!(
            !self.cases.is_empty(),
            "gopark::chan::Select::select: no operations have been added"
        );
        self.until(Some(NEVER)).expect("this wait has no deadline")
    }

    /// As [`select`](Select::select), but waits for `timeout` at most.
    ///
    /// # Errors
    /// When the time is over.
    ///
    /// # Panics
    /// Unwinds like every wait.
    pub fn select_timeout(
        &mut self,
        timeout: Duration,
    ) -> Result<SelectedOperation<'a>, SelectTimeoutError> {
        self.until(Some(clock::after(timeout)))
            .ok_or(SelectTimeoutError)
    }

    /// As [`select`](Select::select), but waits until `deadline` at most.
    ///
    /// # Errors
    /// When the time is over.
    ///
    /// # Panics
    /// Unwinds like every wait.
    pub fn select_deadline(
        &mut self,
        deadline: Instant,
    ) -> Result<SelectedOperation<'a>, SelectTimeoutError> {
        self.until(Some(clock::of(deadline)))
            .ok_or(SelectTimeoutError)
    }

    /// The index of an operation that would not wait now.
    ///
    /// # Errors
    /// When there is none.
    pub fn try_ready(&mut self) -> Result<usize, TryReadyError> {
        self.ready_until(None).ok_or(TryReadyError)
    }

    /// Waits until an operation would not wait, and gives its index. Others may be faster to do it:
    /// it is best tried with [`Sender::try_send`] or [`Receiver::try_recv`], in a loop. Two who
    /// wait for each other like this wait for ever: neither sends or receives.
    ///
    /// # Panics
    /// As [`select`](Select::select).
    #[track_caller]
    pub fn ready(&mut self) -> usize {
        assert!(
            !self.cases.is_empty(),
            "gopark::chan::Select::ready: no operations have been added"
        );
        self.ready_until(Some(NEVER))
            .expect("this wait has no deadline")
    }

    /// As [`ready`](Select::ready), but waits for `timeout` at most.
    ///
    /// # Errors
    /// When the time is over.
    ///
    /// # Panics
    /// Unwinds like every wait.
    pub fn ready_timeout(&mut self, timeout: Duration) -> Result<usize, ReadyTimeoutError> {
        self.ready_until(Some(clock::after(timeout)))
            .ok_or(ReadyTimeoutError)
    }

    /// As [`ready`](Select::ready), but waits until `deadline` at most.
    ///
    /// # Errors
    /// When the time is over.
    ///
    /// # Panics
    /// Unwinds like every wait.
    pub fn ready_deadline(&mut self, deadline: Instant) -> Result<usize, ReadyTimeoutError> {
        self.ready_until(Some(clock::of(deadline)))
            .ok_or(ReadyTimeoutError)
    }
}

impl Default for Select<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl Clone for Select<'_> {
    fn clone(&self) -> Self {
        let operations = self.cases.iter().map(Case::operation);
        Select {
            cases: operations.map(Case::new).collect(),
            indices: self.indices.clone(),
            ..*self
        }
    }
}

impl fmt::Debug for Select<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Select { .. }")
    }
}

/// An operation that was selected, and must be completed. Dropping it instead gives it up and
/// panics.
#[must_use = "it must be completed"]
pub struct SelectedOperation<'a> {
    operation: &'a dyn Operation,
    index: usize,
    /// `None`: completed.
    token: Option<Token>,
}

impl SelectedOperation<'_> {
    /// As [`Select::send`] or [`Select::recv`] gave it.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Completes a send.
    ///
    /// # Errors
    /// As those of [`Sender::send`].
    ///
    /// # Panics
    /// When this sender's operation was not selected.
    #[track_caller]
    pub fn send<T>(mut self, sender: &Sender<T>, message: T) -> Result<(), SendError<T>> {
        assert!(
            sender.place() == self.operation.place(),
            "passed a sender that wasn't selected"
        );
        match self.token.take() {
            Some(token) => sender.complete(token, message),
            None => Err(SendError(message)),
        }
    }

    /// Completes a receive.
    ///
    /// # Errors
    /// As those of [`Receiver::recv`].
    ///
    /// # Panics
    /// When this receiver's operation was not selected.
    #[track_caller]
    pub fn recv<T>(mut self, receiver: &Receiver<T>) -> Result<T, RecvError> {
        assert!(
            receiver.place() == self.operation.place(),
            "passed a receiver that wasn't selected"
        );
        match self.token.take() {
            Some(token) => receiver.complete(token),
            None => Err(RecvError),
        }
    }
}

impl Drop for SelectedOperation<'_> {
    fn drop(&mut self) {
        let Some(token) = self.token.take() else {
            return;
        };
        self.operation.release(token);
        assert!(
            std::thread::panicking(),
            "dropped `SelectedOperation` without completing the operation"
        );
    }
}

impl fmt::Debug for SelectedOperation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SelectedOperation { .. }")
    }
}
