//! The handle to a goroutine's result.

use std::any::Any;
use std::fmt;

use crate::api::goroutine::Goroutine;
use crate::sched::header::{self, G};
use crate::sched::packet::{Receiver, Sleeper};
use crate::sched::park::{self, Joiner, Parked};
use crate::sys::fork;
use crate::task::packet_state::{Wait, Withdraw};

/// The right to wait for a goroutine and to have its result. Dropping it detaches the goroutine.
pub struct JoinHandle<T> {
    receiver: Receiver<T>,
    goroutine: Goroutine,
}

impl<T> JoinHandle<T> {
    pub(crate) fn new(receiver: Receiver<T>, goroutine: Goroutine) -> JoinHandle<T> {
        JoinHandle {
            receiver,
            goroutine,
        }
    }

    pub(crate) fn receiver(&mut self) -> &mut Receiver<T> {
        &mut self.receiver
    }

    /// Waits for the end of the goroutine: its value, or the payload of its panic
    /// ([`Cancelled`](crate::Cancelled) if it was cancelled, or its runtime dropped). In a
    /// goroutine it blocks that goroutine only; on a plain thread, the thread. A goroutine that the
    /// end of its runtime has left behind, and each that it stops in a program with `panic =
    /// "abort"`, may never end: then this waits for ever.
    ///
    /// # Errors
    /// The payload of the panic.
    ///
    /// # Panics
    /// On a plain thread of a forked child, where the goroutine will never end.
    pub fn join(mut self) -> Result<T, Box<dyn Any + Send>> {
        let receiver = &mut self.receiver;
        match G::current() {
            Some(me) => {
                let mut parked = Parked::NotBegun;
                while receiver.withdraw() == Withdraw::Pending {
                    if parked == Parked::Interrupted {
                        park::heed(me);
                    }
                    let receiver = &mut *receiver;
                    let joiner = Joiner::of(me);
                    parked = park::park_with(me, header::Wait::Join, move || {
                        receiver.register(Sleeper::Goroutine(joiner)) == Wait::Sleep
                    });
                }
            }
            None if receiver.is_done() => {}
            None => {
                assert!(!fork::is_child(), "gopark: a join was {}", fork::TEXT);
                receiver.wait_on_thread();
            }
        }
        receiver.take()
    }

    /// Cancels the goroutine: see [`Goroutine::cancel`]. [`JoinHandle::join`] then gives
    /// [`Cancelled`](crate::Cancelled) as the error, unless the goroutine has ended otherwise.
    ///
    /// # Panics
    /// In a program that is built with `panic = "abort"`.
    #[track_caller]
    pub fn cancel(&self) {
        self.goroutine.cancel();
    }

    /// Whether the goroutine has ended. `join` does not block then.
    pub fn is_finished(&self) -> bool {
        self.receiver.is_done()
    }

    /// The goroutine.
    pub fn goroutine(&self) -> &Goroutine {
        &self.goroutine
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("goroutine", &self.goroutine)
            .finish_non_exhaustive()
    }
}
