//! A heap of moments, the earliest on top.
//!
//! Four children to a node, as in Go's runtime: half as deep as a binary heap, and the children of
//! a node lie beside each other. An entry carries its moment, so comparing follows no pointer.
//!
//! Nothing is taken out from the middle: who cancels makes its entry stale, and stale entries go
//! when their time comes or when there are too many of them, all in one sweep.
//!
//! # Invariants
//!
//! 1. No entry is earlier than its parent: that of `i` is at `(i - 1) / 4`.

/// No moment.
pub(crate) const NEVER: u64 = u64::MAX;

const ARITY: usize = 4;

#[derive(Debug)]
struct Entry<T> {
    when: u64,
    item: T,
}

/// See the top of this file.
#[derive(Debug)]
pub(crate) struct Heap<T> {
    entries: Vec<Entry<T>>,
}

impl<T> Heap<T> {
    pub(crate) const fn new() -> Heap<T> {
        Heap {
            entries: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The earliest moment, or [`NEVER`].
    #[inline]
    pub(crate) fn next(&self) -> u64 {
        self.entries.first().map_or(NEVER, |entry| entry.when)
    }

    #[inline]
    pub(crate) fn push(&mut self, when: u64, item: T) {
        self.entries.push(Entry { when, item });
        self.rise(self.entries.len() - 1);
    }

    /// The earliest, if its moment has come.
    #[inline]
    pub(crate) fn pop_due(&mut self, now: u64) -> Option<T> {
        if self.entries.first()?.when > now {
            return None;
        }
        let first = self.entries.swap_remove(0);
        self.sink(0);
        Some(first.item)
    }

    /// Keeps the entries that `keep` wants, and memory for them; gives the others.
    pub(crate) fn sweep(&mut self, mut keep: impl FnMut(&T) -> bool) -> Vec<T> {
        let gone = self.entries.extract_if(.., |entry| !keep(&entry.item));
        let gone = gone.map(|entry| entry.item).collect();
        if self.entries.len() < self.entries.capacity() / 4 {
            self.entries.shrink_to(2 * self.entries.len());
        }
        // Bottom up from the last parent: each subtree is in order when its root sinks.
        for at in (0..self.entries.len().div_ceil(ARITY)).rev() {
            self.sink(at);
        }
        gone
    }

    /// Takes everything, with the moments.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = (u64, T)> + use<T> {
        let all = std::mem::take(&mut self.entries);
        all.into_iter().map(|entry| (entry.when, entry.item))
    }

    fn rise(&mut self, mut at: usize) {
        while at > 0 {
            let parent = (at - 1) / ARITY;
            if self.entries[parent].when <= self.entries[at].when {
                break;
            }
            self.entries.swap(parent, at);
            at = parent;
        }
    }

    fn sink(&mut self, mut at: usize) {
        loop {
            let first = at * ARITY + 1;
            let end = (first + ARITY).min(self.entries.len());
            let Some(least) = (first..end).min_by_key(|i| self.entries[*i].when) else {
                break;
            };
            if self.entries[at].when <= self.entries[least].when {
                break;
            }
            self.entries.swap(at, least);
            at = least;
        }
    }
}

#[cfg(all(test, not(gopark_loom)))]
#[path = "tests/heap.rs"]
mod tests;
