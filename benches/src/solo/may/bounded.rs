//! A channel with a limit: may's, which has none, and a semaphore.

use std::sync::Arc;

use may::sync::{Semphore, mpsc};

/// The only one of its channel: a closed channel wakes one sender.
pub(super) struct Sender<T> {
    messages: mpsc::Sender<T>,
    room: Arc<Semphore>,
}

/// Its fields are dropped in this order: a sender that gets room finds the channel closed.
pub(super) struct Receiver<T> {
    messages: mpsc::Receiver<T>,
    room: Room,
}

struct Room(Arc<Semphore>);

/// With room for `cap` messages.
pub(super) fn channel<T>(cap: usize) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = mpsc::channel();
    let room = Arc::new(Semphore::new(cap));
    let sender = Sender {
        messages: sender,
        room: Arc::clone(&room),
    };
    let receiver = Receiver {
        messages: receiver,
        room: Room(room),
    };
    (sender, receiver)
}

impl<T> Sender<T> {
    /// Whether there is still a receiver.
    pub(super) fn send(&self, message: T) -> bool {
        self.room.wait();
        self.messages.send(message).is_ok()
    }
}

impl<T> Receiver<T> {
    /// `None` when nothing can come any more.
    pub(super) fn recv(&self) -> Option<T> {
        let message = self.messages.recv().ok()?;
        self.room.0.post();
        Some(message)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.0.post();
    }
}
