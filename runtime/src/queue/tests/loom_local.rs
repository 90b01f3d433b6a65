//! Models of the local queue: every goroutine is taken once, by whoever, and none is lost.

#![expect(unsafe_code, reason = "reads cells that the model checker watches")]

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use super::{HALF, LocalQueue, Word};

/// Goroutines of a model; their words are 1, 2, ...
const GOROUTINES: usize = 6;

/// A P, two Ps of thieves, and goroutines: how often each was put and taken.
struct Fake {
    queue: LocalQueue,
    own: [LocalQueue; 2],
    goroutines: Vec<UnsafeCell<(u32, u32)>>,
}

fn fake() -> Arc<Fake> {
    fake_with(false)
}

/// `alone`: nobody steals.
fn fake_with(alone: bool) -> Arc<Fake> {
    Arc::new(Fake {
        queue: LocalQueue::new(alone),
        own: [LocalQueue::new(false), LocalQueue::new(false)],
        goroutines: (0..GOROUTINES).map(|_| UnsafeCell::new((0, 0))).collect(),
    })
}

impl Fake {
    /// A new goroutine, whose memory belongs to whoever takes the word.
    fn new_word(&self, word: Word) -> Word {
        // SAFETY: nobody has the word yet; the checker watches.
        self.goroutines[word - 1].with_mut(|cell| unsafe { (*cell).0 = 1 });
        word
    }

    fn push(&self, word: Word) {
        assert_eq!(self.queue.push(self.new_word(word)), Ok(()));
    }

    /// Runs a goroutine that was taken.
    fn run(&self, word: Word) {
        // SAFETY: the word was taken by the caller alone; the checker watches.
        self.goroutines[word - 1].with_mut(|cell| unsafe { (*cell).1 += 1 });
    }

    fn run_some(&self, words: impl IntoIterator<Item = Word>) {
        words.into_iter().for_each(|word| self.run(word));
    }

    /// Thief number `thief` steals from `victim` and runs what is left in its own ring.
    fn steal(&self, thief: usize, victim: &LocalQueue) {
        let own = &self.own[thief];
        if let Some((word, n)) = victim.steal_into(own) {
            assert!((1..=HALF).contains(&n));
            self.run(word);
        }
        self.run_some(std::iter::from_fn(|| own.pop()));
    }

    /// Everybody is done: runs what is left, and every goroutine has been run once.
    fn settle(&self) {
        self.run_some(self.queue.take_next());
        for queue in std::iter::once(&self.queue).chain(&self.own) {
            self.run_some(std::iter::from_fn(|| queue.pop()));
            assert!(queue.is_empty());
        }
        for (at, goroutine) in self.goroutines.iter().enumerate() {
            // SAFETY: all threads have been joined; the checker watches.
            let (put, taken) = goroutine.with(|cell| unsafe { *cell });
            assert_eq!(put, taken, "goroutine {}", at + 1);
        }
    }
}

type Take = fn(&LocalQueue) -> Option<Word>;

/// The owner puts one next, and another, so that the first goes to the ring, and takes from both; a
/// thief steals from both.
fn steal_against_pop_against_next(pop: Take, take_next: Take) {
    loom::model(move || {
        let owner = fake();
        owner.push(1);
        let thief = Arc::clone(&owner);
        let thread = thread::spawn(move || {
            thief.steal(0, &thief.queue);
            let seen = thief.queue.peek_next();
            if seen != 0 {
                thief.run_some(thief.queue.steal_next(seen));
            }
        });
        assert_eq!(owner.queue.put_next(owner.new_word(2)), None);
        if let Some(displaced) = owner.queue.put_next(owner.new_word(3)) {
            assert_eq!((displaced, owner.queue.push(displaced)), (2, Ok(())));
        }
        owner.run_some(pop(&owner.queue));
        owner.run_some(take_next(&owner.queue));
        thread.join().unwrap();
        owner.settle();
    });
}

