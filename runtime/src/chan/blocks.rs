//! The queue of an unbounded channel: blocks of slots in a list.
//!
//! ```text
//!      head                                tail
//!   +---------+      +---------+      +---------+
//!   | ..xxxxx | ---> | xxxxxxx | ---> | xxx.... |
//!   +---------+      +---------+      +---------+
//!      ^ read                              ^ write
//! ```
//!
//! The queue is used under a lock, where nothing is allocated or freed: whoever pushes brings a
//! block when one is needed; whoever pops takes one away. One spare block is kept, so that a queue
//! that is filled and emptied again and again does neither.
//!
//! # Invariants
//!
//! 1. `head` is null if and only if `tail` is; `len` slots from `read` of `head` to `write` of
//!    `tail` hold values, no others do.
//! 2. The blocks from `head` to `tail` are the queue's own boxes.

#![expect(unsafe_code, reason = "reads and writes slots that may be empty")]

use std::mem::MaybeUninit;
use std::ptr;

const SLOTS: usize = 31;

pub(super) struct Block<T> {
    slots: [MaybeUninit<T>; SLOTS],
    next: *mut Block<T>,
}

impl<T> Block<T> {
    /// A new block, with its slots untouched.
    pub(super) fn new() -> Box<Block<T>> {
        let mut block = Box::<Block<T>>::new_uninit();
        // SAFETY: in bounds of the block; no reference to what is not written is made.
        let next = unsafe { &raw mut (*block.as_mut_ptr()).next };
        // SAFETY: as above.
        unsafe { next.write(ptr::null_mut()) };
        // SAFETY: `next` is written, and slots need not be.
        unsafe { block.assume_init() }
    }
}

/// See the top of this file.
pub(super) struct Blocks<T> {
    head: *mut Block<T>,
    tail: *mut Block<T>,
    read: usize,
    write: usize,
    len: usize,
    spare: Option<Box<Block<T>>>,
    /// What is to be freed outside of the lock.
    old: Option<Box<Block<T>>>,
}

// SAFETY: it owns its blocks and values, as a `Vec` does.
unsafe impl<T: Send> Send for Blocks<T> {}

impl<T> Blocks<T> {
    pub(super) const fn new() -> Blocks<T> {
        Blocks {
            head: ptr::null_mut(),
            tail: ptr::null_mut(),
            read: 0,
            write: SLOTS,
            len: 0,
            spare: None,
            old: None,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether a push needs a block first.
    #[inline]
    pub(super) fn needs_block(&self) -> bool {
        self.write == SLOTS && self.spare.is_none()
    }

    /// Takes a block in; gives it back if it has one.
    pub(super) fn offer(&mut self, block: Box<Block<T>>) -> Option<Box<Block<T>>> {
        match self.spare {
            Some(_) => Some(block),
            None => {
                self.spare = Some(block);
                None
            }
        }
    }

    /// A block that is no longer needed.
    #[inline]
    pub(super) fn take_old(&mut self) -> Option<Box<Block<T>>> {
        self.old.take()
    }

    /// Puts a value at the end.
    ///
    /// # Panics
    /// When it needs a block.
    #[inline]
    pub(super) fn push(&mut self, value: T) {
        if self.write == SLOTS {
            self.append();
        }
        // SAFETY: there is a tail, and its slot `write` is free: invariant 1.
        let slot = unsafe { &mut (*self.tail).slots[self.write] };
        slot.write(value);
        self.write += 1;
        self.len += 1;
    }

    fn append(&mut self) {
        let block = Box::into_raw(self.spare.take().expect("a block was brought"));
        if self.tail.is_null() {
            self.head = block;
            self.read = 0;
        } else {
            // SAFETY: invariant 2.
            unsafe { (*self.tail).next = block };
        }
        self.tail = block;
        self.write = 0;
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<T> {
        if self.len == 0 {
            return None;
        }
        // SAFETY: invariant 1: the slot holds a value.
        let slot = unsafe { &(*self.head).slots[self.read] };
        // SAFETY: as above; it is counted as free from now on.
        let value = unsafe { slot.assume_init_read() };
        self.read += 1;
        self.len -= 1;
        if self.len == 0 || self.read == SLOTS {
            self.leave_block();
        }
        Some(value)
    }

    /// The head has been read to its end, or all has.
    fn leave_block(&mut self) {
        if self.head == self.tail && self.read < SLOTS {
            // The last block, empty: it is used from its beginning again.
            self.read = 0;
            self.write = 0;
            return;
        }
        // SAFETY: invariant 2: it leaves the list here.
        let mut block = unsafe { Box::from_raw(self.head) };
        self.head = std::mem::replace(&mut block.next, ptr::null_mut());
        self.read = 0;
        if self.head.is_null() {
            self.tail = ptr::null_mut();
            self.write = SLOTS;
        }
        self.old = self.offer(block);
    }
}

impl<T> Drop for Blocks<T> {
    fn drop(&mut self) {
        /// Goes on if the drop of a value unwinds.
        struct Rest<'a, T>(&'a mut Blocks<T>);
        impl<T> Drop for Rest<'_, T> {
            fn drop(&mut self) {
                while self.0.pop().is_some() {
                    self.0.old = None;
                }
                if !self.0.head.is_null() {
                    // SAFETY: invariant 2: the last block, empty.
                    drop(unsafe { Box::from_raw(self.0.head) });
                }
            }
        }
        let rest = Rest(self);
        while rest.0.pop().is_some() {
            rest.0.old = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::sync::Arc;

    fn push<T>(blocks: &mut Blocks<T>, value: T) {
        if blocks.needs_block() {
            assert!(blocks.offer(Block::new()).is_none());
        }
        blocks.push(value);
    }

    #[test]
    fn values_come_out_in_order_whatever_the_lengths() {
        let mut blocks = Blocks::new();
        let mut model = VecDeque::new();
        let mut next = 0_u32;
        for round in 0..200 {
            for _ in 0..(round * 7) % 100 {
                push(&mut blocks, Box::new(next));
                model.push_back(next);
                next += 1;
            }
            for _ in 0..(round * 11) % 97 {
                assert_eq!(blocks.pop().map(|value| *value), model.pop_front());
                drop(blocks.take_old());
                assert_eq!(blocks.len(), model.len());
            }
        }
    }

    #[test]
    fn values_that_are_left_are_dropped_once() {
        for n in [0, 1, SLOTS - 1, SLOTS, SLOTS + 1, 3 * SLOTS] {
            let value = Arc::new(());
            let mut blocks = Blocks::new();
            for _ in 0..n {
                push(&mut blocks, Arc::clone(&value));
            }
            assert_eq!(blocks.pop().is_some(), n > 0);
            drop(blocks);
            assert_eq!(Arc::strong_count(&value), 1, "{n}");
        }
    }

    #[test]
    fn a_queue_that_is_filled_and_emptied_keeps_its_blocks() {
        let mut blocks = Blocks::new();
        push(&mut blocks, ());
        assert!(blocks.offer(Block::new()).is_none());
        for _ in 0..10 * SLOTS {
            assert!(!blocks.needs_block());
            blocks.push(());
            assert!(blocks.pop().is_some() && blocks.take_old().is_none());
        }
        assert_eq!(blocks.len(), 1);
    }
}
