//! Which call sites of `blocking` make long calls: whether a call passes its P on before it begins.
//!
//! A call that is over at once keeps its P: coming back costs one compare-and-swap. A long call in
//! front of waiting work should pass the P on at once: until sysmon takes it, the P is idle for 20
//! to 70 µs, and sysmon takes one P a round. Passing it on wakes a thread, which costs about 10 µs.
//! So it pays where at least one call in five is long.
//!
//! Nothing is measured on the way of a call that keeps its P. What is learned costs nothing there:
//!
//! | a call that                               | is     |
//! |-------------------------------------------|--------|
//! | lost its P to sysmon, which saw it twice  | long   |
//! | passed its P on, and took [`LONG_MICROS`] | long   |
//! | passed its P on, and took less            | short  |
//!
//! A long call adds [`GAIN`] to the score of its site, a short one takes 1 away. Sites whose
//! addresses have the same low bits share a score. Scores are hints: lost updates do no harm.

use std::panic::Location;
use std::sync::atomic::{AtomicU8, Ordering};

/// From here on a call is long: twice what it costs to wake a thread.
pub(crate) const LONG_MICROS: u32 = 20;
const GAIN: u8 = 4;
/// From this score on calls pass their P on. Reached by one long call after short ones.
const LONG: u8 = GAIN;
/// A site that makes short calls after many long ones has passed its P on so often in vain.
const SCORE_MAX: u8 = 4 * GAIN;
const SITES: usize = 256;

/// A call site. A whole word: a byte that was stored would be loaded with what is beside it, and
/// wait for the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Site(usize);

impl Site {
    /// The rest of a call that was interrupted by a park: nothing is known of it.
    pub(crate) const UNKNOWN: Site = Site(0);

    #[inline(always)]
    pub(crate) fn of(caller: &'static Location<'static>) -> Site {
        // Neighbours differ: a location is larger than 16 bytes.
        Site((std::ptr::from_ref(caller).addr() >> 4) % SITES)
    }
}

/// The scores of all sites of a runtime.
#[derive(Debug)]
pub(crate) struct CallSites([AtomicU8; SITES]);

impl CallSites {
    pub(crate) fn new() -> CallSites {
        CallSites([const { AtomicU8::new(0) }; SITES])
    }

    #[inline(always)]
    fn score(&self, site: Site) -> &AtomicU8 {
        &self.0[site.0 % SITES]
    }

    /// Whether calls of a site are long.
    #[inline(always)]
    pub(crate) fn is_long(&self, site: Site) -> bool {
        self.score(site).load(Ordering::Relaxed) >= LONG
    }

    /// A call of a site was long, or short.
    pub(crate) fn note(&self, site: Site, was_long: bool) {
        if site == Site::UNKNOWN {
            return;
        }
        let score = self.score(site);
        let before = score.load(Ordering::Relaxed);
        let after = if was_long {
            (before + GAIN).min(SCORE_MAX)
        } else {
            before.saturating_sub(1)
        };
        if after != before {
            score.store(after, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn here() -> Site {
        Site::of(Location::caller())
    }

    #[test]
    fn neighbouring_sites_differ() {
        let (one, other) = (here(), here());
        assert_ne!(one, other);
    }

    #[test]
    fn one_long_call_makes_a_site_long_and_short_ones_make_it_short_again() {
        let sites = CallSites::new();
        let site = Site(7);
        assert!(!sites.is_long(site));
        sites.note(site, true);
        assert!(sites.is_long(site));
        sites.note(site, false);
        assert!(!sites.is_long(site));
        (0..1000).for_each(|_| sites.note(site, true));
        let short = (1..).find(|_| {
            sites.note(site, false);
            !sites.is_long(site)
        });
        assert_eq!(short, Some(usize::from(SCORE_MAX - LONG) + 1));
        assert!(!sites.is_long(Site(8)));
    }

    #[test]
    fn a_long_call_in_four_keeps_a_site_long_and_one_in_ten_does_not() {
        for (every, most) in [(4, true), (10, false)] {
            let sites = CallSites::new();
            let long = (0..1000)
                .filter(|n| {
                    sites.note(Site(9), n % every == 0);
                    sites.is_long(Site(9))
                })
                .count();
            assert_eq!(long > 900, most, "{long} of 1000");
        }
    }

    #[test]
    fn nothing_is_known_of_the_rest_of_a_call() {
        let sites = CallSites::new();
        sites.note(Site::UNKNOWN, true);
        assert!(!sites.is_long(Site::UNKNOWN));
    }
}
