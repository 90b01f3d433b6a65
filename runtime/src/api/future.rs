//! Joining a goroutine from asynchronous code.

use std::any::Any;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::api::goroutine::Goroutine;
use crate::api::join::JoinHandle;
use crate::api::scope;
use crate::sched::packet::Sleeper;
use crate::task::packet_state::{Wait, Withdraw};
use crate::wait::children::Children;

/// A [`JoinHandle`] as a future: its output is what [`JoinHandle::join`] gives. It works in any
/// executor, on any thread. Dropping it detaches the goroutine.
#[must_use = "futures do nothing unless polled"]
pub struct JoinFuture<T>(JoinHandle<T>);

impl<T> JoinFuture<T> {
    /// The goroutine.
    pub fn goroutine(&self) -> &Goroutine {
        self.0.goroutine()
    }
}

impl<T> Future for JoinFuture<T> {
    type Output = Result<T, Box<dyn Any + Send>>;

    /// # Panics
    /// When the result has been given.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let receiver = self.0.receiver();
        // The last poll's waker may be another.
        if receiver.withdraw() == Withdraw::Pending {
            let waker = Sleeper::Task(cx.waker().clone());
            if receiver.register(waker) == Wait::Sleep {
                return Poll::Pending;
            }
        }
        Poll::Ready(receiver.take())
    }
}

impl<T> IntoFuture for JoinHandle<T> {
    type Output = Result<T, Box<dyn Any + Send>>;
    type IntoFuture = JoinFuture<T>;

    fn into_future(self) -> JoinFuture<T> {
        JoinFuture(self)
    }
}

/// A [`ScopedJoinHandle`](crate::ScopedJoinHandle) as a future: its output is what
/// [`ScopedJoinHandle::join`](crate::ScopedJoinHandle::join) gives, and who gets a panic here has
/// seen to it. Dropping it detaches the goroutine, which the scope still waits for.
///
/// It cannot leave the scope, as the handle cannot; so it is for executors that run a borrowed
/// future, on the spot.
#[must_use = "futures do nothing unless polled"]
pub struct ScopedJoinFuture<'scope, T> {
    future: JoinFuture<T>,
    children: &'scope Children,
}

impl<'scope, T> ScopedJoinFuture<'scope, T> {
    pub(crate) fn new(
        future: JoinFuture<T>,
        children: &'scope Children,
    ) -> ScopedJoinFuture<'scope, T> {
        ScopedJoinFuture { future, children }
    }

    /// The goroutine.
    pub fn goroutine(&self) -> &Goroutine {
        self.future.goroutine()
    }
}

impl<T> Future for ScopedJoinFuture<'_, T> {
    type Output = Result<T, Box<dyn Any + Send>>;

    /// # Panics
    /// When the result has been given.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = std::task::ready!(Pin::new(&mut self.future).poll(cx));
        Poll::Ready(scope::given(outcome, self.children))
    }
}

impl<T> fmt::Debug for JoinFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinFuture")
            .field("goroutine", self.goroutine())
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for ScopedJoinFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedJoinFuture")
            .field("goroutine", self.goroutine())
            .finish_non_exhaustive()
    }
}
