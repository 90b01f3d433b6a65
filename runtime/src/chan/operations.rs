//! What a select does at each channel.

#![expect(unsafe_code, reason = "puts nodes on the select's stack into lists")]

use std::sync::Arc;

use super::core::{Chan, free};
use super::error::{RecvError, SendError};
use super::order::Seed;
use super::receiver::{Flavor, Receiver};
use super::reserve::Reserved;
use super::select::{self, Aim, EntryOf, Operation, Place, Token, Waiting};
use super::sender::Sender;
use super::state::{Received, State};
use super::timers::Timed;
use super::waiters::{Entry, Slot};
use super::watch::Way;
use crate::sys::clock::{self, NEVER};
use crate::wait::lock::Guard;
use crate::wait::parker::Woken;

impl<T> Chan<T> {
    fn attempt(&self, way: &Way<T>) -> Result<Token, u64> {
        let mut state = self.look();
        match (way.reserve)(&mut state, None) {
            Reserved::Ready(woken) => {
                state.changes = state.changes.wrapping_add(1);
                drop(state);
                woken.go();
                Ok(Token::Reserved)
            }
            Reserved::Closed => Ok(Token::Closed),
            Reserved::Missed | Reserved::NotReady => Err(state.changes),
        }
    }

    fn publish(&self, waiting: Waiting<'_>, way: &Way<T>) -> Result<(), Option<Token>> {
        if waiting.place.aim == Aim::Watch {
            return self.watch(waiting, way);
        }
        let Waiting { place, waiter } = waiting;
        let mut state = self.lock();
        let reserved = (way.reserve)(&mut state, Some(waiter));
        if let Reserved::NotReady = &reserved {
            // SAFETY: the select does not return or unwind before it has taken the node out; the
            // lock is held.
            unsafe { (way.side)(&mut state).push(place.node, *waiter) };
        }
        self.release(state, Woken::Nothing);
        reserved.published()
    }

    fn retract(&self, place: Place<'_>, way: &Way<T>) {
        let side = way.list(place.aim);
        let mut state = self.lock();
        // SAFETY: it is in this list, or in none.
        unsafe { side(&mut state).remove(place.node) };
    }

    fn release_send(&self) {
        let mut state = self.lock();
        let woken = state.release_send();
        self.release(state, woken);
    }

    /// The message of a reserved receive; another if it does not come.
    fn complete_recv(&self) -> Result<T, RecvError> {
        match self.fetch() {
            Some(message) => Ok(message),
            None => self.recv(Some(NEVER)).map_err(|_| RecvError),
        }
    }
}

impl<T> Sender<T> {
    /// Completes a send that was selected.
    pub(super) fn complete(&self, token: Token, message: T) -> Result<(), SendError<T>> {
        match token {
            Token::Reserved => self.0.complete_send(message).map_err(SendError),
            _ => Err(SendError(message)),
        }
    }
}

impl<T> Operation for Sender<T> {
    fn entry(&self) -> EntryOf {
        EntryOf(Entry::of_select())
    }

    fn attempt(&self) -> Result<Token, u64> {
        self.0.attempt(&Way::SEND)
    }

    fn peek(&self) -> Result<Token, u64> {
        self.0.peek(&Way::SEND)
    }

    fn publish(&self, waiting: Waiting<'_>) -> Result<(), Option<Token>> {
        self.0.publish(waiting, &Way::SEND)
    }

    fn retract(&self, place: Place<'_>) {
        self.0.retract(place, &Way::SEND);
    }

    fn release(&self, token: Token) {
        if token == Token::Reserved {
            self.0.release_send();
        }
    }

    fn moment(&self) -> u64 {
        NEVER
    }

    fn random(&self) -> u32 {
        self.0.seed.draw()
    }

    fn place(&self) -> (select::Side, *const ()) {
        (select::Side::Send, Arc::as_ptr(&self.0).cast())
    }
}

impl<T> Receiver<T> {
    fn timed(&self) -> Option<&dyn Timed<T>> {
        match &self.0 {
            Flavor::At(at) => Some(&**at),
            Flavor::Tick(tick) => Some(&**tick),
            Flavor::Chan(_) | Flavor::Never => None,
        }
    }

    fn attempt_timed(&self) -> Result<Token, u64> {
        let moment = self.timed().and_then(Timed::take_moment);
        moment.map(Token::Moment).ok_or(0)
    }

    /// Completes a receive that was selected.
    pub(super) fn complete(&self, token: Token) -> Result<T, RecvError> {
        match (token, &self.0, self.timed()) {
            (Token::Reserved, Flavor::Chan(chan), _) => chan.complete_recv(),
            (Token::Moment(moment), _, Some(timed)) => timed.message(moment).ok_or(RecvError),
            _ => Err(RecvError),
        }
    }
}

impl<T> Operation for Receiver<T> {
    fn entry(&self) -> EntryOf {
        EntryOf(Entry::of_select())
    }

    fn attempt(&self) -> Result<Token, u64> {
        match &self.0 {
            Flavor::Chan(chan) => chan.attempt(&Way::RECEIVE),
            _ => self.attempt_timed(),
        }
    }

    fn peek(&self) -> Result<Token, u64> {
        match &self.0 {
            Flavor::Chan(chan) => chan.peek(&Way::RECEIVE),
            _ if self.moment() <= clock::now() => Ok(Token::Ready),
            _ => Err(0),
        }
    }

