//! Tests of the local queue: against a reference, and of who gets how much.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{HALF, LocalQueue, MAX, Word};

const LEN_MAX: usize = MAX as usize;

/// Reproducible choices: xorshift64.
struct Choices(u64);

impl Choices {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % n
    }
}

fn drain(queue: &LocalQueue) -> Vec<Word> {
    std::iter::from_fn(|| queue.pop()).collect()
}

/// A queue with words 1 to `len` in the ring, whose indices begin at `offset`.
fn filled(offset: usize, len: usize) -> LocalQueue {
    let queue = LocalQueue::new(false);
    for _ in 0..offset {
        queue.push(1).unwrap();
        assert_eq!(queue.pop(), Some(1));
    }
    (1..=len).for_each(|word| queue.push(word).unwrap());
    queue
}

#[test]
fn the_ring_is_fifo_and_refuses_one_too_many() {
    for offset in [0, 1, 100, LEN_MAX - 1, 3 * LEN_MAX + 7] {
        let queue = filled(offset, LEN_MAX);
        assert_eq!(queue.len(), LEN_MAX);
        assert_eq!(queue.push(1000), Err(1000));
        assert_eq!(drain(&queue), (1..=LEN_MAX).collect::<Vec<_>>());
        assert_eq!((queue.len(), queue.pop()), (0, None));
        assert!(queue.is_empty());
    }
}

#[test]
fn indices_wrap() {
    let queue = LocalQueue::new(false);
    let near_the_end = u32::MAX - 2;
    queue.head.store(near_the_end, Ordering::Relaxed);
    queue.tail.store(near_the_end, Ordering::Relaxed);
    (1..=LEN_MAX).for_each(|word| queue.push(word).unwrap());
    assert_eq!((queue.len(), queue.push(1)), (LEN_MAX, Err(1)));
    let thief = LocalQueue::new(false);
    assert_eq!(queue.steal_into(&thief), Some((HALF, HALF)));
    assert_eq!(drain(&queue), (HALF + 1..=LEN_MAX).collect::<Vec<_>>());
    assert_eq!(drain(&thief), (1..HALF).collect::<Vec<_>>());
}

#[test]
fn next_is_one_slot_and_hands_out_whom_it_displaces() {
    for alone in [false, true] {
        let queue = LocalQueue::new(alone);
        assert_eq!((queue.peek_next(), queue.take_next()), (0, None));
        assert_eq!(queue.put_next(1), None);
        assert_eq!(queue.put_next(2), Some(1));
        assert!(!queue.is_empty());
        assert_eq!((queue.len(), queue.peek_next()), (0, 2));
        assert_eq!(queue.take_next(), Some(2));
        assert_eq!(queue.take_next(), None);
        assert!(queue.is_empty());
    }
}

#[test]
fn next_is_stolen_only_while_it_is_the_one_that_was_seen() {
    let queue = LocalQueue::new(false);
    assert_eq!(queue.steal_next(0), None);
    assert_eq!(queue.put_next(1), None);
    assert_eq!(queue.steal_next(2), None);
    assert_eq!(queue.steal_next(0), None);
    assert_eq!(queue.steal_next(1), Some(1));
    assert_eq!((queue.steal_next(1), queue.take_next()), (None, None));
}

/// For every length: each word is seen exactly once, and the victim keeps `len / 2`.
#[test]
fn a_thief_gets_the_older_half_of_every_length() {
    for offset in [0, 77, LEN_MAX - 1] {
        for len in 0..=LEN_MAX {
            let (victim, thief) = (filled(offset, len), filled(offset / 2, 0));
            let n = len - len / 2;
            let stolen = victim.steal_into(&thief);
            assert_eq!(stolen, (n > 0).then_some((n, n)), "length {len}");
            assert_eq!(drain(&thief), (1..n.max(1)).collect::<Vec<_>>());
            assert_eq!(drain(&victim), (n + 1..=len).collect::<Vec<_>>());
        }
    }
}

#[test]
fn an_overflow_takes_the_older_half() {
    for offset in [0, HALF, LEN_MAX - 1] {
        let queue = filled(offset, LEN_MAX);
        let mut half = [0; HALF];
        assert_eq!(queue.take_half(&mut half), HALF);
        assert_eq!(half.to_vec(), (1..=HALF).collect::<Vec<_>>());
        assert_eq!(queue.push(LEN_MAX + 1), Ok(()));
        assert_eq!(drain(&queue), (HALF + 1..=LEN_MAX + 1).collect::<Vec<_>>());
    }
}

/// What a queue should be.
#[derive(Default)]
struct Reference {
    ring: VecDeque<Word>,
    next: Option<Word>,
}

