//! In which order the operations of a select are tried, and stand at their channels.

use std::sync::atomic::{AtomicU32, Ordering};

/// An order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Every time another.
    Random,
    /// As they are written.
    Given,
}

/// Does `each` of `0..n`, in this order, until one is an error; or the sum of what they gave.
#[inline(always)]
pub(super) fn in_order<E>(
    n: usize,
    order: Order,
    random: impl FnOnce() -> u32,
    each: impl FnMut(usize) -> Result<u64, E>,
) -> Result<u64, E> {
    if order == Order::Given || n < 2 {
        return sum(0..n, each);
    }
    let seed = random();
    let first = (seed >> 31) as usize;
    match n {
        2 => sum([first, 1 - first].into_iter(), each),
        _ => shuffled(n, seed, each),
    }
}

#[inline(always)]
fn sum<E>(
    mut order: impl Iterator<Item = usize>,
    mut each: impl FnMut(usize) -> Result<u64, E>,
) -> Result<u64, E> {
    order.try_fold(0, |seen: u64, at| Ok(seen.wrapping_add(each(at)?)))
}

/// In a random order; that of more than a few dozen is not as random as that of fewer.
fn shuffled<E>(n: usize, seed: u32, each: impl FnMut(usize) -> Result<u64, E>) -> Result<u64, E> {
    // Another sequence than that of which the seed is a part: the next select begins there.
    let mut seed = seed.wrapping_mul(0x9E37_79B9);
    const SHUFFLED_MAX: usize = 32;
    let mut order = [0_u8; SHUFFLED_MAX];
    let shuffled = &mut order[..n.min(SHUFFLED_MAX)];
    for at in 0..shuffled.len() {
        seed = next_random(seed);
        let with = ((u64::from(seed) * (at as u64 + 1)) >> 32) as usize;
        shuffled[at] = shuffled[with];
        shuffled[with] = at as u8;
    }
    // Groups of `SHUFFLED_MAX`, from one of them on; each in the same order.
    let groups = n.div_ceil(SHUFFLED_MAX);
    let start = next_random(seed) as usize % groups;
    let bases = (0..groups).map(|group| (start + group) % groups * SHUFFLED_MAX);
    let places = bases.flat_map(|base| shuffled.iter().map(move |&at| base + usize::from(at)));
    sum(places.filter(|&at| at < n), each)
}

/// A sequence of random numbers.
pub(super) struct Seed(AtomicU32);

impl Seed {
    pub(super) const fn new() -> Seed {
        Seed(AtomicU32::new(0x9E37_79B9))
    }

    /// The next; two threads at once may draw the same. The one after it is computed now, so that
    /// nobody waits for it then.
    #[inline(always)]
    pub(super) fn draw(&self) -> u32 {
        let drawn = self.0.load(Ordering::Relaxed);
        self.0.store(next_random(drawn), Ordering::Relaxed);
        drawn
    }
}

/// The next of a sequence of random numbers, none of which is 0: Marsaglia's xorshift.
#[inline(always)]
fn next_random(last: u32) -> u32 {
    let mut word = last;
    word ^= word << 13;
    word ^= word >> 17;
    word ^ (word << 5)
}
