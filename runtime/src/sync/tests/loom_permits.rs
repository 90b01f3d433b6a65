//! Model of a semaphore that is closed: everybody who waits is told.

use loom::sync::{Arc, Mutex};
use loom::thread;

use super::{Permits, Refused};

/// A semaphore with the number of those who wait; nobody blocks.
type Fake = Arc<Mutex<(Permits, usize)>>;

fn serve(fake: &Fake) {
    let mut synced = fake.lock().unwrap();
    while synced.1 > 0 && synced.0.take(1, false) != Err(Refused::TooFew) {
        synced.1 -= 1;
    }
}

/// `looks_again`: whether one who queues looks once more under the lock.
fn close_against_acquire(looks_again: bool) {
    loom::model(move || {
        let fake: Fake = Arc::new(Mutex::new((Permits::new(0), 0)));
        let other = Arc::clone(&fake);
        let closes = thread::spawn(move || {
            other.lock().unwrap().0.close();
            serve(&other);
        });
        let other = Arc::clone(&fake);
        let adds = thread::spawn(move || {
            assert!(other.lock().unwrap().0.add(1));
            serve(&other);
        });
        let looked = fake.lock().unwrap().0.take(1, false);
        if looked == Err(Refused::TooFew) {
            let mut synced = fake.lock().unwrap();
            let now = synced.0.take(1, false);
            if !looks_again || now == Err(Refused::TooFew) {
                synced.1 += 1;
            }
        }
        closes.join().unwrap();
        adds.join().unwrap();
        assert_eq!(fake.lock().unwrap().1, 0, "one waits for a closed one");
    });
}

#[test]
fn loom_close_against_acquire() {
    close_against_acquire(true);
}

#[test]
#[should_panic(expected = "one waits")]
fn loom_seeded_bug_queuing_on_a_stale_look_is_found() {
    close_against_acquire(false);
}
