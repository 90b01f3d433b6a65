//! A tree in which everybody starts ten others and adds up what they answer; a leaf answers its
//! number.

use std::io;
use std::time::{Duration, Instant};

use super::{Channels, Counted, Scene};

const BRANCHES: u64 = 10;

/// With so many leaves, a power of ten.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Skynet {
    pub(crate) leaves: u64,
}

impl Skynet {
    /// What the root answers.
    pub(crate) fn sum(self) -> u64 {
        self.leaves * (self.leaves - 1) / 2
    }
}

impl Counted for Skynet {
    fn operations(&self) -> u64 {
        self.leaves
    }
}

impl Scene for Skynet {
    fn play<K: Channels>(&self) -> io::Result<Duration> {
        let start = Instant::now();
        let (sender, sum) = K::channel(Some(0));
        let whole = Branch {
            first: 0,
            leaves: self.leaves,
        };
        K::go(move || whole.answer::<K>(&sender))?;
        let sum = K::recv(&sum);
        let elapsed = start.elapsed();
        assert_eq!(sum, Some(self.sum()));
        Ok(elapsed)
    }
}

/// A part of the tree.
#[derive(Clone, Copy, Debug)]
pub(super) struct Branch {
    /// The number of its first leaf.
    pub(super) first: u64,
    pub(super) leaves: u64,
}

impl Branch {
    pub(super) fn parts(self) -> impl Iterator<Item = Branch> + Clone + Send {
        let leaves = self.leaves / BRANCHES;
        (0..BRANCHES).map(move |index| Branch {
            first: self.first + index * leaves,
            leaves,
        })
    }

    fn answer<K: Channels>(self, above: &K::Sender<u64>) {
        if self.leaves == 1 {
            K::send(above, self.first);
            return;
        }
        let (sender, sums) = K::channel(Some(0));
        for part in self.parts() {
            let sender = sender.clone();
            K::go(move || part.answer::<K>(&sender)).expect("memory for a million");
        }
        let sum = self.parts().map(|_| K::recv(&sums).unwrap_or(0)).sum();
        K::send(above, sum);
    }
}
