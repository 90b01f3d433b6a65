//! Many in a ring: each receives from its left and sends to its right, and one token goes round.
//!
//! The ring is built once and outlives a measurement, so that what counts is the token's way.

use std::io;
use std::time::{Duration, Instant};

use gopark::runtime::Runtime;

use super::Channels;
use crate::peers::kinds::{Goroutines, Threads};
use crate::peers::threads::{self, Placement};

/// What goes round.
#[derive(Clone, Copy, Debug)]
pub(super) enum Token {
    /// With so many hops to go.
    Hops(u64),
    /// Who passes this on ends.
    End,
}

/// Goroutines or threads that all wait, at channels without a buffer.
#[derive(Debug)]
pub(crate) struct Ring<K: Channels> {
    len: u64,
    first: K::Sender<Token>,
    arrived: K::Receiver<()>,
}

impl<K: Channels> Ring<K> {
    fn new(len: u64) -> io::Result<Self> {
        let (first, mut left) = K::channel(Some(0));
        let (arrive, arrived) = K::channel(Some(0));
        for index in 0..len {
            let (right, next) = match index + 1 {
                last if last == len => (first.clone(), None),
                _ => {
                    let (right, next) = K::channel(Some(0));
                    (right, Some(next))
                }
            };
            let (from, arrive) = (left.clone(), arrive.clone());
            K::spawn(move || pass_on::<K>(&from, &right, &arrive))?;
            if let Some(next) = next {
                left = next;
            }
        }
        Ok(Self {
            len,
            first,
            arrived,
        })
    }

    /// The time that `hops` take, from that of whole rounds.
    fn race(&self, hops: u64) -> Duration {
        let rounds = hops.div_ceil(self.len);
        let start = Instant::now();
        K::send(&self.first, Token::Hops(rounds * self.len));
        assert_eq!(K::recv(&self.arrived), Some(()), "the token arrives");
        let elapsed = start.elapsed();
        elapsed.mul_f64(hops as f64 / (rounds * self.len) as f64)
    }
}

fn pass_on<K: Channels>(
    left: &K::Receiver<Token>,
    right: &K::Sender<Token>,
    arrive: &K::Sender<()>,
) {
    while let Some(token) = K::recv(left) {
        match token {
            Token::Hops(0) => K::send(arrive, ()),
            Token::Hops(hops) => K::send(right, Token::Hops(hops - 1)),
            Token::End => {
                K::send(right, Token::End);
                return;
            }
        };
    }
}

impl<K: Channels> Drop for Ring<K> {
    fn drop(&mut self) {
        K::send(&self.first, Token::End);
        // Nobody holds the other end any more when all are gone.
        assert_eq!(
            K::recv(&self.arrived),
            None,
            "only the token's way ends here"
        );
    }
}

/// A ring of goroutines in a runtime.
#[derive(Debug)]
pub(crate) struct GoroutineRing {
    // Before its runtime ends.
    ring: Ring<Goroutines>,
    runtime: Runtime,
}

impl GoroutineRing {
    pub(crate) fn new(runtime: Runtime, len: u64) -> io::Result<Self> {
        let ring = runtime.run(|| Ring::new(len))?;
        Ok(Self { ring, runtime })
    }

    pub(crate) fn race(&self, hops: u64) -> Duration {
        self.runtime.run(|| self.ring.race(hops))
    }
}

/// A ring of threads.
#[derive(Debug)]
pub(crate) struct ThreadRing {
    ring: Ring<Threads>,
    placement: Placement,
}

impl ThreadRing {
    pub(crate) fn new(placement: Placement, len: u64) -> io::Result<Self> {
        let ring = threads::placed(placement, || Ring::new(len))?;
        Ok(Self { ring, placement })
    }

    pub(crate) fn race(&self, hops: u64) -> io::Result<Duration> {
        threads::placed(self.placement, || Ok(self.ring.race(hops)))
    }
}
