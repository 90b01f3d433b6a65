//! The queue of Ms that want a P for their own thread.
//!
//! A goroutine that was suspended, or whose thread lost its P where it may not change threads, can
//! only go on where it is. So not the goroutine but its M is queued, and whoever takes the entry
//! gives it his P. One of the global queues (`global.rs`).
//!
//! # Invariants
//!
//! 1. An M is in the queue at most once; its entry may outlive its claim, and its next claim may
//!    use the old entry.
//! 2. The queue never grows beyond what was reserved: sysmon fills it, which may not allocate.

use std::collections::VecDeque;

use crate::shim::{AtomicU32, Mutex, Ordering};

/// See the top of this file.
#[derive(Debug)]
pub(crate) struct Claims {
    queue: Mutex<Queue>,
    len: AtomicU32,
}

#[derive(Debug)]
struct Queue {
    ms: VecDeque<usize>,
    is_queued: Vec<bool>,
}

impl Claims {
    pub(crate) fn new(threads_max: usize) -> Claims {
        Claims {
            queue: Mutex::new(Queue {
                ms: VecDeque::with_capacity(threads_max),
                is_queued: vec![false; threads_max],
            }),
            len: AtomicU32::new(0),
        }
    }

    /// Queues M `m`.
    pub(crate) fn push(&self, m: usize) {
        let mut queue = self.queue.lock().unwrap();
        if !std::mem::replace(&mut queue.is_queued[m], true) {
            queue.ms.push_back(m);
        }
        self.len.store(queue.ms.len() as u32, Ordering::Relaxed);
    }

    /// The oldest claim; it may be stale.
    pub(crate) fn pop(&self) -> Option<usize> {
        if self.len() == 0 {
            return None;
        }
        let mut queue = self.queue.lock().unwrap();
        let m = queue.ms.pop_front()?;
        queue.is_queued[m] = false;
        self.len.store(queue.ms.len() as u32, Ordering::Relaxed);
        Some(m)
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed) as usize
    }
}