impl Reference {
    fn steal_into(&mut self, own: &mut Reference) -> Option<(Word, usize)> {
        let n = self.ring.len() - self.ring.len() / 2;
        own.ring.extend(self.ring.drain(..n));
        own.ring.pop_back().map(|word| (word, n))
    }
}

/// One random operation on a queue and on its reference: the results agree.
fn step(choices: &mut Choices, word: Word, queue: &LocalQueue, reference: &mut Reference) {
    match choices.below(8) {
        // More comes than goes, so that the ring is full at times.
        0..=2 => {
            if let Err(back) = queue.push(word) {
                assert_eq!((back, reference.ring.len()), (word, LEN_MAX));
                let mut half = [0; HALF];
                let n = queue.take_half(&mut half);
                assert_eq!(half[..n], *reference.ring.drain(..HALF).collect::<Vec<_>>());
            } else {
                reference.ring.push_back(word);
            }
        }
        3..=4 => assert_eq!(queue.pop(), reference.ring.pop_front()),
        5 => assert_eq!(queue.put_next(word), reference.next.replace(word)),
        6 => assert_eq!(queue.take_next(), reference.next.take()),
        _ => {
            let seen = [queue.peek_next(), word][choices.below(2)];
            let is_next = reference.next == Some(seen);
            let expected = if is_next { reference.next.take() } else { None };
            assert_eq!(queue.steal_next(seen), expected);
        }
    }
}

#[test]
fn random_operations_agree_with_the_reference() {
    for seed in 1..=20 {
        let mut choices = Choices(seed);
        let queues = [LocalQueue::new(false), LocalQueue::new(false)];
        let mut references = [Reference::default(), Reference::default()];
        for word in 1..20_000 {
            let at = choices.below(2);
            step(&mut choices, word, &queues[at], &mut references[at]);
            let [one, two] = &mut references;
            let (own, victim) = if at == 0 { (one, two) } else { (two, one) };
            if own.ring.is_empty() && choices.below(4) == 0 {
                let expected = victim.steal_into(own);
                assert_eq!(queues[1 - at].steal_into(&queues[at]), expected);
            }
            for (queue, reference) in queues.iter().zip(&references) {
                assert_eq!(queue.len(), reference.ring.len());
                assert_eq!(queue.peek_next(), reference.next.unwrap_or(0));
                let empty = reference.ring.is_empty() && reference.next.is_none();
                assert_eq!(queue.is_empty(), empty);
            }
        }
    }
}

/// The same with one queue that has no thieves, at times.
#[test]
fn a_queue_that_is_alone_does_the_same() {
    let mut choices = Choices(1);
    let queue = LocalQueue::new(true);
    let mut reference = Reference::default();
    for word in 1..50_000 {
        queue.set_alone(choices.below(2) == 0);
        step(&mut choices, word, &queue, &mut reference);
        assert_eq!(queue.len(), reference.ring.len());
    }
}

/// The owner and thieves at the same time: each word is taken once.
#[test]
fn every_word_is_taken_once_by_many() {
    const WORDS: usize = 100_000;
    let taken: Vec<AtomicUsize> = (0..=WORDS).map(|_| AtomicUsize::new(0)).collect();
    let take = |word: Word| taken[word].fetch_add(1, Ordering::Relaxed);
    let queue = LocalQueue::new(false);
    let over = AtomicBool::new(false);
    let steal = || {
        let own = LocalQueue::new(false);
        // Acquire: pairs with the Release of the owner.
        while !over.load(Ordering::Acquire) {
            if let Some((word, _)) = queue.steal_into(&own) {
                take(word);
            }
            drain(&own).into_iter().map(take).for_each(drop);
            queue.steal_next(queue.peek_next()).map(take);
        }
    };
    std::thread::scope(|scope| {
        (0..2).for_each(|_| drop(scope.spawn(steal)));
        let mut choices = Choices(1);
        for word in 1..=WORDS {
            let pushed = match choices.below(4) {
                0 => queue.put_next(word),
                _ => Some(word),
            };
            while let Some(Err(_)) = pushed.map(|word| queue.push(word)) {
                queue.pop().map(take);
            }
            if choices.below(2) == 0 {
                queue.take_next().or_else(|| queue.pop()).map(take);
            }
        }
        // Release: pairs with the Acquire of the thieves.
        over.store(true, Ordering::Release);
    });
    queue.take_next().map(take);
    drain(&queue).into_iter().map(take).for_each(drop);
    assert!(taken[1..].iter().all(|n| n.load(Ordering::Relaxed) == 1));
}