#[test]
fn loom_steal_against_pop_against_next() {
    steal_against_pop_against_next(LocalQueue::pop, LocalQueue::take_next);
}

#[test]
#[should_panic]
fn loom_seeded_bug_pop_without_cas_is_found() {
    steal_against_pop_against_next(LocalQueue::pop_seeded, LocalQueue::take_next);
}

#[test]
#[should_panic]
fn loom_seeded_bug_take_next_without_swap_is_found() {
    steal_against_pop_against_next(LocalQueue::pop, LocalQueue::take_next_seeded);
}

/// Two thieves; one also steals from the other, whose ring has just been filled.
fn two_thieves(pop: Take) {
    loom::model(move || {
        let owner = fake();
        (1..=3).for_each(|word| owner.push(word));
        let (one, two) = (Arc::clone(&owner), Arc::clone(&owner));
        let one = thread::spawn(move || one.steal(0, &one.queue));
        let two = thread::spawn(move || {
            two.steal(1, &two.own[0]);
            two.steal(1, &two.queue);
        });
        owner.run_some(pop(&owner.queue));
        one.join().unwrap();
        two.join().unwrap();
        owner.settle();
    });
}

#[test]
fn loom_two_thieves() {
    two_thieves(LocalQueue::pop);
}

#[test]
#[should_panic]
fn loom_seeded_bug_pop_without_cas_against_two_thieves_is_found() {
    two_thieves(LocalQueue::pop_seeded);
}

type TakeHalf = fn(&LocalQueue, &mut [Word; HALF]) -> usize;

/// The ring is full, and the owner sends half of it away and puts one more: over a word that a
/// thief reads.
fn overflow_against_a_thief(take_half: TakeHalf) {
    loom::model(move || {
        let owner = fake();
        (1..=4).for_each(|word| owner.push(word));
        let thief = Arc::clone(&owner);
        let thread = thread::spawn(move || thief.steal(0, &thief.queue));
        let word = owner.new_word(5);
        if owner.queue.push(word).is_err() {
            let mut half = [0; HALF];
            let n = take_half(&owner.queue, &mut half);
            owner.run_some(half[..n].iter().copied());
            assert_eq!(owner.queue.push(word), Ok(()), "nobody made room");
        }
        thread.join().unwrap();
        owner.settle();
    });
}

#[test]
fn loom_overflow_against_a_thief() {
    overflow_against_a_thief(LocalQueue::take_half);
}

#[test]
#[should_panic]
fn loom_seeded_bug_overflow_without_cas_is_found() {
    overflow_against_a_thief(LocalQueue::take_half_seeded);
}

/// One goroutine is next. Another takes its place, so that it moves to the ring, and is run: the
/// first was there all the time. Then a third is put next, and the first is run.
fn moves_of_the_owner(alone: bool, is_empty: fn(&LocalQueue) -> bool) {
    loom::model(move || {
        let owner = fake_with(alone);
        assert_eq!(owner.queue.put_next(owner.new_word(1)), None);
        let observer = Arc::clone(&owner);
        let thread = thread::spawn(move || is_empty(&observer.queue));
        assert_eq!(owner.queue.put_next(owner.new_word(2)), Some(1));
        assert_eq!(owner.queue.push(1), Ok(()));
        owner.run_some(owner.queue.take_next());
        assert_eq!(owner.queue.put_next(owner.new_word(3)), None);
        owner.run_some(owner.queue.pop());
        assert!(!thread.join().unwrap(), "looked empty");
        owner.settle();
    });
}

#[test]
fn loom_moves_of_the_owner_are_never_emptiness() {
    moves_of_the_owner(false, LocalQueue::is_empty);
    moves_of_the_owner(true, LocalQueue::is_empty);
}

#[test]
#[should_panic]
fn loom_seeded_bug_one_look_at_the_tail_is_found() {
    moves_of_the_owner(false, LocalQueue::is_empty_seeded);
}