    fn publish(&self, waiting: Waiting<'_>) -> Result<(), Option<Token>> {
        match &self.0 {
            Flavor::Chan(chan) => chan.publish(waiting, &Way::RECEIVE),
            _ => Ok(()),
        }
    }

    fn retract(&self, place: Place<'_>) {
        if let Flavor::Chan(chan) = &self.0 {
            chan.retract(place, &Way::RECEIVE);
        }
    }

    fn release(&self, token: Token) {
        if let (Token::Reserved, Flavor::Chan(chan)) = (token, &self.0) {
            chan.release_recv();
        }
    }

    fn moment(&self) -> u64 {
        self.timed().map_or(NEVER, Timed::next)
    }

    fn random(&self) -> u32 {
        /// Of those who have no channel.
        static SEED: Seed = Seed::new();
        match &self.0 {
            Flavor::Chan(chan) => chan.seed.draw(),
            _ => SEED.draw(),
        }
    }

    fn place(&self) -> (select::Side, *const ()) {
        let address = match &self.0 {
            Flavor::Chan(chan) => Arc::as_ptr(chan).cast(),
            Flavor::At(at) => Arc::as_ptr(at).cast(),
            Flavor::Tick(tick) => Arc::as_ptr(tick).cast(),
            Flavor::Never => std::ptr::null(),
        };
        (select::Side::Receive, address)
    }
}

/// A receive of `select!`: with a slot for the message, so that it is handed over directly.
pub struct Receiving<'a, T> {
    receiver: &'a Receiver<T>,
    slot: Slot<T>,
}

impl<T> std::fmt::Debug for Receiving<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiving").finish_non_exhaustive()
    }
}

impl<'a, T> Receiving<'a, T> {
    /// Of a receiver.
    #[inline]
    pub fn new(receiver: &'a Receiver<T>) -> Receiving<'a, T> {
        Receiving {
            receiver,
            slot: Slot::new(None),
        }
    }

    /// Step 1, if nothing is there, or somebody waits.
    #[inline(never)]
    fn attempt_slow(&self, chan: &Chan<T>, mut state: Guard<'_, State<T>>) -> Result<Token, u64> {
        match state.recv() {
            Received::Value(message, woken) => {
                state.changes = state.changes.wrapping_add(1);
                chan.release(state, woken);
                // SAFETY: no node with this slot is in a list: this is the first step of a select.
                unsafe { self.slot.put(message) };
                Ok(Token::Done)
            }
            Received::Reserved(woken) => {
                state.changes = state.changes.wrapping_add(1);
                drop(state);
                woken.go();
                Ok(Token::Reserved)
            }
            Received::Closed => Ok(Token::Closed),
            Received::Empty => Err(state.changes),
        }
    }

    /// The message, when it was selected.
    ///
    /// # Errors
    /// As those of [`Receiver::recv`].
    #[inline]
    pub(super) fn complete(self, token: Token) -> Result<T, RecvError> {
        match token {
            Token::Done => self.slot.into_inner().ok_or(RecvError),
            _ => self.receiver.complete(token),
        }
    }
}

impl<T> Operation for Receiving<'_, T> {
    fn entry(&self) -> EntryOf {
        EntryOf(Entry::with_slot(&self.slot))
    }

    fn attempt(&self) -> Result<Token, u64> {
        let Flavor::Chan(chan) = &self.receiver.0 else {
            return self.receiver.attempt_timed();
        };
        let mut state = chan.look();
        if state.can_pop()
            && let Some(message) = state.queue.pop()
        {
            state.changes = state.changes.wrapping_add(1);
            free(state);
            // SAFETY: no node with this slot is in a list: this is the first step of a select.
            unsafe { self.slot.put(message) };
            return Ok(Token::Done);
        }
        self.attempt_slow(chan, state)
    }

    fn peek(&self) -> Result<Token, u64> {
        self.receiver.peek()
    }

    fn publish(&self, waiting: Waiting<'_>) -> Result<(), Option<Token>> {
        self.receiver.publish(waiting)
    }

    fn retract(&self, place: Place<'_>) {
        self.receiver.retract(place);
    }

    fn release(&self, token: Token) {
        self.receiver.release(token);
    }

    fn moment(&self) -> u64 {
        self.receiver.moment()
    }

    fn random(&self) -> u32 {
        self.receiver.random()
    }

    fn place(&self) -> (select::Side, *const ()) {
        self.receiver.place()
    }
}

/// A send that was selected, and not completed yet; dropped, it is given up.
#[derive(Debug)]
pub struct Sending<'a, T> {
    sender: &'a Sender<T>,
    token: Option<Token>,
}

impl<'a, T> Sending<'a, T> {
    /// Of a sender whose operation was selected.
    #[inline]
    pub(super) fn new(sender: &'a Sender<T>, token: Token) -> Sending<'a, T> {
        Sending {
            sender,
            token: Some(token),
        }
    }

    /// Sends.
    ///
    /// # Errors
    /// As those of [`Sender::send`].
    #[inline]
    pub fn complete(mut self, message: T) -> Result<(), SendError<T>> {
        match self.token.take() {
            Some(token) => self.sender.complete(token, message),
            None => Err(SendError(message)),
        }
    }
}

impl<T> Drop for Sending<'_, T> {
    fn drop(&mut self) {
        if let Some(token) = self.token {
            self.sender.release(token);
        }
    }
}
