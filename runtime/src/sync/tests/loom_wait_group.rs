//! Models of the wait group: a wait ends with its round, and every round ends its waits.

use loom::sync::atomic::AtomicU64;
use loom::sync::{Arc, Mutex};
use loom::thread;

use super::{Begin, Counted, WaitGroupState};

struct Fake {
    state: WaitGroupState,
    /// The rounds of those who wait.
    queue: Mutex<Vec<u32>>,
}

fn fake() -> Arc<Fake> {
    Arc::new(Fake {
        state: WaitGroupState::of(AtomicU64::new(0)),
        queue: Mutex::default(),
    })
}

impl Fake {
    fn done(&self, done: fn(&WaitGroupState) -> Counted) {
        self.wake(done(&self.state));
    }

    fn wake(&self, counted: Counted) {
        if let Counted::Wake(round) = counted {
            self.queue.lock().unwrap().retain(|waits| *waits != round);
        }
    }

    fn add(&self) {
        assert_eq!(self.state.add(1), Counted::Nothing);
    }

    fn wait(&self, begin: fn(&WaitGroupState) -> Begin) {
        let mut queue = self.queue.lock().unwrap();
        if let Begin::Queue(round) = begin(&self.state) {
            queue.push(round);
        }
    }
}

/// The group is used again, and waited for, while the end of its first round still wakes.
fn reuse_against_wake(done: fn(&WaitGroupState) -> Counted) {
    loom::model(move || {
        let fake = fake();
        fake.add();
        fake.wait(WaitGroupState::begin_wait);
        let counted = done(&fake.state);
        let other = Arc::clone(&fake);
        let uses_again = thread::spawn(move || {
            other.add();
            other.wait(WaitGroupState::begin_wait);
        });
        fake.wake(counted);
        uses_again.join().unwrap();
        let waiting = fake.queue.lock().unwrap().len();
        assert!(waiting == 1, "a wait ended with the wrong round");
    });
}

#[test]
fn loom_reuse_against_wake() {
    reuse_against_wake(WaitGroupState::done);
}

#[test]
#[should_panic(expected = "the wrong round")]
fn loom_seeded_bug_rounds_that_are_not_told_apart_are_found() {
    reuse_against_wake(WaitGroupState::done_seeded);
}

/// Nobody waits for a count that is 0.
fn wait_against_done(begin: fn(&WaitGroupState) -> Begin) {
    loom::model(move || {
        let fake = fake();
        fake.add();
        fake.add();
        let others = [(); 2].map(|()| {
            let fake = Arc::clone(&fake);
            thread::spawn(move || fake.done(WaitGroupState::done))
        });
        fake.wait(begin);
        for other in others {
            other.join().unwrap();
        }
        assert!(fake.queue.lock().unwrap().is_empty(), "it waits for nobody");
    });
}

#[test]
fn loom_wait_against_done() {
    wait_against_done(WaitGroupState::begin_wait);
}

#[test]
#[should_panic(expected = "waits for nobody")]
fn loom_seeded_bug_wait_for_a_stale_count_is_found() {
    wait_against_done(WaitGroupState::begin_wait_seeded);
}
