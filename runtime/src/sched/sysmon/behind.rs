//! Who is next behind a goroutine that does not switch any more, though other Ms were told not to
//! come: H3 of `haste.rs`.

use std::time::{Duration, Instant};

use crate::sched::processor::Processor;
use crate::sched::shared::Shared;

/// An M that switches more rarely than this is in no haste: another M would be there sooner. More
/// than the grace of a thief, which notes haste.
const SLOW: Duration = Duration::from_micros(10);

/// What a round saw of a P in haste.
#[derive(Clone, Copy, Debug)]
pub(super) struct Glance {
    m: usize,
    count: u32,
    at: Instant,
}

impl Glance {
    /// Whether the M has switched rarely since the round `before`.
    fn is_slow(self, before: Glance) -> bool {
        let switches = self.count.wrapping_sub(before.count);
        self.m == before.m && self.at.saturating_duration_since(before.at) >= SLOW * switches.max(1)
    }
}

/// What this round sees of a P in haste. If its M has become slow since the round `before`, the
/// note is taken back, and an M comes for who is next.
pub(super) fn look(
    shared: &Shared,
    p: &Processor,
    now: Instant,
    before: Option<Glance>,
) -> Option<Glance> {
    let m = p.haste.of(p.hold.seen())?;
    let count = shared.machines.get(m).beat.count();
    let glance = Glance { m, count, at: now };
    if before.is_some_and(|before| glance.is_slow(before)) {
        p.haste.take_back();
        if p.has_work() {
            shared.submitted();
        }
        return None;
    }
    Some(glance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_switches_are_slow_and_many_are_not() {
        let at = Instant::now();
        let glance = |m, count: u32, after| Glance {
            m,
            count,
            at: at + Duration::from_micros(after),
        };
        let before = glance(3, u32::MAX - 1, 0);
        let after = |switches| u32::MAX.wrapping_add(switches).wrapping_sub(1);
        // In 1 ms: 100 switches are one each 10 us.
        assert!(glance(3, after(0), 1000).is_slow(before));
        assert!(glance(3, after(100), 1000).is_slow(before));
        assert!(!glance(3, after(101), 1000).is_slow(before));
        // Not long enough to tell.
        assert!(!glance(3, after(0), 9).is_slow(before));
        assert!(!glance(4, after(0), 1000).is_slow(before));
    }
}
