//! The messages in a channel.

use std::collections::VecDeque;

use super::blocks::{Block, Blocks};

/// A queue that is used under a lock: a push or pop neither allocates nor frees.
pub(super) enum Queue<T> {
    /// Of a bounded channel. It grows only when messages are under way to selects that have not
    /// come for them, beyond its capacity.
    Ring(VecDeque<T>),
    Blocks(Blocks<T>),
}

impl<T> Queue<T> {
    /// # Panics
    /// When `cap` values do not fit into memory.
    #[track_caller]
    pub(super) fn ring(cap: usize) -> Queue<T> {
        let mut ring = VecDeque::new();
        if let Err(error) = ring.try_reserve_exact(cap) {
            let bytes = size_of::<T>();
            let most = (isize::MAX as usize).checked_div(bytes);
            panic!(
                "gopark::chan::bounded: a capacity of {cap} messages of {bytes} bytes does not fit \
                 into memory, whose addresses allow {}: {error}",
                most.unwrap_or(usize::MAX)
            );
        }
        Queue::Ring(ring)
    }

    pub(super) fn blocks() -> Queue<T> {
        Queue::Blocks(Blocks::new())
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        match self {
            Queue::Ring(ring) => ring.len(),
            Queue::Blocks(blocks) => blocks.len(),
        }
    }

    /// Whether a push needs a block first.
    #[inline]
    pub(super) fn needs_block(&self) -> bool {
        match self {
            Queue::Ring(_) => false,
            Queue::Blocks(blocks) => blocks.needs_block(),
        }
    }

    /// Takes a block in; gives it back if it needs none.
    pub(super) fn offer(&mut self, block: Box<Block<T>>) -> Option<Box<Block<T>>> {
        match self {
            Queue::Ring(_) => Some(block),
            Queue::Blocks(blocks) => blocks.offer(block),
        }
    }

    /// A block that is no longer needed.
    #[inline(always)]
    pub(super) fn take_old(&mut self) -> Option<Box<Block<T>>> {
        match self {
            Queue::Ring(_) => None,
            Queue::Blocks(blocks) => blocks.take_old(),
        }
    }

    /// # Panics
    /// When it needs a block.
    #[inline]
    pub(super) fn push(&mut self, value: T) {
        match self {
            Queue::Ring(ring) => ring.push_back(value),
            Queue::Blocks(blocks) => blocks.push(value),
        }
    }

    #[inline(always)]
    pub(super) fn pop(&mut self) -> Option<T> {
        match self {
            Queue::Ring(ring) => ring.pop_front(),
            Queue::Blocks(blocks) => blocks.pop(),
        }
    }

    /// All messages.
    pub(super) fn take_all(&mut self) -> Queue<T> {
        std::mem::replace(self, Queue::Ring(VecDeque::new()))
    }
}
