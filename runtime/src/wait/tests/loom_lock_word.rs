//! Models of the words of a lock: nobody is inside beside another, and nobody sleeps for ever.

#![expect(unsafe_code, reason = "uses what the lock of the model protects")]

use loom::sync::{Arc, Mutex};
use loom::thread;

use super::{FREE, HELD, LockWord, NOBODY, SOMEBODY};
use crate::shim::{AtomicU32, Ordering, UnsafeCell, heavy};

/// The steps that a seeded bug replaces.
#[derive(Clone, Copy)]
struct Variant {
    take_or_note: fn(&LockWord) -> bool,
    bed: fn(&LockWord) -> (&AtomicU32, u32),
    release: fn(&LockWord) -> bool,
}

const REAL: Variant = Variant {
    take_or_note: LockWord::take_or_note,
    bed: LockWord::bed,
    release: LockWord::release,
};

/// The real one, but for how it leaves the note.
fn noting(take_or_note: fn(&LockWord) -> bool) -> Variant {
    Variant {
        take_or_note,
        ..REAL
    }
}

/// A lock, what it protects, and how many sleep in the kernel, which has a lock of its own.
struct Fake {
    words: LockWord,
    value: UnsafeCell<u32>,
    asleep: Mutex<u32>,
}

// SAFETY: the value is touched by the holder of the lock; the model sees it if not.
unsafe impl Sync for Fake {}

impl Fake {
    /// Whether it has the lock; else it sleeps. One who was woken begins with the note.
    fn lock(&self, variant: Variant, was_woken: bool) -> bool {
        if !was_woken && self.words.take() {
            return true;
        }
        while !(variant.take_or_note)(&self.words) {
            let (word, value) = (variant.bed)(&self.words);
            let mut asleep = self.asleep.lock().unwrap();
            if word.load(Ordering::Relaxed) == value {
                *asleep += 1;
                return false;
            }
        }
        true
    }

    /// Whether it has woken one.
    fn unlock(&self, variant: Variant) -> bool {
        if !(variant.release)(&self.words) {
            return false;
        }
        let mut asleep = self.asleep.lock().unwrap();
        let is_any = *asleep != 0;
        *asleep -= u32::from(is_any);
        is_any
    }

    /// Adds one under the lock, and does the same for those whom it wakes.
    fn add(&self, variant: Variant) {
        let mut was_woken = false;
        while self.lock(variant, was_woken) {
            // SAFETY: under the lock.
            self.value.with_mut(|value| unsafe { *value += 1 });
            if !self.unlock(variant) {
                return;
            }
            was_woken = true;
        }
    }
}

fn take_and_release(threads: u32, variant: Variant) {
    loom::model(move || {
        let fake = Arc::new(Fake {
            words: LockWord::of(AtomicU32::new(FREE), AtomicU32::new(NOBODY)),
            value: UnsafeCell::new(0),
            asleep: Mutex::new(0),
        });
        let others: Vec<_> = (1..threads)
            .map(|_| {
                let fake = Arc::clone(&fake);
                thread::spawn(move || fake.add(variant))
            })
            .collect();
        fake.add(variant);
        others.into_iter().for_each(|other| other.join().unwrap());
        let asleep = *fake.asleep.lock().unwrap();
        assert_eq!(asleep, 0, "somebody sleeps for ever");
        // SAFETY: alone.
        let value = fake.value.with_mut(|value| unsafe { *value });
        assert_eq!(value, threads);
    });
}

#[test]
fn loom_take_and_release_by_two() {
    take_and_release(2, REAL);
}

#[test]
fn loom_take_and_release_by_more() {
    take_and_release(3, REAL);
    take_and_release(4, REAL);
}

#[test]
#[should_panic = "somebody sleeps for ever"]
fn loom_seeded_bug_release_without_a_fence_is_found() {
    let release = |words: &LockWord| {
        // Release as in the real one.
        words.held.store(FREE, Ordering::Release);
        words.sleepers.load(Ordering::Relaxed) != NOBODY
            && words.sleepers.swap(NOBODY, Ordering::Relaxed) != NOBODY
    };
    take_and_release(2, Variant { release, ..REAL });
}

#[test]
#[should_panic = "somebody sleeps for ever"]
fn loom_seeded_bug_sleeping_on_the_lock_is_found() {
    let bed: fn(&LockWord) -> (&AtomicU32, u32) = |words| (&words.held, HELD);
    take_and_release(3, Variant { bed, ..REAL });
}

#[test]
#[should_panic = "somebody sleeps for ever"]
fn loom_seeded_bug_one_look_before_the_note_is_found() {
    let take_or_note = |words: &LockWord| {
        let taken = words.take();
        if !taken {
            words.sleepers.swap(SOMEBODY, Ordering::Relaxed);
            heavy();
        }
        taken
    };
    take_and_release(2, noting(take_or_note));
}

#[test]
#[should_panic = "somebody sleeps for ever"]
fn loom_seeded_bug_a_note_after_the_look_is_found_among_three() {
    // Who was woken tries the lock before he leaves the note for the others.
    let take_or_note = |words: &LockWord| words.take() || words.take_or_note();
    take_and_release(3, noting(take_or_note));
}

#[test]
#[should_panic = "somebody sleeps for ever"]
fn loom_seeded_bug_note_without_a_fence_is_found() {
    let take_or_note = |words: &LockWord| {
        words.sleepers.swap(SOMEBODY, Ordering::Relaxed);
        words.take()
    };
    take_and_release(2, noting(take_or_note));
}
