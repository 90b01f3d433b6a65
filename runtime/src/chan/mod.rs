//! Channels: crossbeam-channel's interface, for goroutines and threads alike.
//!
//! Both kinds may use the two sides of one channel; an operation that must wait blocks the
//! goroutine only. Each message is received once, in the order in which it was sent, and those who
//! wait are served in the order in which they came.
//!
//! ```
//! let (requests, incoming) = gopark::chan::unbounded();
//! let (outgoing, answers) = gopark::chan::bounded(0);
//! // Nothing here holds a thread-local across a suspension.
//! unsafe {
//!     gopark::run(|| {
//!         gopark::go(move || {
//!             for n in incoming {
//!                 outgoing.send(n * n).unwrap();
//!             }
//!         });
//!         requests.send(7).unwrap();
//!         assert_eq!(answers.recv(), Ok(49));
//!         requests.close();
//!         assert!(requests.send(8).is_err());
//!     })
//! }
//! ```

mod blocks;
mod choose;
mod core;
mod dynamic;
mod error;
mod iter;
mod macros;
mod operations;
mod order;
mod place;
mod queue;
mod receiver;
mod reserve;
mod select;
mod sender;
mod state;
mod timers;
mod waiters;
mod watch;

use std::sync::Arc;
use std::time::{Duration, Instant};

use self::core::Chan;
use self::queue::Queue;
use self::receiver::Flavor;
use self::timers::{At, Tick};

pub use self::{
    dynamic::{Select, SelectedOperation},
    error::{
        ReadyTimeoutError, RecvError, RecvTimeoutError, SelectTimeoutError, SendError,
        SendTimeoutError, TryReadyError, TryRecvError, TrySelectError, TrySendError,
    },
    iter::{IntoIter, Iter, TryIter},
    receiver::Receiver,
    sender::Sender,
};

/// A channel with a buffer of `cap` messages. With 0 there is none: each message is handed from a
/// sender to a receiver, and the one who comes first waits for the other.
///
/// # Panics
/// When `cap` messages do not fit into memory.
#[doc(alias = "make")]
#[track_caller]
pub fn bounded<T>(cap: usize) -> (Sender<T>, Receiver<T>) {
    pair(Chan::new(Queue::ring(cap), Some(cap)))
}

/// A channel that always has room.
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    pair(Chan::new(Queue::blocks(), None))
}

fn pair<T>(chan: Chan<T>) -> (Sender<T>, Receiver<T>) {
    let chan = Arc::new(chan);
    (Sender(Arc::clone(&chan)), Receiver(Flavor::Chan(chan)))
}

/// A receiver to which the moment `time` from now is delivered, once, when it has come. Nobody is
/// told of a moment beyond what the clock can say.
pub fn after(time: Duration) -> Receiver<Instant> {
    Instant::now().checked_add(time).map_or_else(never, at)
}

/// A receiver to which `moment` is delivered, once, when it has come.
pub fn at(moment: Instant) -> Receiver<Instant> {
    Receiver(Flavor::At(Arc::new(At::new(moment))))
}

/// A receiver to which moments are delivered, one every `period`, the first one period from now.
/// There is room for one: while it has not been received, others are left out.
#[doc(alias = "NewTicker")]
pub fn tick(period: Duration) -> Receiver<Instant> {
    Receiver(Flavor::Tick(Arc::new(Tick::new(period))))
}

/// A receiver to which nothing is ever delivered.
pub const fn never<T>() -> Receiver<T> {
    Receiver(Flavor::Never)
}

/// What `select!` uses. An operation and what became of it are opaque: code that calls this by hand
/// can neither bring an operation of its own nor make up what became of one.
///
/// ```compile_fail,E0432
/// use gopark::chan::internal::Operation;
/// ```
#[doc(hidden)]
pub mod internal {
    use std::time::Duration;

    pub use super::operations::{Receiving, Sending};
    pub use super::order::Order;
    pub use super::select::Arm;
    use super::select::{Selected, Token};
    use super::{RecvError, Sender};
    use crate::sys::clock::{self, NEVER};

    /// Which operation was selected: the right to complete it.
    #[derive(Debug)]
    pub struct Choice {
        at: usize,
        token: Token,
    }

    impl<'a> Arm<'a> {
        #[inline(always)]
        pub fn recv<T>(receiving: &'a Receiving<'_, T>) -> Arm<'a> {
            Arm(receiving)
        }

        #[inline(always)]
        pub fn send<T>(sender: &'a Sender<T>) -> Arm<'a> {
            Arm(sender)
        }
    }

    impl Choice {
        #[inline(always)]
        fn of(selected: Selected) -> Choice {
            let (at, token) = selected;
            Choice { at, token }
        }

        #[inline(always)]
        pub fn index(&self) -> usize {
            self.at
        }

        #[inline(always)]
        pub fn recv<T>(self, receiving: Receiving<'_, T>) -> Result<T, RecvError> {
            receiving.complete(self.token)
        }

        #[inline(always)]
        pub fn send<T>(self, sender: &Sender<T>) -> Sending<'_, T> {
            Sending::new(sender, self.token)
        }
    }

    #[inline]
    pub fn try_select<const N: usize>(arms: &[Arm<'_>; N], order: Order) -> Option<Choice> {
        super::choose::select_from(arms, order, None).map(Choice::of)
    }

    #[inline]
    pub fn select<const N: usize>(arms: &[Arm<'_>; N], order: Order) -> Choice {
        const { assert!(N > 0, "a `select!` without arms waits for ever") };
        let selected = super::choose::select_from(arms, order, Some(NEVER));
        selected.map(Choice::of).expect("this wait has no deadline")
    }

    #[inline]
    pub fn select_timeout<const N: usize>(
        arms: &[Arm<'_>; N],
        order: Order,
        time: Duration,
    ) -> Option<Choice> {
        let until = Some(clock::after(time));
        super::choose::select_from(arms, order, until).map(Choice::of)
    }
}
