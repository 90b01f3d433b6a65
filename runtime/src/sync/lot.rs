//! A table of queues for primitives that are too small for one of their own.
//!
//! A primitive's address chooses a bucket. Those who wait for it stand in the bucket's queue, in
//! order, maybe among others who wait for something else: the entry has the address. Nothing is
//! allocated, and a primitive that nobody waits for leaves no trace.
//!
//! Only the address is used, so the primitive may be gone when its last waker is still here.

use crossbeam_utils::CachePadded;

use super::queue::Queue;
use crate::wait::lock::Lock;

const BUCKETS: usize = 512;
const _: () = assert!(BUCKETS.is_power_of_two(), "the hash is a shift");

type Bucket = CachePadded<Lock<Queue>>;

static TABLE: [Bucket; BUCKETS] = [const { CachePadded::new(Lock::new(Queue::new())) }; BUCKETS];

/// The address of a primitive. A struct and its first field have the same: two primitives in one
/// struct use those of their words.
pub(crate) fn addr<T>(primitive: &T) -> usize {
    std::ptr::from_ref(primitive).addr()
}

/// Where those wait who wait for what is at `addr`.
pub(crate) fn bucket(addr: usize) -> &'static Lock<Queue> {
    // Fibonacci hashing: neighbours are far apart.
    let hash = (addr as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    &TABLE[(hash >> (u64::BITS - BUCKETS.ilog2())) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_in_different_buckets() {
        let of = |addr: usize| std::ptr::from_ref(bucket(addr)).addr();
        let mut buckets: Vec<_> = (0..64).map(|n| of(0x7f00_0000 + 8 * n)).collect();
        buckets.sort_unstable();
        buckets.dedup();
        assert!(buckets.len() > 48, "{} of 64", buckets.len());
        assert_eq!(of(8), of(8));
    }
}
