//! Models of the readers-writer lock: no reader beside a writer, and nobody is forgotten.

use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

use super::{Enter, Leave, RwLockState};

/// Who is in the queue. Nobody blocks here: see what is left at the end.
#[derive(Default)]
struct Queue {
    writer: bool,
    readers: u32,
}

struct Fake {
    state: RwLockState,
    queue: Mutex<Queue>,
    is_writing: AtomicBool,
}

fn fake() -> Arc<Fake> {
    Arc::new(Fake {
        state: RwLockState::of(AtomicU32::new(0)),
        queue: Mutex::default(),
        is_writing: AtomicBool::new(false),
    })
}

impl Fake {
    fn leave_as_reader(&self) {
        let is_writing = self.is_writing.load(Ordering::Relaxed);
        assert!(!is_writing, "a reader beside a writer");
        if self.state.unread() == Leave::Wake {
            let mut queue = self.queue.lock().unwrap();
            if self.state.drained() {
                queue.writer = false;
            }
        }
    }

    fn read(&self) {
        if self.state.read() == Enter::Wait {
            let mut queue = self.queue.lock().unwrap();
            if self.state.read_or_queue() == Enter::Wait {
                queue.readers += 1;
                return;
            }
        }
        self.leave_as_reader();
    }

    /// The writer is in: writes, and leaves.
    fn write(&self, unwrite: fn(&RwLockState) -> Leave) {
        self.is_writing.store(true, Ordering::Relaxed);
        self.is_writing.store(false, Ordering::Relaxed);
        if unwrite(&self.state) == Leave::Wake {
            let mut queue = self.queue.lock().unwrap();
            for _ in 0..queue.readers {
                self.state.let_in();
            }
            let entered = std::mem::take(&mut queue.readers);
            self.state.open();
            drop(queue);
            (0..entered).for_each(|_| self.leave_as_reader());
        }
    }
}

/// Goal: the last of two readers wakes the writer that waits for them, or the writer sees them
/// gone.
fn last_reader_against_writer(drain: fn(&RwLockState) -> Enter) {
    loom::model(move || {
        let fake = fake();
        assert_eq!(fake.state.read(), Enter::Entered);
        assert_eq!(fake.state.read(), Enter::Entered);
        let other = Arc::clone(&fake);
        let leaves = thread::spawn(move || other.leave_as_reader());
        let other = Arc::clone(&fake);
        let writes = thread::spawn(move || {
            if other.state.write() == Enter::Wait {
                let mut queue = other.queue.lock().unwrap();
                if drain(&other.state) == Enter::Wait {
                    queue.writer = true;
                    return;
                }
            }
            other.write(RwLockState::unwrite);
        });
        fake.leave_as_reader();
        leaves.join().unwrap();
        writes.join().unwrap();
        let waits = fake.queue.lock().unwrap().writer;
        assert!(!waits, "the writer waits for nobody");
    });
}

#[test]
fn loom_last_reader_against_writer() {
    last_reader_against_writer(RwLockState::drain);
}

#[test]
#[should_panic(expected = "waits for nobody")]
fn loom_seeded_bug_draining_on_a_stale_look_is_found() {
    last_reader_against_writer(RwLockState::drain_seeded);
}

/// Goal: readers that come while the writer leaves are let in.
fn reader_against_unlock(unwrite: fn(&RwLockState) -> Leave) {
    loom::model(move || {
        let fake = fake();
        assert_eq!(fake.state.write(), Enter::Entered);
        let readers = [(); 2].map(|()| {
            let fake = Arc::clone(&fake);
            thread::spawn(move || fake.read())
        });
        fake.write(unwrite);
        for reader in readers {
            reader.join().unwrap();
        }
        let waiting = fake.queue.lock().unwrap().readers;
        assert!(waiting == 0, "readers wait for nobody");
    });
}

#[test]
fn loom_reader_against_unlock() {
    reader_against_unlock(RwLockState::unwrite);
}

#[test]
#[should_panic(expected = "wait for nobody")]
fn loom_seeded_bug_unlock_on_a_stale_look_is_found() {
    reader_against_unlock(RwLockState::unwrite_seeded);
}
