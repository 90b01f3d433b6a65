//! A list of those who wait, oldest first. Its nodes are on their stacks.
//!
//! ```text
//!   list          node            node            node
//!  +------+      +------+        +------+        +------+
//!  | head |----->| next |------->| next |------->| next |--> null
//!  | tail |--.   | prev |<-------| prev |<-------| prev |
//!  +------+   \  +------+        +------+        +------+
//!              `------------------------------------^
//! ```
//!
//! # Invariants
//!
//! 1. A node in a list is at rest: it is not moved, and lives until it is taken out.
//! 2. Links are read and written under the lock of the list.
//! 3. `is_listed` of a node says whether it is in its list.

#![expect(unsafe_code, reason = "links nodes that are on other stacks")]

use std::cell::Cell;
use std::marker::PhantomPinned;
use std::ptr::{self, NonNull};

/// A place in a list, with whatever the list is for.
#[derive(Debug)]
pub(crate) struct Node<T> {
    next: Cell<*const Node<T>>,
    prev: Cell<*const Node<T>>,
    is_listed: Cell<bool>,
    pub(crate) entry: T,
    _pinned: PhantomPinned,
}

impl<T> Node<T> {
    pub(crate) const fn new(entry: T) -> Node<T> {
        Node {
            next: Cell::new(ptr::null()),
            prev: Cell::new(ptr::null()),
            is_listed: Cell::new(false),
            entry,
            _pinned: PhantomPinned,
        }
    }
}

/// See the top of this file.
#[derive(Debug)]
pub(crate) struct List<T> {
    head: *const Node<T>,
    tail: *const Node<T>,
    len: usize,
}

// SAFETY: a list is its links, which are used under its lock by one thread at a time; entries are
// reached by shared reference from other threads than their own, and given to none.
unsafe impl<T: Sync> Send for List<T> {}

impl<T> List<T> {
    pub(crate) const fn new() -> List<T> {
        List {
            head: ptr::null(),
            tail: ptr::null(),
            len: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.head.is_null()
    }

    /// Puts a node at the end.
    ///
    /// # Safety
    /// - `node` is in no list;
    /// - it is neither moved nor dropped before it is out of this list again;
    /// - this list is used under one lock, which the caller holds.
    #[inline]
    pub(crate) unsafe fn push_back(&mut self, node: &Node<T>) {
        debug_assert!(!node.is_listed.get(), "a node in two lists");
        node.next.set(ptr::null());
        node.prev.set(self.tail);
        node.is_listed.set(true);
        // SAFETY: invariant 1.
        match unsafe { self.tail.as_ref() } {
            Some(tail) => tail.next.set(node),
            None => self.head = node,
        }
        self.tail = node;
        self.len += 1;
    }

    /// Puts a node at the front.
    ///
    /// # Safety
    /// As for [`List::push_back`].
    pub(crate) unsafe fn push_front(&mut self, node: &Node<T>) {
        debug_assert!(!node.is_listed.get(), "a node in two lists");
        node.prev.set(ptr::null());
        node.next.set(self.head);
        node.is_listed.set(true);
        // SAFETY: invariant 1.
        match unsafe { self.head.as_ref() } {
            Some(head) => head.prev.set(node),
            None => self.tail = node,
        }
        self.head = node;
        self.len += 1;
    }

    /// The oldest node. It may be used until the lock is released: its owner takes the lock before
    /// it leaves.
    #[inline]
    pub(crate) fn front(&self) -> Option<&Node<T>> {
        // SAFETY: invariant 1.
        unsafe { self.head.as_ref() }
    }

    /// Takes out the oldest node. It may be used as long as its owner cannot have left: until it is
    /// woken, or the lock is released.
    #[inline]
    pub(crate) fn pop_front(&mut self) -> Option<NonNull<Node<T>>> {
        let head = NonNull::new(self.head.cast_mut())?;
        // SAFETY: invariant 1.
        self.unlink(unsafe { head.as_ref() });
        Some(head)
    }

    /// Takes a node out, if it is in this list: whether it was.
    ///
    /// # Safety
    /// If the node is in a list, it is this one.
    pub(crate) unsafe fn remove(&mut self, node: &Node<T>) -> bool {
        let listed = node.is_listed.get();
        if listed {
            self.unlink(node);
        }
        listed
    }

    /// All nodes, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Node<T>> {
        let mut at = self.head;
        std::iter::from_fn(move || {
            // SAFETY: invariant 1.
            let node = unsafe { at.as_ref() }?;
            at = node.next.get();
            Some(node)
        })
    }

    fn unlink(&mut self, node: &Node<T>) {
        let (next, prev) = (node.next.get(), node.prev.get());
        // SAFETY: invariant 1.
        match unsafe { prev.as_ref() } {
            Some(prev) => prev.next.set(next),
            None => self.head = next,
        }
        // SAFETY: invariant 1.
        match unsafe { next.as_ref() } {
            Some(next) => next.prev.set(prev),
            None => self.tail = prev,
        }
        node.is_listed.set(false);
        self.len -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_come_out_in_order_and_from_anywhere() {
        let nodes: Vec<_> = (0..6).map(Node::new).collect();
        let mut list = List::new();
        for node in &nodes[1..] {
            // SAFETY: the nodes outlive the list, and each is in one.
            unsafe { list.push_back(node) };
        }
        // SAFETY: as above.
        unsafe { list.push_front(&nodes[0]) };
        let seen = |list: &List<i32>| list.iter().map(|node| node.entry).collect::<Vec<_>>();
        assert_eq!(seen(&list), [0, 1, 2, 3, 4, 5]);
        for (at, left) in [
            (0, vec![1, 2, 3, 4, 5]),
            (3, vec![1, 2, 4, 5]),
            (5, vec![1, 2, 4]),
        ] {
            // SAFETY: in this list, or in none.
            assert!(unsafe { list.remove(&nodes[at]) });
            // SAFETY: as above.
            assert!(!unsafe { list.remove(&nodes[at]) });
            assert_eq!(seen(&list), left);
            assert_eq!(list.len(), left.len());
        }
        while list.pop_front().is_some() {}
        assert!(list.is_empty() && list.front().is_none());
        // SAFETY: it is in no list now.
        unsafe { list.push_back(&nodes[3]) };
        assert_eq!(seen(&list), [3]);
    }
}
