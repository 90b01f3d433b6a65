//! Primes by a pipeline: who has received a prime takes its multiples out of what it passes on.
//!
//! ```text
//!  2 3 4 5 …  ──>  without 2's  ──>  without 3's  ──>  …  ──>  the next prime
//! ```

use std::io;
use std::time::{Duration, Instant};

use super::{Channels, Counted, Scene};

/// The first so many primes.
#[derive(Clone, Debug)]
pub(crate) struct Sieve {
    primes: Vec<u32>,
    /// That are needed for these.
    messages: u64,
}

impl Sieve {
    pub(crate) fn new(primes: usize) -> Self {
        let mut found: Vec<u32> = Vec::with_capacity(primes);
        let mut messages = 0;
        let mut candidate = 2;
        while found.len() < primes {
            match found.iter().position(|prime| candidate % prime == 0) {
                Some(filter) => messages += filter as u64 + 1,
                None => {
                    messages += found.len() as u64 + 1;
                    found.push(candidate);
                }
            }
            candidate += 1;
        }
        Self {
            primes: found,
            messages,
        }
    }

    pub(crate) fn primes(&self) -> &[u32] {
        &self.primes
    }
}

impl Counted for Sieve {
    fn operations(&self) -> u64 {
        self.messages
    }
}

impl Scene for Sieve {
    fn play<K: Channels>(&self) -> io::Result<Duration> {
        let mut handles = Vec::with_capacity(self.primes.len() + 1);
        let start = Instant::now();
        let (sender, mut numbers) = K::channel(Some(0));
        handles.push(K::spawn(move || {
            (2..).all(|number| K::send(&sender, number));
        })?);
        for &expected in &self.primes {
            let prime: u32 = K::recv(&numbers).expect("there are more primes");
            assert_eq!(prime, expected);
            let (sender, passed) = K::channel(Some(0));
            handles.push(K::spawn(move || {
                while let Some(number) = K::recv(&numbers) {
                    if number % prime != 0 && !K::send(&sender, number) {
                        return;
                    }
                }
            })?);
            numbers = passed;
        }
        let elapsed = start.elapsed();
        // Each finds that the one after it is gone.
        drop(numbers);
        handles.into_iter().for_each(K::join);
        Ok(elapsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_passed_on_until_it_is_divided() {
        let sieve = Sieve::new(4);
        assert_eq!(sieve.primes(), [2, 3, 5, 7]);
        // 2 and 3 and 5 and 7 by one filter more each, 4 and 6 to the first.
        assert_eq!(sieve.messages, 1 + 2 + 3 + 4 + 2);
    }
}
