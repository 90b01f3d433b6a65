//! The handle to a goroutine's result.

use std::any::Any;
use std::fmt;

use crate::api::goroutine::Goroutine;
use crate::api::raw;
use crate::sched::header::G;
use crate::sched::packet::{Receiver, Sleeper};
use crate::task::packet_state::Wait;

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

    /// Waits for the end of the goroutine: its value, or the payload of its panic
    /// ([`Cancelled`](crate::Cancelled) if its runtime was dropped). In a goroutine it blocks that
    /// goroutine only; on a plain thread, the thread.
    ///
    /// # Errors
    /// The payload of the panic.
    pub fn join(mut self) -> Result<T, Box<dyn Any + Send>> {
        if !self.receiver.is_done() {
            match G::current() {
                Some(_) => {
                    let receiver = &mut self.receiver;
                    raw::park(|waiter| {
                        receiver.register(Sleeper::Goroutine(waiter)) == Wait::Sleep
                    });
                }
                None => self.join_thread(),
            }
        }
        self.receiver.take()
    }

    fn join_thread(&mut self) {
        if self
            .receiver
            .register(Sleeper::Thread(std::thread::current()))
            == Wait::Sleep
        {
            while !self.receiver.is_done() {
                std::thread::park();
            }
        }
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
